"""Every loss in every reduction and form of target: its value and its gradient.

Held against automatic differentiation of PyTorch and JAX through the adapters' own tables, and, independently of both,
against central differences in long double.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.faults.conventions import convention_fields
from crosscheck.reference import Loss
from numpy.typing import NDArray

Array = NDArray[Any]

# How many epsilons of the largest element of a tensor the frameworks may be away.
EPSILONS = 16

# The batch is not 1 and equals no width; C is not 2, with which a mean over outputs could be half of a sum.
N, C = 7, 5
SHAPES = {"rows": (N, C), "blocks of rows": (3, N, C)}
ROW_REDUCTIONS = ("mean", "sum", "mean_over_outputs", "none")
WEIGHTS = (0.3, 2.0, 1.0, 0.7, 1.6)


@dataclass(frozen=True)
class Trial:
    """A loss, the shape of the prediction and how targets are drawn: by the loss itself, if nothing is said."""

    loss: Loss
    shape: tuple[int, ...]
    targets: str = "drawn"


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
    for reduction in ("mean", "sum", "half_sum", "none"):
        for rows, shape in {**SHAPES, "numbers": (N,)}.items():
            trial = Trial(cc.MeanSquaredError(reduction), shape, "real")
            found[f"mean_squared_error-{reduction}-{rows}"] = trial
    for number, loss in enumerate(others()):
        shape = tuple(SHAPES.values())[number % 2]
        found[f"{described(loss)}-{len(shape)}"] = Trial(loss, shape)
    for loss in (
        *(cc.SoftmaxCrossEntropy(label_smoothing=0.2, class_weights=WEIGHTS), cc.NegativeLogLikelihood()),
        *(cc.Huber(delta=0.3), cc.SmoothL1(beta=2.5), cc.MeanAbsoluteError()),
        *(cc.BinaryCrossEntropy(), cc.BinaryCrossEntropyWithLogits(pos_weight=(3.5,)), cc.KLDivergence("batchmean")),
        *(cc.PoissonNLL(full=True), cc.GaussianNLL(), cc.Hinge(), cc.SquaredHinge()),
        *(cc.CosineEmbedding(margin=0.25), cc.TripletMargin(margin=2.0)),
    ):
        found[f"{described(loss)}-one row"] = Trial(loss, (1, C))
    for loss in (cc.Huber("none"), cc.BinaryCrossEntropyWithLogits(), cc.PoissonNLL("sum"), cc.Hinge()):
        found[f"{described(loss)}-numbers"] = Trial(loss, (N,))
    return found


def others() -> Iterator[Loss]:
    """Losses in every combination of their conventions, and in some of their other fields."""
    weighted: dict[str, Any] = {"class_weights": WEIGHTS}
    classes: list[dict[str, Any]] = [
        {"class_weights": WEIGHTS, "ignore_index": 2},
        {"ignore_index": -1},
        {"class_weights": WEIGHTS},
    ]
    for place, (reduction, mean, rows) in enumerate(
        product(ROW_REDUCTIONS, ("weights", "rows"), ("left_out", "counted"))
    ):
        taken: dict[str, Any] = {"reduction": reduction, "weighted_mean": mean, "ignored_rows": rows}
        smoothing: dict[str, Any] = {"label_smoothing": 0.1} if place % 2 else {}
        yield cc.SoftmaxCrossEntropy(targets="distributions", **taken, **weighted, **smoothing)
        for options in classes:
            yield cc.SoftmaxCrossEntropy(**taken, **options, **smoothing)
            yield cc.NegativeLogLikelihood(**taken, **options)
    yield cc.SoftmaxCrossEntropy(label_smoothing=0.1)
    yield cc.SoftmaxCrossEntropy(targets="distributions", label_smoothing=1.0)
    yield cc.SoftmaxCrossEntropy("none", ignore_index=0)
    for loss, options in (
        *((cc.MeanAbsoluteError, {}), (cc.Huber, {"delta": 0.75}), (cc.Huber, {}), (cc.SmoothL1, {"beta": 0.75})),
        *((cc.SmoothL1, {}), (cc.BinaryCrossEntropy, {}), (cc.BinaryCrossEntropyWithLogits, {})),
        (cc.BinaryCrossEntropyWithLogits, {"pos_weight": WEIGHTS}),
        *((cc.KLDivergence, {}), (cc.PoissonNLL, {}), (cc.GaussianNLL, {"epsilon": 0.5}), (cc.GaussianNLL, {})),
        *((cc.Hinge, {}), (cc.SquaredHinge, {})),
        *((cc.CosineEmbedding, {}), (cc.CosineEmbedding, {"margin": -0.3})),
        *((cc.TripletMargin, {}), (cc.TripletMargin, {"epsilon": 0.25})),
    ):
        for values in product(*convention_fields(loss).values()):
            yield loss(**dict(zip(convention_fields(loss), values, strict=True)), **options)


def described(loss: Loss) -> str:
    """The kind of a loss and what it has other than by default."""
    plain = vars(type(loss)())
    return "-".join([loss.kind, *(str(value) for field, value in vars(loss).items() if value != plain[field])])


TRIALS = trials()
every_trial = pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)


def draw(trial: Trial, dtype: str) -> tuple[Array, ...]:
    """The predictions, such as the loss takes, and targets."""
    generator = np.random.Generator(np.random.PCG64(20240301))
    predictions = [taken(trial.loss, generator.standard_normal(trial.shape), p) for p in range(trial.loss.arity)]
    if trial.targets == "drawn":
        target = trial.loss.draw_target(generator, *(prediction.shape for prediction in predictions))
    else:
        indices = generator.integers(trial.shape[-1], size=trial.shape[:-1])
        target = {
            "indices": lambda: indices,
            "one-hot": lambda: np.eye(trial.shape[-1])[indices],
            "distributions": lambda: generator.dirichlet(np.ones(trial.shape[-1]), size=trial.shape[:-1]),
            "not adding up to 1": lambda: generator.uniform(0, 1, trial.shape),
            "real": lambda: generator.standard_normal(trial.shape),
        }[trial.targets]()
    target = target.astype("int64" if trial.loss.integer_targets else dtype)
    arrays = *(prediction.astype(dtype) for prediction in predictions), target
    for array in arrays:
        array.setflags(write=False)
    return arrays


def taken(loss: Any, z: Array, place: int) -> Array:
    """Numbers made to what the loss takes in a place: probabilities, their logarithms, rates, variances."""
    e = np.exp(z)
    if loss.kind == "cross_entropy":
        return e / e.sum(axis=-1, keepdims=True)
    if loss.kind in ("nll", "kl_div"):
        return z - np.log(e.sum(axis=-1, keepdims=True))
    if loss.kind == "binary_cross_entropy":
        return e / (1 + e)
    rate = loss.kind == "poisson_nll" and loss.predictions == "rates"
    variance = loss.kind == "gaussian_nll" and place == 1
    return e if rate or variance else z


def by_hand(loss: Loss, *arrays: Array) -> tuple[Array, ...]:
    """The loss and its gradient with respect to each prediction; the last of the arrays is the target."""
    value, saved = loss.forward(*arrays)
    gradients = loss.backward(saved)
    return value, *(gradients if isinstance(gradients, tuple) else (gradients,))


def by_torch(loss: Loss, *arrays: Array) -> tuple[Array, ...]:
    torch = pytest.importorskip("torch")
    from crosscheck.adapters.torch.parts import build_loss

    leaves = [torch.tensor(prediction, requires_grad=True) for prediction in arrays[:-1]]
    value = build_loss(loss)(*leaves, torch.tensor(arrays[-1]))
    gradients = torch.autograd.grad(value.sum(), leaves)
    return value.detach().numpy(), *(gradient.numpy() for gradient in gradients)


def by_jax(loss: Loss, *arrays: Array) -> tuple[Array, ...]:
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    from crosscheck.adapters.jax.adapter import enable_x64
    from crosscheck.adapters.jax.parts import LOSSES

    part = LOSSES[loss.kind]
    if reason := part.limits(loss):
        pytest.skip(reason)

    def summed(*given: Any) -> Any:
        value = part.apply(loss, *given)
        return value.sum(), value

    with enable_x64(arrays[0].dtype == np.float64):
        places = tuple(range(loss.arity))
        differentiate = jax.jit(jax.value_and_grad(summed, places, has_aux=True))
        (_, value), gradients = differentiate(*map(jax.numpy.asarray, arrays))
        return np.asarray(value), *map(np.asarray, gradients)


Run = Callable[..., tuple[Array, ...]]
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
    ("trial", "framework", "dtype"),
    [
        pytest.param(trial, framework, dtype, id=f"{name}-{framework}-{dtype}")
        for place, (name, trial) in enumerate(TRIALS.items())
        for framework in FRAMEWORKS
        for dtype in ("float64", "float32")
        # JAX compiles each: the conventions take turns there.
        if dtype == "float64" or len(trial.shape) == 2
        if framework == "torch" or place % 5 == (dtype == "float32")
    ],
)
def test_value_and_gradient_are_the_frameworks(trial: Trial, framework: str, dtype: str) -> None:
    arrays = draw(trial, dtype)
    require_alike(by_hand(trial.loss, *arrays), FRAMEWORKS[framework](trial.loss, *arrays), dtype)


def require_alike(found: tuple[Array, ...], expected: tuple[Array, ...], dtype: str) -> None:
    """The loss and its gradients, equal but for rounding."""
    assert len(found) == len(expected)
    for place, (ours, theirs) in enumerate(zip(found, expected, strict=True)):
        what = f"gradient {place}" if place else "loss"
        assert_near(what, np.asarray(ours), theirs, EPSILONS * float(np.finfo(dtype).eps))


LARGE: dict[str, Loss] = {
    "indices": cc.SoftmaxCrossEntropy(),
    "distributions": cc.SoftmaxCrossEntropy(targets="distributions"),
    "smoothed, weighted, some ignored": cc.SoftmaxCrossEntropy(
        label_smoothing=0.1, class_weights=WEIGHTS, ignore_index=2
    ),
    "yes or no": cc.BinaryCrossEntropyWithLogits(),
    "yes or no, weighted": cc.BinaryCrossEntropyWithLogits("none", pos_weight=WEIGHTS),
    "nll": cc.NegativeLogLikelihood(),
    "kl_div": cc.KLDivergence("batchmean"),
    "huber": cc.Huber("sum", delta=0.5),
    "smooth_l1": cc.SmoothL1("sum", beta=0.5),
    "mean_absolute_error": cc.MeanAbsoluteError(),
    "hinge": cc.Hinge("sum"),
    "squared_hinge": cc.SquaredHinge(),
    "gaussian_nll": cc.GaussianNLL(),
    "cosine_embedding": cc.CosineEmbedding(),
    "triplet_margin": cc.TripletMargin(),
}


@every_framework
@pytest.mark.parametrize("loss", LARGE.values(), ids=LARGE)
def test_large_predictions_are_the_frameworks(framework: str, loss: Loss) -> None:
    *predictions, target = draw(Trial(loss, (N, C)), "float64")
    arrays = *(1e4 * prediction for prediction in predictions), target
    found = by_hand(loss, *arrays)
    assert all(np.isfinite(array).all() for array in found)
    require_alike(found, FRAMEWORKS[framework](loss, *arrays), "float64")


TINY = float(np.finfo("float64").smallest_subnormal)
SMALL: dict[str, tuple[Loss, tuple[float, ...], float]] = {
    "error of 0": (cc.Huber("none"), (0.0,), 0.0),
    "logit of 0": (cc.BinaryCrossEntropyWithLogits("none"), (0.0,), 0.0),
    "subnormal logit": (cc.BinaryCrossEntropyWithLogits("none", pos_weight=(2.0,)), (-TINY,), 1.0),
    "logarithm of a rate of 1": (cc.PoissonNLL("none", full=True), (0.0,), 1.0),
    "no count": (cc.PoissonNLL("none", "rates", full=True), (0.5,), 0.0),
    "variance of 0": (cc.GaussianNLL("none"), (1.0, 0.0), 0.5),
    "subnormal variance": (cc.GaussianNLL("none", epsilon=0.25), (1.0, TINY), 0.5),
    "target of 0": (cc.KLDivergence("none"), (-1.5,), 0.0),
}


@every_framework
@pytest.mark.parametrize(("loss", "predictions", "target"), SMALL.values(), ids=SMALL)
def test_at_zero_and_beside_it(framework: str, loss: Loss, predictions: tuple[float, ...], target: float) -> None:
    arrays = [np.full((2, 1), value) for value in (*predictions, target)]
    require_alike(by_hand(loss, *arrays), FRAMEWORKS[framework](loss, *arrays), "float64")


@pytest.mark.parametrize("loss", [cc.Huber("none"), cc.SmoothL1("none"), cc.MeanAbsoluteError("none")])
def test_a_subnormal_error_is_one(loss: Loss) -> None:
    """To torch; JAX takes subnormal numbers for 0."""
    arrays = [np.full((2, 1), value) for value in (TINY, 0.0)]
    found = by_hand(loss, *arrays)
    assert np.all(found[1] != 0)
    require_alike(found, by_torch(loss, *arrays), "float64")


@dataclass(frozen=True)
class Kink:
    """A place at which a loss has no derivative, and the gradients with a slope of 1 there."""

    loss: Any
    field: str
    predictions: tuple[Any, ...]
    target: Any
    gradients: tuple[Any, ...]


KINKS: dict[str, Kink] = {
    "mean_absolute_error": Kink(
        cc.MeanAbsoluteError("sum"), "slope_at_zero", ([[0.5, 1.5]],), [[0.5, 1.5]], ([[1, 1]],)
    ),
    "hinge": Kink(cc.Hinge("sum"), "slope_at_margin", ([[1.0, -1.0]],), [[1.0, -1.0]], ([[-1, 1]],)),
    "cosine_embedding": Kink(
        cc.CosineEmbedding("sum"), "slope_at_margin", ([[1.0, 0.0]], [[0.0, 1.0]]), [-1.0], ([[0, 1]], [[1, 0]])
    ),
    "triplet_margin": Kink(
        cc.TripletMargin("sum", epsilon=0),
        "slope_at_margin",
        ([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 6.0]]),
        [],
        ([[-0.6, 0.2]], [[0.6, 0.8]], [[0, -1]]),
    ),
    "triplet_margin under the root": Kink(
        cc.TripletMargin("sum", "root", epsilon=0),
        "slope_at_margin",
        ([[0.0, 0.0]], [[3.0, 4.0]], [[0.0, 6.0]]),
        [],
        ([[-0.6, 0.2]], [[0.6, 0.8]], [[0, -1]]),
    ),
}


@every_framework
@pytest.mark.parametrize(
    ("kink", "slope"),
    [
        pytest.param(kink, slope, id=f"{name}-{slope}")
        for name, kink in KINKS.items()
        for slope in convention_fields(type(kink.loss))[kink.field]
    ],
)
def test_the_gradient_at_a_kink_is_what_was_chosen(framework: str, kink: Kink, slope: str) -> None:
    loss = replace(kink.loss, **{kink.field: slope})
    arrays = [np.array(array, float) for array in (*kink.predictions, kink.target)]
    _, *gradients = found = by_hand(loss, *arrays)
    for gradient, of_one in zip(gradients, kink.gradients, strict=True):
        expected = {"zero": 0, "half": 0.5, "one": 1}[slope] * np.array(of_one)
        np.testing.assert_allclose(gradient, expected, rtol=1e-11, atol=1e-11)
    require_alike(found, FRAMEWORKS[framework](loss, *arrays), "float64")


# --------------------------------------------------------------------------------------- against central differences

STEEP = {"cross_entropy", "binary_cross_entropy", "poisson_nll", "gaussian_nll"}
"""Losses with a logarithm of the prediction or a division by it, whose third derivative is large near 0 or 1."""


@every_trial
def test_the_gradient_is_the_slope_of_the_loss(trial: Trial) -> None:
    *predictions, target = draw(trial, "longdouble")
    _, *gradients = by_hand(trial.loss, *predictions, target)
    epsilon = np.finfo(np.longdouble).eps
    h = epsilon ** (np.longdouble(1) / 3)
    for number, (prediction, gradient) in enumerate(zip(predictions, gradients, strict=True)):
        if trial.loss.kind == "gaussian_nll" and number == 1:
            prediction = np.maximum(prediction, trial.loss.epsilon + 2 * h)  # type: ignore[attr-defined]
            predictions[number] = prediction
            gradient = by_hand(trial.loss, *predictions, target)[2]
        slopes = np.zeros_like(prediction)
        for place in np.ndindex(prediction.shape):
            nudge = np.zeros_like(prediction)
            nudge[place] = h
            above, below = (
                trial.loss.forward(*predictions[:number], moved, *predictions[number + 1 :], target)[0].sum()
                for moved in (prediction + nudge, prediction - nudge)
            )
            slopes[place] = (above - below) / (2 * h)
        # Truncation and rounding are of the order of eps^(2/3); a probability of p has a third derivative of 2 / p^3.
        nearest = float(np.min(np.minimum(np.abs(prediction), np.abs(1 - prediction))))
        steepness = nearest**-2 if trial.loss.kind in STEEP else 1
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


def test_what_a_weighted_mean_divides_by() -> None:
    """By the weights of the targets, 1 + 3, or by the rows."""
    z, target = np.array([[1.0, 2.0, 3.0]] * 2), np.array([0, 1])
    by_weights = cc.SoftmaxCrossEntropy(class_weights=(1.0, 3.0, 2.0))
    by_rows = cc.SoftmaxCrossEntropy(class_weights=(1.0, 3.0, 2.0), weighted_mean="rows")
    values = [by_hand(loss, z, target)[0] for loss in (by_weights, by_rows)]
    np.testing.assert_allclose(values, [1.658, 3.315], atol=5e-4)


def test_whether_ignored_rows_count() -> None:
    z, target = np.array([[1.0, 2.0, 3.0]] * 2), np.array([0, -100])
    left_out = cc.SoftmaxCrossEntropy(ignore_index=-100)
    counted = cc.SoftmaxCrossEntropy(ignore_index=-100, ignored_rows="counted")
    values = [by_hand(loss, z, target)[0] for loss in (left_out, counted)]
    np.testing.assert_allclose(values, [2.408, 1.204], atol=5e-4)


@every_framework
@pytest.mark.parametrize("kind", [cc.SoftmaxCrossEntropy, cc.NegativeLogLikelihood])
def test_a_mean_of_nothing_is_nan(framework: str, kind: Any) -> None:
    z, target = np.array([[1.0, 2.0, 3.0]] * 2), np.array([-100, -100])
    with np.errstate(invalid="ignore"):
        assert np.isnan(by_hand(kind(ignore_index=-100), z, target)[0])
    assert np.isnan(FRAMEWORKS[framework](kind(ignore_index=-100), z, target)[0])
    for loss in (kind("sum", ignore_index=-100), kind(ignore_index=-100, ignored_rows="counted")):
        value, gradient = by_hand(loss, z, target)
        assert value == 0
        assert not gradient.any()
        assert FRAMEWORKS[framework](loss, z, target)[0] == 0


def test_an_ignored_row_may_hold_anything() -> None:
    log_p, target = np.array([[-np.inf, 0.0], [-0.5, -1.5]]), np.array([-1, 1])
    value, gradient = by_hand(cc.NegativeLogLikelihood(ignore_index=-1), log_p, target)
    assert value == 1.5
    assert gradient.tolist() == [[0, 0], [0, -1]]


def test_smoothed_labels_are_mixed_with_all_classes() -> None:
    z, indices = draw(TRIALS["softmax_cross_entropy-mean-indices-rows"], "float64")
    smoothed = by_hand(cc.SoftmaxCrossEntropy(label_smoothing=0.25), z, indices)
    by_row = by_hand(cc.SoftmaxCrossEntropy(targets="distributions"), z, 0.75 * np.eye(C)[indices] + 0.25 / C)
    for found, expected in zip(smoothed, by_row, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-14)


def test_a_log_softmax_and_its_likelihood_are_the_fused_loss() -> None:
    z, indices = draw(TRIALS["softmax_cross_entropy-mean-indices-rows"], "float64")
    log_p = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    options: dict[str, Any] = {"class_weights": WEIGHTS, "ignore_index": 2}
    value, dlog_p = by_hand(cc.NegativeLogLikelihood(**options), log_p, indices)
    fused, dz = by_hand(cc.SoftmaxCrossEntropy(**options), z, indices)
    np.testing.assert_allclose(value, fused, rtol=1e-14)
    through = dlog_p - np.exp(log_p) * dlog_p.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(through, dz, rtol=1e-12, atol=1e-15)


def test_what_happens_to_a_probability_of_0_that_was_wanted_otherwise() -> None:
    p, target = np.array([0.0, 1.0]), np.array([1.0, 0.0])
    floored, gradient = quiet(p, target, "floored")
    assert floored == 100
    np.testing.assert_allclose(gradient, [-5e11, 5e11])
    clipped, gradient = quiet(p, target, "clipped")
    np.testing.assert_allclose(clipped, -np.log(1e-7), rtol=1e-8)
    assert gradient.tolist() == [0, 0]
    unbounded, gradient = quiet(p, target, "unbounded")
    assert unbounded == np.inf
    assert gradient.tolist() == [-np.inf, np.inf]


def quiet(p: Array, target: Array, extremes: Any) -> tuple[Array, ...]:
    """Binary cross-entropy and its gradient, without a warning of a logarithm of 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return by_hand(cc.BinaryCrossEntropy(extremes=extremes), p, target)


