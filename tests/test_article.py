"""The article's lessons, one after the other: computed by hand, by PyTorch and by JAX.

What its text prints is compared to the digits printed in ``test_article_digits.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.reference import part_one
from numpy.typing import NDArray

Array = NDArray[Any]

J_INPUT = np.array([0.93412086, -0.89987134, 0.07139904, 0.63705336])
J_OUTPUT = np.array([0.93412086, 0, 0.07139904, 0.63705336])
O_OUTPUT = np.array([[0.29228018, 0.03001013, 0.67770969]])
WANTED = np.array([[1.0, 0.0, 0.0]])
O_INPUT_GRADIENT = np.array([[-0.70771982, 0.03001013, 0.67770969]])

# How many epsilons of the largest element a framework may be away.
EPSILONS = 16


@dataclass(frozen=True)
class Framework:
    """What a framework offers for the lessons. Arrays are NumPy's on the outside and its own inside a function."""

    own: Callable[[Any], Any]
    """An array as the framework's; the framework's as it is."""
    log: Callable[[Any], Any]
    relu: Callable[[Any], Any]
    tanh: Callable[[Any], Any]
    softmax: Callable[[Any], Any]
    call: Callable[[Callable[[Any], Any], Array], Array]
    """A function of an array, called."""
    gradient: Callable[[Callable[[Any], Any], Array], Array]
    """The gradient of a function whose value is a number."""
    jacobian: Callable[[Callable[[Any], Any], Array], Array]
    """The Jacobian of a function whose value is an array, by reverse-mode differentiation."""
    descend: Callable[[Callable[[Any], Any], float, float, int], list[float]]
    """Gradient descent by the framework's own optimizer: the path of one weight."""


def torch_lessons() -> Framework:
    torch = pytest.importorskip("torch")

    def gradient(function: Callable[[Any], Any], at: Array) -> Array:
        leaf = torch.tensor(at, requires_grad=True)
        return torch.autograd.grad(function(leaf), leaf)[0].numpy()  # type: ignore[no-any-return]

    def descend(function: Callable[[Any], Any], start: float, learning_rate: float, steps: int) -> list[float]:
        weight = torch.nn.Parameter(torch.tensor(start, dtype=torch.float64))
        optimizer = torch.optim.SGD([weight], lr=learning_rate)
        path = [weight.item()]
        for _ in range(steps):
            optimizer.zero_grad()
            function(weight).backward()
            optimizer.step()
            path.append(weight.item())
        return path

    return Framework(
        own=lambda x: x if isinstance(x, torch.Tensor) else torch.tensor(x),
        log=torch.log,
        relu=torch.relu,
        tanh=torch.tanh,
        softmax=lambda x: torch.softmax(x, dim=-1),
        call=lambda function, x: function(torch.tensor(x)).numpy(),
        gradient=gradient,
        jacobian=lambda function, x: torch.func.jacrev(function)(torch.tensor(x)).numpy(),
        descend=descend,
    )


def jax_lessons() -> Framework:
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    from crosscheck.adapters.jax.adapter import enable_x64

    def in_64_bits(function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any) -> Any:
            with enable_x64(True):
                return function(*arguments)

        return run

    def descend(function: Callable[[Any], Any], start: float, learning_rate: float, steps: int) -> list[float]:
        optimizer = optax.sgd(learning_rate)
        weight = jax.numpy.asarray(start, dtype="float64")
        state = optimizer.init(weight)
        path = [weight.item()]
        for _ in range(steps):
            updates, state = optimizer.update(jax.grad(function)(weight), state, weight)
            weight = optax.apply_updates(weight, updates)
            path.append(weight.item())
        return path

    def called(wrap: Callable[[Callable[[Any], Any]], Callable[[Any], Any]]) -> Callable[..., Array]:
        return in_64_bits(lambda function, x: np.asarray(wrap(function)(jax.numpy.asarray(x))))

    return Framework(
        own=jax.numpy.asarray,
        log=jax.numpy.log,
        relu=jax.nn.relu,
        tanh=jax.numpy.tanh,
        softmax=jax.nn.softmax,
        call=called(lambda function: function),
        gradient=called(lambda function: jax.jit(jax.grad(function))),
        jacobian=called(lambda function: jax.jit(jax.jacrev(function))),
        descend=in_64_bits(descend),
    )


FRAMEWORKS = {"torch": torch_lessons, "jax": jax_lessons}


@pytest.fixture(params=FRAMEWORKS)
def framework(request: pytest.FixtureRequest) -> Framework:
    return FRAMEWORKS[request.param]()


