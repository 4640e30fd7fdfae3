"""Optimizers for which a weight is a matrix, and not so many numbers: Adafactor, which remembers its rows and columns
alone, and Muon, which makes its steps orthogonal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..errors import CaseError
from ..layers import Array, Shape
from .base import Optimizer, Slots, Updated, average, require

__all__ = ["Adafactor", "Muon"]


@dataclass(frozen=True)
class Adafactor(Optimizer):
    """Adam's spread from the means of each row and each column, without momentum, in steps relative to the weight.

    ::

        step            = step + 1
        forgotten       = step^-decay_rate
        row_variance    = (1 - forgotten) * row_variance    + forgotten * mean(gradient^2 over columns)
        column_variance = (1 - forgotten) * column_variance + forgotten * mean(gradient^2 over rows)
        v               = row_variance * column_variance / max(mean(row_variance), epsilon)
        u               = gradient / sqrt(max(v, epsilon^2))
        u               = u / max(1, rms(u) / clip)
        size            = max(smallest_scale, rms(weight)) * min(learning_rate, 1 / sqrt(step))
        weight          = weight * (1 - learning_rate * weight_decay) - size * u

    ``rms`` is the root of the mean of squares, over the whole tensor. Rows and columns are those of the last two axes;
    a vector has none, and its ``variance`` is that of each element, made in the same way.

    ``epsilon_in`` says where the epsilon stands: as a ``floor``, as above, or in the ``squares``, ``gradient^2 +
    epsilon^2``, and then nowhere else. With ``rate = "plain"`` the size is that of ``learning_rate`` alone, not
    ``capped`` by the number of the step.

    Same optimizer elsewhere: torch.optim.Adafactor, floor and capped. optax.adafactor has ``epsilon^2`` in the squares,
    a plain rate, no decay by the learning rate, factors only what is at least 128 by 128 unless told otherwise, by its
    two longest axes, and computes ``forgotten`` in float32 whatever the dtype. The paper has it in the squares, and
    capped.

    Raises:
        CaseError: a negative rate, decay or scale, an epsilon that is not above 0, a clip below 1.

    Source: Shazeer & Stern 2018, "Adafactor: adaptive learning rates with sublinear memory cost", algorithms 4 and 5.

    >>> import numpy as np
    >>> adafactor = Adafactor(0.5)
    >>> weight, gradient = np.ones((2, 3)), np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    >>> weight, slots = adafactor.update(weight, gradient, adafactor.slots(weight), 0.5)
    >>> weight.round(12)[0], slots["row_variance"].shape, slots["column_variance"].shape  # of rank 1, v is exact
    (array([0.5, 0.5, 0.5]), (2, 1), (1, 3))
    """

    kind: ClassVar[str] = "adafactor"

    decay_rate: float = 0.8
    epsilon: float = 1e-15
    smallest_scale: float = 1e-3
    clip: float = 1.0
    weight_decay: float = 0.0
    epsilon_in: Literal["floor", "squares"] = "floor"
    rate: Literal["capped", "plain"] = "capped"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("decay_rate", "smallest_scale", "weight_decay")
        require(0 < self.epsilon < np.inf, "epsilon", "a number above 0", self.epsilon)
        require(1 <= self.clip < np.inf, "clip", "a number of at least 1", self.clip)

    def slots(self, weight: Array) -> dict[str, Array]:
        step = {"step": np.zeros_like(weight, shape=())}
        if weight.ndim < 2:
            return {**step, "variance": np.zeros_like(weight)}
        *before, rows, columns = weight.shape
        return {
            **step,
            "row_variance": np.zeros_like(weight, shape=(*before, rows, 1)),
            "column_variance": np.zeros_like(weight, shape=(*before, 1, columns)),
        }

    def variances(self, dweight: Array, slots: Slots) -> dict[str, Array]:
        """What is remembered after a gradient."""
        step = slots["step"] + 1
        forgotten = np.exp(-self.decay_rate * np.log(step))
        squares = dweight * dweight
        if self.epsilon_in == "squares":
            squares = squares + self.epsilon * self.epsilon
        made = {"variance": squares}
        if "variance" not in slots:
            made = {"row_variance": mean(squares, -1), "column_variance": mean(squares, -2)}
        return {"step": step} | {
            slot: (1 - forgotten) * slots[slot] + forgotten * latest for slot, latest in made.items()
        }

    def variance(self, new: Slots) -> Array:
        """The spread of every element's gradients, squared."""
        if "variance" in new:
            v = new["variance"]
        else:
            whole = mean(new["row_variance"], -2)
            whole = np.maximum(whole, self.epsilon) if self.epsilon_in == "floor" else whole
            v = new["row_variance"] * new["column_variance"] / whole
        return np.maximum(v, self.epsilon * self.epsilon) if self.epsilon_in == "floor" else v

    def clipped(self, u: Array) -> Array:
        """A step whose mean square is at most that of ``clip``."""
        return u / np.maximum(rms(u) / self.clip, 1)

    def scale(self, weight: Array) -> Array:
        """The size of the weight, to which steps are relative."""
        return np.maximum(rms(weight), self.smallest_scale)

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        new = self.variances(dweight, slots)
        u = self.clipped(dweight / np.sqrt(self.variance(new)))
        size = self.scale(weight) * self.capped(new["step"], learning_rate)
        start = weight * (1 - learning_rate * self.weight_decay) if self.weight_decay else weight
        return start - size * u, new

    def capped(self, step: Array, learning_rate: float) -> Array | float:
        """The learning rate, or what the number of the step allows of it."""
        return -np.maximum(-1 / np.sqrt(step), -learning_rate) if self.rate == "capped" else learning_rate


