"""A map: what of one model is what of another, and what is done to its layout. A TOML file, for people to read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal, TypeAlias, get_args

import numpy as np
import tomli_w
from pydantic import Field

from ..adapters.modules import RESERVED
from ..cases.files import LARGEST_TEXT, read_file, write_text
from ..cases.reading import parsed, telling
from ..cases.strict import Record, checked
from ..cases.tables import with_nearest
from ..reference import Trace
from ..reference.errors import CaseError, printable
from ..reference.layers import Array
from .layouts import Step, as_text, is_sum, laid_out

Section: TypeAlias = Literal["inputs", "parameters", "outputs"]
SECTIONS: tuple[Section, ...] = get_args(Section)

Names = Annotated[list[str], Field(min_length=1, max_length=64)]
MOST_ENTRIES = 100_000


class Entry(Record):
    """What of the first model is what of the second, where one may be several of the other's."""

    a: str | Names
    b: str | Names
    layout: list[Step] = Field(default_factory=list, max_length=16)

    @property
    def first(self) -> list[str]:
        """The names in the first model."""
        return [self.a] if isinstance(self.a, str) else self.a

    @property
    def second(self) -> list[str]:
        """The names in the second."""
        return [self.b] if isinstance(self.b, str) else self.b

    @property
    def text(self) -> str:
        """The entry on one line: ``conv.weight -> conv.kernel, { transpose = [2, 3, 1, 0] }``."""
        both = f"{' + '.join(self.first)} -> {' + '.join(self.second)}"
        return ", ".join(part for part in (both, as_text(self.layout)) if part)

    def of(self, arrays: Sequence[Array]) -> list[Array]:
        """What is the second's, of what is the first's.

        Raises:
            CaseError: they do not have the shape for it, or come to another number.
        """
        found = laid_out(arrays, self.layout, len(self.second))
        if len(found) != len(self.second):
            raise CaseError(
                f"a layout that makes {len(self.second)}, as many as b names", f"{len(found)}", key="layout"
            )
        return found


class Tables(Record):
    """The whole file."""

    inputs: list[Entry] = Field(default_factory=list, max_length=MOST_ENTRIES)
    parameters: list[Entry] = Field(default_factory=list, max_length=MOST_ENTRIES)
    """Buffers too."""
    outputs: list[Entry] = Field(default_factory=list, max_length=MOST_ENTRIES)


