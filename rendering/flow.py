"""The network as lists that make a drawing: forward downwards, backward upwards beside it, a row a node; updates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..comparison.agreement import SubjectAgreement
from ..comparison.network import Network, Standing
from ..reference import Operation
from . import words

LONGEST = 18
"""So many rows are shown at once; of more, those around what is wrong and the ends."""
AROUND = 2
"""How many rows are shown on either side of what is wrong."""
GLYPHS: Mapping[Standing, str] = {"first": "✗", "wrong": "✗", "downstream": "↓", "agrees": "✓", "open": "?"}
SAID: Mapping[Standing, str] = {
    "first": "the first divergence",
    "wrong": "wrong as well",
    "downstream": "only downstream",
    "agrees": "without fault",
    "open": "not compared",
}
WRONG: frozenset[Standing] = frozenset({"first", "wrong"})


@dataclass(frozen=True)
class Box:
    """An operation in the drawing: what it is of, its kind, how it stands."""

    operation: Operation
    standing: Standing
    of: str
    target: str
    """The tensor of it that is shown in the page, if any."""

    @property
    def glyph(self) -> str:
        """The sign of its standing."""
        return GLYPHS[self.standing]

    @property
    def said(self) -> str:
        """Its standing in words."""
        return SAID[self.standing]


Row = tuple[Box | None, Box | None]


@dataclass(frozen=True)
class Column:
    """One of the lists: boxes in the order of computation, ``None`` where the row belongs to another, or a number of
    rows that are left out here.
    """

    name: str
    entries: list[Box | int | None]


@dataclass(frozen=True)
class Flow:
    """A step, or one micro-batch of it."""

    place: str
    boxes: list[Box]
    short: list[Column] = field(default_factory=list)
    whole: list[Column] = field(default_factory=list)
    """All of it, where that is more."""

    def count(self, standing: Standing) -> int:
        """How many operations stand so."""
        return sum(box.standing == standing for box in self.boxes)

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
    standing = network.standing(subject)
    places: dict[str, list[Box]] = {}
    for operation in network.operations:
        place, _, of = words.parts_of(operation.name)
        target = next((targets[name] for name in operation.outputs if name in targets), "")
        places.setdefault(place, []).append(Box(operation, standing[operation.name], of or operation.name, target))
    return [flow(place, boxes) for place, boxes in places.items()]


def flow(place: str, boxes: list[Box]) -> Flow:
    """One step, laid out."""
    forward = [box for box in boxes if box.operation.phase == "forward"]
    backward = [box for box in boxes if box.operation.phase == "backward"]
    updates = [box for box in boxes if box.operation.phase not in ("forward", "backward")]
    rows = list(aligned(forward, backward))
    ends = [(box, None) for box in updates]
    whole = columns(list(enumerate(rows)), list(enumerate(ends)), len(rows), len(ends))
    if max(len(rows), len(ends)) <= LONGEST:
        return Flow(place, boxes, whole)
    return Flow(place, boxes, columns(folded(rows), folded(ends), len(rows), len(ends)), whole)


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


def folded(rows: Sequence[Row]) -> list[tuple[int, Row]]:
    """The rows to show, with their places: around what is wrong, and the ends."""
    if len(rows) <= LONGEST:
        return list(enumerate(rows))
    wrong = [at for at, row in enumerate(rows) if any(box and box.standing in WRONG for box in row)]
    first = [at for at, row in enumerate(rows) if any(box and box.standing == "first" for box in row)]
    centres = [*first, *wrong][: LONGEST // (2 * AROUND + 1)]
    near = {at for centre in centres for at in range(centre - AROUND, centre + AROUND + 1)}
    ends = AROUND if centres else LONGEST // 2
    shown = near | {*range(ends), *range(len(rows) - ends, len(rows))}
    return [(at, row) for at, row in enumerate(rows) if at in shown]


def columns(
    rows: Sequence[tuple[int, Row]], ends: Sequence[tuple[int, Row]], all_rows: int, all_ends: int
) -> list[Column]:
    """The lists that make up some rows, in the order of computation; one without a box is left out."""
    listed = [
        Column("Forward", column(rows, 0, all_rows)),
        Column("Backward", column(rows, 1, all_rows)[::-1]),
        Column("Update", column(ends, 0, all_ends)),
    ]
    return [one for one in listed if any(isinstance(entry, Box) for entry in one.entries)]


def column(rows: Sequence[tuple[int, Row]], side: int, total: int) -> list[Box | int | None]:
    """One side of some rows from the top, with the number of those left out where some are."""
    entries: list[Box | int | None] = []
    after = 0
    for at, row in rows:
        if at > after:
            entries.append(at - after)
        entries.append(row[side])
        after = at + 1
    return [*entries, total - after] if total > after else entries
