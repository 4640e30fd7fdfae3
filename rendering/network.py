"""A network as a drawing: node by node with every weight where it is small, and else a box for each layer.

Only places and texts are computed here; a template writes the SVG. Each text says when it is shown: ``v`` while values
go forward, ``g`` while gradients come back, ``u`` once the weights are updated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..lesson.symbols import Symbols
from ..reference import Case, Dense, Node, Trace
from .words import shape as sizes

WIDEST, MOST_COLUMNS = 8, 6
"""How many nodes a layer, and how many layers a network, may have that is drawn node by node."""

BOX, GAP, HIGH, BETWEEN = 66.0, 92.0, 56.0, 20.0
"""Of a drawing node by node: how wide and high a node is, and what is left between columns and rows."""

LAYER_HIGH, LAYER_WIDE, LAYER_GAP = 36.0, 330.0, 14.0
"""The same of a box for a layer."""


@dataclass(frozen=True)
class Text:
    """A text and where it stands; ``when`` it is shown, always if empty."""

    x: float
    y: float
    text: str
    when: str = ""
    kind: str = ""
    anchor: str = "middle"


@dataclass(frozen=True)
class Box:
    """A node or a layer."""

    names: tuple[str, ...]
    """The nodes of the case that it stands for."""
    x: float
    y: float
    width: float
    height: float
    texts: tuple[Text, ...]


@dataclass(frozen=True)
class Edge:
    """A line between two of them; of a weight, if it has one."""

    path: str
    into: str
    tensor: str = ""
    index: str = ""
    texts: tuple[Text, ...] = ()


@dataclass(frozen=True)
class Drawing:
    """All of it, in units of its own."""

    width: float
    height: float
    title: str
    step: int
    boxes: tuple[Box, ...]
    edges: tuple[Edge, ...]
    notes: tuple[str, ...] = field(default_factory=tuple)


def draw(case: Case, trace: Trace, step: int = 0) -> Drawing:
    """The network of a case with the numbers of one step."""
    place = case.places(step)[0]
    groups = columns_of(case)
    if groups is None:
        return Layers(case, trace, step, place).drawing()
    return Neurons(case, trace, step, place, groups).drawing()


def columns_of(case: Case) -> list[list[Node]] | None:
    """The layers, each an affine map with the functions behind it, in one column; None if there are others."""
    groups: list[list[Node]] = []
    if any(after.takes != (before.name,) for before, after in pairwise(case.nodes)) or len(case.losses) > 1:
        return None
    for node in case.nodes:
        if isinstance(node.layer, Dense) and node.layer.layout == "inputs_outputs":
            groups.append([node])
        elif groups and not node.layer.parameters():
            groups[-1].append(node)
        else:
            return None
    shapes = case.shapes(case.batch(0).inputs.shape)
    flat = all(len(shape) == 2 and shape[1] <= WIDEST for shape in shapes.values())
    same = all(shapes[node.name] == shapes[group[0].name] for group in groups for node in group)
    return groups if flat and same and len(groups) < MOST_COLUMNS else None


def short(value: float) -> str:
    """A number in so few digits that it fits."""
    return f"{value + 0.0:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e3 else f"{value:.1e}"


class Neurons:
    """A drawing node by node, of the first row of the batch."""

    def __init__(self, case: Case, trace: Trace, step: int, place: str, groups: Sequence[Sequence[Node]]) -> None:
        self.case, self.trace, self.step, self.place, self.groups = case, trace, step, place, groups
        self.symbols = Symbols(case)
        self.widths = [case.batch(0).inputs.shape[1], *(trace[f"{place}/forward/{g[0].name}"].shape[1] for g in groups)]
        self.height = max(self.widths) * (HIGH + BETWEEN)

    def at(self, column: int, row: int) -> tuple[float, float]:
        """The upper left corner of a node."""
        count = self.widths[column] if column < len(self.widths) else 1
        free = self.height - count * (HIGH + BETWEEN)
        return 4 + column * (BOX + GAP), free / 2 + row * (HIGH + BETWEEN) + BETWEEN / 2

    def drawing(self) -> Drawing:
        """All boxes, and behind them all edges."""
        width = (len(self.widths) + 1) * BOX + len(self.widths) * GAP + 8
        rows = len(self.case.batch(0).inputs)
        notes = (f"row 1 of {rows}",) if rows > 1 else ()
        what = f"The network of {self.case.name}, step {self.step + 1}, with its numbers; the tables have them too."
        return Drawing(width, self.height, what, self.step, tuple(self.boxes()), tuple(self.edges()), notes)

    def value(self, phase: str, name: str, column: int) -> str:
        """One number of the first row; nothing where there is no such tensor."""
        full = f"{self.place}/data/input" if (phase, name) == ("forward", "input") else f"{self.place}/{phase}/{name}"
        known = self.trace.given if "/data/" in full else self.trace.tensors
        return short(float(known[full][0, column])) if full in known else ""

    def boxes(self) -> Iterator[Box]:
        """Inputs, nodes, the loss."""
        for row in range(self.widths[0]):
            yield self.box(0, row, ["input"], self.symbols.head("input", 1, row))
        for column, group in enumerate(self.groups, 1):
            for row in range(self.widths[column]):
                yield self.box(column, row, [node.name for node in group], self.symbols.head(group[0].name, 1, row))
        x, y = self.at(len(self.widths), 0)
        loss = short(float(np.sum(self.trace[f"{self.place}/forward/loss"])))
        texts = (Text(x + BOX / 2, y + 16, self.symbols.of("loss"), kind="name"), Text(x + BOX / 2, y + 33, loss, "v"))
        yield Box(("loss",), x, y, BOX, HIGH, (*texts, Text(x + BOX / 2, y + 33, loss, "g")))

    def box(self, column: int, row: int, names: list[str], label: str) -> Box:
        """One node: its name, and below it what comes in and what goes out."""
        x, y = self.at(column, row)
        texts = [Text(x + BOX / 2, y + 16, label, kind="name")]
        for place, name in enumerate(dict.fromkeys((names[0], names[-1]))):
            for phase, when in (("forward", "v"), ("backward", "g")):
                texts.append(Text(x + BOX / 2, y + 32 + 15 * place, self.value(phase, name, row), when))
        return Box(tuple(names), x, y, BOX, HIGH, tuple(texts))

    def edges(self) -> Iterator[Edge]:
        """A line for every weight, and one from each output to the loss."""
        for column, group in enumerate(self.groups, 1):
            name = group[0].parameters["weight"]
            for source in range(self.widths[column - 1]):
                for target in range(self.widths[column]):
                    yield self.edge(column, source, target, group[0].name, name)
        for row in range(self.widths[-1]):
            yield self.edge(len(self.widths), row, 0, "loss", "")

    def edge(self, column: int, source: int, target: int, into: str, name: str) -> Edge:
        """A straight line, its number near its start, where lines that meet in one node are apart."""
        (x1, y1), (x2, y2) = self.at(column - 1, source), self.at(column, target)
        x1, y1, y2 = x1 + BOX, y1 + HIGH / 2, y2 + HIGH / 2
        path = f"M{x1:.0f},{y1:.0f} L{x2:.0f},{y2:.0f}"
        if not name:
            return Edge(path, into)
        along = 0.3
        x, y, texts = x1 + along * (x2 - x1), y1 + along * (y2 - y1) + 3, []
        before = self.case.weights[name] if self.step == 0 else self.trace.tensors.get(f"{self.step - 1}/update/{name}")
        found = {"v": before, "g": self.trace[f"{self.step}/gradient/{name}"]}
        found["u"] = self.trace.tensors.get(f"{self.step}/update/{name}")
        for when, array in found.items():
            if array is not None:
                texts.append(Text(x, y, short(float(array[source, target])), when))
        return Edge(path, into, name, f"{source},{target}", tuple(texts))


class Layers:
    """A drawing with a box for each layer, one below the other; what skips some goes around them."""

    def __init__(self, case: Case, trace: Trace, step: int, place: str) -> None:
        self.case, self.trace, self.step, self.place = case, trace, step, place
        self.symbols = Symbols(case)
        self.order = {name: row for row, name in enumerate(["input", *(node.name for node in case.nodes)])}
        for term in case.losses:
            self.order[term.name] = len(self.order)
        self.left = 14.0 + 9 * min(max((end - start for start, end in self.skips()), default=0), 12)

    def skips(self) -> Iterator[tuple[int, int]]:
        """From where to where something goes past others."""
        for name, taken in self.takes():
            if self.order[name] - self.order[taken] > 1:
                yield self.order[taken], self.order[name]

    def takes(self) -> Iterator[tuple[str, str]]:
        """Who takes what."""
        parts = [(node.name, node.takes) for node in self.case.nodes]
        parts += [(term.name, term.takes) for term in self.case.losses]
        for name, takes in parts:
            for taken in dict.fromkeys(takes):
                yield name, taken

    def top(self, row: int) -> float:
        """Where a box begins."""
        return 4 + row * (LAYER_HIGH + LAYER_GAP)

    def drawing(self) -> Drawing:
        """All boxes and all edges."""
        what = f"The network of {self.case.name}, step {self.step + 1}: its layers, and the first number of each."
        height, width = self.top(len(self.order)), self.left + LAYER_WIDE + 6
        return Drawing(width, height, what, self.step, tuple(self.boxes()), tuple(self.edges()), ("first numbers",))

    def boxes(self) -> Iterator[Box]:
        """One for the input, for each node and each loss."""
        kinds = {"input": "", **{node.name: node.layer.kind for node in self.case.nodes}}
        kinds |= {term.name: term.loss.kind for term in self.case.losses}
        for name, row in self.order.items():
            full = f"{self.place}/data/input" if name == "input" else f"{self.place}/forward/{name}"
            array, back = self.trace[full], self.trace.tensors.get(f"{self.place}/backward/{name}")
            y, right = self.top(row), self.left + LAYER_WIDE - 8
            texts = [
                Text(self.left + 8, y + 15, self.symbols.of(name), kind="name", anchor="start"),
                Text(self.left + 8, y + 29, f"{kinds[name]} {sizes(array.shape)}", kind="kind", anchor="start"),
                Text(right, y + 22, short(float(np.ravel(array)[0])), "v", anchor="end"),
            ]
            if back is not None:
                texts.append(Text(right, y + 22, short(float(np.ravel(back)[0])), "g", anchor="end"))
            yield Box((name,), self.left, y, LAYER_WIDE, LAYER_HIGH, tuple(texts))

    def edges(self) -> Iterator[Edge]:
        """Straight down to the next, in a bow to any other."""
        for name, taken in self.takes():
            start, end = self.order[taken], self.order[name]
            if end - start == 1:
                x = self.left + LAYER_WIDE / 2
                yield Edge(f"M{x:.0f},{self.top(start) + LAYER_HIGH:.0f} L{x:.0f},{self.top(end):.0f}", name)
            else:
                y1, y2 = self.top(start) + LAYER_HIGH * 0.7, self.top(end) + LAYER_HIGH * 0.3
                out = max(self.left - 9 * min(end - start, 12) - 6, 3)
                path = f"M{self.left:.0f},{y1:.0f} C{out:.0f},{y1:.0f} {out:.0f},{y2:.0f} {self.left:.0f},{y2:.0f}"
                yield Edge(path, name)
