"""Optimizers in optax."""

from __future__ import annotations

import optax

from ....reference import optimizers
from .base import OptimizerPart, Rate


def decayed(weight_decay: float, optimizer: optax.GradientTransformation) -> optax.GradientTransformation:
    """Coupled weight decay: added to the gradient before the optimizer sees it."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optimizer) if weight_decay else optimizer


def sgd(optimizer: optimizers.SGD, rate: Rate) -> optax.GradientTransformation:
    momentum = optimizer.momentum or None
    return decayed(optimizer.weight_decay, optax.sgd(rate, momentum=momentum, nesterov=optimizer.nesterov))


def sgd_limits(optimizer: optimizers.SGD) -> str:
    return "optax.sgd has no dampening" if optimizer.dampening else ""


def adam(optimizer: optimizers.Adam, rate: Rate) -> optax.GradientTransformation:
    inner = optax.adam(rate, b1=optimizer.beta1, b2=optimizer.beta2, eps=optimizer.epsilon)
    return decayed(optimizer.weight_decay, inner)


OPTIMIZERS: dict[str, OptimizerPart] = {
    "sgd": OptimizerPart("native", sgd, {"velocity": (optax.TraceState, "trace")}, sgd_limits),
    "adam": OptimizerPart(
        "native",
        adam,
        {
            "step": (optax.ScaleByAdamState, "count"),
            "first_moment": (optax.ScaleByAdamState, "mu"),
            "second_moment": (optax.ScaleByAdamState, "nu"),
        },
    ),
}