@pytest.mark.parametrize("extremes", ["floored", "clipped"])
def test_torch_has_the_same_at_the_extremes(extremes: Any) -> None:
    p, target = np.array([0.0, 1.0, 1e-20, 1e-13, 0.5]), np.array([1.0, 0.0, 1.0, 0.25, 0.0])
    found = quiet(p, target, extremes)
    require_alike(found, by_torch(cc.BinaryCrossEntropy(extremes=extremes), p, target), "float64")


def test_smooth_l1_is_hubers_over_its_width() -> None:
    y, target = np.array([2.0]), np.zeros(1)
    assert by_hand(cc.Huber(delta=0.5), y, target)[0] == 0.875
    assert by_hand(cc.SmoothL1(beta=0.5), y, target)[0] == 1.75


@pytest.mark.parametrize("width", [0.1, 0.3, 1.9])
def test_at_its_width_smooth_l1_is_the_line_already(width: float) -> None:
    value, gradient = by_hand(cc.SmoothL1("sum", beta=width), np.array([-width, width]), np.zeros(2))
    assert value == width / 2 + width / 2
    assert gradient.tolist() == [-1, 1]


@pytest.mark.parametrize("loss", [cc.Huber("none", delta=300.0), cc.SmoothL1("none", beta=300.0)])
def test_half_of_a_square_is_there_where_the_square_is_too_large_for_the_dtype(loss: Loss) -> None:
    arrays = np.array([280.0, -280.0], "float16"), np.zeros(2, "float16")
    require_alike(by_hand(loss, *arrays), by_torch(loss, *arrays), "float16")
    assert np.isfinite(by_hand(loss, *arrays)[0]).all()


