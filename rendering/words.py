"""Numbers and names as every report writes them."""

from __future__ import annotations

from collections.abc import Sequence

from ..comparison.agreement import Agreement, Diagnosis, SubjectAgreement, TensorAgreement, TruthAgreement, describe
from ..reference.errors import printable

COLUMNS = (
    "tensor",
    "shape",
    "made by",
    "verdict",
    "max abs",
    "ulp",
    "sigmas",
    "end to end",
    "allowed",
    "worst at",
    "reference",
    "subject",
)
"""The columns of a table of tensors."""

NUMERIC = frozenset({"max abs", "ulp", "sigmas", "end to end", "allowed", "reference", "subject"})


def short(value: float | None) -> str:
    """A figure in three digits; nothing where there is none."""
    return "" if value is None else f"{value:.3g}"


def full(value: float | None) -> str:
    """A value in all its digits; nothing where there is none."""
    return "" if value is None else repr(float(value))


def index(place: Sequence[int] | None) -> str:
    """A place in a tensor, as it is written in Python."""
    return "" if place is None else f"[{', '.join(map(str, place))}]"


def shape(sizes: Sequence[int]) -> str:
    """The shape of a tensor: ``4 × 3``; of a number, ``()``."""
    return " × ".join(map(str, sizes)) or "()"


def maker(tensor: TensorAgreement) -> str:
    """The kind of operation that made a tensor, and whether the subject had to compose it."""
    return f"{tensor.kind}, composed" if tensor.native is False else tensor.kind


def row(tensor: TensorAgreement) -> tuple[str, ...]:
    """A tensor under ``COLUMNS``."""
    verdict = tensor.verdict if tensor.failed in (None, "values", "present") else f"{tensor.verdict} ({tensor.failed})"
    return (
        printable(tensor.name),
        shape(tensor.shape),
        maker(tensor),
        verdict,
        short(tensor.max_abs),
        short(tensor.max_ulp),
        short(tensor.sigmas),
        "kink" if tensor.end_to_end == "kink" else short(tensor.end_to_end_sigmas),
        short(tensor.tolerance),
        index(tensor.worst_index),
        full(tensor.reference),
        full(tensor.subject),
    )


def diagnosis_line(found: Diagnosis) -> str:
    """A cause with its evidence in one line."""
    kind = "" if found.kind == "unknown" else f" ({found.kind})"
    return printable(f"{found.operation}: {found.cause}{kind}, {found.evidence}")


def truth_lines(truth: TruthAgreement) -> list[str]:
    """What is known of the truth, and how far each party is from it."""
    certified = f", certified to {truth.digits} digits" if truth.digits else ""
    lines = [f"truth: {truth.how}{certified}; nearest: {truth.nearest}"]
    for party, roundoffs in truth.distances.items():
        lines.append(f"{party}: at most {short(roundoffs)} unit roundoffs off, in {truth.tensors[party]}")
    return [printable(line) for line in lines]


def title(agreement: Agreement) -> str:
    """What was checked: ``article, float64, 1 step``."""
    steps = "1 step" if agreement.steps == 1 else f"{agreement.steps} steps"
    return ", ".join(printable(part) for part in (agreement.case, agreement.dtype, steps) if part)


def headline(agreement: Agreement) -> str:
    """The verdict on the whole in one line."""
    if not agreement.compared:
        return "nothing was compared"
    if agreement.ok:
        left_out = sum(subject.verdict == "unsupported" for subject in agreement.subjects.values())
        return "everything compared agrees" + (f", {left_out} unsupported" if left_out else "")
    return "it does not agree"


def subject_line(name: str, subject: SubjectAgreement) -> str:
    """A subject and its verdict in one line."""
    return printable(f"{' '.join(part for part in (name, subject.version) if part)}: {describe(subject)}")


def device_of(subject: SubjectAgreement) -> str:
    """On what a subject ran, with the settings that may change a result."""
    settings = dict(subject.environment)
    device = str(settings.pop("device", ""))
    return ", ".join([*([device] if device else []), *(printable(f"{key} {value}") for key, value in settings.items())])
