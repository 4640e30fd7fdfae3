"""Pools in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ....reference import layers
from .base import LayerPart


class MeanOverPlaces(nn.Module):
    """torch.mean over all axes behind the channels, as a module."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean(dim=tuple(range(2, x.ndim)))


def max_pool2d(layer: Any, **like: Any) -> nn.Module:
    return nn.MaxPool2d(layer.kernel, layer.stride, layer.padding)


def max_pool2d_limits(layer: layers.MaxPool2d) -> str:
    return "" if layer.tie == "first" else "torch.nn.MaxPool2d sends the gradient of a tie to the first"


def avg_pool2d(layer: Any, **like: Any) -> nn.Module:
    return nn.AvgPool2d(layer.kernel, layer.stride, layer.padding, count_include_pad=layer.count_padding)


LAYERS: dict[str, LayerPart] = {
    "max_pool2d": LayerPart("native", max_pool2d, limits=max_pool2d_limits),
    "avg_pool2d": LayerPart("native", avg_pool2d),
    "adaptive_avg_pool2d": LayerPart("native", lambda layer, **like: nn.AdaptiveAvgPool2d(layer.outputs)),
    "global_avg_pool": LayerPart("composed", lambda layer, **like: MeanOverPlaces()),
}
