"""Every kind with its formula and its fields, read from its class: what ``crosscheck list layers`` prints."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from textwrap import dedent, indent, wrap
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from ..faults.conventions import convention_fields

FORMULA = re.compile(r"``[^`]*=[^`]*``")
WIDTH = 120
"""Columns of characters beyond which lines are hard to read."""
HELD = "\0"
"""A space at which no line ends."""
STYLES = {"required": "bold", "options": "", "conventions": "cyan"}


@dataclass(frozen=True)
class Entry:
    """A kind as a case file has it: what it is, its formula, and its fields with their values.

    ``required`` must be given, ``options`` have the value that stands there; of each convention's values the default
    comes first.
    """

    kind: str
    about: str
    formula: str
    required: tuple[str, ...]
    options: tuple[str, ...]
    conventions: tuple[str, ...]

    def lines(self, width: int) -> Iterator[tuple[str, str]]:
        """Each line in so many columns, and how it is drawn."""
        yield self.kind, "bold"
        for line in (self.about, *self.formula.splitlines()):
            for part in wrapped(line, width - 2):
                yield indent(part, "  "), ""
        for name, style in STYLES.items():
            texts = getattr(self, name)
            if texts:
                hang = " " * (len("conventions") + 4)
                first = f"  {name:{len(hang) - 2}}"
                joined = ", ".join(text.replace(" = ", f"{HELD}={HELD}") for text in texts)
                for part in wrap(joined, width, initial_indent=first, subsequent_indent=hang):
                    yield part.replace(HELD, " "), style


def entry(described: type) -> Entry:
    r"""What the class of a kind says of it.

    >>> from crosscheck.reference import LeakyRelu
    >>> print(*(line for line, style in entry(LeakyRelu).lines(100)), sep="\n")
    leaky_relu
      Rectified linear unit that leaks: y = x where x > 0, and slope x elsewhere.
      options        slope = 0.01
      conventions    at_zero = "left" | "right"
    """
    about, formula = described_in(inspect.getdoc(described) or "")
    conventions = convention_fields(described)
    own = [field for field in fields(described) if field.init]
    given = {field.name: default_of(field) for field in own}
    return Entry(
        kind=described.kind,  # type: ignore[attr-defined]
        about=about,
        formula=formula,
        required=tuple(name for name, value in given.items() if value is MISSING and name not in conventions),
        options=tuple(
            f"{name} = {written(value)}"
            for name, value in given.items()
            if value is not MISSING and name not in conventions
        ),
        conventions=tuple(f"{name} = {alternatives(values, given[name])}" for name, values in conventions.items()),
    )


def described_in(text: str) -> tuple[str, str]:
    """The first line of a docstring, and the formula that comes after it unless that line has one."""
    first, *others = text.split("\n\n")
    about = plain(" ".join(first.split()))
    if FORMULA.search(first) or not others:
        return about, ""
    if others[0].strip() == "::":
        return about, dedent(others[1])
    return about, plain(" ".join(others[0].split())) if FORMULA.search(others[0]) else ""


def plain(text: str) -> str:
    """Text without the marks of code."""
    return text.replace("``", "")


def default_of(field: Field[Any]) -> Any:
    """What a field is unless it is given; MISSING where it must be."""
    return field.default_factory() if field.default_factory is not MISSING else field.default


def alternatives(values: tuple[Any, ...], default: Any) -> str:
    """The values of a convention, its default first."""
    return " | ".join(map(written, sorted(values, key=lambda value: value != default)))


def written(value: Any) -> str:
    """A value as a case file has it.

    >>> written("left"), written(True), written((1, 2)), written(None)
    ('"left"', 'true', '[1, 2]', 'none')
    """
    return "none" if value is None else json.dumps(value)


def wrapped(line: str, width: int) -> list[str]:
    """A line in pieces; what goes on in the next line stands further in."""
    return wrap(line, width, subsequent_indent="    " + " " * (len(line) - len(line.lstrip()))) or [""]


def render(kinds: Mapping[str, type], width: int) -> RenderableType:
    """The kinds in so many columns, as Rich draws them."""
    lines = [line for described in kinds.values() for line in (*entry(described).lines(min(width, WIDTH)), ("", ""))]
    return Group(*(Text(line, style=style, no_wrap=True, overflow="ignore") for line, style in lines[:-1]))
