"""The network as lists that make a drawing: forward downwards, backward upwards beside it, a row a node; updates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..comparison.agreement import SubjectAgreement
from ..comparison.network import Blame, Network
from ..reference import Operation
from . import words

LONGEST = 18
"""So many rows are shown at once; of more, those around what is wrong and the ends."""
AROUND = 2
"""How many rows are shown on either side of what is wrong."""
GLYPHS: Mapping[Blame, str] = {"first": "✗", "wrong": "✗", "downstream": "↓", "agrees": "✓", "open": "?"}
SAID: Mapping[Blame, str] = {
    "first": "the first divergence",
    "wrong": "wrong as well",
    "downstream": "only downstream",
    "agrees": "without fault",
    "open": "not compared",
}
WRONG: frozenset[Blame] = frozenset({"first", "wrong"})


@dataclass(frozen=True)
class Box:
    """An operation in the drawing: what it is of, its kind, whether it is to blame."""

    operation: Operation
    blame: Blame
    of: str
    target: str
    """The tensor of it that is shown in the page, if any."""

    @property
    def glyph(self) -> str:
        """The sign of its blame."""
        return GLYPHS[self.blame]

    @property
    def said(self) -> str:
        """The same in words."""
        return SAID[self.blame]


@dataclass(frozen=True)
class LeftOut:
    """Rows that are not shown, and how many of their operations are wrong."""

    rows: int
    wrong: int


Row: TypeAlias = tuple[Box | None, Box | None]
Entry: TypeAlias = Box | LeftOut | None
"""What a row is in a list: nothing where it belongs to another alone."""


@dataclass(frozen=True)
class Column:
    """One of the lists, in the order of computation."""

    name: str
    entries: list[Entry]


@dataclass(frozen=True)
class Flow:
    """A step, or one micro-batch of it."""

    place: str
    boxes: list[Box]
    short: list[Column] = field(default_factory=list)
    whole: list[Column] = field(default_factory=list)
    """All of it, where that is more."""

    def count(self, blame: Blame) -> int:
        """How many operations stand so."""
        return sum(box.blame == blame for box in self.boxes)

    @property
    def diverges(self) -> bool:
        """Whether the first divergence is here."""
        return self.count("first") > 0

    @property
    def summary(self) -> str:
        """How its operations stand, in one line."""
        counts = [f"{self.count(one)} {SAID[one]}" for one in SAID if self.count(one)]
        return f"{words.place_in_words(self.place + '/')}: {', '.join(counts)}"


def flows(network: Network, subject: SubjectAgreement, targets: Mapping[str, str]) -> list[Flow]:
    """The network as a subject computed it, step by step.

    ``targets`` says of each tensor that is shown in the page where that is.
    """
    blame = network.blame(subject)
    places: dict[str, list[Box]] = {}
    for operation in network.operations:
        place, _, of = words.parts_of(operation.name)
        target = next((targets[name] for name in operation.outputs if name in targets), "")
        places.setdefault(place, []).append(Box(operation, blame[operation.name], of or operation.name, target))
    return [flow(place, boxes) for place, boxes in places.items()]


def flow(place: str, boxes: list[Box]) -> Flow:
    """One step, laid out."""
    forward = [box for box in boxes if box.operation.phase == "forward"]
    backward = [box for box in boxes if box.operation.phase == "backward"]
    updates = [box for box in boxes if box.operation.phase not in ("forward", "backward")]
    rows, ends = list(aligned(forward, backward)), [(box, None) for box in updates]
    whole = columns(rows, range(len(rows)), ends, range(len(ends)))
    if max(len(rows), len(ends)) <= LONGEST:
        return Flow(place, boxes, whole)
    return Flow(place, boxes, columns(rows, places_shown(rows), ends, places_shown(ends)), whole)


def aligned(forward: Sequence[Box], backward: Sequence[Box]) -> Iterator[Row]:
    """The rows from the input down to the loss: what belongs to the same node stands in the same one."""
    waiting = list(forward)
    for box in reversed(backward):
        of_node = next((place for place, one in enumerate(waiting) if one.of == box.of), None)
        if of_node is None or box.operation.kind == "sum":
            yield None, box
            continue
        yield from ((one, None) for one in waiting[:of_node])
        yield waiting[of_node], box
        del waiting[: of_node + 1]
    yield from ((one, None) for one in waiting)


def places_shown(rows: Sequence[Row]) -> Sequence[int]:
    """The places of the rows to show of many: around what is wrong, and the ends."""
    if len(rows) <= LONGEST:
        return range(len(rows))
    wrong = [at for at, row in enumerate(rows) if wrong_in([row])]
    first = [at for at in wrong if any(box and box.blame == "first" for box in rows[at])]
    centres = [*dict.fromkeys([*first, *wrong])][: LONGEST // (2 * AROUND + 1)]
    near = {at for centre in centres for at in range(centre - AROUND, centre + AROUND + 1)}
    ends = AROUND if centres else LONGEST // 2
    return [at for at in range(len(rows)) if at in near or at < ends or at >= len(rows) - ends]


def wrong_in(rows: Sequence[Row]) -> int:
    """How many operations of some rows are wrong."""
    return sum(box.blame in WRONG for row in rows for box in row if box)


def columns(
    rows: Sequence[Row], rows_shown: Sequence[int], ends: Sequence[Row], ends_shown: Sequence[int]
) -> list[Column]:
    """The lists that make up some rows, in the order of computation; one without a box is left out."""
    listed = [
        Column("Forward", column(rows, rows_shown, 0)),
        Column("Backward", column(rows, rows_shown, 1)[::-1]),
        Column("Update", column(ends, ends_shown, 0)),
    ]
    return [one for one in listed if any(isinstance(entry, Box) for entry in one.entries)]


def column(rows: Sequence[Row], places: Sequence[int], side: int) -> list[Entry]:
    """One side of some rows from the top, with what is left out between them."""
    entries: list[Entry] = []
    after = 0
    for at in (*places, len(rows)):
        if at > after:
            entries.append(LeftOut(at - after, wrong_in([(row[side], None) for row in rows[after:at]])))
        if at < len(rows):
            entries.append(rows[at][side])
        after = at + 1
    return entries
