"""What there is to say of every kind, gathered from its class, the adapters, the faults, the cases and what was run."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, replace
from functools import cached_property
from typing import Any

import support
from crosscheck.cases import built_in, load_case
from crosscheck.faults import FAULTS, Fault, Mistake, faults_of
from crosscheck.faults.clipping import ClipFault
from crosscheck.faults.conventions import convention_fields
from crosscheck.faults.steps import AnotherSchedule
from crosscheck.reference import CLIPS, LAYERS, LOSSES, OPTIMIZERS, SCHEDULES, SGD, Case, Cosine
from crosscheck.reference.optimizers.schedules import Schedule
from crosscheck.rendering.catalogue import default_of, written

from .docstrings import Description, describe
from .sources import Code, code_of, part_of


@dataclass(frozen=True, eq=False)
class Family:
    """Kinds of one sort: what they are called, their classes, and the methods in which they compute."""

    folder: str
    one: str
    kinds: Mapping[str, type]
    methods: tuple[str, ...]


FAMILIES = (
    Family("layers", "layer", LAYERS, ("forward", "backward")),
    Family("losses", "loss", LOSSES, ("forward", "backward")),
    Family("optimizers", "optimizer", OPTIMIZERS, ("slots", "update")),
    Family("clips", "way of clipping", CLIPS, ("clipped",)),
    Family("schedules", "schedule", SCHEDULES, ("rate",)),
)

WITH_PAGE = tuple(described for family in FAMILIES for described in family.kinds.values())
"""The classes that have pages of their own."""


@dataclass(frozen=True)
class Option:
    """A field of a kind: its name, what it may be, and what it is unless it is given."""

    name: str
    values: tuple[str, ...]
    """Of a convention all that it may be, the default first; otherwise the type."""
    default: str
    """Empty where it must be given."""
    is_convention: bool


@dataclass(frozen=True)
class Kind:
    """A layer, a loss, an optimizer, a way of clipping or a schedule."""

    family: Family
    name: str
    described: type
    faults: tuple[type[Mistake], ...]
    """Those that the built-in cases show in it, what few kinds have first."""
    cases: tuple[str, ...]
    """The built-in cases that have it."""
    results: Mapping[str, support.Result]
    """For each framework what became of it there; empty of what is not run by itself."""

    @property
    def page(self) -> str:
        """The name of its page."""
        return f"{self.family.folder}/{self.name}"

    @cached_property
    def says(self) -> Description:
        """Its docstring."""
        return describe(self.described)

    @property
    def bases(self) -> list[tuple[type, Description]]:
        """The classes that it shares something with, of which no page tells."""
        own = set(self.family.kinds.values())
        inherited = [base for base in self.described.__mro__[1:-2] if base not in own and base.__doc__]
        return [(base, describe(base)) for base in inherited]

    @property
    def signature(self) -> str:
        """How it is made in Python."""
        bare = inspect.signature(self.described).replace(return_annotation=inspect.Signature.empty)
        plain = [given.replace(annotation=inspect.Parameter.empty) for given in bare.parameters.values()]
        return f"{self.described.__name__}{bare.replace(parameters=plain)}"

    @property
    def example(self) -> str:
        """What is typed at Python's prompt, with the imports that it needs."""
        text = self.says.example
        named = sorted({known.__name__ for known in WITH_PAGE} & {*re.findall(r"\w+", text)})
        lines = ["import numpy as np"] if "np." in text and "import numpy" not in text else []
        lines.append(f"from crosscheck import {', '.join(named)}")
        return "\n".join([*(f">>> {line}" for line in lines), text]) if text else ""

    @property
    def options(self) -> list[Option]:
        """Its fields."""
        conventions = convention_fields(self.described)
        return [option(field, conventions) for field in fields(self.described) if field.init]

    @property
    def code(self) -> list[Code]:
        """The code that computes it."""
        return code_of(self.described, self.family.methods)

    @property
    def parts(self) -> list[Code]:
        """The lines of each adapter that have it."""
        return [part for name in support.FRAMEWORKS if (part := part_of(name, self.name))]

    @property
    def remarks(self) -> dict[str, list[str]]:
        """What a framework lacks, and what does not agree there; only those of which something is to be said."""
        said = {name: list(support.remarks(self.name, name, result)) for name, result in self.results.items()}
        return {name: lines for name, lines in said.items() if lines}


def option(field: Field[Any], conventions: Mapping[str, tuple[Any, ...]]) -> Option:
    """A field as a case file has it."""
    default = default_of(field)
    values = sorted(conventions.get(field.name, ()), key=lambda value: value != default)
    return Option(
        field.name,
        tuple(map(written, values)) or (str(field.type),),
        "" if default is MISSING else written(default),
        field.name in conventions,
    )


def catalogue() -> dict[Family, list[Kind]]:
    """Every kind of every family."""
    cases = {name: load_case(name) for name in built_in()}
    faults = shown_faults(list(cases.values()))
    results = json.loads(support.RECORD.read_text())["kinds"]

    def spread(fault: str) -> int:
        """In how many kinds a fault is."""
        return sum(fault in shown for shown in faults.values())

    return {
        family: [
            Kind(
                family,
                name,
                described,
                tuple(FAULTS[fault] for fault in sorted(faults.get(name, ()), key=spread)),
                tuple(case for case in cases if name in kinds_of(cases[case])),
                results.get(name, {}),
            )
            for name, described in family.kinds.items()
        ]
        for family in FAMILIES
    }


def kinds_of(case: Case) -> set[str]:
    """Every kind that a case has, its schedule too."""
    rate = case.optimizer.learning_rate
    return support.kinds_of(case) | ({rate.kind} if isinstance(rate, Schedule) else set())


def shown_faults(cases: list[Case]) -> dict[str, list[str]]:
    """The faults that some cases show, by the kind in which they are."""
    shown: dict[str, dict[str, None]] = {}
    for case in [*cases, *scheduled(load_case("article"))]:
        for fault in faults_of(case):
            if kind := kind_of(fault, case):
                shown.setdefault(kind, {})[fault.name] = None
    return {kind: sorted(names, key=list(FAULTS).index) for kind, names in shown.items()}


def scheduled(case: Case) -> Iterator[Case]:
    """A case of one batch with each schedule, since few built-in cases have one."""
    # Whatever a schedule must be given.
    given = {"start": 1.0, "steps": 2, "then": Cosine(1.0, steps=2)}
    for described in SCHEDULES.values():
        wanted = {field.name: given[field.name] for field in fields(described) if default_of(field) is MISSING}
        yield replace(case, steps=4, optimizer=SGD(described(**wanted)))


def kind_of(fault: Fault, case: Case) -> str:
    """The kind in which a fault is; empty where it is in how the step joins its parts."""
    mistake = FAULTS[fault.name]
    rate = case.optimizer.learning_rate
    if issubclass(mistake, ClipFault):
        return mistake.of.kind
    if issubclass(mistake, AnotherSchedule) and isinstance(rate, Schedule):
        return rate.kind
    if fault.of_the_step:
        return ""
    sites = {node.name: node.layer.kind for node in case.nodes} | {term.name: term.loss.kind for term in case.losses}
    return sites[fault.site] if fault.site else case.optimizer.kind
