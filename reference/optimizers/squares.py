"""AdaGrad and what came of it: each element's step is divided by the size of the gradients that it has had."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..layers import Array
from .base import Decaying, Slots, Updated, average, elementwise, require

__all__ = ["Adadelta", "Adagrad", "RMSprop"]


@dataclass(frozen=True)
class Adagrad(Decaying):
    """Adaptive gradient: each element's step shrinks by the root of the sum of all its squared gradients.

    ::

        g              = gradient + weight_decay * weight     (decoupled: gradient)
        sum_of_squares = sum_of_squares + g^2                 (at first: initial_accumulator)
        weight         = weight - learning_rate * g / (sqrt(sum_of_squares) + epsilon)

    ``epsilon_in`` says whether the epsilon stands ``outside`` the root, or in the ``root``,
    ``sqrt(sum_of_squares + epsilon)``.

    Same optimizer elsewhere: torch.optim.Adagrad, outside, from 0, with an epsilon of 1e-10; optax.adagrad, in the
    root, from 0.1, with 1e-7, as Keras has it. MLX and Paddle start at 0, with 1e-8 and 1e-6.

    Raises:
        CaseError: a negative rate, epsilon, decay or initial accumulator, a convention that makes no difference and
            does not have its default.

    Source: Duchi, Hazan & Singer 2011, "Adaptive subgradient methods for online learning and stochastic optimization",
    Journal of Machine Learning Research 12, the diagonal version.

    >>> import numpy as np
    >>> adagrad = Adagrad(0.5, epsilon=0.0)
    >>> weight, slots = adagrad.update(np.array([1.0]), np.array([3.0]), adagrad.slots(np.array([1.0])), 0.5)
    >>> weight, slots = adagrad.update(weight, np.array([4.0]), slots, 0.5)
    >>> weight.round(12), slots["sum_of_squares"]
    (array([0.1]), array([25.]))
    """

    kind: ClassVar[str] = "adagrad"

    epsilon: float = 1e-10
    initial_accumulator: float = 0.0
    epsilon_in: Literal["outside", "root"] = "outside"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("epsilon", "initial_accumulator")
        self.require_used("epsilon_in", self.epsilon > 0, "without an epsilon")

    def slots(self, weight: Array) -> dict[str, Array]:
        return {"sum_of_squares": np.full_like(weight, self.initial_accumulator)}

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        g = self.with_decay(weight, dweight)
        sum_of_squares = slots["sum_of_squares"] + g * g
        step = g / root(sum_of_squares, self.epsilon, self.epsilon_in)
        return self.decayed(weight, learning_rate) - learning_rate * step, {"sum_of_squares": sum_of_squares}


@dataclass(frozen=True)
class RMSprop(Decaying):
    """Each element's step is divided by the root of the moving average of its squared gradients.

    ::

        g                = gradient + weight_decay * weight     (decoupled: gradient)
        square_average   = rho * square_average + (1 - rho) * g^2
        gradient_average = rho * gradient_average + (1 - rho) * g
        s                = square_average                       (centred: square_average - gradient_average^2)
        velocity         = momentum * velocity + g / (sqrt(s) + epsilon)
        weight           = weight - learning_rate * velocity

    Without momentum there is no velocity, and the quotient takes its place; where it is not centred there is no average
    of the gradient. ``epsilon_in`` says whether the epsilon stands ``outside`` the root or in the ``root``,
    ``sqrt(s + epsilon)``, and ``rate_in`` where the learning rate does: ``outside`` the velocity, or in the
    ``velocity``, which then is what the weight moves by::

        velocity = momentum * velocity - learning_rate * g / (sqrt(s) + epsilon)
        weight   = weight + velocity

    Same optimizer elsewhere: torch.optim.RMSprop, both outside, with a rho (``alpha``) of 0.99; MLX's, outside too.
    optax.rmsprop has the epsilon in the root unless told otherwise, and the rate in the velocity; its rho is 0.9, as in
    Keras, which has both inside, and with the opposite sign of velocity. TensorFlow 1 started the average at 1.

    Raises:
        CaseError: a negative rate, epsilon, decay or initial accumulator, a rho or momentum outside [0, 1), a
            convention that makes no difference and does not have its default.

    Source: Tieleman & Hinton 2012, "Lecture 6.5: rmsprop", COURSERA: Neural networks for machine learning; centred:
    Graves 2013, "Generating sequences with recurrent neural networks", eq. 38-45.

    >>> import numpy as np
    >>> rmsprop = RMSprop(0.5, rho=0.75, epsilon=0.0)
    >>> weight, slots = rmsprop.update(np.array([1.0]), np.array([3.0]), rmsprop.slots(np.array([1.0])), 0.5)
    >>> weight, slots["square_average"]
    (array([0.]), array([2.25]))
    """

    kind: ClassVar[str] = "rmsprop"

    rho: float = 0.99
    momentum: float = 0.0
    epsilon: float = 1e-8
    centred: bool = False
    initial_accumulator: float = 0.0
    epsilon_in: Literal["outside", "root"] = "outside"
    rate_in: Literal["outside", "velocity"] = "outside"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("rho", "momentum", below=1)
        self.require_number("epsilon", "initial_accumulator")
        self.require_used("epsilon_in", self.epsilon > 0, "without an epsilon")
        self.require_used("rate_in", self.momentum > 0, "without momentum")
        require(self.rho > 0 or not self.centred, "centred", "false with a rho of 0", self.centred)

    def slots(self, weight: Array) -> dict[str, Array]:
        slots = {"square_average": np.full_like(weight, self.initial_accumulator)}
        if self.centred:
            slots["gradient_average"] = np.zeros_like(weight)
        if self.momentum:
            slots["velocity"] = np.zeros_like(weight)
        return slots

    def averages(self, g: Array, slots: Slots) -> dict[str, Array]:
        """What is remembered of the gradients."""
        new = {"square_average": self.rho * slots["square_average"] + (1 - self.rho) * (g * g)}
        if self.centred:
            new["gradient_average"] = average(slots["gradient_average"], g, self.rho)
        return new

    def square(self, new: Slots) -> Array:
        """The size of the gradients, squared, about 0 or about their mean."""
        s = new["square_average"]
        return s - new["gradient_average"] * new["gradient_average"] if self.centred else s

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        g = self.with_decay(weight, dweight)
        new = self.averages(g, slots)
        start, step = self.decayed(weight, learning_rate), g / root(self.square(new), self.epsilon, self.epsilon_in)
        if not self.momentum:
            return start - learning_rate * step, new
        if self.rate_in == "velocity":
            velocity = self.momentum * slots["velocity"] - learning_rate * step
            return start + velocity, {**new, "velocity": velocity}
        velocity = self.momentum * slots["velocity"] + step
        return start - learning_rate * velocity, {**new, "velocity": velocity}


@dataclass(frozen=True)
class Adadelta(Decaying):
    """RMSprop whose step is also as large as earlier steps were, so that it has the weights' own unit.

    ::

        g              = gradient + weight_decay * weight     (decoupled: gradient)
        square_average = rho * square_average + (1 - rho) * g^2
        delta          = sqrt(delta_average + epsilon) / sqrt(square_average + epsilon) * g
        delta_average  = rho * delta_average + (1 - rho) * delta^2
        weight         = weight - learning_rate * delta

    The first step is about ``sqrt(epsilon)``, whatever the gradient: here the epsilon is what starts everything.

    Same optimizer elsewhere: torch.optim.Adadelta, with a learning rate of 1; optax.adadelta; Keras' Adadelta, with a
    rho of 0.95, an epsilon of 1e-7 and a learning rate of 1e-3.

    Raises:
        CaseError: a negative rate or decay, a rho outside [0, 1), an epsilon that is not above 0, decoupled decay
            without any.

    Source: Zeiler 2012, "ADADELTA: an adaptive learning rate method", algorithm 1.

    >>> import numpy as np
    >>> adadelta = Adadelta(1.0, rho=0.75, epsilon=0.25)
    >>> weight, slots = adadelta.update(np.array([1.0]), np.array([3.0]), adadelta.slots(np.array([1.0])), 1.0)
    >>> weight.round(6), slots["delta_average"].round(6)
    (array([0.051317]), array([0.225]))
    """

    kind: ClassVar[str] = "adadelta"

    rho: float = 0.9
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("rho", below=1)
        require(0 < self.epsilon < np.inf, "epsilon", "a number above 0", self.epsilon)

    def slots(self, weight: Array) -> dict[str, Array]:
        return {"square_average": np.zeros_like(weight), "delta_average": np.zeros_like(weight)}

    def delta(self, g: Array, square_average: Array, delta_average: Array) -> Array:
        """The step, before the learning rate."""
        return np.sqrt(delta_average + self.epsilon) / np.sqrt(square_average + self.epsilon) * g

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        g = self.with_decay(weight, dweight)
        square_average = self.rho * slots["square_average"] + (1 - self.rho) * (g * g)
        delta = self.delta(g, square_average, slots["delta_average"])
        delta_average = self.rho * slots["delta_average"] + (1 - self.rho) * (delta * delta)
        updated = self.decayed(weight, learning_rate) - learning_rate * delta
        return updated, {"square_average": square_average, "delta_average": delta_average}


def root(square: Array, epsilon: float, epsilon_in: str) -> Array:
    """What a gradient is divided by."""
    return np.sqrt(square + epsilon) if epsilon_in == "root" else np.sqrt(square) + epsilon
