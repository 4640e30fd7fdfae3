"""An agreement as one page: the verdict, where it first parts and why, the network, every tensor, the evidence."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from markupsafe import Markup

from ..comparison.agreement import Agreement, Diagnosis, SubjectAgreement, TensorAgreement, describe, explain
from ..comparison.verdicts import HARMLESS, SEVERITY, Verdict
from . import words
from .elements import Element, Elements
from .flow import Flow, flows

MOST_ELEMENTS = 10
"""How many elements of a tensor are listed, the worst first."""
MOST_DRAWN = 6
"""How many tensors are drawn: each takes some tens of milliseconds and of kilobytes."""
MOST_CAUSES = 3
"""How many causes are told at once; the others are folded away."""
MOST_BOXES = 3000
"""How many operations of a network are drawn."""


@dataclass(frozen=True)
class Cause:
    """A cause, with every operation that it explains."""

    found: Diagnosis
    operations: list[str]


@dataclass(frozen=True)
class Shown:
    """A tensor that failed or was asked for."""

    id: str
    number: int
    tensor: TensorAgreement
    size: int = 0
    """How many elements it has."""
    worst: list[Element] = field(default_factory=list)
    first: tuple[list[str], list[str]] | None = None
    """The first elements of both sides, where they cannot be held against each other."""
    pictures: list[Picture] = field(default_factory=list)
    lacking: str = ""
    """Why there are no elements, or no drawings, where there are none."""


@dataclass(frozen=True)
class Picture:
    """A drawing as it stands in the page."""

    heading: str
    address: Markup
    words: str


@dataclass(frozen=True)
class Side:
    """A subject as the page shows it."""

    id: str
    name: str
    subject: SubjectAgreement
    first: TensorAgreement | None
    causes: list[Cause]
    flows: list[Flow]
    not_drawn: int
    """How many steps, or micro-batches of steps, are left out."""
    shown: list[Shown]
    targets: Mapping[str, str]
    """Where the tensors that are shown are, by name."""

    @property
    def fails(self) -> bool:
        """Whether it counts against the whole."""
        return self.subject.verdict not in (*HARMLESS, "unsupported")


@dataclass(frozen=True)
class Line:
    """A tensor of the case, and what it is in each subject."""

    name: str
    cells: list[tuple[Side, TensorAgreement | None]]

    @property
    def verdict(self) -> Verdict:
        """The worst of its verdicts."""
        found = [tensor.verdict for _, tensor in self.cells if tensor]
        return min(found, key=SEVERITY.index)

    @property
    def made_by(self) -> TensorAgreement:
        """The tensor in the first subject that has it."""
        return next(tensor for _, tensor in self.cells if tensor)


def to_html(agreement: Agreement) -> str:
    """The agreement as a page that stands alone."""
    from .pages import page

    sides = sides_of(agreement)
    return page(
        "report",
        title=f"{words.title(agreement)}: {words.headline(agreement)}",
        agreement=agreement,
        headline=words.headline(agreement),
        sides=sides,
        lines=lines_of(sides),
        settings=settings_of(agreement),
        remarks=[lines for lines in (words.placed_lines(agreement), words.differing_lines(agreement)) if lines],
        truth=words.truth_lines(agreement.truth) if agreement.truth else [],
        overall=overall(agreement),
        most_causes=MOST_CAUSES,
        describe=describe,
        explained=explain,
        words=words,
    )


def overall(agreement: Agreement) -> str:
    """Whether all is good, something is bad, or nothing was compared and all is open."""
    if agreement.ok:
        return "good"
    verdicts = [subject.verdict for subject in agreement.subjects.values()]
    return "open" if {words.tone(verdict) for verdict in verdicts} <= {"open"} else "bad"


def sides_of(agreement: Agreement) -> list[Side]:
    """The subjects, the worst first."""
    sides, drawn, room = [], 0, MOST_BOXES
    for number, (name, subject) in enumerate(words.worst_first(agreement)):
        shown: list[Shown] = []
        wanted = {*subject.arrays, *subject.not_kept}
        for place, tensor in enumerate(subject.tensors):
            if tensor.verdict in HARMLESS and tensor.name not in wanted:
                continue
            one = tensor_shown(
                f"s{number}-{place}", len(shown) + 1, tensor, subject, agreement.limit, drawn < MOST_DRAWN
            )
            drawn += bool(one.pictures)
            shown.append(one)
        targets = {one.tensor.name: one.id for one in shown}
        steps = flows(agreement.network, subject, targets)
        kept = drawable(steps, room)
        room -= sum(len(step.boxes) for step in kept)
        first = next((tensor for tensor in subject.tensors if tensor.name == subject.first_divergence), None)
        causes, not_drawn = causes_of(subject.diagnosis), len(steps) - len(kept)
        sides.append(Side(f"s{number}", name, subject, first, causes, kept, not_drawn, shown, targets))
    return sides


def drawable(steps: Sequence[Flow], room: int) -> list[Flow]:
    """The steps that there is room for: that of the first divergence before the others."""
    kept = []
    for step in sorted(steps, key=lambda step: not step.diverges):
        if len(step.boxes) <= room:
            kept.append(step.place)
            room -= len(step.boxes)
    return [step for step in steps if step.place in kept]


def tensor_shown(
    at: str, number: int, tensor: TensorAgreement, subject: SubjectAgreement, limit: float, draw: bool
) -> Shown:
    """A tensor with its worst elements and, if there is room, its drawings."""
    arrays = subject.arrays.get(tensor.name)
    if arrays is None:
        lacking = ""
        if tensor.name in subject.not_kept:
            lacking = (
                "Its elements were not kept: a file of arrays has no complex numbers."
                if tensor.failed == "dtype" and tensor.received.startswith("complex")
                else "Its elements were not kept: those of other tensors had filled the room that there is."
            )
        elif tensor.failed in ("dtype", "shape", "values", "nan", "infinity"):
            lacking = "Its elements are not beside the record."
        return Shown(at, number, tensor, lacking=lacking)
    elements = Elements(arrays, limit)
    pictures, lacking = [], ""
    if draw:
        from .drawings import drawings
        from .pages import picture

        pictures = [Picture(one.heading, picture(one.svg), one.words) for one in drawings(elements)]
    else:
        lacking = f"Drawn are the first {MOST_DRAWN} tensors that failed or were asked for; this is a later one."
    shown = Shown(at, number, tensor, arrays.reference.size, pictures=pictures, lacking=lacking)
    if not arrays.paired:
        return replace(shown, first=elements.first(MOST_ELEMENTS))
    return replace(shown, worst=list(elements.worst(MOST_ELEMENTS)))


def causes_of(diagnosis: Iterable[Diagnosis]) -> list[Cause]:
    """The causes that were found, one that explains several operations once."""
    causes: dict[tuple[str, str], Cause] = {}
    for found in diagnosis:
        causes.setdefault((found.cause, found.kind), Cause(found, [])).operations.append(found.operation)
    return list(causes.values())


def lines_of(sides: list[Side]) -> list[Line]:
    """Every tensor of every subject, the worst first, otherwise in the order of computation."""
    held = [{tensor.name: tensor for tensor in side.subject.tensors} for side in sides]
    names = dict.fromkeys(name for tensors in held for name in tensors)
    lines = [Line(name, [(side, one.get(name)) for side, one in zip(sides, held, strict=True)]) for name in names]
    return sorted(lines, key=lambda line: min(tensor.badness for _, tensor in line.cells if tensor))


def settings_of(agreement: Agreement) -> tuple[list[str], list[tuple[str, dict[str, Any]]]]:
    """The names of all settings, and each side with its own."""
    sides = [(str(agreement.environment.get("baseline", "reference")), dict(agreement.environment))]
    for name, subject in agreement.subjects.items():
        sides.append((name, {"version": subject.version, **subject.environment}))
    return list(dict.fromkeys(name for _, settings in sides for name in settings)), sides
