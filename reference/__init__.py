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
    Bilinear,
    Conv2d,
    Dense,
    Embedding,
    Gelu,
    GroupNorm,
    InstanceNorm,
    Layer,
    LayerNorm,
    Positions,
    Relu,
    RMSNorm,
    Rotary,
    ScaledDotProductAttention,
    Sigmoid,
    SinusoidalPositions,
    Softmax,
    Tanh,
)
from .losses import LOSSES, CrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
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
    "Bilinear",
    "Case",
    "CaseError",
    "Conv2d",
    "CrossEntropy",
    "Dense",
    "Embedding",
    "Gelu",
    "GroupNorm",
    "InstanceNorm",
    "Layer",
    "LayerNorm",
    "Loss",
    "MeanSquaredError",
    "Node",
    "Operation",
    "Optimizer",
    "Positions",
    "RMSNorm",
    "Relu",
    "Rotary",
    "ScaledDotProductAttention",
    "Sigmoid",
    "SinusoidalPositions",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Tanh",
    "Trace",
    "run",
    "train",
]
