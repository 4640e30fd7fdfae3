"""What a lesson is made of: the pieces of a training step with their numbers, and what everyone else makes of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Literal, NamedTuple, TypeAlias

from ..comparison.agreement import Diagnosis
from ..reference import Case, Trace
from ..reference.layers import Array, Shape
from .source import Code
from .symbols import Name

Phase: TypeAlias = Literal["forward", "loss", "backward", "sum", "clipped", "update"]
State: TypeAlias = Literal["origin", "downstream"]


@dataclass(frozen=True)
class Excerpt:
    """A tensor, or as much of it as is shown: a table of numbers with the index of each in the tensor."""

    name: str
    symbol: Name
    shape: Shape
    values: Array
    """Two axes, whatever the tensor has."""
    indices: tuple[tuple[Shape, ...], ...]
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    part: str = ""
    """Which part is shown; empty where it is all."""

    def cells(self) -> list[tuple[Shape, float]]:
        """The elements that are shown, row after row."""
        return [
            (index, float(value))
            for indices, row in zip(self.indices, self.values, strict=True)
            for index, value in zip(indices, row, strict=True)
        ]


class Theirs(NamedTuple):
    """What a framework has for a tensor: the same elements, and how far the whole of it is from the reference."""

    values: Array | None
    """None where it never computes it."""
    verdict: str
    sigmas: float | None
    """End to end, in expected rounding errors."""
    equal: bool
    """In every digit."""


@dataclass(frozen=True)
class Term:
    """A product of named numbers."""

    factors: tuple[tuple[Name, float], ...]

    @property
    def product(self) -> float:
        """Its value."""
        made = 1.0
        for _, value in self.factors:
            made *= value
        return made


@dataclass(frozen=True)
class Opening:
    """One element opened: a sum of products, or in words what it is computed from."""

    left: Name
    terms: tuple[Term, ...]
    value: float
    words: str = ""


@dataclass(frozen=True)
class Made:
    """A tensor that a card makes."""

    excerpt: Excerpt
    theirs: Mapping[str, Theirs] = field(default_factory=dict)
    openings: Mapping[Shape, Opening] = field(default_factory=dict)


class Seen(NamedTuple):
    """An array inside a framework: which tensor of the case it is, if it is any, and whether it lies the other way."""

    shape: Shape
    symbol: Name | None
    tensor: str
    transposed: bool
    few: tuple[float, ...]
    """Its numbers, where they are few."""


class Stage(NamedTuple):
    """One operation of a framework."""

    name: str
    takes: tuple[Seen, ...]
    gives: tuple[Seen, ...]
    keeps: tuple[Seen, ...]


class Option(NamedTuple):
    """One answer: right where it names no mistake."""

    numbers: tuple[float, ...]
    mistake: str
    why: str


@dataclass(frozen=True)
class Question:
    """What to predict before it is shown. ``of`` is the tensor, ``part`` which of its numbers are asked for."""

    of: Name
    part: str
    options: tuple[Option, ...]

    @property
    def answer(self) -> int:
        """The place of the right option."""
        return next(place for place, option in enumerate(self.options) if not option.mistake)


@dataclass(frozen=True)
class Card:
    """One operation of the training step: the same step as five rows tell it."""

    operation: str
    step: int
    place: str
    phase: Phase
    of: str
    """The node, value or parameter."""
    title: str
    thing: Any
    """The layer, loss, optimizer or clipping, from whose class the formula is read; None for a sum."""
    letters: Mapping[str, Name]
    """The letters of that formula, as the case calls them."""
    code: Code
    reads: tuple[Excerpt, ...]
    makes: tuple[Made, ...]
    lit: tuple[str, Shape]
    """The element that is followed: the tensor and the index."""
    stages: Mapping[str, tuple[Stage, ...]] = field(default_factory=dict)
    scopes: Mapping[str, str] = field(default_factory=dict)
    """How a framework calls the backward of this node."""
    writes: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """What a framework writes down in the forward for the way back."""
    update: Mapping[str, Sequence[str]] = field(default_factory=dict)
    question: Question | None = None
    notes: tuple[str, ...] = ()


class Passing(NamedTuple):
    """An element that the followed number goes into, at the card of an operation."""

    operation: str
    name: str
    value: float


class Gain(NamedTuple):
    """A factor that the followed number gains on one path, at the card of an operation."""

    operation: str
    factor: Name
    value: float
    along: float
    """The product so far."""
    reached: Name
    total: float
    """The gradient of what is reached, over all paths."""


@dataclass(frozen=True)
class Followed:
    """One number that is followed all the way."""

    tensor: str
    """The parameter."""
    index: Shape
    name: str
    before: float
    gradient: float
    after: float | None
    elements: tuple[tuple[str, Shape], ...] = ()
    """The elements that it passes on its strongest path, by the names of nodes."""
    passings: tuple[Passing, ...] = ()
    gains: tuple[Gain, ...] = ()
    paths: int = 0


@dataclass(frozen=True)
class Unfolded:
    """The gradient of one element of a parameter: its paths, the largest first, as products of named derivatives."""

    element: Name
    tensor: str
    index: Shape
    paths: tuple[Term, ...]
    count: int
    """How many there are; more than are listed where they are many."""
    rest: float
    """What those that are not listed add up to."""
    gradient: float


class Keeps(NamedTuple):
    """What a framework keeps of one node's forward for its backward."""

    of: str
    title: str
    frameworks: Mapping[str, tuple[Seen, ...]]


