"""Normalisations in JAX."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from ....reference import layers
from .base import LayerPart, Tensor, Tensors


def layer_norm(layer: layers.LayerNorm, x: Tensor, params: Tensors) -> Tensor:
    return normalised(layer, x) * params["weight"] + params["bias"]


def rms_norm(layer: layers.RMSNorm, x: Tensor, params: Tensors) -> Tensor:
    return x / deviation(layer, jnp.mean(jnp.square(x), axis=-1, keepdims=True)) * params["weight"]


def group_norm(layer: layers.GroupNorm, x: Tensor, params: Tensors) -> Tensor:
    values = normalised(layer, x.reshape(x.shape[0], layer.groups, -1)).reshape(x.shape)
    if not layer.affine:
        return values
    weight, bias = (jnp.expand_dims(params[name], tuple(range(1, x.ndim - 1))) for name in ("weight", "bias"))
    return values * weight + bias


def instance_norm(layer: layers.InstanceNorm, x: Tensor, params: Tensors) -> Tensor:
    return group_norm(layer.by_groups, x, params)


def normalised(layer: Any, x: Tensor) -> Tensor:
    """Mean 0 and variance 1 along the last axis."""
    variance = jnp.var(x, axis=-1, keepdims=True)
    return (x - jnp.mean(x, axis=-1, keepdims=True)) / deviation(layer, variance)


def deviation(layer: Any, square: Tensor) -> Tensor:
    """The root of a mean square, with epsilon where the layer has it."""
    inside = layer.epsilon_in == "root"
    return jnp.sqrt(square + layer.epsilon) if inside else jnp.sqrt(square) + layer.epsilon


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
    "layer_norm": LayerPart("composed", layer_norm),
    "rms_norm": LayerPart("composed", rms_norm),
    "group_norm": LayerPart("composed", group_norm),
    "instance_norm": LayerPart("composed", instance_norm),
    "batch_norm": LayerPart("composed", batch_norm, batch_norm_statistics),
}
