"""Optimizers that look at the sign of the gradient alone: all elements of a weight move by steps of one size, or of
sizes of their own that the gradient's magnitude has no part in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from ..layers import Array
from .base import Decaying, Optimizer, Slots, Updated, average, elementwise, require

__all__ = ["Lion", "Rprop"]


@dataclass(frozen=True)
class Lion(Decaying):
    """Evolved sign momentum: the sign of a mean of the gradients, which the next mean forgets more slowly.

    ::

        g            = gradient                                (coupled: gradient + weight_decay * weight)
        direction    = sign(beta1 * first_moment + (1 - beta1) * g)
        first_moment = beta2 * first_moment + (1 - beta2) * g
        weight       = weight * (1 - learning_rate * weight_decay) - learning_rate * direction

    The sign of 0 is 0. The direction is made before the moment is: by the moment of the step before.

    Same optimizer elsewhere: optax.lion, with a decay of 1e-3; Keras' and MLX's, with none. torch.optim has none.

    Raises:
        CaseError: a negative rate or decay, a beta outside [0, 1), coupled decay without any.

    Source: Chen, Liang, Huang, Real, Wang, Liu, Pham, Dong, Luong, Hsieh, Lu & Le 2023, "Symbolic discovery of
    optimization algorithms", algorithm 2.

    >>> import numpy as np
    >>> lion = Lion(0.5, beta2=0.5)
    >>> weight, slots = lion.update(np.array([1.0, 1.0]), np.array([-3.0, 0.0]), lion.slots(np.zeros(2)), 0.5)
    >>> weight, slots["first_moment"]
    (array([1.5, 1. ]), array([-1.5,  0. ]))
    """

    kind: ClassVar[str] = "lion"

    beta1: float = 0.9
    beta2: float = 0.99
    decay: Literal["coupled", "decoupled"] = field(default="decoupled", kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("beta1", "beta2", below=1)

    def slots(self, weight: Array) -> dict[str, Array]:
        return {"first_moment": np.zeros_like(weight)}

    def mean(self, g: Array, first_moment: Array) -> Array:
        """What the sign is taken of."""
        return average(first_moment, g, self.beta1)

    def moment(self, g: Array, first_moment: Array) -> Array:
        """What is remembered."""
        return average(first_moment, g, self.beta2)

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        g = self.with_decay(weight, dweight)
        direction = sign(self.mean(g, slots["first_moment"]))
        updated = self.decayed(weight, learning_rate) - learning_rate * direction
        return updated, {"first_moment": self.moment(g, slots["first_moment"])}


@dataclass(frozen=True)
class Rprop(Optimizer):
    """Resilient backpropagation: each element has a step size, which grows while the sign of its gradient stays.

    ::

        turn              = sign(gradient * previous_gradient)
        step_size         = step_size * (grow where turn > 0, shrink where turn < 0, 1 where it is 0)
        step_size         = min(max(step_size, smallest), largest)
        g                 = gradient                          (0 where turn < 0)
        weight            = weight - sign(g) * step_size
        previous_gradient = g

    Where the sign has changed the element waits for one step. Of gradients so small that their product is 0 in the
    dtype (in float16, below 2e-4 both) it counts as unchanged. The learning rate of the first step is the size of every
    step at the start; the others have no meaning here.

    ``applies`` is which step the weight takes: ``this``, as above, or the ``last`` one, as optax does, where the weight
    is one step late, and what is remembered is that step::

        step            = sign(gradient) * step_size          (0 where turn < 0)
        weight          = weight - previous_update            (0 where turn < 0)
        previous_update = step

    with the sign of ``previous_update`` for that of the previous gradient, and step sizes kept to their bounds only
    where they change.

    Same optimizer elsewhere: torch.optim.Rprop; optax.rprop, which is one step late, and takes no schedule. The paper
    also takes back the step that went too far.

    Raises:
        CaseError: a negative rate, a shrink outside (0, 1), a grow below 1, bounds that are not in order.

    Source: Riedmiller & Braun 1993, "A direct adaptive method for faster backpropagation learning: the RPROP
    algorithm"; without taking back: Igel & Hüsken 2003, "Empirical evaluation of the improved Rprop learning
    algorithms", iRprop-.

    >>> import numpy as np
    >>> rprop = Rprop(0.5, grow=2.0)
    >>> weight, slots = rprop.update(np.zeros(2), np.array([-3.0, 1.0]), rprop.slots(np.zeros(2)), 0.5)
    >>> weight, slots = rprop.update(weight, np.array([-9.0, -1.0]), slots, 0.5)
    >>> weight, slots["step_size"]
    (array([ 1.5, -0.5]), array([1.  , 0.25]))
    """

    kind: ClassVar[str] = "rprop"

    shrink: float = 0.5
    grow: float = 1.2
    smallest: float = 1e-6
    largest: float = 50.0
    applies: Literal["this", "last"] = "this"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.shrink < 1, "shrink", "a number in (0, 1)", self.shrink)
        require(1 < self.grow < np.inf, "grow", "a number above 1", self.grow)
        self.require_number("smallest")
        require(self.smallest <= self.largest < np.inf, "largest", "a number of at least smallest", self.largest)

    def slots(self, weight: Array) -> dict[str, Array]:
        rate = self.learning_rates(1)[0]
        before = "previous_gradient" if self.applies == "this" else "previous_update"
        return {"step_size": np.full_like(weight, rate), before: np.zeros_like(weight)}

    def resized(self, step_size: Array, turn: Array) -> Array:
        """The step sizes after a gradient."""
        grown, shrunk = np.full_like(turn, self.grow), np.full_like(turn, self.shrink)
        factor = np.where(turn > 0, grown, np.where(turn < 0, shrunk, np.ones_like(turn)))
        size = step_size * factor
        bounded = -np.maximum(-np.maximum(size, self.smallest), -self.largest)
        return bounded if self.applies == "this" else np.where(turn * turn > 0, bounded, step_size)

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        if self.applies == "last":
            return self.update_late(weight, dweight, slots)
        turn = sign(dweight * slots["previous_gradient"])
        step_size = self.resized(slots["step_size"], turn)
        g = np.where(turn < 0, np.zeros_like(dweight), dweight)
        return weight - sign(g) * step_size, {"step_size": step_size, "previous_gradient": g}

    def update_late(self, weight: Array, dweight: Array, slots: Slots) -> Updated:
        """The update by the step of before."""
        before, zero = slots["previous_update"], np.zeros_like(dweight)
        turn = sign(dweight * before)
        step_size = self.resized(slots["step_size"], turn)
        step = np.where(turn < 0, zero, sign(dweight) * step_size)
        return weight - np.where(turn < 0, zero, before), {"step_size": step_size, "previous_update": step}


def sign(x: Array) -> Array:
    """1 where a number is above 0, -1 where it is below, 0 where it is 0."""
    one = np.ones_like(x)
    return np.where(x > 0, one, np.where(x < 0, -one, np.zeros_like(x)))
