"""Mistakes in gradient descent with momentum."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.layers import Array
from ..reference.optimizers import SGD, Slots, Updated
from .base import OptimizerFault


class RateInsideTheVelocity(OptimizerFault, SGD):
    """The velocity takes up the gradient times the learning rate, and the weight moves by the velocity.

    The papers and some libraries write it so, others multiply by the rate at the end. While the rate stays the same so
    do the weights; when it is lowered, what was taken up before goes on at the old rate.
    """

    number = 23

    @classmethod
    def possible(cls, optimizer: SGD, rates: tuple[float, ...]) -> bool:
        return optimizer.momentum > 0 and len(set(rates)) > 1

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        step = learning_rate * self.with_decay(weight, dweight)
        velocity = self.momentum * slots["velocity"] + (1 - self.dampening) * step if slots else step
        direction = step + self.momentum * velocity if self.nesterov else velocity
        return self.decayed(weight, learning_rate) - direction, {"velocity": velocity}


class VelocityInUnitsOfTheWeights(OptimizerFault, SGD):
    """The velocity is what the weight moves by: ``v = momentum * v - rate * g``, and ``weight = weight + v``.

    Papers and courses write it so, sign and rate included, and while the rate stays the same so do the weights. What
    is remembered is another number: a velocity loaded from elsewhere pushes the wrong way, and when the rate is lowered
    the old steps go on at the old rate.
    """

    number = 23

    @classmethod
    def possible(cls, optimizer: SGD, rates: tuple[float, ...]) -> bool:
        return optimizer.momentum > 0 and not optimizer.nesterov

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        step = learning_rate * self.with_decay(weight, dweight)
        velocity = self.momentum * slots["velocity"] - (1 - self.dampening) * step if slots else -step
        return self.decayed(weight, learning_rate) + velocity, {"velocity": velocity}


class MomentumAveraged(OptimizerFault, SGD):
    """The velocity is a moving average: the gradient enters it times ``1 - momentum``.

    Adam's first moment is one, and so is the momentum of some courses. The steps are smaller by that factor, ten times
    at a momentum of 0.9: a learning rate that suits the one is wrong for the other.
    """

    @classmethod
    def possible(cls, optimizer: SGD, rates: tuple[float, ...]) -> bool:
        return optimizer.momentum > 0 and not optimizer.dampening

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        g = (1 - self.momentum) * self.with_decay(weight, dweight)
        velocity = self.momentum * slots["velocity"] + g if slots else g
        direction = g + self.momentum * velocity if self.nesterov else velocity
        return self.decayed(weight, learning_rate) - learning_rate * direction, {"velocity": velocity}


class MomentumOnTheWeight(OptimizerFault, SGD):
    """The momentum multiplies the weight, not the velocity: ``weight = momentum * weight - learning_rate * g``.

    With one variable for what is changed and what is remembered, the line of the velocity is written for the weight.
    Every step shrinks all weights by the same factor, and what remains is far from what was learnt.
    """

    @classmethod
    def possible(cls, optimizer: SGD, rates: tuple[float, ...]) -> bool:
        return optimizer.momentum > 0

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        shrunk = self.momentum * self.decayed(weight, learning_rate)
        return shrunk - learning_rate * self.with_decay(weight, dweight), new


class VelocityUnused(OptimizerFault, SGD):
    """The velocity is kept up to date and the weight moves by the gradient all the same.

    The old line of plain gradient descent was left in place. The first step is the same with and without momentum; the
    state looks right at every step.
    """

    @classmethod
    def possible(cls, optimizer: SGD, rates: tuple[float, ...]) -> bool:
        return optimizer.momentum > 0 and (optimizer.nesterov or len(rates) > 1)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        return self.decayed(weight, learning_rate) - learning_rate * self.with_decay(weight, dweight), new


class NesterovSign(OptimizerFault, SGD):
    """Nesterov's formula with a parenthesis lost: ``weight - rate * g + rate * momentum * velocity``.

    ``weight - (g + momentum * velocity) * rate`` is multiplied out, and the second sign is not turned. The velocity
    pushes backwards, and training does not converge.
    """

    number = 22

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return bool(optimizer.nesterov)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        step = self.with_decay(weight, dweight) - self.momentum * new["velocity"]
        return self.decayed(weight, learning_rate) - learning_rate * step, new


class NesterovFromTheNewVelocity(OptimizerFault, SGD):
    """The weight moves by ``(1 + momentum) * velocity``, where it should by ``g + momentum * velocity``.

    The paper's two lines are joined, and it is overlooked that the weights of a program are those looked ahead at
    already. The first step is the same; from the second on the past counts twice.
    """

    number = 22

    @classmethod
    def possible(cls, optimizer: SGD, rates: tuple[float, ...]) -> bool:
        return optimizer.nesterov and len(rates) > 1

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        return self.decayed(weight, learning_rate) - learning_rate * (1 + self.momentum) * new["velocity"], new


class NesterovInUnitsOfTheWeights(OptimizerFault, SGD):
    """Nesterov by two velocities: ``weight = weight - momentum * v_old + (1 + momentum) * v``, the rate inside ``v``.

    Courses derive it so, with ``v = momentum * v_old - rate * g``. While the rate stays the same so do the weights; the
    velocity that is remembered has another sign and size, so that neither a checkpoint nor a change of the rate means
    the same.
    """

    number = 22

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return bool(optimizer.nesterov)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        old = slots["velocity"] if slots else np.zeros_like(weight)
        velocity = self.momentum * old - learning_rate * self.with_decay(weight, dweight)
        return self.decayed(weight, learning_rate) - self.momentum * old + (1 + self.momentum) * velocity, {
            "velocity": velocity
        }
