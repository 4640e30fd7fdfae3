"""An agreement: the verdict on every tensor of every subject, with its figures. Every report is a view of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from ..reference.layers import Array
from .network import Network
from .verdicts import HARMLESS, SEVERITY, UNCOMPARED, Outcome, Verdict, worst

Check: TypeAlias = Literal["present", "expected", "dtype", "shape", "nan", "infinity", "values"]
"""What a tensor failed: to be there, to be among the case's, or the comparison of this property."""


@dataclass(frozen=True)
class TensorAgreement:
    """One tensor of a subject against the reference's. It starts as ``not compared``; only a comparison changes that.

    Figures are those of the comparison that decides, the local one where it was made, over the elements that are
    finite on both sides: ``max_abs`` in the tensor's own unit, ``max_rel`` relative to what is expected, ``max_ulp``
    in representable numbers, ``sigmas`` in expected rounding errors; ``tolerance`` and ``would_pass`` (the tolerance
    that would have passed) at ``worst_index``, the element with the most sigmas, whose two values are ``reference``
    and ``subject``. ``nan`` and ``inf`` count (reference, subject).
    """

    name: str
    phase: str
    operation: str
    kind: str
    shape: tuple[int, ...]
    dtype: str
    verdict: Verdict = "not compared"
    required: bool = True
    """Whether the subject must give it."""
    failed: Check | None = None
    """The first check that the tensor did not pass, in the order in which they are made."""
    received: str = ""
    """What the subject gave instead, where it is not a matter of values."""
    end_to_end: Outcome = "not compared"
    """Against the reference's own run from the initial weights."""
    local: Outcome = "not compared"
    """Against what the reference's operation makes of the subject's own inputs to it."""
    native: bool | None = None
    max_abs: float | None = None
    max_rel: float | None = None
    max_ulp: float | None = None
    sigmas: float | None = None
    end_to_end_sigmas: float | None = None
    local_sigmas: float | None = None
    tolerance: float | None = None
    would_pass: float | None = None
    worst_index: tuple[int, ...] | None = None
    reference: float | None = None
    subject: float | None = None
    truth_distance: float | None = None
    """How far the subject's tensor is from the truth at most, in the tensor's own unit, where that was asked for."""
    reference_truth_distance: float | None = None
    """The same of the reference's own tensor."""
    mismatched: int | None = None
    elements: int | None = None
    nan: tuple[int, int] | None = None
    inf: tuple[int, int] | None = None

    @property
    def counts(self) -> bool:
        """Whether the verdict counts for the subject's own: what need not be given may be left out."""
        return self.required or self.verdict != "not given"

    @property
    def badness(self) -> tuple[int, float]:
        """A key that sorts the worst tensor first."""
        return SEVERITY.index(self.verdict), -(self.sigmas or 0.0)


@dataclass(frozen=True)
class Diagnosis:
    """A cause of a disagreement, with the evidence for it."""

    operation: str
    cause: str
    evidence: str
    kind: Literal["fault", "convention", "signature", "unknown"]


@dataclass(frozen=True)
class Arrays:
    """The elements of a tensor: what was expected, in the dtype of the tensor, what the subject has, and the sigmas.

    Of a tensor that is refused for its dtype or its shape, the subject's have those that it gave.
    """

    reference: Array
    subject: Array
    sigma: Array
    """As many as the reference has elements, or one for all."""

    @property
    def paired(self) -> bool:
        """Whether each element has one that it can be held against."""
        return self.reference.shape == self.subject.shape


@dataclass(frozen=True)
class SubjectAgreement:
    """One subject against the reference. ``reason`` says why where nothing could be compared."""

    version: str
    verdict: Verdict
    first_divergence: str | None = None
    reason: str = ""
    environment: Mapping[str, Any] = field(default_factory=dict)
    diagnosis: tuple[Diagnosis, ...] = ()
    tensors: tuple[TensorAgreement, ...] = ()
    not_kept: tuple[str, ...] = ()
    """Tensors whose elements were to be kept in the folder and did not fit."""
    arrays: Mapping[str, Arrays] = field(default_factory=dict, repr=False, compare=False)
    """The elements of the tensors that failed or were asked for, by name."""

    def count(self, verdict: Verdict) -> int:
        """How many tensors have the verdict."""
        return sum(tensor.verdict == verdict for tensor in self.tensors)

    def within(self, phase: str) -> SubjectAgreement:
        """The same of one phase alone: its tensors, and those that the case does not have; of ``""``, everything.

        What could not be compared at all has the same verdict in every phase.
        """
        if not phase or not self.tensors:
            return self
        tensors = tuple(tensor for tensor in self.tensors if tensor.phase == phase or tensor.failed == "expected")
        return replace(self, tensors=tensors, verdict=verdict_of(tensors))

    def worst_first(self) -> list[TensorAgreement]:
        """The tensors from the worst to the best; those equally bad in the order of computation."""
        return sorted(self.tensors, key=lambda tensor: tensor.badness)


def verdict_of(tensors: Iterable[TensorAgreement]) -> Verdict:
    """A subject's verdict: the worst of its tensors', of those that count."""
    return worst(tensor.verdict for tensor in tensors if tensor.counts)