@dataclass(frozen=True)
class Map:
    """What of one model is what of another: inputs and targets, parameters and buffers, outputs of submodules."""

    inputs: tuple[Entry, ...] = ()
    parameters: tuple[Entry, ...] = ()
    outputs: tuple[Entry, ...] = ()
    file: str = ""

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Map:
        """Read a map.

        Raises:
            CaseError: there is none, or it says what no map says. Whether its names are there is seen where it is used.
        """
        path = Path(path)
        called = printable(path)
        with telling(called):
            tables = checked(Tables, parsed(read_file(path.parent, path.name, LARGEST_TEXT)), "map")
            found = cls(tuple(tables.inputs), tuple(tables.parameters), tuple(tables.outputs), called)
            for _, key, entry in found.entries():
                for place, step in enumerate(entry.layout):
                    try:
                        assert step.doing
                    except CaseError as error:
                        raise error.within(f"{key}.layout.{place}") from None
        return found

    @classmethod
    def of_same_names(cls, first: Trace, second: Trace) -> Map:
        """The map of two recordings of one model: what has a name in both is the same."""
        ours, theirs = arrays_of(first), arrays_of(second)

        def same(section: Section) -> tuple[Entry, ...]:
            return tuple(Entry(a=name, b=name) for name in ours[section] if name in theirs[section])

        return cls(same("inputs"), same("parameters"), same("outputs"))

    def entries(self) -> Iterator[tuple[Section, str, Entry]]:
        """Every entry with its section and its key."""
        for section in SECTIONS:
            for place, entry in enumerate(getattr(self, section)):
                yield section, f"{section}.{place}", entry

    def save(self, path: str | os.PathLike[str], notes: Mapping[str, Sequence[str]] | None = None) -> None:
        """Write the map; ``notes`` are remarks by the key of an entry, and those at the end by ``""``."""
        write_text(Path(path), self.text(notes))

    def text(self, notes: Mapping[str, Sequence[str]] | None = None) -> str:
        """The map as its file says it."""
        notes = notes or {}
        parts = []
        for section, key, entry in self.entries():
            lines = [f"# {printable(note)}" for note in notes.get(key, ())]
            lines += [f"[[{section}]]", tomli_w.dumps({"a": entry.a, "b": entry.b}).strip()]
            if entry.layout:
                lines.append(f"layout = [{as_text(entry.layout)}]")
            parts.append("\n".join(lines) + "\n")
        if notes.get(""):
            parts.append("\n".join(f"# {printable(note)}" for note in notes[""]) + "\n")
        return "\n".join(parts)

    def completed(self, first: Trace, second: Trace) -> Map:
        """The same with what both have under a reserved name and the map does not mention: it is the same in both."""
        ours, theirs = arrays_of(first), arrays_of(second)
        found: dict[Section, tuple[Entry, ...]] = {}
        for section in ("inputs", "outputs"):
            entries: tuple[Entry, ...] = getattr(self, section)
            told = {name for entry in entries for name in (*entry.first, *(entry.second))}
            common = [name for name in ours[section] if name in theirs[section] and is_reserved(name)]
            found[section] = (*entries, *(Entry(a=name, b=name) for name in common if name not in told))
        return replace(self, inputs=found["inputs"], outputs=found["outputs"])

    def require_fitting(self, first: Trace, second: Trace) -> None:
        """Raise CaseError unless every name is there, each is used once, and the shapes fit."""
        ours, theirs = arrays_of(first), arrays_of(second)
        used: set[tuple[Section, str, str]] = set()
        for section, key, entry in self.entries():
            with self.telling(key):
                for side, names, known, trace in (("a", entry.first, ours, first), ("b", entry.second, theirs, second)):
                    for name in names:
                        if name not in known[section]:
                            expected = f"a name of the {section} in {trace.source}"
                            raise CaseError(expected, with_nearest(name, known[section]), key=side)
                        if (section, side, name) in used:
                            raise CaseError("each name once", f"{name!r} again", key=side)
                        used.add((section, side, name))
                made = entry.of([ours[section][name] for name in entry.first])
                for name, array in zip(entry.second, made, strict=True):
                    wanted = theirs[section][name].shape
                    if array.shape != wanted:
                        raise CaseError(
                            f"a layout that makes {name!r}, of shape {wanted}", f"shape {array.shape}", key="layout"
                        )

    @contextmanager
    def telling(self, key: str) -> Iterator[None]:
        """Have every error say which entry of which file it is about."""
        try:
            yield
        except CaseError as error:
            raise error.within(key).in_file(self.file) from None

    def laid_out(self, given: Mapping[str, Array]) -> dict[str, Array]:
        """The second's parameters and buffers, of all those of the first that are given.

        Raises:
            CaseError: a name that is not given; a layout that does not fit.
        """
        found: dict[str, Array] = {}
        for section, key, entry in self.entries():
            if section == "parameters":
                with self.telling(key):
                    for name in entry.first:
                        if name not in given:
                            raise CaseError(
                                "a parameter or buffer that was recorded", with_nearest(name, given), key="a"
                            )
                    found |= zip(entry.second, entry.of([given[name] for name in entry.first]), strict=True)
        return found


def is_reserved(name: str) -> bool:
    """Whether a name is one that every model has: its inputs and targets, its output, the loss."""
    return name.partition(":")[0].partition("#")[0] in RESERVED


def arrays_of(trace: Trace) -> dict[Section, dict[str, Array]]:
    """What a model started from, and what its submodules gave in the first step, by section and name."""
    found: dict[Section, dict[str, Array]] = {section: {} for section in SECTIONS}
    sections: dict[str, Section] = {"0/data/": "inputs", "0/initial/": "parameters", "0/forward/": "outputs"}
    for name, array in {**trace.given, **trace.tensors}.items():
        for prefix, section in sections.items():
            if name.startswith(prefix):
                found[section][name.removeprefix(prefix)] = array
    return found


PHASES: dict[Section, tuple[str, ...]] = {
    "inputs": ("backward",),
    "parameters": ("initial", "gradient", "state", "update"),
    "outputs": ("forward", "backward"),
}
"""In which phases there are tensors of a section."""


def through(map: Map, first: Trace) -> Iterator[tuple[Section, Entry, str, list[tuple[str, str, Array]]]]:
    """Every tensor of the first as the second has it: by entry and ``STEP/PHASE``, the second's name, the first's, and
    the numbers. An entry of which the first has not all has none.

    Two that add up have one gradient, which is that of each; but not one update: what either of the two learns, both
    of the second's learn at once. So there is none.
    """
    steps = first.model.steps if first.model else 0
    for section, _, entry in map.entries():
        for step in range(steps):
            for phase in PHASES[section]:
                if phase == "initial" and step:
                    continue
                names = [f"{step}/{phase}/{name}" for name in entry.first]
                known = first.given if phase == "initial" else first.tensors
                if not all(name in known for name in names) or (is_sum(entry.layout) and phase == "update"):
                    continue
                arrays = [known[name] for name in names]
                if is_sum(entry.layout) and phase != "initial":
                    arrays = [arrays[0], *(np.zeros_like(array) for array in arrays[1:])]
                made = zip(entry.second, entry.of(arrays), strict=True)
                origin = " + ".join(names)
                yield section, entry, f"{step}/{phase}", [(f"{step}/{phase}/{name}", origin, one) for name, one in made]
