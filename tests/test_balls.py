"""Balls: enclosures of the true values, and central differences in them as the oracle of every backward pass."""

import itertools
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
import samples
from crosscheck.arithmetic.base import ELEMENTARY, FUNCTIONS, GENERIC, UFUNC_METHODS, UFUNCS, Outside, raw
from crosscheck.reference import LAYERS, LOSSES, Layer, Loss, Optimizer, run, train
from crosscheck.reference.elementary import erf, overlaid
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

flint = pytest.importorskip("flint", reason="balls need python-flint, the extra 'truth'")

from crosscheck.arithmetic.ball import Ball, balls, central_difference, distance  # noqa: E402

Array = NDArray[Any]
BALLS, FINE = balls(), balls(400)
DIGITS = 1e-40


def random(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(seed))


def sample() -> Array:
    return np.array([[1.0, -2.0, 3.0], [4.0, 5.0, -6.0]])


# ------------------------------------------------------------------------------------------------------------ the class


def test_every_name_of_the_subset_has_a_rule() -> None:
    assert BALLS.RULES.keys() | GENERIC.keys() >= UFUNCS | UFUNC_METHODS | FUNCTIONS | ELEMENTARY


def scattered(x: Any) -> Any:
    table = np.zeros_like(x, shape=(4, 3))
    np.add.at(table, np.array([[1, 3], [1, 1]]), np.stack([x, 3 * x]))
    return table


def changed(x: Any) -> Any:
    y = x.copy()
    y += x
    y[:, 0] = x[:, 1]
    y[1] = 7
    y[0, 1:] *= x[1, 1:]
    return y


INSIDE: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: -(x * 2 + 1 - x / 3) @ (x**2).T,
    "vectors": lambda x: x[0] @ x.T + (x @ x[1])[..., None].sum(axis=-1) + x[0] @ x[1],
    "stacks": lambda x: np.stack([x, 2 * x]) @ x.T + x @ np.stack([x, 2 * x]).swapaxes(-1, -2),
    "power of a number": lambda x: 0.5**x,
    "elementary": lambda x: np.exp(np.tanh(x)) + np.sqrt(np.square(x)) + np.log(np.abs(x)) + np.arctan(x) + erf(x),
    "elementary near 0": lambda x: np.expm1(x / 16) + np.log1p(x / 16),
    "overlaid": lambda x: overlaid([x, 2 * x], [(slice(0, 2),), (slice(1, 3),)], (3, x.shape[1])),
    "waves": lambda x: np.sin(x) * np.cos(x),
    "masks": lambda x: np.where(x > 0, x, 2) + (x <= -2) * x + np.where(x == 3, x, 0) + (x != 3) * x,
    "more masks": lambda x: (x < 4) * ((x >= -2) * x),
    "plain mask": lambda x: np.where(np.arange(3) == 1, x, np.zeros_like(x)) + (np.arange(3) == 1) * x,
    "maximum": lambda x: np.maximum(x, 0) - x.max(axis=-1, keepdims=True) + x.max(axis=0) + x.max(),
    "sums": lambda x: x.sum(axis=0) + x.mean(axis=0) + x.sum() + x.sum(axis=(0, 1), keepdims=True),
    "scatter": scattered,
    "in place": changed,
    "structure": lambda x: np.concatenate([x.T.reshape(2, 3), x.transpose(1, 0).swapaxes(0, 1)])[..., None],
    "gather": lambda x: np.take_along_axis(x, np.argmax(x, axis=1)[:, None], axis=1) + x.copy()[np.array([0, 1]), :1],
    "argmax": lambda x: x[0] * x.argmax(axis=0) + np.argmax(x) + np.argmax(x, axis=1, keepdims=True),
    "put": lambda x: (y := np.empty_like(x), np.put_along_axis(y, np.array([[2, 1, 0]] * 2), x, axis=1), y)[2],
    "window": lambda x: sliding_window_view(np.pad(x, ((0, 0), (1, 2))), (2, 2)).transpose(0, 1, 3, 2).reshape(-1, 4),
    "padded": lambda x: np.pad(x, 1, constant_values=-np.inf).max(axis=1)[1:-1],
    "like": lambda x: np.full_like(x, 2) * np.ones_like(x) + np.zeros_like(x, shape=()),
    "numbers": lambda x: x[0, 0] + x.sum() - x.max() * x.mean(),
}