@pytest.mark.parametrize("loss", [cc.Huber("none"), cc.SmoothL1("none")])
def test_the_gradient_of_an_error_that_is_nan_is_nan(loss: Loss) -> None:
    arrays = np.array([np.nan, 0.5, 2.0]), np.zeros(3)
    for found, expected in zip(by_hand(loss, *arrays), by_torch(loss, *arrays), strict=True):
        np.testing.assert_array_equal(found, expected)
        assert np.isnan(found).tolist() == [True, False, False]


def test_the_mean_of_a_divergence_is_not_that_of_its_rows() -> None:
    log_q, target = np.log(np.array([[0.25, 0.75], [0.5, 0.5]])), np.array([[0.5, 0.5], [0.125, 0.875]])
    by_rows, by_elements = (by_hand(cc.KLDivergence(reduction), log_q, target) for reduction in ("batchmean", "mean"))
    rows = [0.5 * np.log(2) + 0.5 * np.log(2 / 3), 0.125 * np.log(0.25) + 0.875 * np.log(1.75)]
    np.testing.assert_allclose(by_rows[0], np.mean(rows), rtol=1e-14)
    for found, expected in zip(by_elements, by_rows, strict=True):
        np.testing.assert_allclose(found, expected / 2, rtol=1e-14)


@every_trial
def test_without_a_reduction_the_losses_are_those_of_the_sum(trial: Trial) -> None:
    arrays = draw(trial, "float64")
    losses, *gradients = by_hand(replace(trial.loss, reduction="none"), *arrays)  # type: ignore[type-var, call-arg]
    total, *expected = by_hand(replace(trial.loss, reduction="sum"), *arrays)  # type: ignore[type-var, call-arg]
    assert losses.shape in (trial.shape, trial.shape[:-1])
    np.testing.assert_allclose(losses.sum(), total, rtol=1e-13)
    for found, of_sum in zip(gradients, expected, strict=True):
        np.testing.assert_array_equal(found, of_sum)


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
    shapes = [trial.shape] * trial.loss.arity
    drawn = trial.loss.draw_target(np.random.Generator(np.random.PCG64(5)), *shapes)
    assert drawn.shape == trial.loss.target_shape(*shapes)
    trial.loss.check_target(drawn, *shapes)
    assert (drawn.dtype.kind == "i") == trial.loss.integer_targets
    distributions = getattr(trial.loss, "targets", "") in ("distributions", "probabilities")
    if trial.loss.kind == "cross_entropy" or distributions:
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
    "a class beside the ignored one": (
        cc.NegativeLogLikelihood(ignore_index=-1),
        np.arange(N) - 1,
        (N, C),
        "expected class indices from 0 to 4, or -1; received indices from 0 to 5",
    ),
    "too few weights": (
        cc.SoftmaxCrossEntropy(class_weights=(1.0, 2.0)),
        np.zeros(N, int),
        (N, C),
        "class_weights: expected no weight, or 5, one for each class; received 2",
    ),
    "too many weights": (
        cc.BinaryCrossEntropyWithLogits(pos_weight=(1.0, 2.0)),
        np.zeros((N, C)),
        (N, C),
        "pos_weight: expected no weight, 1 or 5, one for each output; received 2",
    ),
    "a yes of 2": (
        cc.BinaryCrossEntropy(),
        np.full((N, C), 2.0),
        (N, C),
        "expected targets from 0 to 1; received targets from 2.0 to 2.0",
    ),
    "a yes below 0": (
        cc.BinaryCrossEntropy(),
        np.array([0.5, -0.25, 1.0]),
        (3,),
        "expected targets from 0 to 1; received targets from -0.25 to 1.0",
    ),
    "a yes above 1": (
        cc.BinaryCrossEntropy(),
        np.array([0.5, 1.25, 0.0]),
        (3,),
        "expected targets from 0 to 1; received targets from 0.0 to 1.25",
    ),
    "labels of which the first that is none is told": (
        cc.Hinge(),
        np.array([1.0, 0.5, 2.0, -1.0, 0.0]),
        (5,),
        "expected targets of -1 or 1; received 0.5",
    ),
    "labels of another shape": (cc.Hinge(), np.ones(N), (N, C), "expected shape (7, 5); received shape (7,)"),
    "probabilities of another shape": (
        cc.KLDivergence(),
        np.ones(N),
        (N, C),
        "expected shape (7, 5); received shape (7,)",
    ),
    "counts of another shape": (cc.PoissonNLL(), np.ones(N), (N, C), "expected shape (7, 5); received shape (7,)"),
    "counts of which one is negative": (
        cc.PoissonNLL(),
        np.array([[0.0, -0.5, 1.5]]),
        (1, 3),
        "expected counts, of at least 0; received -0.5",
    ),
    "probabilities of which one is negative": (
        cc.KLDivergence(),
        np.array([[0.0, -0.5, 1.5]]),
        (1, 3),
        "expected probabilities, of at least 0; received -0.5",
    ),
    "a label of 0": (
        cc.Hinge(),
        np.zeros((N, C)),
        (N, C),
        "expected targets of -1 or 1; received 0.0",
    ),
    "half a count below 0": (
        cc.PoissonNLL(),
        np.full((N, C), -0.5),
        (N, C),
        "expected counts, of at least 0; received -0.5",
    ),
    "a negative probability": (
        cc.KLDivergence(),
        np.full((N, C), -0.5),
        (N, C),
        "expected probabilities, of at least 0; received -0.5",
    ),
    "one prediction of two": (
        cc.GaussianNLL(),
        np.zeros((N, C)),
        (N, C),
        "prediction: expected 2 predictions; received 1",
    ),
}


