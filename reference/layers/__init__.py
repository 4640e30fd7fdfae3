"""The layers, each with its forward directly above its backward."""

from __future__ import annotations

from .activations import Gelu, Relu, Sigmoid, Softmax, Tanh
from .affine import Bilinear, Dense
from .attention import ScaledDotProductAttention
from .base import Array, Layer, Parameters, Shape
from .batch_normalisation import BatchNorm
from .convolution import Conv2d
from .embedding import Embedding
from .normalisation import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from .positions import Positions, Rotary, SinusoidalPositions
from .structure import Add

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        *(Dense, Bilinear, Embedding, Conv2d, ScaledDotProductAttention),
        *(Positions, SinusoidalPositions, Rotary),
        *(LayerNorm, RMSNorm, GroupNorm, InstanceNorm, BatchNorm),
        *(Relu, Tanh, Sigmoid, Gelu, Softmax),
        Add,
    )
}
"""Every layer by its kind."""

__all__ = [
    "LAYERS",
    "Add",
    "Array",
    "BatchNorm",
    "Bilinear",
    "Conv2d",
    "Dense",
    "Embedding",
    "Gelu",
    "GroupNorm",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "Parameters",
    "Positions",
    "RMSNorm",
    "Relu",
    "Rotary",
    "ScaledDotProductAttention",
    "Shape",
    "Sigmoid",
    "SinusoidalPositions",
    "Softmax",
    "Tanh",
]
