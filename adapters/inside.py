"""What a framework does inside a training step: the operations of its own that it passes, under its own names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..reference.layers import Array


@dataclass(frozen=True)
class Passed:
    """One operation of a framework: what it took and what it gave, in the framework's own layout.

    ``keeps`` is what it had kept from the forward. A gradient that nobody asked for is not among what it gave.
    """

    name: str
    takes: tuple[Array, ...] = ()
    gives: tuple[Array, ...] = ()
    keeps: tuple[Array, ...] = ()


@dataclass(frozen=True)
class Inside:
    """What a framework does with the first batch of a case, and with one weight after it.

    ``forward`` and ``backward`` have the operations of every node and of every loss by its name, in the order in which
    they are done; those of the framework's own that belong to none have the name ``""``. ``update`` is what the
    optimizer does with a weight, a line for each operation. ``scope`` says how the framework calls the backward of a
    node, where it has a name for it, with ``{}`` for the node's.
    """

    forward: Mapping[str, tuple[Passed, ...]] = field(default_factory=dict)
    backward: Mapping[str, tuple[Passed, ...]] = field(default_factory=dict)
    update: tuple[str, ...] = ()
    optimizer: str = ""
    scope: str = ""
