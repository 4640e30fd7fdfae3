"""``crosscheck faults``: every known mistake planted, and correct runs that must not be refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import console, progress, refuse, refusing
from .options import Cases, Dtype, known_adapters
from .status import AGREES, DISAGREES


def faults(
    cases: Cases = None,
    dtype: Annotated[
        list[Dtype] | None,
        typer.Option(
            help="Plant them in this dtype; can be repeated.  "
            "[default: float64, float32; correct runs float16 and bfloat16 too]"
        ),
    ] = None,
    sites: Annotated[int, typer.Option(min=0, help="Plant each fault at so many sites of a case; 0 is all.")] = 0,
    correct: Annotated[
        int, typer.Option(min=0, help="Make so many random networks, in each framework and dtype a correct run.")
    ] = 0,
    against: Annotated[
        str,
        typer.Option(help="Adapters that make the correct runs; *torch,jax:60* makes 60 in JAX, which compiles each."),
    ] = "torch,jax",
    jobs: Annotated[int, typer.Option(min=1, help="Use so many processes.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for faults.md and, with *--correct*, coverage.md.")] = Path(
        "reports"
    ),
    json: Annotated[Path | None, typer.Option(help="Write every trial as JSON into this file too.")] = None,
) -> None:
    """Plant every fault in every case, and say what is detected, put in the right place and named.

    With --correct, random networks that have no fault too. Status 1 unless every visible fault is detected in float64
    and put in its place, nearly all are named, and no correct run is refused.

    For example:

    `crosscheck faults article`

    `crosscheck faults --correct 360 --against torch,jax:40 --jobs 2`
    """
    from ..adapters import NotInstalled
    from ..cases import built_in, load_case
    from ..cases.files import write_text
    from ..comparison.trials import everything
    from ..reference import CaseError
    from ..rendering.trials import coverage_to_markdown, render, to_json, to_markdown

    counted = dict(part.partition(":")[::2] for part in against.split(","))
    numbers = [counts.strip() or str(correct) for counts in counted.values()]
    if not all(number.isdecimal() for number in numbers):
        refuse(f"--against: expected adapters, each with a number behind a colon or none; received {against!r}")
    adapters = known_adapters(",".join(counted)) or []
    networks = dict(zip(adapters, map(int, numbers), strict=True)) if correct else {}
    dtypes = [one.value for one in dtype or (Dtype.float64, Dtype.float32)]
    with refusing(CaseError, NotInstalled, OSError), progress("faults") as tell:
        loaded = [load_case(name) for name in cases or built_in()]
        correct_in = dtypes if dtype else [*dtypes, Dtype.float16.value, Dtype.bfloat16.value]
        trials = everything(loaded, dtypes, networks, correct_in=correct_in, sites=sites, jobs=jobs, progress=tell)
        write_text(out / "faults.md", to_markdown(trials))
        if correct:
            write_text(out / "coverage.md", coverage_to_markdown(trials.coverage))
        if json:
            write_text(json, to_json(trials))
    shown = console()
    shown.print(render(trials))
    shown.print(f"written to {out}", style="dim", markup=False)
    raise typer.Exit(AGREES if trials.ok else DISAGREES)
