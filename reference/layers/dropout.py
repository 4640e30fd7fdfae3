"""Dropout, whose mask is given: what is drawn at random elsewhere is here a part of the data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters

__all__ = ["Dropout"]


@dataclass(frozen=True)
class Dropout(Layer):
    """Dropout with a given mask: ``y = x * mask / (1 - rate)``.

    The mask is 0 where an element is dropped and 1 where it is kept; it comes with the data of every step, under
    ``NODE.mask``, so that all compute with the same one. ``rate`` is the probability by which such masks are drawn, and
    what is kept is divided by ``1 - rate``, so that its mean stays what it is. In evaluation there is no dropout: the
    node is left out.

    Shapes: x, mask and y alike.

    Same layer elsewhere: torch.nn.Dropout and flax.nnx.Dropout draw the mask themselves, each from its own generator;
    with a given one it is written ``x * mask / (1 - rate)``. The scaling is the same everywhere.

    Raises:
        CaseError: a rate outside [0, 1), a mask of another shape or of other numbers than 0 and 1.

    Source: Srivastava, Hinton, Krizhevsky, Sutskever & Salakhutdinov 2014, "Dropout", section 10, for the scaling.

    >>> Dropout(0.5).forward(np.array([1.0, 2.0, 3.0]), {"mask": np.array([1.0, 0.0, 1.0])})[0]
    array([2., 0., 6.])
    """

    kind: ClassVar[str] = "dropout"

    rate: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise CaseError("a number in [0, 1)", repr(self.rate), key="rate")

    @property
    def given(self) -> tuple[str, ...]:
        return ("mask",)

    def check_given(self, name: str, values: Array) -> None:
        require_zeros_and_ones(values)

    def draw_given(self, generator: np.random.Generator, name: str, shape: tuple[int, ...]) -> Array:
        return (generator.random(shape) >= self.rate).astype(float)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, None]:
        y = x * params["mask"] / (1 - self.rate)
        return y, None

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = x * mask / (1 - rate)
        dx = dy * params["mask"] / (1 - self.rate)
        return dx, {}


def require_zeros_and_ones(values: Array) -> None:
    """Raise CaseError unless a mask is 0 or 1 everywhere."""
    other = values[(values != 0) & (values != 1)]
    if other.size:
        raise CaseError("a mask of 0 and 1", str(other.flat[0]))
