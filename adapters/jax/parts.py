"""The parts of a case as JAX has them: jax.nn functions, composed affine maps, optax losses and optimizers.

Adding a layer is one line of ``LAYERS``: a function of the layer, its inputs and its parameters. Layouts are the
reference's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import optax

from ...reference import optimizers
from ...reference.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from ..contract import Support

Tensor: TypeAlias = jax.Array

LAYERS: dict[str, tuple[Support, Callable[..., Tensor]]] = {
    "dense": ("composed", lambda layer, x, params: x @ params["weight"] + params["bias"]),
    "relu": ("native", lambda layer, x, params: jax.nn.relu(x)),
    "tanh": ("native", lambda layer, x, params: jnp.tanh(x)),
    "sigmoid": ("native", lambda layer, x, params: jax.nn.sigmoid(x)),
    "softmax": ("native", lambda layer, x, params: jax.nn.softmax(x, axis=-1)),
    "add": ("native", lambda layer, a, b, params: jnp.add(a, b)),
}


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


LOSSES: dict[str, tuple[Support, Callable[..., Tensor]]] = {
    "cross_entropy": ("composed", cross_entropy),
    "softmax_cross_entropy": ("native", softmax_cross_entropy),
    "mean_squared_error": ("native", mean_squared_error),
}

Rate: TypeAlias = float | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class OptimizerPart:
    """An optimizer in optax: how it is built, and in which of optax's states what the reference calls a slot is."""

    support: Support
    build: Callable[[Any, Rate], optax.GradientTransformation]
    slots: Mapping[str, tuple[type[Any], str]]
    limits: Callable[[Any], str] = lambda optimizer: ""


def decayed(weight_decay: float, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Coupled weight decay: added to the gradient before the optimizer sees it."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optimizer) if weight_decay else optimizer


def sgd(optimizer: optimizers.SGD, rate: Rate) -> optax.GradientTransformation:
    momentum = optimizer.momentum or None
    return decayed(optimizer.weight_decay, optax.sgd(rate, momentum=momentum, nesterov=optimizer.nesterov))


def sgd_limits(optimizer: optimizers.SGD) -> str:
    return "optax.sgd has no dampening" if optimizer.dampening else ""


def adam(optimizer: optimizers.Adam, rate: Rate) -> optax.GradientTransformation:
    inner = optax.adam(rate, b1=optimizer.beta1, b2=optimizer.beta2, eps=optimizer.epsilon)
    return decayed(optimizer.weight_decay, inner)


OPTIMIZERS: dict[str, OptimizerPart] = {
    "sgd": OptimizerPart("native", sgd, {"velocity": (optax.TraceState, "trace")}, sgd_limits),
    "adam": OptimizerPart(
        "native",
        adam,
        {
            "step": (optax.ScaleByAdamState, "count"),
            "first_moment": (optax.ScaleByAdamState, "mu"),
            "second_moment": (optax.ScaleByAdamState, "nu"),
        },
    ),
}

KINDS: dict[str, Support] = {
    **{kind: support for kind, (support, _) in LAYERS.items()},
    **{kind: support for kind, (support, _) in LOSSES.items()},
    **{kind: part.support for kind, part in OPTIMIZERS.items()},
}
