"""Losses of a choice between classes. N rows, C classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..errors import CaseError
from ..layers import Array, Shape
from .base import Loss, draw_distributions, one_hot, require_classes, row_divisor


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of probabilities: ``loss = -sum(target * log(p)) / divisor``.

    The divisor is 1 for ``sum``, the number of rows N for ``mean``, and the number of outputs of all rows N C for
    ``mean_over_outputs``; with one row of three outputs that is the division by 3 of some texts, and it divides every
    gradient by 3. A p of 0 gives an infinite loss, or NaN where its target is 0 too.

    Shapes: p (..., N, C); target alike, each row a distribution; loss ().

    Same loss elsewhere: no framework has it. It is written out, ``-(target * log(p)).sum()``; torch's
    CrossEntropyLoss and optax's softmax_cross_entropy expect logits, and given log(p) have the right value but
    another gradient with respect to p.

    Raises:
        CaseError: a prediction without rows of outputs, or targets of another shape.

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.108.

    >>> import numpy as np
    >>> loss, _ = CrossEntropy("sum").forward(np.array([[0.25, 0.5, 0.25]]), np.array([[1.0, 0.0, 0.0]]))
    >>> print(round(float(loss / np.log(4)), 12))
    1.0
    """

    kind: ClassVar[str] = "cross_entropy"

    reduction: Literal["mean", "sum", "mean_over_outputs"] = "mean"

    def target_shape(self, *predictions: Shape) -> Shape:
        (prediction,) = predictions
        require_classes(prediction)
        return prediction

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        (prediction,) = predictions
        return draw_distributions(generator, prediction)

    def forward(self, p: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        loss = -(target * np.log(p)).sum() / row_divisor(self.reduction, p)
        return loss, (p, target)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        p, target = saved
        # forward was: loss = -sum(target * log(p)) / divisor
        return -target / p / row_divisor(self.reduction, p)


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Loss):
    """Softmax and cross-entropy in one, from logits: ``loss = -sum(target * log_softmax(z)) / divisor``.

    ``log_softmax(z) = z - max - log(sum(exp(z - max)))`` over the last axis. The gradient is
    ``(softmax(z) * sum(target) - target) / divisor``; for a target that adds up to 1, ``softmax(z) - target``.
    Divisor: 1 for ``sum``, N for ``mean``, N C for ``mean_over_outputs``.

    Shapes: z (..., N, C); target (..., N) class indices from 0, or (..., N, C) distributions; loss ().

    Same loss elsewhere: torch.nn.CrossEntropyLoss (either form of target),
    optax.softmax_cross_entropy and optax.softmax_cross_entropy_with_integer_labels (one loss per row, to be reduced).

    Raises:
        CaseError: logits without rows of classes, targets of another shape, an index that is not a class.

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.108 and 4.109.

    >>> import numpy as np
    >>> loss, _ = SoftmaxCrossEntropy().forward(np.zeros((2, 4)), np.array([3, 1]))
    >>> print(round(float(loss / np.log(4)), 12))
    1.0
    """

    kind: ClassVar[str] = "softmax_cross_entropy"

    reduction: Literal["mean", "sum", "mean_over_outputs"] = "mean"
    targets: Literal["indices", "distributions"] = "indices"

    @property
    def integer_targets(self) -> bool:  # type: ignore[override]
        return self.targets == "indices"

    def target_shape(self, *predictions: Shape) -> Shape:
        (prediction,) = predictions
        require_classes(prediction)
        return prediction[:-1] if self.integer_targets else prediction

    def check_target(self, target: Array, *predictions: Shape) -> None:
        super().check_target(target, *predictions)
        (prediction,) = predictions
        if self.integer_targets and target.size and (target.min() < 0 or target.max() >= prediction[-1]):
            raise CaseError(
                f"class indices from 0 to {prediction[-1] - 1}", f"indices from {target.min()} to {target.max()}"
            )

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        (prediction,) = predictions
        if self.integer_targets:
            return generator.integers(prediction[-1], size=prediction[:-1])
        return draw_distributions(generator, prediction)

    def forward(self, z: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        shifted = z - z.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        wanted = one_hot(target, z) if self.integer_targets else target
        loss = -(wanted * log_p).sum() / row_divisor(self.reduction, z)
        return loss, (log_p, wanted)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        log_p, wanted = saved
        # forward was: loss = -sum(wanted * log_softmax(z)) / divisor, and d log_p_i / dz_j = 1{i = j} - p_j
        dz: Array = np.exp(log_p) * wanted.sum(axis=-1, keepdims=True) - wanted
        return dz / row_divisor(self.reduction, log_p)
