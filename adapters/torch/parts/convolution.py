"""Convolutions in PyTorch."""

from __future__ import annotations

from typing import Any

from torch import nn

from .base import LayerPart, uninitialised


def conv2d(layer: Any, **like: Any) -> nn.Module:
    sizes = (layer.inputs, layer.outputs, layer.kernel)
    return uninitialised(nn.Conv2d, *sizes, stride=layer.stride, padding=layer.padding, **like)


LAYERS: dict[str, LayerPart] = {
    "conv2d": LayerPart("native", conv2d),
}