def assert_near(found: Array, expected: Array) -> None:
    assert found.shape == expected.shape
    assert found.dtype == expected.dtype == np.float64
    apart = np.max(np.abs(found - expected))
    assert apart <= EPSILONS * 2.0**-52 * np.max(np.abs(expected)), f"{apart} apart\n{found}\nfor\n{expected}"


# ------------------------------------------------------------------------------------ gradient descent on one weight


def test_the_path_of_gradient_descent(framework: Framework) -> None:
    by_hand = part_one.descend(part_one.curve_derivative, start=10.0, learning_rate=0.01, steps=100)
    theirs = framework.descend(part_one.curve, 10.0, 0.01, 100)
    assert len(by_hand) == 101
    assert_near(np.array(by_hand), np.array(theirs))


def test_the_path_leads_down_to_the_lowest_point() -> None:
    path = part_one.descend(part_one.curve_derivative, start=10.0, learning_rate=0.01, steps=100)
    heights = [part_one.curve(w) for w in path]
    assert heights == sorted(heights, reverse=True)
    # Each step leaves 98 hundredths of the way to 3.
    np.testing.assert_allclose(path, 3 + 7 * 0.98 ** np.arange(101), rtol=1e-13)


def test_the_first_step_by_hand() -> None:
    assert part_one.descend(part_one.curve_derivative, 10.0, 0.01, 1) == [10.0, 10.0 - 0.01 * 14.0]


def test_the_path_is_that_of_the_optimizer() -> None:
    path = part_one.descend(part_one.curve_derivative, start=10.0, learning_rate=0.01, steps=5)
    weight = np.array(10.0)
    for expected in path[1:]:
        weight, _ = cc.SGD(0.01).update(weight, part_one.curve_derivative(weight), {}, 0.01)  # type: ignore[arg-type]
        assert weight == expected


# ----------------------------------------------------------------------------------------- relu, tanh and softmax


def test_relu_of_the_example(framework: Framework) -> None:
    np.testing.assert_array_equal(cc.Relu().forward(J_INPUT, {})[0], J_OUTPUT)
    np.testing.assert_array_equal(framework.call(framework.relu, J_INPUT), J_OUTPUT)


def backward_rows(layer: Any, x: Array) -> Array:
    """The Jacobian of a layer at a vector: its backward, asked for one output after the other."""
    _, saved = layer.forward(x, {})
    return np.stack([layer.backward(row, saved, {})[0] for row in np.eye(x.size)])


@pytest.mark.parametrize("name", ["relu", "tanh", "softmax"])
def test_the_jacobian_of_an_activation(framework: Framework, name: str) -> None:
    assert_near(backward_rows(cc.LAYERS[name](), J_INPUT), framework.jacobian(getattr(framework, name), J_INPUT))


def test_tanh_and_its_derivative(framework: Framework) -> None:
    x = np.array([-2.0, -0.5, 0.0, 0.25, 3.0])
    y, saved = cc.Tanh().forward(x, {})
    dx, _ = cc.Tanh().backward(np.ones_like(x), saved, {})
    assert_near(dx, 1 - y**2)
    assert_near(dx, framework.gradient(lambda x: framework.tanh(x).sum(), x))


def softmax_jacobian_written_out(y: Array) -> Array:
    """As the article writes it for three inputs."""
    y1, y2, y3 = y
    return np.array(
        [
            [y1 * (1 - y1), -y1 * y2, -y1 * y3],
            [-y2 * y1, y2 * (1 - y2), -y2 * y3],
            [-y3 * y1, -y3 * y2, y3 * (1 - y3)],
        ]
    )


def test_the_full_jacobian_of_softmax(framework: Framework) -> None:
    x = np.array([0.5, -1.25, 2.0])
    y, _ = cc.Softmax().forward(x, {})
    theirs = framework.jacobian(framework.softmax, x)
    assert_near(part_one.softmax_jacobian(y), theirs)
    assert_near(backward_rows(cc.Softmax(), x), theirs)
    assert_near(softmax_jacobian_written_out(y), theirs)


# --------------------------------------------------------------------------------------------------- the chain rule


@pytest.mark.parametrize(
    ("numbers", "value", "partials"),
    [((1.0, -5.0, 7.0), -21, (14, 7, -3)), ((3.0, -4.0, 5.0), 10, (10, 5, 2))],
    ids=["the article's", "others"],
)
def test_the_chain_rule_on_numbers(
    framework: Framework, numbers: tuple[float, float, float], value: int, partials: tuple[int, int, int]
) -> None:
    at = np.array(numbers)
    assert part_one.chain(*numbers) == value
    assert part_one.chain_partials(*numbers) == partials
    assert framework.call(lambda at: part_one.chain(*at), at) == value
    np.testing.assert_array_equal(framework.gradient(lambda at: part_one.chain(*at), at), partials)


