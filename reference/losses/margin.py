"""Losses that ask for a distance and no more: scores beyond a margin cost nothing. Targets are -1 or 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..layers import Array, Shape
from .base import Loss, Slope, above_zero, divisor, draw_signs, reduced, require_signs

__all__ = ["Hinge", "SquaredHinge"]


class SignLoss(Loss):
    """A loss whose targets are -1 or 1, one for each output."""

    def check_target(self, target: Array, *predictions: Shape) -> None:
        super().check_target(target, *predictions)
        require_signs(target)

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        return draw_signs(generator, self.target_shape(*predictions))


@dataclass(frozen=True)
class Hinge(SignLoss):
    """Hinge loss of a score: ``loss = sum(max(1 - target y, 0)) / divisor``.

    The divisor is the number of all elements for ``mean`` and 1 for ``sum``. The gradient is ``-target`` where
    ``target y`` is below 1, 0 where it is above, and exactly at the margin ``-target`` times ``slope_at_margin``.

    Shapes: y and target alike, the target -1 or 1; loss (), or that of y for ``none``.

    Same loss elsewhere: optax.losses.hinge_loss (per element), whose slope at the margin is one half, as that of every
    jax.numpy.maximum; written with a relu, in torch or JAX, it is 0, and in TensorFlow it is 1. Keras takes targets of
    0 for -1. torch.nn.HingeEmbeddingLoss is another loss, of distances.

    Raises:
        CaseError: targets of another shape than the prediction, or other than -1 and 1.

    Source: Cortes & Vapnik 1995, "Support-vector networks", section 3.

    >>> import numpy as np
    >>> print(Hinge("none").forward(np.array([0.25, 2.0, 0.5]), np.array([1.0, 1.0, -1.0]))[0])
    [0.75 0.   1.5 ]
    """

    kind: ClassVar[str] = "hinge"

    reduction: Literal["mean", "sum", "none"] = "mean"
    slope_at_margin: Slope = "zero"

    def forward(self, y: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        short = 1 - target * y
        return reduced(self.reduction, np.maximum(short, 0)), (short, target)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        short, target = saved
        # forward was: loss = sum(max(short, 0)) / divisor
        dshort = above_zero(short, self.slope_at_margin) / divisor(self.reduction, short)
        # forward was: short = 1 - target * y
        return -target * dshort


@dataclass(frozen=True)
class SquaredHinge(SignLoss):
    """Squared hinge loss of a score: ``loss = sum(max(1 - target y, 0)^2) / divisor``.

    The divisor is the number of all elements for ``mean`` and 1 for ``sum``. The gradient is
    ``-2 target max(1 - target y, 0)``, and has no kink.

    Shapes: y and target alike, the target -1 or 1; loss (), or that of y for ``none``.

    Same loss elsewhere: keras.losses.SquaredHinge, which takes targets of 0 for -1. torch and optax have none; it is
    written out, ``relu(1 - target * y) ** 2``.

    Raises:
        CaseError: targets of another shape than the prediction, or other than -1 and 1.

    Source: Lee & Mangasarian 2001, "SSVM: a smooth support vector machine for classification", eq. 5.

    >>> import numpy as np
    >>> print(SquaredHinge("none").forward(np.array([0.25, 2.0, 0.5]), np.array([1.0, 1.0, -1.0]))[0])
    [0.5625 0.     2.25  ]
    """

    kind: ClassVar[str] = "squared_hinge"

    reduction: Literal["mean", "sum", "none"] = "mean"

    def forward(self, y: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        short = np.maximum(1 - target * y, 0)
        return reduced(self.reduction, short * short), (short, target)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        short, target = saved
        # forward was: loss = sum(short^2) / divisor, short = max(1 - target * y, 0)
        return -target * (2 * short / divisor(self.reduction, short))