@pytest.mark.parametrize(("loss", "target", "prediction", "message"), REFUSED.values(), ids=REFUSED)
def test_targets_that_do_not_fit_are_refused(
    loss: Loss, target: Array, prediction: tuple[int, ...], message: str
) -> None:
    with pytest.raises(cc.CaseError) as caught:
        loss.check_target(target, prediction)
    assert str(caught.value) == message


def test_as_many_predictions_as_a_loss_takes() -> None:
    with pytest.raises(cc.CaseError, match="prediction: expected 1 prediction; received 2"):
        cc.MeanSquaredError().check_target(np.zeros((N, C)), (N, C), (N, C))


def test_a_quarter_of_the_rows_is_drawn_to_be_ignored_but_never_the_first() -> None:
    generator = np.random.Generator(np.random.PCG64(9))
    drawn = cc.SoftmaxCrossEntropy(ignore_index=-100).draw_target(generator, (500, N, C))
    assert (drawn[..., 0] != -100).all()
    assert abs((drawn[..., 1:] == -100).mean() - 0.25) < 0.03
    assert set(drawn.ravel()) == {-100, *range(C)}


def test_there_is_a_weight_for_every_class() -> None:
    with pytest.raises(cc.CaseError) as caught:
        cc.SoftmaxCrossEntropy(class_weights=(1.0, 2.0)).target_shape((2, N, C))
    assert str(caught.value) == "class_weights: expected no weight, or 5, one for each class; received 2"


