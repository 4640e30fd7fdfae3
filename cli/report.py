"""``crosscheck report``: the pages of agreements, made again from their folders."""

from __future__ import annotations

from os.path import commonpath
from pathlib import Path
from typing import Annotated

import typer

from .console import console, refusing


def report(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="FOLDER...", help="Folders that *crosscheck run* wrote, or one that holds them."),
    ],
) -> None:
    """Make the pages of agreements again from what is in their folders; no framework is needed.

    Each folder gets report.html, agreement.md and junit.xml; a folder of several, or the one that holds all that are
    named, gets index.html. Status 0 unless a folder cannot be read, whatever the verdicts in it are.

    For example:

    `crosscheck report reports`
    """
    from ..reference import CaseError
    from ..rendering.folder import PAGE, folders_in, read, render
    from ..rendering.index import write_index

    shown = console()
    with refusing(CaseError, OSError):
        found = {folder: read(folder) for path in folders for folder in folders_in(path)}
        for folder, agreement in found.items():
            render(agreement, folder)
            shown.print(f"written: {folder / PAGE}", style="dim", markup=False)
        if list(found) != folders or len(found) > 1:
            home = folders[0] if len(folders) == 1 else Path(commonpath([folder.resolve().parent for folder in found]))
            shown.print(f"written: {write_index(found, home / 'index.html')}", style="dim", markup=False)
