"""An agreement as Markdown: for a README, a pull request, a folder of reports."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from ..comparison.agreement import Agreement
from ..reference.errors import printable
from . import words

SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")


def to_markdown(agreement: Agreement, top: int | None = None) -> str:
    """The agreement with the ``top`` worst tensors of each subject, or all of them."""
    parts = [f"# {escaped(words.title(agreement))}", escaped(agreement.about), f"**{words.headline(agreement)}**"]
    settings = [*agreement.environment.items()]
    parts.append(", ".join(f"{escaped(key)} {escaped(value)}" for key, value in settings))
    if agreement.truth:
        parts.append("\n".join(f"- {escaped(line)}" for line in words.truth_lines(agreement.truth)))
    for name, subject in agreement.subjects.items():
        parts += [f"## {escaped(name)}", escaped(words.subject_line(name, subject))]
        if device := words.device_of(subject):
            parts.append(f"Ran on: {escaped(device)}")
        if subject.diagnosis:
            parts.append("\n".join(f"- {escaped(words.diagnosis_line(found))}" for found in subject.diagnosis))
        tensors = subject.worst_first()[:top]
        if tensors:
            parts.append(table(words.COLUMNS, map(words.row, tensors)))
        if len(tensors) < len(subject.tensors):
            parts.append(f"The {len(tensors)} worst of {len(subject.tensors)} tensors.")
    return "\n\n".join(filter(None, parts)) + "\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    rule = ["--:" if column in words.NUMERIC else "---" for column in columns]
    return "\n".join(
        f"| {' | '.join(map(escaped, cells))} |" if cells is not rule else f"|{'|'.join(rule)}|"
        for cells in (columns, rule, *rows)
    )


def escaped(value: object) -> str:
    """Text that Markdown shows as it is, in one line."""
    return SPECIAL.sub(r"\\\1", printable(value))
