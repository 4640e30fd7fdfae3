"""``crosscheck explain``: a case as a lesson, in the terminal and as a page."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .console import console, progress, refusing
from .options import Against, CaseDtype, known_adapters

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


def explain(
    case: Annotated[str, typer.Argument(metavar="CASE", help="A built-in name or the path of a .toml file.")],
    against: Against = "",
    dtype: CaseDtype = None,
    plain: Annotated[bool, typer.Option("--plain", help="Print all of it at once, and wait for nothing.")] = False,
    page_only: Annotated[bool, typer.Option("--page-only", help="Write the page and print where it is.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the page, in a folder of the case's name.")] = Path("reports"),
) -> None:
    """Take a case's training step apart, as a lesson: formula, code, numbers, and what the frameworks do inside.

    In a terminal the Enter key goes on to the next card, q and Enter to the end. The page has more: any weight's
    gradient unfolded, every number of every framework, each mistake with its code.

    For example:

    `crosscheck explain article`

    `crosscheck explain mine.toml --against torch --page-only`
    """
    from ..adapters import NotInstalled
    from ..cases import load_case
    from ..lesson.explain import explain as explain_case
    from ..reference import CaseError
    from ..rendering.folder import write_lesson

    adapters = known_adapters(against)
    with refusing(CaseError, NotInstalled, OSError):
        loaded = load_case(case, dtype=dtype.value if dtype else None)
        with progress(loaded.name) as tell:
            lesson = explain_case(loaded, adapters, progress=tell)
        page = write_lesson(lesson, out / loaded.name)
    shown = console()
    if not page_only:
        from ..rendering.lesson_text import screens

        step_through(shown, screens(lesson), waiting=not plain and shown.is_terminal and sys.stdin.isatty())
    shown.print(f"the page of this lesson: {page}", markup=False, soft_wrap=True)


def step_through(shown: Console, screens: Iterator[RenderableType], *, waiting: bool) -> None:
    """Print one screen after the other; if there is someone to wait for, the next when they say so."""
    for screen in screens:
        shown.print(screen)
        shown.print()
        if waiting:
            try:
                answer = shown.input("[dim]Enter: next, q: end[/] ")
            except EOFError:
                return
            if answer.strip().lower() == "q":
                return
