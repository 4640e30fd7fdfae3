"""What a part is in PyTorch: a layer, a loss, an optimizer, and how a table of them declares it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ...contract import Support


@dataclass(frozen=True)
class LayerPart:
    """A layer in PyTorch: native or composed, how it is built, and what it lacks.

    Beside it which parameters the module keeps ``transposed``, and the ``names`` that it has for some of them: with
    dots where a module inside has them, ``out_proj.weight``.
    """

    support: Support
    build: Callable[..., nn.Module]
    transposed: Callable[[Any], frozenset[str]] = lambda layer: frozenset()
    names: Mapping[str, str] = field(default_factory=dict)
    limits: Callable[[Any], str] = lambda layer: ""


@dataclass(frozen=True)
class LossPart:
    """A loss in PyTorch: native or composed, how it is built, what it lacks."""

    support: Support
    build: Callable[[Any], nn.Module]
    limits: Callable[[Any], str] = lambda loss: ""


@dataclass(frozen=True)
class ClipPart:
    """A clipping in PyTorch, which changes the gradients of the parameters in place."""

    support: Support
    clip: Callable[[list[nn.Parameter], Any], object]
    limits: Callable[[Any], str] = lambda clip: ""


@dataclass(frozen=True)
class OptimizerPart:
    """An optimizer in PyTorch, and where it keeps what the reference calls a slot.

    ``turned`` is where it keeps those that are made of rows or columns, of a parameter that its module keeps
    transposed.
    """

    support: Support
    build: Callable[[Iterable[nn.Parameter], Any], torch.optim.Optimizer]
    slots: Mapping[str, str]
    limits: Callable[[Any], str] = lambda optimizer: ""
    turned: Mapping[str, str] = field(default_factory=dict)

    def held(self, state: Mapping[str, torch.Tensor], *, transposed: bool = False) -> dict[str, torch.Tensor]:
        """The slots that a parameter's state has."""
        keys = {**self.slots, **self.turned} if transposed else self.slots
        return {slot: state[key] for slot, key in keys.items() if state.get(key) is not None}


def uninitialised(module: type[nn.Module], *sizes: Any, **options: Any) -> nn.Module:
    """A module whose weights are left as they are: no random number is drawn from the user's generator."""
    made: nn.Module = nn.utils.skip_init(module, *sizes, **options)  # type: ignore[no-untyped-call]
    return made
