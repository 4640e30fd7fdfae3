"""Convolutions in JAX."""

from __future__ import annotations

import jax

from ....reference import layers
from .base import LayerPart, Tensor, Tensors


def conv2d(layer: layers.Conv2d, x: Tensor, params: Tensors) -> Tensor:
    padding = [(size, size) for size in layer.padding]
    y = jax.lax.conv_general_dilated(x, params["weight"], layer.stride, padding)
    return y + params["bias"][:, None, None]


LAYERS: dict[str, LayerPart] = {
    "conv2d": LayerPart("native", conv2d),
}
