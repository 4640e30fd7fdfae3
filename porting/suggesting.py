"""A map from what two models show of themselves: shapes, order, names, and numbers where they are equal already.

It is a suggestion. What it could not decide it says; what it is worth is proven when the port is compared.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import permutations
from typing import NamedTuple

import numpy as np

from ..reference import Trace
from ..reference.errors import CaseError
from ..reference.layers import Array, Shape
from .layouts import Step, as_text
from .maps import Entry, Map, Section, arrays_of, is_reserved

CERTAIN, LIKELY, CLOSE, ORDER = 10.0, 0.5, 0.05, 0.02
"""Scores: that of equal numbers; from which a pair is one; by how much the better of two must be better; how much less
that of the first and the last is."""

Layout = tuple[Step, ...]


@dataclass
class Suggestion:
    """A map, remarks on its entries by their keys, and what has no place in it."""

    map: Map
    notes: dict[str, list[str]] = field(default_factory=dict)
    unplaced: dict[Section, tuple[list[str], list[str]]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """What is to be looked at, a line each."""
        entries = {key: entry for _, key, entry in self.map.entries()}
        found = [f"{key}: {entries[key].text}: {note}" for key, notes in self.notes.items() for note in notes]
        for section, sides in self.unplaced.items():
            for side, names in zip("ab", sides, strict=True):
                if names:
                    found.append(f"{section} of {side} without a place: {', '.join(names)}")
        return [*found, *self.remarks]

    @property
    def text(self) -> str:
        """The file of the map, with the remarks."""
        told = sum(len(notes) for notes in self.notes.values())
        return self.map.text({**self.notes, "": self.lines[told:]})


class Side(NamedTuple):
    """One of the two models."""

    trace: Trace
    arrays: Mapping[str, Array]

    @property
    def is_torch(self) -> bool:
        """Whether its layouts are PyTorch's."""
        return self.trace.source == "torch"

    def kind_of(self, name: str) -> str:
        """The class of the submodule that a parameter is of."""
        return self.trace.model.kinds.get(name.rpartition(".")[0], "") if self.trace.model else ""


def suggest_map(first: Trace, second: Trace) -> Suggestion:
    """Suggest what of the first model is what of the second.

    Raises:
        CaseError: one of the traces is of a case.
    """
    for trace in (first, second):
        if trace.model is None:
            raise CaseError("two traces that record_module made", "one of a case", key="model", file=trace.source)
    ours, theirs = arrays_of(first), arrays_of(second)
    found = Suggestion(Map())
    entries: dict[Section, tuple[Entry, ...]] = {}
    for section in ("inputs", "parameters", "outputs"):
        matching = Matching(Side(first, ours[section]), Side(second, theirs[section]), section)
        entries[section] = tuple(matching.entries())
        found.unplaced[section] = (matching.left(0), matching.left(1))
        found.notes |= {f"{section}.{place}": notes for place, notes in enumerate(matching.notes()) if notes}
    found.map = Map(entries["inputs"], entries["parameters"], entries["outputs"])
    return found


# ------------------------------------------------------------------------------------------------------------ matching


class Pair(NamedTuple):
    """One of the first and one of the second that may be the same."""

    score: float
    ours: str
    theirs: str
    layouts: list[Layout]


