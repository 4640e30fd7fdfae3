"""The layers, each with its forward directly above its backward."""

from __future__ import annotations

from .activations import Gelu, Relu, Sigmoid, Softmax, Tanh
from .affine import Dense
from .attention import ScaledDotProductAttention
from .base import Array, Layer, Parameters, Shape
from .batch_normalisation import BatchNorm
from .convolution import Conv2d
from .embedding import Embedding
from .normalisation import GroupNorm, InstanceNorm, LayerNorm, RMSNorm
from .structure import Add

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        *(Dense, Embedding, Conv2d, ScaledDotProductAttention),
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
    "Conv2d",
    "Dense",
    "Embedding",
    "Gelu",
    "GroupNorm",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "Parameters",
    "RMSNorm",
    "Relu",
    "ScaledDotProductAttention",
    "Shape",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
