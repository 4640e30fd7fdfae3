"""What an optimizer is: from a weight, its gradient and what is remembered of earlier steps, to the next weight.

An optimizer works on one weight at a time; shapes of weight, gradient and slots are alike, unless it says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import wraps
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from ..errors import CaseError, require
from ..layers import Array, Shape
from .schedules import Schedule

Slots: TypeAlias = Mapping[str, Array]
"""What an optimizer remembers of one weight, by name."""

Updated: TypeAlias = tuple[Array, dict[str, Array]]
"""The next weight, and what is remembered then."""


Update: TypeAlias = Callable[..., Updated]

PIECE = 65_536
"""How many elements of a large weight are updated at a time: what is made of them on the way stays in the cache."""


def elementwise(update: Update) -> Update:
    """An update of every element by itself: of a large weight some rows at a time, which changes no number of it.

    What is remembered is of the weight's shape, or one number.
    """

    @wraps(update)
    def updated(self: Optimizer, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        if weight.size <= PIECE:
            return update(self, weight, dweight, slots, learning_rate)
        made = np.empty_like(weight)
        remembered: dict[str, Array] = {}
        rows = max(1, PIECE * len(weight) // weight.size)
        for first in range(0, len(weight), rows):
            piece = slice(first, first + rows)
            of_piece = {name: slot[piece] if slot.shape else slot for name, slot in slots.items()}
            made[piece], new = update(self, weight[piece], dweight[piece], of_piece, learning_rate)
            if not remembered:
                remembered = {name: np.empty_like(weight) if slot.shape else slot for name, slot in new.items()}
            for name, slot in new.items():
                if slot.shape:
                    remembered[name][piece] = slot
        return made, remembered

    return updated


@dataclass(frozen=True)
class Optimizer:
    """An optimizer, as a frozen dataclass whose fields are its hyperparameters and conventions.

    ``learning_rate`` is one number, one for each step, or a schedule.

    ``slots(weight) -> slots``
        what is remembered before the first step.
    ``update(weight, dweight, slots, learning_rate) -> (weight, slots)``
        the next of both, as new arrays.

    Raises:
        CaseError: a hyperparameter out of its range.
    """

    kind: ClassVar[str]
    """The name of the optimizer in a case file."""

    learning_rate: float | tuple[float, ...] | Schedule

    slots: ClassVar[Callable[..., dict[str, Array]]]
    update: ClassVar[Callable[..., Updated]]

    def __post_init__(self) -> None:
        for rate in self.learning_rates(1):
            require(0 <= rate < np.inf, "learning_rate", "a number of at least 0", rate)

    def learning_rates(self, steps: int) -> tuple[float, ...]:
        """The learning rate of each of so many steps."""
        if isinstance(self.learning_rate, Schedule):
            return self.learning_rate.rates(steps)
        return self.learning_rate if isinstance(self.learning_rate, tuple) else (self.learning_rate,) * steps

    def check_weight(self, shape: Shape) -> None:
        """Raise CaseError unless weights of this shape can be updated."""

    def require_number(self, *names: str, below: float = np.inf) -> None:
        """Raise CaseError unless each of these fields is at least 0 and below the bound."""
        expected = "a number of at least 0" if below == np.inf else f"a number in [0, {below})"
        for name in names:
            require(0 <= getattr(self, name) < below, name, expected, getattr(self, name))

    def require_used(self, convention: str, used: bool, without: str) -> None:
        """Raise CaseError unless a convention has its default where it would make no difference."""
        (default,) = (known.default for known in fields(self) if known.name == convention)
        value = getattr(self, convention)
        require(used or value == default, convention, f"{default!r} {without}", value)


@dataclass(frozen=True)
class Decaying(Optimizer):
    """An optimizer that can also make the weights decay, at the rate of ``weight_decay``.

    Where ``decay`` is ``coupled``, the decay is a part of the gradient, ``gradient + weight_decay * weight``, and goes
    through all that is made of that. Where it is ``decoupled``, it is taken from the weight itself,
    ``weight * (1 - learning_rate * weight_decay)``, beside the update.
    """

    weight_decay: float = field(default=0.0, kw_only=True)
    decay: Literal["coupled", "decoupled"] = field(default="coupled", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("weight_decay")
        self.require_used("decay", self.weight_decay > 0, "without weight decay")

    def with_decay(self, weight: Array, dweight: Array) -> Array:
        """The gradient, with the decay in it where it is coupled."""
        coupled = self.weight_decay > 0 and self.decay == "coupled"
        return dweight + self.weight_decay * weight if coupled else dweight

    def decayed(self, weight: Array, learning_rate: float) -> Array:
        """The weight that the update starts from: less its decay, where that is decoupled."""
        decoupled = self.weight_decay > 0 and self.decay == "decoupled"
        return weight * (1 - learning_rate * self.weight_decay) if decoupled else weight


def average(before: Array, latest: Array, beta: float) -> Array:
    """A moving average: ``beta * before + (1 - beta) * latest``, by what it moves.

    Where the two nearly cancel, what is rounded is their difference, as in torch's ``lerp``. (Of squares, which cannot
    cancel, write the two products: their sum is never less than 0.)
    """
    return before + (1 - beta) * (latest - before)


__all__ = ["CaseError", "Decaying", "Optimizer", "Slots", "Updated", "average", "elementwise", "require"]
