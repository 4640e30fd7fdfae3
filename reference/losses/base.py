"""What a loss is: its conventions, a number from a prediction and a target, and the gradient of that number.

N rows, C outputs (classes). A loss ends the graph, so its backward starts from ``dloss = 1`` and returns the gradient
with respect to the prediction. The reduction, by which authors and frameworks differ most, is a field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from ..errors import CaseError
from ..layers import Array, Shape


class Loss:
    """A loss, as a frozen dataclass whose fields are its conventions.

    ``forward(prediction, target) -> (loss, saved)``
        gives a number (an array without axes; with the reduction ``none`` one for each element or row) and whatever the
        backward needs.
    ``backward(saved) -> dprediction``
        is the gradient of that number, or of the sum of these numbers, with respect to the prediction.

    A loss that takes several predictions is given them one after the other, and returns a gradient for each.
    """

    kind: ClassVar[str]
    """The name of the loss in a case file."""

    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., Array]

    arity: ClassVar[int] = 1
    """How many predictions the loss takes."""

    integer_targets: bool = False
    """True where targets are class indices; otherwise they are numbers of the case's dtype."""

    def target_shape(self, *predictions: Shape) -> Shape:
        """Shape of the targets for predictions of these shapes."""
        return predictions[0]

    def check_target(self, target: Array, *predictions: Shape) -> None:
        """Raise CaseError unless the targets fit predictions of these shapes."""
        expected = self.target_shape(*predictions)
        if target.shape != expected:
            raise CaseError(f"shape {expected}", f"shape {target.shape}")

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        """Targets drawn at random: standard normal unless the loss wants something else."""
        return generator.standard_normal(self.target_shape(*predictions))


def draw_distributions(generator: np.random.Generator, shape: Shape) -> Array:
    """Rows of sixteenths that add up to 1 exactly in every dtype: 16 throws of a fair die with C faces."""
    return generator.multinomial(16, np.full(shape[-1], 1 / shape[-1]), size=shape[:-1]) / 16


def require_classes(prediction: Shape) -> None:
    """Raise CaseError unless a prediction of this shape has rows of outputs."""
    if len(prediction) < 2:
        raise CaseError("a prediction of shape (..., N, C)", f"shape {prediction}", key="prediction")


def row_divisor(reduction: str, rows: Array) -> int:
    """By what a loss over the rows of an array (..., N, C) is divided."""
    outputs: int = rows.shape[-1]
    return {"sum": 1, "mean": rows.size // outputs, "mean_over_outputs": rows.size}[reduction]


def one_hot(indices: Array, like: Array) -> Array:
    """Rows of zeros with a 1 at the index, in the shape and dtype of ``like``."""
    rows = np.zeros_like(like)
    np.put_along_axis(rows, indices[..., None], np.ones_like(rows[..., :1]), axis=-1)
    return rows
