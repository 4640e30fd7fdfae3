"""What the texts that cases are from add to their lessons: the article's Part I and its slips, where Mazur slipped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ..reference import Case, CrossEntropy, Dense, Relu, Softmax, Tanh, Trace, part_one, run
from ..reference.layers import Array
from .functions import function, jacobian
from .lesson import Grid, Piece
from .source import code_of

NOTES: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("article", "0/forward(j.relu)"): (
        'The article says that relu is used "at the input layer". In its own network the input layer has no function '
        "of its own: relu stands here, in the first hidden layer.",
    ),
    ("article", "0/forward(o.softmax)"): (
        'The article says that softmax is used "in the hidden layers". In its own network it stands here, at the '
        "output, where its numbers are read as probabilities; the hidden layers have relu and tanh.",
    ),
    ("article", "0/backward(o.softmax)"): (
        "Softmax followed by cross-entropy comes down to o_output minus the target. The reference does not use that: "
        "it goes back through the loss and through softmax one after the other, as the article does.",
    ),
}
"""What is to be said where a text's slip stands, by the case and the operation."""

UPDATED_AT_ONCE: Mapping[str, str] = {
    "article": (
        "It has happened in print, in Mazur's worked example of 2015. On its network, ``crosscheck explain mazur``, "
        "the switch shows the loss that it prints."
    ),
    "mazur": (
        "It has happened in print, and here: the loss that Mazur's text of 2015 gives after one step is, digit for "
        "digit, that of updating immediately."
    ),
}
"""What is to be said of updating at once, by the case."""


def pieces_of(case: Case, trace: Trace, frameworks: Sequence[str]) -> dict[str, tuple[Piece, ...]]:
    """What the text of a case adds to the sections of its lesson; nothing for most cases."""
    if case.name != "article":
        return {}
    return {"part one": article_part_one(frameworks), "loss": (third(case, trace),), "batch": batch()}


def article_part_one(frameworks: Sequence[str]) -> tuple[Piece, ...]:
    """The article's Part I: the small functions that lead up to a network."""
    functions = rectifier(frameworks), squashing(frameworks), probabilities(frameworks)
    return descent(), *functions, chain_rule(), composition(), matrix()


def descent() -> Piece:
    """Gradient descent on one weight."""
    path = part_one.descend(part_one.curve_derivative, start=10.0, learning_rate=0.01, steps=150)
    shown = path[:4]
    rows = tuple(
        (str(place), (w, part_one.curve(w), part_one.curve_derivative(w), 0.01 * part_one.curve_derivative(w)))
        for place, w in enumerate(shown)
    )
    return Piece(
        "Gradient descent on one weight",
        (
            "The weight starts at 10 and moves against the slope, by a hundredth of it each time. Far from the lowest "
            "point the slope is large and so are the steps; near it both vanish.",
            "The article's own curve is a picture that is lost. This one has its lowest point at 3.",
        ),
        ("f(w) = (w - 3)^2 + 2", "w = w - learning_rate * dw"),
        (Grid("the first steps", ("w", "f(w)", "slope", "moves by"), rows),),
        code_of(part_one.descend),
        tuple((w, part_one.curve(w)) for w in path),
    )


EXAMPLE = np.array([0.93412086, -0.89987134, 0.07139904, 0.63705336])
"""The vector that the article puts through relu; layer j of its network makes the same."""


def rectifier(frameworks: Sequence[str]) -> Piece:
    """Relu of the article's vector."""
    relu = function(Relu(), EXAMPLE, frameworks)
    columns = tuple(f"x{place}" for place in range(1, 5))
    rows = [named("x", EXAMPLE), *relu.rows(0, "relu(x)", back=False), *relu.rows(0, "derivative", back=True)]
    return Piece(
        "relu",
        (
            "What is negative becomes 0, the rest passes. The derivative is a gate: 1 where the number passed, 0 where "
            "it did not. At exactly 0 there is no derivative; 0 is taken, by everyone here.",
        ),
        ("y = max(x, 0)",),
        (Grid("the article's example", columns, tuple(rows)),),
        code_of(Relu.backward),
        theirs=relu.theirs,
    )


