"""What is computed: cases, layers, losses, optimizers, the training step and its trace. NumPy and nothing else.

Read in this order, the modules are a course: ``layers``, ``losses``, ``network``, ``clipping``, ``optimizers``,
``case``, ``step``; ``part_one`` holds the small functions by which the article leads up to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import clipping, layers, losses, optimizers
from .case import Batch as Batch
from .case import Case as Case
from .clipping import *
from .clipping import Clip as Clip
from .dtypes import DTYPES as DTYPES
from .errors import CaseError as CaseError
from .layers import *
from .losses import *
from .network import Node as Node
from .network import Term as Term
from .optimizers import *
from .registry import kinds
from .step import run as run
from .step import train as train
from .trace import Operation as Operation
from .trace import Trace as Trace

CLIPS: dict[str, type[Clip]] = kinds(Clip, clipping)
"""Every clipping by its kind."""

if not TYPE_CHECKING:  # a type checker follows the star imports, and no computed list
    __all__ = [
        "CLIPS",
        "DTYPES",
        "Batch",
        "Case",
        "CaseError",
        "Clip",
        "Node",
        "Operation",
        "Term",
        "Trace",
        "run",
        "train",
    ]
    __all__ += clipping.__all__
    __all__ += layers.__all__
    __all__ += losses.__all__
    __all__ += optimizers.__all__
