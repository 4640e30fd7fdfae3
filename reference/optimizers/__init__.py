"""The optimizers, each with its hyperparameters, what it remembers of a weight, and its update.

Read in this order: ``base``, ``sgd``, ``squares``, ``adam``, ``signs``, ``matrices``; ``schedules`` are the learning
rates that change by a rule.
"""

from __future__ import annotations

from .adam import Adam, Adamax, AdamW, AMSGrad, Lamb, Moments, NAdam, RAdam
from .base import Decaying, Optimizer, Slots, Updated
from .matrices import Adafactor, Muon
from .schedules import SCHEDULES, Constant, Cosine, Exponential, Linear, Schedule, StepDecay, Warmup
from .sgd import SGD
from .signs import Lion, Rprop
from .squares import Adadelta, Adagrad, RMSprop

OPTIMIZERS: dict[str, type[Optimizer]] = {
    optimizer.kind: optimizer
    for optimizer in (
        SGD,
        Adagrad,
        RMSprop,
        Adadelta,
        Adam,
        AdamW,
        AMSGrad,
        Adamax,
        NAdam,
        RAdam,
        Lamb,
        Lion,
        Rprop,
        Adafactor,
        Muon,
    )
}
"""Every optimizer by its kind."""

__all__ = [
    "OPTIMIZERS",
    "SCHEDULES",
    "SGD",
    "AMSGrad",
    "Adadelta",
    "Adafactor",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Constant",
    "Cosine",
    "Decaying",
    "Exponential",
    "Lamb",
    "Linear",
    "Lion",
    "Moments",
    "Muon",
    "NAdam",
    "Optimizer",
    "RAdam",
    "RMSprop",
    "Rprop",
    "Schedule",
    "Slots",
    "StepDecay",
    "Updated",
    "Warmup",
]