def squashing(frameworks: Sequence[str]) -> Piece:
    """Tanh at some places."""
    x = np.array([-2.0, -0.5, 0.0, 0.5, 2.0])
    tanh = function(Tanh(), x, frameworks)
    rows = [*tanh.rows(0, "tanh(x)", back=False), *tanh.rows(0, "derivative", back=True)]
    return Piece(
        "tanh",
        (
            "Any number is squeezed between -1 and 1. The derivative is computed from the output: 1 at 0, and nearly 0 "
            "where the curve is flat, so that little comes back through a node that is far out.",
        ),
        ("y = tanh(x)", "dy = 1 - y^2"),
        (Grid("at five places", tuple(f"x = {place:g}" for place in x), tuple(rows)),),
        code_of(Tanh.backward),
        theirs=tanh.theirs,
    )


def probabilities(frameworks: Sequence[str]) -> Piece:
    """Softmax of three numbers, and all nine derivatives."""
    x = np.array([0.5, -1.25, 2.0])
    softmax = jacobian(Softmax(), x, frameworks)
    rows = [row for place in range(x.size) for row in softmax.rows(place, f"∂y{place + 1}", back=True)]
    return Piece(
        "softmax and its Jacobian",
        (
            "Every output depends on every input, for all share one denominator. So there are nine derivatives, not "
            "three: on the diagonal ``y_i (1 - y_i)``, beside it ``-y_i y_j``. Each row adds up to 0: raising one "
            "probability lowers the others by as much in all.",
            "No framework holds the Jacobian. A row of it is what comes back from a gradient that is 1 at one output.",
            "Texts of this family often keep the diagonal alone. What then goes wrong is below, under the mistakes.",
        ),
        ("y_i = exp(x_i) / sum_j exp(x_j)",),
        (
            Grid("three numbers", ("1", "2", "3"), (named("x", x), *softmax.rows(0, "softmax(x)", back=False))),
            Grid("the Jacobian, row by row", ("/∂x1", "/∂x2", "/∂x3"), tuple(rows)),
        ),
        code_of(part_one.softmax_jacobian),
        theirs=softmax.theirs,
    )


def chain_rule() -> Piece:
    """The chain rule on a circuit of two gates."""
    x, y, z = 1.0, -5.0, 7.0
    dx, dy, dz = part_one.chain_partials(x, y, z)
    u, g = 2 * x + y, part_one.chain(x, y, z)
    return Piece(
        "The chain rule",
        (
            "Forward, from left to right, each gate computes its value. Backward, from right to left, each gate "
            "multiplies what arrives by its own derivative and sends that on. A product sends each factor the other "
            "one; a sum sends the same to both.",
        ),
        ("g = u z", "u = 2 x + y"),
        (
            Grid(
                "at (1, -5, 7)",
                ("x", "y", "z", "u", "g"),
                (("value", (x, y, z, u, g)), ("∂g by it", (dx, dy, dz, z, 1.0))),
            ),
        ),
        code_of(part_one.chain_partials),
        circuit={"x": (x, dx), "y": (y, dy), "z": (z, dz), "u": (u, z), "g": (g, 1.0)},
    )


def composition() -> Piece:
    """p(X) = h(g(f(X))) and its derivative as a product of three Jacobians."""
    f, _ = Relu().forward(EXAMPLE, {})
    g, _ = Tanh().forward(f, {})
    h = part_one.composed(EXAMPLE)
    columns = tuple(f"/∂x{place}" for place in range(1, 5))
    whole = part_one.composed_jacobian(EXAMPLE)
    rows = tuple(named(f"∂p{i + 1}", row) for i, row in enumerate(whole))
    names = tuple(str(place) for place in range(1, 5))
    return Piece(
        "Three functions in a row",
        (
            "f is relu, g is tanh, h is softmax. The derivative of the whole is the product of the three Jacobians, "
            "the last function's first. Those of relu and tanh are diagonal. The column of x2 is 0: relu has closed, "
            "and nothing that x2 does reaches the end.",
        ),
        ("p = h(g(f(x)))",),
        (
            Grid("forward", names, (named("x", EXAMPLE), named("f(x)", f), named("g(f(x))", g), named("p(x)", h))),
            Grid("the derivative of p", columns, rows),
        ),
        code_of(part_one.composed_jacobian),
    )