@pytest.mark.parametrize("inside", INSIDE.values(), ids=INSIDE)
def test_the_subset_encloses_what_floats_give(inside: Callable[[Any], Any]) -> None:
    found, expected = inside(BALLS.lift(sample())), inside(sample())
    assert type(found) is BALLS
    assert found.shape == np.shape(expected)
    assert found.finite.all()
    np.testing.assert_allclose(found.mid.astype(float), expected, rtol=1e-14, atol=1e-14)
    assert (found.radius < 1e-50).all()


OUTSIDE: dict[str, Callable[[Any], object]] = {
    "clip": lambda x: np.clip(x, 0, 1),
    "isfinite": np.isfinite,
    "truth": lambda x: bool(x[0, 0] > 0),
    "float()": lambda x: float(x[0, 0]),
    "astype": lambda x: x.astype(float),
    "item": lambda x: x[0, 0].item(),
    "a plain array": lambda x: x + np.ones((2, 3)),
    "the class lost": lambda x: np.asarray(x) * x,
    "concatenation with a plain array": lambda x: np.concatenate([x, np.ones((1, 3))]),
    "other balls": lambda x: x + FINE.lift(sample()),
}


@pytest.mark.parametrize("outside", OUTSIDE.values(), ids=OUTSIDE)
def test_what_is_outside_raises(outside: Callable[[Any], object]) -> None:
    with pytest.raises(Outside):
        outside(BALLS.lift(sample()))


def test_the_precision_is_put_back() -> None:
    before = flint.ctx.prec
    np.exp(BALLS.lift(sample()))
    assert flint.ctx.prec == before


def test_lifting_is_exact() -> None:
    third, single = np.ones(1, "g") / 3, np.ones(1, "f") / 3
    assert BALLS.lift(third).mid == third
    assert BALLS.lift(single).mid == single
    assert not BALLS.lift(third).radius.any()
    assert BALLS.lift(np.arange(3)).dtype.kind == "i"
    assert (BALLS.lift(np.array([2**-1074.0])) * 2**52).mid == 2.0**-1022


def test_products_are_the_true_ones() -> None:
    a, b = random(1).standard_normal((2, 4, 5))
    true = [[sum(Fraction(x) * Fraction(y) for x, y in zip(row, other, strict=True)) for other in b] for row in a]
    product = BALLS.lift(a) @ BALLS.lift(b).T
    for found, exact in zip(raw(product).ravel(), itertools.chain(*true), strict=True):
        assert abs(Fraction(found.mid().str(60, radius=False)) - exact) < Fraction(1, 10**50)


# ------------------------------------------------------------------------------------------------------ open enclosures


def interval(low: float, high: float) -> Any:
    return BALLS.of(np.array([flint.arb((low + high) / 2, (high - low) / 2)], object))


def ends(x: Any) -> list[float]:
    (ball,) = raw(x)
    return [float(ball.lower()), float(ball.upper())]


COMPARISONS = {
    "<": (lambda x, y: x < y, [1, 0.5, 0, 0]),
    "<=": (lambda x, y: x <= y, [1, 0.5, 0, 1]),
    ">": (lambda x, y: x > y, [0, 0.5, 1, 0]),
    ">=": (lambda x, y: x >= y, [0, 0.5, 1, 1]),
    "==": (lambda x, y: x == y, [0, 0.5, 0, 1]),
    "!=": (lambda x, y: x != y, [1, 0.5, 1, 0]),
}


@pytest.mark.parametrize(("compare", "expected"), COMPARISONS.values(), ids=COMPARISONS)
def test_a_comparison_has_three_values(compare: Callable[[Any, Any], Any], expected: list[float]) -> None:
    cases = [interval(-1, -0.5), interval(-1, 1), interval(0.5, 1), interval(0, 0)]
    masks = [compare(x, 0) for x in cases]
    assert [float(mask.mid[0]) for mask in masks] == expected
    assert [float(mask.radius[0]) > 0 for mask in masks] == [middle == 0.5 for middle in expected]
    nan = BALLS.lift(np.array([np.nan]))
    assert float(compare(nan, nan).mid[0]) == 0


