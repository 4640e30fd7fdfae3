"""Agreements as every command that makes some shows them: a table each, a folder each, JSON, a last line, a status."""

from __future__ import annotations

import os
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
    folders: dict[Path, Agreement] = field(default_factory=dict)
    """What was written where; of two cases of one name the later."""

    @cached_property
    def console(self) -> Console:
        """What is printed on."""
        return console()

    def show(self, agreement: Agreement) -> None:
        """Print an agreement, and write it into a folder of its case's name."""
        from ..cases.files import inside
        from ..rendering.folder import PAGE, write
        from ..rendering.terminal import render

        folder = inside(self.out, agreement.case)
        self.console.print(render(agreement, self.top or None, self.console.width))
        write(agreement, folder)
        self.console.print(f"report: {folder / PAGE}\n", style="dim", markup=False)
        add_to_summary(agreement)
        self.agreements.append(agreement)
        self.folders[folder] = agreement

    def end(self) -> NoReturn:
        """Write the index and what is wanted of all of them, and end with their exit status."""
        from ..rendering.index import write_index

        if self.json:
            write_json(self.json, self.agreements)
        if self.folders:
            index = write_index(self.folders, self.out / "index.html")
            if len(self.folders) > 1:
                self.console.print(f"all of them: {index}", style="dim", markup=False)
        status = exit_status(self.agreements, strict=self.strict)
        self.console.print(conclusion(self.agreements, status), style="green" if status == AGREES else "bold red")
        raise typer.Exit(status)


def add_to_summary(agreement: Agreement) -> None:
    """Add a line to the summary of the job, where GitHub's runner asks for one."""
    from ..rendering.markdown import summary_line

    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        with open(path, "a", encoding="utf-8") as file:
            file.write(summary_line(agreement) + "\n")


def write_json(path: Path, agreements: Sequence[Agreement]) -> None:
    """Write one agreement as a JSON document, several as a list of them."""
    from ..cases.files import write_text
    from ..rendering.as_json import to_json

    texts = [to_json(found) for found in agreements]
    write_text(path, texts[0] if len(texts) == 1 else "[" + ",".join(texts) + "]\n")
