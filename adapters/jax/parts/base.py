"""What a part is in JAX: a layer, a loss, an optimizer, and how a table of them declares it. Layouts are ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import optax

from ....reference import Case
from ....reference.layers import Shape
from ...contract import Support

Tensor: TypeAlias = jax.Array
Tensors: TypeAlias = dict[str, Tensor]
Rate: TypeAlias = float | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class LayerPart:
    """A layer in JAX: native or composed, what computes it, and what updates its statistics from the same."""

    support: Support
    apply: Callable[..., Tensor]
    statistics: Callable[..., Tensors] = lambda layer, *inputs_and_params: {}
    limits: Callable[[Any], str] = lambda layer: ""


@dataclass(frozen=True)
class LossPart:
    """A loss in JAX: native or composed, what computes it, what it lacks."""

    support: Support
    apply: Callable[..., Tensor]
    limits: Callable[[Any], str] = lambda loss: ""


Read: TypeAlias = Callable[[Any, str, Shape], Tensor | None]
"""Reads the slot of a parameter, given its name and shape, from a state of optax; None where it has none."""


@dataclass(frozen=True)
class ClipPart:
    """A clipping in optax."""

    support: Support
    build: Callable[[Any], optax.GradientTransformation]
    limits: Callable[[Any], str] = lambda clip: ""


@dataclass(frozen=True)
class OptimizerPart:
    """An optimizer in optax: how it is built, and in which of optax's states what the reference calls a slot is.

    A slot is a field of that state, or read from it. ``limits_in`` is why optax lacks it in a case, whose dtype or
    shapes it does not take.
    """

    support: Support
    build: Callable[[Any, Rate], optax.GradientTransformation]
    slots: Mapping[str, tuple[type[Any] | tuple[type[Any], ...], str | Read]]
    limits: Callable[[Any], str] = lambda optimizer: ""
    limits_in: Callable[[Case], str] = lambda case: ""

    def held(self, state: Any, name: str, shape: Shape) -> dict[str, Tensor]:
        """The slots of a parameter."""
        held: dict[str, Tensor] = {}
        for slot, (kind, field) in self.slots.items():
            for inner in states(state, kind):
                value = field(inner, name, shape) if callable(field) else getattr(inner, field)
                if value is not None:
                    held[slot] = value[name] if isinstance(value, dict) else value
        return held


def states(state: Any, kind: type[Any] | tuple[type[Any], ...]) -> list[Any]:
    """The states of one kind in optax's nested state."""
    leaves = jax.tree.leaves(state, is_leaf=lambda inner: isinstance(inner, kind))
    return [leaf for leaf in leaves if isinstance(leaf, kind)]
