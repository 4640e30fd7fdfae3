"""Losses in JAX and optax."""

from __future__ import annotations

import jax.numpy as jnp
import optax

from ....reference.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from .base import LossPart, Tensor


def reduced(rows: Tensor, reduction: str, outputs: int) -> Tensor:
    """A loss of each row, reduced over the rows."""
    if reduction == "sum":
        return jnp.sum(rows)
    return jnp.mean(rows) if reduction == "mean" else jnp.sum(rows) / (rows.size * outputs)


def cross_entropy(loss: CrossEntropy, p: Tensor, target: Tensor) -> Tensor:
    """Composed: JAX and optax have it for logits only."""
    return reduced(-jnp.sum(target * jnp.log(p), axis=-1), loss.reduction, p.shape[-1])


def softmax_cross_entropy(loss: SoftmaxCrossEntropy, z: Tensor, target: Tensor) -> Tensor:
    of_rows = (
        optax.losses.softmax_cross_entropy_with_integer_labels
        if loss.targets == "indices"
        else optax.losses.softmax_cross_entropy
    )
    return reduced(of_rows(z, target), loss.reduction, z.shape[-1])


def mean_squared_error(loss: MeanSquaredError, y: Tensor, target: Tensor) -> Tensor:
    if loss.reduction == "half_sum":
        return jnp.sum(optax.losses.l2_loss(y, target))
    errors = optax.losses.squared_error(y, target)
    return jnp.mean(errors) if loss.reduction == "mean" else jnp.sum(errors)


LOSSES: dict[str, LossPart] = {
    "cross_entropy": LossPart("composed", cross_entropy),
    "softmax_cross_entropy": LossPart("native", softmax_cross_entropy),
    "mean_squared_error": LossPart("native", mean_squared_error),
}
