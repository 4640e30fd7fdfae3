"""Every loss in every reduction and form of target: its value and its gradient.

Held against automatic differentiation of PyTorch and JAX through the adapters' own tables, and, independently of both,
against central differences in long double.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from itertools import product
from typing import Any, get_args, get_type_hints

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.reference import Loss
from numpy.typing import NDArray

Array = NDArray[Any]

# How many epsilons of the largest element of a tensor the frameworks may be away.
EPSILONS = 16

# The batch is not 1 and equals no width; C is not 2, with which a mean over outputs could be half of a sum.
N, C = 7, 5
SHAPES = {"rows": (N, C), "blocks of rows": (3, N, C)}
ROW_REDUCTIONS = ("mean", "sum", "mean_over_outputs")


@dataclass(frozen=True)
class Trial:
    """A loss, the shape of the prediction and how targets are drawn."""

    loss: Loss
    shape: tuple[int, ...]
    targets: str


def trials() -> dict[str, Trial]:
    found = {}
    for reduction in ROW_REDUCTIONS:
        for rows, shape in SHAPES.items():
            # In blocks of rows only what is hardest: the reduction is over all of them.
            forms = ("one-hot", "distributions", "not adding up to 1") if rows == "rows" else ("not adding up to 1",)
            for targets in forms:
                cross_entropy, fused = cc.CrossEntropy(reduction), cc.SoftmaxCrossEntropy(reduction, "distributions")
                found[f"cross_entropy-{reduction}-{targets}-{rows}"] = Trial(cross_entropy, shape, targets)
                found[f"softmax_cross_entropy-{reduction}-{targets}-{rows}"] = Trial(fused, shape, targets)
            indices = Trial(cc.SoftmaxCrossEntropy(reduction, "indices"), shape, "indices")
            found[f"softmax_cross_entropy-{reduction}-indices-{rows}"] = indices
    for reduction in ("mean", "sum", "half_sum"):
        for rows, shape in {**SHAPES, "numbers": (N,)}.items():
            trial = Trial(cc.MeanSquaredError(reduction), shape, "real")
            found[f"mean_squared_error-{reduction}-{rows}"] = trial
    return found


TRIALS = trials()
every_trial = pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)


def draw(trial: Trial, dtype: str) -> tuple[Array, Array]:
    """A prediction (probabilities for the loss that takes them) and targets."""
    generator = np.random.Generator(np.random.PCG64(20240301))
    prediction = generator.standard_normal(trial.shape)
    if trial.loss.kind == "cross_entropy":
        prediction = np.exp(prediction) / np.exp(prediction).sum(axis=-1, keepdims=True)
    indices = generator.integers(trial.shape[-1], size=trial.shape[:-1])
    target = {
        "indices": lambda: indices,
        "one-hot": lambda: np.eye(trial.shape[-1])[indices],
        "distributions": lambda: generator.dirichlet(np.ones(trial.shape[-1]), size=trial.shape[:-1]),
        "not adding up to 1": lambda: generator.uniform(0, 1, trial.shape),
        "real": lambda: generator.standard_normal(trial.shape),
    }[trial.targets]()
    arrays = prediction.astype(dtype), target.astype("int64" if trial.targets == "indices" else dtype)
    for array in arrays:
        array.setflags(write=False)
    return arrays


def by_hand(loss: Loss, prediction: Array, target: Array) -> tuple[Array, Array]:
    value, saved = loss.forward(prediction, target)
    return value, loss.backward(saved)


def by_torch(loss: Loss, prediction: Array, target: Array) -> tuple[Array, Array]:
    torch = pytest.importorskip("torch")
    from crosscheck.adapters.torch.parts import build_loss

    leaf = torch.tensor(prediction, requires_grad=True)
    value = build_loss(loss)(leaf, torch.tensor(target))
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach().numpy(), gradient.numpy()


def by_jax(loss: Loss, prediction: Array, target: Array) -> tuple[Array, Array]:
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    from crosscheck.adapters.jax.adapter import enable_x64
    from crosscheck.adapters.jax.parts import LOSSES

    function = LOSSES[loss.kind].apply
    with enable_x64(prediction.dtype == np.float64):
        x, t = jax.numpy.asarray(prediction), jax.numpy.asarray(target)
        value, gradient = jax.jit(jax.value_and_grad(lambda x: function(loss, x, t)))(x)
        return np.asarray(value), np.asarray(gradient)


Run = Callable[[Loss, Array, Array], tuple[Array, Array]]
FRAMEWORKS: dict[str, Run] = {"torch": by_torch, "jax": by_jax}
every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)


def assert_near(what: str, found: Array, expected: Array, allowed: float) -> None:
    """Equal shape and dtype, and every element within ``allowed`` of the largest magnitude."""
    assert found.dtype == expected.dtype, what
    assert found.shape == expected.shape, what
    apart = np.max(np.abs(found - expected))
    assert apart <= allowed * np.max(np.abs(expected)), f"{what}: {apart} apart\nby hand:\n{found}\nfor:\n{expected}"


# ------------------------------------------------------------------------------------------------ against frameworks


@pytest.mark.parametrize(
    ("trial", "dtype"),
    [
        pytest.param(trial, dtype, id=f"{name}-{dtype}")
        for name, trial in TRIALS.items()
        for dtype in ("float64", "float32")
        if dtype == "float64" or len(trial.shape) == 2
    ],
)
@every_framework
def test_value_and_gradient_are_the_frameworks(trial: Trial, framework: str, dtype: str) -> None:
    prediction, target = draw(trial, dtype)
    value, gradient = by_hand(trial.loss, prediction, target)
    expected, dprediction = FRAMEWORKS[framework](trial.loss, prediction, target)
    allowed = EPSILONS * float(np.finfo(dtype).eps)
    assert_near("loss", value, expected, allowed)
    assert_near("gradient", gradient, dprediction, allowed)


@every_framework
@pytest.mark.parametrize("targets", ["indices", "distributions"])
def test_large_logits_are_the_frameworks(framework: str, targets: Any) -> None:
    loss = cc.SoftmaxCrossEntropy(targets=targets)
    prediction, target = draw(Trial(loss, (N, C), targets), "float64")
    value, gradient = by_hand(loss, 1e4 * prediction, target)
    expected, dprediction = FRAMEWORKS[framework](loss, 1e4 * prediction, target)
    assert np.isfinite(value)
    assert_near("loss", value, expected, EPSILONS * 2.0**-52)
    assert_near("gradient", gradient, dprediction, EPSILONS * 2.0**-52)


# --------------------------------------------------------------------------------------- against central differences


@every_trial
def test_the_gradient_is_the_slope_of_the_loss(trial: Trial) -> None:
    prediction, target = draw(trial, "longdouble")
    _, gradient = by_hand(trial.loss, prediction, target)
    epsilon = np.finfo(np.longdouble).eps
    h = epsilon ** (np.longdouble(1) / 3)
    slopes = np.zeros_like(prediction)
    for place in np.ndindex(prediction.shape):
        nudge = np.zeros_like(prediction)
        nudge[place] = h
        above, below = (trial.loss.forward(prediction + sign * nudge, target)[0] for sign in (1, -1))
        slopes[place] = (above - below) / (2 * h)
    # Truncation and rounding are of the order of eps^(2/3); a probability of p has a third derivative of 2 / p^3.
    steepness = float(np.min(np.abs(prediction))) ** -2 if trial.loss.kind == "cross_entropy" else 1
    assert_near("gradient", gradient, slopes, 100 * steepness * float(epsilon) ** (2 / 3))


# --------------------------------------------------------------------------------------------- what the losses promise


def test_cross_entropy_of_the_articles_output() -> None:
    p, wanted = np.array([[0.29228018, 0.03001013, 0.67770969]]), np.array([[1.0, 0.0, 0.0]])
    value, gradient = by_hand(cc.CrossEntropy("sum"), p, wanted)
    assert value == -np.log(0.29228018)
    np.testing.assert_allclose(gradient, [[-1 / 0.29228018, 0, 0]], rtol=1e-15)


@pytest.mark.parametrize("loss", [cc.CrossEntropy, cc.SoftmaxCrossEntropy])
@pytest.mark.parametrize(
    ("rows", "factors"),
    [(1, {"sum": 1, "mean": 1, "mean_over_outputs": 3}), (4, {"sum": 1, "mean": 4, "mean_over_outputs": 12})],
    ids=["one row of three outputs", "four rows of three outputs"],
)
def test_a_reduction_divides_loss_and_gradient_alike(loss: Any, rows: int, factors: dict[str, int]) -> None:
    generator = np.random.Generator(np.random.PCG64(3))
    prediction, target = generator.dirichlet([1, 1, 1], rows), np.eye(3)[generator.integers(3, size=rows)]
    options = {"targets": "distributions"} if loss is cc.SoftmaxCrossEntropy else {}
    value, gradient = by_hand(loss("sum", **options), prediction, target)
    for reduction, factor in factors.items():
        reduced, scaled = by_hand(loss(reduction, **options), prediction, target)
        np.testing.assert_allclose(reduced, value / factor, rtol=1e-15)
        np.testing.assert_allclose(scaled, gradient / factor, rtol=1e-15)


def test_half_of_the_squared_error_has_the_error_as_its_gradient() -> None:
    y, target = np.array([[1.0, 2.0, 4.0], [0.0, 1.0, -3.0]]), np.array([[0.0, 4.0, 4.0], [1.0, 1.0, 2.0]])
    value, gradient = by_hand(cc.MeanSquaredError("half_sum"), y, target)
    assert value == (1 + 4 + 0 + 1 + 0 + 25) / 2
    assert gradient.tolist() == (y - target).tolist()
    assert by_hand(cc.MeanSquaredError("mean"), y, target)[0] == 31 / 6
    assert by_hand(cc.MeanSquaredError("sum"), y, target)[1].tolist() == (2 * (y - target)).tolist()


@pytest.mark.parametrize("reduction", ROW_REDUCTIONS)
def test_the_two_forms_of_a_target_are_one_loss(reduction: Any) -> None:
    z, indices = draw(TRIALS["softmax_cross_entropy-mean-indices-rows"], "float64")
    by_index = by_hand(cc.SoftmaxCrossEntropy(reduction, "indices"), z, indices)
    by_row = by_hand(cc.SoftmaxCrossEntropy(reduction, "distributions"), z, np.eye(C)[indices])
    for found, expected in zip(by_index, by_row, strict=True):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("targets", ["one-hot", "distributions", "not adding up to 1"])
def test_softmax_then_cross_entropy_is_the_fused_loss(targets: str) -> None:
    z, target = draw(Trial(cc.SoftmaxCrossEntropy("sum", "distributions"), (N, C), targets), "float64")
    p, saved = cc.Softmax().forward(z, {})
    value, dp = by_hand(cc.CrossEntropy("sum"), p, target)
    dz, _ = cc.Softmax().backward(dp, saved, {})
    fused, gradient = by_hand(cc.SoftmaxCrossEntropy("sum", "distributions"), z, target)
    np.testing.assert_allclose(value, fused, rtol=1e-14)
    np.testing.assert_allclose(dz, gradient, rtol=1e-12, atol=1e-14)


def test_without_knowledge_the_loss_is_the_logarithm_of_the_number_of_classes() -> None:
    value, gradient = by_hand(cc.SoftmaxCrossEntropy(), np.zeros((N, C)), np.arange(N) % C)
    np.testing.assert_allclose(value, np.log(C), rtol=1e-15)
    np.testing.assert_allclose(gradient, (1 / C - np.eye(C)[np.arange(N) % C]) / N, rtol=1e-14)


def test_a_probability_of_zero() -> None:
    with np.errstate(all="ignore"):
        wanted, _ = cc.CrossEntropy().forward(np.array([[0.0, 1.0]]), np.array([[1.0, 0.0]]))
        unwanted, _ = cc.CrossEntropy().forward(np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]]))
    assert wanted == np.inf
    assert np.isnan(unwanted)


# --------------------------------------------------------------------------------------------------------- the targets


@every_trial
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_a_loss_takes_the_targets_that_it_draws(trial: Trial, dtype: str) -> None:
    drawn = trial.loss.draw_target(np.random.Generator(np.random.PCG64(5)), trial.shape)
    assert drawn.shape == trial.loss.target_shape(trial.shape)
    trial.loss.check_target(drawn, trial.shape)
    assert (drawn.dtype.kind == "i") == trial.loss.integer_targets
    if trial.loss.kind != "mean_squared_error" and not trial.loss.integer_targets:
        assert np.all(drawn.astype(dtype).sum(axis=-1) == 1), "a distribution in every dtype"
        assert np.all(drawn >= 0)


@pytest.mark.parametrize("shape", [(1000, C), (2, 500, C)])
def test_no_class_is_preferred_where_targets_are_drawn(shape: tuple[int, ...]) -> None:
    generator = np.random.Generator(np.random.PCG64(20240304))
    drawn = cc.CrossEntropy().draw_target(generator, shape).reshape(-1, C)
    # The mean of 16,000 throws of a die of 5 has a standard deviation of 0.0032.
    np.testing.assert_allclose(drawn.mean(axis=0), 1 / C, atol=0.016)
    assert len(np.unique(drawn, axis=0)) > 100


REFUSED: dict[str, tuple[Loss, Array, tuple[int, ...], str]] = {
    "a column against numbers": (
        cc.MeanSquaredError(),
        np.zeros(N),
        (N, 1),
        "expected shape (7, 1); received shape (7,)",
    ),
    "numbers against a column": (
        cc.MeanSquaredError(),
        np.zeros((N, 1)),
        (N,),
        "expected shape (7,); received shape (7, 1)",
    ),
    "one row for all": (
        cc.MeanSquaredError(),
        np.zeros((1, C)),
        (N, C),
        "expected shape (7, 5); received shape (1, 5)",
    ),
    "indices for probabilities": (
        cc.CrossEntropy(),
        np.zeros(N),
        (N, C),
        "expected shape (7, 5); received shape (7,)",
    ),
    "a column of indices": (
        cc.SoftmaxCrossEntropy(),
        np.zeros((N, 1), int),
        (N, C),
        "expected shape (7,); received shape (7, 1)",
    ),
    "indices for distributions": (
        cc.SoftmaxCrossEntropy(targets="distributions"),
        np.zeros(N),
        (N, C),
        "expected shape (7, 5); received shape (7,)",
    ),
    "a class too many": (
        cc.SoftmaxCrossEntropy(),
        np.arange(N),
        (N, C),
        "expected class indices from 0 to 4; received indices from 0 to 6",
    ),
    "one class too many": (
        cc.SoftmaxCrossEntropy(),
        np.arange(N) % (C + 1),
        (N, C),
        "expected class indices from 0 to 4; received indices from 0 to 5",
    ),
    "one class too many in blocks of rows": (
        cc.SoftmaxCrossEntropy(),
        np.full((3, N), C),
        (3, N, C),
        "expected class indices from 0 to 4; received indices from 5 to 5",
    ),
    "a negative class": (
        cc.SoftmaxCrossEntropy(),
        np.arange(N) % C - 1,
        (N, C),
        "expected class indices from 0 to 4; received indices from -1 to 3",
    ),
    "probabilities without rows": (
        cc.CrossEntropy(),
        np.zeros(C),
        (C,),
        "prediction: expected a prediction of shape (..., N, C); received shape (5,)",
    ),
    "logits without rows": (
        cc.SoftmaxCrossEntropy(),
        np.zeros((), int),
        (C,),
        "prediction: expected a prediction of shape (..., N, C); received shape (5,)",
    ),
}


@pytest.mark.parametrize(("loss", "target", "prediction", "message"), REFUSED.values(), ids=REFUSED)
def test_targets_that_do_not_fit_are_refused(
    loss: Loss, target: Array, prediction: tuple[int, ...], message: str
) -> None:
    with pytest.raises(cc.CaseError) as caught:
        loss.check_target(target, prediction)
    assert str(caught.value) == message


# ------------------------------------------------------------------------------------------------- the suite, checked


def conventions(loss: type[Loss]) -> set[tuple[Any, ...]]:
    """Every combination of the conventions that a loss declares."""
    hints = get_type_hints(loss)
    return set(product(*(get_args(hints[field.name]) for field in fields(loss))))


def require_covered(losses: Iterable[type[Loss]]) -> None:
    """Complain of every loss, and of every combination of its conventions, that no trial is about."""
    for loss in losses:
        tried = {tuple(vars(trial.loss).values()) for trial in TRIALS.values() if type(trial.loss) is loss}
        assert conventions(loss) == tried, f"{loss.kind} without a trial: {sorted(conventions(loss) - tried)}"


def test_every_loss_in_every_convention_is_tried() -> None:
    require_covered(cc.LOSSES.values())


def test_a_loss_without_a_trial_is_complained_of() -> None:
    @dataclass(frozen=True)
    class Invented(cc.CrossEntropy):
        kind = "invented"

    with pytest.raises(AssertionError, match="invented without a trial"):
        require_covered([*cc.LOSSES.values(), Invented])


@dataclass(frozen=True)
class LogitsTakenForProbabilities(cc.CrossEntropy):
    """The gradient of the fused loss, given back for probabilities."""

    def backward(self, saved: tuple[Array, Array]) -> Array:
        p, target = saved
        return (p - target) / len(p)


@every_framework
def test_a_wrong_gradient_is_caught(framework: str) -> None:
    trial = Trial(LogitsTakenForProbabilities(), (N, C), "one-hot")
    prediction, target = draw(trial, "float32")
    _, gradient = by_hand(trial.loss, prediction, target)
    _, expected = FRAMEWORKS[framework](trial.loss, prediction, target)
    with pytest.raises(AssertionError, match="apart"):
        assert_near("gradient", gradient, expected, EPSILONS * 2.0**-23)
