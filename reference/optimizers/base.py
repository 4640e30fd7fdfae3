"""What an optimizer is: from a weight, its gradient and what is remembered of earlier steps, to the next weight.

An optimizer works on one weight at a time; shapes of weight, gradient and slots are alike, whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from ..errors import CaseError
from ..layers import Array

Slots: TypeAlias = Mapping[str, Array]
"""What an optimizer remembers of one weight, by name."""


@dataclass(frozen=True)
class Optimizer:
    """An optimizer, as a frozen dataclass whose fields are its hyperparameters and conventions.

    ``learning_rate`` is one number, or one for each step.

    ``slots(weight) -> slots``
        what is remembered before the first step.
    ``update(weight, dweight, slots, learning_rate) -> (weight, slots)``
        the next of both, as new arrays.

    Raises:
        CaseError: a hyperparameter out of its range.
    """

    kind: ClassVar[str]
    """The name of the optimizer in a case file."""

    learning_rate: float | tuple[float, ...]

    slots: ClassVar[Callable[..., dict[str, Array]]]
    update: ClassVar[Callable[..., tuple[Array, dict[str, Array]]]]

    def __post_init__(self) -> None:
        for rate in self.learning_rates(1):
            require(0 <= rate < np.inf, "learning_rate", "a number of at least 0", rate)

    def learning_rates(self, steps: int) -> tuple[float, ...]:
        """The learning rate of each of so many steps."""
        return self.learning_rate if isinstance(self.learning_rate, tuple) else (self.learning_rate,) * steps


def require(holds: bool, key: str, expected: str, received: object) -> None:
    """Raise CaseError about a hyperparameter unless the condition holds."""
    if not holds:
        raise CaseError(expected, repr(received), key=key)
