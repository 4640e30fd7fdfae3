"""The shell face. Exit status: 0 everything required was compared and agrees; 1 it does not; 2 usage or bad input;
3 a subject crashed or timed out; 5 nothing was compared.

A command is a module. What it does not use it does not import: ``crosscheck list cases`` starts no framework and no
NumPy.
"""

from __future__ import annotations

from typing import Annotated

import typer

from . import check, compare, doctor, explain, faults, listing, record, report, run
from .new import new

app = typer.Typer(
    name="crosscheck",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=(
        "Check a training step, tensor by tensor, against backpropagation written by hand and against frameworks.\n\n"
        "A case is computed by a NumPy reference and again by each framework from identical weights; every output,\n"
        "gradient, optimizer slot and updated weight must agree.\n\n"
        "    crosscheck run article --against torch,jax\n\n"
        "Your own training step is held against it in the same way:\n\n"
        "    crosscheck check mine.py:train_step --case article\n\n"
        "A run is recorded on one machine, and compared on another:\n\n"
        "    crosscheck record article --with torch -o a.trace\n\n"
        "    crosscheck compare a.trace b.trace\n\n"
        "Exit status: 0 all agrees, 1 something does not, 2 wrong usage or a bad file, 3 a subject crashed,\n"
        "5 nothing was compared."
    ),
)
app.command("run")(run.run)
app.command("check")(check.check)
app.command("record")(record.record)
app.command("compare")(compare.compare)
app.command("explain")(explain.explain)
app.command("report")(report.report)
app.add_typer(new, name="new")
app.command("faults")(faults.faults)
app.command("list")(listing.listing)
app.command("doctor")(doctor.doctor)


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Options of the program itself; its help is the application's."""
    if version:
        from .. import __version__

        typer.echo(f"crosscheck {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the command line."""
    app()