@dataclass(frozen=True)
class Muon(Optimizer):
    """Momentum made orthogonal: every direction in which a matrix is to move gets a step of about the same size.

    ::

        step         = step + 1
        first_moment = momentum * first_moment + (1 - momentum) * gradient
        m            = first_moment / (1 - momentum^step)
                       (nesterov: momentum * first_moment / (1 - momentum^(step + 1))
                                  + (1 - momentum) * gradient / (1 - momentum^step))
        X            = m / (norm(m) + epsilon)
        X            = a X + (b X X^T + c (X X^T)^2) X            (iterations times)
        weight       = weight * (1 - learning_rate * weight_decay) - learning_rate * scale * X

    The iteration, of Newton and Schulz, brings the singular values of X near 1; with the usual coefficients between 0.7
    and 1.2, for the sake of speed. Of a matrix with more rows than columns it takes the transpose. A weight is a matrix
    (inputs, outputs), and nothing else: freeze all others.

    Without ``bias_correction`` the divisors are 1; but for the epsilon that only changes what Nesterov's term weighs.
    ``scale`` is ``original``, ``sqrt(max(1, outputs / inputs))``; ``match_rms``, ``0.2 sqrt(max(inputs, outputs))``; or
    ``none``.

    Same optimizer elsewhere: optax.contrib.muon, as above, with AdamW for all that is no matrix. torch.optim.Muon
    corrects no bias, takes the larger of norm and epsilon, and computes the iteration in bfloat16, whatever the dtype.
    Defaults of the decay: 0.1 in torch, 0 in optax, 0.004 in Keras, 0.01 in MLX.

    Raises:
        CaseError: a negative rate, epsilon or decay, a momentum outside [0, 1), fewer than one iteration, a weight that
            is no matrix.

    Source: Jordan, Jin, Boza, You, Cesista, Newhouse & Bernstein 2024, "Muon: an optimizer for hidden layers in neural
    networks"; match_rms: Liu et al. 2025, "Muon is scalable for LLM training".

    >>> import numpy as np
    >>> muon = Muon(1.0, coefficients=(1.5, -0.5, 0.0), iterations=20)
    >>> weight, gradient = np.zeros((2, 2)), np.array([[0.0, 4.0], [1.0, 0.0]])
    >>> muon.update(weight, gradient, muon.slots(weight), 1.0)[0].round(6)
    array([[ 0., -1.],
           [-1.,  0.]])
    """

    kind: ClassVar[str] = "muon"

    momentum: float = 0.95
    nesterov: bool = True
    coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315)
    iterations: int = 5
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    bias_correction: bool = True
    scale: Literal["original", "match_rms", "none"] = "original"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("momentum", below=1)
        self.require_number("epsilon", "weight_decay")
        require(self.iterations >= 1, "iterations", "a whole number of at least 1", self.iterations)
        self.require_used("nesterov", self.momentum > 0, "without momentum")
        self.require_used("bias_correction", self.momentum > 0 and self.nesterov, "without Nesterov's momentum")

    def check_weight(self, shape: Shape) -> None:
        if len(shape) != 2:
            raise CaseError("a matrix, or a place among the frozen: muon updates nothing else", f"shape {shape}")

    def slots(self, weight: Array) -> dict[str, Array]:
        return {"step": np.zeros_like(weight, shape=()), "first_moment": np.zeros_like(weight)}

    def mean(self, dweight: Array, new: Slots) -> Array:
        """The mean of the gradients that is made orthogonal."""
        before, step = new["first_moment"], new["step"]
        if not self.nesterov:
            return self.corrected(before, step)
        latest = (1 - self.momentum) * self.corrected(dweight, step)
        return self.momentum * self.corrected(before, step + 1) + latest

    def corrected(self, moment: Array, step: Array) -> Array:
        """A moment without its bias, or as it is."""
        return moment / (1 - self.momentum**step) if self.bias_correction else moment

    def orthogonal(self, m: Array) -> Array:
        """The matrix with its singular values brought near 1."""
        a, b, c = self.coefficients
        tall = m.shape[0] > m.shape[1]
        x = self.unit(m.T if tall else m)
        for _ in range(self.iterations):
            gram = x @ x.T
            x = a * x + (b * gram + c * (gram @ gram)) @ x
        return x.T if tall else x

    def unit(self, m: Array) -> Array:
        """The matrix with no singular value above 1."""
        unit: Array = m / (np.sqrt((m * m).sum()) + self.epsilon)
        return unit

    def scaled(self, x: Array) -> Array:
        """The step as long as its shape asks for."""
        inputs, outputs = x.shape
        if self.scale == "none" or (self.scale == "original" and outputs <= inputs):
            return x
        if self.scale == "match_rms":
            factor = 0.2 * np.sqrt(np.full_like(x, max(inputs, outputs), shape=()))
        else:
            factor = np.sqrt(np.full_like(x, outputs, shape=()) / inputs)
        scaled: Array = x * factor
        return scaled

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        first_moment = average(slots["first_moment"], dweight, self.momentum)
        new = {"step": slots["step"] + 1, "first_moment": first_moment}
        direction = self.scaled(self.orthogonal(self.mean(dweight, new)))
        start = weight * (1 - learning_rate * self.weight_decay) if self.weight_decay else weight
        return start - learning_rate * direction, new


def mean(x: Array, axis: int) -> Array:
    """The mean along an axis, which stays, of length 1."""
    mean: Array = x.sum(axis=axis, keepdims=True) / x.shape[axis]
    return mean


def rms(x: Array) -> Array:
    """The root of the mean of squares, of the whole tensor."""
    root: Array = np.sqrt((x * x).sum() / x.size)
    return root
