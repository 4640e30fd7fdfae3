"""``crosscheck record``: one run of a case, kept in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import progress, refuse, refusing
from .options import CaseDtype, Device, OnDevice, Steps
from .status import CRASHED


def record(
    case: Annotated[str, typer.Argument(help="A built-in name or the path of a .toml file.")],
    subject: Annotated[
        str,
        typer.Option(
            "--with",
            help="Who computes: an adapter (see *crosscheck list adapters*), *torch@env/bin/python* in another "
            "interpreter, or the reference.",
        ),
    ] = "reference",
    dtype: CaseDtype = None,
    steps: Steps = None,
    device: OnDevice = Device.cpu,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file.  [default: CASE.WITH.trace]", show_default=False)
    ] = None,
) -> None:
    """Compute a case once, and keep all of it in a file: every tensor, inputs and weights, the environment.

    *crosscheck compare* compares two such files, anywhere, with no framework installed.

    For example:

    `crosscheck record article --with torch -o a.trace`

    `crosscheck record mine.toml --with jax --dtype float32 --steps 2`
    """
    from .. import api
    from ..adapters import NotInstalled, Unsupported, parted, unknown
    from ..adapters.contract import reason_of
    from ..cases import load_case
    from ..isolation import TimedOut
    from ..reference import CaseError

    if subject != "reference" and (wrong := unknown([subject])):
        refuse(f"--with: {wrong}")
    with refusing(CaseError, NotInstalled):
        loaded = load_case(case, dtype=dtype.value if dtype else None)
        loaded = loaded.with_steps(steps) if steps else loaded
        path = out or Path(f"{loaded.name}.{parted(subject)[0]}.trace")
        with progress(loaded.name) as tell:
            tell(subject)
            try:
                trace = api.record(loaded, subject, device=device.value)
            except (CaseError, NotInstalled):
                raise
            except Unsupported as reason:
                refuse(f"{subject}: expected a case that it can express; received {loaded.name!r}: {reason}")
            except TimedOut as error:
                typer.echo(f"{subject} timed out: {error}", err=True)
                raise typer.Exit(CRASHED) from None
            except Exception as error:
                typer.echo(f"{subject} crashed: {reason_of(error)}", err=True)
                raise typer.Exit(CRASHED) from None
            api.save_trace(trace, path)
    typer.echo(f"{len(trace)} tensors of {loaded.name}, {loaded.dtype}, by {subject}, written to {path}")
