"""Agreements as every command that makes some shows them: a table each, a folder each, JSON, a last line, a status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from .console import console
from .status import AGREES, conclusion, exit_status

if TYPE_CHECKING:
    from rich.console import Console

    from ..comparison.agreement import Agreement


@dataclass
class Showing:
    """Shows one agreement after the other, and ends the command with what all of them come to."""

    out: Path
    top: int
    """So many tensors of each subject, the worst first; 0 is all."""
    json: Path | None = None
    strict: bool = False
    agreements: list[Agreement] = field(default_factory=list)

    @cached_property
    def console(self) -> Console:
        """What is printed on."""
        return console()

    def show(self, agreement: Agreement) -> None:
        """Print an agreement, and write it into a folder of its case's name."""
        from ..rendering.folder import write
        from ..rendering.terminal import render

        self.console.print(render(agreement, self.top or None, self.console.width))
        folder = write(agreement, self.out / agreement.case)
        self.console.print(f"written to {folder}\n", style="dim", markup=False)
        self.agreements.append(agreement)

    def end(self) -> NoReturn:
        """Write what is wanted of all of them, and end with their exit status."""
        if self.json:
            write_json(self.json, self.agreements)
        status = exit_status(self.agreements, strict=self.strict)
        self.console.print(conclusion(self.agreements, status), style="green" if status == AGREES else "bold red")
        raise typer.Exit(status)


def write_json(path: Path, agreements: Sequence[Agreement]) -> None:
    """Write one agreement as a JSON document, several as a list of them."""
    from ..rendering.as_json import to_json
    from ..rendering.folder import write_text

    texts = [to_json(found) for found in agreements]
    write_text(path, texts[0] if len(texts) == 1 else "[" + ",".join(texts) + "]\n")