def test_two_rows_may_be_alike_or_not_and_nothing_else() -> None:
    loss = cc.CosineEmbedding()
    for target, message in (
        (np.array([1.0, 0.5]), "expected targets of -1 or 1; received 0.5"),
        (np.ones(3), "expected shape (2,); received shape (3,)"),
    ):
        with pytest.raises(cc.CaseError) as caught:
            loss.check_target(target, (2, C), (2, C))
        assert str(caught.value) == message
    with pytest.raises(cc.CaseError, match="prediction: expected a prediction of shape"):
        loss.target_shape((C,), (C,))
    assert [cc.CosineEmbedding(margin=end).margin for end in (-1.0, 1.0)] == [-1, 1]


def test_a_triplet_has_no_target_and_rows_of_features() -> None:
    assert cc.TripletMargin().target_shape((N, C), (N, C), (N, C)) == (0,)
    assert cc.TripletMargin(epsilon=0.0).epsilon == 0


def test_counts_are_drawn_with_their_mean() -> None:
    drawn = cc.PoissonNLL().draw_target(np.random.Generator(np.random.PCG64(13)), (10_000,))
    assert (drawn == np.floor(drawn)).all()
    assert {0, 1, 2, 3} < set(drawn)
    assert abs(drawn.mean() - 2) < 0.1


