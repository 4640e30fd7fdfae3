"""The layers, each with its forward directly above its backward."""

from __future__ import annotations

from .activations import Gelu, Relu, Sigmoid, Softmax, Tanh
from .affine import Dense
from .attention import MergeHeads, MultiHeadAttention, ScaledDotProductAttention, SplitHeads
from .base import Array, Layer, Parameters, Shape
from .convolution import Conv2d
from .dropout import Dropout
from .embedding import Embedding
from .normalisation import BatchNorm, LayerNorm
from .structure import Add

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        *(Dense, Embedding, Conv2d),
        *(ScaledDotProductAttention, MultiHeadAttention, SplitHeads, MergeHeads),
        *(LayerNorm, BatchNorm),
        *(Relu, Tanh, Sigmoid, Gelu, Softmax),
        *(Add, Dropout),
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
    "Dropout",
    "Embedding",
    "Gelu",
    "Layer",
    "LayerNorm",
    "MergeHeads",
    "MultiHeadAttention",
    "Parameters",
    "Relu",
    "ScaledDotProductAttention",
    "Shape",
    "Sigmoid",
    "Softmax",
    "SplitHeads",
    "Tanh",
]
