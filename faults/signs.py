"""Mistakes in Lion and Rprop."""

from __future__ import annotations

from ..reference.layers import Array
from ..reference.optimizers import Lion, Rprop, Slots, Updated
from ..reference.optimizers.signs import sign
from .base import OptimizerFault


class MomentMovedFirst(OptimizerFault, Lion):
    """The moment is updated first, and its sign is the direction.

    One line less, and what every other optimizer does. But beta1 is then not used at all, and the gradient at hand
    hardly counts in the direction.
    """

    @classmethod
    def possible(cls, optimizer: Lion, rates: tuple[float, ...]) -> bool:
        return optimizer.beta1 != optimizer.beta2 and len(rates) > 1

    def mean(self, g: Array, first_moment: Array) -> Array:
        return self.moment(g, first_moment)


class OneBetaForBoth(OptimizerFault, Lion):
    """What is remembered is the mean that the sign was taken of, made with beta1.

    Two means of the same two things seem one too many. The memory is then shorter, ten times with the usual numbers.
    """

    @classmethod
    def possible(cls, optimizer: Lion, rates: tuple[float, ...]) -> bool:
        return optimizer.beta1 != optimizer.beta2

    def moment(self, g: Array, first_moment: Array) -> Array:
        return self.mean(g, first_moment)


class SignForgotten(OptimizerFault, Lion):
    """The weight moves by the mean itself, and not by its sign.

    It is gradient descent with momentum then. The learning rate of a sign is far too small for it, and nothing fails.
    """

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        direction = self.mean(self.with_decay(weight, dweight), slots["first_moment"])
        return self.decayed(weight, learning_rate) - learning_rate * direction, new


class TurnedStepTaken(OptimizerFault, Rprop):
    """Where the sign of the gradient has changed a step is taken all the same, and the gradient remembered.

    The step size is made smaller, and the rest of the rule is overlooked. At the next step the sign changes once more,
    or does not, and the size is made smaller or larger by mistake.
    """

    only_where = "a gradient changes its sign from one step to the next"

    @classmethod
    def possible(cls, optimizer: Rprop, rates: tuple[float, ...]) -> bool:
        return optimizer.applies == "this" and len(rates) > 1

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        turn = sign(dweight) * sign(slots["previous_gradient"])
        step_size = self.resized(slots["step_size"], turn)
        return weight - sign(dweight) * step_size, {"step_size": step_size, "previous_gradient": dweight}


class GrowthAndShrinkageExchanged(OptimizerFault, Rprop):
    """Step sizes shrink where the sign of the gradient stays, and grow where it changes.

    Two factors, of which one is below 1, in a tuple. Where the way is straight the weight comes to a halt, and across a
    valley it swings ever wider.
    """

    @classmethod
    def possible(cls, optimizer: Rprop, rates: tuple[float, ...]) -> bool:
        return len(rates) > 1

    def resized(self, step_size: Array, turn: Array) -> Array:
        return super().resized(step_size, -turn)
