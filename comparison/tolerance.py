"""How far a subject may be from the reference: the one place where that is decided.

A tolerance gives every element a sigma, the size of the rounding error expected there, and the number of sigmas
that is allowed. Comparison and reports know no more than that.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from ..reference.layers import Array


class Tolerance(Protocol):
    """What a comparison needs to know: ``|subject - reference| <= limit * sigma`` is agreement."""

    @property
    def limit(self) -> float:
        """The number of sigmas that is allowed."""
        ...

    def sigma(self, name: str, reference: Array) -> float | Array:
        """The rounding error expected in each element of a tensor (an array of its shape), or in all of them."""
        ...


@dataclass(frozen=True)
class EpsilonTable:
    """A tolerance for each dtype: so many of its epsilons, of the largest element of the tensor.

    ``limit * sigma = EPSILONS[dtype] * eps(dtype) * max |reference|``, and at least the smallest normal number.
    """

    limit: float = 8.0

    EPSILONS: ClassVar[dict[str, float]] = {"float16": 64.0, "float32": 64.0, "float64": 64.0, "longdouble": 64.0}

    def sigma(self, name: str, reference: Array) -> float:
        if reference.dtype.kind != "f":
            return 0.0
        number = np.finfo(reference.dtype)
        magnitudes = np.abs(reference[np.isfinite(reference)])
        largest = float(magnitudes.max(initial=0))
        kind = "longdouble" if reference.dtype == np.longdouble else reference.dtype.name
        return max(self.EPSILONS[kind] * float(number.eps) * largest, float(number.tiny)) / self.limit
