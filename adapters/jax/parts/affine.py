"""Affine maps and tables in JAX."""

from __future__ import annotations

from ....reference import layers
from .base import LayerPart, Tensor, Tensors


def dense(layer: layers.Dense, x: Tensor, params: Tensors) -> Tensor:
    y = x @ (params["weight"] if layer.layout == "inputs_outputs" else params["weight"].T)
    return y + params["bias"] if layer.bias else y


LAYERS: dict[str, LayerPart] = {
    "dense": LayerPart("composed", dense),
    "embedding": LayerPart("composed", lambda layer, x, params: params["weight"][x]),
}
