"""Activations in JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from .base import LayerPart

LAYERS: dict[str, LayerPart] = {
    "relu": LayerPart("native", lambda layer, x, params: jax.nn.relu(x)),
    "tanh": LayerPart("native", lambda layer, x, params: jnp.tanh(x)),
    "sigmoid": LayerPart("native", lambda layer, x, params: jax.nn.sigmoid(x)),
    "gelu": LayerPart("native", lambda layer, x, params: jax.nn.gelu(x, approximate=layer.approximate == "tanh")),
    "softmax": LayerPart("native", lambda layer, x, params: jax.nn.softmax(x, axis=-1)),
}
