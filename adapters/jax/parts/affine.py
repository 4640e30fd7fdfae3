"""Affine maps and tables in JAX."""

from __future__ import annotations

import jax.numpy as jnp

from ....reference import layers
from .base import LayerPart, Tensor, Tensors


def dense(layer: layers.Dense, x: Tensor, params: Tensors) -> Tensor:
    y = x @ (params["weight"] if layer.layout == "inputs_outputs" else params["weight"].T)
    return y + params["bias"] if layer.bias else y


def bilinear(layer: layers.Bilinear, x1: Tensor, x2: Tensor, params: Tensors) -> Tensor:
    y = jnp.einsum("...i,oij,...j->...o", x1, params["weight"], x2)
    return y + params["bias"] if layer.bias else y


LAYERS: dict[str, LayerPart] = {
    "dense": LayerPart("composed", dense),
    "bilinear": LayerPart("composed", bilinear),
    "embedding": LayerPart("composed", lambda layer, x, params: params["weight"][x]),
}
