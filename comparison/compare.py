"""A trace held against another: every tensor compared end to end, and locally where that can be done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, get_args

import numpy as np

from ..adapters.contract import Support as Nativeness
from ..reference import Case, Operation, Trace
from ..reference.dtypes import cast, flushes_subnormals, spacing
from ..reference.errors import CaseError
from ..reference.layers import Array
from ..reference.trace import phase_of
from ..traces.environment import here
from ..traces.mapping import windows
from .agreement import (
    Agreement,
    Arrays,
    Check,
    Diagnosis,
    SubjectAgreement,
    TensorAgreement,
    TruthAgreement,
    verdict_of,
)
from .diagnosis import Failure, diagnose
from .figures import Figures, measure
from .network import network_of
from .replaying import reduced
from .running import run
from .tolerance import Expected, Tolerance
from .truth import Truth
from .verdicts import Outcome, Support, Verdict, decide
from .windows import joined


@dataclass
class Comparison:
    """Subjects held against one baseline: the reference's trace, or another's that counts as right.

    What does not depend on the subject is computed once.
    """

    baseline: Trace
    tolerance: Tolerance
    only: Sequence[str] = ()
    """Patterns of the tensors to compare; without any, all are."""
    show: Sequence[str] = ()
    """Patterns of the tensors whose elements are kept, beside those that fail."""
    truth: Truth | None = None
    """What every party's distance is measured from, where it is wanted."""

    def __post_init__(self) -> None:
        if flushes_subnormals():
            received = "one that takes them for 0 (torch.set_flush_denormal, or a library built for fast mathematics)"
            raise CaseError("a process that knows subnormal numbers, to compare in", received)

    @cached_property
    def operations(self) -> Sequence[Operation]:
        """What made the tensors, in the order of computation."""
        if self.baseline.operations or self.baseline.case is None:
            return self.baseline.operations
        return run(self.baseline.case).operations

    @cached_property
    def makers(self) -> dict[str, Operation]:
        """Each tensor's operation."""
        return {name: operation for operation in self.operations for name in operation.outputs}

    @cached_property
    def names(self) -> list[str]:
        """The tensors to compare, in the order of computation."""
        ordered = [*(name for name in self.makers if name in self.baseline.tensors)]
        ordered += [name for name in self.baseline if name not in self.makers]
        return [name for name in ordered if wanted(self.only, name)]

    @cached_property
    def expected(self) -> Mapping[str, Expected]:
        """What to expect of each tensor end to end."""
        return self.tolerance.expect(self.baseline)

    @cached_property
    def undecided(self) -> Mapping[str, Expected]:
        """The same, with masks and signs that rounding leaves open counting as open."""
        return self.tolerance.expect(self.baseline, undecided=True)

    def of(
        self,
        subject: Trace,
        kinds: Mapping[str, Nativeness] | None = None,
        requires: Callable[[str], bool] = lambda name: True,
    ) -> SubjectAgreement:
        """Compare every tensor of the baseline, and then what the subject has beyond them.

        ``kinds`` says of each kind of operation whether it is the framework's own, ``requires`` of each tensor
        whether the subject must give it.
        """
        own = self.comparable(subject)
        local = self.local(own, compiled=bool(subject.environment.get("compiled")))
        arrays: dict[str, Arrays] = {}
        tensors = [self.tensor(name, subject, own, local.get(name), kinds, arrays) for name in self.names]
        beyond = [name for name in subject if name not in self.baseline.tensors and wanted(self.only, name)]
        tensors += [unexpected(name, subject) for name in beyond]
        tensors = [replace(tensor, required=requires(tensor.name)) for tensor in tensors]
        given = {name: np.asarray(subject[name]) for name in subject}
        failures = self.failures(local, own, subject)
        diverging = (tensor.name for tensor in tensors if tensor.verdict == "disagree")
        return SubjectAgreement(
            version=str(subject.environment.get("version", "")),
            verdict=verdict_of(tensors),
            first_divergence=next(diverging, None),
            environment={key: value for key, value in subject.environment.items() if key != "version"},
            diagnosis=tuple(self.diagnosed(own, given, failures)),
            tensors=tuple(tensors),
            arrays=arrays,
        )

    def failures(self, local: Mapping[str, Found], own: Mapping[str, Array], subject: Trace) -> list[Failure]:
        """The operations that fail locally, and those that made an array of another dtype or shape."""
        if not local:
            return []
        found = []
        for operation in self.operations:
            refused = [name for name in operation.outputs if name in subject.tensors and name not in own]
            failed = [name for name in operation.outputs if name in local and local[name].outcome == "disagree"]
            expected = {name: self.expected[name] for name in refused}
            expected |= {name: local[name].expected for name in failed}
            if expected:
                given = {name: np.asarray(subject[name]) for name in expected}
                found.append(Failure(operation, expected, given, {name: subject.dtype_of(name) for name in expected}))
        return found

    def diagnosed(
        self, own: Mapping[str, Array], given: Mapping[str, Array], failures: Sequence[Failure]
    ) -> list[Diagnosis]:
        """Why they fail."""
        if not failures or self.baseline.case is None:
            return []
        limit = self.tolerance.limit

        def fits(expected: Expected, array: Array) -> Figures | None:
            if np.iscomplexobj(array) or not is_bounded(expected):
                return None
            return figures_of(told(expected, array), array, limit, str(array.dtype))

        return diagnose(self.baseline.case, self.operations, own, given, failures, fits)

    def comparable(self, subject: Trace) -> dict[str, Array]:
        """The subject's tensors that have the dtype and the shape of the baseline's."""
        return {
            name: np.asarray(subject[name])
            for name in self.baseline
            if name in subject.tensors
            and subject.dtype_of(name) == self.baseline.dtype_of(name)
            and np.shape(subject[name]) == np.shape(self.baseline[name])
        }

    def local(self, own: Mapping[str, Array], *, compiled: bool = False) -> dict[str, Found]:
        """Each tensor against what the reference's operation makes of the subject's own inputs to it.

        What disagrees is judged again. A compiler fuses operations: a product and a sum are one instruction, and what
        two operations need is computed twice, so that the subject may have gone on with other roundings of what it
        handed back. And masks count as open that rounding leaves undecided.
        """
        case = self.baseline.case
        if case is None or self.baseline.source != "reference":
            return {}
        found: dict[str, Found] = {}

        def judge(name: str, expected: Expected) -> None:
            if name in own:
                found[name] = self.found(name, expected, own[name])

        def judge_again(name: str, expected: Expected) -> None:
            if name in found and found[name].outcome == "disagree":
                judge(name, expected)

        def judge_undecided(name: str, expected: Expected) -> None:
            if name in found and found[name].outcome == "disagree":
                found[name] = self.reconsidered(name, found[name], expected, own[name])

        def failing() -> Case | None:
            """The case with nothing but the operations that fail."""
            disagree = {name for name, one in found.items() if one.outcome == "disagree"}
            at_fault = [operation for operation in self.operations if not disagree.isdisjoint(operation.outputs)]
            return reduced(case, self.operations, own, at_fault) if disagree else None

        self.tolerance.local(case, own, judge)
        unsure: dict[str, Array | float] = {}
        if compiled and (left := failing()):
            self.tolerance.local(case, own, lambda name, expected: unsure.__setitem__(name, expected.sigma))
            self.tolerance.local(left, own, judge_again, unsure=unsure)
        if left := failing():
            # A mask on what the subject recorded is decided by its own values; rounding may leave any other open, and
            # whether what it did not record has overflowed.
            self.tolerance.local(left, own, judge_undecided, undecided=True, unsure=unsure)
        return found

    def end_to_end(self, name: str, own: Array) -> Found:
        """A tensor against the baseline's own."""
        expected = self.expected[name]
        found = self.found(name, expected, own)
        if not np.isfinite(expected.sigma).all():
            # Rounding may have grown beyond what can be followed: agreement would mean nothing.
            return replace(found, outcome="not compared", failed=None)
        return found if found.outcome == "agree" else self.reconsidered(name, found, self.undecided[name], own)

    def found(self, name: str, expected: Expected, own: Array) -> Found:
        """A tensor against what is expected of it."""
        return Found.of(expected, own, self.tolerance.limit, self.baseline.dtype_of(name))

    def reconsidered(self, name: str, found: Found, undecided: Expected, own: Array) -> Found:
        """The same where rounding leaves something open: a kink, if that is enough to explain the difference."""
        enough = self.found(name, undecided, own).outcome != "disagree"
        return replace(found, outcome="kink", failed=None) if enough else found

    def tensor(
        self,
        name: str,
        subject: Trace,
        own: Mapping[str, Array],
        local: Found | None,
        kinds: Mapping[str, Nativeness] | None,
        arrays: dict[str, Arrays],
    ) -> TensorAgreement:
        """One tensor: present, dtype, exact shape, NaN, signed infinities, values, in that order.

        Its elements are put into ``arrays`` where it fails or was asked for.
        """
        right = np.asarray(self.baseline[name])
        common = self.described(name, right, kinds)
        if name not in subject.tensors:
            return TensorAgreement(**common, **outcomes("not given"), failed="present")
        given = np.asarray(subject[name])
        if name not in own:
            dtype = subject.dtype_of(name)
            failed: Check = "dtype" if dtype != self.baseline.dtype_of(name) else "shape"
            received = dtype if failed == "dtype" else str(given.shape)
            arrays[name] = Arrays(right, given, np.asarray(self.expected[name].sigma))
            return TensorAgreement(**common, **outcomes("refused"), failed=failed, received=received)
        end_to_end = self.end_to_end(name, given)
        verdicts = outcomes("comparable", end_to_end, local)
        deciding = local or end_to_end
        if self.truth:
            common["truth_distance"] = self.truth.distance(name, given)
            common["reference_truth_distance"] = self.truth.distance(name, right)
        failed_check = deciding.failed if verdicts["verdict"] == "disagree" else None
        if failed_check or (self.show and wanted(self.show, name)):
            expected, sigma = deciding.expected
            same = expected.dtype == given.dtype  # then it is not copied: it may be larger than memory
            right = expected if same else cast(expected, common["dtype"])
            arrays[name] = Arrays(right, given, np.asarray(sigma))
        return TensorAgreement(**common, **verdicts, **deciding.described(), failed=failed_check)

    def described(self, name: str, right: Array, kinds: Mapping[str, Nativeness] | None) -> dict[str, Any]:
        """What is known of a tensor before it is compared."""
        maker = self.makers.get(name)
        return {
            "name": name,
            "phase": phase_of(name),
            "operation": maker.name if maker else "",
            "kind": maker.kind if maker else "",
            "shape": right.shape,
            "dtype": self.baseline.dtype_of(name),
            "native": None if kinds is None or maker is None else kinds.get(maker.kind, "native") == "native",
        }


