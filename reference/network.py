"""The graph of a network: named nodes, what each takes and which parameters it has."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from .errors import CaseError, listed
from .layers import Layer, Shape

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
    def statistics(self) -> dict[str, str]:
        """The full names of the layer's statistics."""
        return {local: f"{self.name}.{local}" for local in self.layer.statistics()}

    @property
    def labels(self) -> tuple[str, ...]:
        """A label for each value it takes: the node's name, numbered where it takes the same value more than once."""
        repeated = len(set(self.takes)) < len(self.takes)
        return tuple(f"{self.name}#{place}" if repeated else self.name for place in range(1, len(self.takes) + 1))


def resolve(nodes: tuple[Node, ...]) -> tuple[Node, ...]:
    """The nodes with every default filled in, checked as a graph.

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
        if len(takes) != node.layer.arity:
            raise CaseError(
                f"{node.layer.arity} for {node.layer.kind!r}", f"{len(takes)}: {listed(takes)}", key=f"{key}.from"
            )
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
    for node in resolved:
        if node is not resolved[-1] and node.name not in taken:
            raise CaseError("an output that a later node takes", "none that does", key=f"nodes.{node.name}")
        for name in (*node.parameters.values(), *node.statistics.values()):
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
