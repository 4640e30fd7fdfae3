"""Mistakes in Adafactor and Muon."""

from __future__ import annotations

import numpy as np

from ..reference.layers import Array
from ..reference.optimizers import Adafactor, Muon, Slots
from .base import OptimizerFault


class StepNotClipped(OptimizerFault, Adafactor):
    """A step of any size is taken: its root mean square is not held below the clip.

    Clipping is thought of as something for the gradients, and this is their spread. The steps are too large wherever a
    gradient is larger than those before.
    """

    only_where = "a step is larger than the clip"

    def clipped(self, u: Array) -> Array:
        return u


class WeightScaleForgotten(OptimizerFault, Adafactor):
    """Steps have the learning rate for their size, and are not relative to that of the weight.

    Other optimizers have no such factor, and here it is an option in some libraries. Small weights move too far, by
    the ratio of 1 and their size.
    """

    def scale(self, weight: Array) -> Array:
        return np.ones_like(super().scale(weight))


class MeanOfTheRowsForgotten(OptimizerFault, Adafactor):
    """The spread is the product of the means of row and column, without being divided by the mean of all.

    The product alone has the unit of the fourth power of a gradient. The steps are off by the root of the mean square
    of the gradient, one number for the whole matrix.
    """

    def variance(self, new: Slots) -> Array:
        v = super().variance(new)
        if "variance" in new:
            return v
        rows = new["row_variance"]
        return rows * new["column_variance"]


class StepNotOrthogonal(OptimizerFault, Muon):
    """The mean of the gradients is normalised and not made orthogonal.

    The iteration is skipped, or its result is dropped. What is left is gradient descent by steps of one length, in
    which the strongest direction drowns all others.
    """

    def orthogonal(self, m: Array) -> Array:
        return self.unit(m)


class CubicIteration(OptimizerFault, Muon):
    """The iteration is the textbook's, ``1.5 X - 0.5 X X^T X``, with as many steps as the faster one needs.

    Both bring the singular values to 1 in the end. The textbook's takes three times as many steps, and small singular
    values are still small after five.
    """

    @classmethod
    def possible(cls, optimizer: Muon, rates: tuple[float, ...]) -> bool:
        return optimizer.coefficients != (1.5, -0.5, 0.0)

    def orthogonal(self, m: Array) -> Array:
        return self.right(coefficients=(1.5, -0.5, 0.0)).orthogonal(m)  # type: ignore[attr-defined, no-any-return]


class MatrixNotNormalised(OptimizerFault, Muon):
    """The iteration starts from the mean of the gradients as it is.

    It converges only where no singular value is much above 1. Small gradients stay small, large ones overflow within
    a few iterations.
    """

    def unit(self, m: Array) -> Array:
        return m
