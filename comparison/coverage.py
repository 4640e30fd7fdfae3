"""How far correct code strays, in units of the rounding that is expected of it: by kind of operation and by dtype.

Local: each operation on the subject's own inputs. The worst ``|subject - reference| / sigma`` says how near correct
code comes to the limit; the median of ``sigma / |subject - reference|`` how generous sigma is. How sharp it is shows
in the tensors that are refused once they are scaled by a ten thousandth: all that a sound rule can refuse. It cannot
refuse what is nothing but rounding, nor a difference of nearly equal numbers of which fewer digits are left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..reference import Case, Operation, Trace
from ..reference.layers import Array
from .tolerance import EXACT, Computed, Expected, Judge, Unsure

SCALED = 1 + 1e-4
"""What every tensor is multiplied by, to see whether it is refused then."""

NOTHING = 64.0
"""Within so many sigma of 0 is nothing but rounding, that of earlier operations included."""


@dataclass
class Strayed:
    """All that was seen of one kind of operation in one dtype of one subject."""

    worst: float = 0.0
    elements: int = 0
    networks: set[str] = field(default_factory=set)
    over: list[Array] = field(default_factory=list)
    """Sigma over the error, of the elements whose error is not 0."""
    tensors: int = 0
    """Those in which a ten thousandth of some element is more than correct code may differ by either way."""
    refused: int = 0
    """How many of these would be refused, were they scaled."""
    rounding: int = 0
    """Those that are nothing but rounding. Such is the gradient of a bias that a softmax or a normalisation undoes."""
    few_digits: int = 0
    """Those between."""

    def add(self, expected: Expected, own: Array, case: str, limit: float) -> None:
        """Add the elements of one tensor."""
        value, sigma, given = bounded(expected, own)
        error = np.abs(given - value)
        self.worst = max(self.worst, distance(expected, own))
        self.elements += value.size
        self.networks.add(case)
        seen = error > 0
        with np.errstate(all="ignore"):
            self.over.append((sigma[seen] / error[seen]).astype(np.float32))
        size = np.abs(value)
        if np.any(size * (SCALED - 1) > 2 * limit * sigma):
            self.tensors += 1
            self.refused += bool(np.any(np.abs(given * SCALED - value) > limit * sigma))
        elif np.any(size > NOTHING * sigma):
            self.few_digits += 1
        elif size.any():
            self.rounding += 1

    @property
    def median(self) -> float:
        """The median of sigma over the actual error; NaN where there was none."""
        ratios = np.concatenate(self.over) if self.over else np.zeros(0)
        return float(np.median(ratios)) if ratios.size else float("nan")


def bounded(expected: Expected, own: Array) -> tuple[Array, Array, Array]:
    """What is expected of the elements that have a bound, their sigma, and what the subject has."""
    value, sigma = np.broadcast_arrays(expected.value, expected.sigma)
    given = own.astype(value.dtype)
    usable = np.isfinite(value) & np.isfinite(given) & np.isfinite(sigma)
    return value[usable], sigma[usable], given[usable]


def distance(expected: Expected, own: Array) -> float:
    """The largest error of these elements in sigmas."""
    value, sigma, given = bounded(expected, own)
    error = np.abs(given - value)
    with np.errstate(all="ignore"):
        return float(np.where(error == 0, 0.0, error / sigma).max(initial=0))


@dataclass
class Coverage:
    """What was seen, by subject, dtype and kind."""

    strayed: dict[tuple[str, str, str], Strayed] = field(default_factory=dict)

    def of(self, subject: str, dtype: str, kind: str) -> Strayed:
        """What was seen of a kind, to be added to."""
        return self.strayed.setdefault((subject, dtype, kind), Strayed())

    def merge(self, other: Coverage) -> None:
        """Add what another has seen."""
        for key, seen in other.strayed.items():
            mine = self.of(*key)
            mine.worst = max(mine.worst, seen.worst)
            mine.elements += seen.elements
            mine.networks |= seen.networks
            mine.over += seen.over
            mine.tensors += seen.tensors
            mine.refused += seen.refused
            mine.rounding += seen.rounding
            mine.few_digits += seen.few_digits

    @property
    def worst(self) -> float:
        """The worst of all, in sigmas."""
        return max((seen.worst for seen in self.strayed.values()), default=0.0)


@dataclass
class Watched:
    """The computed tolerance, which also shows a coverage whatever it is asked to judge locally."""

    coverage: Coverage
    operations: Sequence[Operation]
    """Those of the case, which say what kind of operation made a tensor."""
    subject: str = ""
    """Whose tensors these are."""
    rule: Computed = field(default_factory=Computed)
    beyond: set[str] = field(default_factory=set)
    """The tensors beyond the limit so far, whose elements count when they are judged again."""

    @property
    def limit(self) -> float:
        return self.rule.limit

    def expect(self, trace: Trace, *, undecided: bool = False) -> Mapping[str, Expected]:
        return self.rule.expect(trace, undecided=undecided)

    def local(
        self,
        case: Case,
        own: Mapping[str, Array],
        judge: Judge,
        *,
        undecided: bool = False,
        unsure: Unsure = EXACT,
    ) -> bool:
        kinds = {name: operation.kind for operation in self.operations for name in operation.outputs}
        again = undecided or bool(unsure)

        def both(name: str, expected: Expected) -> None:
            if name in own and (name in self.beyond or not again):
                if undecided or distance(expected, own[name]) <= self.limit:
                    self.beyond.discard(name)
                    seen = self.coverage.of(self.subject, case.dtype, kinds[name])
                    seen.add(expected, own[name], case.name, self.limit)
                else:
                    self.beyond.add(name)
            judge(name, expected)

        return self.rule.local(case, own, both, undecided=undecided, unsure=unsure)