def test_logarithms_of_probabilities_are_drawn() -> None:
    drawn = cc.KLDivergence(targets="logarithms").draw_target(np.random.Generator(np.random.PCG64(14)), (2, 4, 3))
    np.testing.assert_allclose(np.exp(drawn).sum(axis=-1), 1, rtol=1e-14)
    assert len(np.unique(drawn)) == drawn.size


def test_a_probability_of_a_target_may_be_0() -> None:
    cc.KLDivergence().check_target(np.array([[0.0, 1.0]]), (1, 2))


def test_a_divergence_is_of_rows() -> None:
    with pytest.raises(cc.CaseError, match="prediction: expected a prediction of shape"):
        cc.KLDivergence().target_shape((C,))


def test_a_weight_of_a_yes_for_every_output() -> None:
    assert cc.BinaryCrossEntropyWithLogits(pos_weight=(2.0,)).target_shape(()) == ()
    with pytest.raises(cc.CaseError) as caught:
        cc.BinaryCrossEntropyWithLogits(pos_weight=(2.0, 3.0)).target_shape(())
    assert str(caught.value) == "pos_weight: expected no weight, 1 or 1, one for each output; received 2"


def test_probabilities_of_a_yes_are_drawn_in_eighths_and_most_are_certain() -> None:
    drawn = cc.BinaryCrossEntropy().draw_target(np.random.Generator(np.random.PCG64(10)), (20_000,))
    assert sorted(set(drawn)) == [eighth / 8 for eighth in range(9)]
    # Two of three are certain, and of the others two of nine; a standard deviation is below 0.004.
    assert abs(np.isin(drawn, (0, 1)).mean() - (2 / 3 + 1 / 3 * 2 / 9)) < 0.015
    assert abs(drawn.mean() - (2 / 3 * 4 / 9 + 1 / 3 * 1 / 2)) < 0.015