class Grid(NamedTuple):
    """A small table of numbers."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[float, ...]], ...]


@dataclass(frozen=True)
class Piece:
    """One short lesson: some sentences, a formula in the form of code, tables, lines of code, a drawing."""

    title: str
    text: tuple[str, ...]
    formulas: tuple[str, ...] = ()
    grids: tuple[Grid, ...] = ()
    code: Code | None = None
    curve: tuple[tuple[float, float], ...] = ()
    """Places and heights of a path down a curve."""
    circuit: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """By its name, the value of each number of a circuit and the gradient at it."""
    theirs: Mapping[str, tuple[Theirs, ...]] = field(default_factory=dict)
    """What each framework has for the tensors of the tables."""


class Change(NamedTuple):
    """A tensor that a mistake changes."""

    name: str
    symbol: Name
    node: str
    state: State
    apart: float | None
    """The largest difference; None where the shape is another."""


@dataclass(frozen=True)
class Story:
    """One mistake on the case: what is written, what it changes, how the checker names it, what it looks like."""

    name: str
    site: str
    about: str
    only_where: str
    code: Code
    changes: tuple[Change, ...]
    total: int
    diagnosis: tuple[Diagnosis, ...] | None
    """None where the checker was not asked."""
    alike: tuple[tuple[str, int], ...] = ()
    """Mistakes that leave the same wrong tensors elsewhere, and how many."""

    @property
    def label(self) -> str:
        """The mistake and its place."""
        return f"{self.name} at {self.site}" if self.site else self.name


@dataclass(frozen=True)
class Framework:
    """A framework as the lesson has it."""

    name: str
    version: str = ""
    reason: str = ""
    """Why there is nothing of it; empty where there is."""
    verdict: str = ""
    optimizer: str = ""


def called_in_print(framework: str) -> str:
    """A framework as its users call it."""
    return {"torch": "PyTorch", "jax": "JAX", "jax.eager": "JAX, eager"}.get(framework, framework)


class BothWays(NamedTuple):
    """Some numbers of a tensor as they are, and as they are where each weight is updated at once."""

    symbol: Name
    part: str
    """Which row is shown; empty where there is but one."""
    first: tuple[float, ...]
    at_once: tuple[float, ...]
    apart: float
    """The largest difference of all its elements."""


@dataclass(frozen=True)
class Switch:
    """The first step both ways: all gradients first, and each weight updated as soon as its gradient is there."""

    about: str
    code: Code
    rows: tuple[BothWays, ...]
    loss: tuple[float, float]
    """After the step, both ways."""
    note: str = ""
    """Where it has happened."""


class Stop(NamedTuple):
    """One stop of the steps: a card, what is kept for the backward, both ways of the update, or what a text adds."""

    kind: Literal["card", "keeps", "switch", "piece"]
    title: str
    phase: Phase
    step: int
    what: Any


@dataclass(frozen=True)
class Lesson:
    """All of it."""

    case: Case
    trace: Trace
    frameworks: tuple[Framework, ...]
    cards: tuple[Card, ...]
    followed: Followed | None
    unfolded: tuple[Unfolded, ...]
    keeps: tuple[Keeps, ...]
    stories: tuple[Story, ...]
    matrix: Mapping[str, Mapping[str, bool | None]]
    """By mistake and by case: whether it shows there; None where it cannot happen."""
    switch: Switch | None = None
    """None where updating at once changes nothing."""
    hook: Question | None = None
    """Two results of one backward pass, one of them wrong."""
    pieces: Mapping[str, Sequence[Piece]] = field(default_factory=dict)
    """What the text that the case is from adds: ``part one``, and to the sections ``loss``, ``batch``."""
    left_out: tuple[str, ...] = ()
    """What is not shown, and why."""

    def story(self, name: str) -> Story | None:
        """The first story of a mistake."""
        return next((story for story in self.stories if story.name == name), None)

    def stops(self) -> Iterator[Stop]:
        """The cards in order; what is kept before the first loss, what the text says of it, both ways of the update."""
        seen: set[Phase] = set()
        for card, after in zip_longest(self.cards, self.cards[1:]):
            if card.phase not in seen and card.phase == "loss" and self.keeps:
                yield Stop("keeps", "What must be kept?", "forward", card.step, self.keeps)
            if card.phase not in seen and card.phase == "update" and self.switch:
                yield Stop("switch", "All gradients first, then the weights", "update", card.step, self.switch)
            yield Stop("card", card.title, card.phase, card.step, card)
            if card.phase == "loss" and "backward" not in seen and after and after.phase == "backward":
                yield from self.added("loss", card)
            seen.add(card.phase)

    def added(self, section: Phase, card: Card) -> Iterator[Stop]:
        """What the text adds to a section."""
        for piece in self.pieces.get(section, ()):
            yield Stop("piece", piece.title, section, card.step, piece)
