"""Activations in PyTorch."""

from __future__ import annotations

from torch import nn

from .base import LayerPart

LAYERS: dict[str, LayerPart] = {
    "relu": LayerPart("native", lambda layer, **like: nn.ReLU()),
    "tanh": LayerPart("native", lambda layer, **like: nn.Tanh()),
    "sigmoid": LayerPart("native", lambda layer, **like: nn.Sigmoid()),
    "gelu": LayerPart("native", lambda layer, **like: nn.GELU(approximate=layer.approximate)),
    "softmax": LayerPart("native", lambda layer, **like: nn.Softmax(dim=-1)),
}
