"""What a loss is: its conventions, a number from a prediction and a target, and the gradient of that number.

N rows, C outputs (classes). A loss ends the graph, so its backward starts from ``dloss = 1`` and returns the gradient
with respect to the prediction. The reduction, by which authors and frameworks differ most, is a field. With ``none``
the loss is the array of the losses that a reduction would add up, and its gradient is that of their sum.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from ..errors import CaseError
from ..layers import Array, Shape

Slope: TypeAlias = Literal["zero", "half", "one"]
"""The derivative of ``max(x, 0)`` at exactly 0, on which frameworks do not agree."""


class Loss:
    """A loss, as a frozen dataclass whose fields are its conventions.

    ``forward(*predictions, target) -> (loss, saved)``
        gives a number (an array without axes; with the reduction ``none`` the losses as they are) and whatever the
        backward needs.
    ``backward(saved) -> dprediction``
        is the gradient of that number (of the sum of the losses) with respect to the prediction; a tuple, one for each,
        where the loss takes several.
    """

    kind: ClassVar[str]
    """The name of the loss in a case file."""

    arity: ClassVar[int] = 1
    """How many predictions the loss takes."""

    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., Any]

    integer_targets: bool = False
    """True where targets are class indices; otherwise they are numbers of the case's dtype."""

    def target_shape(self, *predictions: Shape) -> Shape:
        """Shape of the targets for predictions of these shapes; ``(0,)`` for a loss that takes no target.

        Raises:
            CaseError: the loss cannot take these predictions.
        """
        require_predictions(self, predictions)
        return predictions[0]

    def check_target(self, target: Array, *predictions: Shape) -> None:
        """Raise CaseError unless the targets fit predictions of these shapes."""
        expected = self.target_shape(*predictions)
        if target.shape != expected:
            raise CaseError(f"shape {expected}", f"shape {target.shape}")

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        """Targets drawn at random: standard normal unless the loss wants something else."""
        return generator.standard_normal(self.target_shape(*predictions))


# ------------------------------------------------------------------------------------------------------- what is taken


def require_predictions(loss: Loss, predictions: tuple[Shape, ...]) -> None:
    """Raise CaseError unless there are as many predictions as the loss takes, all of one shape."""
    if len(predictions) != loss.arity:
        one = "1 prediction" if loss.arity == 1 else f"{loss.arity} predictions"
        raise CaseError(one, str(len(predictions)), key="prediction")
    if len(set(predictions)) > 1:
        shapes = ", ".join(map(str, predictions))
        raise CaseError("predictions of one shape", f"shapes {shapes}", key="prediction")


def require_classes(prediction: Shape) -> None:
    """Raise CaseError unless a prediction of this shape has rows of outputs."""
    if len(prediction) < 2:
        raise CaseError("a prediction of shape (..., N, C)", f"shape {prediction}", key="prediction")


def require_above(loss: Loss, *fields: str, least: float = 0, or_equal: bool = False) -> None:
    """Raise CaseError unless each of these fields, a number, is above a bound, or equal to it where that is allowed."""
    for field in fields:
        value = getattr(loss, field)
        if not (value > least or (or_equal and value == least)):
            raise CaseError(f"a number {'of at least' if or_equal else 'above'} {least}", str(value), key=field)


def require_between(target: Array, low: int, high: int) -> None:
    """Raise CaseError unless all targets lie between two numbers, both included."""
    if target.size and not (target.min() >= low and target.max() <= high):
        raise CaseError(f"targets from {low} to {high}", f"targets from {target.min()} to {target.max()}")


def require_signs(target: Array) -> None:
    """Raise CaseError unless all targets are -1 or 1."""
    others = target[np.abs(target) != 1]
    if others.size:
        raise CaseError("targets of -1 or 1", str(others[0]))


def draw_distributions(generator: np.random.Generator, shape: Shape) -> Array:
    """Rows of sixteenths that add up to 1 exactly in every dtype: 16 throws of a fair die with C faces."""
    return generator.multinomial(16, np.full(shape[-1], 1 / shape[-1]), size=shape[:-1]) / 16


def draw_signs(generator: np.random.Generator, shape: Shape) -> Array:
    """Targets of -1 and 1."""
    return 2.0 * generator.integers(2, size=shape) - 1


# ----------------------------------------------------------------------------------------------------------- reduction


def divisor(reduction: str, losses: Array, outputs: int = 1) -> int:
    """By what the sum of the losses is divided; each is of so many outputs. Of an array, its shape alone counts."""
    if reduction in ("sum", "none"):
        return 1
    if reduction == "batchmean":
        return len(losses)
    counts: dict[str, int] = {"mean": losses.size, "mean_over_outputs": losses.size * outputs, "half_sum": 2}
    return counts[reduction]


def reduced(reduction: str, losses: Array, outputs: int = 1) -> Array:
    """The losses of elements or of rows as one number, or as they are."""
    return losses if reduction == "none" else losses.sum() / divisor(reduction, losses, outputs)


# --------------------------------------------------------------------------------------------------------------- kinks


def above_zero(x: Array, at_zero: Slope = "zero") -> Array:
    """The derivative of ``max(x, 0)``: 1 where x is above 0, 0 below."""
    slope = {"zero": 0.0, "half": 0.5, "one": 1.0}[at_zero]
    return np.where(x > 0, np.ones_like(x), np.where(x < 0, np.zeros_like(x), np.full_like(x, slope)))


# ------------------------------------------------------------------------------------------------------------ in arrays


def numbers(values: tuple[float, ...], like: Array) -> Array:
    """Numbers of a field as an array, in the dtype and the arithmetic of another."""
    return np.stack([np.full_like(like, value, shape=()) for value in values])


def one_hot(indices: Array, like: Array) -> Array:
    """Rows of zeros with a 1 at the index, in the shape and dtype of ``like``."""
    rows = np.zeros_like(like)
    np.put_along_axis(rows, indices[..., None], np.ones_like(rows[..., :1]), axis=-1)
    return rows
