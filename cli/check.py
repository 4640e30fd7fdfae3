"""``crosscheck check``: a user's own training step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .console import progress, refusing
from .options import CaseDtype, Device, Json, OnDevice, Only, Out, Steps, Top, known_adapters
from .showing import Showing


def check(
    target: Annotated[
        str, typer.Argument(metavar="FILE.py:CALLABLE", help="Your training step. The file is run as a program is.")
    ],
    case: Annotated[
        list[str],
        typer.Option(help="A built-in name or the path of a .toml file; can be repeated.", show_default=False),
    ],
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
) -> None:
    """Hold your own training step against the reference, and say which operation is wrong and why.

    **This runs the code in the file**, with all that you are allowed to do; no other command does. The step is called
    once for each step of the case,

    `def train_step(weights, inputs, targets, state, *, step):`

    and returns a mapping with any of the keys *outputs*, *loss*, *backward*, *gradients*, *clipped*, *weights*,
    *optimizer_state*, *statistics* (each by name: *"gradients": {"j.weight": ...}*) and *state*, which is handed back
    to it. *weights* are arrays by name, *step* has a number and a learning_rate. What is left out is *not given*.

    For example:

    `crosscheck check mine.py:train_step --case article`

    `crosscheck check mine.py:train_step --case mine.toml --against torch --require '*/gradient/*'`
    """
    from ..adapters import NotInstalled
    from ..adapters.own import OwnStep
    from ..cases import load_case
    from ..comparison.check import check as check_case
    from ..reference import CaseError

    adapters = known_adapters(against) or []
    showing = Showing(out, top, json)
    with refusing(CaseError, NotInstalled, OSError):
        own = OwnStep(target, tuple(require) if require else None)
        loaded = [load_case(name, dtype=dtype.value if dtype else None) for name in case]
        for one in [each.with_steps(steps) if steps else each for each in loaded]:
            with progress(one.name) as tell:
                found = check_case(one, [own, *adapters], device=device.value, only=only or (), progress=tell)
            showing.show(found)
        showing.end()