def test_an_open_mask_encloses_both_branches() -> None:
    x, five, three = interval(-1, 1), interval(5, 5), interval(3, 3)
    low, high = ends(np.where(x > 0, five, three))
    assert low <= 3 <= 5 <= high < 5.01
    low, high = ends((x > 0) * five)
    assert low <= 0 <= 5 <= high < 5.01
    assert ends(np.where(interval(1, 2) > 0, five, three)) == [5, 5]
    assert ends(np.where(interval(-2, -1) > 0, five, three)) == [3, 3]


def test_the_maximum_does_not_depend_on_the_order() -> None:
    for larger in (np.maximum(interval(-1, 1), 0), np.maximum(0, interval(-1, 1))):
        low, high = ends(larger)
        assert low <= 0 <= 1 <= high
    assert not BALLS.lift(np.array([1.0, np.nan])).max().finite


def test_an_enclosure_of_infinity_is_reported() -> None:
    x = 1 / interval(-1, 1)
    assert not x.finite.any()
    assert np.isinf(x.radius).all()
    near, far = distance(x, np.array([2.0]))
    assert near == 0
    assert far == np.inf
    assert not np.log(BALLS.lift(np.zeros(1))).finite.any()


def test_the_distance_is_certified() -> None:
    third = BALLS.lift(np.ones(1)) / 3
    values = np.array([1 / 3])
    exact = abs(Fraction(1, 3) - Fraction(1 / 3))
    lower, upper = distance(third, values)
    assert Fraction(float(lower[0])) <= exact <= Fraction(float(upper[0]))
    assert upper - lower < 1e-30
    assert distance(BALLS.lift(values), values) == (0, 0)
    lower, upper = distance(interval(1, 3), np.array([4.0]))
    assert lower <= 1
    assert upper >= 3
    with pytest.raises(ValueError, match="one shape"):
        distance(third, np.ones((1, 1)))


def test_float64_is_as_near_to_the_truth_as_it_should_be() -> None:
    x = random(2).standard_normal(200)
    for function in (np.exp, np.expm1, np.tanh, np.sin, np.cos, erf, np.arctan):
        y = function(x)
        assert (distance(function(BALLS.lift(x)), y).upper <= 2 * np.spacing(np.abs(y))).all()


# --------------------------------------------------------------------------------- the oracle of every backward pass

N, I, O = 4, 3, 5  # noqa: E741 - the letters of the reference

LOSS_CASES = {**samples.LOSSES, **samples.ALONE}


def test_every_layer_and_loss_is_differentiated() -> None:
    assert {layer.kind for layer, _ in samples.LAYERS.values()} == LAYERS.keys()
    assert {loss.kind for loss in LOSS_CASES.values()} == LOSSES.keys()


def inner(a: Any, b: Any) -> Any:
    return (a * b).sum()


def require_equal(found: Any, expected: Any) -> None:
    """To 40 digits of the larger of them and 1."""
    difference = np.abs((found - expected).mid.astype(float))
    assert (difference <= DIGITS * np.maximum(1, np.abs(expected.mid.astype(float)))).all(), difference
    assert (found - expected).finite.all()


