"""Losses in JAX and optax."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax

from ....reference import losses
from ....reference.losses.pairs import EPSILON
from .base import LossPart, Tensor

HINGES: dict[str, Callable[[Tensor], Tensor]] = {
    "zero": jax.nn.relu,
    "half": lambda x: jnp.maximum(x, 0),
    "one": lambda x: jnp.where(x >= 0, x, 0),
}
"""``max(x, 0)`` in the forms that differ in their derivative at 0."""


def reduced(values: Tensor, reduction: str, outputs: int = 1) -> Tensor:
    """The losses of elements or rows, reduced."""
    if reduction == "none":
        return values
    if reduction == "sum":
        return jnp.sum(values)
    return jnp.mean(values) if reduction == "mean" else jnp.sum(values) / (values.size * outputs)


def cross_entropy(loss: losses.CrossEntropy, p: Tensor, target: Tensor) -> Tensor:
    """Composed: JAX and optax have it for logits only."""
    return reduced(-jnp.sum(target * jnp.log(p), axis=-1), loss.reduction, p.shape[-1])


def over_classes(
    loss: losses.SoftmaxCrossEntropy | losses.NegativeLogLikelihood,
    rows: Tensor,
    kept: Tensor,
    mass: Tensor,
    classes: int,
) -> Tensor:
    """The losses of rows, reduced; which of them are kept, and what the target of each weighs."""
    rows = jnp.where(kept, rows, 0)
    if loss.reduction == "none":
        return rows
    if loss.reduction == "sum":
        return jnp.sum(rows)
    count = jnp.sum(kept) if loss.ignored_rows == "left_out" else rows.size
    if loss.class_weights and loss.weighted_mean == "weights":
        count = jnp.sum(jnp.where(kept, mass, 0))
    return jnp.sum(rows) / (count * (classes if loss.reduction == "mean_over_outputs" else 1))


def softmax_cross_entropy(loss: losses.SoftmaxCrossEntropy, z: Tensor, target: Tensor) -> Tensor:
    classes = z.shape[-1]
    weights = jnp.asarray(loss.class_weights or [1.0] * classes, z.dtype)
    kept = jnp.ones(z.shape[:-1], bool)
    if loss.targets == "indices":
        kept = kept if loss.ignore_index is None else target != loss.ignore_index
        target = jnp.where(kept, target, 0)
        if not loss.class_weights and not loss.label_smoothing:
            rows = optax.losses.softmax_cross_entropy_with_integer_labels(z, target)
            return over_classes(loss, rows, kept, jnp.ones_like(rows), classes)
        target = jax.nn.one_hot(target, classes, dtype=z.dtype)
    labels = optax.losses.smooth_labels(target, loss.label_smoothing) if loss.label_smoothing else target
    rows = optax.losses.softmax_cross_entropy(z, labels * weights if loss.class_weights else labels)
    return over_classes(loss, rows, kept, jnp.sum(target * weights, axis=-1), classes)


def negative_log_likelihood(loss: losses.NegativeLogLikelihood, log_p: Tensor, target: Tensor) -> Tensor:
    """Composed."""
    classes = log_p.shape[-1]
    kept = jnp.ones(target.shape, bool) if loss.ignore_index is None else target != loss.ignore_index
    index = jnp.where(kept, target, 0)
    mass = jnp.asarray(loss.class_weights or [1.0] * classes, log_p.dtype)[index]
    rows = -mass * jnp.take_along_axis(log_p, index[..., None], axis=-1)[..., 0]
    return over_classes(loss, rows, kept, mass, classes)


def mean_squared_error(loss: losses.MeanSquaredError, y: Tensor, target: Tensor) -> Tensor:
    if loss.reduction == "half_sum":
        return jnp.sum(optax.losses.l2_loss(y, target))
    return reduced(optax.losses.squared_error(y, target), loss.reduction)


def mean_absolute_error(loss: losses.MeanAbsoluteError, y: Tensor, target: Tensor) -> Tensor:
    """Composed: the slope of jax.numpy.abs at 0 is 1, that of a maximum of both signs is 0."""
    error = y - target
    size = jnp.abs(error) if loss.slope_at_zero == "one" else jnp.maximum(error, -error)
    return reduced(size, loss.reduction)


def huber(loss: losses.Huber, y: Tensor, target: Tensor) -> Tensor:
    """Composed: optax.losses.huber_loss has ``delta + (error - delta)`` for the gradient of a small error.

    What is small beside delta is lost in it: hundreds of sigma on ordinary data.
    """
    size = jnp.abs(y - target)
    values = jnp.where(size <= loss.delta, size**2 / 2, loss.delta * (size - loss.delta / 2))
    return reduced(values, loss.reduction)


def smooth_l1(loss: losses.SmoothL1, y: Tensor, target: Tensor) -> Tensor:
    """Composed."""
    size = jnp.abs(y - target)
    values = jnp.where(size < loss.beta, size**2 / 2 / loss.beta, size - loss.beta / 2)
    return reduced(values, loss.reduction)


def binary_cross_entropy(loss: losses.BinaryCrossEntropy, p: Tensor, target: Tensor) -> Tensor:
    """Composed: JAX and optax have it for logits only."""
    p = jnp.clip(p, 1e-7, 1 - 1e-7) if loss.extremes == "clipped" else p
    return reduced(-(target * jnp.log(p) + (1 - target) * jnp.log(1 - p)), loss.reduction)


def binary_cross_entropy_limits(loss: losses.BinaryCrossEntropy) -> str:
    floored = loss.extremes == "floored"
    return "JAX has no gradient of a floored logarithm that is not 0; see extremes" if floored else ""


def binary_cross_entropy_with_logits(loss: losses.BinaryCrossEntropyWithLogits, z: Tensor, target: Tensor) -> Tensor:
    """optax's; with pos_weight composed, as it has none."""
    if not loss.pos_weight:
        return reduced(optax.losses.sigmoid_binary_cross_entropy(z, target), loss.reduction)
    weight = jnp.asarray(loss.pos_weight, z.dtype)
    values = -(weight * target * jax.nn.log_sigmoid(z) + (1 - target) * jax.nn.log_sigmoid(-z))
    return reduced(values, loss.reduction)


