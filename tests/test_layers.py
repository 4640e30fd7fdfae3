"""Every layer alone: forward, input gradients and parameter gradients, for a random upstream gradient.

Held against automatic differentiation of PyTorch and JAX through the adapters' own tables, and, independently of both,
against central differences in long double.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.reference import Layer
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

Array = NDArray[Any]

# How many epsilons of the largest element of a tensor the frameworks may be away.
EPSILONS = 16

# Widths all differ, the batch is not 1 and equals no width: a transposed or mis-reduced tensor cannot hide.
N, I, O = 7, 3, 5  # noqa: E741 - the letters of the reference


@dataclass(frozen=True)
class Trial:
    """A layer and the shapes of what it takes."""

    layer: Layer
    shapes: tuple[tuple[int, ...], ...]


TRIALS: dict[str, Trial] = {
    "dense": Trial(cc.Dense(I, O), ((N, I),)),
    "dense-narrowing": Trial(cc.Dense(O, 2), ((N, O),)),
    "relu": Trial(cc.Relu(), ((N, O),)),
    "relu-rank-3": Trial(cc.Relu(), ((2, N, O),)),
    "tanh": Trial(cc.Tanh(), ((N, O),)),
    "sigmoid": Trial(cc.Sigmoid(), ((N, O),)),
    "softmax": Trial(cc.Softmax(), ((N, O),)),
    "softmax-rank-1": Trial(cc.Softmax(), ((O,),)),
    "softmax-rank-3": Trial(cc.Softmax(), ((2, N, O),)),
    "add": Trial(cc.Add(), ((N, O), (N, O))),
}

every_trial = pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


@dataclass(frozen=True)
class Drawn:
    """What a layer is tried with: inputs, parameters and an upstream gradient, none of which it may change."""

    inputs: list[Array]
    params: dict[str, Array]
    dy: Array


@dataclass(frozen=True)
class Result:
    """What a layer made of it, or a framework."""

    y: Array
    dinputs: list[Array]
    dparams: dict[str, Array]


def draw(trial: Trial, dtype: str) -> Drawn:
    generator = np.random.Generator(np.random.PCG64(20240229))

    def normal(shape: tuple[int, ...]) -> Array:
        array = generator.standard_normal(shape).astype(dtype)
        array.setflags(write=False)
        return array

    return Drawn(
        inputs=[normal(shape) for shape in trial.shapes],
        params={name: normal(shape) for name, shape in trial.layer.parameters().items()},
        dy=normal(trial.layer.output_shape(*trial.shapes)),
    )


def by_hand(trial: Trial, drawn: Drawn) -> Result:
    y, saved = trial.layer.forward(*drawn.inputs, drawn.params)
    dx, dparams = trial.layer.backward(drawn.dy, saved, drawn.params)
    return Result(y, list(dx) if isinstance(dx, tuple) else [dx], dparams)


def by_torch(trial: Trial, drawn: Drawn) -> Result:
    torch = pytest.importorskip("torch")
    from crosscheck.adapters.torch.parts import LAYERS, build_layer

    transposed = LAYERS[trial.layer.kind].transposed
    module = build_layer(trial.layer, dtype=getattr(torch, drawn.dy.dtype.name), device="cpu")
    with torch.no_grad():
        for name, array in drawn.params.items():
            getattr(module, name).copy_(torch.tensor(array.T if name in transposed else array))
    inputs = [torch.tensor(array, requires_grad=True) for array in drawn.inputs]
    parameters = [getattr(module, name) for name in drawn.params]
    y = module(*inputs)
    gradients = torch.autograd.grad(y, [*inputs, *parameters], grad_outputs=torch.tensor(drawn.dy))
    arrays = [gradient.numpy() for gradient in gradients]
    dparams = dict(zip(drawn.params, arrays[len(inputs) :], strict=True))
    return Result(
        y.detach().numpy(),
        arrays[: len(inputs)],
        {name: array.T if name in transposed else array for name, array in dparams.items()},
    )


def by_jax(trial: Trial, drawn: Drawn) -> Result:
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    from crosscheck.adapters.jax.adapter import enable_x64
    from crosscheck.adapters.jax.parts import LAYERS

    apply = LAYERS[trial.layer.kind][1]
    with enable_x64(drawn.dy.dtype == np.float64):

        def forward_and_backward(inputs: Any, params: Any, dy: Any) -> Any:
            y, vjp = jax.vjp(lambda inputs, params: apply(trial.layer, *inputs, params), inputs, params)
            return y, vjp(dy)

        y, (dinputs, dparams) = jax.jit(forward_and_backward)(drawn.inputs, drawn.params, drawn.dy)
        return Result(
            np.asarray(y),
            [np.asarray(array) for array in dinputs],
            {name: np.asarray(array) for name, array in dparams.items()},
        )


FRAMEWORKS: dict[str, Callable[[Trial, Drawn], Result]] = {"torch": by_torch, "jax": by_jax}
every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


def assert_near(what: str, found: Array, expected: Array, allowed: float) -> None:
    """Equal shape and dtype, and every element within ``allowed`` of the largest magnitude."""
    assert found.dtype == expected.dtype, what
    assert found.shape == expected.shape, what
    apart = np.max(np.abs(found - expected), initial=0)
    assert apart <= allowed * np.max(np.abs(expected)), f"{what}: {apart} apart\nby hand:\n{found}\nfor:\n{expected}"


def assert_same(found: Result, expected: Result, allowed: float) -> None:
    assert_near("y", found.y, expected.y, allowed)
    for place, (ours, theirs) in enumerate(zip(found.dinputs, expected.dinputs, strict=True)):
        assert_near(f"dinput {place}", ours, theirs, allowed)
    assert found.dparams.keys() == expected.dparams.keys()
    for name, ours in found.dparams.items():
        assert_near(f"d{name}", ours, expected.dparams[name], allowed)


# ------------------------------------------------------------------------------------------------ against frameworks


@every_trial
@every_framework
@every_dtype
def test_forward_and_every_gradient_are_the_frameworks(trial: Trial, framework: str, dtype: str) -> None:
    drawn = draw(trial, dtype)
    expected = FRAMEWORKS[framework](trial, drawn)
    assert_same(by_hand(trial, drawn), expected, EPSILONS * float(np.finfo(dtype).eps))


@every_framework
@every_dtype
def test_the_derivative_of_relu_at_zero_is_zero_in_frameworks_too(framework: str, dtype: str) -> None:
    trial = Trial(cc.Relu(), ((2, 3),))
    x = np.array([[0.0, -0.0, 1.0], [-1.0, 2.0, 0.0]], dtype)
    drawn = Drawn([x], {}, draw(trial, dtype).dy)
    np.testing.assert_array_equal(FRAMEWORKS[framework](trial, drawn).dinputs[0], np.where(x > 0, drawn.dy, 0))


@every_framework
def test_softmax_of_large_logits_is_the_frameworks(framework: str) -> None:
    trial = Trial(cc.Softmax(), ((N, O),))
    drawn = draw(trial, "float64")
    large = Drawn([1e4 * drawn.inputs[0]], {}, drawn.dy)
    assert_same(by_hand(trial, large), FRAMEWORKS[framework](trial, large), EPSILONS * 2.0**-52)


# --------------------------------------------------------------------------------------- against central differences


def central_differences(function: Callable[[Array], Any], at: Array) -> Array:
    """The derivative of a number by every element of an array: ``(f(x + h) - f(x - h)) / 2 h``."""
    h = np.finfo(at.dtype).eps ** (np.ones((), at.dtype) / 3)
    slopes = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        nudge = np.zeros_like(at)
        nudge[place] = h
        slopes[place] = (function(at + nudge) - function(at - nudge)) / (2 * h)
    return slopes


@every_trial
def test_every_gradient_is_the_slope_of_the_forward(trial: Trial) -> None:
    drawn = draw(trial, "longdouble")
    assert min(np.min(np.abs(x)) for x in drawn.inputs) > 1e-3, "an input within reach of a kink"
    found = by_hand(trial, drawn)

    def pulled(inputs: list[Array], params: dict[str, Array]) -> Any:
        return (drawn.dy * trial.layer.forward(*inputs, params)[0]).sum()

    # Truncation and rounding are both of the order of eps^(2/3).
    allowed = 100 * float(np.finfo(np.longdouble).eps) ** (2 / 3)
    for place, x in enumerate(drawn.inputs):
        before, after = drawn.inputs[:place], drawn.inputs[place + 1 :]
        slopes = central_differences(lambda x, a=before, b=after: pulled([*a, x, *b], drawn.params), x)
        assert_near(f"dinput {place}", found.dinputs[place], slopes, allowed)
    for name, weight in drawn.params.items():
        slopes = central_differences(lambda w, n=name: pulled(drawn.inputs, {**drawn.params, n: w}), weight)
        assert_near(f"d{name}", found.dparams[name], slopes, allowed)


# --------------------------------------------------------------------------------------------- what the layers promise


@every_trial
def test_shapes_are_the_declared_ones(trial: Trial) -> None:
    drawn = draw(trial, "float64")
    found = by_hand(trial, drawn)
    assert len(trial.shapes) == trial.layer.arity
    assert found.y.shape == trial.layer.output_shape(*trial.shapes)
    assert tuple(dx.shape for dx in found.dinputs) == trial.shapes
    assert {name: dparam.shape for name, dparam in found.dparams.items()} == trial.layer.parameters()


def test_the_derivative_of_relu_at_zero_is_zero() -> None:
    x = np.array([0.0, -0.0, 3.0, -3.0])
    y, saved = cc.Relu().forward(x, {})
    dx, _ = cc.Relu().backward(np.array([5.0, 7.0, 11.0, 13.0]), saved, {})
    assert y.tolist() == [0, 0, 3, 0]
    assert dx.tolist() == [0, 0, 11, 0]


def test_relu_lets_nothing_back_where_it_is_closed_not_even_nan() -> None:
    _, saved = cc.Relu().forward(np.array([-1.0, 1.0, -2.0]), {})
    dx, _ = cc.Relu().backward(np.array([np.nan, 1.0, np.inf]), saved, {})
    assert dx.tolist() == [0, 1, 0]


def test_tanh_and_its_derivative() -> None:
    x = np.linspace(-3, 3, 11)
    y, saved = cc.Tanh().forward(x, {})
    dx, _ = cc.Tanh().backward(np.ones_like(x), saved, {})
    np.testing.assert_allclose(dx, 1 / np.cosh(x) ** 2, rtol=1e-13)
    np.testing.assert_allclose(dx, 1 - y**2, rtol=1e-15)


def test_softmax_of_large_logits_is_finite() -> None:
    y, saved = cc.Softmax().forward(np.array([[1e4, 0.0, -1e4], [1e4, 1e4, -1e4]]), {})
    assert y.tolist() == [[1, 0, 0], [0.5, 0.5, 0]]
    dx, _ = cc.Softmax().backward(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), saved, {})
    assert dx.tolist() == [[0, 0, 0], [-0.25, 0.25, 0]]


def softmax_jacobian(x: Array) -> tuple[Array, Array]:
    """Softmax of a vector and its Jacobian, row i the output: one backward for each row."""
    y, saved = cc.Softmax().forward(x, {})
    return y, np.stack([cc.Softmax().backward(row, saved, {})[0] for row in np.eye(len(x))])


def test_softmax_jacobian_is_full() -> None:
    y, jacobian = softmax_jacobian(np.array([0.3, -1.2, 0.7, 2.0, -0.4]))
    np.testing.assert_allclose(jacobian, y[:, None] * (np.eye(5) - y[None, :]), rtol=1e-13, atol=0)


@given(hnp.arrays(np.float64, st.integers(2, 6), elements=st.floats(-50, 50)))
def test_rows_of_the_softmax_jacobian_add_up_to_nothing(x: Array) -> None:
    y, jacobian = softmax_jacobian(x)
    assert np.abs(y.sum() - 1) <= 4 * 2.0**-52
    assert np.abs(jacobian @ np.ones_like(x)).max() <= 8 * 2.0**-52
    assert np.abs(np.ones_like(x) @ jacobian).max() <= 8 * 2.0**-52


def test_an_upstream_gradient_of_ones_sees_nothing_of_softmax() -> None:
    """Why every test here draws its upstream gradient at random."""
    _, saved = cc.Softmax().forward(draw(TRIALS["softmax"], "float64").inputs[0], {})
    assert np.abs(cc.Softmax().backward(np.ones((N, O)), saved, {})[0]).max() <= 2.0**-52


def test_sigmoid_far_out_is_exact_and_silent() -> None:
    y, saved = cc.Sigmoid().forward(np.array([-1000.0, 0.0, 1000.0]), {})
    dx, _ = cc.Sigmoid().backward(np.array([3.0, 3.0, 3.0]), saved, {})
    assert y.tolist() == [0, 0.5, 1]
    assert dx.tolist() == [0, 0.75, 0]


@given(st.floats(-700, 700))
def test_sigmoid_is_symmetric_and_as_exact_below_zero_as_above(x: float) -> None:
    (low, high), _ = cc.Sigmoid().forward(np.array([-abs(x), abs(x)]), {})
    assert abs(low + high - 1) <= 2.0**-52
    assert low == pytest.approx(np.exp(-abs(x)) * high, rel=2.0**-50)


# ------------------------------------------------------------------------------------------------------------ refusals

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "no inputs": (lambda: cc.Dense(0, 3), "inputs: expected a width of at least 1; received 0"),
    "no outputs": (lambda: cc.Dense(3, -1), "outputs: expected a width of at least 1; received -1"),
    "dense rank": (
        lambda: cc.Dense(3, 4).output_shape((2, 7, 3)),
        "expected an input of rank 2, (N, I); received shape (2, 7, 3)",
    ),
    "dense width": (
        lambda: cc.Dense(3, 4).output_shape((7, 5)),
        "inputs: expected 5, the width of what the node takes; received 3",
    ),
    "softmax of a number": (
        lambda: cc.Softmax().output_shape(()),
        "expected an input with at least one axis; received shape ()",
    ),
    "add of two shapes": (
        lambda: cc.Add().output_shape((7, 5), (7, 1)),
        "from: expected two values of equal shape; received (7, 5) and (7, 1)",
    ),
}


@pytest.mark.parametrize(("refused", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(cc.CaseError) as caught:
        refused()
    assert str(caught.value) == message


# ------------------------------------------------------------------------------------------------- the suite, checked


def require_covered(kinds: Iterable[str]) -> None:
    """Complain of every kind of layer that no trial is about."""
    tried = {trial.layer.kind for trial in TRIALS.values()}
    assert set(kinds) == tried, f"layers without a trial in {__file__}: {sorted(set(kinds) - tried)}"


def test_every_layer_is_tried() -> None:
    require_covered(cc.LAYERS)


def test_a_layer_without_a_trial_is_complained_of() -> None:
    with pytest.raises(AssertionError, match="invented"):
        require_covered([*cc.LAYERS, "invented"])


@dataclass(frozen=True)
class DiagonalSoftmax(cc.Softmax):
    """The common mistake: the diagonal of the Jacobian alone."""

    def backward(self, dy: Array, y: Array, params: Any) -> tuple[Array, dict[str, Array]]:
        return dy * y * (1 - y), {}


@dataclass(frozen=True)
class UnreducedDense(cc.Dense):
    """The gradient of the bias as a mean over rows."""

    def backward(self, dy: Array, x: Array, params: Any) -> tuple[Array, dict[str, Array]]:
        dx, dparams = super().backward(dy, x, params)
        return dx, {**dparams, "bias": dy.mean(axis=0)}


@every_framework
@pytest.mark.parametrize("wrong", [DiagonalSoftmax(), UnreducedDense(I, O)], ids=["diagonal softmax", "mean bias"])
def test_a_wrong_backward_is_caught(wrong: Any, framework: str) -> None:
    trial = Trial(wrong, ((N, I if isinstance(wrong, cc.Dense) else O),))
    drawn = draw(trial, "float32")
    expected = FRAMEWORKS[framework](trial, drawn)
    with pytest.raises(AssertionError, match="apart"):
        assert_same(by_hand(trial, drawn), expected, EPSILONS * 2.0**-23)