@dataclass(frozen=True)
class TruthAgreement:
    """How far each party is from the truth, at its worst, in unit roundoffs of the tensor's largest element."""

    how: str
    """How the truth was found, and whether it is certified."""
    digits: int
    """Decimal digits of it that are certified in every tensor."""
    distances: Mapping[str, float]
    """By party, the reference among them: the largest distance of any tensor."""
    tensors: Mapping[str, str]
    """By party: the tensor that is that far off."""

    @property
    def nearest(self) -> str:
        """The party that is nearest to the truth."""
        return min(self.distances, key=lambda party: self.distances[party])


@dataclass(frozen=True)
class Placed:
    """An entry of the map from one model to another, whether it is proven, and if not, why."""

    entry: str
    proven: bool
    why: str = ""


@dataclass(frozen=True)
class Agreement:
    """One case, the reference, and every subject that was held against it."""

    case: str
    dtype: str
    steps: int
    about: str = ""
    limit: float = 8.0
    """How many sigmas an element may be off."""
    environment: Mapping[str, Any] = field(default_factory=dict)
    network: Network = field(default_factory=Network)
    subjects: Mapping[str, SubjectAgreement] = field(default_factory=dict)
    differing: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """Of two traces that are compared, what differs in where they were made: the first's and the second's."""
    truth: TruthAgreement | None = None
    placed: tuple[Placed, ...] = ()
    """Of two models that are compared, the entries of the map that are of parameters."""
    alone: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By model, its outputs and buffers that the map does not mention: they are not compared."""

    @property
    def compared(self) -> bool:
        """Whether anything was compared at all."""
        return any(tensor.verdict not in UNCOMPARED for subject in self.subjects.values() for tensor in subject.tensors)

    @property
    def ok(self) -> bool:
        """Whether something was compared and nothing compared disagrees; what is unsupported does not count."""
        supported = [subject for subject in self.subjects.values() if subject.verdict != "unsupported"]
        return bool(supported) and all(subject.verdict in HARMLESS for subject in supported)

    def raise_if_failed(self) -> None:
        """Raise Disagreement, naming each subject's verdict and first divergence, unless all is well."""
        if not self.ok:
            raise Disagreement(self)


class Disagreement(AssertionError):
    """An agreement that is none."""

    def __init__(self, agreement: Agreement) -> None:
        super().__init__(agreement)
        self.agreement = agreement

    def __str__(self) -> str:
        lines = [f"{self.agreement.case} ({self.agreement.dtype}):"]
        if not self.agreement.subjects:
            lines.append("  nothing was compared")
        for name, subject in self.agreement.subjects.items():
            lines.append(f"  {name} {subject.version}: {describe(subject)}")
        return "\n".join(lines)


def describe(subject: SubjectAgreement) -> str:
    """A subject's verdict in one line."""
    total = len(subject.tensors)
    if subject.reason:
        return f"{subject.verdict}: {subject.reason}"
    kinks = sum(tensor.end_to_end == "kink" and tensor.verdict == "agree" for tensor in subject.tensors)
    note = f" ({kinks} beyond a mask that rounding leaves undecided, judged by their own operation)" if kinks else ""
    left_out = subject.count("not given")
    if subject.verdict == "agree" and not left_out:
        return f"all {total} tensors agree{note}"
    if subject.verdict == "agree":
        return f"{total - left_out} tensors agree{note}, {left_out} not given"
    line = f"{subject.verdict}: {subject.count('agree')} of {total} tensors agree{note}"
    if subject.count("kink"):
        line += f", {subject.count('kink')} as far as rounding lets one tell"
    if left_out:
        line += f", {left_out} not given"
    if missing := [tensor.name for tensor in subject.tensors if tensor.required and tensor.verdict == "not given"]:
        line += f" ({missing[0]}{f' and {len(missing) - 1} more' if missing[1:] else ''} required)"
    if subject.first_divergence is None:
        return line
    first = next(tensor for tensor in subject.tensors if tensor.name == subject.first_divergence)
    place = f", in {first.operation}" if first.operation else ""
    return f"{line}; first divergence {first.name}{place}: {explain(first)}"


def explain(tensor: TensorAgreement) -> str:
    """Why a tensor has its verdict, in a few words."""
    if tensor.failed is None:
        return tensor.verdict
    if tensor.failed == "values":
        return (
            f"at {list(tensor.worst_index or ())} {tensor.subject!r} for {tensor.reference!r}, "
            f"{tensor.max_abs:.3g} apart at most, {tensor.tolerance:.3g} allowed there"
        )
    if tensor.failed in ("nan", "infinity"):
        counts = tensor.nan if tensor.failed == "nan" else tensor.inf
        reference, subject = counts or (0, 0)
        what = "NaN" if tensor.failed == "nan" else "infinite"
        return f"{subject} elements are {what} for {reference} of the reference, or not the same ones"
    if tensor.failed == "present":
        return "not given"
    if tensor.failed == "expected":
        return "the case has no tensor of this name"
    expected = tensor.dtype if tensor.failed == "dtype" else tensor.shape
    return f"{tensor.failed} {tensor.received} for {expected}"
