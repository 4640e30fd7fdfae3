"""Mistakes in optimizers: the gradients are right, and what is made of them is not."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..reference.layers import Array
from ..reference.optimizers import SGD, Adam, Optimizer, Slots
from .base import OptimizerFault

Updated: TypeAlias = tuple[Array, dict[str, Array]]


class Ascent(OptimizerFault):
    """The update is added, not subtracted: the loss is climbed.

    A sign is lost between the gradient of a loss, which is to fall, and that of a reward, which is to rise. The weights
    move by the right amount the wrong way.
    """

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        return super().update(weight, dweight, slots, -learning_rate)


class RateAppliedTwice(OptimizerFault):
    """The learning rate is multiplied in twice.

    The gradient is scaled where it is computed, and again by the optimizer. The update is too small by the learning
    rate itself, so that the network seems to need a larger one.
    """

    @classmethod
    def possible(cls, optimizer: Optimizer, rates: tuple[float, ...]) -> bool:
        return not set(rates) <= {0, 1}

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        return super().update(weight, dweight, slots, learning_rate * learning_rate)


class DecayDecoupled(OptimizerFault):
    """The weight decay is taken from the weight itself, where it should enter the gradient.

    ``Adam`` with decay and ``AdamW`` have the same arguments. Without momentum the two are one; with it the decay of
    earlier steps is missing from the velocity or the moments. What is off is proportional to the weight.
    """

    number = 24
    weight_decay: float

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return decays(optimizer) and (isinstance(optimizer, Adam) or optimizer.momentum > 0)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        updated, new = self.right(weight_decay=0.0).update(weight, dweight, slots, learning_rate)
        return updated - learning_rate * self.weight_decay * weight, new


class DecayForgotten(OptimizerFault):
    """The weight decay is not applied.

    An option that is accepted and never read. The gradients are right and the weights are a little too large, by more
    with every step.
    """

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return decays(optimizer)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        return self.right(weight_decay=0.0).update(weight, dweight, slots, learning_rate)


class DecayDoubled(OptimizerFault):
    """The weight decay enters the gradient as ``2 * weight_decay * weight``.

    It is the gradient of ``weight_decay * |weight|^2``; the decay of optimizers is that of half of it. Which of the two
    a text means is seldom said.
    """

    weight_decay: float

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return decays(optimizer)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        return self.right(weight_decay=2 * self.weight_decay).update(weight, dweight, slots, learning_rate)


def decays(optimizer: Any) -> bool:
    """Whether weights decay, coupled to the gradient."""
    return getattr(optimizer, "weight_decay", 0) > 0


# ------------------------------------------------------------------------------------------------------------ momentum


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
        step = learning_rate * with_decay(self, weight, dweight)
        velocity = self.momentum * slots["velocity"] + (1 - self.dampening) * step if slots else step
        return weight - (step + self.momentum * velocity if self.nesterov else velocity), {"velocity": velocity}


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
        step = learning_rate * with_decay(self, weight, dweight)
        velocity = self.momentum * slots["velocity"] - (1 - self.dampening) * step if slots else -step
        return weight + velocity, {"velocity": velocity}


class MomentumAveraged(OptimizerFault, SGD):
    """The velocity is a moving average: the gradient enters it times ``1 - momentum``.

    Adam's first moment is one, and so is the momentum of some courses. The steps are smaller by that factor, ten times
    at a momentum of 0.9: a learning rate that suits the one is wrong for the other.
    """

    @classmethod
    def possible(cls, optimizer: SGD, rates: tuple[float, ...]) -> bool:
        return optimizer.momentum > 0 and not optimizer.dampening

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        g = (1 - self.momentum) * with_decay(self, weight, dweight)
        velocity = self.momentum * slots["velocity"] + g if slots else g
        direction = g + self.momentum * velocity if self.nesterov else velocity
        return weight - learning_rate * direction, {"velocity": velocity}


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
        return self.momentum * weight - learning_rate * with_decay(self, weight, dweight), new


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
        return weight - learning_rate * with_decay(self, weight, dweight), new


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
        step = with_decay(self, weight, dweight) - self.momentum * new["velocity"]
        return weight - learning_rate * step, new


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
        return weight - learning_rate * (1 + self.momentum) * new["velocity"], new


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
        velocity = self.momentum * old - learning_rate * with_decay(self, weight, dweight)
        return weight - self.momentum * old + (1 + self.momentum) * velocity, {"velocity": velocity}


def with_decay(sgd: SGD, weight: Array, dweight: Array) -> Array:
    """The gradient that the velocity takes up."""
    return dweight + sgd.weight_decay * weight


# ---------------------------------------------------------------------------------------------------------------- Adam


class BiasNotCorrected(OptimizerFault, Adam):
    """The moments are used as they are, without being divided by ``1 - beta^step``.

    They start at 0 and are too small at first, the second more than the first: the first step is off by
    ``(1 - beta1) / sqrt(1 - beta2)``, about 3 with the usual numbers, and after some thousand steps nothing is.
    """

    number = 19

    @classmethod
    def possible(cls, optimizer: Adam, rates: tuple[float, ...]) -> bool:
        return max(optimizer.beta1, optimizer.beta2) > 0

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        root = np.sqrt(new["second_moment"])
        return weight - learning_rate * new["first_moment"] / (root + self.epsilon), new


class SecondMomentNotCorrected(OptimizerFault, Adam):
    """Only the first moment is divided by its ``1 - beta^step``; the second is used as it is.

    The two corrections look alike, and one of them is lost, or is applied to the wrong variable. The second moment is
    the one that starts much too small: the first step is ``1 / sqrt(1 - beta2)`` of what it should be, about 30 times.
    """

    number = 19

    @classmethod
    def possible(cls, optimizer: Adam, rates: tuple[float, ...]) -> bool:
        return min(optimizer.beta1, optimizer.beta2) > 0

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        m = new["first_moment"] / (1 - self.beta1 ** new["step"])
        return weight - learning_rate * m / (np.sqrt(new["second_moment"]) + self.epsilon), new


class FirstMomentNotCorrected(OptimizerFault, Adam):
    """Only the second moment is divided by its ``1 - beta^step``; the first is used as it is.

    The first looks like an ordinary momentum, which nobody corrects. The first step is ``1 - beta1`` of what it should
    be, a tenth with the usual number, and after some dozen steps nothing shows: it acts as a warm-up.
    """

    number = 19

    @classmethod
    def possible(cls, optimizer: Adam, rates: tuple[float, ...]) -> bool:
        return min(optimizer.beta1, optimizer.beta2) > 0

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        v = new["second_moment"] / (1 - self.beta2 ** new["step"])
        return weight - learning_rate * new["first_moment"] / (np.sqrt(v) + self.epsilon), new


class EpsilonInsideTheRoot(OptimizerFault, Adam):
    """The epsilon is added before the root is taken: ``m / sqrt(v + epsilon)``.

    Normalisations have it there. The same number then means its own root, 1e-4 for 1e-8, and each step is shortened
    where gradients are that small: by how much depends on the size of the gradient alone.
    """

    number = 20

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return bool(optimizer.epsilon > 0)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        m = new["first_moment"] / (1 - self.beta1 ** new["step"])
        v = new["second_moment"] / (1 - self.beta2 ** new["step"])
        return weight - learning_rate * m / np.sqrt(v + self.epsilon), new


class EpsilonBesideTheUncorrected(OptimizerFault, Adam):
    """The epsilon is added to the root of the second moment before its bias is corrected.

    The paper itself proposes it, as a faster order of computation, with an epsilon of its own, and libraries follow
    either. At the first step epsilon counts ``1 / sqrt(1 - beta2)`` times as much, about 30 with the usual number.
    """

    number = 20

    @classmethod
    def possible(cls, optimizer: Adam, rates: tuple[float, ...]) -> bool:
        return min(optimizer.epsilon, optimizer.beta2) > 0

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        scale = np.sqrt(1 - self.beta2 ** new["step"]) / (1 - self.beta1 ** new["step"])
        root = np.sqrt(new["second_moment"])
        return weight - learning_rate * scale * new["first_moment"] / (root + self.epsilon), new


class StepAhead(OptimizerFault, Adam):
    """The bias is corrected for the step after this one.

    The counter is increased by the training loop and once more by the optimizer, or is made to start at 1 lest the
    first division be by 0. The first step is ``sqrt(1 + beta2) / (1 + beta1)`` of what it should be, about 0.74 with
    the usual numbers, and later steps hardly differ.
    """

    number = 28

    @classmethod
    def possible(cls, optimizer: Adam, rates: tuple[float, ...]) -> bool:
        return max(optimizer.beta1, optimizer.beta2) > 0

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        step = slots["step"] + 1
        updated, new = super().update(weight, dweight, {**slots, "step": step}, learning_rate)
        return updated, {**new, "step": step}


class StepCountedFromOne(OptimizerFault, Adam):
    """The counter starts at 1 and is increased before its first use: the first step is the second.

    The formula divides by 0 at a step of 0, so the counter is made to start at 1, and the line that increases it is
    there already. What is remembered is one ahead for good, and a checkpoint carries that on.
    """

    number = 28

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        count = slots["step"]
        started = np.where(count < 1, count + 1, count)
        return super().update(weight, dweight, {**slots, "step": started}, learning_rate)


class BetasExchanged(OptimizerFault, Adam):
    """The two betas are exchanged: the mean of the gradients forgets slowly, that of their squares quickly.

    They are two numbers below 1 in a tuple. The first step is the same; then every weight goes on in the direction of
    long ago.
    """

    @classmethod
    def possible(cls, optimizer: Adam, rates: tuple[float, ...]) -> bool:
        return optimizer.beta1 != optimizer.beta2

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        return self.right(beta1=self.beta2, beta2=self.beta1).update(weight, dweight, slots, learning_rate)