class Matching:
    """What of one section of the first model is what of the second's."""

    def __init__(self, first: Side, second: Side, section: Section) -> None:
        self.sides = (first, second)
        self.section = section
        self.made: list[tuple[Entry, list[str]]] = []
        self.used: tuple[set[str], set[str]] = (set(), set())
        self.pairs = self.all_pairs()
        self.place(self.pairs, LIKELY)
        if section == "parameters":
            self.place_packed()
            self.place(self.pairs, -ORDER)
            self.place_sums()
        elif section == "outputs":
            self.place(self.only(), -1.0)

    def entries(self) -> list[Entry]:
        """The entries, in the order of the first model."""
        order = {name: place for place, name in enumerate(self.sides[0].arrays)}
        self.made.sort(key=lambda one: order[one[0].first[0]])
        return [entry for entry, _ in self.made]

    def notes(self) -> list[list[str]]:
        """The remarks on each."""
        return [notes for _, notes in self.made]

    def left(self, side: int) -> list[str]:
        """What has no place."""
        return [name for name in self.sides[side].arrays if name not in self.used[side]]

    def add(self, ours: Sequence[str], theirs: Sequence[str], layout: Layout, notes: Iterable[str] = ()) -> None:
        """One more entry."""
        a, b = (names[0] if len(names) == 1 else list(names) for names in (ours, theirs))
        self.made.append((Entry(a=a, b=b, layout=list(layout)), list(notes)))
        self.used[0].update(ours)
        self.used[1].update(theirs)

    def all_pairs(self) -> list[Pair]:
        """Every two whose shapes fit, the likeliest first."""
        first, second = self.sides
        found = []
        places = [{name: place / len(side.arrays) for place, name in enumerate(side.arrays)} for side in self.sides]
        for ours, array in first.arrays.items():
            for theirs, other in second.arrays.items():
                if (
                    array.size != other.size
                    or array.dtype.kind != other.dtype.kind
                    or self.differ_in_role(ours, theirs)
                ):
                    continue
                layouts = self.by_convention(ours, theirs, [*layouts_between(array.shape, other.shape)])
                if not layouts:
                    continue
                equal = [one for one in layouts if self.is_equal(array, other, one)]
                score = likeness(ours, theirs) - ORDER * abs(places[0][ours] - places[1][theirs])
                if equal and (self.section != "outputs" or np.ptp(array) > 0) and is_telling(array):
                    score, layouts = score + CERTAIN, equal
                if is_reserved(ours) and ours == theirs:
                    score += CERTAIN
                found.append(Pair(score, ours, theirs, layouts))
        return sorted(found, key=lambda pair: -pair.score)

    def differ_in_role(self, ours: str, theirs: str) -> bool:
        """Whether one is trained and the other is not, or only one is the model's own input, output or loss."""
        if self.section == "parameters":
            one, other = (
                f"0/state/{name}" in side.trace.tensors for side, name in zip(self.sides, (ours, theirs), strict=True)
            )
            return one != other
        return (is_reserved(ours) or is_reserved(theirs)) and ours != theirs and self.section == "inputs"

    def is_equal(self, array: Array, other: Array, layout: Layout) -> bool:
        """Whether the numbers are the same in a layout; those of outputs, but for rounding."""
        made = Entry(a="a", b="b", layout=list(layout)).of([array])[0]
        if self.section != "outputs" or array.dtype.kind != "f":
            return bool(np.array_equal(made, other))
        with np.errstate(all="ignore"):
            return bool(np.max(np.abs(made - other), initial=0) <= 1e-5 * np.max(np.abs(other), initial=0))

    def place(self, pairs: Sequence[Pair], least: float) -> None:
        """Place the likeliest pairs, as long as both are free."""
        for pair in pairs:
            if pair.score < least or pair.ours in self.used[0] or pair.theirs in self.used[1]:
                continue
            rivals = [
                other.theirs if other.ours == pair.ours else other.ours
                for other in pairs
                if other is not pair
                and (other.ours == pair.ours) != (other.theirs == pair.theirs)
                and other.ours not in self.used[0] - {pair.ours}
                and other.theirs not in self.used[1] - {pair.theirs}
                and pair.score - other.score < CLOSE
            ]
            notes = [f"as likely: {name}" for name in dict.fromkeys(rivals[:4])]
            if others := [as_text(one) or "as it is" for one in pair.layouts[1:]]:
                notes.append(f"by its shape alone it could be: {'; '.join(others)}")
            self.add([pair.ours], [pair.theirs], pair.layouts[0], notes if self.section != "outputs" else ())

    def only(self) -> list[Pair]:
        """The pairs of which neither could be in another."""
        free = [pair for pair in self.pairs if pair.ours not in self.used[0] and pair.theirs not in self.used[1]]
        seen = Counter([*((0, pair.ours) for pair in free), *((1, pair.theirs) for pair in free)])
        return [pair for pair in free if seen[0, pair.ours] == seen[1, pair.theirs] == 1]

    # ----------------------------------------------------------------------------------------------- several for one

    def place_packed(self) -> None:
        """What one model keeps in one parameter and the other in several: queries, keys and values; gates."""
        for whole, parts in ((0, 1), (1, 0)):
            for name in self.left(whole):
                found = next(self.packed(name, whole, parts), None)
                if found is not None:
                    self.add(*found)

    def packed(self, name: str, whole: int, parts: int) -> Iterator[tuple[list[str], list[str], Layout, list[str]]]:
        """The ways in which one parameter may be several of the other model's."""
        array = self.sides[whole].arrays[name]
        groups = [*siblings(self.left(parts))]
        groups.sort(key=lambda group: -max(likeness(name, one) for one in group))
        for group in groups:
            others = [self.sides[parts].arrays[one] for one in group]
            shape = others[0].shape
            if array.size != len(group) * others[0].size or {other.shape for other in others} != {shape}:
                continue
            for axis in range(array.ndim):
                if array.shape[axis] % len(group):
                    continue
                part = (*array.shape[:axis], array.shape[axis] // len(group), *array.shape[axis + 1 :])
                pair = (name, group[0]) if whole == 0 else (group[0], name)
                one, other = (part, shape) if whole == 0 else (shape, part)
                layouts = self.by_convention(*pair, [*layouts_between(one, other)])
                if layouts:
                    note = ["the order of the parts is that of their names"]
                    if whole == 0:
                        yield [name], group, (Step(split=axis), *layouts[0]), note
                    else:
                        yield group, [name], (*layouts[0], Step(concatenate=axis)), note

    def place_sums(self) -> None:
        """The two biases of a recurrent layer of PyTorch's, of which others have one: they add up to it."""
        for name in self.left(0):
            one, other = ("bias_ih", "bias_hh") if "bias_ih" in name else ("bias_hh", "bias_ih")
            partner = name.replace(one, other)
            for place, (entry, notes) in enumerate(self.made):
                if partner != name and entry.first == [partner]:
                    del self.made[place]
                    kept = [note for note in notes if name not in note]
                    both = sorted([partner, name], reverse=True)
                    self.add(
                        both, entry.second, (Step(sum=True), *entry.layout), [*kept, "two that add up learn twice"]
                    )
                    break

    def by_convention(self, ours: str, theirs: str, layouts: list[Layout]) -> list[Layout]:
        """The layouts that fit, first the one that such a parameter, or such an output, has by convention."""
        first, second = self.sides
        if first.is_torch == second.is_torch or not layouts:
            return layouts
        if self.section == "parameters":
            kind = first.kind_of(ours) if first.is_torch else second.kind_of(theirs)
            if "Embedding" in kind or not re.search("Linear|Conv|LSTM|GRU|RNN|Attention", kind):
                return layouts
        axes = [self.conventional(first.arrays[ours].ndim)]
        if (first.arrays[ours].ndim, second.arrays[theirs].ndim) == (
            3,
            2,
        ):  # heads: (I, H, D), and (H, D, O) behind them
            axes = [[1, 2, 0], [2, 0, 1]]
        return sorted(layouts, key=lambda layout: not any(step.transpose in axes for step in layout))

    def conventional(self, rank: int) -> list[int]:
        """The axes that make a tensor of one framework one of the other: OIHW to HWIO, NCHW to NHWC, or back."""
        to_jax = self.sides[0].is_torch
        space = list(range(2, rank))
        if self.section == "parameters":
            return [*space, 1, 0] if to_jax else [rank - 1, rank - 2, *range(rank - 2)]
        return [0, *space, 1] if to_jax else [0, rank - 1, *range(1, rank - 1)]


def is_telling(array: Array) -> bool:
    """Whether equal numbers say something: not where they are all one number."""
    return array.size > 1 and bool(np.any(array != array.reshape(-1)[0]))


def layouts_between(ours: Shape, theirs: Shape) -> Iterator[Layout]:
    """The layouts that make one shape another: as it is, axes exchanged, axes parted or joined (heads)."""
    if ours == theirs:
        yield ()
    if len(ours) > 5:
        return
    seen: set[tuple[int, ...]] = set()
    for axes in permutations(range(len(ours))):
        shape = tuple(ours[axis] for axis in axes)
        step = () if list(axes) == sorted(axes) else (Step(transpose=list(axes)),)
        long = tuple(axis for axis in axes if ours[axis] > 1)
        if shape == theirs and step and long not in seen and list(long) != sorted(long):
            yield step
        elif shape != theirs and joins(shape, theirs) and long not in seen:
            yield (*step, Step(reshape=list(theirs)))
        seen.add(long)


def joins(one: Shape, other: Shape) -> bool:
    """Whether one shape is the other with neighbouring axes joined, or parted."""
    ends = [set(np.cumprod([size for size in shape if size > 1]).tolist()) for shape in (one, other)]
    return np.prod(one) == np.prod(other) and (ends[0] <= ends[1] or ends[1] <= ends[0])


# --------------------------------------------------------------------------------------------------------------- names

WORDS = {
    **dict.fromkeys(("kernel", "w", "scale", "gamma", "embedding"), "weight"),
    **dict.fromkeys(("b", "beta", "offset"), "bias"),
    **dict.fromkeys(("q", "queries"), "query"),
    **dict.fromkeys(("k", "keys"), "key"),
    **dict.fromkeys(("v", "values"), "value"),
    **dict.fromkeys(("o", "output"), "out"),
    **dict.fromkeys(("ln", "layernorm", "batchnorm", "bn"), "norm"),
    **dict.fromkeys(("layers", "blocks", "block", "h"), "layer"),
    **dict.fromkeys(("attn", "mha", "attention"), "attention"),
    **dict.fromkeys(("emb", "embed", "wte"), "embed"),
    "fc": "linear",
    "dense": "linear",
}
"""What frameworks and people call alike."""
SILENT = frozenset({"proj", "running", "module"})
"""What adds nothing to a name."""
RANKS = {
    word: rank
    for rank, word in enumerate("query key value ii if ig io hi hf hg ho ir iz in hr hz hn i f g o r z n".split())
}
"""In which order the parts of a packed parameter come."""


def words_of(name: str) -> list[str]:
    """A name as words that people and frameworks have in common.

    >>> words_of("encoder.layers.0.attn.q_proj.weight"), words_of("conv1.kernel")
    (['encoder', 'layer', '0', 'attention', 'query', 'weight'], ['conv', '1', 'weight'])
    """
    parts = re.findall("[a-z]+|[0-9]+", re.sub("([a-z])([A-Z])", r"\1_\2", name).lower())
    return [WORDS.get(part, part) for part in parts if part not in SILENT]


def likeness(ours: str, theirs: str) -> float:
    """How alike two names are: 1 for those of the same words; the last, as weight or bias, must not differ."""
    one, other = words_of(ours), words_of(theirs)
    ratio = SequenceMatcher(None, one, other, autojunk=False).ratio()
    letters = SequenceMatcher(None, " ".join(one), " ".join(other), autojunk=False).ratio()
    roles = {"weight", "bias", "mean", "var"}
    against = 0.5 if {*one} & roles and {*other} & roles and not {*one} & {*other} & roles else 0.0
    return 0.7 * ratio + 0.3 * letters - against


def siblings(names: Iterable[str]) -> Iterator[list[str]]:
    """Names that differ in one part alone, two to four of them, in the order in which they are packed."""
    names = list(names)
    groups: dict[tuple[str, ...], list[str]] = {}
    for name in names:
        parts = name.split(".")
        for place, part in enumerate(parts):
            lead = part[0] if len(part.strip("_")) == 2 else ""
            groups.setdefault((*parts[:place], f"*{lead}", *parts[place + 1 :]), []).append(name)
        for match in re.finditer("[a-z]+", parts[-1]):
            key = (*parts[:-1], parts[-1][: match.start()] + "*" + parts[-1][match.end() :])
            groups.setdefault(key, []).append(name)
    for key, group in groups.items():
        if 2 <= len(group) <= 4 and len({*group}) == len(group):
            star = next(place for place, part in enumerate(key) if "*" in part)
            yield sorted(group, key=lambda name: rank_of(name.split(".")[star], names.index(name)))


def rank_of(part: str, place: int) -> tuple[int, int]:
    """A key that sorts the parts of a packed parameter."""
    ranks = [
        RANKS[WORDS.get(word, word)] for word in re.findall("[a-z]+", part.lower()) if WORDS.get(word, word) in RANKS
    ]
    return (ranks[0] if ranks else len(RANKS)), place
