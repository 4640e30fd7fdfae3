"""Why a subject does not agree, on one screen: what the failure of a test shows."""

from __future__ import annotations

from ..comparison.agreement import Agreement, SubjectAgreement, TensorAgreement, explain
from ..comparison.verdicts import HARMLESS
from ..reference.errors import printable
from . import words

CAUSES = 6
"""So many lines of a diagnosis are shown."""


def failure(agreement: Agreement, name: str, phase: str = "") -> str:
    """A subject's verdict, its first divergence, its worst tensor and the diagnosis.

    With a phase, the verdict on that phase and the worst tensor in it.
    """
    subject = agreement.subjects[name]
    judged = subject.within(phase)
    where = f" in {phase}" if phase and judged.tensors else ""
    called = " ".join(filter(None, (name, subject.version)))
    lines = [f"{words.title(agreement)}: {called}: {judged.verdict}{where}", summary(subject)]
    tensors = judged.worst_first()
    if tensors and tensors[0].verdict not in HARMLESS:
        lines += [f"worst{where}: {described(tensors[0])}", *figures(tensors[0], name, agreement.limit)]
    lines += diagnosis(subject)
    return "\n".join(map(printable, lines))


def summary(subject: SubjectAgreement) -> str:
    """How much of it agrees, and where the two computations part."""
    if subject.reason:
        return subject.reason
    line = f"{subject.count('agree')} of {len(subject.tensors)} tensors agree"
    first = [tensor for tensor in subject.tensors if tensor.name == subject.first_divergence]
    return "; ".join([line, *(f"first divergence {one.name}, in {one.operation or 'no operation'}" for one in first)])


def described(tensor: TensorAgreement) -> str:
    """A tensor: its name, its shape, its dtype and what made it."""
    made = f", by {words.maker(tensor)}" if tensor.kind else ""
    return f"{tensor.name}, {words.shape(tensor.shape)} of {tensor.dtype}{made}"


def figures(tensor: TensorAgreement, name: str, limit: float) -> list[str]:
    """What a tensor failed and, where its values were compared, the element that is furthest off."""
    shown = {} if tensor.failed == "values" else {str(tensor.failed or tensor.verdict): explain(tensor)}
    if tensor.worst_index is not None:
        shown["at"] = words.index(tensor.worst_index) or "()"
        shown["reference"] = words.full(tensor.reference)
        shown[name] = words.full(tensor.subject)
        shown["max abs"] = words.short(tensor.max_abs)
        shown["sigmas"] = f"{words.short(tensor.sigmas)}, of {limit:g} allowed ({words.short(tensor.tolerance)} there)"
    width = max(map(len, shown))
    return [f"  {what:{width}}  {figure}" for what, figure in shown.items()]


def diagnosis(subject: SubjectAgreement) -> list[str]:
    """The causes that were found, as many as fit."""
    causes = [f"  {words.diagnosis_line(cause)}" for cause in subject.diagnosis]
    hidden = [f"  and {len(causes) - CAUSES} more"] if len(causes) > CAUSES else []
    return ["diagnosis:", *causes[:CAUSES], *hidden] if causes else []
