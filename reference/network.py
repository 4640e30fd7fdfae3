"""The graph of a network: named nodes, what each takes and which parameters it has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from .errors import CaseError, listed
from .layers import Layer, Shape
from .losses import Loss

RESERVED = frozenset({"input", "target", "loss"})
NAME = re.compile(r"\w[\w.-]*")


@dataclass(frozen=True)
class Node:
    """A layer with a name and the names of what it takes.

    ``takes`` is by default the node before it, for the first node the input of the network. ``parameters`` gives
    the full names of the layer's parameters, by default ``NODE.PARAMETER``; a parameter named by two nodes is shared.
    """

    name: str
    layer: Layer
    takes: tuple[str, ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def given(self) -> dict[str, str]:
        """The full names of what the layer is given with each batch."""
        return {local: f"{self.name}.{local}" for local in self.layer.given}

    @property
    def statistics(self) -> dict[str, str]:
        """The full names of the layer's statistics."""
        return {local: f"{self.name}.{local}" for local in self.layer.statistics()}

    @property
    def labels(self) -> tuple[str, ...]:
        """A label for each value it takes: the node's name, numbered where it takes the same value more than once."""
        repeated = len(set(self.takes)) < len(self.takes)
        return tuple(f"{self.name}#{place}" if repeated else self.name for place in range(1, len(self.takes) + 1))


@dataclass(frozen=True)
class Term:
    """A loss with a name, the names of the nodes that it takes, and the weight with which it enters the sum.

    It takes by default the last node. A loss that is alone is called ``loss``; several have names of their own, and
    ``loss`` is their weighted sum.
    """

    name: str
    loss: Loss
    takes: tuple[str, ...] = ()
    weight: float = 1.0


def resolve(nodes: tuple[Node, ...], loss: Loss | Sequence[Term] = ()) -> tuple[Node, ...]:
    """The nodes with every default filled in, checked as a graph that ends in a loss, by default at the last node.

    Raises:
        CaseError: a name used twice, a node that takes what does not stand before it or that nothing takes.
    """
    if not nodes:
        raise CaseError("at least one node", "none", key="nodes")
    before = ["input"]
    resolved = []
    for node in nodes:
        key = f"nodes.{node.name}"
        check_name(node.name, f"{key}.name")
        if node.name in RESERVED or node.name in before:
            what = "one of the reserved names" if node.name in RESERVED else "the name of an earlier node"
            raise CaseError("a name of its own", f"{node.name!r}, {what}", key=key)
        takes = tuple(node.takes) or (before[-1],)
        for name in takes:
            if name not in before:
                raise CaseError(f"what stands before it: {listed(before)}", repr(name), key=f"{key}.from")
        arity = node.layer.arity
        if len(takes) < 2 if arity is None else len(takes) != arity:
            wanted = "two or more" if arity is None else arity
            raise CaseError(f"{wanted} for {node.layer.kind!r}", f"{len(takes)}: {listed(takes)}", key=f"{key}.from")
        if node.layer.integer_inputs and set(takes) != {"input"}:
            raise CaseError(f"'input', for {node.layer.kind!r} takes indices", listed(takes), key=f"{key}.from")
        local = node.layer.parameters()
        for name, full in node.parameters.items():
            if name not in local:
                raise CaseError(
                    f"a parameter of {node.layer.kind!r}: {listed(local)}", repr(name), key=f"{key}.parameters"
                )
            check_name(full, f"{key}.parameters.{name}")
        parameters = {name: node.parameters.get(name, f"{node.name}.{name}") for name in local}
        if len(set(parameters.values())) < len(parameters):
            raise CaseError("a different parameter for each", listed(parameters.values()), key=f"{key}.parameters")
        resolved.append(replace(node, takes=takes, parameters=parameters))
        before.append(node.name)
    taken = {name for node in resolved for name in node.takes}
    ends = {name for term in terms(loss, resolved) for name in term.takes} or {resolved[-1].name}
    for node in resolved:
        if node.name not in taken | ends:
            raise CaseError("an output that a later node or a loss takes", "none that does", key=f"nodes.{node.name}")
        for name in (*node.parameters.values(), *node.statistics.values(), *node.given.values()):
            if name in before or name in RESERVED:
                raise CaseError("a parameter's name that is no node's", repr(name), key=f"nodes.{node.name}.parameters")
    indices = [node for node in resolved if node.layer.integer_inputs]
    for node in resolved:
        if indices and node not in indices and "input" in node.takes:
            raise CaseError(
                f"no 'input', which is indices for {indices[0].name!r}",
                listed(node.takes),
                key=f"nodes.{node.name}.from",
            )
    return tuple(resolved)


def terms(loss: Loss | Sequence[Term], nodes: Sequence[Node]) -> tuple[Term, ...]:
    """The losses with every default filled in.

    Raises:
        CaseError: a name used twice, a loss that takes what is no node's output or not as many as it wants.
    """
    named = [Term("loss", loss)] if isinstance(loss, Loss) else list(loss)
    known, alone = [node.name for node in nodes], len(named) == 1
    before: list[str] = []
    resolved = []
    for term in named:
        key = "loss" if alone else f"losses.{term.name}"
        if alone and term.name != "loss":
            raise CaseError("'loss', for it is alone", repr(term.name), key="loss.name")
        if not alone:
            check_name(term.name, f"{key}.name")
            if term.name in RESERVED or term.name in known or term.name in before:
                raise CaseError("a name of its own", repr(term.name), key=f"{key}.name")
        takes = tuple(term.takes) or (known[-1],)
        for name in takes:
            if name not in known:
                raise CaseError(f"the name of a node: {listed(known)}", repr(name), key=f"{key}.from")
        if len(set(takes)) != term.loss.arity:
            wanted = "one node" if term.loss.arity == 1 else f"{term.loss.arity} different nodes"
            raise CaseError(f"{wanted} for {term.loss.kind!r}", listed(takes), key=f"{key}.from")
        if not 0 < abs(term.weight) < np.inf or (alone and term.weight != 1):
            raise CaseError(
                "1, for it is alone" if alone else "a number other than 0", repr(term.weight), key=f"{key}.weight"
            )
        before.append(term.name)
        resolved.append(replace(term, takes=takes))
    return tuple(resolved)


def output_shapes(nodes: Sequence[Node], inputs: Shape) -> dict[str, Shape]:
    """Shape of the input and of every node's output, for inputs of this shape.

    Raises:
        CaseError: a node that does not fit what it takes.
    """
    shapes = {"input": inputs}
    for node in nodes:
        try:
            shapes[node.name] = node.layer.output_shape(*(shapes[name] for name in node.takes))
        except CaseError as error:
            raise error.within(f"nodes.{node.name}") from None
    return shapes


def parameter_shapes(nodes: Sequence[Node]) -> dict[str, Shape]:
    """Full name and shape of every parameter, in the order of the nodes, a shared one at its first use."""
    shapes: dict[str, Shape] = {}
    for node in nodes:
        for local, shape in node.layer.parameters().items():
            shapes.setdefault(node.parameters[local], shape)
    return shapes


def statistic_values(nodes: Sequence[Node]) -> dict[str, tuple[Shape, float]]:
    """Full name, shape and initial value of every statistic, in the order of the nodes."""
    return {node.statistics[local]: described for node in nodes for local, described in node.layer.statistics().items()}


def check_name(name: str, key: str) -> None:
    """Raise CaseError unless the name can stand in a tensor's name and in a file's."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise CaseError(
            "a name of letters, digits, '_', '-' and '.', not beginning with '.' or '-'", repr(name), key=key
        )
