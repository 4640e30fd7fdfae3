"""The chain rule written out: the gradient of one element as a sum over paths, each a product of local derivatives.

No derivative is written here. Those of a node are what its own backward makes of a gradient that is 1 at one element
of its output and 0 elsewhere: a row of its Jacobian.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from ..reference import Case, Node, Term, Trace
from ..reference.layers import Array, Shape

MOST_DERIVATIVES = 40_000
"""Of how many local derivatives a network may be that is written out element by element."""

MOST_PATHS = 2_000
"""How many paths of one element are followed."""


class Element(NamedTuple):
    """One number: of a value, of a parameter, or the loss."""

    name: str
    index: Shape  # type: ignore[assignment]  # a tuple has a method of this name


class Factor(NamedTuple):
    """The derivative of one element by another that it is computed from directly."""

    of: Element
    by: Element
    value: float


class Path(NamedTuple):
    """One way from an element to the loss: the derivatives along it, the loss's own first, and their product."""

    factors: tuple[Factor, ...]
    product: float


class Derivatives:
    """Every local derivative of the first step of a case, by the elements."""

    def __init__(self, case: Case, trace: Trace) -> None:
        self.case = case
        self.trace = trace
        self.uses: dict[Element, list[Factor]] = {}
        """What an element goes into."""
        self.made: dict[Element, list[Factor]] = {}
        """What an element is computed from."""
        for node in case.nodes:
            self.differentiate(node)
        for term in case.losses:
            self.differentiate_loss(term)

    def value(self, name: str) -> Array:
        """A value, a parameter or the input, as the forward of the first step has it."""
        if name in self.case.weights:
            return self.case.weights[name]
        return self.trace["0/data/input" if name == "input" else f"0/forward/{name}"]

    def differentiate(self, node: Node) -> None:
        """Row after row of a node's Jacobians."""
        inputs, params = [self.value(name) for name in node.takes], self.params_of(node)
        y, saved = node.layer.forward(*inputs, params)
        rows = []
        for index in np.ndindex(y.shape):
            dinputs, dparams = node.layer.backward(unit(y, index), saved, params)
            arrived = dict(zip(node.takes, dinputs if isinstance(dinputs, tuple) else (dinputs,), strict=True))
            if len(set(node.takes)) < len(node.takes):
                arrived = {
                    name: sum(part for part, taken in zip(dinputs, node.takes, strict=True) if taken == name)
                    for name in node.takes
                }
            rows.append((index, arrived, {name: dparams[local] for local, name in node.parameters.items()}))
        pairs = [(index, name, d) for index, arrived, _ in rows for name, d in arrived.items() if d is not None]
        # Where every element has but one that it comes from, a derivative of 0 is worth showing: a gate that is closed.
        single = y.shape == inputs[0].shape and all(np.count_nonzero(d) == (d[index] != 0) for index, _, d in pairs)
        for index, name, d in pairs:
            self.keep(Element(node.name, index), name, d, index if single else None)
        for index, _, of_params in rows:
            for name, d in of_params.items():
                self.keep(Element(node.name, index), name, d)

    def differentiate_loss(self, term: Term) -> None:
        """The derivatives of one loss, and of the weighted sum of several."""
        predictions, target = [self.value(name) for name in term.takes], self.case.batch(0).target(term.name)
        _, saved = term.loss.forward(*predictions, target)
        made = term.loss.backward(saved)
        for name, d in zip(term.takes, made if isinstance(made, tuple) else (made,), strict=True):
            self.keep(Element(term.name, ()), name, d)
        if len(self.case.losses) > 1:
            self.add(Factor(Element("loss", ()), Element(term.name, ()), term.weight))

    def params_of(self, node: Node) -> dict[str, Array]:
        """A node's parameters, statistics and masks, under its layer's names for them."""
        held = {local: self.case.weights[name] for local, name in {**node.parameters, **node.statistics}.items()}
        return held | {local: self.case.batch(0).given[name] for local, name in node.given.items()}

    def keep(self, of: Element, name: str, d: Array, always: Shape | None = None) -> None:
        """The derivatives of one element by all of an array, but for those that are 0."""
        for index in zip(*np.nonzero(d), strict=True):
            self.add(Factor(of, Element(name, tuple(map(int, index))), float(d[index])))
        if always is not None and d[always] == 0:
            self.add(Factor(of, Element(name, always), 0.0))

    def add(self, factor: Factor) -> None:
        """One derivative."""
        self.uses.setdefault(factor.by, []).append(factor)
        self.made.setdefault(factor.of, []).append(factor)

    @cached_property
    def totals(self) -> dict[Element, float]:
        """The gradient of every element: the sum over what it goes into, from the loss backwards."""
        totals: dict[Element, float] = {}

        def total(element: Element) -> float:
            if element not in totals:
                used = self.uses.get(element, [])
                totals[element] = 1.0 if element == LOSS else sum(total(f.of) * f.value for f in used)
            return totals[element]

        for element in [LOSS, *self.uses]:
            total(element)
        return totals

    @cached_property
    def counts(self) -> dict[Element, int]:
        """From each element, how many paths there are to the loss whose product is not 0."""
        counts: dict[Element, int] = {}

        def count(element: Element) -> int:
            if element not in counts:
                used = self.uses.get(element, [])
                counts[element] = 1 if element == LOSS else sum(count(f.of) for f in used if f.value)
            return counts[element]

        for element in [LOSS, *self.uses]:
            count(element)
        return counts

    def paths(self, element: Element) -> list[Path]:
        """Every path from an element to the loss whose product is not 0, the largest first; none where too many."""
        if self.counts.get(element, 0) > MOST_PATHS:
            return []
        return sorted(self.walk(element, ()), key=lambda path: -abs(path.product))

    def walk(self, element: Element, before: tuple[Factor, ...]) -> Iterator[Path]:
        """The paths that go on from an element."""
        if element == LOSS:
            yield Path(before, float(np.prod([factor.value for factor in before])))
        for factor in self.uses.get(element, []):
            if factor.value:
                yield from self.walk(factor.of, (factor, *before))


LOSS = Element("loss", ())


def unit(like: Array, index: Shape) -> Array:
    """Zeros with a 1 at one place."""
    made = np.zeros_like(like)
    made[index] = 1
    return made


def small_enough(case: Case, trace: Trace) -> bool:
    """Whether a network can be written out element by element."""
    if case.micro_batches > 1 or case.dtype == "bfloat16":
        return False

    def size(name: str) -> Any:
        return case.weights[name].size if name in case.weights else trace[path_of(name)].size

    derivatives = sum(size(node.name) * sum(map(size, (*node.takes, *node.parameters.values()))) for node in case.nodes)
    return bool(derivatives <= MOST_DERIVATIVES)


def path_of(name: str) -> str:
    """A value of the first step by its full name."""
    return "0/data/input" if name == "input" else f"0/forward/{name}"
