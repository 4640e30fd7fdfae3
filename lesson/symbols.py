"""What tensors and their elements are called in a lesson: in the words of the text that a case is from, if it has any.

An article that counts nodes from 1 writes ``o1_input``, ``wk1o1`` and ``bo1``; where a case has no symbol for a name,
an element goes by its index in the code, ``o.weight[0, 2]``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..reference import Case
from ..reference.errors import printable
from ..reference.layers import Shape
from ..reference.trace import phase_of


@dataclass(frozen=True)
class Name:
    """What something is called: plainly, or as the derivative of one thing by another."""

    text: str
    by: str = ""
    note: str = ""
    """What else is to be said of it: ``updated``."""

    def __str__(self) -> str:
        text = f"∂{self.text}/∂{self.by}" if self.by else self.text
        return f"{text}, {self.note}" if self.note else text


class Symbols:
    """The names of one case."""

    def __init__(self, case: Case) -> None:
        self.case = case

    def of(self, name: str) -> str:
        """A node, a parameter, ``input``, ``target`` or ``loss`` as the text writes it, all of it to be seen."""
        return printable(self.case.symbols.get(name, name))

    def tensor(self, full: str) -> Name:
        """A tensor by its name in the trace.

        >>> import crosscheck as cc
        >>> symbols = Symbols(cc.load_case("article"))
        >>> for name in ("0/forward/j", "0/gradient/k.weight", "0/update/o.bias"):
        ...     print(symbols.tensor(name))
        j_input
        ∂loss/∂wjk
        bo, updated
        """
        phase, owner = phase_of(full), full.split("/", 2)[2]
        owner, _, use = owner.partition("->")
        if phase in ("backward", "gradient", "clipped"):
            note = f"the part from {self.of(use)}" if use else "clipped" if phase == "clipped" else ""
            return Name(self.of("loss"), self.of(owner), note)
        if phase == "state":
            weight = next((known for known in self.case.parameters if owner.startswith(f"{known}.")), "")
            return Name(self.of(weight), note=owner.removeprefix(f"{weight}.")) if weight else Name(owner)
        return Name(self.of(owner), note="updated" if phase == "update" else "")

    def element(self, name: str, index: Shape, shape: Shape) -> str:
        """One element of what has this name and this shape.

        >>> import crosscheck as cc
        >>> symbols = Symbols(cc.load_case("article"))
        >>> symbols.element("o", (0, 2), (1, 3)), symbols.element("o.weight", (0, 1), (4, 3))
        ('o3_input', 'wk1o2')
        """
        symbol = self.of(name)
        if not index:
            return symbol
        if name in self.case.symbols:
            counted = (
                self.weight(symbol, index, shape) if name in self.case.parameters else self.value(symbol, index, shape)
            )
            if counted:
                return counted
        return f"{symbol}[{', '.join(map(str, index))}]"

    def weight(self, symbol: str, index: Shape, shape: Shape) -> str:
        """An element of a parameter, if its symbol says how they are counted: ``wij``, ``bj``, ``w1..w4``."""
        if found := re.fullmatch(r"([a-z])([a-z])([a-z]?)", symbol):
            kind, *letters = filter(None, found.groups())
            if len(letters) == len(index):
                places = zip(letters, index, strict=True)
                return "".join([kind, *(f"{letter}{place + 1}" for letter, place in places)])
        counted = re.fullmatch(r"(\D+)(\d+)\.\.\1\d+", symbol)
        if counted is None or len(index) != 2:
            return ""
        row, column = index  # node after node, which are the columns
        return f"{counted[1]}{int(counted[2]) + column * shape[0] + row}"

    def value(self, symbol: str, index: Shape, shape: Shape) -> str:
        """An element of a value of rows: ``o1_input``, or ``net_h1`` where the number comes last."""
        if len(index) != 2:
            return ""
        row, column = index
        letter, _, what = symbol.partition("_")
        counted = f"{letter}{column + 1}_{what}" if what in ("input", "output") else f"{symbol}{column + 1}"
        return f"{counted} in row {row + 1}" if shape[0] > 1 else counted

    def head(self, name: str, axis: int, place: int) -> str:
        """What the row or the column of a table is called: ``k1`` of an article that counts its nodes, or the index."""
        symbol = self.of(name)
        if name in self.case.symbols:
            if name in self.case.parameters and (found := re.fullmatch(r"[a-z]([a-z])([a-z]?)", symbol)):
                letters = [letter for letter in found.groups() if letter]
                return f"{letters[min(axis, len(letters) - 1)]}{place + 1}"
            if name not in self.case.parameters:
                letter = symbol.removesuffix("_input").removesuffix("_output")
                return f"{letter}{place + 1}" if axis else f"row {place + 1}"
        return str(place)
