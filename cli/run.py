"""``crosscheck run``: cases by hand and in frameworks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import progress, refusing
from .options import Against, CaseDtype, Cases, Device, Json, OnDevice, Only, Out, Show, Steps, Top, known_adapters
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
) -> None:
    """Compute cases by hand and in frameworks, and compare every tensor.

    For example:

    `crosscheck run article --against torch,jax`

    `crosscheck run mine.toml --dtype float32 --only '*/gradient/*' --top 0`
    """
    from ..adapters import NotInstalled
    from ..cases import built_in, load_case
    from ..comparison.check import check
    from ..reference import CaseError

    adapters = known_adapters(against)
    showing = Showing(out, top, json, strict)
    with refusing(CaseError, NotInstalled, OSError):
        loaded = [load_case(name, dtype=dtype.value if dtype else None) for name in cases or built_in()]
        for case in [case.with_steps(steps) if steps else case for case in loaded]:
            with progress(case.name) as tell:
                found = check(
                    case, adapters, device=device.value, only=only or (), show=show or (), truth=truth, progress=tell
                )
            showing.show(found)
        showing.end()
