"""Mistakes in losses of a choice between classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.layers import Array, Shape, Softmax
from ..reference.losses import CrossEntropy, SoftmaxCrossEntropy
from ..reference.losses.base import divisor, numbers
from ..reference.losses.classification import Classes
from .base import LossFault


class GradientOfTheLogits(LossFault, CrossEntropy):
    """The gradient with respect to the probabilities is written ``p - target``, which is that of the logits.

    Softmax and cross-entropy together have this gradient, and it is the one that is remembered. Where softmax is a
    layer of its own, its backward comes on top, and the network learns slowly and somewhere else.
    """

    wrong = ("backward",)
    question = "With respect to what is this gradient: what goes into softmax, or what comes out of it?"
    experiment = "Nudge one probability alone, without softmax, and compare the change of the loss with your number."

    def backward(self, saved: tuple[Array, Array]) -> Array:
        p, target = saved
        return (p - target) / divisor(self.reduction, p[..., 0], p.shape[-1])


class EveryOutputYesOrNo(LossFault, CrossEntropy):
    """Every output counts as a question of its own: ``-(target * log(p) + (1 - target) * log(1 - p))``.

    That is the binary cross-entropy, which goes by the same short name. For one-hot targets the two agree about the
    wanted class, and this one adds a term for each of the others.
    """

    wrong = ("forward", "backward")
    question = "Is every output a question of its own, or do all outputs share one answer?"
    experiment = "Change the probability of a class whose target is 0, and of no other: does this loss notice?"

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
    question = "How often is softmax taken between the logits and the loss?"
    experiment = "Make one logit very large: what should the loss of its class become?"

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
    question = "What goes into your loss: logits, or probabilities already?"
    experiment = "Add up what goes into the loss along each row, before your loss does anything with it."

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
    question = "Does the loss depend on the logits of the classes that were not wanted?"
    experiment = "Nudge the logit of a class that was not wanted: does the loss change?"

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return not loss.label_smoothing and not loss.class_weights

    def backward(self, saved: tuple[Array, Array, Any]) -> Array:
        _, wanted, _ = saved
        dz: Array = super().backward(saved) * wanted
        return dz


class TargetsTakenToAddUpToOne(LossFault, SoftmaxCrossEntropy):
    """The gradient is ``softmax(z) - wanted`` for every row, also where what is wanted does not add up to 1.

    The short formula holds for a distribution. A row that weighs twice has ``2 (softmax(z) - wanted)``, and one that is
    ignored has no gradient at all; here it is pushed away from all that it predicts.
    """

    wrong = ("backward",)
    only_where = "a row that weighs more or less than 1, or is ignored"

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return bool(loss.class_weights) or loss.ignore_index is not None

    def backward(self, saved: tuple[Array, Array, Any]) -> Array:
        log_p, wanted, count = saved
        dz: Array = (np.exp(log_p) - wanted) / self.divisor(count, log_p.shape[-1])
        return dz


class SmoothingForgottenInTheGradient(LossFault, SoftmaxCrossEntropy):
    """The loss is that of smoothed labels, and its gradient that of the labels as they were.

    The smoothing is added where the loss is computed, and the backward goes on taking 1 from the wanted class. Every
    row's gradient is off by ``s / C`` for each class, and by ``s`` less that for the wanted one.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return bool(loss.label_smoothing)

    def forward(self, z: Array, target: Array) -> tuple[Array, tuple[Array, Array, Any]]:
        loss, (log_p, _, count) = super().forward(z, target)
        plain: Any = self.right(label_smoothing=0.0)
        wanted, _ = plain.wanted(z, target)
        return loss, (log_p, wanted, count)


class SmoothingSparesTheWantedClass(LossFault, SoftmaxCrossEntropy):
    """What smoothing takes from the wanted class goes to the others alone: ``1 - s`` and ``s / (C - 1)``.

    By its definition the labels are mixed with the uniform distribution of all C classes, so that the wanted one gets
    ``s / C`` back. Both are in use under one name: this one smooths as the other does with ``s C / (C - 1)``.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        # With more than that the wanted class would get less than the others.
        return bool(0 < loss.label_smoothing * predictions[0][-1] < predictions[0][-1] - 1)

    def wanted(self, z: Array, target: Array) -> tuple[Array, Any]:
        classes = z.shape[-1]
        # The t for which (1 - t) + t / C = 1 - s.
        other: Any = self.right(label_smoothing=self.label_smoothing * classes / (classes - 1))
        wanted, count = other.wanted(z, target)
        return wanted, count


class WeightsForgottenInTheGradient(LossFault, Classes):
    """The loss weighs the classes, and its gradient does not.

    The weights multiply the loss of each row after it was computed, beside the fused operation that the backward
    belongs to. Rare classes, for which the weights were made, are learned as slowly as without them.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return len(set(loss.class_weights)) > 1

    def forward(self, x: Array, target: Array) -> tuple[Array, Any]:
        loss, saved = super().forward(x, target)
        _, unweighted = self.right(class_weights=()).forward(x, target)
        return loss, (*unweighted[:-1], saved[-1])


class WeightsOfAllClassesDivide(LossFault, Classes):
    """A weighted mean divides by the sum of the classes' weights, not by that of the weights of the targets.

    "Divide by the sum of the weights" is what the documentation says, and the vector of weights is at hand. Loss and
    gradient are off by one factor, which changes from batch to batch.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return bool(loss.class_weights) and loss.weighted_mean == "weights" and loss.reduction.startswith("mean")

    def count(self, rows: int, kept: int, mass: Array) -> Any:
        return numbers(self.class_weights, mass).sum()


class IgnoredRowsLearned(LossFault, Classes):
    """The index that should be ignored is taken for a class.

    A padding index of 0 is the first class, one of -1 counts from the end and is the last: nothing complains, and the
    network learns to predict padding.
    """

    wrong = ("forward", "backward")
    only_where = "a row that is ignored"

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        return loss.ignore_index is not None and -predictions[0][-1] <= loss.ignore_index < predictions[0][-1]

    def ignored(self, target: Array) -> Array:
        none: Array = target != target
        return none
