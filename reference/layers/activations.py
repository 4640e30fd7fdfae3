"""Functions applied to every element, and softmax, applied to every row. Any shape; softmax over the last axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..elementary import erf
from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, zeros_where

CUBIC = 0.044715
"""The factor of x^3 in the approximate GELU."""


@dataclass(frozen=True)
class Relu(Layer):
    """Rectified linear unit: ``y = max(x, 0)``. Its derivative at exactly 0 is 0.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.ReLU and jax.nn.relu also take 0 as the derivative at 0; home-made versions need
    not: the gradient of ``maximum(x, 0)`` there is one half in torch and in JAX.

    Source: Nair & Hinton 2010, "Rectified linear units improve restricted Boltzmann machines", section 2.

    >>> import numpy as np
    >>> Relu().forward(np.array([0.93412086, -0.89987134, 0.07139904, 0.63705336]), {})[0]
    array([0.93412086, 0.        , 0.07139904, 0.63705336])
    """

    kind: ClassVar[str] = "relu"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = np.maximum(x, 0)
        return y, y

    def backward(self, dy: Array, y: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = maximum(x, 0), and y is 0 just where x <= 0
        dx = zeros_where(y <= 0, dy)
        return dx, {}


@dataclass(frozen=True)
class Tanh(Layer):
    """Hyperbolic tangent: ``y = tanh(x)``, with derivative ``1 - tanh(x)^2``.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Tanh and jax.numpy.tanh; both keep the output and use it in the backward, as here.

    Source: LeCun, Bottou, Orr & Müller 1998, "Efficient BackProp", section 4.4.

    >>> import numpy as np
    >>> Tanh().forward(np.array([0.0, 1.0]), {})[0].round(6)
    array([0.      , 0.761594])
    """

    kind: ClassVar[str] = "tanh"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = np.tanh(x)
        return y, y

    def backward(self, dy: Array, y: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = tanh(x), so dy/dx = 1 - y^2
        dx = dy * (1 - y * y)
        return dx, {}


@dataclass(frozen=True)
class Sigmoid(Layer):
    """Logistic function: ``y = 1 / (1 + exp(-x))``, with derivative ``y (1 - y)``.

    Computed from ``exp(-|x|)``, which cannot overflow.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Sigmoid, jax.nn.sigmoid.

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", eq. 2.

    >>> import numpy as np
    >>> Sigmoid().forward(np.array([-1000.0, 0.0, 1000.0]), {})[0]
    array([0. , 0.5, 1. ])
    """

    kind: ClassVar[str] = "sigmoid"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        e = np.exp(-np.abs(x))
        y = np.where(x >= 0, np.ones_like(e), e) / (1 + e)
        return y, y

    def backward(self, dy: Array, y: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = 1 / (1 + exp(-x)), so dy/dx = y (1 - y)
        dx = dy * (y * (1 - y))
        return dx, {}


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


def pi(like: Array) -> Array:
    """Pi, in the dtype and the arithmetic of an array."""
    value: Array = 4 * np.arctan(np.ones_like(like, shape=()))
    return value


def root(number: float | Array, like: Array) -> Array:
    """The square root of a number, in the dtype and the arithmetic of an array."""
    result: Array = np.sqrt(np.ones_like(like, shape=()) * number)
    return result


@dataclass(frozen=True)
class Softmax(Layer):
    """Softmax of every row: ``y_i = exp(x_i) / sum_j exp(x_j)`` over the last axis.

    The row's maximum is subtracted first, which changes nothing but the size of the exponentials.
    Its Jacobian is full, ``dy_i/dx_j = y_i (1{i = j} - y_j)``: the diagonal alone is a common mistake.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Softmax(dim=-1), jax.nn.softmax(axis=-1).

    Raises:
        CaseError: an input without an axis to normalise.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs", eq. 2.

    >>> import numpy as np
    >>> Softmax().forward(np.log(np.array([[1.0, 2.0, 5.0]])), {})[0].round(12)
    array([[0.125, 0.25 , 0.625]])
    """

    kind: ClassVar[str] = "softmax"

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if not x:
            raise CaseError("an input with at least one axis", f"shape {x}")
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y

    def backward(self, dy: Array, y: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = exp(x) / sum exp(x), so dx_j = sum_i dy_i y_i (1{i = j} - y_j)
        dx = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
        return dx, {}
