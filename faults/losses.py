"""Mistakes in losses: in the number, in its gradient, or in both."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from ..reference.layers import Array, Shape, Sigmoid
from ..reference.losses import (
    BinaryCrossEntropy,
    BinaryCrossEntropyWithLogits,
    CosineEmbedding,
    CrossEntropy,
    Hinge,
    Huber,
    KLDivergence,
    MeanAbsoluteError,
    MeanSquaredError,
    PoissonNLL,
    SmoothL1,
    SquaredHinge,
    TripletMargin,
)
from ..reference.losses.base import divisor, numbers
from ..reference.losses.classification import Classes
from ..reference.losses.regression import sign
from .base import LossFault

OF_ROWS = (CrossEntropy, Classes, CosineEmbedding, TripletMargin)
"""Losses of rows; all others are losses of every element."""


def changed(gradients: Any, change: Callable[[Array], Array]) -> Any:
    """The gradient with respect to each prediction, changed."""
    return tuple(map(change, gradients)) if isinstance(gradients, tuple) else change(gradients)


class GradientNotAveraged(LossFault):
    """The loss is a mean, and its gradient that of the sum: the ``1 / N`` is missing.

    The printed loss is right, so it goes unnoticed, and a smaller learning rate makes up for it. Every gradient of the
    network is too large by the same factor, with cosine 1; Adam divides it away, and there the weights hardly show it.
    """

    number = 1
    wrong = ("backward",)
    question = "The loss is divided by something. Does the gradient know?"
    experiment = "Repeat every row of the batch: the loss stays as it is, and so must each gradient."

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        if loss.reduction == "batchmean":
            return predictions[0][0] > 1
        over_rows = loss.reduction == "mean" and isinstance(loss, OF_ROWS)
        return loss.reduction.startswith("mean") and prod(predictions[0][:-1] if over_rows else predictions[0]) > 1

    def backward(self, saved: Any) -> Any:
        return self.right(reduction="sum").backward(saved)


class GradientDividedByTheFirstAxis(LossFault):
    """The gradient is divided by the number of sequences, ``len(targets)``, not by that of all their places.

    With one prediction for each example the two are the same number, and the line is carried over to sequences. Every
    gradient of the network is too large by the length of a sequence, while the printed loss is right.
    """

    number = 1
    wrong = ("backward",)

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return loss.reduction == "mean" and isinstance(loss, OF_ROWS) and prod(predictions[0][1:-1]) > 1

    def backward(self, saved: Any) -> Any:
        return changed(self.right(reduction="sum").backward(saved), lambda summed: summed / summed.shape[0])


class GradientAveragedOverTheRows(LossFault):
    """The loss is a mean over all elements, and its gradient divides by the rows alone.

    ``error / len(error)`` is written for ``error / error.size``. With one output the two are the same; with C of them
    every gradient of the network is C times too large, while the printed loss is right.
    """

    number = 1
    wrong = ("backward",)

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        over_elements = loss.reduction == "mean" and not isinstance(loss, OF_ROWS)
        return over_elements and len(predictions[0]) > 1 and predictions[0][-1] > 1

    def backward(self, saved: Any) -> Any:
        return changed(super().backward(saved), lambda mean: mean * mean.shape[-1])


class LossGradientNegated(LossFault):
    """The gradient has the wrong sign: what leads uphill is taken for what leads downhill.

    ``target - prediction`` is written for ``prediction - target``, or the minus before the logarithm is lost. If the
    update has a plus to match, training works, and every gradient is still the negative of what it is called.
    """

    wrong = ("backward",)
    question = "Which way must a prediction move so that the loss falls?"
    experiment = (
        "Raise the prediction of the right class by a little: does the loss rise or fall, and what does your sign say?"
    )

    def backward(self, saved: Any) -> Any:
        return changed(super().backward(saved), lambda dprediction: -dprediction)


class PowerRuleForgotten(LossFault):
    """The gradient is half of what it should be: the 2 of ``d(error^2) = 2 error d(error)`` is missing.

    Texts put a 1/2 before the square so that the 2 cancels, others do not, and loss and gradient are copied from
    different ones. Every gradient of the network is off by exactly 2.
    """

    wrong = ("backward",)
    question = "What is the derivative of a square?"
    experiment = "Nudge one prediction by a little and divide the change of the loss by the nudge."

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return isinstance(loss, MeanSquaredError | SquaredHinge)

    def backward(self, saved: Any) -> Array:
        dprediction: Array = super().backward(saved) / 2
        return dprediction


class TargetsBroadcast(LossFault):
    """Targets of (N,) are taken from predictions of (N, 1): the difference is (N, N), every row against every target.

    One axis too many or too few, and no complaint. The loss is a plausible number and falls; all predictions move
    towards the mean of the targets, with the gradient ``2 (y - mean) / N``, or, of absolute errors, their median.
    """

    number = 13
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        column = len(predictions[0]) == 2 and predictions[0][0] > predictions[0][1] == 1
        of_errors = isinstance(loss, MeanSquaredError | MeanAbsoluteError | Huber | SmoothL1)
        return column and of_errors and loss.reduction != "none"

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        loss, error = super().forward(y, target.reshape(-1))
        return loss, error

    def backward(self, error: Array) -> Array:
        dy: Array = super().backward(error).sum(axis=1, keepdims=True)
        return dy


class ErrorForItsSign(LossFault, MeanAbsoluteError):
    """The gradient of the absolute error is the error, which is that of half its square.

    The line stays when the loss is changed from squares to absolute values. Far targets pull as they did before: what
    the absolute value was chosen against.
    """

    wrong = ("backward",)

    def backward(self, error: Array) -> Array:
        return error / divisor(self.reduction, error)


class TailNotScaled(LossFault, Huber):
    """Beyond delta the loss is ``|e| - delta / 2``, without the factor delta.

    That is the straight part of smooth L1, which would be curved with ``e^2 / (2 delta)``. The loss jumps at delta, and
    so does its slope, from delta to 1.
    """

    wrong = ("forward", "backward")
    only_where = "an error above delta"

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return bool(loss.delta != 1)

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        _, error = super().forward(y, target)
        size = np.abs(error)
        losses = np.where(size <= self.delta, error * error / 2, size - self.delta / 2)
        return losses if self.reduction == "none" else losses.sum() / divisor(self.reduction, losses), error

    def backward(self, error: Array) -> Array:
        dlosses = np.where(np.abs(error) <= self.delta, error, sign(error))
        return dlosses / divisor(self.reduction, error)


class GradientNotCutOff(LossFault, Huber):
    """The gradient is the error, however large: it is not cut off at delta.

    The two cases stand in the forward, and the backward has only the first of them. The loss that is printed forgives
    outliers, and the training does not.
    """

    wrong = ("backward",)
    only_where = "an error above delta"

    def backward(self, error: Array) -> Array:
        return error / divisor(self.reduction, error)


class SmoothL1TakenForHuber(LossFault, SmoothL1):
    """Huber's loss in the place of smooth L1, which is Huber's divided by its width.

    With a width of 1 they are the same, and one framework has the one under the name of the other. Loss and gradients
    are off by the factor beta.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return bool(loss.beta != 1)

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        return Huber(self.reduction, self.beta).forward(y, target)

    def backward(self, error: Array) -> Array:
        return Huber(self.reduction, self.beta).backward(error)


