"""``crosscheck list``: what there is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Annotated

import typer

from .console import console


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


def listing(topic: Annotated[Topic, typer.Argument(help="What to list.")]) -> None:
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
    from ..reference import CLIPS, LAYERS, LOSSES, OPTIMIZERS, SCHEDULES
    from ..rendering.catalogue import render

    kinds: dict[str, dict[str, type]] = {
        "layers": {**LAYERS},
        "losses": {**LOSSES},
        "optimizers": {**OPTIMIZERS},
        "clips": {**CLIPS},
        "schedules": {**SCHEDULES},
    }
    shown = console()
    shown.print(render(kinds[topic], shown.width), soft_wrap=True)


def cases_listed() -> Iterator[tuple[str, str]]:
    from ..cases import built_in

    yield from built_in().items()


def adapters_listed() -> Iterator[tuple[str, str]]:
    from ..adapters import ADAPTERS, missing

    for name, entry in ADAPTERS.items():
        lacking = missing(name)
        yield name, f"not installed: pip install 'crosscheck[{entry.extra}]'" if lacking else "installed"


def faults_listed() -> Iterator[tuple[str, str]]:
    from ..faults import FAULTS

    for name, mistake in FAULTS.items():
        yield f"{name} ", mistake.about()


CATALOGUE = frozenset({Topic.layers, Topic.losses, Topic.optimizers, Topic.clips, Topic.schedules})
LISTS: dict[Topic, Callable[[], Iterator[tuple[str, str]]]] = {
    Topic.cases: cases_listed,
    Topic.adapters: adapters_listed,
    Topic.faults: faults_listed,
}
