"""``crosscheck new``: files to begin with."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import refusing

new = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", help="Write files to begin with.")


@new.command("exercise")
def exercise(
    case: Annotated[str, typer.Argument(metavar="CASE", help="A built-in name or the path of a .toml file.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder to write, which must be empty.  [default: CASE]")
    ] = None,
) -> None:
    """Write an exercise: a training step with blanks, in plain NumPy.

    Its forward and its last layer are given; the layers before and the update are to be written. *README.md* says how
    to ask for hints and for marks.

    For example:

    `crosscheck new exercise article -o exercise`
    """
    from ..cases import load_case
    from ..exercises.writing import write_exercise
    from ..reference import CaseError

    with refusing(CaseError, OSError):
        loaded = load_case(case)
        folder = write_exercise(loaded, out or Path(loaded.name))
    typer.echo(f"written to {folder}: begin with {folder / 'README.md'}")
