"""Mistakes in losses of several predictions."""

from __future__ import annotations

import numpy as np

from ..reference.layers import Array
from ..reference.losses import CosineEmbedding, GaussianNLL, TripletMargin
from ..reference.losses.base import above_zero, divisor
from .base import LossFault


class LengthsTakenAsConstant(LossFault, CosineEmbedding):
    """The cosine is differentiated as if the lengths of the rows did not depend on them.

    ``x2 / (|x1| |x2|)`` is what is left. The gradient should have no part along the row, for a longer row has the same
    angle; here rows grow or shrink for nothing.
    """

    wrong = ("backward",)

    def backward(self, saved: tuple[Array, ...]) -> tuple[Array, Array]:
        x1, x2, target, cos, lengths, _, _ = saved
        dlosses = np.where(target > 0, -np.ones_like(cos), above_zero(cos - self.margin, self.slope_at_margin))
        dcos = (dlosses / divisor(self.reduction, cos))[..., None] / lengths[..., None]
        return dcos * x2, dcos * x1


class PairsThatDifferPulledTogether(LossFault, CosineEmbedding):
    """The gradient is that of pairs that belong together, whatever the target says.

    The branch for a target of -1 is in the forward and forgotten in the backward. The loss is right, and what should be
    pushed apart is pulled together.
    """

    wrong = ("backward",)

    def backward(self, saved: tuple[Array, ...]) -> tuple[Array, Array]:
        x1, x2, target, *rest = saved
        return super().backward((x1, x2, np.ones_like(target), *rest))


class NegativePulledToo(LossFault, TripletMargin):
    """The distance to the negative is differentiated with the sign of that to the positive.

    Two lines are copied, and the minus of ``near - far`` is lost in the second. Both rows are pulled to the anchor;
    the loss, which is computed rightly, does not fall.
    """

    wrong = ("backward",)

    def backward(self, saved: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
        to_positive, near, to_negative, far, short = saved
        dshort = above_zero(short, self.slope_at_margin) / divisor(self.reduction, short)
        dto_positive, dto_negative = (dshort / near)[..., None] * to_positive, (dshort / far)[..., None] * to_negative
        return dto_positive + dto_negative, -dto_positive, -dto_negative


class AnchorGivenOneSide(LossFault, TripletMargin):
    """The anchor has the gradient of its distance to the positive alone.

    It stands in both distances, and the second assignment is left out where an addition is meant. Positive and negative
    are exact, and the anchor runs to the one without leaving the other.
    """

    wrong = ("backward",)

    def backward(self, saved: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
        _, dpositive, dnegative = super().backward(saved)
        return -dpositive, dpositive, dnegative


class LogOfTheVarianceForgotten(LossFault, GaussianNLL):
    """The loss is the squared error over the variance alone, and its gradient that of it.

    Without ``log(v)`` nothing keeps the variance from growing: the larger it says it is, the smaller the loss.
    """

    wrong = ("forward", "backward")

    def forward(self, mean: Array, variance: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        error, v = mean - target, np.maximum(variance, self.epsilon)
        losses = error * error / v / 2
        return losses if self.reduction == "none" else losses.sum() / divisor(self.reduction, error), (error, v)

    def backward(self, saved: tuple[Array, Array]) -> tuple[Array, Array]:
        error, v = saved
        count = divisor(self.reduction, error)
        return error / v / count, -error * error / (v * v) / 2 / count


class VarianceTakenForDeviation(LossFault, GaussianNLL):
    """The gradient of the variance is that of a deviation: ``1 / s - error^2 / s^3`` with the variance for s.

    The formula of a network that predicts the deviation is put behind one that predicts its square. The mean's gradient
    is exact, and the variance settles at a wrong value.
    """

    wrong = ("backward",)

    def backward(self, saved: tuple[Array, Array]) -> tuple[Array, Array]:
        error, v = saved
        dmean, _ = super().backward(saved)
        return dmean, (1 / v - error * error / (v * v * v)) / divisor(self.reduction, error)