# ------------------------------------------------------------------------------------------------------- probabilities


class SigmoidGradientOfTheLogits(LossFault, BinaryCrossEntropy):
    """The gradient with respect to the probabilities is written ``p - target``, which is that of the logits.

    Where sigmoid is a layer of its own, its backward comes on top: ``p (1 - p)`` is there twice, and confident mistakes
    are hardly corrected.
    """

    wrong = ("backward",)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        p, target = saved
        return (p - target) / divisor(self.reduction, p)


class ProbabilitiesTakenForYesOrNoLogits(LossFault, BinaryCrossEntropy):
    """The loss takes the sigmoid of what it is given, and is given probabilities.

    The network ends in a sigmoid, and the loss is the one that expects logits. The loss cannot come near 0: the sigmoid
    of a probability lies between 0.5 and 0.73.
    """

    number = 6
    wrong = ("forward", "backward")

    def forward(self, p: Array, target: Array) -> tuple[Array, Any]:
        return BinaryCrossEntropyWithLogits(self.reduction).forward(p, target)

    def backward(self, saved: Any) -> Array:
        return BinaryCrossEntropyWithLogits(self.reduction).backward(saved)


class NoForgotten(LossFault, BinaryCrossEntropy):
    """Only the yes is counted: ``-target log(p)``, without ``(1 - target) log(1 - p)``.

    It is the cross-entropy of classes, whose probabilities add up to 1 so that the others need no term. Here a p of 1
    everywhere makes the loss 0.
    """

    wrong = ("forward", "backward")
    only_where = "a target below 1"

    def forward(self, p: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        losses = -(target * np.log(p))
        return losses if self.reduction == "none" else losses.sum() / divisor(self.reduction, p), (p, target)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        p, target = saved
        return -target / p / divisor(self.reduction, p)


class SigmoidTwice(LossFault, BinaryCrossEntropyWithLogits):
    """A sigmoid is applied to the logits before the loss, which applies one itself.

    The network is expected to give probabilities, the loss expects logits, and nobody complains. The loss cannot fall
    below 0.31, and gradients are small.
    """

    number = 6
    wrong = ("forward", "backward")

    def forward(self, z: Array, target: Array) -> tuple[Array, Any]:
        p, _ = Sigmoid().forward(z, {})
        loss, saved = super().forward(p, target)
        return loss, (p, saved)

    def backward(self, saved: Any) -> Array:
        p, of_loss = saved
        dz, _ = Sigmoid().backward(super().backward(of_loss), p, {})
        return dz


class PositiveWeightForgottenInTheGradient(LossFault, BinaryCrossEntropyWithLogits):
    """The gradient is ``sigmoid(z) - target``, also where a yes counts more than a no.

    The short formula is that of the loss without weights. What should be found more often is not.
    """

    wrong = ("backward",)
    only_where = "a target above 0"

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return any(weight != 1 for weight in loss.pos_weight)

    def backward(self, saved: tuple[Array, Array, Array]) -> Array:
        p, target, weight = saved
        dz: Array = self.right().backward((p, target, np.ones_like(weight)))
        return dz


class PositiveWeightOfEveryOutput(LossFault, BinaryCrossEntropyWithLogits):
    """The weight of a yes multiplies the loss of a no as well.

    ``pos_weight`` is put where another option of the frameworks, ``weight``, belongs. With one weight for all it is a
    factor of the loss and changes nothing but the step's size.
    """

    wrong = ("forward", "backward")
    only_where = "a target below 1"

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return any(weight != 1 for weight in loss.pos_weight)

    def forward(self, z: Array, target: Array) -> tuple[Array, Any]:
        losses, saved = self.right(reduction="none", pos_weight=()).forward(z, target)
        weight = np.ones_like(z) + (numbers(self.pos_weight, z) - 1)
        losses = weight * losses
        return losses if self.reduction == "none" else losses.sum() / divisor(self.reduction, losses), (weight, saved)

    def backward(self, saved: Any) -> Array:
        weight, of_loss = saved
        dz: Array = weight * self.right(pos_weight=()).backward(of_loss)
        return dz


class DivergenceReversed(LossFault, KLDivergence):
    """The arguments of the divergence are swapped: ``q (log(q) - log(p))``.

    One library takes the target first and another the prediction, and "KL of p and q" is said of both. The reverse one
    avoids what the target does not have, where the other covers all that it has.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return bool(loss.targets == "logarithms")

    def forward(self, log_q: Array, target: Array) -> tuple[Array, Any]:
        losses = np.exp(log_q) * (log_q - target)
        return losses if self.reduction == "none" else losses.sum() / divisor(self.reduction, losses), (log_q, target)

    def backward(self, saved: Any) -> Array:
        log_q, target = saved
        dlog_q: Array = np.exp(log_q) * (log_q - target + 1)
        return dlog_q / divisor(self.reduction, log_q)


class GradientOfTheProbabilities(LossFault, KLDivergence):
    """The gradient is ``-p / q``, that with respect to the probabilities, where the prediction is their logarithm.

    The divergence is written with probabilities, and so is its derivative. Where q is small the gradient is huge.
    """

    wrong = ("backward",)

    def forward(self, log_q: Array, target: Array) -> tuple[Array, Any]:
        loss, p = super().forward(log_q, target)
        return loss, (log_q, p)

    def backward(self, saved: Any) -> Array:
        log_q, p = saved
        dlog_q: Array = -p / np.exp(log_q)
        return dlog_q / divisor(self.reduction, p)


class GradientOfTheRate(LossFault, PoissonNLL):
    """The gradient is ``1 - target / rate``, that with respect to the rate, where the prediction is its logarithm.

    Or the other way round, ``rate - target`` for a prediction that is the rate: two conventions, and the loss of one
    has the gradient of the other. The two are apart by the factor ``rate``.
    """

    wrong = ("backward",)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        other = "rates" if self.predictions == "logarithms" else "logarithms"
        dx: Array = self.right(predictions=other).backward(saved)
        return dx


# -------------------------------------------------------------------------------------------------------------- margins


class MarginForgottenInTheGradient(LossFault, Hinge):
    """The gradient is ``-target`` everywhere, also where the score is beyond the margin.

    The maximum is left out of the backward. Scores grow without end, and what is right already keeps pushing.
    """

    wrong = ("backward",)
    only_where = "a score beyond the margin"

    def backward(self, saved: tuple[Array, Array]) -> Array:
        _, target = saved
        return -target / divisor(self.reduction, target)


class LabelForgottenInTheGradient(LossFault):
    """The gradient is -1 below the margin, whatever the label: the factor ``target`` of ``1 - target y`` is lost.

    Both labels push the score up. It is right wherever the target is 1.
    """

    wrong = ("backward",)
    only_where = "a target of -1"

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return isinstance(loss, Hinge | SquaredHinge)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        short, target = saved
        dy: Array = super().backward((short, np.ones_like(target)))
        return dy
