"""The tables of the pages that are made: each a head and rows of reStructuredText."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from textwrap import indent

import support

from .formulas import with_formulas
from .kinds import Kind

Row = Sequence[str]


def table(rows: Iterable[Row]) -> str:
    """Rows as a table, the first of them its head; of several lines in a cell each stands where it should."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in rows:
        for place, cell in enumerate(row):
            text = indent(cell or "–", " " * 7)
            lines.append(("   * - " if place == 0 else "     - ") + text[7:])
    return "\n".join(lines)


def fields(kind: Kind) -> Iterator[Row]:
    """The fields of a kind, and what each may be."""
    yield "field", "what it may be", "unless given"
    for option in kind.options:
        name = f"{code(option.name)} (convention)" if option.is_convention else code(option.name)
        yield name, ", ".join(map(code, option.values)), code(option.default) if option.default else "must be given"


def verdicts(kind: Kind) -> Iterator[Row]:
    """How each framework has a kind, and the verdict in every dtype."""
    yield "framework", "how", *support.DTYPES
    for name, result in kind.results.items():
        runs = result.get("dtypes", {})
        yield name, result["support"], *(support.cell(runs.get(dtype)) for dtype in support.DTYPES)


def overview(kinds: Sequence[Kind]) -> Iterator[Row]:
    """The kinds of a family, each with what it is and how the frameworks have it."""
    frameworks = tuple(kinds[0].results)
    yield "kind", "what it is", *frameworks
    for kind in kinds:
        yield link(kind), with_formulas(kind.says.about), *(kind.results[name]["support"] for name in frameworks)


def differences(kinds: Iterable[Kind]) -> Iterator[Row]:
    """What a framework lacks or does otherwise, as it was run."""
    yield "kind", "framework", "what"
    for kind in kinds:
        for name, said in kind.remarks.items():
            yield link(kind), name, "; ".join(said)


def conventions(kinds: Iterable[Kind]) -> Iterator[Row]:
    """Every convention, its default first."""
    yield "kind", "field", "values"
    for kind in kinds:
        for option in kind.options:
            if option.is_convention:
                yield link(kind), code(option.name), ", ".join(map(code, option.values))


def link(kind: Kind) -> str:
    """A link to the page of a kind."""
    return f":doc:`{kind.name} </{kind.page}>`"


def code(text: str) -> str:
    """Text as code."""
    return f"``{text}``"
