"""Mistakes in losses: in the number, in its gradient, or in both."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..reference.layers import Array, Shape, Softmax
from ..reference.losses import CrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from ..reference.losses.base import divisor
from .base import LossFault


class GradientNotAveraged(LossFault):
    """The loss is a mean, and its gradient that of the sum: the ``1 / N`` is missing.

    The printed loss is right, so it goes unnoticed, and a smaller learning rate makes up for it. Every gradient of the
    network is too large by the same factor, with cosine 1; Adam divides it away, and there the weights hardly show it.
    """

    number = 1
    wrong = ("backward",)

    @classmethod
    def possible(cls, loss: Any, prediction: Shape) -> bool:
        over_rows = loss.reduction == "mean" and not isinstance(loss, MeanSquaredError)
        return loss.reduction.startswith("mean") and prod(prediction[:-1] if over_rows else prediction) > 1

    def backward(self, saved: Any) -> Array:
        dprediction: Array = self.right(reduction="sum").backward(saved)
        return dprediction


class GradientDividedByTheFirstAxis(LossFault):
    """The gradient is divided by the number of sequences, ``len(targets)``, not by that of all their places.

    With one prediction for each example the two are the same number, and the line is carried over to sequences. Every
    gradient of the network is too large by the length of a sequence, while the printed loss is right.
    """

    number = 1
    wrong = ("backward",)

    @classmethod
    def possible(cls, loss: Any, prediction: Shape) -> bool:
        over_rows = loss.reduction == "mean" and not isinstance(loss, MeanSquaredError)
        return over_rows and prod(prediction[1:-1]) > 1

    def backward(self, saved: Any) -> Array:
        summed: Array = self.right(reduction="sum").backward(saved)
        dprediction: Array = summed / summed.shape[0]
        return dprediction


class LossGradientNegated(LossFault):
    """The gradient has the wrong sign: what leads uphill is taken for what leads downhill.

    ``target - prediction`` is written for ``prediction - target``, or the minus before the logarithm is lost. If the
    update has a plus to match, training works, and every gradient is still the negative of what it is called.
    """

    wrong = ("backward",)

    def backward(self, saved: Any) -> Array:
        return -super().backward(saved)


class GradientOfTheLogits(LossFault, CrossEntropy):
    """The gradient with respect to the probabilities is written ``p - target``, which is that of the logits.

    Softmax and cross-entropy together have this gradient, and it is the one that is remembered. Where softmax is a
    layer of its own, its backward comes on top, and the network learns slowly and somewhere else.
    """

    wrong = ("backward",)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        p, target = saved
        return (p - target) / divisor(self.reduction, p[..., 0], p.shape[-1])


class EveryOutputYesOrNo(LossFault, CrossEntropy):
    """Every output counts as a question of its own: ``-(target * log(p) + (1 - target) * log(1 - p))``.

    That is the binary cross-entropy, which goes by the same short name. For one-hot targets the two agree about the
    wanted class, and this one adds a term for each of the others.
    """

    wrong = ("forward", "backward")

    def forward(self, p: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        loss = -(target * np.log(p) + (1 - target) * np.log(1 - p)).sum() / divisor(
            self.reduction, p[..., 0], p.shape[-1]
        )
        return loss, (p, target)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        p, target = saved
        dp: Array = (1 - target) / (1 - p) - target / p
        return dp / divisor(self.reduction, p[..., 0], p.shape[-1])


class SoftmaxTwice(LossFault, SoftmaxCrossEntropy):
    """A softmax is applied to the logits before the loss, which applies one itself.

    The loss is called cross-entropy and the network is expected to give probabilities. The network's outputs are right;
    the loss cannot fall below ``log(1 + (C - 1) / e)`` for C classes, and gradients nearly vanish.
    """

    number = 6
    wrong = ("forward", "backward")

    def forward(self, z: Array, target: Array) -> tuple[Array, Any]:
        p, _ = Softmax().forward(z, {})
        loss, saved = super().forward(p, target)
        return loss, (p, saved)

    def backward(self, saved: Any) -> Array:
        p, of_loss = saved
        dp = super().backward(of_loss)
        dz, _ = Softmax().backward(dp, p, {})
        return dz


class SoftmaxTwiceDifferentiatedOnce(SoftmaxTwice):
    """A softmax is applied to the logits before the loss, which applies one itself, and one of them has no backward.

    The gradient is the well-known ``p - target``, with the p that the second softmax gave: the short formula stands
    for one softmax and hides that there were two. Gradients do not vanish, so that training works somewhat.
    """

    def backward(self, saved: Any) -> Array:
        _, of_loss = saved
        dz: Array = self.right().backward(of_loss)
        return dz


class ProbabilitiesTakenForLogits(LossFault, CrossEntropy):
    """The loss takes the softmax of what it is given, and is given probabilities.

    The network ends in a softmax, and the loss is the library's, which expects logits; nothing complains, since
    probabilities are numbers too. The loss cannot come near 0, and the gradient with respect to the probabilities is
    ``(softmax(p) - target) / N``.
    """

    number = 6
    wrong = ("forward", "backward")

    def forward(self, p: Array, target: Array) -> tuple[Array, Any]:
        return self.from_logits().forward(p, target)

    def backward(self, saved: Any) -> Array:
        return self.from_logits().backward(saved)

    def from_logits(self) -> SoftmaxCrossEntropy:
        """The loss that expects logits."""
        return SoftmaxCrossEntropy(self.reduction, "distributions")


class WrongClassesForgotten(LossFault, SoftmaxCrossEntropy):
    """Only the wanted class has a gradient: ``-target (1 - p)``, and 0 for all others.

    The loss names the logarithm of one probability, and only that one's logit is followed back; but the others stand in
    its denominator. Rows of the gradient do not add up to 0.
    """

    wrong = ("backward",)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        _, wanted = saved
        dz: Array = super().backward(saved) * wanted
        return dz


class PowerRuleForgotten(LossFault, MeanSquaredError):
    """The gradient is half of what it should be: the 2 of ``d(error^2) = 2 error d(error)`` is missing.

    Texts put a 1/2 before the square so that the 2 cancels, others do not, and loss and gradient are copied from
    different ones. Every gradient of the network is off by exactly 2.
    """

    wrong = ("backward",)

    def backward(self, error: Array) -> Array:
        return super().backward(error) / 2


class TargetsBroadcast(LossFault, MeanSquaredError):
    """Targets of (N,) are taken from predictions of (N, 1): the difference is (N, N), every row against every target.

    One axis too many or too few, and no complaint. The loss is a plausible number and falls; all predictions move
    towards the mean of the targets, with the gradient ``2 (y - mean) / N``.
    """

    number = 13
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, loss: Loss, prediction: Shape) -> bool:
        return len(prediction) == 2 and prediction[0] > prediction[1] == 1

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        return super().forward(y, target.reshape(-1))

    def backward(self, error: Array) -> Array:
        dy: Array = super().backward(error).sum(axis=1, keepdims=True)
        return dy
