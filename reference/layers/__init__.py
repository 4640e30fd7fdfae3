"""The layers, each with its forward directly above its backward."""

from __future__ import annotations

from .activations import Gelu, Relu, Sigmoid, Softmax, Tanh
from .affine import Dense
from .attention import ScaledDotProductAttention
from .base import Array, Layer, Parameters, Shape
from .convolution import Conv1d, Conv2d, ConvTranspose2d
from .embedding import Embedding
from .normalisation import BatchNorm, LayerNorm
from .pooling import AdaptiveAvgPool2d, AvgPool2d, GlobalAvgPool, MaxPool2d
from .structure import Add, Concatenate, Flatten, Multiply, Reshape

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        *(Dense, Embedding, ScaledDotProductAttention),
        *(Conv1d, Conv2d, ConvTranspose2d),
        *(MaxPool2d, AvgPool2d, AdaptiveAvgPool2d, GlobalAvgPool),
        *(LayerNorm, BatchNorm),
        *(Relu, Tanh, Sigmoid, Gelu, Softmax),
        *(Add, Multiply, Concatenate, Flatten, Reshape),
    )
}
"""Every layer by its kind."""

__all__ = [
    "LAYERS",
    "AdaptiveAvgPool2d",
    "Add",
    "Array",
    "AvgPool2d",
    "BatchNorm",
    "Concatenate",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "Dense",
    "Embedding",
    "Flatten",
    "Gelu",
    "GlobalAvgPool",
    "Layer",
    "LayerNorm",
    "MaxPool2d",
    "Multiply",
    "Parameters",
    "Relu",
    "Reshape",
    "ScaledDotProductAttention",
    "Shape",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
