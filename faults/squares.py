"""Mistakes in AdaGrad, RMSprop and Adadelta."""

from __future__ import annotations

import numpy as np

from ..reference.layers import Array
from ..reference.optimizers import Adadelta, Adagrad, RMSprop, Slots, Updated
from ..reference.optimizers.squares import root
from .base import OptimizerFault


class SquaresNotAccumulated(OptimizerFault, Adagrad):
    """The sum of squares is that of the latest gradient alone: ``=`` stands for ``+=``.

    Every step is then the sign of the gradient times the rate, and never becomes smaller.
    The first step is the same.
    """

    @classmethod
    def possible(cls, optimizer: Adagrad, rates: tuple[float, ...]) -> bool:
        return len(rates) > 1 or optimizer.initial_accumulator > 0

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        nothing = np.zeros_like(slots["sum_of_squares"])
        return super().update(weight, dweight, {"sum_of_squares": nothing}, learning_rate)


class SumDividedWithoutRoot(OptimizerFault, Adagrad):
    """The gradient is divided by the sum of squares itself, and not by its root.

    A step then has the unit of one over the gradient: where gradients are small it is far too large, and it shrinks
    with the number of steps instead of its root.
    """

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        step = self.with_decay(weight, dweight) / (new["sum_of_squares"] + self.epsilon)
        return self.decayed(weight, learning_rate) - learning_rate * step, new


class SharesExchanged(OptimizerFault, RMSprop):
    """What is kept of the average and what is taken of the new square are exchanged.

    ``rho`` is what is kept in some texts, and what is forgotten in others. With 0.99 the average is the latest square
    for all practical purposes, and each step nearly the sign of the gradient.
    """

    @classmethod
    def possible(cls, optimizer: RMSprop, rates: tuple[float, ...]) -> bool:
        return optimizer.rho not in (0, 0.5)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        return self.right(rho=1 - self.rho).update(weight, dweight, slots, learning_rate)


class MeanAddedToTheSquare(OptimizerFault, RMSprop):
    """The square of the mean gradient is added to the mean of the squares, where it should be taken from it.

    Both signs give a number above 0 whose root can be taken, so that nothing fails. The steps are too small where the
    gradient keeps its sign, just where centring is to make them larger.
    """

    @classmethod
    def possible(cls, optimizer: RMSprop, rates: tuple[float, ...]) -> bool:
        return optimizer.centred

    def square(self, new: Slots) -> Array:
        square: Array = new["square_average"] + new["gradient_average"] * new["gradient_average"]
        return square


class VelocityOfTheGradient(OptimizerFault, RMSprop):
    """The velocity takes up the gradient, and is divided by the root afterwards.

    Momentum first and scaling second is Adam's order. The first step is the same; then old gradients are divided by the
    size of the new ones.
    """

    @classmethod
    def possible(cls, optimizer: RMSprop, rates: tuple[float, ...]) -> bool:
        return optimizer.momentum > 0 and optimizer.rate_in == "outside"

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        g = self.with_decay(weight, dweight)
        new = self.averages(g, slots)
        velocity = self.momentum * slots["velocity"] + g
        step = velocity / root(self.square(new), self.epsilon, self.epsilon_in)
        return self.decayed(weight, learning_rate) - learning_rate * step, {**new, "velocity": velocity}


class DeltaWithTheRate(OptimizerFault, Adadelta):
    """The average of the steps takes up the step times the learning rate.

    The step is the last variable that was made. With a rate of 1, as in the paper, it is the same; with another the
    steps shrink or grow by themselves, more at each of them.
    """

    @classmethod
    def possible(cls, optimizer: Adadelta, rates: tuple[float, ...]) -> bool:
        return set(rates) != {1}

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        updated, new = super().update(weight, dweight, slots, learning_rate)
        g = self.with_decay(weight, dweight)
        moved = learning_rate * self.delta(g, new["square_average"], slots["delta_average"])
        delta_average = self.rho * slots["delta_average"] + (1 - self.rho) * (moved * moved)
        return updated, {**new, "delta_average": delta_average}


class EpsilonBesideTheRoots(OptimizerFault, Adadelta):
    """The epsilon is added to both roots, and not under them.

    Elsewhere it only keeps a division from failing. Here it is the size of the first step, which so becomes a thousand
    times smaller, and the training hardly starts.
    """

    def delta(self, g: Array, square_average: Array, delta_average: Array) -> Array:
        return (np.sqrt(delta_average) + self.epsilon) / (np.sqrt(square_average) + self.epsilon) * g
