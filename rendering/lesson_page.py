"""A lesson as a page: one file, with everything that it needs inside."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

from markupsafe import Markup, escape
from pygments.lexers.python import PythonLexer
from pygments.token import Comment, Keyword, Name, Number, String

from .. import __version__
from ..lesson.lesson import (
    Card,
    Excerpt,
    Framework,
    Lesson,
    Opening,
    Piece,
    Seen,
    Story,
    Term,
    Theirs,
    called_in_print,
)
from ..lesson.symbols import Name as Named
from ..lesson.symbols import Symbols
from ..reference.errors import printable
from .catalogue import entry
from .lesson_words import choices, said_in, said_of
from .mathml import derivative, formulas, set_piece, to_mathml, with_formulas
from .network import Drawing, draw
from .numbers import DECIMALS, digits
from .pages import page

COLOURED = {Comment: "c", Keyword: "k", String: "s", Number: "n", Name.Function: "f", Name.Class: "f"}
MOST_DRAWINGS = 4
MOST_CHIPS = 80
"""How many tensors of a mistake are shown one by one, those that it leaves alone among them."""


class Cell(NamedTuple):
    """A number in a table, with its place among those of its card."""

    number: int
    shown: str
    full: str
    theirs: dict[str, str]


def to_html(lesson: Lesson) -> str:
    """The page of a lesson."""
    title = f"{lesson.case.name}: a training step, taken apart"
    return page("lesson", title=title, lesson=lesson, view=View(lesson), version=__version__)


class View:
    """What the template asks for."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        self.asked: set[tuple[str, str]] = set()

    # ------------------------------------------------------------------------------------------------------- the steps

    def first_of_its_kind(self, card: Card) -> bool:
        """Whether a card has a question that no card of its kind before it had: the others are there to read."""
        if card.question is None:
            return False
        key = card.phase, getattr(card.thing, "kind", "")
        new = key not in self.asked
        self.asked.add(key)
        return new

    def strip(self) -> list[str]:
        """The network in one line."""
        case = self.lesson.case
        return ["input", *(node.name for node in case.nodes), *(term.name for term in case.losses)]

    def drawings(self) -> list[Drawing]:
        """The network, with the numbers of each step that is shown."""
        steps = sorted({card.step for card in self.lesson.cards})
        return [draw(self.lesson.case, self.lesson.trace, step) for step in steps[:MOST_DRAWINGS]]

    # ---------------------------------------------------------------------------------------------------------- names

    def named(self, name: Named | None) -> Markup:
        """A name as mathematics."""
        return Markup("") if name is None else Markup("<math>{}</math>").format(letter(name)) + note(name)

    def seen(self, seen: Seen) -> Markup:
        """An array inside a framework: the tensor that it is, or its numbers where they are few; and its shape."""
        shape = Markup('<span class="quiet">{}</span>').format(" × ".join(map(str, seen.shape)) or "number")
        if seen.symbol is None:
            return (
                Markup("{} {}").format(", ".join(digits(value, 4) for value in seen.few), shape) if seen.few else shape
            )
        turned = Markup("<sup>T</sup>") if seen.transposed else Markup("")
        return Markup("{}{} {}").format(self.named(seen.symbol), turned, shape)

    def framework(self, name: str) -> str:
        """A framework as its users call it."""
        return called_in_print(name)

    def heading(self, framework: Framework) -> str:
        """A framework with its version."""
        return f"{self.framework(framework.name)} {framework.version.partition('+')[0]}".strip()

    # -------------------------------------------------------------------------------------------------------- formulas

    def formula(self, card: Card) -> list[tuple[Markup, str]]:
        """The formulas of a card, in the letters of the case."""
        if card.thing is None:
            return []
        letters = {name: letter(value) for name, value in card.letters.items()}
        block = entry(type(card.thing)).formula
        return formulas(block, letters) if "\n" in block else self.sentence(card, letters)

    def sentence(self, card: Card, letters: dict[str, Markup]) -> list[tuple[Markup, str]]:
        """The formulas in the first sentences of a docstring."""
        return [
            (set_piece(formula, letters), aside) for formula, aside in said_in(card.thing, card.phase == "backward")
        ]

    def choices(self, card: Card) -> str:
        """The hyperparameters and conventions that are not the usual ones."""
        return choices(card.thing)

    def about(self, card: Card) -> str:
        """What kind of thing a card is about, in a sentence."""
        text = (type(card.thing).__doc__ or "").partition("``")[0] if card.thing is not None else ""
        return " ".join(text.replace("::", "").split()).rstrip(":,. ").partition(". ")[0]

    def sentence_of(self, text: str) -> Markup:
        """Words, and what is between double backquotes as a formula or as code."""
        return with_formulas(text)

    def math(self, formula: str) -> Markup:
        """A formula in the form of code."""
        return to_mathml(formula)

    def code(self, text: str) -> Markup:
        """Lines of code, coloured."""
        return coloured(text)

    # --------------------------------------------------------------------------------------------------------- numbers

    def digits(self, value: float, decimals: int = DECIMALS) -> str:
        """A number as it is read."""
        return digits(value, decimals)

    def cells(self, card: Card) -> list[list[list[Cell]]]:
        """The numbers of every tensor that a card makes, row by row, counted through the card."""
        tables, number = [], 0
        for made in card.makes:
            rows = []
            for row, values in enumerate(made.excerpt.values):
                cells = []
                for column, value in enumerate(values):
                    own = full(float(value))
                    found = {
                        name: full(float(one.values[row, column]))
                        for name, one in made.theirs.items()
                        if one.values is not None
                    }
                    cells.append(
                        Cell(
                            number,
                            self.compact(made.excerpt, float(value)),
                            own,
                            {n: v for n, v in found.items() if v != own},
                        )
                    )
                    number += 1
                rows.append(cells)
            tables.append(rows)
        return tables

    def compact(self, excerpt: Excerpt, value: float) -> str:
        """A number in a table: as the article prints it, or shorter where the table is wide."""
        return digits(value) if len(excerpt.columns) <= 4 else digits(value, 4)

    def lit(self, card: Card) -> int:
        """The number of the cell that is followed."""
        place = 0
        for made in card.makes:
            for index, _ in made.excerpt.cells():
                if (made.excerpt.name, index) == card.lit:
                    return place
                place += 1
        return 0

    def openings(self, card: Card) -> list[tuple[int, Opening]]:
        """Every element that is opened, with the number of its cell."""
        place, found = 0, []
        for made in card.makes:
            for index, _ in made.excerpt.cells():
                if index in made.openings:
                    found.append((place, made.openings[index]))
                place += 1
        return found

    def taken(self, card: Card) -> str:
        """The value that a node takes, if it is one."""
        takes = next((node.takes for node in self.lesson.case.nodes if node.name == card.of), ())
        return takes[0] if len(takes) == 1 else ""

    def labels(self, card: Card) -> list[str]:
        """What each cell of a card is called."""
        names = []
        for made in card.makes:
            for index, _ in made.excerpt.cells():
                opening = made.openings.get(index)
                place = f"[{', '.join(map(str, index))}]" if index else ""
                names.append(str(opening.left) if opening else f"{made.excerpt.symbol}{place}")
        return names

    def verdict(self, card: Card, framework: str) -> tuple[str, str, str]:
        """What is said of a framework's tensors of a card: a colour, a glyph, the words."""
        return said_of([made.theirs[framework] for made in card.makes])

    def said(self, theirs: Sequence[Theirs]) -> tuple[str, str, str]:
        """What is said of some tensors of a framework: a colour, a glyph, the words."""
        return said_of(theirs)

    def term(self, term: Term) -> Markup:
        """A product: the names, and below them the numbers."""
        names = Markup("<mo>·</mo>").join(letter(name) for name, _ in term.factors)
        return Markup("<math>{}</math>").format(names)

    def product(self, term: Term) -> str:
        """The numbers of a product."""
        return " · ".join(f"({digits(value)})" if value < 0 else digits(value) for _, value in term.factors)

    # -------------------------------------------------------------------------------------------------------- mistakes

    def chips(self, story: Story) -> list[tuple[str, str, str]]:
        """Every tensor with what the mistake does to it: its state, a glyph, its name; the changed ones where many."""
        changed = {change.name: change.state for change in story.changes}
        glyphs = {"origin": "✗", "downstream": "~", "same": "✓"}
        names = list(self.lesson.trace) if len(self.lesson.trace) <= MOST_CHIPS else list(changed)[:MOST_CHIPS]
        symbols = {name: story.changes[place].symbol for place, name in enumerate(changed)}
        every = [(changed.get(name, "same"), name) for name in names]
        return [(state, glyphs[state], self.chip(name, symbols.get(name))) for state, name in every]

    def chip(self, name: str, symbol: Named | None) -> str:
        """The short name of a tensor."""
        step = name.partition("/")[0]
        text = str(symbol or Symbols(self.lesson.case).tensor(name))
        return f"{text} (step {int(step.partition('.')[0]) + 1})" if self.lesson.case.steps > 1 else text

    def anchor(self, text: str) -> str:
        """A name that can stand in an address."""
        return re.sub(r"[^\w.-]+", "-", text)

    def grouped(self) -> list[list[Story]]:
        """The mistakes, those of one name together."""
        groups: dict[str, list[Story]] = {}
        for story in self.lesson.stories:
            groups.setdefault(story.name, []).append(story)
        return list(groups.values())

    # ---------------------------------------------------------------------------------------------------------- part I

    def curve(self, piece: Piece) -> dict[str, Any]:
        """The path of a piece, on its curve, in units of a drawing."""
        width, height, left, bottom = 560.0, 260.0, 40.0, 28.0
        last = piece.curve[0][0] + 0.5
        low, high = -4.0, max(y for _, y in piece.curve) * 1.05

        def place(w: float, y: float) -> tuple[float, float]:
            return left + (w - low) / (last - low) * (width - left - 8), height - bottom - y / high * (
                height - bottom - 8
            )

        from ..reference import part_one

        line = [place(low + (last - low) * i / 80, part_one.curve(low + (last - low) * i / 80)) for i in range(81)]
        steps = [place(w, y) for w, y in piece.curve[::5]]
        ticks = [(place(w, 0)[0], f"{w:g}") for w in (-3.0, 0.0, 3.0, 6.0, 9.0)]
        rises = [(place(low, y)[1], f"{y:g}") for y in (0.0, 20.0, 40.0)]
        inside = [point for point in line if point[1] >= 4]
        path = "M" + " L".join(f"{x:.1f},{y:.1f}" for x, y in inside)
        return {
            "width": width,
            "height": height,
            "path": path,
            "steps": steps,
            "ticks": ticks,
            "rises": rises,
            "base": height - bottom,
        }


def letter(name: Named) -> Markup:
    """A name inside a formula."""
    if name.by:
        return derivative(printable(name.text), printable(name.by))
    return Markup("<mi>{}</mi>").format(printable(name.text))


def note(name: Named) -> Markup:
    """What else is said of a name."""
    return Markup(", {}").format(printable(name.note)) if name.note else Markup("")


def full(value: float) -> str:
    """A number in all its digits."""
    return repr(value + 0.0)


@cache
def coloured(text: str) -> Markup:
    """Code as Pygments reads it, with a class for what is to be told apart."""
    parts: list[Markup] = []
    for kind, value in PythonLexer(stripnl=False, ensurenl=False).get_tokens(text):
        name = next((short for token, short in COLOURED.items() if kind in token), "")
        safe = escape(printable_lines(value))
        parts.append(Markup('<span class="{}">{}</span>').format(name, safe) if name else safe)
    return Markup("").join(parts)


def printable_lines(text: str) -> str:
    """Text with nothing in it that cannot be seen, but for the ends of lines."""
    return "\n".join(map(printable, text.split("\n")))
