"""Optimizers in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn

from ....reference import optimizers
from .base import OptimizerPart


def sgd(parameters: Iterable[nn.Parameter], optimizer: optimizers.SGD) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=optimizer.learning_rates(1)[0],
        momentum=optimizer.momentum,
        dampening=optimizer.dampening,
        nesterov=optimizer.nesterov,
        weight_decay=optimizer.weight_decay,
    )


def adam(parameters: Iterable[nn.Parameter], optimizer: optimizers.Adam) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        parameters,
        lr=optimizer.learning_rates(1)[0],
        betas=(optimizer.beta1, optimizer.beta2),
        eps=optimizer.epsilon,
        weight_decay=optimizer.weight_decay,
    )


OPTIMIZERS: dict[str, OptimizerPart] = {
    "sgd": OptimizerPart("native", sgd, {"velocity": "momentum_buffer"}),
    "adam": OptimizerPart("native", adam, {"step": "step", "first_moment": "exp_avg", "second_moment": "exp_avg_sq"}),
}
