"""What is computed: cases, layers, losses, optimizers, the training step and its trace. NumPy and nothing else.

Read in this order, the modules are a course: ``layers``, ``losses``, ``network``, ``optimizers``, ``case``, ``step``;
``part_one`` holds the small functions by which the article leads up to them.
"""

from __future__ import annotations

from .case import DTYPES, Batch, Case
from .errors import CaseError
from .layers import (
    LAYERS,
    AdaptiveAvgPool2d,
    Add,
    AvgPool2d,
    BatchNorm,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Embedding,
    Flatten,
    Gelu,
    GlobalAvgPool,
    Layer,
    LayerNorm,
    MaxPool2d,
    Multiply,
    Relu,
    Reshape,
    ScaledDotProductAttention,
    Sigmoid,
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
    "AdaptiveAvgPool2d",
    "Add",
    "AvgPool2d",
    "Batch",
    "BatchNorm",
    "Case",
    "CaseError",
    "Concatenate",
    "Conv1d",
    "Conv2d",
    "ConvTranspose2d",
    "CrossEntropy",
    "Dense",
    "Embedding",
    "Flatten",
    "Gelu",
    "GlobalAvgPool",
    "Layer",
    "LayerNorm",
    "Loss",
    "MaxPool2d",
    "MeanSquaredError",
    "Multiply",
    "Node",
    "Operation",
    "Optimizer",
    "Relu",
    "Reshape",
    "ScaledDotProductAttention",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "Tanh",
    "Trace",
    "run",
    "train",
]
