"""Numbers and names as every report writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..comparison.agreement import Agreement, Diagnosis, SubjectAgreement, TensorAgreement, TruthAgreement, describe
from ..comparison.verdicts import SEVERITY, Verdict
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

MACHINE = frozenset({"crosscheck", "python", "numpy", "machine"})
"""What is said of a process, and for a subject only where it differs."""

MANY = 3
"""From so many entries of a map on they are named without their layouts."""

NUMERIC = frozenset({"max abs", "ulp", "sigmas", "end to end", "allowed", "reference", "subject"})


TONES: Mapping[Verdict, str] = {"agree": "good", "kink": "good", "unsupported": "open", "not compared": "open"}
GLYPHS: Mapping[Verdict, str] = {"agree": "✓", "kink": "~", "unsupported": "–", "not compared": "?"}


def tone(verdict: Verdict) -> str:
    """Whether a verdict is good, bad or open; what is not known to be harmless is bad."""
    return TONES.get(verdict, "bad")


def glyph(verdict: Verdict) -> str:
    """The sign of a verdict, which stands beside its colour."""
    return GLYPHS.get(verdict, "✗")


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
        printable(maker(tensor)),
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
    baseline = agreement.environment.get("baseline", "reference")
    against = "" if baseline == "reference" else f"against {baseline}, end to end"
    return ", ".join(printable(part) for part in (agreement.case, agreement.dtype, steps, against) if part)


def differing_lines(agreement: Agreement) -> list[str]:
    """What differs in where two traces were made."""
    lines = [
        f"{key}: {ours or 'not said'} / {theirs or 'not said'}" for key, (ours, theirs) in agreement.differing.items()
    ]
    return [printable(line) for line in (["environments differ:", *lines] if lines else [])]


def placed_lines(agreement: Agreement) -> list[str]:
    """How much of the map from one model to another is proven, and what is not."""
    if not agreement.placed:
        return []
    left: dict[str, list[str]] = {}
    for one in agreement.placed:
        if not one.proven:
            left.setdefault(one.why, []).append(one.entry)
    proven = sum(one.proven for one in agreement.placed)
    many = "entry" if len(agreement.placed) == 1 else "entries"
    head = f"the map: {proven} of {len(agreement.placed)} {many} of parameters proven"
    lines = [
        f"not proven: {'; '.join(entries if len(entries) < MANY else map(short_entry, entries))}: {why}"
        for why, entries in left.items()
    ]
    lines += [f"in {name} alone, not compared: {', '.join(names)}" for name, names in agreement.alone.items()]
    return [printable(line) for line in (f"{head}{':' if lines else ''}", *lines)]


def short_entry(entry: str) -> str:
    """An entry without its layout."""
    return entry.split(", {")[0]


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
    settings = {key: value for key, value in subject.environment.items() if key not in MACHINE}
    device = str(settings.pop("device", ""))
    parts = [*([device] if device else []), *(f"{key} {value}" for key, value in settings.items())]
    return printable(", ".join(parts))


# ------------------------------------------------------------------------------------------------ in a newcomer's words

TENSORS = {
    "forward": "the output of ``{}``",
    "backward": "the gradient of the loss at the output of ``{}``",
    "gradient": "the gradient of the loss in ``{}``",
    "clipped": "the clipped gradient in ``{}``",
    "state": "what is remembered as ``{}``",
    "update": "``{}`` after the step",
}
"""What a tensor is, by its phase."""

OPERATIONS = {
    "forward": "the forward of ``{}``",
    "backward": "the backward of ``{}``",
    "sum": "the sum of the parts of the gradient at ``{}``",
    "clipped": "the clipping of ``{}``",
    "update": "the update of ``{}``",
}
"""What an operation is, by what it is called."""


def tensor_in_words(name: str) -> str:
    """What a tensor is, with the names in it as code.

    >>> tensor_in_words("0/gradient/k.weight"), tensor_in_words("0/forward/loss"), tensor_in_words("1/backward/a->b")
    ('the gradient of the loss in ``k.weight``', 'the loss', \
'the part of the gradient of the loss at the output of ``a`` that comes back from ``b``')
    """
    _, phase, what = [*name.split("/", 2), "", ""][:3]
    if (phase, what) == ("forward", "loss"):
        return "the loss"
    if (phase, what) == ("backward", "input"):
        return "the gradient of the loss at the input"
    owner, arrow, user = what.partition("->")
    if arrow:
        return f"the part of {tensor_in_words(f'0/{phase}/{owner}')} that comes back from ``{user}``"
    return TENSORS.get(phase, "``{}``").format(what or name)


def operation_in_words(name: str) -> str:
    """What an operation does, with the names in it as code.

    >>> operation_in_words("0/backward(o.softmax)"), operation_in_words("")
    ('the backward of ``o.softmax``', 'no operation')
    """
    called, of = parts_of(name)[1:]
    return OPERATIONS[called].format(of) if called in OPERATIONS else (f"``{name}``" if name else "no operation")


def place_in_words(name: str) -> str:
    """Of which step, and of which micro-batch, a tensor or an operation is.

    >>> place_in_words("0/forward/k"), place_in_words("1.3/backward(k)")
    ('step 0', 'step 1, micro-batch 3')
    """
    step, dot, micro_batch = name.partition("/")[0].partition(".")
    return f"step {step}, micro-batch {micro_batch}" if dot else f"step {step}"


def sentence(text: str) -> str:
    """A text with its first letter large."""
    return text[:1].upper() + text[1:]


def parts_of(operation: str) -> tuple[str, str, str]:
    """The place, the doing and the thing in an operation's name: ``0``, ``backward``, ``k`` of ``0/backward(k)``."""
    place, _, rest = operation.partition("/")
    called, _, of = rest.partition("(")
    return place, called, of.removesuffix(")")


def worst_first(agreement: Agreement) -> list[tuple[str, SubjectAgreement]]:
    """The subjects with their names from the worst to the best."""
    return sorted(agreement.subjects.items(), key=lambda one: SEVERITY.index(one[1].verdict))


def amount(tensor: TensorAgreement) -> str:
    """By how much a tensor is off, and how much is allowed: ``9.01e+15 σ``."""
    return "" if tensor.sigmas is None else f"{short(tensor.sigmas)} σ"
