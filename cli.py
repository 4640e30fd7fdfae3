"""The shell face. Exit status: 0 everything required was compared and agrees; 1 it does not; 2 usage or bad input;
3 a subject crashed or timed out; 5 nothing was compared.

What a command does not use it does not import: ``crosscheck list cases`` starts no framework and no NumPy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from .comparison.agreement import Agreement

FILE_WIDTH = 200
"""Columns of characters where the output is no terminal."""

AGREES, DISAGREES, BAD_INPUT, CRASHED, NOTHING = 0, 1, 2, 3, 5

app = typer.Typer(
    name="crosscheck",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help=(
        "Check a training step, tensor by tensor, against backpropagation written by hand and against frameworks.\n\n"
        "A case is computed by a NumPy reference and again by each framework from identical weights; every output,\n"
        "gradient, optimizer slot and updated weight must agree.\n\n"
        "    crosscheck run article --against torch,jax\n\n"
        "Exit status: 0 all agrees, 1 something does not, 2 wrong usage or a bad file, 3 a framework crashed,\n"
        "5 nothing was compared."
    ),
)


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


class Topic(StrEnum):
    """What can be listed."""

    cases = "cases"
    layers = "layers"
    losses = "losses"
    optimizers = "optimizers"
    clips = "clips"
    schedules = "schedules"
    adapters = "adapters"
    faults = "faults"


def main() -> None:
    """Run the command line."""
    app()


@app.callback(invoke_without_command=True)
def root(version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False) -> None:
    """Options of the program itself; its help is the application's."""
    if version:
        from . import __version__

        typer.echo(f"crosscheck {__version__}")
        raise typer.Exit


@app.command()
def run(
    cases: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CASE]...", help="Built-in names or paths of .toml files; by default every built-in."),
    ] = None,
    against: Annotated[
        str,
        typer.Option(
            help="Adapters, separated by commas (see *crosscheck list adapters*); "
            "torch and jax, where installed, unless given.",
            show_default=False,
        ),
    ] = "",
    dtype: Annotated[Dtype | None, typer.Option(help="Compute in this dtype instead of the case's own.")] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Compute so many training steps.")] = None,
    device: Annotated[
        Device, typer.Option(help="Where the frameworks compute; the reference is always on the CPU.")
    ] = Device.cpu,
    only: Annotated[
        list[str] | None,
        typer.Option(help="Compare only tensors whose name fits this pattern, '*/gradient/*'. Can be repeated."),
    ] = None,
    top: Annotated[
        int, typer.Option(min=0, help="Show so many of each framework's tensors, worst first; 0 shows all.")
    ] = 8,
    truth: Annotated[
        bool, typer.Option("--truth", help="Say how far each party is from the true values, and who is nearest.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Status 1 where a framework cannot express a case.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for the reports, one folder a case.")] = Path("reports"),
    json: Annotated[
        Path | None, typer.Option(help="Write the agreement as JSON into this file too (a list, for several cases).")
    ] = None,
) -> None:
    """Compute cases by hand and in frameworks, and compare every tensor.

    Examples:
        crosscheck run article --against torch,jax

        crosscheck run mine.toml --dtype float32 --only '*/gradient/*' --top 0
    """
    from rich.console import Console

    from .adapters import NotInstalled
    from .cases import built_in, load_case
    from .comparison.check import check
    from .reference import CaseError
    from .rendering.folder import write
    from .rendering.terminal import render

    adapters = known_adapters(against)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    with refusing(CaseError, NotInstalled, OSError):
        loaded = [load_case(name, dtype=dtype.value if dtype else None) for name in cases or built_in()]
        loaded = [case.with_steps(steps) if steps else case for case in loaded]
        agreements = []
        for case in loaded:
            with progress(case.name) as tell:
                found = check(case, adapters, device=device.value, only=only or (), truth=truth, progress=tell)
            console.print(render(found, top or None, console.width))
            console.print(f"written to {write(found, out / case.name)}\n", style="dim", markup=False)
            agreements.append(found)
        if json:
            write_json(json, agreements)
    status = exit_status(agreements, strict=strict)
    console.print(conclusion(agreements, status), style="green" if status == AGREES else "bold red")
    raise typer.Exit(status)


