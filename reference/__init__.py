"""What is computed: cases, layers, losses, optimizers, the training step and its trace. NumPy and nothing else.

Read in this order, the modules are a course: ``layers``, ``losses``, ``network``, ``clipping``, ``optimizers``,
``case``, ``step``; ``part_one`` holds the small functions by which the article leads up to them.
"""

from __future__ import annotations

from . import layers, losses, optimizers
from .case import Batch, Case
from .clipping import CLIPS, Clip, ClipByGlobalNorm, ClipByValue
from .dtypes import DTYPES
from .errors import CaseError
from .layers import *
from .losses import *
from .network import Node, Term
from .optimizers import *
from .step import run, train
from .trace import Operation, Trace

__all__ = [
    "CLIPS",
    "DTYPES",
    "Batch",
    "Case",
    "CaseError",
    "Clip",
    "ClipByGlobalNorm",
    "ClipByValue",
    "Node",
    "Operation",
    "Term",
    "Trace",
    "run",
    "train",
]
__all__ += layers.__all__
__all__ += losses.__all__
__all__ += optimizers.__all__
