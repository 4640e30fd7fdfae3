"""The layers, each with its forward directly above its backward."""

from __future__ import annotations

from .activations import LogSigmoid, Relu, Sigmoid, Softplus, Softsign, Tanh
from .affine import Dense
from .attention import ScaledDotProductAttention
from .base import Array, Layer, Parameters, Shape
from .convolution import Conv2d
from .dropout import Dropout
from .embedding import Embedding
from .gated import Gelu, Glu, Mish, Silu, SwiGlu
from .hard import HardSigmoid, HardSwish, Hardtanh, Relu6
from .normalisation import BatchNorm, LayerNorm
from .rectifiers import Celu, Elu, LeakyRelu, PRelu, Selu
from .softmax import LogSoftmax, Softmax
from .structure import Add

LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        *(Dense, Embedding, Conv2d, ScaledDotProductAttention),
        *(LayerNorm, BatchNorm),
        *(Relu, Tanh, Sigmoid, LogSigmoid, Softplus, Softsign),
        *(LeakyRelu, PRelu, Elu, Selu, Celu),
        *(Hardtanh, Relu6, HardSigmoid, HardSwish),
        *(Gelu, Silu, Mish, Glu, SwiGlu),
        *(Softmax, LogSoftmax),
        *(Add, Dropout),
    )
}
"""Every layer by its kind."""

__all__ = [
    "LAYERS",
    "Add",
    "Array",
    "BatchNorm",
    "Celu",
    "Conv2d",
    "Dense",
    "Dropout",
    "Elu",
    "Embedding",
    "Gelu",
    "Glu",
    "HardSigmoid",
    "HardSwish",
    "Hardtanh",
    "Layer",
    "LayerNorm",
    "LeakyRelu",
    "LogSigmoid",
    "LogSoftmax",
    "Mish",
    "PRelu",
    "Parameters",
    "Relu",
    "Relu6",
    "ScaledDotProductAttention",
    "Selu",
    "Shape",
    "Sigmoid",
    "Silu",
    "Softmax",
    "Softplus",
    "Softsign",
    "SwiGlu",
    "Tanh",
]
