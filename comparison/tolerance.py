"""How far a subject may be from the reference: the one place where that is decided.

A tolerance says what to expect of each tensor: its values, and a sigma for each element, the size of the rounding
error expected there. Comparison and reports know no more than that, and the number of sigmas that is allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import ClassVar, NamedTuple, Protocol, TypeAlias

import numpy as np

from ..arithmetic.tracked import NEAR, Tracked, tracked
from ..reference import Case, Trace
from ..reference.dtypes import DTYPES, cast, limits
from ..reference.layers import Array
from ..reference.optimizers import Schedule
from ..reference.optimizers.schedules import Rounded
from ..reference.step import Start, Training
from ..reference.trace import is_given
from ..traces.mapping import windows


class Expected(NamedTuple):
    """What a tensor should be, and the rounding error expected of each element, or of all."""

    value: Array
    sigma: Array | float


Unsure: TypeAlias = Mapping[str, Array | float]
EXACT: Unsure = MappingProxyType({})
Judge: TypeAlias = Callable[[str, Expected], None]


class Tolerance(Protocol):
    """What a comparison needs to know: ``|subject - expected| <= limit * sigma`` is agreement."""

    @property
    def limit(self) -> float:
        """The number of sigmas that is allowed."""
        ...

    def expect(self, trace: Trace, *, undecided: bool = False) -> Mapping[str, Expected]:
        """What to expect of each tensor end to end, from the reference's own run.

        With ``undecided`` the masks and signs that rounding leaves open count as open, where the rule can tell.
        """
        ...

    def local(
        self,
        case: Case,
        own: Mapping[str, Array],
        judge: Judge,
        *,
        undecided: bool = False,
        unsure: Unsure = EXACT,
    ) -> bool:
        """Tell ``judge`` what to expect of each tensor from the subject's own inputs to its operation.

        ``unsure`` says by how much what the subject went on with may differ from what it handed back, a sigma each.
        False, and nothing told, where the rule cannot say.
        """
        ...


@dataclass(frozen=True)
class Computed:
    """The tolerance that rounding itself demands: the reference's code, run on arrays that track their rounding.

    An end-to-end sigma follows a tensor's rounding from the initial weights; a local one that of its operation
    alone, whose inputs are the subject's own and count as exact, unless it is said how unsure they are.
    """

    limit: float = 8.0

    def expect(self, trace: Trace, *, undecided: bool = False) -> Mapping[str, Expected]:
        if trace.case is None or trace.case.dtype not in COMPUTED_DTYPES:
            return EpsilonTable(self.limit).expect(trace)
        expected: dict[str, Expected] = {}
        dtype = trace.case.dtype

        def see(name: str, made: Array) -> None:
            expected[name] = expectation(made, dtype)

        follow(trace.case, {}, see, undecided=undecided)
        if trace.source == "reference":
            return expected
        # Another's own values count as right, and have rounded as well. What the case does not make is its own affair.
        others = EpsilonTable(self.limit).expect(trace)
        for name, (value, _) in others.items():
            if name in expected and expected[name].value.shape == value.shape:
                others[name] = Expected(value, expected[name].sigma * TWO_PARTIES)
        return others

    def local(
        self,
        case: Case,
        own: Mapping[str, Array],
        judge: Judge,
        *,
        undecided: bool = False,
        unsure: Unsure = EXACT,
    ) -> bool:
        if case.dtype not in COMPUTED_DTYPES:
            return False

        def see(name: str, made: Array) -> None:
            if isinstance(made, Tracked):  # what an idle layer makes is not
                judge(name, expectation(made, case.dtype))

        follow(case, own, see, undecided=undecided, unsure=unsure)
        return True


TWO_PARTIES = math.sqrt(2)
"""By how much more two may differ that have both rounded than one from what is right."""

COMPUTED_DTYPES = frozenset({"float16", "bfloat16", "float32", "float64"})
"""Dtypes whose rounding float64 can track."""


def follow(
    case: Case,
    own: Mapping[str, Array],
    see: Callable[[str, Array], None],
    *,
    undecided: bool = False,
    unsure: Unsure = EXACT,
    start: Start = Training,
) -> None:
    """One run of the reference on tracked arrays: each tensor is seen, then gives way to the subject's own.

    What the subject did not record carries its rounding on. With nothing recorded this is the end-to-end run.
    """
    arithmetic = tracked(case.dtype, spread=undecided)

    def keep(name: str, made: Array) -> Array:
        given = is_given(name)
        if not given:
            see(name, made)
        if not given and name not in own:
            return made
        lifted: Array = arithmetic.lift(made) if given else arithmetic.lift(own[name], unsure.get(name, 0.0))
        return lifted

    with np.errstate(all="ignore"):
        start(with_rounded_rates(case), keep).run()


def with_rounded_rates(case: Case) -> Case:
    """The case with learning rates that carry their rounding, where a rule made them."""
    rule = case.optimizer.learning_rate
    if not isinstance(rule, Schedule):
        return case
    return replace(case, optimizer=replace(case.optimizer, learning_rate=Rounded(rule)))


def expectation(made: Array, dtype: str) -> Expected:
    """A tracked tensor as what to expect of a subject in the dtype: what overflows there is infinite.

    Where open masks count as open, so does whether a number overflows that is near the largest one.
    """
    assert isinstance(made, Tracked)
    value, sigma = made.value, made.sigma
    overflowed = np.where(overflows(value, dtype), np.copysign(np.inf, value), value)
    if made.spread:
        size, near = np.abs(value), NEAR * sigma
        sigma = np.where(overflows(size + near, dtype) & ~overflows(size - near, dtype), np.inf, sigma)
    return Expected(overflowed, sigma)


def overflows(value: Array, dtype: str) -> Array:
    """Which values are infinite in the dtype."""
    with np.errstate(over="ignore"):
        return np.isinf(cast(value, dtype))  # type: ignore[no-any-return]


@dataclass(frozen=True)
class EpsilonTable:
    """A tolerance for each dtype: so many of its epsilons, of the largest element of the tensor.

    ``limit * sigma = EPSILONS[dtype] * eps(dtype) * max |reference|``, and at least the smallest normal number; times
    the root of two where another's trace counts as right.
    It knows nothing of operations, so there is no local comparison.
    """

    limit: float = 8.0

    EPSILONS: ClassVar[dict[str, float]] = dict.fromkeys(DTYPES, 64.0)

    def expect(self, trace: Trace, *, undecided: bool = False) -> dict[str, Expected]:
        arrays = {name: np.asarray(trace[name]) for name in trace}
        parties = 1.0 if trace.source == "reference" else TWO_PARTIES
        return {n: Expected(array, self.sigma(array, trace.dtype_of(n)) * parties) for n, array in arrays.items()}

    def local(
        self,
        case: Case,
        own: Mapping[str, Array],
        judge: Judge,
        *,
        undecided: bool = False,
        unsure: Unsure = EXACT,
    ) -> bool:
        return False

    def sigma(self, reference: Array, dtype: str) -> float:
        if reference.dtype.kind != "f":
            return 0.0
        unit, _, normal = limits(dtype)
        largest = max(largest_of(window) for _, (window,) in windows(reference))
        kind = "longdouble" if reference.dtype == np.longdouble else dtype
        return max(self.EPSILONS[kind] * 2 * unit * largest, normal) / self.limit


def largest_of(array: Array) -> float:
    """The largest magnitude of an array's finite elements; 0 where there are none."""
    if not array.size:
        return 0.0
    largest = max(float(array.max()), -float(array.min()))
    return largest if np.isfinite(largest) else float(np.abs(array[np.isfinite(array)]).max(initial=0))
