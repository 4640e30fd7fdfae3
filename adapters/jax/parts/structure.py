"""What joins values of the graph, or gives a value another shape, in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ....reference import layers
from .base import LayerPart, Tensor


def concatenate(layer: layers.Concatenate, *values_and_params: Any) -> Tensor:
    *values, _ = values_and_params
    return jnp.concatenate(values, axis=layer.axis)


LAYERS: dict[str, LayerPart] = {
    "add": LayerPart("native", lambda layer, a, b, params: jnp.add(a, b)),
    "dropout": LayerPart("composed", lambda layer, x, params: x * params["mask"] / (1 - layer.rate)),
    "multiply": LayerPart("native", lambda layer, a, b, params: jnp.multiply(a, b)),
    "concatenate": LayerPart("native", concatenate),
    "flatten": LayerPart("native", lambda layer, x, params: jax.lax.collapse(x, 1)),
    "reshape": LayerPart("native", lambda layer, x, params: jnp.reshape(x, (len(x), *layer.shape))),
}
