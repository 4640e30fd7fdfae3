"""Losses of numbers that should come near others. Any shape, the same for the prediction and the target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..layers import Array
from .base import Loss, divisor, reduced, require_above

__all__ = ["Huber", "MeanAbsoluteError", "MeanSquaredError", "SmoothL1"]


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Squared error: ``loss = factor * sum((y - target)^2)``.

    The factor is 1 for ``sum``, one over the number of all elements for ``mean``, and 1/2 for ``half_sum``, which
    makes the gradient ``y - target``. With ``none`` the loss is the array of the squares.

    Shapes: y and target alike; nothing is broadcast; loss (), or that of y for ``none``.

    Same loss elsewhere: torch.nn.MSELoss (mean, sum or none), optax.squared_error (per element) and optax.l2_loss (half
    of it). A target of (N,) against a prediction of (N, 1) is broadcast to (N, N) there, and refused here.

    Raises:
        CaseError: targets of another shape than the prediction.

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", eq. 3.

    >>> import numpy as np
    >>> print(MeanSquaredError("half_sum").forward(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))[0])
    2.5
    """

    kind: ClassVar[str] = "mean_squared_error"

    reduction: Literal["mean", "sum", "half_sum", "none"] = "mean"

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        error = y - target
        return reduced(self.reduction, error * error), error

    def backward(self, error: Array) -> Array:
        # forward was: loss = sum(error^2) / divisor, error = y - target
        return 2 * error / divisor(self.reduction, error)


@dataclass(frozen=True)
class MeanAbsoluteError(Loss):
    """Absolute error: ``loss = sum(|y - target|) / divisor``.

    The divisor is the number of all elements for ``mean`` and 1 for ``sum``. The gradient of ``|error|`` is its sign,
    and at an error of exactly 0 it is ``slope_at_zero``.

    Shapes: y and target alike; nothing is broadcast; loss (), or that of y for ``none``.

    Same loss elsewhere: torch.nn.L1Loss, whose slope at 0 is 0. optax has none; written with jax.numpy.abs, as it is
    there, it has a slope of 1 at 0.

    Raises:
        CaseError: targets of another shape than the prediction.

    Source: Willmott & Matsuura 2005, "Advantages of the mean absolute error (MAE) over the root mean square error",
    eq. 2.

    >>> import numpy as np
    >>> print(MeanAbsoluteError().forward(np.array([[1.0, 2.0]]), np.array([[0.0, 4.0]]))[0])
    1.5
    """

    kind: ClassVar[str] = "mean_absolute_error"

    reduction: Literal["mean", "sum", "none"] = "mean"
    slope_at_zero: Literal["zero", "one"] = "zero"

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        error = y - target
        return reduced(self.reduction, np.abs(error)), error

    def backward(self, error: Array) -> Array:
        # forward was: loss = sum(|error|) / divisor, error = y - target
        return sign(error, 1 if self.slope_at_zero == "one" else 0) / divisor(self.reduction, error)


@dataclass(frozen=True)
class Huber(Loss):
    """Squares of small errors, absolute values of large ones: ``loss = sum(h(y - target)) / divisor``.

    ``h(e) = e^2 / 2`` where ``|e| <= delta``, and beyond ``delta (|e| - delta / 2)``, which continues it with the slope
    that it has there: the gradient is e, cut off at delta. The divisor is the number of all elements for ``mean`` and 1
    for ``sum``.

    Shapes: y and target alike; nothing is broadcast; loss (), or that of y for ``none``.

    Same loss elsewhere: torch.nn.HuberLoss, optax.losses.huber_loss (per element). smooth L1 is this over delta;
    Paddle's smooth_l1_loss is this one.

    Raises:
        CaseError: a delta that is not above 0, or targets of another shape than the prediction.

    Source: Huber 1964, "Robust estimation of a location parameter", section 1.

    >>> import numpy as np
    >>> print(Huber("none", delta=1.0).forward(np.array([0.5, 2.0]), np.zeros(2))[0])
    [0.125 1.5  ]
    """

    kind: ClassVar[str] = "huber"

    reduction: Literal["mean", "sum", "none"] = "mean"
    delta: float = 1.0

    def __post_init__(self) -> None:
        require_above(self, "delta")

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        error = y - target
        size = np.abs(error)
        linear = self.delta * (size - self.delta / 2)
        return reduced(self.reduction, np.where(size <= self.delta, error * (error / 2), linear)), error

    def backward(self, error: Array) -> Array:
        # forward was: losses = error^2 / 2 where |error| <= delta, else delta (|error| - delta / 2)
        dlosses = np.where(np.abs(error) > self.delta, self.delta * sign(error), error)  # a NaN stays one
        # forward was: loss = sum(losses) / divisor, error = y - target
        return dlosses / divisor(self.reduction, error)


@dataclass(frozen=True)
class SmoothL1(Loss):
    """Absolute error, rounded at its kink: ``loss = sum(s(y - target)) / divisor``.

    ``s(e) = e^2 / (2 beta)`` where ``|e| < beta``, and beyond ``|e| - beta / 2``: its slope is never above 1, however
    narrow the rounding. The divisor is the number of all elements for ``mean`` and 1 for ``sum``.

    Shapes: y and target alike; nothing is broadcast; loss (), or that of y for ``none``.

    Same loss elsewhere: torch.nn.SmoothL1Loss, where a beta of 0 gives the absolute error; optax has it as
    huber_loss divided by delta. Paddle's smooth_l1_loss is Huber's, which with a width of 1 is the same.

    Raises:
        CaseError: a beta that is not above 0, or targets of another shape than the prediction.

    Source: Girshick 2015, "Fast R-CNN", eq. 3 (beta 1).

    >>> import numpy as np
    >>> print(SmoothL1("none", beta=0.5).forward(np.array([0.25, 2.0]), np.zeros(2))[0])
    [0.0625 1.75  ]
    """

    kind: ClassVar[str] = "smooth_l1"

    reduction: Literal["mean", "sum", "none"] = "mean"
    beta: float = 1.0

    def __post_init__(self) -> None:
        require_above(self, "beta")

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        error = y - target
        size = np.abs(error)
        curved = error * (error / 2) / self.beta
        return reduced(self.reduction, np.where(size < self.beta, curved, size - self.beta / 2)), error

    def backward(self, error: Array) -> Array:
        # forward was: losses = error^2 / (2 beta) where |error| < beta, else |error| - beta / 2
        dlosses = np.where(np.abs(error) >= self.beta, sign(error), error / self.beta)  # a NaN stays one
        # forward was: loss = sum(losses) / divisor, error = y - target
        return dlosses / divisor(self.reduction, error)


def sign(x: Array, at_zero: int = 0) -> Array:
    """The derivative of ``|x|``: 1 above 0, -1 below, and at 0 what is asked for."""
    ones = np.ones_like(x)
    return np.where(x > 0, ones, np.where(x < 0, -ones, np.full_like(x, at_zero)))
