"""Adam and its kin: steps of a size that the spread of earlier gradients sets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..layers import Array
from .base import Optimizer, Slots, require


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adaptive moment estimation, with the bias of its moving averages corrected.

    ::

        g             = gradient + weight_decay * weight
        step          = step + 1
        first_moment  = beta1 * first_moment  + (1 - beta1) * g
        second_moment = beta2 * second_moment + (1 - beta2) * g^2
        m             = first_moment  / (1 - beta1^step)
        v             = second_moment / (1 - beta2^step)
        weight        = weight - learning_rate * m / (sqrt(v) + epsilon)

    The epsilon stands outside the root, beside the corrected second moment. Weight decay is coupled: it enters the
    moments (AdamW decouples it).

    =============  =========================================================
    symbol         argument
    =============  =========================================================
    α              ``learning_rate``, one number or one for each step
    β₁, β₂         ``beta1``, ``beta2``
    ε              ``epsilon``
    λ              ``weight_decay``
    =============  =========================================================

    Same optimizer elsewhere: torch.optim.Adam; optax.adam, with weight decay apart (optax.add_decayed_weights). Keras
    adds epsilon to the root of the uncorrected moment and decouples decay; MLX corrects no bias unless asked.

    Raises:
        CaseError: a negative rate, epsilon or decay, a beta outside [0, 1).

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1.

    >>> import numpy as np
    >>> adam = Adam(0.5, epsilon=0.0)
    >>> weight, slots = adam.update(np.array([1.0]), np.array([-3.0]), adam.slots(np.array([1.0])), 0.5)
    >>> weight.round(12), slots["step"]
    (array([1.5]), np.float64(1.0))
    """

    kind: ClassVar[str] = "adam"

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.beta1 < 1, "beta1", "a number in [0, 1)", self.beta1)
        require(0 <= self.beta2 < 1, "beta2", "a number in [0, 1)", self.beta2)
        require(0 <= self.epsilon < np.inf, "epsilon", "a number of at least 0", self.epsilon)
        require(0 <= self.weight_decay < np.inf, "weight_decay", "a number of at least 0", self.weight_decay)

    def slots(self, weight: Array) -> dict[str, Array]:
        return {
            "step": np.zeros_like(weight, shape=()),
            "first_moment": np.zeros_like(weight),
            "second_moment": np.zeros_like(weight),
        }

    def update(
        self, weight: Array, dweight: Array, slots: Slots, learning_rate: float
    ) -> tuple[Array, dict[str, Array]]:
        g = dweight + self.weight_decay * weight if self.weight_decay else dweight
        step = slots["step"] + 1
        first_moment = self.beta1 * slots["first_moment"] + (1 - self.beta1) * g
        second_moment = self.beta2 * slots["second_moment"] + (1 - self.beta2) * (g * g)
        m = first_moment / (1 - self.beta1**step)
        v = second_moment / (1 - self.beta2**step)
        updated = weight - learning_rate * m / (np.sqrt(v) + self.epsilon)
        return updated, {"step": step, "first_moment": first_moment, "second_moment": second_moment}
