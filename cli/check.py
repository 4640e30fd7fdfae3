"""``crosscheck check``: a user's own training step."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .console import progress, refuse, refusing
from .options import (
    CaseDtype,
    Device,
    InProcess,
    Json,
    MemoryLimit,
    OnDevice,
    Only,
    Out,
    Steps,
    TimeLimit,
    Top,
    known_adapters,
    limits,
)
from .practice import practise, show_hints
from .showing import Showing
from .status import exit_status


class Level(StrEnum):
    """Hints, from the one that says least."""

    where = "where"
    kind = "kind"
    question = "question"
    experiment = "experiment"
    cause = "cause"
    line = "line"


def check(
    target: Annotated[
        str, typer.Argument(metavar="FILE.py:CALLABLE", help="Your training step. The file is run as a program is.")
    ],
    case: Annotated[
        list[str] | None,
        typer.Option(
            help="A built-in name or the path of a .toml file; can be repeated. Without it the file is that of an "
            "exercise, with its check.toml beside it."
        ),
    ] = None,
    against: Annotated[
        str, typer.Option(help="Adapters to compare as well, separated by commas (see *crosscheck list adapters*).")
    ] = "",
    require: Annotated[
        list[str] | None,
        typer.Option(
            help="Fail unless the step gives the tensors whose name fits this pattern. Can be repeated.  "
            "[default: the loss, all gradients and updated weights]",
            show_default=False,
        ),
    ] = None,
    dtype: CaseDtype = None,
    steps: Steps = None,
    device: OnDevice = Device.cpu,
    only: Only = None,
    top: Top = 8,
    out: Out = Path("reports"),
    json: Json = None,
    hint: Annotated[
        Level | None,
        typer.Option(help="Instead of what was found, hints on the first tensor that is wrong, up to this one."),
    ] = None,
    give_up: Annotated[
        bool, typer.Option("--give-up", help="Needed for the last hint; the marks will say so.")
    ] = False,
    grade: Annotated[
        Path | None, typer.Option(help="Write the marks of an exercise into this file, as Gradescope takes them.")
    ] = None,
    time_limit: TimeLimit = 600,
    memory_limit: MemoryLimit = 0,
    in_process: InProcess = False,
) -> None:
    """Hold your own training step against the reference, and say which operation is wrong and why.

    **This runs the code in the file**, with all that you are allowed to do; no other command does. The step is called
    once for each step of the case,

    `def train_step(weights, inputs, targets, state, *, step):`

    and returns a mapping with any of the keys *outputs*, *loss*, *backward*, *gradients*, *clipped*, *weights*,
    *optimizer_state*, *statistics* (each by name: *"gradients": {"j.weight": ...}*) and *state*, which is handed back
    to it. *weights* are arrays by name, *step* has a number and a learning_rate. What is left out is *not given*.

    It runs in a process of its own: a crash, a hang or too much memory is its verdict, with the line (status 3). For a
    debugger there is *--in-process*.

    For example:

    `crosscheck check mine.py:train_step --case article`

    `crosscheck check mine.py:train_step --case mine.toml --against torch --require '*/gradient/*'`

    Of an exercise, which *crosscheck new exercise* writes:

    `crosscheck check step.py:train_step --hint where`

    `crosscheck check step.py:train_step --grade results.json`
    """
    from ..adapters import NotInstalled
    from ..adapters.own import Target
    from ..cases import load_case
    from ..comparison.check import check as check_case
    from ..isolation import opened
    from ..reference import CaseError

    adapters = known_adapters(against) or []
    if hint == Level.line and not give_up:
        refuse("--hint line shows the line that is right: expected --give-up with it; received none")
    if grade and case:
        refuse("--grade marks the exercise beside the file: expected no --case; received one")
    if not case and (adapters or require or dtype or steps or only or json):
        refuse("options of a comparison: expected --case with them; received none")
    showing = Showing(out, top, json)
    allowed = limits(in_process, time_limit, memory_limit)
    with refusing(CaseError, NotInstalled, OSError):
        if not case:
            practise(Target.of(target), hint.value if hint else None, grade, allowed)
        loaded = [load_case(name, dtype=dtype.value if dtype else None) for name in case]
        loaded = [one.with_steps(steps) if steps else one for one in loaded]
        found = []
        with (
            opened([target], require, allowed) as own,
            opened([] if hint else adapters, limits=allowed) as others,
        ):
            for one in loaded:
                with progress(one.name) as tell:
                    found.append(check_case(one, [*own, *others], device=device.value, only=only or (), progress=tell))
                if not hint:
                    showing.show(found[-1])
        if hint:
            show_hints(list(zip(loaded, found, strict=True)), hint.value)
            raise typer.Exit(exit_status(found, strict=False))
        showing.end()