@app.command()
def faults(
    cases: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CASE]...", help="Built-in names or paths of .toml files; by default every built-in."),
    ] = None,
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

    Examples:
        crosscheck faults article

        crosscheck faults --correct 360 --against torch,jax:40 --jobs 2
    """
    from rich.console import Console

    from .adapters import NotInstalled
    from .cases import built_in, load_case
    from .comparison.trials import everything
    from .reference import CaseError
    from .rendering.folder import write_text
    from .rendering.trials import coverage_to_markdown, render, to_json, to_markdown

    counted = dict(part.partition(":")[::2] for part in against.split(","))
    numbers = [counts.strip() or str(correct) for counts in counted.values()]
    if not all(number.isdecimal() for number in numbers):
        refuse(f"--against: expected adapters, each with a number behind a colon or none; received {against!r}")
    adapters = known_adapters(",".join(counted)) or []
    networks = dict(zip(adapters, map(int, numbers), strict=True)) if correct else {}
    dtypes = [one.value for one in dtype or (Dtype.float64, Dtype.float32)]
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = FILE_WIDTH
    with refusing(CaseError, NotInstalled, OSError), progress("faults") as tell:
        loaded = [load_case(name) for name in cases or built_in()]
        correct_in = dtypes if dtype else [*dtypes, Dtype.float16.value, Dtype.bfloat16.value]
        trials = everything(loaded, dtypes, networks, correct_in=correct_in, sites=sites, jobs=jobs, progress=tell)
        write_text(out / "faults.md", to_markdown(trials))
        if correct:
            write_text(out / "coverage.md", coverage_to_markdown(trials.coverage))
        if json:
            write_text(json, to_json(trials))
    console.print(render(trials))
    console.print(f"written to {out}", style="dim", markup=False)
    raise typer.Exit(AGREES if trials.ok else DISAGREES)


@app.command(name="list")
def list_(topic: Annotated[Topic, typer.Argument(help="What to list.")]) -> None:
    """List what there is: cases, layers, losses, optimizers, clips, schedules, adapters or faults.

    Layers, losses, optimizers, clips and schedules with their formula and their fields as a case file has them: of
    a convention's values the first is the default.
    """
    if topic in CATALOGUE:
        catalogue(topic)
        return
    listed = dict(LISTS[topic]())
    width = max(map(len, listed)) + 2
    for name, about in listed.items():
        typer.echo(f"{name:{width}}{about}".rstrip())


def catalogue(topic: Topic) -> None:
    """Print every kind with its formula and its fields."""
    from rich.console import Console

    from .reference import CLIPS, LAYERS, LOSSES, OPTIMIZERS, SCHEDULES
    from .rendering.catalogue import render

    kinds: dict[str, dict[str, type]] = {
        "layers": {**LAYERS},
        "losses": {**LOSSES},
        "optimizers": {**OPTIMIZERS},
        "clips": {**CLIPS},
        "schedules": {**SCHEDULES},
    }
    console = Console(highlight=False)
    console.print(render(kinds[topic], console.width if console.is_terminal else FILE_WIDTH), soft_wrap=True)


@app.command()
def doctor() -> None:
    """Say what is installed, at which version, and on which devices it can compute."""
    import platform
    from importlib.metadata import PackageNotFoundError, version

    from .adapters import ADAPTERS, NotInstalled, load_adapter

    typer.echo(f"python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for package in ("crosscheck", "numpy", "torch", "jax", "optax"):
        try:
            typer.echo(f"{package:16}{version(package)}")
        except PackageNotFoundError:
            typer.echo(f"{package:16}not installed")
    for name in ADAPTERS:
        try:
            adapter = load_adapter(name)
        except NotInstalled as error:
            typer.echo(f"{name:16}✗ {error}")
            continue
        problem = adapter.problem()
        devices = ", ".join(f"{device} ({adapter.environment(device)['device']})" for device in adapter.devices())
        typer.echo(f"{name:16}{'✗ ' + problem if problem else '✓ on ' + devices}")


def cases_listed() -> Iterator[tuple[str, str]]:
    from .cases import built_in

    yield from built_in().items()


def adapters_listed() -> Iterator[tuple[str, str]]:
    from .adapters import ADAPTERS, missing

    for name, entry in ADAPTERS.items():
        lacking = missing(name)
        yield name, f"not installed: pip install 'crosscheck[{entry.extra}]'" if lacking else "installed"


def faults_listed() -> Iterator[tuple[str, str]]:
    from .faults import FAULTS

    for name, mistake in FAULTS.items():
        yield f"{name} ", mistake.about()


CATALOGUE = frozenset({Topic.layers, Topic.losses, Topic.optimizers, Topic.clips, Topic.schedules})
LISTS: dict[Topic, Callable[[], Iterator[tuple[str, str]]]] = {
    Topic.cases: cases_listed,
    Topic.adapters: adapters_listed,
    Topic.faults: faults_listed,
}


def known_adapters(against: str) -> list[str] | None:
    """The adapters named in an option, all of which exist; None where none is named."""
    from .adapters import ADAPTERS

    names = [name.strip() for name in against.split(",") if name.strip()]
    for name in names:
        if name not in ADAPTERS:
            near = get_close_matches(name, ADAPTERS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            refuse(f"--against: expected one of {', '.join(ADAPTERS)}; received {name!r}{hint}")
    return names or None


def exit_status(agreements: Sequence[Agreement], *, strict: bool) -> int:
    """The exit status for some agreements; the worst news decides."""
    from .comparison.verdicts import HARMLESS

    verdicts = {subject.verdict for found in agreements for subject in found.subjects.values()}
    if verdicts & {"crashed", "timed out"}:
        return CRASHED
    if verdicts - HARMLESS - {"unsupported", "not compared"} or (strict and "unsupported" in verdicts):
        return DISAGREES
    return AGREES if agreements and all(found.ok for found in agreements) else NOTHING


def conclusion(agreements: Sequence[Agreement], status: int) -> str:
    """The last line of a run."""
    if status == AGREES:
        subjects = [subject for found in agreements for subject in found.subjects.values()]
        tensors = [tensor for subject in subjects for tensor in subject.tensors]
        kinks = sum("kink" in (tensor.verdict, tensor.end_to_end) for tensor in tensors)
        left_out = sum(subject.verdict == "unsupported" for subject in subjects)
        beyond = f"; {kinks} differ end to end, beyond masks that rounding leaves undecided" if kinks else ""
        unsupported = f"; {left_out} unsupported, which is no agreement" if left_out else ""
        return f"{len(tensors)} tensors compared, all agree{beyond}{unsupported}"
    if status == NOTHING:
        bare = [found for found in agreements if not found.ok]
        hint = "" if any(found.subjects for found in bare) else ": no framework is installed (see crosscheck doctor)"
        return f"nothing was compared for {', '.join(found.case for found in bare)}{hint}"
    return {DISAGREES: "not everything agrees", CRASHED: "a framework crashed"}[status]


def write_json(path: Path, agreements: Sequence[Agreement]) -> None:
    """Write one agreement as a JSON document, several as a list of them."""
    from .rendering.as_json import to_json
    from .rendering.folder import write_text

    texts = [to_json(found) for found in agreements]
    write_text(path, texts[0] if len(texts) == 1 else "[" + ",".join(texts) + "]\n")


@contextmanager
def progress(case: str) -> Iterator[Callable[[str], None]]:
    """A line on the terminal that says who computes; nothing where the errors go to a file."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(case) as status:
        yield lambda subject: status.update(f"{case}: {subject}")


@contextmanager
def refusing(*errors: type[Exception]) -> Iterator[None]:
    """Turn an error about the user's input into its message and status 2."""
    try:
        yield
    except errors as error:
        refuse(str(error))


def refuse(message: str) -> NoReturn:
    """Say what is wrong with the input, and end."""
    from .reference.errors import printable

    typer.echo(f"error: {printable(message)}", err=True)
    sys.exit(BAD_INPUT)