def matrix() -> Piece:
    """A weight matrix with 3 rows and 4 columns."""
    layer = Dense(3, 4)
    x, weight = np.array([[1.0, 2.0, 3.0]]), np.arange(12.0).reshape(3, 4) / 10
    y, _ = layer.forward(x, {"weight": weight, "bias": np.zeros(4)})
    nodes = tuple(f"node {place}" for place in range(1, 5))
    return Piece(
        "A matrix of weights",
        (
            "A matrix with 3 rows and 4 columns joins 3 inputs to 4 nodes: row i holds what input i sends out, column "
            "j what arrives at node j. A row of inputs times the matrix is what all nodes receive at once.",
        ),
        ("y = x @ weight + bias",),
        (
            Grid("weights", nodes, tuple(named(f"input {i + 1}", row) for i, row in enumerate(weight))),
            Grid("for inputs 1, 2, 3 and no bias", nodes, (named("y", y[0]),)),
        ),
    )


def third(case: Case, trace: Trace) -> Piece:
    """What dividing the loss by the number of outputs does to every gradient."""
    divided = run(replace(case, loss=CrossEntropy("mean_over_outputs")))
    names = ("0/forward/loss", "0/backward/o", "0/gradient/k.weight", "0/gradient/j.weight")
    rows = []
    for name in names:
        here, there = float(np.ravel(trace[name])[0]), float(np.ravel(divided[name])[0])
        rows.append((name, (here, there, there / here)))
    return Piece(
        "The N = 3 in the loss",
        (
            "The article divides by N, the number of outputs. That is a convention, not a law: it multiplies the loss "
            "and every gradient by 1/3 and leaves every output as it is. With a learning rate three times as large the "
            "step is the same. What is computed here adds up and does not divide; as a case file has it, "
            'reduction = "mean_over_outputs" divides.',
        ),
        grids=(Grid("first elements", ("summed", "divided by 3", "ratio"), tuple(rows)),),
    )


def batch() -> tuple[Piece, ...]:
    """Three rows, two steps, and an input exactly at the kink: what one row cannot show."""
    from ..cases import load_case

    case = load_case("article-batch")
    trace = run(case)
    dy, gradient = trace["0/backward/o"], trace["0/gradient/o.bias"]
    rows = [named(f"row {place + 1}", row) for place, row in enumerate(dy)]
    rows += [named("their sum: ∂loss/∂bo", gradient), named("their mean", dy.mean(axis=0))]
    x, back, arrived = trace["0/forward/j"], trace["0/backward/j"], trace["0/backward/j.relu"]
    row, column = (int(place[0]) for place in np.nonzero(x == 0))
    kink = tuple(
        (called, (float(array[row, column]),))
        for called, array in (("j_input", x), ("∂loss/∂j_output", arrived), ("∂loss/∂j_input", back))
    )
    losses = (("loss", (float(trace["0/forward/loss"]), float(trace["1/forward/loss"]))),)
    return (
        Piece(
            "A bias is used by every row",
            (
                "With one row a sum over the rows, a mean of them and the last of them are the same number, so that "
                "three mistakes look right. With three rows they part. The loss has divided by three already; the bias "
                "adds up.",
            ),
            ("dbias = sum_n dy_n",),
            (Grid("∂loss/∂o_input", ("o1", "o2", "o3"), tuple(rows)),),
        ),
        Piece(
            "Exactly at the kink",
            (
                f"In row {row + 1} the input of node j{column + 1} is exactly 0. What arrives there does not go on: "
                "the derivative of relu at 0 is taken to be 0. A gate written with >= would let it through; where no "
                "input is exactly 0 the two are one, and no test can tell them apart.",
            ),
            grids=(Grid(f"row {row + 1}, node j{column + 1}", ("",), kink),),
        ),
        Piece(
            "Two steps",
            (
                "The second step starts from the weights that the first one left. Gradients that nobody cleared, and a "
                "rate that was never changed, show only here.",
            ),
            grids=(Grid("the loss", ("step 1", "step 2"), losses),),
        ),
    )


def named(name: str, values: Array) -> tuple[str, tuple[float, ...]]:
    """A vector as the row of a table."""
    return name, tuple(map(float, values))
