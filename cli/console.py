"""The terminal as every command uses it: how wide it is, who computes at the moment, and what is refused."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer

from .status import BAD_INPUT

if TYPE_CHECKING:
    from rich.console import Console

FILE_WIDTH = 200
"""Columns of characters where the output is no terminal."""


def console() -> Console:
    """What is printed on: as wide as the terminal is, or wide enough for every column where there is none."""
    from rich.console import Console

    made = Console(highlight=False)
    if not made.is_terminal:
        made.width = FILE_WIDTH
    return made


@contextmanager
def progress(case: str) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says who computes; nothing where the errors go to a file."""
    from rich.console import Console

    with Console(stderr=True).status(case) as status:
        yield lambda subject: status.update(f"{case}: {subject}")


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
