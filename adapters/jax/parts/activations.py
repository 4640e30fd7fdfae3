"""Activations in JAX.

At a kink jax.nn has the derivative that it has, whatever the case's convention is: see docs/decisions/kinks.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from ....reference import layers
from .base import LayerPart, Tensor, Tensors


def prelu(layer: layers.PRelu, x: Tensor, params: Tensors) -> Tensor:
    """Composed: jax.nn has leaky_relu alone, whose slope is a number."""
    slope = params["weight"].reshape(-1, *(1,) * (x.ndim - 2))
    return jnp.where(x > 0 if layer.at_zero == "left" else x >= 0, x, slope * x)


def softplus(layer: layers.Softplus, x: Tensor, params: Tensors) -> Tensor:
    """Composed: jax.nn.softplus has neither beta nor threshold."""
    z = layer.beta * x
    y = jax.nn.softplus(z) / layer.beta
    return jnp.where(z > layer.threshold, x, y) if layer.beyond == "linear" else y


def hardtanh(layer: layers.Hardtanh, x: Tensor, params: Tensors) -> Tensor:
    """jax.nn.hard_tanh, whose bounds are -1 and 1, and jax.lax.clamp for any others."""
    if (layer.low, layer.high) == (-1, 1):
        return jax.nn.hard_tanh(x)
    return jax.lax.clamp(jnp.asarray(layer.low, x.dtype), x, jnp.asarray(layer.high, x.dtype))


LAYERS: dict[str, LayerPart] = {
    "relu": LayerPart("native", lambda layer, x, params: jax.nn.relu(x)),
    "tanh": LayerPart("native", lambda layer, x, params: jnp.tanh(x)),
    "sigmoid": LayerPart("native", lambda layer, x, params: jax.nn.sigmoid(x)),
    "log_sigmoid": LayerPart("native", lambda layer, x, params: jax.nn.log_sigmoid(x)),
    "softplus": LayerPart("composed", softplus),
    "softsign": LayerPart("native", lambda layer, x, params: jax.nn.soft_sign(x)),
    "leaky_relu": LayerPart("native", lambda layer, x, params: jax.nn.leaky_relu(x, layer.slope)),
    "prelu": LayerPart("composed", prelu),
    "elu": LayerPart("native", lambda layer, x, params: jax.nn.elu(x, layer.alpha)),
    "selu": LayerPart("native", lambda layer, x, params: jax.nn.selu(x)),
    "celu": LayerPart("native", lambda layer, x, params: jax.nn.celu(x, layer.alpha)),
    "hardtanh": LayerPart("native", hardtanh),
    "relu6": LayerPart("native", lambda layer, x, params: jax.nn.relu6(x)),
    "hard_sigmoid": LayerPart("native", lambda layer, x, params: jax.nn.hard_sigmoid(x)),
    "hard_swish": LayerPart("native", lambda layer, x, params: jax.nn.hard_swish(x)),
    "gelu": LayerPart("native", lambda layer, x, params: jax.nn.gelu(x, approximate=layer.approximate == "tanh")),
    "silu": LayerPart("native", lambda layer, x, params: jax.nn.silu(x)),
    "mish": LayerPart("native", lambda layer, x, params: jax.nn.mish(x)),
    "glu": LayerPart("native", lambda layer, x, params: jax.nn.glu(x, axis=-1)),
    "swiglu": LayerPart("composed", lambda layer, gate, value, params: jax.nn.silu(gate) * value),
    "softmax": LayerPart("native", lambda layer, x, params: jax.nn.softmax(x, axis=-1)),
    "log_softmax": LayerPart("native", lambda layer, x, params: jax.nn.log_softmax(x, axis=-1)),
}

AT_KINKS: dict[str, Callable[[Any], dict[str, str]]] = {
    "leaky_relu": lambda layer: {"at_zero": "right"},
    **dict.fromkeys(("elu", "selu"), lambda layer: {"at_zero": "left"}),
    "hardtanh": lambda layer: {"at_bounds": "inside" if (layer.low, layer.high) == (-1, 1) else "outside"},
    "hard_swish": lambda layer: {"at_bounds": "outside"},
    "relu6": lambda layer: {"at_six": "outside"},
}
"""The conventions at kinks that there is no choice of."""
