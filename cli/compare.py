"""``crosscheck compare``: two recorded runs, wherever they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import progress, refusing
from .options import Json, Only, Out, Show, Top
from .showing import Showing


def compare(
    first: Annotated[str, typer.Argument(metavar="A.trace", help="A trace that crosscheck has recorded.")],
    second: Annotated[str, typer.Argument(metavar="B.trace", help="Another, of the same case.")],
    local: Annotated[
        bool | None,
        typer.Option(
            "--local/--direct",
            help="Hold both against the reference, computed again from their case; or the second against the first, "
            "end to end alone.  [default: --local, unless they are larger than 64 MiB]",
            show_default=False,
        ),
    ] = None,
    only: Only = None,
    show: Show = None,
    top: Top = 8,
    out: Out = Path("reports/compare"),
    json: Json = None,
) -> None:
    """Compare two recorded runs of one case, tensor by tensor; no framework is needed.

    Status 2 where they did not start from the same inputs and weights. What differs in their environments is listed.

    For example:

    `crosscheck compare a.trace b.trace`

    `crosscheck compare a.trace b.trace --direct --only '*/gradient/*' --top 0`
    """
    from ..comparison.traces import compare_files
    from ..reference import CaseError

    showing = Showing(out, top, json)
    with refusing(CaseError, OSError):
        with progress(f"{first} and {second}"):
            found = compare_files(first, second, only=only or (), show=show or (), local=local)
        if found.environment["baseline"] == "reference":
            showing.console.print("Held against the reference, computed again from the recorded case.", style="dim")
        showing.show(found)
        showing.end()
