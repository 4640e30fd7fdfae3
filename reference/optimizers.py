"""Optimizers: from a weight, its gradient and what is remembered of earlier steps, to the next weight.

An optimizer works on one weight at a time; shapes of weight, gradient and slots are alike, whatever they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from .errors import CaseError
from .layers import Array

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


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent, with momentum if wanted.

    ::

        g        = gradient + weight_decay * weight
        velocity = momentum * velocity + (1 - dampening) * g     (at the first step: g)
        weight   = weight - learning_rate * velocity             (Nesterov: g + momentum * velocity)

    Without momentum there is no velocity, and g takes its place. The learning rate stays outside the velocity,
    so a change of the rate acts at once on all of it. Weight decay is coupled: it passes through the velocity.

    =============  =========================================================
    symbol         argument
    =============  =========================================================
    η              ``learning_rate``, one number or one for each step
    μ              ``momentum``
    τ              ``dampening``, which the first step skips
    λ              ``weight_decay``
    =============  =========================================================

    Same optimizer elsewhere: torch.optim.SGD, every option. optax.sgd has no dampening and keeps weight decay apart
    (optax.add_decayed_weights). Keras puts the learning rate inside the velocity; MLX dampens the first step too.

    Raises:
        CaseError: a negative rate, a momentum or dampening outside [0, 1), Nesterov without momentum or with
            dampening, dampening without momentum.

    Source: Polyak 1964, "Some methods of speeding up the convergence of iteration methods"; Sutskever, Martens, Dahl
    & Hinton 2013, "On the importance of initialization and momentum in deep learning", eq. 1-4.

    >>> import numpy as np
    >>> sgd = SGD(0.5, momentum=0.5)
    >>> weight, slots = sgd.update(np.array([1.0]), np.array([2.0]), sgd.slots(np.array([1.0])), 0.5)
    >>> weight, slots["velocity"]
    (array([0.]), array([2.]))
    """

    kind: ClassVar[str] = "sgd"

    momentum: float = 0.0
    dampening: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 <= self.momentum < 1, "momentum", "a number in [0, 1)", self.momentum)
        require(0 <= self.dampening < 1, "dampening", "a number in [0, 1)", self.dampening)
        require(0 <= self.weight_decay < np.inf, "weight_decay", "a number of at least 0", self.weight_decay)
        require(self.momentum > 0 or not self.dampening, "dampening", "0 without momentum", self.dampening)
        plain = self.momentum > 0 and not self.dampening
        require(plain or not self.nesterov, "nesterov", "false without momentum or with dampening", self.nesterov)

    def slots(self, weight: Array) -> dict[str, Array]:
        return {}  # the velocity is born at the first step

    def update(
        self, weight: Array, dweight: Array, slots: Slots, learning_rate: float
    ) -> tuple[Array, dict[str, Array]]:
        g = dweight + self.weight_decay * weight if self.weight_decay else dweight
        if not self.momentum:
            return weight - learning_rate * g, {}
        velocity = self.momentum * slots["velocity"] + (1 - self.dampening) * g if slots else g
        direction = g + self.momentum * velocity if self.nesterov else velocity
        return weight - learning_rate * direction, {"velocity": velocity}


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


OPTIMIZERS: dict[str, type[Optimizer]] = {optimizer.kind: optimizer for optimizer in (SGD, Adam)}
"""Every optimizer by its kind."""
