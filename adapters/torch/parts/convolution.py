"""Convolutions in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from ....reference import layers
from .base import LayerPart, uninitialised


def convolution(module: type[nn.Module]) -> Callable[..., nn.Module]:
    """How a layer is built as one of torch's modules, whose arguments have the same names."""

    def build(layer: Any, **like: Any) -> nn.Module:
        options = {name: getattr(layer, name) for name in ("stride", "padding", "dilation", "groups", "bias")}
        if isinstance(layer, layers.ConvTranspose2d):
            options["output_padding"] = layer.output_padding
        return uninitialised(module, layer.inputs, layer.outputs, layer.kernel, **options, **like)

    return build


def transposed_limits(layer: layers.ConvTranspose2d) -> str:
    return "torch.nn.ConvTranspose2d does not flip its kernel" if layer.orientation == "flipped" else ""


LAYERS: dict[str, LayerPart] = {
    "conv1d": LayerPart("native", convolution(nn.Conv1d)),
    "conv2d": LayerPart("native", convolution(nn.Conv2d)),
    "conv_transpose2d": LayerPart("native", convolution(nn.ConvTranspose2d), limits=transposed_limits),
}
