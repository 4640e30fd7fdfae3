"""One element opened: what it is a sum of, each term a product of numbers that have a name."""

from __future__ import annotations

from math import isclose

import numpy as np

from ..reference.layers import Shape
from ..reference.trace import phase_of
from .lesson import Excerpt, Opening, Term
from .symbols import Name, Symbols
from .unfolding import LOSS, Derivatives, Element, Factor

MOST_TERMS = 16
"""Of how many terms a sum may be that is written out."""


def opened(symbols: Symbols, derivatives: Derivatives, shown: Excerpt) -> dict[Shape, Opening]:
    """Every element of a tensor of the first step that is shown, opened where it can be."""
    phase, owner = phase_of(shown.name), shown.name.split("/", 2)[2]
    if "->" in owner or phase not in ("forward", "backward", "gradient"):
        return {}
    opener = Opener(symbols, derivatives)
    found = {}
    for index, value in shown.cells():
        element = Element(owner, index)
        made = opener.forward(element, value) if phase == "forward" else opener.backward(element, value)
        if made:
            found[index] = made
    return found


class Opener:
    """Opens the elements of one network."""

    def __init__(self, symbols: Symbols, derivatives: Derivatives) -> None:
        self.symbols = symbols
        self.derivatives = derivatives
        self.kinds = {node.name: node.layer.kind for node in derivatives.case.nodes}
        self.kinds |= {term.name: term.loss.kind for term in derivatives.case.losses}

    def name(self, element: Element) -> str:
        """What an element is called."""
        shape = (
            ()
            if element == LOSS or element.name not in self.kinds_and_weights
            else self.derivatives.value(element.name).shape
        )
        return self.symbols.element(element.name, element.index, shape)

    @property
    def kinds_and_weights(self) -> set[str]:
        """What has a shape."""
        return {*self.kinds, *self.derivatives.case.weights, "input"}

    def value(self, element: Element) -> float:
        """What an element is in the forward."""
        return float(self.derivatives.value(element.name)[element.index])

    def partial(self, of: Element, by: Element) -> Name:
        """The derivative of one by the other."""
        return Name(self.name(of), self.name(by))

    def backward(self, element: Element, value: float) -> Opening | None:
        """A gradient: over everything that the element goes into, what arrives there times the local derivative."""
        used = self.derivatives.uses.get(element, [])
        if len(used) > MOST_TERMS:
            return None
        terms = tuple(Term(self.arrives(factor)) for factor in used)
        words = "" if terms else "nothing that the loss depends on is computed from it"
        return Opening(self.partial(LOSS, element), terms, value, words)

    def arrives(self, factor: Factor) -> tuple[tuple[Name, float], ...]:
        """What arrives at an element, and the derivative through which it goes on."""
        local = (self.partial(factor.of, factor.by), factor.value)
        if factor.of == LOSS:
            return (local,)
        return (self.partial(LOSS, factor.of), self.derivatives.totals[factor.of]), local

    def forward(self, element: Element, value: float) -> Opening | None:
        """An output: the sum of products that it is where the node is affine, and else what it is a function of."""
        weights = self.derivatives.case.weights
        made = self.derivatives.made.get(element, [])
        values = [factor for factor in made if factor.by.name not in weights]
        params = [factor for factor in made if factor.by.name in weights]
        left = Name(self.name(element))
        if len(made) > MOST_TERMS:
            return None
        if len(values) == 1 and not params:
            return Opening(left, (), value, f"{self.kinds.get(element.name, '')}({self.name(values[0].by)})")
        terms = [self.product(factor, params) for factor in values]
        terms += [Term(((Name(self.name(f.by)), self.value(f.by)),)) for f in params if self.added(f)]
        if params and isclose(sum(term.product for term in terms), value, rel_tol=1e-9, abs_tol=1e-12):
            return Opening(left, tuple(terms), value)
        named = ", ".join(self.name(factor.by) for factor in values)
        return Opening(left, (), value, f"{self.kinds.get(element.name, '')} of {named}")

    def product(self, factor: Factor, params: list[Factor]) -> Term:
        """What a value adds to an affine map: itself times a parameter, each the derivative by the other."""
        value, derivatives = self.value(factor.by), {other.by: other.value for other in params}
        for name in {other.by.name for other in params}:
            for index in zip(*np.nonzero(self.derivatives.value(name) == factor.value), strict=True):
                weight = Element(name, tuple(map(int, index)))
                if derivatives.get(weight, 0.0) == value:
                    return Term(((Name(self.name(factor.by)), value), (Name(self.name(weight)), factor.value)))
        return Term(((Name(self.name(factor.by)), value), (self.partial(factor.of, factor.by), factor.value)))

    def added(self, factor: Factor) -> bool:
        """Whether a parameter is just added."""
        node = next((node for node in self.derivatives.case.nodes if node.name == factor.of.name), None)
        return node is not None and node.parameters.get("bias") == factor.by.name
