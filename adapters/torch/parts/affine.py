"""Affine maps and tables in PyTorch."""

from __future__ import annotations

from typing import Any

from torch import nn

from ....reference import layers
from .base import LayerPart, uninitialised


def dense(layer: Any, **like: Any) -> nn.Module:
    return uninitialised(nn.Linear, layer.inputs, layer.outputs, bias=layer.bias, **like)


def kept_transposed(layer: layers.Dense) -> frozenset[str]:
    """Linear keeps its weight as (O, I)."""
    return frozenset({"weight"} if layer.layout == "inputs_outputs" else ())


def bilinear(layer: Any, **like: Any) -> nn.Module:
    return uninitialised(nn.Bilinear, layer.first, layer.second, layer.outputs, bias=layer.bias, **like)


def embedding(layer: Any, **like: Any) -> nn.Module:
    return uninitialised(nn.Embedding, layer.rows, layer.width, **like)


LAYERS: dict[str, LayerPart] = {
    "dense": LayerPart("native", dense, transposed=kept_transposed),
    "bilinear": LayerPart("native", bilinear),
    "embedding": LayerPart("native", embedding),
}
