"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..layers import Array
from .base import Decaying, Slots, Updated, elementwise, require

__all__ = ["SGD"]


@dataclass(frozen=True)
class SGD(Decaying):
    """Gradient descent, with momentum if wanted.

    ::

        g        = gradient + weight_decay * weight              (decoupled: gradient)
        velocity = momentum * velocity + (1 - dampening) * g     (at the first step: g)
        weight   = weight - learning_rate * velocity             (Nesterov: g + momentum * velocity)

    Without momentum there is no velocity, and g takes its place. The learning rate stays outside the velocity,
    so a change of the rate acts at once on all of it. Coupled weight decay passes through the velocity; decoupled, the
    weight is multiplied by ``1 - learning_rate * weight_decay`` before the update.

    =============  =========================================================
    symbol         argument
    =============  =========================================================
    η              ``learning_rate``, one number or one for each step
    μ              ``momentum``
    τ              ``dampening``, which the first step skips
    λ              ``weight_decay``, with ``decay`` for where it goes
    =============  =========================================================

    Same optimizer elsewhere: torch.optim.SGD, but for decoupled decay. optax.sgd has no dampening and keeps weight
    decay apart (optax.add_decayed_weights, before or after optax.trace). Keras decouples the decay and puts the
    learning rate inside the velocity; MLX dampens the first step too.

    Raises:
        CaseError: a negative rate, a momentum or dampening outside [0, 1), Nesterov without momentum or with
            dampening, dampening without momentum, decoupled decay without momentum (where it is the coupled one).

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

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("momentum", "dampening", below=1)
        self.require_used("decay", self.momentum > 0, "without momentum")
        require(self.momentum > 0 or not self.dampening, "dampening", "0 without momentum", self.dampening)
        plain = self.momentum > 0 and not self.dampening
        require(plain or not self.nesterov, "nesterov", "false without momentum or with dampening", self.nesterov)

    def slots(self, weight: Array) -> dict[str, Array]:
        return {}  # the velocity is born at the first step

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        g = self.with_decay(weight, dweight)
        if not self.momentum:
            return weight - learning_rate * g, {}
        velocity = self.momentum * slots["velocity"] + (1 - self.dampening) * g if slots else g
        direction = g + self.momentum * velocity if self.nesterov else velocity
        return self.decayed(weight, learning_rate) - learning_rate * direction, {"velocity": velocity}
