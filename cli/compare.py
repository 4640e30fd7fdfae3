"""``crosscheck compare``: two recorded runs, wherever they come from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import progress, refuse, refusing
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
    map: Annotated[
        Path | None,
        typer.Option(metavar="MAP.toml", help="What of the first model is what of the second.", show_default=False),
    ] = None,
    suggest: Annotated[
        Path | None,
        typer.Option(
            metavar="MAP.toml",
            help="Compare nothing, and write such a map, from shapes, order and names.",
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

    Two models that were recorded in Python, the second a port of the first:

    `crosscheck compare a.trace b.trace --suggest map.toml`

    `crosscheck compare a.trace b.trace --map map.toml`
    """
    from ..comparison.traces import compare_files
    from ..porting import Map
    from ..reference import CaseError

    if suggest is not None and map is not None:
        refuse("--map: expected a map to compare with, or --suggest to write one; received both")
    if suggest is not None:
        write_suggestion(first, second, suggest)
        return
    showing = Showing(out, top, json)
    with refusing(CaseError, OSError):
        with progress(f"{first} and {second}"):
            read = Map.load(map) if map else None
            found = compare_files(first, second, only=only or (), show=show or (), local=local, map=read)
        if found.environment["baseline"] == "reference":
            showing.console.print("Held against the reference, computed again from the recorded case.", style="dim")
        showing.show(found)
        showing.end()


def write_suggestion(first: str, second: str, path: Path) -> None:
    """Write a map that is suggested, and say what is to be looked at in it."""
    from ..cases.files import write_text
    from ..porting import suggest_map
    from ..reference import CaseError
    from ..reference.errors import printable
    from ..traces import load_trace

    with refusing(CaseError, OSError):
        traces = {called: load_trace(called) for called in (first, second)}
        for called, trace in traces.items():
            if trace.model is None:
                raise CaseError("a trace that record_module made", "one of a case", file=called)
        found = suggest_map(traces[first], traces[second])
        write_text(path, found.text)
    entries = len([*found.map.entries()])
    typer.echo(f"a map of {entries} entries was written to {path}; it is a suggestion, which a comparison proves")
    for line in found.lines:
        typer.echo(f"  {printable(line)}")
