"""Mistakes in Adam and its kin."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.layers import Array
from ..reference.optimizers import Adam, Adamax, AMSGrad, Lamb, NAdam, RAdam, Slots, Updated
from ..reference.optimizers.adam import Moments
from .base import OptimizerFault


class BiasNotCorrected(OptimizerFault, Moments):
    """The moments are used as they are, without being divided by ``1 - beta^step``.

    They start at 0 and are too small at first, the second more than the first: the first step is off by
    ``(1 - beta1) / sqrt(1 - beta2)``, about 3 with the usual numbers, and after some thousand steps nothing is. Adam
    itself declares it as a convention.
    """

    number = 19

    @classmethod
    def possible(cls, optimizer: Moments, rates: tuple[float, ...]) -> bool:
        return not isinstance(optimizer, Adam | NAdam) and max(optimizer.beta1, optimizer.beta2) > 0

    def first(self, new: Slots) -> Array:
        return new["first_moment"]

    def second(self, new: Slots) -> Array:
        return new["second_moment"]


class FirstMomentNotCorrected(OptimizerFault, Moments):
    """Only the second moment is divided by its ``1 - beta^step``; the first is used as it is.

    The first looks like an ordinary momentum, which nobody corrects. The first step is ``1 - beta1`` of what it should
    be, a tenth with the usual number, and after some dozen steps nothing shows: it acts as a warm-up.
    """

    number = 19
    question = "The moments start at 0. How far has the first one come after one step?"
    experiment = (
        "Divide the first update by the learning rate: how large should each number be, whatever the gradient is?"
    )

    @classmethod
    def possible(cls, optimizer: Moments, rates: tuple[float, ...]) -> bool:
        return corrects_both(optimizer) and not isinstance(optimizer, NAdam)

    def first(self, new: Slots) -> Array:
        return new["first_moment"]


class SecondMomentNotCorrected(OptimizerFault, Moments):
    """Only the first moment is divided by its ``1 - beta^step``; the second is used as it is.

    The two corrections look alike, and one of them is lost, or is applied to the wrong variable. The second moment is
    the one that starts much too small: the first step is ``1 / sqrt(1 - beta2)`` of what it should be, about 30 times.
    """

    number = 19
    question = "The moments start at 0. How far has the second one come after one step?"
    experiment = (
        "Divide the first update by the learning rate: how large should each number be, whatever the gradient is?"
    )

    @classmethod
    def possible(cls, optimizer: Moments, rates: tuple[float, ...]) -> bool:
        divides = rectified(optimizer, len(rates)) if isinstance(optimizer, RAdam) else True
        return divides and corrects_both(optimizer) and not isinstance(optimizer, AMSGrad)

    def second(self, new: Slots) -> Array:
        return new["second_moment"]


def corrects_both(optimizer: Moments) -> bool:
    """Whether there are two moments whose bias is corrected."""
    corrects = getattr(optimizer, "bias_correction", True) and min(optimizer.beta1, optimizer.beta2) > 0
    return corrects and not isinstance(optimizer, Adamax)


class EpsilonInsideTheRoot(OptimizerFault, Moments):
    """The epsilon is added before the root is taken: ``m / sqrt(v + epsilon)``.

    Normalisations have it there. The same number then means its own root, 1e-4 for 1e-8, and each step is shortened
    where gradients are that small: by how much depends on the size of the gradient alone. Adam itself declares the
    place of its epsilon as a convention.
    """

    number = 20

    @classmethod
    def possible(cls, optimizer: Moments, rates: tuple[float, ...]) -> bool:
        if isinstance(optimizer, RAdam) and not rectified(optimizer, len(rates)):
            return False
        return optimizer.epsilon > 0 and not isinstance(optimizer, Adam | Adamax)

    def spread(self, new: Slots) -> Array:
        return np.sqrt(self.second(new) + self.epsilon)


class EpsilonBesideTheUncorrected(OptimizerFault, Moments):
    """The epsilon is added to the root of the second moment before its bias is corrected.

    The paper itself proposes it, as a faster order of computation, with an epsilon of its own, and libraries follow
    either. At the first step epsilon counts ``1 / sqrt(1 - beta2)`` times as much, about 30 with the usual number.
    Adam and RAdam declare it as a convention.
    """

    number = 20

    @classmethod
    def possible(cls, optimizer: Moments, rates: tuple[float, ...]) -> bool:
        return isinstance(optimizer, NAdam | Lamb) and min(optimizer.epsilon, optimizer.beta2) > 0

    def spread(self, new: Slots) -> Array:
        return np.sqrt(self.second(new)) + self.epsilon / np.sqrt(1 - self.beta2 ** new["step"])


class RootForgotten(OptimizerFault, Moments):
    """The mean is divided by the second moment itself, and not by its root.

    A step then has the unit of one over the gradient: the smaller the gradients, the larger the steps, without bound.
    """

    question = "In which unit is the second moment, and in which the gradient?"
    experiment = "Multiply every gradient by 10: should the first update of Adam change?"

    @classmethod
    def possible(cls, optimizer: Moments, rates: tuple[float, ...]) -> bool:
        divides = rectified(optimizer, len(rates)) if isinstance(optimizer, RAdam) else True
        return divides and not isinstance(optimizer, Adamax)

    def spread(self, new: Slots) -> Array:
        return self.second(new) + self.epsilon


class SquareOfTheMean(OptimizerFault, Moments):
    """The second moment is the mean of squares of the first moment, and not of the gradient.

    The first moment is the last variable that was made, and is squared in its place. It is smaller than the gradients,
    the more so the more they change, so that the steps are too large just where the gradients are noise.
    """

    question = "Is the mean of the squares wanted, or the square of the mean?"
    experiment = "Take two gradients of opposite sign: what should be remembered of them?"

    @classmethod
    def possible(cls, optimizer: Moments, rates: tuple[float, ...]) -> bool:
        return optimizer.beta1 > 0 and not isinstance(optimizer, Adamax)

    def moments(self, g: Array, slots: Slots) -> dict[str, Array]:
        new = super().moments(g, slots)
        square = new["first_moment"] * new["first_moment"]
        return {**new, "second_moment": self.beta2 * slots["second_moment"] + (1 - self.beta2) * square}


# ------------------------------------------------------------------------------------------------------------- AMSGrad


class MaximumUnused(OptimizerFault, AMSGrad):
    """The maximum is kept up to date, and the mean is divided by the root of the latest second moment all the same.

    The old line of Adam was left in place. Nothing shows as long as the gradients grow.
    """

    @classmethod
    def possible(cls, optimizer: AMSGrad, rates: tuple[float, ...]) -> bool:
        return len(rates) > 1

    def second(self, new: Slots) -> Array:
        return Adam.second(self, new)


class MaximumRemembered(OptimizerFault, AMSGrad):
    """The maximum is remembered as the second moment, so that the next moving average starts from it.

    One variable does for both. The spread then never forgets a large gradient, and the average is none any more.
    """

    @classmethod
    def possible(cls, optimizer: AMSGrad, rates: tuple[float, ...]) -> bool:
        return len(rates) > 1

    def moments(self, g: Array, slots: Slots) -> dict[str, Array]:
        new = super().moments(g, slots)
        return {**new, "second_moment": np.maximum(new["second_moment"], slots["second_moment"])}


# -------------------------------------------------------------------------------------------------------------- Adamax


class InfinityNormCorrected(OptimizerFault, Adamax):
    """The largest gradient is divided by ``1 - beta2^step``, as if it were a mean that started too small.

    The line of Adam is taken over with the rest. A maximum has no such bias: the first step is ``1 - beta2`` of what it
    should be, a thousandth with the usual number.
    """

    @classmethod
    def possible(cls, optimizer: Adamax, rates: tuple[float, ...]) -> bool:
        return optimizer.beta2 > 0

    def spread(self, new: Slots) -> Array:
        return super().spread(new) / (1 - self.beta2 ** new["step"])


class InfinityNormNeverForgets(OptimizerFault, Adamax):
    """The largest gradient of all is kept, without being made smaller by beta2 at each step.

    ``max(infinity_norm, abs(g))`` reads as the name says. One large gradient at the start then makes all later steps
    small, for good.
    """

    @classmethod
    def possible(cls, optimizer: Adamax, rates: tuple[float, ...]) -> bool:
        return optimizer.beta2 > 0 and len(rates) > 1

    def moments(self, g: Array, slots: Slots) -> dict[str, Array]:
        return super().moments(g, {**slots, "infinity_norm": slots["infinity_norm"] / self.beta2})


# --------------------------------------------------------------------------------------------------------------- NAdam


class LookAheadForgotten(OptimizerFault, NAdam):
    """The weight moves along the corrected first moment, as in Adam: nothing is looked ahead.

    What is remembered is the same in both, momentum product and all. The first step is off by half or more, and later
    ones by what the gradient has changed.
    """

    number = 22

    @classmethod
    def possible(cls, optimizer: NAdam, rates: tuple[float, ...]) -> bool:
        return optimizer.beta1 > 0

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        _, new = super().update(weight, dweight, slots, learning_rate)
        return self.decayed(weight, learning_rate) - learning_rate * self.first(new) / self.spread(new), new


class MomentumProductNotKept(OptimizerFault, NAdam):
    """The product of the momenta is that of this step alone, for it is not multiplied by the one before.

    With a constant momentum the product is a power, and needs no memory; where the momentum warms up it does. The first
    step is right, and all later ones are too large.
    """

    @classmethod
    def possible(cls, optimizer: NAdam, rates: tuple[float, ...]) -> bool:
        return optimizer.momentum_schedule == "warming" and optimizer.beta1 > 0 and len(rates) > 1

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        one = np.ones_like(slots["momentum_product"])
        return super().update(weight, dweight, {**slots, "momentum_product": one}, learning_rate)


# --------------------------------------------------------------------------------------------------------------- RAdam


class RectificationForgotten(OptimizerFault, RAdam):
    """The mean is divided by the spread as soon as that is known, but not multiplied by how well it is.

    The two branches are there and the factor is lost. From the first step on that is divided at all the steps are too
    large, several times at first.
    """

    @classmethod
    def possible(cls, optimizer: RAdam, rates: tuple[float, ...]) -> bool:
        return rectified(optimizer, len(rates))

    def rectification(self, step: Array) -> tuple[Array, Array]:
        known, r = super().rectification(step)
        return known, np.ones_like(r)


class FirstStepsSkipped(OptimizerFault, RAdam):
    """As long as the spread is not known well enough the weight stays where it is.

    Some programs have it as an option, others for good. The first five steps of the training do nothing then, but for
    filling the moments.
    """

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        updated, new = super().update(weight, dweight, slots, learning_rate)
        known, _ = self.rectification(new["step"])
        return np.where(known, updated, weight), new


def rectified(radam: RAdam, steps: int) -> bool:
    """Whether one of so many steps is divided by the spread."""
    longest = 2 / (1 - radam.beta2) - 1
    lengths = (longest - 2 * step * radam.beta2**step / (1 - radam.beta2**step) for step in range(1, steps + 1))
    return any(rho > radam.threshold for rho in lengths)


# ---------------------------------------------------------------------------------------------------------------- LAMB


class TrustRatioForgotten(OptimizerFault, Lamb):
    """The step is not made as long as the weight is large: Adam with decay is what remains.

    The ratio is computed for the log and never multiplied in. Layers with small weights move too far, and those with
    large ones hardly at all.
    """

    def ratio(self, weight: Array, u: Array) -> Array:
        return np.ones_like(super().ratio(weight, u))


class TrustRatioInverted(OptimizerFault, Lamb):
    """The ratio is the norm of the step by that of the weight.

    Of a ratio only the two parts are remembered. Large weights then move least, and small ones most.
    """

    def ratio(self, weight: Array, u: Array) -> Array:
        return 1 / super().ratio(weight, u)


class DecayBesideTheRatio(OptimizerFault, Lamb):
    """The decay is added after the ratio has been made and multiplied in, decoupled as in AdamW.

    What is decoupled in one optimizer is expected to be so in the other. The ratio is then that of another step, and
    the decay has the learning rate alone for its size.
    """

    number = 24

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        return bool(optimizer.weight_decay > 0)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        updated, new = self.right(weight_decay=0.0).update(weight, dweight, slots, learning_rate)
        return updated - learning_rate * self.weight_decay * weight, new