def kl_div(loss: losses.KLDivergence, log_q: Tensor, target: Tensor) -> Tensor:
    """Optax's adds up an axis, here the whole of it; an axis of one element leaves the elements alone."""
    of = optax.losses.kl_divergence_with_log_targets if loss.targets == "logarithms" else optax.losses.kl_divergence
    values = of(log_q[..., None], target[..., None])
    return jnp.sum(values) / len(log_q) if loss.reduction == "batchmean" else reduced(values, loss.reduction)


def poisson_nll(loss: losses.PoissonNLL, x: Tensor, target: Tensor) -> Tensor:
    """Composed."""
    logarithms = loss.predictions == "logarithms"
    values = jnp.exp(x) - target * x if logarithms else x - target * jnp.log(x + loss.epsilon)
    if loss.full:
        safe = jnp.where(target > 1, target, 1)
        stirling = safe * jnp.log(safe) - safe + 0.5 * jnp.log(2 * jnp.pi * safe)
        values = values + jnp.where(target > 1, stirling, 0)
    return reduced(values, loss.reduction)


def gaussian_nll(loss: losses.GaussianNLL, mean: Tensor, variance: Tensor, target: Tensor) -> Tensor:
    """Composed; what lifts a small variance is a constant to the derivative."""
    v = variance + jax.lax.stop_gradient(jnp.maximum(variance, loss.epsilon) - variance)
    values = 0.5 * (jnp.log(v) + (mean - target) ** 2 / v)
    return reduced(values + 0.5 * jnp.log(2 * jnp.pi) if loss.full else values, loss.reduction)


def hinge(loss: losses.Hinge, y: Tensor, target: Tensor) -> Tensor:
    """Optax's has a slope of one half at the margin."""
    half = loss.slope_at_margin == "half"
    values = optax.losses.hinge_loss(y, target) if half else HINGES[loss.slope_at_margin](1 - y * target)
    return reduced(values, loss.reduction)


def squared_hinge(loss: losses.SquaredHinge, y: Tensor, target: Tensor) -> Tensor:
    """Composed."""
    return reduced(jax.nn.relu(1 - target * y) ** 2, loss.reduction)


def cosine_embedding(loss: losses.CosineEmbedding, x1: Tensor, x2: Tensor, target: Tensor) -> Tensor:
    """Composed: optax.losses.cosine_similarity has another epsilon."""
    square1, square2 = (jnp.sum(x * x, axis=-1) + EPSILON for x in (x1, x2))
    cos = jnp.sum(x1 * x2, axis=-1) / jnp.sqrt(square1 * square2)
    return reduced(jnp.where(target > 0, 1 - cos, HINGES[loss.slope_at_margin](cos - loss.margin)), loss.reduction)


def triplet_margin(
    loss: losses.TripletMargin, anchor: Tensor, positive: Tensor, negative: Tensor, target: Tensor
) -> Tensor:
    """Optax's has its epsilon under the root and a slope of one half at the margin; otherwise composed."""
    if (loss.epsilon_in, loss.slope_at_margin) == ("root", "half"):
        values = optax.losses.triplet_margin_loss(anchor, positive, negative, margin=loss.margin, eps=loss.epsilon)
        return reduced(values, loss.reduction)
    inside, under = (loss.epsilon, 0) if loss.epsilon_in == "difference" else (0, loss.epsilon)
    near, far = (jnp.sqrt(jnp.sum((anchor - other + inside) ** 2, axis=-1) + under) for other in (positive, negative))
    return reduced(HINGES[loss.slope_at_margin](near - far + loss.margin), loss.reduction)


LOSSES: dict[str, LossPart] = {
    "cross_entropy": LossPart("composed", cross_entropy),
    "softmax_cross_entropy": LossPart("native", softmax_cross_entropy),
    "nll": LossPart("composed", negative_log_likelihood),
    "mean_squared_error": LossPart("native", mean_squared_error),
    "mean_absolute_error": LossPart("composed", mean_absolute_error),
    "huber": LossPart("composed", huber),
    "smooth_l1": LossPart("composed", smooth_l1),
    "binary_cross_entropy": LossPart("composed", binary_cross_entropy, binary_cross_entropy_limits),
    "binary_cross_entropy_with_logits": LossPart("native", binary_cross_entropy_with_logits),
    "kl_div": LossPart("native", kl_div),
    "poisson_nll": LossPart("composed", poisson_nll),
    "gaussian_nll": LossPart("composed", gaussian_nll),
    "hinge": LossPart("native", hinge),
    "squared_hinge": LossPart("composed", squared_hinge),
    "cosine_embedding": LossPart("composed", cosine_embedding),
    "triplet_margin": LossPart("native", triplet_margin),
}
