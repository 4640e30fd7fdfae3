"""Losses of numbers that should come near others. Any shape, the same for the prediction and the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..layers import Array
from .base import Loss


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Squared error: ``loss = factor * sum((y - target)^2)``.

    The factor is 1 for ``sum``, one over the number of all elements for ``mean``, and 1/2 for ``half_sum``, which
    makes the gradient ``y - target``.

    Shapes: y and target alike; nothing is broadcast; loss ().

    Same loss elsewhere: torch.nn.MSELoss (mean or sum), optax.squared_error (per element) and optax.l2_loss (half of
    it). A target of (N,) against a prediction of (N, 1) is broadcast to (N, N) there, and refused here.

    Raises:
        CaseError: targets of another shape than the prediction.

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", eq. 3.

    >>> import numpy as np
    >>> print(MeanSquaredError("half_sum").forward(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))[0])
    2.5
    """

    kind: ClassVar[str] = "mean_squared_error"

    reduction: Literal["mean", "sum", "half_sum"] = "mean"

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        error = y - target
        total = (error * error).sum()
        return self.reduced(total, error), error

    def backward(self, error: Array) -> Array:
        # forward was: loss = factor * sum(error^2), error = y - target
        return self.reduced(2 * error, error)

    def reduced(self, value: Array, error: Array) -> Array:
        """``value`` times the factor of the reduction."""
        divisor = {"mean": error.size, "sum": 1, "half_sum": 2}[self.reduction]
        return value / divisor
