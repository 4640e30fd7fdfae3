"""Losses of a choice between classes. N rows, C classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np

from ..errors import CaseError
from ..layers import Array, Shape
from ..layers.base import zeros_where
from .base import Loss, divisor, draw_distributions, numbers, one_hot, reduced, require_classes

__all__ = ["CrossEntropy", "NegativeLogLikelihood", "SoftmaxCrossEntropy"]


@dataclass(frozen=True)
class CrossEntropy(Loss):
    """Cross-entropy of probabilities: ``loss = -sum(target * log(p)) / divisor``.

    The divisor is 1 for ``sum``, the number of rows N for ``mean``, and the number of outputs of all rows N C for
    ``mean_over_outputs``; with one row of three outputs that is the division by 3 of some texts, and it divides every
    gradient by 3. A p of 0 gives an infinite loss, or NaN where its target is 0 too.

    Shapes: p (..., N, C); target alike, each row a distribution; loss (), or (..., N) for ``none``.

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

    reduction: Literal["mean", "sum", "mean_over_outputs", "none"] = "mean"

    def target_shape(self, *predictions: Shape) -> Shape:
        shape = super().target_shape(*predictions)
        require_classes(shape)
        return shape

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        return draw_distributions(generator, self.target_shape(*predictions))

    def forward(self, p: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        rows = -(target * np.log(p)).sum(axis=-1)
        return reduced(self.reduction, rows, p.shape[-1]), (p, target)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        p, target = saved
        # forward was: loss = -sum(target * log(p)) / divisor
        return -target / p / divisor(self.reduction, p[..., 0], p.shape[-1])


class Classes(Loss):
    """A loss of rows whose targets are classes, of which some may be ignored and some may weigh more.

    What its kinds have in common: which rows count, what they weigh, and by what the sum over them is divided.
    """

    reduction: str
    class_weights: tuple[float, ...]
    ignore_index: int | None
    weighted_mean: Literal["weights", "rows"]
    ignored_rows: Literal["left_out", "counted"]
    integer_targets = True

    def target_shape(self, *predictions: Shape) -> Shape:
        shape = super().target_shape(*predictions)
        require_classes(shape)
        if len(self.class_weights) not in (0, shape[-1]):
            expected = f"no weight, or {shape[-1]}, one for each class"
            raise CaseError(expected, str(len(self.class_weights)), key="class_weights")
        return shape[:-1] if self.integer_targets else shape

    def check_target(self, target: Array, *predictions: Shape) -> None:
        super().check_target(target, *predictions)
        if not self.integer_targets:
            return
        classes, kept = predictions[0][-1], target[~self.ignored(target)]
        if kept.size and (kept.min() < 0 or kept.max() >= classes):
            also = "" if self.ignore_index is None else f", or {self.ignore_index}"
            raise CaseError(
                f"class indices from 0 to {classes - 1}{also}", f"indices from {kept.min()} to {kept.max()}"
            )

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        """Distributions, or classes that are equally likely; about every fourth row is one to be ignored, if any is."""
        shape = self.target_shape(*predictions)
        if not self.integer_targets:
            return draw_distributions(generator, shape)
        drawn = generator.integers(predictions[0][-1], size=shape)
        if self.ignore_index is None:
            return drawn
        ignored = generator.random(shape) < 0.25
        ignored[..., 0] = False  # a mean over no rows at all is NaN
        return np.where(ignored, self.ignore_index, drawn)

    def ignored(self, target: Array) -> Array:
        """Which of the class indices are to be ignored: a plain mask."""
        none = self.ignore_index is None
        ignored: Array = target != target if none else target == self.ignore_index
        return ignored

    def weights(self, like: Array) -> Array:
        """The weight of each class, in the dtype and the arithmetic of an array."""
        return numbers(self.class_weights, like) if self.class_weights else np.ones_like(like, shape=like.shape[-1:])

    def count(self, rows: int, kept: int, mass: Array) -> Any:
        """By what a mean divides: what the targets weigh together, the rows that are kept, or all of them."""
        if self.class_weights and self.weighted_mean == "weights":
            return mass
        return kept if self.ignored_rows == "left_out" else rows

    def divisor(self, count: Any, outputs: int) -> Any:
        """By what the sum over the rows is divided."""
        return {"mean": count, "mean_over_outputs": count * outputs}.get(self.reduction, 1)


@dataclass(frozen=True)
class SoftmaxCrossEntropy(Classes):
    """Softmax and cross-entropy in one, from logits: ``loss = -sum(wanted * log_softmax(z)) / divisor``.

    ``log_softmax(z) = z - max - log(sum(exp(z - max)))`` over the last axis. The gradient is
    ``(softmax(z) * sum(wanted) - wanted) / divisor``; for a row that adds up to 1, ``softmax(z) - wanted``.

    ``wanted`` is the target's distribution, of an index the one-hot row. With label smoothing s it is
    ``(1 - s) target + s / C``; with class weights, each class of it is then multiplied by its weight. Rows whose index
    is ``ignore_index`` are 0.

    The divisor is 1 for ``sum``. For ``mean`` it is the number of rows N, without the ignored ones if they are
    ``left_out`` and with them if they are ``counted``; with class weights and a ``weighted_mean`` by ``weights`` it is
    the sum of the weights of the targets, before any smoothing. For ``mean_over_outputs`` it is C times that. If every
    row is ignored, a mean without them is NaN.

    Shapes: z (..., N, C); target (..., N) class indices from 0, or (..., N, C) distributions; loss (), or (..., N) for
    ``none``.

    Same loss elsewhere: torch.nn.CrossEntropyLoss (either form of target; its weighted mean of distributions is over
    the rows, that of indices over the weights; ``ignore_index`` -100),
    optax.softmax_cross_entropy and optax.softmax_cross_entropy_with_integer_labels (one loss per row, to be reduced;
    optax.smooth_labels). Keras and MLX divide a weighted mean by the rows; Paddle counts ignored rows.

    Raises:
        CaseError: logits without rows of classes, targets of another shape, an index that is not a class, another
            number of weights than of classes, smoothing that is not from 0 to 1, distributions with an ignore_index.

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.108 and 4.109; Szegedy, Vanhoucke, Ioffe,
    Shlens & Wojna 2016, "Rethinking the inception architecture for computer vision", section 7, for the smoothing.

    >>> import numpy as np
    >>> loss, _ = SoftmaxCrossEntropy().forward(np.zeros((2, 4)), np.array([3, 1]))
    >>> print(round(float(loss / np.log(4)), 12))
    1.0
    >>> weighted = SoftmaxCrossEntropy("sum", class_weights=(1.0, 1.0, 1.0, 5.0), ignore_index=1)
    >>> loss, _ = weighted.forward(np.zeros((2, 4)), np.array([3, 1]))
    >>> print(round(float(loss / np.log(4)), 12))
    5.0
    """

    kind: ClassVar[str] = "softmax_cross_entropy"

    reduction: Literal["mean", "sum", "mean_over_outputs", "none"] = "mean"
    targets: Literal["indices", "distributions"] = "indices"
    label_smoothing: float = 0.0
    class_weights: tuple[float, ...] = ()
    ignore_index: int | None = None
    weighted_mean: Literal["weights", "rows"] = "weights"
    ignored_rows: Literal["left_out", "counted"] = "left_out"

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing <= 1:
            raise CaseError("a number from 0 to 1", str(self.label_smoothing), key="label_smoothing")
        if self.ignore_index is not None and not self.integer_targets:
            raise CaseError("targets of indices, of which one can be ignored", repr(self.targets), key="targets")

    @property
    def integer_targets(self) -> bool:  # type: ignore[override]
        return self.targets == "indices"

    def forward(self, z: Array, target: Array) -> tuple[Array, tuple[Array, Array, Any]]:
        shifted = z - z.max(axis=-1, keepdims=True)
        log_p = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        wanted, count = self.wanted(z, target)
        rows = -(wanted * log_p).sum(axis=-1)
        loss = rows if self.reduction == "none" else rows.sum() / self.divisor(count, z.shape[-1])
        return loss, (log_p, wanted, count)

    def backward(self, saved: tuple[Array, Array, Any]) -> Array:
        log_p, wanted, count = saved
        # forward was: loss = -sum(wanted * log_softmax(z)) / divisor, and d log_p_i / dz_j = 1{i = j} - p_j
        dlosses = np.exp(log_p) * wanted.sum(axis=-1, keepdims=True) - wanted
        dz: Array = dlosses / self.divisor(count, log_p.shape[-1])
        return dz

    def wanted(self, z: Array, target: Array) -> tuple[Array, Any]:
        """What every class is wanted to have, smoothed and weighted; and by what a mean over the rows divides."""
        kept = rows = z[..., 0].size
        wanted, classes = target, z.shape[-1]
        if self.integer_targets:
            ignored = self.ignored(target)
            kept = rows - int(ignored.sum())
            wanted = one_hot(np.where(ignored, 0, target), z)
        weights = self.weights(z)
        mass = wanted * weights if self.class_weights else wanted
        if self.label_smoothing:
            s = np.full_like(z, self.label_smoothing, shape=())
            wanted = (1 - s) * wanted + s / classes
        if self.class_weights:
            wanted = wanted * weights
        if self.ignore_index is not None:
            wanted, mass = zeros_where(ignored[..., None], wanted), zeros_where(ignored[..., None], mass)
        return wanted, self.count(rows, kept, mass.sum())


@dataclass(frozen=True)
class NegativeLogLikelihood(Classes):
    """Minus the log-probability of the wanted class: ``loss = -sum(weight[target] * log_p[target]) / divisor``.

    The prediction is log_p, as a log-softmax gives it; after one, this is softmax cross-entropy. Only the wanted class
    has a gradient, ``-weight / divisor``. Weights, ignored rows and the divisor are those of softmax_cross_entropy.

    Shapes: log_p (..., N, C); target (..., N) class indices from 0; loss (), or (..., N) for ``none``.

    Same loss elsewhere: torch.nn.NLLLoss. With jax.numpy it is written out with take_along_axis.

    Raises:
        CaseError: a prediction without rows of classes, targets of another shape, an index that is not a class,
            another number of weights than of classes.

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.108.

    >>> import numpy as np
    >>> loss, _ = NegativeLogLikelihood("none").forward(np.array([[-1.5, -0.25], [-3.0, -0.125]]), np.array([0, 1]))
    >>> print(loss)
    [1.5   0.125]
    """

    kind: ClassVar[str] = "nll"

    reduction: Literal["mean", "sum", "mean_over_outputs", "none"] = "mean"
    class_weights: tuple[float, ...] = ()
    ignore_index: int | None = None
    weighted_mean: Literal["weights", "rows"] = "weights"
    ignored_rows: Literal["left_out", "counted"] = "left_out"

    def forward(self, log_p: Array, target: Array) -> tuple[Array, tuple[Array, Array, Array, Any]]:
        ignored = self.ignored(target)
        index = np.where(ignored, 0, target)[..., None]
        weight = zeros_where(ignored, self.weights(log_p)[index[..., 0]])
        count = self.count(target.size, target.size - int(ignored.sum()), weight.sum())
        rows = -weight * zeros_where(ignored, np.take_along_axis(log_p, index, axis=-1)[..., 0])
        loss = rows if self.reduction == "none" else rows.sum() / self.divisor(count, log_p.shape[-1])
        return loss, (log_p, index, weight, count)

    def backward(self, saved: tuple[Array, Array, Array, Any]) -> Array:
        log_p, index, weight, count = saved
        # forward was: loss = -sum(weight * log_p[index]) / divisor
        dlog_p = np.zeros_like(log_p)
        np.put_along_axis(dlog_p, index, (-weight / self.divisor(count, log_p.shape[-1]))[..., None], axis=-1)
        return dlog_p