@pytest.mark.parametrize("x", [J_INPUT, J_INPUT[:3], -J_INPUT], ids=["four", "three", "mostly closed"])
def test_the_chain_rule_on_a_vector(framework: Framework, x: Array) -> None:
    def p(x: Any) -> Any:
        return framework.softmax(framework.tanh(framework.relu(x)))

    assert_near(part_one.composed(x), framework.call(p, x))
    jacobian = part_one.composed_jacobian(x)
    assert_near(jacobian, framework.jacobian(p, x))
    # What relu has closed moves nothing: its column is 0.
    assert np.array_equal(np.any(jacobian, axis=0), x > 0)


def test_the_product_of_three_is_what_three_backwards_do() -> None:
    x = J_INPUT
    layers = (cc.Relu(), cc.Tanh(), cc.Softmax())
    saved = []
    y = x
    for layer in layers:
        y, kept = layer.forward(y, {})
        saved.append(kept)
    rows = []
    for row in np.eye(x.size):
        dy = row
        for layer, kept in zip(reversed(layers), reversed(saved), strict=True):
            dy, _ = layer.backward(dy, kept, {})
        rows.append(dy)
    assert_near(np.stack(rows), part_one.composed_jacobian(x))


def test_three_rows_and_four_columns_join_three_inputs_to_four_nodes() -> None:
    layer = cc.Dense(3, 4)
    assert layer.parameters() == {"weight": (3, 4), "bias": (4,)}
    generator = np.random.Generator(np.random.PCG64(15))
    weight, bias, i = generator.standard_normal((3, 4)), generator.standard_normal(4), generator.standard_normal((1, 3))
    y, _ = layer.forward(i, {"weight": weight, "bias": bias})
    by_node = [sum(i[0, source] * weight[source, node] for source in range(3)) + bias[node] for node in range(4)]
    assert y.shape == (1, 4)
    np.testing.assert_allclose(y[0], by_node, rtol=1e-14)


# ------------------------------------------------------------------------------------------------------ the network


@pytest.fixture(scope="module")
def case() -> cc.Case:
    return cc.load_case("article")


@pytest.fixture(scope="module")
def trace(case: cc.Case) -> cc.Trace:
    return cc.record(case)


def test_the_network_is_the_articles(case: cc.Case) -> None:
    assert case.parameters == {
        "j.weight": (2, 4),
        "j.bias": (4,),
        "k.weight": (4, 4),
        "k.bias": (4,),
        "o.weight": (4, 3),
        "o.bias": (3,),
    }
    assert [(node.name, node.layer.kind) for node in case.nodes] == [
        ("j", "dense"),
        ("j.relu", "relu"),
        ("k", "dense"),
        ("k.tanh", "tanh"),
        ("o", "dense"),
        ("o.softmax", "softmax"),
    ]
    assert case.batch(0).inputs.tolist() == [[0.2, 0.1]]
    assert case.batch(0).targets.tolist() == [[1, 0, 0]]
    assert case.learning_rates == (0.01,)
    assert case.symbols["j.weight"] == "wij"


def test_named_intermediates_to_the_digits_printed(trace: cc.Trace) -> None:
    np.testing.assert_array_equal(trace["0/forward/j"].round(8), [J_INPUT])
    np.testing.assert_array_equal(trace["0/forward/j.relu"].round(8), [J_OUTPUT])
    np.testing.assert_array_equal(trace["0/forward/o.softmax"].round(8), O_OUTPUT)


def test_what_the_printed_output_fixes(case: cc.Case, trace: cc.Trace) -> None:
    # A change of half a unit in the last digit of the probability moves its logarithm by that much relative to it.
    assert abs(trace["0/forward/loss"] + np.log(0.29228018)) <= 0.5e-8 / 0.29228018
    np.testing.assert_array_equal(trace["0/backward/o"].round(8), O_INPUT_GRADIENT)
    np.testing.assert_array_equal(trace["0/gradient/o.bias"], trace["0/backward/o"][0])
    expected = case.weights["o.bias"] - 0.01 * trace["0/gradient/o.bias"]
    np.testing.assert_array_equal(trace["0/update/o.bias"], expected)
    np.testing.assert_allclose(expected, case.weights["o.bias"] - 0.01 * O_INPUT_GRADIENT[0], rtol=0, atol=0.5e-10)


