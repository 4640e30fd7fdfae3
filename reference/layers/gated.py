"""What is multiplied by a gate between 0 and 1: by one of its own, or by that of another value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..elementary import erf, pi, root
from ..errors import CaseError
from .activations import log_one_plus_exp, logistic
from .base import Array, Layer, Parameters, Shape

__all__ = ["Gelu", "Glu", "Mish", "Silu", "SwiGlu"]

CUBIC = 0.044715
"""The factor of x^3 in the approximate GELU."""


@dataclass(frozen=True)
class Gelu(Layer):
    """Gaussian error linear unit: ``y = x Phi(x)``, with Phi the standard normal distribution.

    ``Phi(x) = (1 + erf(x / sqrt(2))) / 2``, with derivative ``phi(x) = exp(-x^2 / 2) / sqrt(2 pi)``; or, approximately,
    ``Phi(x) = (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) / 2``, which is off by 5e-4 at most.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.GELU is exact unless it is asked for ``approximate="tanh"``, jax.nn.gelu is
    approximate unless it is told ``approximate=False``, and computes erfc: far below 0, where 1 + erf cancels, it is
    the more exact of the two. Keras has either default, by the name that it is called by.

    Source: Hendrycks & Gimpel 2016, "Gaussian error linear units", section 2.

    >>> Gelu().forward(np.array([-1.0, 0.0, 2.0]), {})[0].round(6)
    array([-0.158655,  0.      ,  1.9545  ])
    >>> Gelu("tanh").forward(np.array([-1.0, 0.0, 2.0]), {})[0].round(6)
    array([-0.158808,  0.      ,  1.954598])
    """

    kind: ClassVar[str] = "gelu"

    approximate: Literal["none", "tanh"] = "none"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        if self.approximate == "none":
            distribution = (1 + erf(x / root(2, x))) / 2
        else:
            distribution = (1 + np.tanh(x * (1 + CUBIC * (x * x)) * root(2 / pi(x), x))) / 2
        y = x * distribution
        return y, (x, distribution)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        x, distribution = saved
        if self.approximate == "none":
            # forward was: distribution = (1 + erf(x / sqrt(2))) / 2, and d erf(t) / dt = 2 / sqrt(pi) * exp(-t^2)
            density = np.exp(-(x * x) / 2) / root(2 * pi(x), x)
        else:
            # forward was: distribution = (1 + tanh(inner)) / 2, inner = sqrt(2 / pi) (x + 0.044715 x^3), and
            # d tanh / d inner = (1 + tanh) (1 - tanh), which is 4 distribution (1 - distribution)
            dinner = (1 + 3 * (CUBIC * (x * x))) * root(2 / pi(x), x)
            density = 2 * distribution * (1 - distribution) * dinner
        # forward was: y = x * distribution
        dx = dy * (distribution + x * density)
        return dx, {}


@dataclass(frozen=True)
class Silu(Layer):
    """Sigmoid linear unit, or swish: ``y = x s(x)`` with the logistic function ``s(x) = 1 / (1 + exp(-x))``.

    Its derivative is ``s(x) (1 + x (1 - s(x)))``.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.SiLU, jax.nn.silu, which is jax.nn.swish, keras.activations.silu.

    Source: Elfwing, Uchibe & Doya 2018, "Sigmoid-weighted linear units for neural network function approximation in
    reinforcement learning".

    >>> Silu().forward(np.array([-1.0, 0.0, 2.0]), {})[0].round(6)
    array([-0.268941,  0.      ,  1.761594])
    """

    kind: ClassVar[str] = "silu"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        gate = logistic(x)
        y = x * gate
        return y, (x, gate)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        x, gate = saved
        # forward was: y = x * gate, and gate = 1 / (1 + exp(-x)), so d gate / dx = gate (1 - gate)
        dx = dy * (gate * (1 + x * (1 - gate)))
        return dx, {}


@dataclass(frozen=True)
class Mish(Layer):
    """``y = x tanh(log(1 + exp(x)))``: the gate is tanh of the softplus.

    Its derivative is ``gate + x (1 - gate^2) s(x)``, with the logistic function ``s(x) = 1 / (1 + exp(-x))``.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Mish, jax.nn.mish.

    Source: Misra 2019, "Mish: a self regularized non-monotonic activation function".

    >>> Mish().forward(np.array([-1.0, 0.0, 2.0]), {})[0].round(6)
    array([-0.303401,  0.      ,  1.943959])
    """

    kind: ClassVar[str] = "mish"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array, Array]]:
        soft = log_one_plus_exp(x)
        gate = np.tanh(soft)
        y = x * gate
        return y, (x, gate, soft)

    def backward(
        self, dy: Array, saved: tuple[Array, Array, Array], params: Parameters
    ) -> tuple[Array, dict[str, Array]]:
        x, gate, soft = saved
        # forward was: gate = tanh(soft), and soft = log(1 + exp(x)), so d soft / dx = exp(x - soft)
        slope = (1 - gate * gate) * np.exp(x - soft)
        # forward was: y = x * gate
        dx = dy * (gate + x * slope)
        return dx, {}


@dataclass(frozen=True)
class Glu(Layer):
    """Gated linear unit: ``y = a s(b)``, with a and b the halves of the last axis and ``s(b) = 1 / (1 + exp(-b))``.

    The first half is let through, the second is the gate.

    Shapes: x (..., 2 C); y (..., C).

    Same layer elsewhere: torch.nn.GLU(dim=-1), jax.nn.glu(axis=-1), both with the gate in the second half.

    Raises:
        CaseError: an input whose last axis has no halves.

    Source: Dauphin, Fan, Auli & Grangier 2017, "Language modeling with gated convolutional networks", eq. 1.

    >>> Glu().forward(np.array([[3.0, 4.0, 0.0, 1000.0]]), {})[0]
    array([[1.5, 4. ]])
    """

    kind: ClassVar[str] = "glu"

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if not x or x[-1] % 2:
            raise CaseError("an input whose last axis has two halves", f"shape {x}")
        return (*x[:-1], x[-1] // 2)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        half = x.shape[-1] // 2
        a = x[..., :half]
        gate = logistic(x[..., half:])
        y = a * gate
        return y, (a, gate)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        a, gate = saved
        # forward was: y = a * gate
        da = dy * gate
        dgate = dy * a
        # forward was: gate = 1 / (1 + exp(-b)), so d gate / db = gate (1 - gate)
        db = dgate * (gate * (1 - gate))
        # forward was: a and b are the halves of x
        dx = np.concatenate([da, db], axis=-1)
        return dx, {}


@dataclass(frozen=True)
class SwiGlu(Layer):
    """A value gated by the swish of another: ``y = gate s(gate) value`` with ``s(gate) = 1 / (1 + exp(-gate))``.

    It takes the two, in this order. Each comes from a dense layer of its own, ``gate`` and ``up`` in most networks.

    Shapes: gate, value and y alike.

    Same layer elsewhere: no framework has it as one operation; written out it is ``silu(gate) * value``. Some keep
    gate and value in one weight, as the halves of what it gives, and not all have the gate first.

    Raises:
        CaseError: shapes that differ.

    Source: Shazeer 2020, "GLU variants improve Transformer", eq. 5.

    >>> SwiGlu().forward(np.array([0.0, 1000.0]), np.array([3.0, 0.5]), {})[0]
    array([  0., 500.])
    """

    kind: ClassVar[str] = "swiglu"
    arity: ClassVar[int] = 2

    def output_shape(self, *shapes: Shape) -> Shape:
        gate, value = shapes
        if gate != value:
            raise CaseError("a gate and a value of equal shape", f"{gate} and {value}", key="from")
        return gate

    def forward(self, gate: Array, value: Array, params: Parameters) -> tuple[Array, tuple[Array, Array, Array, Array]]:
        sigmoid = logistic(gate)
        swish = gate * sigmoid
        y = swish * value
        return y, (gate, value, sigmoid, swish)

    def backward(
        self, dy: Array, saved: tuple[Array, Array, Array, Array], params: Parameters
    ) -> tuple[tuple[Array, Array], dict[str, Array]]:
        gate, value, sigmoid, swish = saved
        # forward was: y = swish * value
        dvalue = dy * swish
        dswish = dy * value
        # forward was: swish = gate * sigmoid, and sigmoid = 1 / (1 + exp(-gate))
        dgate = dswish * (sigmoid * (1 + gate * (1 - sigmoid)))
        return (dgate, dvalue), {}