@dataclass(frozen=True)
class Found:
    """What one comparison of a tensor found."""

    expected: Expected
    figures: Figures
    outcome: Outcome
    failed: Check | None = None

    @classmethod
    def of(cls, expected: Expected, own: Array, limit: float, dtype: str) -> Found:
        """Compare a tensor with what is expected of it."""
        bounded = is_bounded(expected)
        expected = told(expected, own)
        value, sigma = expected
        each = (sigma,) if isinstance(sigma, np.ndarray) and sigma.ndim else ()
        parts, failed = [], set()
        for start, (some, given, *scale) in windows(value, own, *each):
            figures = figures_of(Expected(some, scale[0] if scale else sigma), given, limit, dtype)
            parts.append((start, figures))
            if not figures.agrees:
                failed.add(failed_check(some, given))
        figures = joined(parts, value.shape)
        if figures.agrees:
            return cls(expected, figures, "agree" if bounded else "kink")
        return cls(expected, figures, "disagree", min(failed, key=get_args(Check).index))

    def described(self) -> dict[str, Any]:
        """The figures as an agreement holds them."""
        return {name: value for name, value in vars(self.figures).items() if name != "agrees"}


def told(expected: Expected, own: Array) -> Expected:
    """What is expected of a tensor, as far as it can be told: where rounding has no bound, whatever it is there.

    So it is behind a denominator that rounding may make 0, of which the quotient may be infinite or NaN as well.
    """
    unbounded = np.isinf(expected.sigma)
    if not unbounded.any():
        return expected
    return Expected(np.where(unbounded, own.astype(expected.value.dtype), expected.value), expected.sigma)


