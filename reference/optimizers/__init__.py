"""The optimizers, each with its hyperparameters, what it remembers of a weight, and its update."""

from __future__ import annotations

from .adam import Adam
from .base import Optimizer, Slots
from .sgd import SGD

OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.kind: optimizer for optimizer in (SGD, Adam)}
"""Every optimizer by its kind."""

__all__ = ["OPTIMIZERS", "SGD", "Adam", "Optimizer", "Slots"]
