"""An agreement in the terminal, with Rich: a line for each subject, and its tensors, worst first."""

from __future__ import annotations

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..comparison.agreement import Agreement, SubjectAgreement, Verdict
from . import words

STYLES: dict[Verdict, str] = {"agree": "green", "kink": "yellow", "unsupported": "yellow", "not compared": "yellow"}
MARKS: dict[Verdict, str] = {"agree": "✓", "unsupported": "–", "kink": "~"}


def render(agreement: Agreement, top: int | None = None) -> RenderableType:
    """The agreement as Rich draws it, with the ``top`` worst tensors of each subject, or all of them."""
    parts: list[RenderableType] = [Text(words.title(agreement), style="bold")]
    for name, subject in agreement.subjects.items():
        parts.append(summary(name, subject))
        if subject.tensors:
            parts.append(table(subject, top))
    if not agreement.subjects:
        parts.append(Text("nothing was compared", style="yellow"))
    return Group(*parts)


def summary(name: str, subject: SubjectAgreement) -> Text:
    """The subject's verdict in one line."""
    line = Text(f"{MARKS.get(subject.verdict, '✗')} ", style=style_of(subject.verdict))
    line.append(words.subject_line(name, subject))
    if device := words.device_of(subject):
        line.append(f"  ({device})", style="dim")
    return line


def table(subject: SubjectAgreement, top: int | None) -> Table:
    """The subject's tensors, worst first."""
    tensors = subject.worst_first()
    shown = tensors if top is None else tensors[:top]
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for column in words.COLUMNS:
        drawn.add_column(
            column,
            justify="right" if column in words.NUMERIC else "left",
            overflow="fold",
            no_wrap=column in ("tensor", "verdict", "max abs", "ulp", "sigmas", "allowed"),
        )
    for tensor in shown:
        cells = [Text(cell) for cell in words.row(tensor)]
        cells[2].stylize(style_of(tensor.verdict))
        drawn.add_row(*cells)
    if len(shown) < len(tensors):
        drawn.caption = f"the {len(shown)} worst of {len(tensors)}"
    return drawn


def style_of(verdict: Verdict) -> str:
    """How a verdict is coloured; what is not known to be harmless is red."""
    return STYLES.get(verdict, "bold red")


def to_text(agreement: Agreement, top: int | None = None, width: int = 160) -> str:
    """The same as plain text, without colours."""
    console = Console(width=width, no_color=True, highlight=False, force_terminal=False)
    with console.capture() as capture:
        console.print(render(agreement, top))
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"
