"""``crosscheck run``: cases by hand and in frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import progress, refusing
from .options import (
    Against,
    CaseDtype,
    Cases,
    Device,
    InProcess,
    Json,
    MemoryLimit,
    OnDevice,
    Only,
    Out,
    Show,
    Steps,
    TimeLimit,
    Top,
    known_adapters,
    limits,
)
from .showing import Showing


def run(
    cases: Cases = None,
    against: Against = "",
    dtype: CaseDtype = None,
    steps: Steps = None,
    device: OnDevice = Device.cpu,
    only: Only = None,
    show: Show = None,
    top: Top = 8,
    truth: Annotated[
        bool, typer.Option("--truth", help="Say how far each party is from the true values, and who is nearest.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Status 1 where a framework cannot express a case.")] = False,
    out: Out = Path("reports"),
    json: Json = None,
    time_limit: TimeLimit = 600,
    memory_limit: MemoryLimit = 0,
    in_process: InProcess = False,
) -> None:
    """Compute cases by hand and in frameworks, and compare every tensor.

    Each framework computes in a process of its own, side by side with the others. One that crashes, hangs or takes too
    much memory has that for its verdict; the others go on, and the report is written (status 3).

    For example:

    `crosscheck run article --against torch,jax`

    `crosscheck run mine.toml --dtype float32 --only '*/gradient/*' --top 0`
    """
    from ..adapters import NotInstalled
    from ..cases import built_in, load_case
    from ..comparison.check import check, installed
    from ..isolation import opened
    from ..reference import CaseError

    adapters = known_adapters(against)
    showing = Showing(out, top, json, strict)
    with refusing(CaseError, NotInstalled, OSError):
        loaded = [load_case(name, dtype=dtype.value if dtype else None) for name in cases or built_in()]
        with opened(adapters or installed(), limits=limits(in_process, time_limit, memory_limit)) as subjects:
            for case in [case.with_steps(steps) if steps else case for case in loaded]:
                with progress(case.name) as tell:
                    found = check(
                        case,
                        subjects,
                        device=device.value,
                        only=only or (),
                        show=show or (),
                        truth=truth,
                        progress=tell,
                    )
                showing.show(found)
        showing.end()
