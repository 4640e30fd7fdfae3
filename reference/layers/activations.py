"""Functions applied to every element: relu, what squashes, and what is made of the logistic function. Any shape."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from .base import Array, Layer, Parameters, require_above_zero, zeros_where

__all__ = ["LogSigmoid", "Relu", "Sigmoid", "Softplus", "Softsign", "Tanh"]


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
        y = logistic(x)
        return y, y

    def backward(self, dy: Array, y: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = 1 / (1 + exp(-x)), so dy/dx = y (1 - y)
        dx = dy * (y * (1 - y))
        return dx, {}


def logistic(x: Array) -> Array:
    """``1 / (1 + exp(-x))``, from ``exp(-|x|)``, which cannot overflow."""
    e = np.exp(-np.abs(x))
    y: Array = np.where(x >= 0, np.ones_like(e), e) / (1 + e)
    return y


@dataclass(frozen=True)
class LogSigmoid(Layer):
    """Logarithm of the logistic function: ``y = log(1 / (1 + exp(-x)))``, with derivative ``1 / (1 + exp(x))``.

    Computed as ``-log(1 + exp(-x))``: far below 0, where the logistic function is 0 and has no logarithm, it is x.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.LogSigmoid, jax.nn.log_sigmoid.

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", eq. 2, for the
    logistic function.

    >>> import numpy as np
    >>> LogSigmoid().forward(np.array([-10000.0, 0.0]), {})[0].round(6)
    array([-1.00000e+04, -6.93147e-01])
    """

    kind: ClassVar[str] = "log_sigmoid"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        soft = log_one_plus_exp(-x)
        y = -soft
        return y, (x, soft)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        x, soft = saved
        # forward was: y = -soft
        dsoft = -dy
        # forward was: soft = log(1 + exp(-x)), so d soft / dx = -exp(-x) / (1 + exp(-x)) = -exp(-x - soft)
        dx = -dsoft * np.exp(-x - soft)
        return dx, {}


@dataclass(frozen=True)
class Softplus(Layer):
    """Smooth rectifier: ``y = log(1 + exp(beta x)) / beta``, with derivative ``1 / (1 + exp(-beta x))``.

    Where ``beta x`` is above the threshold, ``y = x`` with derivative 1 if what is ``beyond`` it is ``linear``; then
    y jumps there, by ``exp(-threshold) / beta``: 2e-9 at a threshold of 20, which float32 cannot see and float64 can.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Softplus (beta 1, threshold 20, linear beyond it); jax.nn.softplus, which has neither
    beta nor threshold and is exact; Paddle is as torch.

    Raises:
        CaseError: a beta that is not above 0.

    Source: Dugas, Bengio, Bélisle, Nadeau & Garcia 2001, "Incorporating second-order functional knowledge for better
    option pricing".

    >>> import numpy as np
    >>> Softplus().forward(np.array([-1.0, 0.0, 1.0, 10000.0]), {})[0].round(6)
    array([3.132620e-01, 6.931470e-01, 1.313262e+00, 1.000000e+04])
    """

    kind: ClassVar[str] = "softplus"

    beta: float = 1.0
    threshold: float = 20.0
    beyond: Literal["linear", "exact"] = "linear"

    def __post_init__(self) -> None:
        require_above_zero(self, "beta")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        z = self.beta * x
        soft = log_one_plus_exp(z)
        y = soft / self.beta
        if self.beyond == "linear":
            y = np.where(z > self.threshold, x, y)
        return y, (z, soft)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        z, soft = saved
        # forward was: y = soft / beta and z = beta x, which undo each other;
        # soft = log(1 + exp(z)), so d soft / dz = exp(z) / (1 + exp(z)) = exp(z - soft)
        dx = dy * np.exp(z - soft)
        if self.beyond == "linear":
            # forward was: y = x where z > threshold
            dx = np.where(z > self.threshold, dy, dx)
        return dx, {}


def log_one_plus_exp(x: Array) -> Array:
    """``log(1 + exp(x))``, from ``exp(-|x|)``, which cannot overflow: of exp(x) the logarithm is x."""
    y: Array = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
    return y


@dataclass(frozen=True)
class Softsign(Layer):
    """Quotient that nears 1: ``y = x / (1 + |x|)``, with derivative ``1 / (1 + |x|)^2``.

    At 0 both sides have the derivative 1.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Softsign, jax.nn.soft_sign. Both derive it by the rule for quotients, as here: far
    from 0 the rounding of y hides what is left of 1.

    Source: Bergstra, Desjardins, Lamblin & Bengio 2009, "Quadratic polynomials learn better image features".

    >>> import numpy as np
    >>> Softsign().forward(np.array([-3.0, 0.0, 1.0]), {})[0]
    array([-0.75,  0.  ,  0.5 ])
    """

    kind: ClassVar[str] = "softsign"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        divisor = 1 + np.abs(x)
        y = x / divisor
        return y, (y, divisor)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        y, divisor = saved
        # forward was: y = x / divisor, and d divisor / dx is the sign of x, which is that of y
        dx = dy / divisor - dy * np.abs(y) / divisor
        return dx, {}
