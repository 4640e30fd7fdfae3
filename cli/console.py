"""The terminal as every command uses it: how wide it is, who computes at the moment, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, NoReturn

import typer

from .status import BAD_INPUT

if TYPE_CHECKING:
    from rich.console import Console

FILE_WIDTH = 200
"""Columns of characters where the output is no terminal."""

SECONDS_BETWEEN_LINES = 30
"""How often a line says who computes, where the errors go to a file."""


def console() -> Console:
    """What is printed on: as wide as the terminal is, or wide enough for every column where there is none."""
    from rich.console import Console

    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = FILE_WIDTH
    return made


@contextmanager
def progress(case: str) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says who computes; where the errors go to a file, one from time to time."""
    from rich.console import Console

    errors = Console(stderr=True)
    if errors.is_terminal:
        with errors.status(case) as status:
            yield lambda subject: status.update(f"{case}: {subject}")
        return
    said = monotonic()

    def say(subject: str) -> None:
        nonlocal said
        if monotonic() - said >= SECONDS_BETWEEN_LINES:
            said = monotonic()
            typer.echo(f"{case}: {subject}", err=True)

    yield say


@contextmanager
def refusing(*errors: type[Exception]) -> Iterator[None]:
    """Turn an error about the user's input into its message and status 2."""
    try:
        yield
    except errors as error:
        refuse(str(error))


def refuse(message: str) -> NoReturn:
    """Say what is wrong with the input, and end."""
    from ..reference.errors import printable

    typer.echo(f"error: {printable(message)}", err=True)
    sys.exit(BAD_INPUT)
