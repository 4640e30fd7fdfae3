"""How far each party is from the truth: the same formulas with so many digits that rounding no longer counts.

A certified truth encloses every number in a ball of 200 bits. Where that would take too long the reference is run in
extended precision, or in float64, which is said and certifies nothing. Which it is depends on the multiply-adds of the
run, counted. A truth is about rounding: it has the formulas of the reference, right or wrong.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec

import numpy as np

from ..arithmetic.ball import balls, distance
from ..arithmetic.counting import multiply_adds
from ..reference import Case, Trace, train
from ..reference.dtypes import limits
from ..reference.layers import Array
from ..reference.trace import is_given

BITS = 200
CERTIFIED_UP_TO = 10**8
"""Multiply-adds that balls are used for: at 10 to 50 nanoseconds each, some seconds."""
EXTENDED_UP_TO = 10**11
"""Multiply-adds that extended precision is used for, which no fast library computes in."""


@dataclass(frozen=True)
class Truth:
    """The true values of a run: how they were found, to how many digits, and how far an array may be from them."""

    how: str
    digits: int
    """Decimal digits that hold in every tensor, relative to its largest element; 0 where nothing is certified."""
    distance: Callable[[str, Array], float]
    """The largest distance of an element of this array from the tensor of this name: at most so much."""
    largest: Mapping[str, float]
    """The largest true magnitude in each tensor."""

    def roundoffs(self, name: str, array: Array, dtype: str) -> float:
        """That distance in unit roundoffs of the dtype, relative to the tensor's largest element."""
        unit, _, _ = limits(dtype)
        apart = self.distance(name, array)
        largest = self.largest[name]
        return apart / (unit * largest) if largest else (0.0 if apart == 0 else math.inf)

    def furthest(self, trace: Trace, dtype: str) -> Standing:
        """The tensor of a trace that is furthest from the truth."""
        off = {name: self.roundoffs(name, np.asarray(trace[name]), dtype) for name in trace if name in self.largest}
        worst = max(off, key=lambda name: off[name], default="")
        return Standing(off.get(worst, math.nan), worst)


@dataclass(frozen=True)
class Standing:
    """How far a party is from the truth at its worst, in unit roundoffs, and in which tensor."""

    roundoffs: float
    tensor: str


def truth_of(case: Case) -> Truth:
    """The truth about a case, by the best way that its size and what is installed allow."""
    size = multiply_adds(case)
    if size <= CERTIFIED_UP_TO and find_spec("flint") is not None:
        return certified(case)
    why = "python-flint is not installed" if size <= CERTIFIED_UP_TO else f"{size:.1e} multiply-adds"
    dtype = "longdouble" if size <= EXTENDED_UP_TO else "float64"
    return rounded(case, dtype, why)


def certified(case: Case) -> Truth:
    """Every number enclosed in a ball."""
    arithmetic = balls(BITS)
    true: dict[str, Array] = {}

    def keep(name: str, made: Array) -> Array:
        if is_given(name):
            lifted: Array = arithmetic.lift(made)
            return lifted
        true[name] = made
        return made

    train(case, keep)
    largest = {name: float(np.abs(made.mid).max(initial=0)) for name, made in true.items()}  # type: ignore[attr-defined]
    radii = {name: float(made.radius.max(initial=0)) for name, made in true.items()}  # type: ignore[attr-defined]
    relative = max((radii[name] / largest[name] for name in true if largest[name] and radii[name]), default=0.0)
    digits = math.floor(-math.log10(relative)) if 0 < relative < 1 else (0 if relative else math.floor(BITS * 0.30103))

    def apart(name: str, array: Array) -> float:
        same = true[name].shape == array.shape
        return float(distance(true[name], array).upper.max(initial=0)) if same else math.inf

    return Truth(f"balls of {BITS} bits", digits, apart, largest)


def rounded(case: Case, dtype: str, why: str) -> Truth:
    """The reference in a wider dtype: near the truth, and not certified."""
    trace = Trace()
    with np.errstate(all="ignore"):
        train(replace(case, dtype=dtype), trace.keep)
    true = {name: np.asarray(trace[name]) for name in trace}
    largest = {name: float(np.abs(array).max(initial=0)) for name, array in true.items()}

    def apart(name: str, array: Array) -> float:
        if true[name].shape != array.shape:
            return math.inf
        with np.errstate(all="ignore"):
            return float(np.abs(true[name] - array).max(initial=0))

    return Truth(f"{dtype}, not certified: {why}", 0, apart, largest)
