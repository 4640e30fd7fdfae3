"""The parts of a case as JAX has them: jax.nn functions, composed affine maps, optax losses and optimizers.

Adding a layer is one line of ``LAYERS``: a function of the layer, its inputs and its parameters. Layouts are the
reference's own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import optax

from ...reference import layers, optimizers
from ...reference.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from ..contract import Support

Tensor: TypeAlias = jax.Array
Tensors: TypeAlias = dict[str, Tensor]


class LayerPart(NamedTuple):
    """A layer in JAX: native or composed, what computes it, and what updates its statistics from the same."""

    support: Support
    apply: Callable[..., Tensor]
    statistics: Callable[..., Tensors] = lambda layer, *inputs_and_params: {}


def conv2d(layer: layers.Conv2d, x: Tensor, params: Tensors) -> Tensor:
    padding = [(size, size) for size in layer.padding]
    y = jax.lax.conv_general_dilated(x, params["weight"], layer.stride, padding)
    return y + params["bias"][:, None, None]


def attention(layer: layers.ScaledDotProductAttention, q: Tensor, k: Tensor, v: Tensor, params: Tensors) -> Tensor:
    """Composed: jax.nn.dot_product_attention computes its softmax in float32, whatever the dtype of its inputs.

    It also wants values as wide as keys, and heads after places.
    """
    scores = q @ jnp.matrix_transpose(k)
    if layer.scale == "width":
        scores = scores / q.shape[-1] ** 0.5
    if layer.causal:
        scores = jnp.where(jnp.tri(q.shape[-2], k.shape[-2], dtype=bool), scores, -jnp.inf)
    return jax.nn.softmax(scores, axis=-1) @ v


def layer_norm(layer: layers.LayerNorm, x: Tensor, params: Tensors) -> Tensor:
    variance = jnp.var(x, axis=-1, keepdims=True)
    root = layer.epsilon_in == "root"
    deviation = jnp.sqrt(variance + layer.epsilon) if root else jnp.sqrt(variance) + layer.epsilon
    return (x - jnp.mean(x, axis=-1, keepdims=True)) / deviation * params["weight"] + params["bias"]


def batch_norm(layer: layers.BatchNorm, x: Tensor, params: Tensors) -> Tensor:
    of_batch = {"running_mean": jnp.mean(x, axis=others(x)), "running_var": jnp.var(x, axis=others(x))}
    used = of_batch if layer.training else params
    mean, variance, weight, bias = (
        jnp.expand_dims(tensor, tuple(range(1, x.ndim - 1)))  # beside the channels of images
        for tensor in (used["running_mean"], used["running_var"], params["weight"], params["bias"])
    )
    return (x - mean) / jnp.sqrt(variance + layer.epsilon) * weight + bias


def batch_norm_statistics(layer: layers.BatchNorm, x: Tensor, params: Tensors) -> Tensors:
    old = {name: params[name] for name in ("running_mean", "running_var")}
    if not layer.training:
        return old
    variance = jnp.var(x, axis=others(x), ddof=1 if layer.running_variance == "unbiased" else 0)
    new = {"running_mean": jnp.mean(x, axis=others(x)), "running_var": variance}
    of_new = layer.momentum if layer.momentum_of == "new" else 1 - layer.momentum
    return {name: (1 - of_new) * old[name] + of_new * new[name] for name in old}


def others(x: Tensor) -> tuple[int, ...]:
    """All axes but the channels'."""
    return (0, *range(2, x.ndim))


LAYERS: dict[str, LayerPart] = {
    "dense": LayerPart("composed", lambda layer, x, params: x @ params["weight"] + params["bias"]),
    "relu": LayerPart("native", lambda layer, x, params: jax.nn.relu(x)),
    "tanh": LayerPart("native", lambda layer, x, params: jnp.tanh(x)),
    "sigmoid": LayerPart("native", lambda layer, x, params: jax.nn.sigmoid(x)),
    "gelu": LayerPart("native", lambda layer, x, params: jax.nn.gelu(x, approximate=layer.approximate == "tanh")),
    "softmax": LayerPart("native", lambda layer, x, params: jax.nn.softmax(x, axis=-1)),
    "layer_norm": LayerPart("composed", layer_norm),
    "batch_norm": LayerPart("composed", batch_norm, batch_norm_statistics),
    "embedding": LayerPart("composed", lambda layer, x, params: params["weight"][x]),
    "conv2d": LayerPart("native", conv2d),
    "scaled_dot_product_attention": LayerPart("composed", attention),
    "add": LayerPart("native", lambda layer, a, b, params: jnp.add(a, b)),
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
    **{kind: part.support for kind, part in LAYERS.items()},
    **{kind: support for kind, (support, _) in LOSSES.items()},
    **{kind: part.support for kind, part in OPTIMIZERS.items()},
}
