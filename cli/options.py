"""Options that several commands share, each said once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

import typer

from .console import refuse

if TYPE_CHECKING:
    from ..isolation import Limits


class Dtype(StrEnum):
    """The dtypes that a case can be computed in."""

    float16 = "float16"
    bfloat16 = "bfloat16"
    float32 = "float32"
    float64 = "float64"
    longdouble = "longdouble"


class Device(StrEnum):
    """The devices that a framework may be asked for."""

    cpu = "cpu"
    cuda = "cuda"


Cases: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CASE]...", help="Built-in names or paths of .toml files; by default every built-in."),
]
Against: TypeAlias = Annotated[
    str,
    typer.Option(
        help="Adapters, separated by commas (see *crosscheck list adapters*); with @ and its path each can have an "
        "interpreter of its own, *torch@env/bin/python*.  [default: torch and jax, where they are installed]",
        show_default=False,
    ),
]
CaseDtype: TypeAlias = Annotated[
    Dtype | None, typer.Option("--dtype", help="Compute in this dtype instead of the case's own.")
]
Steps: TypeAlias = Annotated[int | None, typer.Option(min=1, help="Compute so many training steps.")]
OnDevice: TypeAlias = Annotated[
    Device, typer.Option("--device", help="Where the frameworks compute; the reference is always on the CPU.")
]
Only: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Compare only tensors whose name fits this pattern, `*/gradient/*`. Can be repeated."),
]
Show: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(help="Show the elements of tensors whose name fits this pattern in the report, even if they agree."),
]
Top: TypeAlias = Annotated[
    int, typer.Option(min=0, help="Show so many of each framework's tensors, worst first; 0 shows all.")
]
Out: TypeAlias = Annotated[Path, typer.Option(help="Folder for the reports, one folder a case.")]
Json: TypeAlias = Annotated[
    Path | None, typer.Option(help="Write the agreement as JSON into this file too (a list, for several cases).")
]
InProcess: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--in-process",
        envvar="CROSSCHECK_IN_PROCESS",
        help="Compute everything in this process, without limits, as a debugger needs it. "
        "Otherwise each subject has its own.",
    ),
]
TimeLimit: TypeAlias = Annotated[
    float,
    typer.Option(min=0, metavar="SECONDS", help="How long a subject may take for a case; 0 is as long as it likes."),
]
MemoryLimit: TypeAlias = Annotated[
    float,
    typer.Option(min=0, metavar="GB", help="How much memory a subject's process may have in use; 0 is what there is."),
]


def limits(in_process: bool, seconds: float, gigabytes: float) -> Limits | None:
    """What the process of a subject may take; None where there is to be none."""
    from ..isolation import Limits

    return None if in_process else Limits(seconds, gigabytes or None)


def known_adapters(against: str) -> list[str] | None:
    """The adapters named in an option, all of which exist; None where none is named."""
    from ..adapters import unknown

    names = [name.strip() for name in against.split(",") if name.strip()]
    if wrong := unknown(names):
        refuse(f"--against: {wrong}")
    return names or None