def test_one_class_is_enough_for_a_cross_entropy() -> None:
    for kind in (cc.SoftmaxCrossEntropy, cc.NegativeLogLikelihood):
        loss, saved = kind(ignore_index=-1).forward(np.zeros((3, 1)), np.array([0, -1, 0]))
        assert loss == 0
        assert kind(ignore_index=-1).backward(saved).shape == (3, 1)
    loss, saved = cc.CrossEntropy("mean").forward(np.array([[0.5], [0.25]]), np.ones((2, 1)))
    np.testing.assert_allclose(loss, 1.5 * np.log(2), rtol=1e-15)
    np.testing.assert_array_equal(cc.CrossEntropy("mean").backward(saved), [[-1], [-2]])


def test_labels_are_drawn_of_both_signs() -> None:
    drawn = cc.Hinge().draw_target(np.random.Generator(np.random.PCG64(6)), (1000, 1))
    assert set(drawn.ravel()) == {-1, 1}
    assert abs(drawn.mean()) < 0.1


def test_predictions_of_different_shapes_are_refused() -> None:
    with pytest.raises(cc.CaseError) as caught:
        cc.TripletMargin().check_target(np.zeros(0), (N, C), (N, C), (N, 1))
    expected = "expected predictions of one shape; received shapes (7, 5), (7, 5), (7, 1)"
    assert str(caught.value) == f"prediction: {expected}"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cc.Huber(delta=0.0), "delta: expected a number above 0; received 0.0"),
        (lambda: cc.SmoothL1(beta=-1.0), "beta: expected a number above 0; received -1.0"),
        (lambda: cc.GaussianNLL(epsilon=0.0), "epsilon: expected a number above 0; received 0.0"),
        (lambda: cc.PoissonNLL(epsilon=-1.0), "epsilon: expected a number of at least 0; received -1.0"),
        (lambda: cc.TripletMargin(epsilon=-5e-324), "epsilon: expected a number of at least 0; received -5e-324"),
        (lambda: cc.CosineEmbedding(margin=-1.5), "margin: expected a number from -1 to 1; received -1.5"),
        (
            lambda: cc.SoftmaxCrossEntropy(label_smoothing=-5e-324),
            "label_smoothing: expected a number from 0 to 1; received -5e-324",
        ),
        (lambda: cc.TripletMargin(margin=0.0), "margin: expected a number above 0; received 0.0"),
        (lambda: cc.CosineEmbedding(margin=1.5), "margin: expected a number from -1 to 1; received 1.5"),
        (
            lambda: cc.SoftmaxCrossEntropy(label_smoothing=1.5),
            "label_smoothing: expected a number from 0 to 1; received 1.5",
        ),
        (
            lambda: cc.SoftmaxCrossEntropy(targets="distributions", ignore_index=0),
            "targets: expected targets of indices, of which one can be ignored; received 'distributions'",
        ),
    ],
)
def test_what_a_loss_cannot_be_is_refused(make: Callable[[], Loss], message: str) -> None:
    with pytest.raises(cc.CaseError) as caught:
        make()
    assert str(caught.value) == message


# ------------------------------------------------------------------------------------------------- the suite, checked


def conventions(loss: type[Loss]) -> set[tuple[Any, ...]]:
    """Every combination of the conventions that a loss declares."""
    return set(product(*convention_fields(loss).values()))


def require_covered(losses: Iterable[type[Loss]]) -> None:
    """Complain of every loss, and of every combination of its conventions, that no trial is about."""
    for loss in losses:
        names = convention_fields(loss)
        tried = {
            tuple(getattr(trial.loss, name) for name in names) for trial in TRIALS.values() if type(trial.loss) is loss
        }
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
