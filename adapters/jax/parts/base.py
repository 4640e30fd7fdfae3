"""What a part is in JAX: a layer, a loss, an optimizer, and how a table of them declares it. Layouts are ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import optax

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


@dataclass(frozen=True)
class ClipPart:
    """A clipping in optax."""

    support: Support
    build: Callable[[Any], optax.GradientTransformation]
    limits: Callable[[Any], str] = lambda clip: ""


@dataclass(frozen=True)
class OptimizerPart:
    """An optimizer in optax: how it is built, and in which of optax's states what the reference calls a slot is."""

    support: Support
    build: Callable[[Any, Rate], optax.GradientTransformation]
    slots: Mapping[str, tuple[type[Any], str]]
    limits: Callable[[Any], str] = lambda optimizer: ""