def is_bounded(expected: Expected) -> bool:
    """Whether rounding has a bound in any of the elements; otherwise the tensor says nothing."""
    return not np.size(expected.sigma) or bool(np.isfinite(expected.sigma).any())


def figures_of(expected: Expected, own: Array, limit: float, dtype: str) -> Figures:
    """The figures of a tensor, in the precision of what is expected; distances in numbers of its own dtype."""
    value = expected.value
    if str(value.dtype) == dtype:
        return measure(value, own, expected.sigma, limit=limit)
    with np.errstate(all="ignore"):
        wide = own.astype(value.dtype)
        figures = measure(value, wide, expected.sigma, limit=limit)
        ulps = np.abs(value - wide) / spacing(np.abs(value), dtype).astype(value.dtype)
        return replace(figures, max_ulp=float(ulps[np.isfinite(ulps)].max(initial=0)))


def outcomes(support: Support, end_to_end: Found | None = None, local: Found | None = None) -> dict[str, Any]:
    """The outcomes of the two comparisons of a tensor, and the verdict."""
    both: list[Outcome] = [found.outcome if found else "not compared" for found in (end_to_end, local)]
    verdict: Verdict = decide(both[0], both[1], support)
    return {
        "verdict": verdict,
        "end_to_end": both[0],
        "local": both[1],
        "end_to_end_sigmas": end_to_end.figures.sigmas if end_to_end else None,
        "local_sigmas": local.figures.sigmas if local else None,
    }


