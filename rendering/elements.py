"""The elements of a tensor that failed or was asked for: which are the worst, and how the errors are spread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..comparison.agreement import Arrays
from ..reference.layers import Array


@dataclass(frozen=True)
class Element:
    """One element: where it is, both values as they are written, their distance, and that in sigmas."""

    index: tuple[int, ...]
    reference: str
    subject: str
    distance: float
    sigmas: float
    allowed: float


@dataclass(frozen=True)
class Elements:
    """All elements of a tensor, and by how much they may be off."""

    arrays: Arrays
    limit: float

    @cached_property
    def difference(self) -> Array:
        """Subject minus reference, in float64 at least; NaN where either is not finite."""
        reference, subject = map(self.wide, self.both)
        with np.errstate(all="ignore"):
            return np.where(np.isfinite(reference) & np.isfinite(subject), subject - reference, np.nan)

    @cached_property
    def sigma(self) -> Array:
        """The sigma of each element."""
        return np.broadcast_to(np.asarray(self.arrays.sigma, np.float64), self.arrays.reference.shape)

    @cached_property
    def sigmas(self) -> Array:
        """The distance of each element in sigmas; infinite for a NaN or an infinity that only one side has."""
        reference, subject = map(self.wide, self.both)
        alike = (reference == subject) | (np.isnan(reference) & np.isnan(subject))
        distance = np.abs(self.difference)
        with np.errstate(all="ignore"):
            sigmas = np.where(distance == 0, 0, distance / self.sigma).astype(np.float64)
        return np.where(np.isnan(self.difference) | np.isnan(sigmas), np.where(alike, 0, np.inf), sigmas)

    @property
    def patterned(self) -> bool:
        """Whether there is a NaN or an infinity on either side."""
        return bool(np.isnan(self.difference).any())

    def first(self, most: int) -> tuple[list[str], list[str]]:
        """The first elements of the reference and of the subject, as they are written, in the order of memory."""
        reference, subject = ([str(one) for one in array.ravel()[:most]] for array in self.both)
        return reference, subject

    @property
    def both(self) -> tuple[Array, Array]:
        """The reference's and the subject's."""
        return self.arrays.reference, self.arrays.subject

    def worst(self, most: int) -> Iterator[Element]:
        """The worst elements, first those with the most sigmas."""
        distance = np.nan_to_num(np.abs(self.difference).astype(np.float64), nan=np.inf).ravel()
        order = np.lexsort((-distance, -self.sigmas.ravel()))[:most]
        for place in order:
            index = tuple(int(at) for at in np.unravel_index(place, self.sigmas.shape))
            yield Element(
                index,
                str(self.arrays.reference[index]),
                str(self.arrays.subject[index]),
                float(abs(self.difference[index])),
                float(self.sigmas[index]),
                float(self.limit * self.sigma[index]),
            )

    @staticmethod
    def wide(array: Array) -> Array:
        """An array in float64, or wider if it is."""
        return array.astype(np.result_type(array, np.float64))
