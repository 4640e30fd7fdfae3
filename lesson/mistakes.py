"""What if it were wrong: every mistake that the case allows, what it changes, and how the checker names it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import NamedTuple

import numpy as np

from ..comparison.compare import Comparison
from ..comparison.running import run
from ..comparison.tolerance import Computed
from ..comparison.trials import apart, first
from ..faults import FAULTS, Fault, Mistake, faults_of
from ..faults.base import done
from ..reference import Case, Operation, Trace
from ..reference.layers import Array
from .excerpts import FEW
from .lesson import Card, Change, Option, Question, Story
from .source import mistake_of
from .symbols import Symbols

FEW_TENSORS = 1_000
"""Up to how many elements a case has in all, every site of a mistake is tried; beyond, the first of each."""

MOST_WORK = 100_000
"""How many elements may be compared in all, once for each mistake, so that the checker is asked."""

MOST_OPTIONS = 4

Wrong = dict[str, Array | None]
"""The tensors that a mistake changes; None where the shape is another."""


class Faulty(NamedTuple):
    """A run with a mistake, and the tensors that are others in it."""

    fault: Fault
    trace: Trace
    changed: Sequence[str]


@dataclass
class Mistakes:
    """The mistakes of one case, each run once."""

    case: Case
    right: Trace
    faults: list[Fault] = field(init=False)

    def __post_init__(self) -> None:
        every = faults_of(self.case)
        self.faults = every if self.elements <= FEW_TENSORS else first(every, 1)

    @property
    def elements(self) -> int:
        """How many numbers a run computes."""
        return sum(int(np.size(array)) for array in self.right.tensors.values())

    @cached_property
    def runs(self) -> list[Faulty]:
        """Every run that a mistake makes different."""
        runs = ((fault, run(self.case, fault.start, str(fault))) for fault in self.faults)
        every = (Faulty(fault, trace, self.changed(trace)) for fault, trace in runs)
        return [one for one in every if one.changed]

    @property
    def hidden(self) -> list[Fault]:
        """The mistakes that this case cannot show."""
        seen = {id(one.fault) for one in self.runs}
        return [fault for fault in self.faults if id(fault) not in seen]

    def changed(self, trace: Trace) -> list[str]:
        """The tensors that are others, by more than rounding."""
        return [name for name in self.right if apart(self.right[name], trace.tensors.get(name))]

    @property
    def asked(self) -> int:
        """Of how many mistakes the checker is asked the cause."""
        return MOST_WORK // max(self.elements, 1)

    def stories(self) -> Iterator[Story]:
        """Every mistake that shows."""
        comparison, symbols = Comparison(self.right, Computed()), Symbols(self.case)
        makers = {name: operation for operation in self.right.operations for name in operation.outputs}
        marks = {str(one.fault): self.marks(one) for one in self.runs}
        for place, one in enumerate(self.runs):
            fault = one.fault
            asked = comparison.of(one.trace).diagnosis if place < self.asked else None
            yield Story(
                name=fault.name,
                site=fault.site,
                about=fault.about,
                only_where=fault.only_where,
                code=mistake_of(FAULTS[fault.name], stop=Mistake),
                changes=tuple(self.changes(one, makers, symbols)),
                total=len(self.right),
                diagnosis=asked,
                alike=tuple(alike(str(fault), marks)),
            )

    def changes(self, wrong: Faulty, makers: Mapping[str, Operation], symbols: Symbols) -> Iterator[Change]:
        """The tensors that a mistake changes: where it is made, and what lies behind."""
        for name in wrong.changed:
            other, right = wrong.trace.tensors.get(name), self.right[name]
            same_shape = other is not None and np.shape(other) == np.shape(right)
            with np.errstate(all="ignore"):
                by = float(np.max(np.abs(np.asarray(other, float) - right))) if same_shape else None
            state = "origin" if wrong.fault.makes(makers[name]) else "downstream"
            yield Change(name, symbols.tensor(name), done(makers[name]).of, state, by)  # type: ignore[arg-type]

    def marks(self, wrong: Faulty) -> dict[str, str]:
        """What each tensor that is changed has become, as a mark that equal ones have in common."""
        marks = {}
        for name in wrong.changed:
            array = np.asarray(wrong.trace.tensors[name], float)
            scale = 10.0 ** np.ceil(np.log10(max(float(np.nanmax(np.abs(array), initial=0)), 1e-300)))
            digits = np.round(array / scale, 9) + 0.0
            marks[name] = sha256(digits.tobytes() + str(array.shape).encode()).hexdigest()
        return marks

    def hook(self, name: str) -> Question | None:
        """What a mistake makes of a tensor beside what it is, where both begin with the same number."""
        for fault, trace, changed in self.runs:
            for tensor in changed if fault.name == name else ():
                right, wrong = self.right[tensor].ravel(), np.asarray(trace.tensors[tensor]).ravel()
                if right.size > 1 and right.shape == wrong.shape:
                    both = (tuple(map(float, wrong[:FEW])), fault), (tuple(map(float, right[:FEW])), None)
                    options = (Option(shown, f.name if f else "", f.about if f else "") for shown, f in both)
                    alike = rounded(both[0][0])[0] == rounded(both[1][0])[0]
                    return Question(Symbols(self.case).tensor(tensor), "", tuple(options)) if alike else None
        return None

    def question(self, card: Card) -> Question | None:
        """What comes out of a card, to be told from what the mistakes at that place make of it."""
        if card.step or card.phase not in ("backward", "update"):
            return None
        operation = next(one for one in self.right.operations if one.name == card.operation)
        concerned = [
            (fault, trace)
            for fault, trace, changed in self.runs
            if fault.makes(operation) and not any(name in changed for name in operation.inputs)
        ]
        for made in sorted(card.makes, key=lambda made: made.excerpt.name != card.lit[0]):
            name, row = made.excerpt.name, 0
            rows = [place for place, indices in enumerate(made.excerpt.indices) if card.lit[1] in indices]
            row = rows[0] if rows and name == card.lit[0] else 0
            indices = made.excerpt.indices[row][:FEW]
            right = numbers(self.right[name], indices)
            options = {rounded(right): Option(right, "", "")}
            for fault, trace in reversed(concerned):  # those of this kind of layer before those of any
                other = trace.tensors.get(name)
                if other is not None and np.shape(other) == made.excerpt.shape and len(options) < MOST_OPTIONS:
                    wrong = numbers(other, indices)
                    options.setdefault(rounded(wrong), Option(wrong, fault.name, fault.about))
            if len(options) > 1:
                ordered = sorted(options.values(), key=lambda option: sha256(repr(option.numbers).encode()).digest())
                head = made.excerpt.rows[row]
                return Question(made.excerpt.symbol, f"row {head}" if head else "", tuple(ordered))
        return None


def numbers(array: Array, indices: Sequence[tuple[int, ...]]) -> tuple[float, ...]:
    """Some numbers of a tensor."""
    return tuple(float(np.asarray(array)[index]) for index in indices)


def rounded(values: tuple[float, ...]) -> tuple[str, ...]:
    """Numbers as far as they can be told apart when they are read."""
    return tuple(f"{value + 0.0:.6g}" for value in values)


def alike(label: str, marks: Mapping[str, Mapping[str, str]]) -> list[tuple[str, int]]:
    """The mistakes that leave at least half as many of the same wrong tensors, the most alike first."""
    own = marks[label]
    shared = {
        other: sum(own.get(name) == mark for name, mark in theirs.items())
        for other, theirs in marks.items()
        if other != label
    }
    similar = [(other, count) for other, count in shared.items() if 2 * count >= len(own)]
    same_kind = label.partition(" ")[0]
    return sorted(similar, key=lambda pair: (-pair[1], pair[0].partition(" ")[0] == same_kind))[:3]


def visibility(mistakes: Sequence[Mistakes]) -> dict[str, dict[str, bool | None]]:
    """Which mistake shows in which of some cases; None where it cannot happen."""
    matrix: dict[str, dict[str, bool | None]] = {}
    names = {fault.name for one in mistakes for fault in one.faults}
    for name in (known for known in FAULTS if known in names):
        matrix[name] = {}
        for one in mistakes:
            possible = any(fault.name == name for fault in one.faults)
            shown = any(wrong.fault.name == name for wrong in one.runs)
            matrix[name][one.case.name] = shown if possible else None
    return matrix
