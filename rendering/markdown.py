"""An agreement as Markdown: for a README, a pull request, a folder of reports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from ..comparison.agreement import Agreement, TensorAgreement
from ..comparison.verdicts import HARMLESS
from ..reference.errors import printable
from . import words

SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
MOST_BYTES = 1_000_000
"""No document is longer, in UTF-8: a pull request takes no more."""
LONGEST = 1000
"""So many characters of one text are shown."""
MOST_CAUSES = 100
"""So many causes of a subject's failures are told."""
Row: TypeAlias = tuple[str, TensorAgreement]


def to_markdown(agreement: Agreement, top: int | None = None, most_bytes: int = MOST_BYTES) -> str:
    """The agreement with the ``top`` worst tensors of each subject, or all of them, as far as there is room.

    What failed stands first, and what has no room is what is best, whichever subject's it is.
    """
    rows = [(name, one) for name, subject in agreement.subjects.items() for one in subject.worst_first()[:top]]
    rows.sort(key=lambda row: row[1].badness)
    room = most_bytes - size(laid_out(agreement, [], rows)) - len(agreement.subjects) * size(table(words.COLUMNS, []))
    kept = []
    for name, tensor in rows:
        room -= size(line_of(words.row(tensor)))
        if room < 0:
            break
        kept.append((name, tensor))
    return laid_out(agreement, kept, rows[len(kept) :])


def laid_out(agreement: Agreement, rows: Sequence[Row], left_out: Sequence[Row]) -> str:
    """The document with these tensors, and with what it says of those that are left out because it is too long."""
    parts = [f"# {escaped(words.title(agreement))}", escaped(agreement.about), f"**{words.headline(agreement)}**"]
    settings = [*agreement.environment.items()]
    parts.append(", ".join(f"{escaped(key)} {escaped(value)}" for key, value in settings))
    for told in (words.placed_lines(agreement), words.differing_lines(agreement)):
        if told:
            head, *lines = map(escaped, told)
            parts.append("\n\n".join(filter(None, (head, "\n".join(f"- {line}" for line in lines)))))
    if agreement.truth:
        parts.append("\n".join(f"- {escaped(line)}" for line in words.truth_lines(agreement.truth)))
    if left_out:
        failing = sum(tensor.verdict not in HARMLESS for _, tensor in left_out)
        parts.append(f"Left out for want of room: {len(left_out)} tensors, {failing} of which fail.")
    for name, subject in words.worst_first(agreement):
        parts += [f"## {escaped(name)}", escaped(words.subject_line(name, subject))]
        if device := words.device_of(subject):
            parts.append(f"Ran on: {escaped(device)}")
        causes = [f"- {escaped(words.diagnosis_line(found))}" for found in subject.diagnosis[:MOST_CAUSES]]
        if len(causes) < len(subject.diagnosis):
            causes.append(f"- and {len(subject.diagnosis) - len(causes)} more")
        parts.append("\n".join(causes))
        tensors = [tensor for of, tensor in rows if of == name]
        if tensors:
            parts.append(table(words.COLUMNS, map(words.row, tensors)))
        if len(tensors) < len(subject.tensors):
            parts.append(f"The {len(tensors)} worst of {len(subject.tensors)} tensors.")
    return "\n\n".join(filter(None, parts)) + "\n"


def summary_line(agreement: Agreement) -> str:
    """The agreement as one line of a list."""
    verdicts = "; ".join(
        f"{words.glyph(subject.verdict)} {escaped(words.subject_line(name, subject))}"
        for name, subject in words.worst_first(agreement)
    )
    return f"- **{escaped(words.title(agreement))}**: {verdicts or words.headline(agreement)}"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = "|".join("--:" if column in words.NUMERIC else "---" for column in columns)
    return "\n".join([line_of(columns), f"|{rule}|", *map(line_of, rows)])


def line_of(cells: Sequence[str]) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(escaped, cells))} |"


def escaped(value: object) -> str:
    """Text that Markdown shows as it is, in one line, cut where it is very long."""
    text = str(value)
    return SPECIAL.sub(r"\\\1", printable(text if len(text) <= LONGEST else f"{text[:LONGEST]}…"))


def size(text: str) -> int:
    """How many bytes a text takes, with the break after it."""
    return len(text.encode()) + 1
