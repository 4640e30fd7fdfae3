"""An agreement in the terminal, with Rich: a line for each subject, and its tensors, worst first."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..comparison.agreement import Agreement, SubjectAgreement
from ..comparison.verdicts import Verdict
from . import words

STYLES: dict[Verdict, str] = {"agree": "green", "kink": "yellow", "unsupported": "yellow", "not compared": "yellow"}


WIDE = 150
"""Columns of characters from which a table shows the two values; a narrower one shows ``NARROW`` alone."""
NARROW = ("tensor", "verdict", "max abs", "ulp", "sigmas", "allowed")


def render(agreement: Agreement, top: int | None = None, width: int = WIDE) -> RenderableType:
    """The agreement as Rich draws it in ``width``, with the ``top`` worst tensors of each subject, or all of them."""
    columns = words.COLUMNS if width >= WIDE else NARROW
    parts: list[RenderableType] = [Text(words.title(agreement), style="bold")]
    for name, subject in agreement.subjects.items():
        parts.append(summary(name, subject))
        parts += [Text(f"  {words.diagnosis_line(found)}", style="yellow") for found in subject.diagnosis]
        if subject.tensors:
            parts += [Text(), table(subject, top, columns), Text()]
    if agreement.placed:
        parts += [Text("\n  ".join(words.placed_lines(agreement))), Text()]
    if agreement.differing:
        parts += [Text("\n  ".join(words.differing_lines(agreement))), Text()]
    if agreement.truth:
        parts += [Text(line) for line in (*words.truth_lines(agreement.truth), "")]
    if not agreement.subjects:
        parts.append(Text("nothing was compared", style="yellow"))
    return Group(*parts)


def summary(name: str, subject: SubjectAgreement) -> Text:
    """The subject's verdict in one line."""
    line = Text(f"{words.glyph(subject.verdict)} ", style=style_of(subject.verdict))
    line.append(words.subject_line(name, subject))
    if device := words.device_of(subject):
        line.append(f"  ({device})", style="dim")
    return line


def table(subject: SubjectAgreement, top: int | None, columns: Sequence[str]) -> Table:
    """The subject's tensors, worst first."""
    tensors = subject.worst_first()
    shown = tensors if top is None else tensors[:top]
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in columns:
        drawn.add_column(column, justify="right" if column in words.NUMERIC else "left", overflow="fold")
    for tensor in shown:
        cells = dict(zip(words.COLUMNS, map(Text, words.row(tensor)), strict=True))
        cells["verdict"].stylize(style_of(tensor.verdict))
        drawn.add_row(*(cells[column] for column in columns))
    if len(shown) < len(tensors):
        drawn.caption = f"the {len(shown)} worst of {len(tensors)}"
        drawn.caption_justify = "left"
    return drawn


def style_of(verdict: Verdict) -> str:
    """How a verdict is coloured; what is not known to be harmless is red."""
    return STYLES.get(verdict, "bold red")


def to_text(agreement: Agreement, top: int | None = None, width: int = 200) -> str:
    """The same as plain text, without colours."""
    console = Console(width=width, no_color=True, highlight=False, force_terminal=False)
    with console.capture() as capture:
        console.print(render(agreement, top, width))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"
