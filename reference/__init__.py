"""What is computed: cases, layers, losses, optimizers, the training step and its trace. NumPy and nothing else.

Read in this order, the modules are a course: ``layers``, ``losses``, ``network``, ``optimizers``, ``case``, ``step``;
``part_one`` holds the small functions by which the article leads up to them.
"""

from __future__ import annotations

from .case import DTYPES, Batch, Case
from .errors import CaseError
from .layers import (
    LAYERS,
    Add,
    BatchNorm,
    Conv2d,
    Dense,
    Embedding,
    Gelu,
    Layer,
    LayerNorm,
    Relu,
    ScaledDotProductAttention,
    Sigmoid,
    Softmax,
    Tanh,
)
from .losses import (
    LOSSES,
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CosineEmbedding,
    CrossEntropy,
    GaussianNLL,
    Hinge,
    Huber,
    KLDivergence,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    NegativeLogLikelihood,
    PoissonNLL,
    SmoothL1,
    SoftmaxCrossEntropy,
    SquaredHinge,
    TripletMargin,
)
from .network import Node
from .optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from .step import run, train
from .trace import Operation, Trace

__all__ = [
    "DTYPES",
    "LAYERS",
    "LOSSES",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "Add",
    "Batch",
    "BatchNorm",
    "BinaryCrossEntropy",
    "BinaryCrossEntropyWithLogits",
    "Case",
    "CaseError",
    "Conv2d",
    "CosineEmbedding",
    "CrossEntropy",
    "Dense",
    "Embedding",
    "GaussianNLL",
    "Gelu",
    "Hinge",
    "Huber",
    "KLDivergence",
    "Layer",
    "LayerNorm",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "NegativeLogLikelihood",
    "Node",
    "Operation",
    "Optimizer",
    "PoissonNLL",
    "Relu",
    "ScaledDotProductAttention",
    "Sigmoid",
    "SmoothL1",
    "Softmax",
    "SoftmaxCrossEntropy",
    "SquaredHinge",
    "Tanh",
    "Trace",
    "TripletMargin",
    "run",
    "train",
]