def by_hand(case: cc.Case) -> dict[str, Array]:
    """The article's parts two and three, line by line, in its own names."""
    w = {case.symbols[name]: array for name, array in case.weights.items()}
    i, wanted = case.batch(0).inputs, case.batch(0).targets
    j_input = i @ w["wij"] + w["bj"]
    j_output = np.maximum(j_input, 0)
    k_input = j_output @ w["wjk"] + w["bk"]
    k_output = np.tanh(k_input)
    o_input = k_output @ w["wko"] + w["bo"]
    o_output = np.exp(o_input) / np.exp(o_input).sum()
    o_error = o_output - wanted
    k_error = (o_error @ w["wko"].T) * (1 - k_output**2)
    j_error = (k_error @ w["wjk"].T) * (j_input > 0)
    gradients = {
        "wij": i.T @ j_error,
        "bj": j_error[0],
        "wjk": j_output.T @ k_error,
        "bk": k_error[0],
        "wko": k_output.T @ o_error,
        "bo": o_error[0],
    }
    return gradients | {f"new {name}": w[name] - 0.01 * gradient for name, gradient in gradients.items()}


def test_every_gradient_and_every_new_weight_as_the_article_derives_them(case: cc.Case, trace: cc.Trace) -> None:
    lines = by_hand(case)
    for name in case.parameters:
        assert_near(trace[f"0/gradient/{name}"], lines[case.symbols[name]])
        assert_near(trace[f"0/update/{name}"], lines[f"new {case.symbols[name]}"])


def test_every_gradient_of_the_network(framework: Framework, case: cc.Case, trace: cc.Trace) -> None:
    """By the framework's differentiation of the article's forward pass, with respect to one weight after the other."""
    own = framework.own

    def loss(weights: dict[str, Any]) -> Any:
        j = framework.relu(own(case.batch(0).inputs) @ own(weights["j.weight"]) + own(weights["j.bias"]))
        k = framework.tanh(j @ own(weights["k.weight"]) + own(weights["k.bias"]))
        o = framework.softmax(k @ own(weights["o.weight"]) + own(weights["o.bias"]))
        return -(own(case.batch(0).targets) * framework.log(o)).sum()

    for name, weight in case.weights.items():
        found = framework.gradient(lambda w, n=name: loss({**case.weights, n: w}), weight)
        assert_near(trace[f"0/gradient/{name}"], found)


# ------------------------------------------------------------------------------------ the division by N, the mistake


@pytest.mark.parametrize("adapter", ["torch", "jax"])
def test_dividing_by_the_three_outputs_scales_every_gradient_by_a_third(
    adapter: str, case: cc.Case, trace: cc.Trace
) -> None:
    pytest.importorskip(adapter)
    divided = replace(case, loss=cc.CrossEntropy("mean_over_outputs"))
    for found in (cc.record(divided), cc.record(divided, adapter)):
        for name in trace:
            if name == "0/forward/loss" or "/gradient/" in name or "/backward/" in name:
                assert_near(3 * found[name], trace[name])
            elif "/forward/" in name:
                assert_near(found[name], trace[name])


def test_the_diagonal_of_softmax_alone_gives_another_gradient(case: cc.Case, trace: cc.Trace) -> None:
    """Without -y_i y_j what comes back is wanted * (y - 1): it is right where 1 is wanted and 0 elsewhere."""
    y = trace["0/forward/o.softmax"]
    dy = trace["0/backward/o.softmax"]
    mistaken = dy * y * (1 - y)
    np.testing.assert_allclose(mistaken, WANTED * (y - 1), rtol=1e-14)
    right = trace["0/backward/o"]
    np.testing.assert_allclose(mistaken[0, 0], right[0, 0], rtol=1e-14)
    assert mistaken[0, 1:].tolist() == [0, 0]
    np.testing.assert_allclose(right[0, 1:], y[0, 1:], rtol=1e-14)


@dataclass(frozen=True)
class DiagonalSoftmax(cc.Softmax):
    """The mistake, as a layer."""

    def backward(self, dy: Array, y: Array, params: Any) -> tuple[Array, dict[str, Array]]:
        return dy * y * (1 - y), {}


@pytest.mark.parametrize("adapter", ["torch", "jax"])
def test_the_mistake_is_seen_at_the_first_gradient_that_it_makes(adapter: str, case: cc.Case) -> None:
    pytest.importorskip(adapter)
    nodes = [replace(node, layer=DiagonalSoftmax()) if node.name == "o.softmax" else node for node in case.nodes]
    mistaken = cc.record(replace(case, nodes=nodes))
    agreement = cc.compare(cc.record(case, adapter), replace(mistaken, source="mine"))
    assert not agreement.ok
    assert agreement.subjects["mine"].first_divergence == "0/backward/o"
