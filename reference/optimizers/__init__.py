"""The optimizers, each with its hyperparameters, what it remembers of a weight, and its update.

Read in this order: ``base``, ``sgd``, ``squares``, ``adam``, ``signs``, ``matrices``; ``schedules`` are the learning
rates that change by a rule.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import kinds
from . import adam, matrices, schedules, sgd, signs, squares
from .adam import *
from .base import Decaying as Decaying
from .base import Optimizer as Optimizer
from .base import Slots as Slots
from .base import Updated as Updated
from .matrices import *
from .schedules import *
from .schedules import Schedule as Schedule
from .sgd import *
from .signs import *
from .squares import *

OPTIMIZERS: dict[str, type[Optimizer]] = kinds(
    Optimizer,
    *(sgd, squares, adam, signs, matrices),
)
"""Every optimizer by its kind."""

SCHEDULES: dict[str, type[Schedule]] = kinds(Schedule, schedules)
"""Every schedule of the learning rate by its kind."""

if not TYPE_CHECKING:  # a type checker follows the star imports, and no computed list
    __all__ = ["OPTIMIZERS", "SCHEDULES", "Decaying", "Optimizer", "Schedule", "Slots", "Updated"]
    __all__ += sgd.__all__
    __all__ += squares.__all__
    __all__ += adam.__all__
    __all__ += signs.__all__
    __all__ += matrices.__all__
    __all__ += schedules.__all__
