"""What joins values of the graph in JAX."""

from __future__ import annotations

import jax.numpy as jnp

from .base import LayerPart

LAYERS: dict[str, LayerPart] = {
    "add": LayerPart("native", lambda layer, a, b, params: jnp.add(a, b)),
    "dropout": LayerPart("composed", lambda layer, x, params: x * params["mask"] / (1 - layer.rate)),
}
