"""Affine maps and tables in PyTorch."""

from __future__ import annotations

from typing import Any

from torch import nn

from .base import LayerPart, uninitialised


def dense(layer: Any, **like: Any) -> nn.Module:
    return uninitialised(nn.Linear, layer.inputs, layer.outputs, **like)


def embedding(layer: Any, **like: Any) -> nn.Module:
    return uninitialised(nn.Embedding, layer.rows, layer.width, **like)


LAYERS: dict[str, LayerPart] = {
    "dense": LayerPart("native", dense, transposed=frozenset({"weight"})),
    "embedding": LayerPart("native", embedding),
}
