"""Mistakes in optimizers of every kind: the gradients are right, and what is made of them is not.

Those of one family are in ``momentum``, ``moments``, ``squares``, ``signs`` and ``matrices``.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from ..reference.layers import Array
from ..reference.optimizers import OPTIMIZERS, Adafactor, Lion, Muon, Optimizer, Rprop, Slots, Updated
from ..reference.optimizers.adam import Moments
from .base import OptimizerFault


class Ascent(OptimizerFault):
    """The update is added, not subtracted: the loss is climbed.

    A sign is lost between the gradient of a loss, which is to fall, and that of a reward, which is to rise. The weights
    move by the right amount the wrong way.
    """

    question = "In which direction does the gradient point: where the loss grows, or where it falls?"
    experiment = "Take one step with a small rate and compute the loss again: has it become smaller?"

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        updated, new = super().update(weight, dweight, slots, learning_rate)
        return weight + (weight - updated), new


class RateAppliedTwice(OptimizerFault):
    """The learning rate is multiplied in twice.

    The gradient is scaled where it is computed, and again by the optimizer. The update is too small by the learning
    rate itself, so that the network seems to need a larger one.
    """

    question = "How often does the learning rate enter one update?"
    experiment = "Halve the learning rate: by what must the change of a weight shrink?"

    @classmethod
    def possible(cls, optimizer: Optimizer, rates: tuple[float, ...]) -> bool:
        return not set(rates) <= {0, 1} and not isinstance(optimizer, Rprop)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        return super().update(weight, dweight, slots, learning_rate * learning_rate)


# --------------------------------------------------------------------------------------------------------------- decay


class DecayForgotten(OptimizerFault):
    """The weight decay is not applied.

    An option that is accepted and never read. The gradients are right and the weights are a little too large, by more
    with every step.
    """

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return decays(optimizer)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        defaults = {known.name: known.default for known in fields(OPTIMIZERS[self.kind])}
        default = {"decay": defaults["decay"]} if "decay" in defaults else {}
        return self.right(weight_decay=0.0, **default).update(weight, dweight, slots, learning_rate)


class DecayDoubled(OptimizerFault):
    """The weight decay is twice what it should be: ``2 * weight_decay * weight``.

    It is the gradient of ``weight_decay * |weight|^2``; the decay of optimizers is that of half of it. Which of the two
    a text means is seldom said.
    """

    weight_decay: float

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return decays(optimizer)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        return self.right(weight_decay=2 * self.weight_decay).update(weight, dweight, slots, learning_rate)


class DecayWithoutTheRate(OptimizerFault):
    """The weight is multiplied by ``1 - weight_decay``, without the learning rate.

    The paper that decoupled the decay writes it so, with a factor of the schedule alone, and libraries multiply by the
    rate. A decay that suits the one is a thousand times too strong or too weak for the other.
    """

    number = 24
    weight_decay: float

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return decays(optimizer) and getattr(optimizer, "decay", "") == "decoupled" and set(rates) != {1}

    def decayed(self, weight: Array, learning_rate: float) -> Array:
        return weight * (1 - self.weight_decay)


def decays(optimizer: Any) -> bool:
    """Whether weights decay."""
    return getattr(optimizer, "weight_decay", 0) > 0


# ----------------------------------------------------------------------------------------------------- steps and betas


class StepAhead(OptimizerFault):
    """The number of the step is that of the step after this one.

    The counter is increased by the training loop and once more by the optimizer, or is made to start at 1 lest the
    first division be by 0. Adam's first step is ``sqrt(1 + beta2) / (1 + beta1)`` of what it should be, about 0.74 with
    the usual numbers, and later steps hardly differ.
    """

    number = 28
    question = "Which number has the first step in the correction of the moments?"
    experiment = (
        "Divide the first update by the learning rate: how large should each number be, whatever the gradient is?"
    )

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return counts(optimizer)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        step = slots["step"] + 1
        updated, new = super().update(weight, dweight, {**slots, "step": step}, learning_rate)
        return updated, {**new, "step": step}


class StepCountedFromOne(OptimizerFault):
    """The counter starts at 1 and is increased before its first use: the first step is the second.

    The formula divides by 0 at a step of 0, so the counter is made to start at 1, and the line that increases it is
    there already. What is remembered is one ahead for good, and a checkpoint carries that on.
    """

    number = 28
    question = "At which number does the counter of steps stand when the first update begins?"
    experiment = "Print the counter in the first update."

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return counts(optimizer)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        count = slots["step"]
        started = np.where(count < 1, count + 1, count)
        return super().update(weight, dweight, {**slots, "step": started}, learning_rate)


def counts(optimizer: Any) -> bool:
    """Whether the number of the step makes a difference to an update."""
    if isinstance(optimizer, Moments):
        return getattr(optimizer, "bias_correction", True) and max(optimizer.beta1, optimizer.beta2) > 0
    if isinstance(optimizer, Muon):
        return optimizer.bias_correction and optimizer.nesterov
    return isinstance(optimizer, Adafactor)


class BetasExchanged(OptimizerFault):
    """The two betas are exchanged: the mean of the gradients forgets slowly, that of their squares quickly.

    They are two numbers below 1 in a tuple. The first step is the same; then every weight goes on in the direction of
    long ago.
    """

    question = "Which of the two moments forgets faster, and which beta is nearer to 1?"
    experiment = (
        "Print both moments after the first step beside the gradient and its square: which fraction of them is each?"
    )

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return isinstance(optimizer, Moments | Lion) and optimizer.beta1 != optimizer.beta2

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        return self.right(**exchanged(self)).update(weight, dweight, slots, learning_rate)


def exchanged(optimizer: Any) -> dict[str, float]:
    """The betas, each under the name of the other."""
    return {"beta1": optimizer.beta2, "beta2": optimizer.beta1}
