"""The cards of a case: one for each operation of the training step, in the order in which they are done."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..adapters.inside import Inside, Passed
from ..comparison.agreement import SubjectAgreement
from ..faults.base import done
from ..reference import Case, Node, Operation, Trace
from ..reference import Term as LossTerm
from ..reference.layers import Shape
from ..reference.step import Training, target_name
from .excerpts import Known, at, excerpt, recognised
from .lesson import Card, Excerpt, Followed, Keeps, Made, Phase, Seen, Stage, Theirs
from .openings import opened
from .source import Code, code_of
from .symbols import Name, Symbols
from .unfolding import Derivatives

MOST_CARDS = 120
"""How many operations are shown at most."""


@dataclass(frozen=True)
class Subject:
    """What one framework computed, what the comparison says of it, and what it does inside."""

    trace: Trace
    agreement: SubjectAgreement
    inside: Inside


@dataclass
class Deck:
    """What makes the cards of one case."""

    case: Case
    trace: Trace
    subjects: Mapping[str, Subject]
    derivatives: Derivatives | None
    followed: Followed | None
    symbols: Symbols = field(init=False)

    def __post_init__(self) -> None:
        self.symbols = Symbols(self.case)
        self.nodes = {node.name: node for node in self.case.nodes}
        self.losses = {term.name: term for term in self.case.losses}
        self.verdicts = {
            name: {tensor.name: tensor for tensor in subject.agreement.tensors}
            for name, subject in self.subjects.items()
        }

    def cards(self) -> Iterator[Card]:
        """A card for each operation, as far as they are shown."""
        for operation in self.trace.operations[: shown_of(self.trace)]:
            yield self.card(operation)

    def card(self, operation: Operation) -> Card:
        """The card of one operation."""
        step, what, of = done(operation)
        place, first = operation.name.partition("/")[0], self.case.places(0)[0]
        phase: Phase = "loss" if what == "forward" and of in (*self.losses, "loss") else what  # type: ignore[assignment]
        thing, letters, code = self.described(phase, operation.kind, of)
        makes = tuple(self.made(name, place == "0") for name in operation.outputs)
        stages: dict[str, tuple[Stage, ...]] = {}
        update: dict[str, tuple[str, ...]] = {}
        back = phase == "backward"
        for name, subject in self.subjects.items():
            if place == first and phase in ("forward", "loss", "backward"):
                passed = (subject.inside.backward if back else subject.inside.forward).get(of, ())
                stages[name] = tuple(self.stage(operation, subject, one) for one in passed)
            if phase == "update" and step == 0 and of == self.case.trained[0]:
                update[name] = subject.inside.update
        return Card(
            operation=operation.name,
            step=step,
            place=place,
            phase=phase,
            of=of,
            title=self.title(phase, of),
            thing=thing,
            letters=letters,
            code=code,
            reads=tuple(self.excerpt(name) for name in operation.inputs),
            makes=makes,
            lit=self.lit(operation, makes),
            stages=stages,
            scopes={name: subject.inside.scope.format(of) for name, subject in self.subjects.items() if back},
            writes={
                name: tuple(passed.name for passed in reversed(subject.inside.backward.get(of, ())))
                for name, subject in self.subjects.items()
                if place == first and not back
            },
            update=update,
        )

    def title(self, phase: Phase, of: str) -> str:
        """What is done to what, in a few words."""
        symbol = self.symbols.of(of)
        if phase in ("forward", "loss"):
            return symbol
        return {"backward": f"back through {symbol}", "update": f"{symbol} after the step"}.get(
            phase, f"sum at {symbol}" if phase == "sum" else "the gradients, clipped"
        )

    def described(self, phase: Phase, kind: str, of: str) -> tuple[Any, dict[str, Name], Code]:
        """What a formula is read from, the case's names for its letters, and the reference's own lines."""
        loss = self.symbols.of("loss")
        if phase == "update":
            optimizer = self.case.optimizer
            weight = self.symbols.of(of)
            return optimizer, {"weight": Name(weight), "gradient": Name(loss, weight)}, code_of(type(optimizer).update)
        if phase == "clipped" and self.case.clip:
            return self.case.clip, {}, code_of(type(self.case.clip).clipped)
        if phase == "sum":
            accumulated = self.case.micro_batches > 1 and of in self.case.parameters
            return None, {}, code_of(Training.accumulate if accumulated else Training.total)
        if kind == "weighted_sum":
            return None, {}, code_of(Training.weighted)
        thing = self.nodes[of].layer if of in self.nodes else self.losses[of].loss
        way = type(thing).backward if phase == "backward" else type(thing).forward
        return thing, self.letters(self.nodes.get(of) or self.losses[of]), code_of(way)

    def letters(self, part: Node | LossTerm) -> dict[str, Name]:
        """The letters that a layer or a loss has for what it takes and makes, as the case calls them."""
        thing = part.layer if isinstance(part, Node) else part.loss
        taken = [*part.takes, *([target_name(part)] if isinstance(part, LossTerm) else [])]
        letters = [name for name in inspect.signature(type(thing).forward).parameters if name not in ("self", "params")]
        named = dict(zip(letters, taken, strict=False)) if len(letters) == len(taken) else {}
        named["y" if isinstance(part, Node) else "loss"] = part.name
        named |= part.parameters if isinstance(part, Node) else {}
        return {letter: Name(self.symbols.of(name)) for letter, name in named.items()}

    def excerpt(self, name: str) -> Excerpt:
        """A tensor of the reference's run as it is shown."""
        return excerpt(self.symbols, name, self.trace[name])

    def made(self, name: str, first: bool) -> Made:
        """A tensor that an operation made, and what everyone else has for it."""
        shown = self.excerpt(name)
        theirs = {subject: self.theirs(subject, name, shown) for subject in self.subjects}
        openings = opened(self.symbols, self.derivatives, shown) if self.derivatives and first else {}
        return Made(shown, theirs, openings)

    def theirs(self, subject: str, name: str, shown: Excerpt) -> Theirs:
        """What a framework has for a tensor."""
        array, found = self.subjects[subject].trace.tensors.get(name), self.verdicts[subject].get(name)
        verdict = found.verdict if found else "not compared"
        if array is None or np.shape(array) != shown.shape:
            return Theirs(None, verdict, None, False)
        sigmas = found.end_to_end_sigmas if found else None
        return Theirs(at(np.asarray(array), shown.indices), verdict, sigmas, np.array_equal(array, self.trace[name]))

    def stage(self, operation: Operation, subject: Subject, passed: Passed) -> Stage:
        """One operation of a framework, its arrays recognised."""
        known = list(self.known(operation, subject))
        takes, gives, keeps = (
            tuple(recognised(array, known, self.case.dtype) for array in arrays)
            for arrays in (passed.takes, passed.gives, passed.keeps)
        )
        return Stage(passed.name, takes, gives, keeps)

    def known(self, operation: Operation, subject: Subject) -> Iterator[Known]:
        """What an array inside an operation may be: what it makes, what it takes, and what its forward did."""
        place = operation.name.partition("/")[0]
        forward = next(one for one in self.trace.operations if one.name == f"{place}/forward({done(operation).of})")
        for name in dict.fromkeys((*operation.outputs, *operation.inputs, *forward.outputs, *forward.inputs)):
            array = subject.trace.tensors.get(name)
            if array is None and name not in self.trace.tensors:
                array = self.trace[name]
            if array is not None:
                yield Known(name, self.symbols.tensor(name), np.asarray(array))

    def lit(self, operation: Operation, makes: tuple[Made, ...]) -> tuple[str, Shape]:
        """The element of a card that the followed number passes; the first where it passes none."""
        shown = {made.excerpt.name: {index for row in made.excerpt.indices for index in row} for made in makes}
        for name, index in self.passes(operation):
            if name in shown and index in shown[name]:
                return name, index
        first = makes[0].excerpt
        return first.name, first.indices[0][0]

    def passes(self, operation: Operation) -> Iterator[tuple[str, Shape]]:
        """The tensors and the elements that the followed number passes."""
        if self.followed is None:
            return
        place = operation.name.partition("/")[0]
        for phase in ("gradient", "clipped", "update"):
            yield f"{place}/{phase}/{self.followed.tensor}", self.followed.index
        for name, index in self.followed.elements:
            yield f"{place}/forward/{name}", index
            yield f"{place}/backward/{name}", index

    def keeps(self) -> Iterator[Keeps]:
        """What every framework keeps of each node's forward for the backward."""
        place = self.case.places(0)[0]
        by_name = {operation.name: operation for operation in self.trace.operations}
        for of in (*self.nodes, *self.losses):
            operation = by_name[f"{place}/backward({of})"]
            frameworks = {}
            for name, subject in self.subjects.items():
                known = list(self.known(operation, subject))
                kept: dict[Seen, None] = {}
                for passed in subject.inside.backward.get(of, ()):
                    for array in passed.keeps:
                        kept[recognised(array, known, self.case.dtype)] = None
                if subject.inside.backward:
                    frameworks[name] = tuple(kept)
            kind = self.nodes[of].layer.kind if of in self.nodes else self.losses[of].loss.kind
            yield Keeps(of, f"{self.symbols.of(of)}, {kind}", frameworks)


def shown_of(trace: Trace) -> int:
    """How many operations are shown: all, or those of whole steps that are not too many, of the first one at least."""
    steps = [done(operation).step for operation in trace.operations]
    ends = [place for place in range(1, len(steps)) if steps[place] != steps[place - 1]] + [len(steps)]
    return max([end for end in ends if end <= MOST_CARDS], default=ends[0])