def failed_check(right: Array, given: Array) -> Check:
    """Which of the checks of its elements a tensor did not pass, the first in their order."""
    if not np.array_equal(np.isnan(right), np.isnan(given)):
        return "nan"
    expected, found = (np.where(np.isinf(array), np.sign(array), 0) for array in (right, given))
    return "values" if np.array_equal(expected, found) else "infinity"


def unexpected(name: str, subject: Trace) -> TensorAgreement:
    """A tensor of the subject that the case does not have."""
    phase = phase_of(name) if name.count("/") > 1 else ""
    common: dict[str, Any] = {"name": name, "phase": phase, "operation": "", "kind": ""}
    common |= {"shape": np.shape(subject[name]), "dtype": subject.dtype_of(name)}
    return TensorAgreement(**common, **outcomes("refused"), failed="expected", received=name)


def wanted(patterns: Sequence[str], name: str) -> bool:
    """Whether a name matches one of the patterns; without patterns every name does."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def standing(comparison: Comparison, traces: Iterable[Trace]) -> TruthAgreement | None:
    """How far the baseline and each of some traces are from the truth, where it is wanted."""
    truth, case = comparison.truth, comparison.baseline.case
    if truth is None or case is None:
        return None
    off = {trace.source: truth.furthest(trace, case.dtype) for trace in (comparison.baseline, *traces)}
    return TruthAgreement(
        truth.how,
        truth.digits,
        {party: found.roundoffs for party, found in off.items()},
        {party: found.tensor for party, found in off.items()},
    )


def agreement_of(
    case: Case | None,
    subjects: Mapping[str, SubjectAgreement],
    comparison: Comparison,
    truth: TruthAgreement | None = None,
) -> Agreement:
    """The agreement of some subjects with a baseline."""
    return Agreement(
        case=case.name if case else "",
        dtype=case.dtype if case else "",
        steps=case.steps if case else 0,
        about=case.about if case else "",
        environment=environment_of(comparison.baseline),
        limit=comparison.tolerance.limit,
        network=network_of(case, comparison.operations),
        subjects=subjects,
        truth=truth,
    )


def environment_of(baseline: Trace) -> dict[str, Any]:
    """Where a baseline was computed: the reference here, with this NumPy; another where it says."""
    own = dict(baseline.environment)
    if baseline.source == "reference":
        own.pop("version", None)  # that is NumPy's
    return {**here(), **own, "baseline": baseline.source}
