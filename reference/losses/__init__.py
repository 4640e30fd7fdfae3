"""The losses: what the network gave, against what was wanted, as one number."""

from __future__ import annotations

from .base import Loss, row_divisor
from .classification import CrossEntropy, SoftmaxCrossEntropy
from .regression import MeanSquaredError

LOSSES: dict[str, type[Loss]] = {loss.kind: loss for loss in (CrossEntropy, SoftmaxCrossEntropy, MeanSquaredError)}
"""Every loss by its kind."""

__all__ = ["LOSSES", "CrossEntropy", "Loss", "MeanSquaredError", "SoftmaxCrossEntropy", "row_divisor"]
