"""Losses of how far predictions are from each other. N rows, C features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..errors import CaseError
from ..layers import Array, Shape
from .base import (
    Loss,
    Slope,
    above_zero,
    divisor,
    draw_signs,
    reduced,
    require_above,
    require_classes,
    require_signs,
)

__all__ = ["CosineEmbedding", "TripletMargin"]

EPSILON = 9.999999960041972e-13
"""What is added to the square of a norm, so that a row of zeros has a direction: torch's 1e-12, which is in float32
whatever the dtype."""


@dataclass(frozen=True)
class CosineEmbedding(Loss):
    """Angle between two rows: ``1 - cos`` where the target is 1, ``max(cos - margin, 0)`` where it is -1.

    ``cos = x1 . x2 / sqrt((|x1|^2 + 1e-12) (|x2|^2 + 1e-12))``. The divisor of their sum is the number of rows N for
    ``mean`` and 1 for ``sum``. A cos of exactly the margin has the gradient of cos times ``slope_at_margin``: without a
    margin two orthogonal rows are there.

    Shapes: x1 and x2 (..., N, C); target (..., N), -1 or 1; loss (), or that of target for ``none``.

    Same loss elsewhere: torch.nn.CosineEmbeddingLoss, for (N, C) only; its slope at the margin is that of clamp, which
    has changed between versions. optax has cosine_similarity, with another epsilon; it is written out.

    Raises:
        CaseError: predictions of different shapes, or without rows of features; targets of another shape, or other
            than -1 and 1; a margin that is not from -1 to 1.

    Source: the documentation of torch.nn.CosineEmbeddingLoss; after Hadsell, Chopra & LeCun 2006, "Dimensionality
    reduction by learning an invariant mapping", eq. 1.

    >>> import numpy as np
    >>> x1, x2 = np.array([[3.0, 4.0], [3.0, 4.0]]), np.array([[4.0, 3.0], [4.0, 3.0]])
    >>> print(CosineEmbedding("none", margin=0.5).forward(x1, x2, np.array([1.0, -1.0]))[0].round(9))
    [0.04 0.46]
    """

    kind: ClassVar[str] = "cosine_embedding"
    arity: ClassVar[int] = 2

    reduction: Literal["mean", "sum", "none"] = "mean"
    slope_at_margin: Slope = "one"
    margin: float = 0.0

    def __post_init__(self) -> None:
        if not -1 <= self.margin <= 1:
            raise CaseError("a number from -1 to 1", str(self.margin), key="margin")

    def target_shape(self, *predictions: Shape) -> Shape:
        shape = super().target_shape(*predictions)
        require_classes(shape)
        return shape[:-1]

    def check_target(self, target: Array, *predictions: Shape) -> None:
        super().check_target(target, *predictions)
        require_signs(target)

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        return draw_signs(generator, self.target_shape(*predictions))

    def forward(self, x1: Array, x2: Array, target: Array) -> tuple[Array, tuple[Array, ...]]:
        square1, square2 = ((x * x).sum(axis=-1) + EPSILON for x in (x1, x2))
        lengths = np.sqrt(square1 * square2)
        cos = (x1 * x2).sum(axis=-1) / lengths
        losses = np.where(target > 0, 1 - cos, np.maximum(cos - self.margin, 0))
        return reduced(self.reduction, losses), (x1, x2, target, cos, lengths, square1, square2)

    def backward(self, saved: tuple[Array, ...]) -> tuple[Array, Array]:
        x1, x2, target, cos, lengths, square1, square2 = saved
        # forward was: losses = 1 - cos where target = 1, else max(cos - margin, 0)
        dlosses = np.where(target > 0, -np.ones_like(cos), above_zero(cos - self.margin, self.slope_at_margin))
        # forward was: loss = sum(losses) / divisor
        dcos = (dlosses / divisor(self.reduction, cos))[..., None]
        # forward was: cos = x1 . x2 / lengths, lengths = sqrt(square1 * square2), square1 = |x1|^2 + 1e-12
        dx1 = dcos * (x2 / lengths[..., None] - (cos / square1)[..., None] * x1)
        # forward was: cos = x1 . x2 / lengths, lengths = sqrt(square1 * square2), square2 = |x2|^2 + 1e-12
        dx2 = dcos * (x1 / lengths[..., None] - (cos / square2)[..., None] * x2)
        return dx1, dx2


@dataclass(frozen=True)
class TripletMargin(Loss):
    """An anchor should be nearer to one row than to another: ``max(near - far + margin, 0)``.

    ``near`` is the Euclidean distance of anchor and positive, ``far`` that of anchor and negative. ``epsilon`` is added
    to every element of the ``difference``, or under the ``root`` to the sum of the squares: either keeps the gradient
    of a distance of 0 finite. The divisor of the sum is the number of rows N for ``mean`` and 1 for ``sum``. Exactly at
    the margin the gradient is that of the distances times ``slope_at_margin``. There is no target.

    Shapes: anchor, positive and negative (..., N, C); target (0,), empty; loss (), or (..., N) for ``none``.

    Same loss elsewhere: torch.nn.TripletMarginLoss has the epsilon in the difference, and the slope of clamp at the
    margin; optax.losses.triplet_margin_loss (per row) has it under the root, and a slope of one half.

    Raises:
        CaseError: predictions of different shapes, or without rows of features; a target; a margin that is not above 0,
            or an epsilon below 0.

    Source: Schroff, Kalenichenko & Philbin 2015, "FaceNet: a unified embedding for face recognition and clustering",
    eq. 2, of distances that are not squared; Balntas, Riba, Ponsa & Mikolajczyk 2016, section 3.

    >>> import numpy as np
    >>> anchor, positive, negative = np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]]), np.array([[0.0, 5.5]])
    >>> print(TripletMargin("none").forward(anchor, positive, negative, np.zeros(0))[0].round(5))
    [0.5]
    """

    kind: ClassVar[str] = "triplet_margin"
    arity: ClassVar[int] = 3

    reduction: Literal["mean", "sum", "none"] = "mean"
    epsilon_in: Literal["difference", "root"] = "difference"
    slope_at_margin: Slope = "one"
    margin: float = 1.0
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        require_above(self, "margin")
        require_above(self, "epsilon", or_equal=True)

    def target_shape(self, *predictions: Shape) -> Shape:
        require_classes(super().target_shape(*predictions))
        return (0,)

    def forward(
        self, anchor: Array, positive: Array, negative: Array, target: Array
    ) -> tuple[Array, tuple[Array, Array, Array, Array, Array]]:
        to_positive, near = self.distance(anchor, positive)
        to_negative, far = self.distance(anchor, negative)
        short = near - far + self.margin
        return reduced(self.reduction, np.maximum(short, 0)), (to_positive, near, to_negative, far, short)

    def backward(self, saved: tuple[Array, Array, Array, Array, Array]) -> tuple[Array, Array, Array]:
        to_positive, near, to_negative, far, short = saved
        # forward was: loss = sum(max(short, 0)) / divisor
        dshort = above_zero(short, self.slope_at_margin) / divisor(self.reduction, short)
        # forward was: short = near - far + margin, near = root of the squares of to_positive, and so far
        dto_positive = (dshort / near)[..., None] * to_positive
        dto_negative = -(dshort / far)[..., None] * to_negative
        # forward was: to_positive = anchor - positive, to_negative = anchor - negative, but for an epsilon
        return dto_positive + dto_negative, -dto_positive, -dto_negative

    def distance(self, x: Array, y: Array) -> tuple[Array, Array]:
        """The difference of two rows and its length, each with the epsilon if that is its place."""
        if self.epsilon_in == "difference":
            difference = x - y + self.epsilon
            return difference, np.sqrt((difference * difference).sum(axis=-1))
        difference = x - y
        return difference, np.sqrt((difference * difference).sum(axis=-1) + self.epsilon)
