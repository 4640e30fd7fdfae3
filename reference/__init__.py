"""What is computed: cases, layers, losses, optimizers, the training step and its trace. NumPy and nothing else.

Read in this order, the modules are a course: ``layers``, ``losses``, ``network``, ``optimizers``, ``case``, ``step``;
``part_one`` holds the small functions by which the article leads up to them.
"""

from __future__ import annotations

from .case import Batch, Case
from .clipping import CLIPS, Clip, ClipByGlobalNorm, ClipByValue
from .dtypes import DTYPES
from .errors import CaseError
from .layers import (
    LAYERS,
    Add,
    BatchNorm,
    Conv2d,
    Dense,
    Dropout,
    Embedding,
    Gelu,
    Layer,
    LayerNorm,
    MergeHeads,
    MultiHeadAttention,
    Relu,
    ScaledDotProductAttention,
    Sigmoid,
    Softmax,
    SplitHeads,
    Tanh,
)
from .losses import LOSSES, CrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from .network import Node, Term
from .optimizers import OPTIMIZERS, SGD, Adam, Optimizer
from .step import run, train
from .trace import Operation, Trace

__all__ = [
    "CLIPS",
    "DTYPES",
    "LAYERS",
    "LOSSES",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "Add",
    "Batch",
    "BatchNorm",
    "Case",
    "CaseError",
    "Clip",
    "ClipByGlobalNorm",
    "ClipByValue",
    "Conv2d",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "Embedding",
    "Gelu",
    "Layer",
    "LayerNorm",
    "Loss",
    "MeanSquaredError",
    "MergeHeads",
    "MultiHeadAttention",
    "Node",
    "Operation",
    "Optimizer",
    "Relu",
    "ScaledDotProductAttention",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "SplitHeads",
    "Tanh",
    "Term",
    "Trace",
    "run",
    "train",
]