@pytest.mark.parametrize(("layer", "shapes"), samples.LAYERS.values(), ids=samples.LAYERS)
def test_the_backward_is_the_derivative_of_the_forward(layer: Layer, shapes: tuple[tuple[int, ...], ...]) -> None:
    """Along a random direction of each input and each parameter in turn, for a random gradient from above."""
    generator = random(3)
    inputs = [layer.draw_input(generator, shape) for shape in shapes]
    params = {name: generator.standard_normal(shape) for name, shape in layer.parameters().items()}
    fixed = {
        name: FINE.lift(generator.uniform(0.5, 2, shape)) for name, (shape, _) in layer.statistics().items()
    }  # fmt: skip
    for name in layer.given:
        fixed[name] = FINE.lift(layer.draw_given(generator, name, layer.given_shape(name, *shapes)))
    start = [FINE.lift(x) for x in inputs], {**{name: FINE.lift(value) for name, value in params.items()}, **fixed}
    y, saved = layer.forward(*start[0], start[1])
    dy = FINE.lift(generator.standard_normal(y.shape))
    dx, dparams = layer.backward(dy, saved, start[1])
    gradients = dict(enumerate(dx if isinstance(dx, tuple) else (dx,))) | dparams
    assert gradients.keys() == {*range(len(inputs)), *params}

    for place, gradient in gradients.items():
        if layer.integer_inputs and place == 0:
            assert gradient is None
            continue
        value = inputs[place] if isinstance(place, int) else params[place]

        def result(moved: Any, place: int | str = place) -> Any:
            arrays = [moved if position == place else x for position, x in enumerate(start[0])]
            return inner(dy, layer.forward(*arrays, {**start[1], **({place: moved} if place in params else {})})[0])

        direction = generator.standard_normal(value.shape)
        require_equal(inner(gradient, FINE.lift(direction)), central_difference(result, value, direction))


@pytest.mark.parametrize("loss", LOSS_CASES.values(), ids=LOSS_CASES)
def test_the_gradient_of_a_loss_is_its_derivative(loss: Loss) -> None:
    """Every element of it."""
    generator = random(4)
    predictions = [generator.dirichlet(np.ones(O), N) for _ in range(loss.arity)]
    target = FINE.lift(loss.draw_target(generator, *(prediction.shape for prediction in predictions)))
    lifted = list(map(FINE.lift, predictions))
    _, saved = loss.forward(*lifted, target)
    gradients = loss.backward(saved)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for place, (prediction, gradient) in enumerate(zip(predictions, gradients, strict=True)):

        def value(moved: Any, place: int = place) -> Any:
            return loss.forward(*lifted[:place], moved, *lifted[place + 1 :], target)[0].sum()

        derivative = central_difference(value, prediction)
        assert derivative.shape == prediction.shape
        require_equal(gradient, derivative)


def test_a_wrong_backward_is_seen() -> None:
    x, direction, dy = random(5).standard_normal((3, N, O))
    y, _ = cc.Softmax().forward(FINE.lift(x), {})
    diagonal = FINE.lift(dy) * y * (1 - y)  # the mistake that forgets the other outputs
    derivative = central_difference(lambda z: inner(FINE.lift(dy), cc.Softmax().forward(z, {})[0]), x, direction)
    with pytest.raises(AssertionError):
        require_equal(inner(diagonal, FINE.lift(direction)), derivative)


# ------------------------------------------------------------------------------------------------- the truth of a case


@pytest.mark.parametrize("optimizer", [cc.SGD(0.1, momentum=0.9), cc.Adam(0.01)], ids=lambda optimizer: optimizer.kind)
def test_a_whole_case_is_enclosed(optimizer: Optimizer) -> None:
    generator = random(6)
    shapes = {"a.weight": (I, O), "a.bias": (O,), "b.weight": (O, 4), "b.bias": (4,)}
    case = cc.Case(
        name="enclosed",
        nodes=(cc.Node("a", cc.Dense(I, O)), cc.Node("f", cc.Relu()), cc.Node("b", cc.Dense(O, 4))),
        loss=cc.SoftmaxCrossEntropy(),
        optimizer=optimizer,
        weights={name: generator.standard_normal(shape) for name, shape in shapes.items()},
        batches=(cc.Batch(generator.standard_normal((N, I)), generator.integers(4, size=N)),),
        steps=2,
    )
    made: dict[str, Any] = {}

    def keep(name: str, array: Any) -> Any:
        if name.split("/")[1] in ("data", "initial"):
            return BALLS.lift(array)
        made[name] = array
        return array

    train(case, keep)
    trace = run(case)
    assert made.keys() == trace.tensors.keys()
    for name, array in made.items():
        assert isinstance(array, Ball), name
        assert array.finite.all(), name
        assert (array.radius < 1e-45).all(), name
        assert (distance(array, trace[name]).upper < 1e-12).all(), name
