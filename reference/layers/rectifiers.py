"""What became of relu: above 0 the identity, below 0 a line or an exponential. Any shape, but for PReLU's channels.

Where the two pieces meet at an angle the derivative at exactly 0 is a convention, ``at_zero``: that from the ``left``
or that from the ``right``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_above_zero, require_positive, zeros_where

__all__ = ["Celu", "Elu", "LeakyRelu", "PRelu", "Selu"]

SELU_ALPHA = 1.6732632423543772
"""For which mean 0 and variance 1 are what a network of selu layers tends to; the paper has the formula."""
SELU_SCALE = 1.0507009873554805

Side: TypeAlias = Literal["left", "right"]


def rises(x: Array, at_zero: Side) -> Array:
    """Where the derivative is that of the piece above 0."""
    above: Array = x > 0 if at_zero == "left" else x >= 0
    return above


@dataclass(frozen=True)
class LeakyRelu(Layer):
    """Rectified linear unit that leaks: ``y = x`` where ``x > 0``, and ``slope x`` elsewhere.

    Its derivative at exactly 0 is the slope (``left``) or 1 (``right``).

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.LeakyReLU (slope 0.01; at 0 the slope), jax.nn.leaky_relu (0.01; at 0 it is 1);
    keras.layers.LeakyReLU has a slope of 0.3, keras.activations.leaky_relu of 0.2.

    Source: Maas, Hannun & Ng 2013, "Rectifier nonlinearities improve neural network acoustic models".

    >>> LeakyRelu(0.25).forward(np.array([-2.0, 0.0, 3.0]), {})[0]
    array([-0.5,  0. ,  3. ])
    """

    kind: ClassVar[str] = "leaky_relu"

    slope: float = 0.01
    at_zero: Side = "left"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = np.where(x > 0, x, self.slope * x)
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = x where x > 0, slope * x elsewhere
        dx = np.where(rises(x, self.at_zero), dy, self.slope * dy)
        return dx, {}


@dataclass(frozen=True)
class PRelu(Layer):
    """Rectified linear unit that learns its leak: ``y = x`` where ``x > 0``, and ``weight x`` elsewhere.

    One weight for all elements, or with several ``channels`` one for each, along the second axis. The derivative at
    exactly 0 is the weight (``left``) or 1 (``right``); the weight's own is ``dy x`` where ``x < 0``, 0 elsewhere.

    Shapes: x and y alike, for more than one channel (N, C, ...); weight (C,).

    Same layer elsewhere: torch.nn.PReLU (starts at 0.25; at 0 the weight); flax.linen.PReLU (0.01, one weight);
    keras.layers.PReLU (starts at 0; one for every element of a row unless axes are shared). JAX itself has none.

    Raises:
        CaseError: fewer than 1 channel, an input without an axis, or one of other channels.

    Source: He, Zhang, Ren & Sun 2015, "Delving deep into rectifiers", eq. 1.

    >>> PRelu(2).forward(np.array([[-2.0, -2.0], [3.0, -4.0]]), {"weight": np.array([0.5, 0.25])})[0]
    array([[-1. , -0.5],
           [ 3. , -1. ]])
    """

    kind: ClassVar[str] = "prelu"

    channels: int = 1
    at_zero: Side = "left"

    def __post_init__(self) -> None:
        require_positive(self, "channels", what="a number of channels")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.channels,)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if not x:
            raise CaseError("an input with at least one axis", f"shape {x}")
        if self.channels > 1 and (len(x) < 2 or x[1] != self.channels):
            raise CaseError(f"1, or the size of axis 1 of an input of shape {x}", str(self.channels), key="channels")
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        slope = beside_channels(params["weight"], x)
        y = np.where(x > 0, x, slope * x)
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = x where x > 0, slope * x elsewhere
        slope = beside_channels(params["weight"], x)
        dx = np.where(rises(x, self.at_zero), dy, slope * dy)
        dslope = zeros_where(x > 0, dy * x)
        # forward was: slope = weight, the same for all elements of a channel
        channels_first = dslope.swapaxes(0, 1) if self.channels > 1 else dslope
        dweight = channels_first.reshape(self.channels, -1).sum(axis=1)
        return dx, {"weight": dweight}


def beside_channels(weight: Array, x: Array) -> Array:
    """A weight for each channel, with axes of size 1 for all axes of x that come after the channels'."""
    return weight.reshape(-1, *(1,) * (x.ndim - 2))


@dataclass(frozen=True)
class Elu(Layer):
    """Exponential linear unit: ``y = x`` where ``x > 0``, and ``alpha (exp(x) - 1)`` elsewhere.

    Below 0 its derivative is ``alpha exp(x)``; at exactly 0 it is alpha (``left``) or 1 (``right``).

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.ELU, jax.nn.elu, both with alpha 1 and at 0 with alpha; keras.layers.ELU (alpha 1).

    Source: Clevert, Unterthiner & Hochreiter 2016, "Fast and accurate deep network learning by exponential linear
    units", section 3.

    >>> Elu(2.0).forward(np.array([-1.0, 0.0, 3.0]), {})[0].round(6)
    array([-1.264241,  0.      ,  3.      ])
    """

    kind: ClassVar[str] = "elu"

    alpha: float = 1.0
    at_zero: Side = "left"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        # Above 0, where it is not taken, the exponential could overflow.
        exponential = np.expm1(zeros_where(x > 0, x))
        y = np.where(x > 0, x, self.alpha * exponential)
        return y, (x, exponential)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        x, exponential = saved
        # forward was: y = x where x > 0, alpha * exponential elsewhere
        dexponential = dy * self.alpha
        # forward was: exponential = exp(x) - 1, so d exponential / dx = exponential + 1
        dx = np.where(rises(x, self.at_zero), dy, dexponential * (exponential + 1))
        return dx, {}


@dataclass(frozen=True)
class Selu(Layer):
    """Scaled exponential linear unit: ``y = scale x`` where ``x > 0``, and ``scale alpha (exp(x) - 1)`` elsewhere.

    Scale and alpha are constants, 1.0507 and 1.6733. Below 0 the derivative is ``scale alpha exp(x)``; at exactly
    0 it is ``scale alpha = 1.7581`` (``left``) or ``scale`` (``right``).

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.SELU, jax.nn.selu (at 0 both have 1.7581); keras.activations.selu on TensorFlow has
    1.0507 there.

    Source: Klambauer, Unterthiner, Mayr & Hochreiter 2017, "Self-normalizing neural networks", eq. 2.

    >>> Selu().forward(np.array([-1.0, 0.0, 1.0]), {})[0].round(6)
    array([-1.111331,  0.      ,  1.050701])
    """

    kind: ClassVar[str] = "selu"

    at_zero: Side = "left"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        # Above 0, where it is not taken, the exponential could overflow.
        exponential = np.expm1(zeros_where(x > 0, x))
        y = np.where(x > 0, SELU_SCALE * x, SELU_SCALE * SELU_ALPHA * exponential)
        return y, (x, exponential)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        x, exponential = saved
        # forward was: y = scale * x where x > 0, scale * alpha * exponential elsewhere
        dexponential = dy * (SELU_SCALE * SELU_ALPHA)
        # forward was: exponential = exp(x) - 1, so d exponential / dx = exponential + 1
        dx = np.where(rises(x, self.at_zero), SELU_SCALE * dy, dexponential * (exponential + 1))
        return dx, {}


@dataclass(frozen=True)
class Celu(Layer):
    """Exponential linear unit without an angle: ``y = x`` where ``x > 0``, ``alpha (exp(x / alpha) - 1)`` elsewhere.

    Below 0 its derivative is ``exp(x / alpha)``. At 0 it is 1 from both sides, whatever alpha is.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.CELU, jax.nn.celu, both with alpha 1; torch's derivative has 1 / alpha as a float32
    number in float64 too. Where it is written as a sum of a maximum and
    a minimum the derivative at exactly 0 may come out as 2 (keras.activations.celu on TensorFlow) or 0 (MLX).

    Raises:
        CaseError: an alpha that is not above 0.

    Source: Barron 2017, "Continuously differentiable exponential linear units".

    >>> Celu(2.0).forward(np.array([-1.0, 0.0, 3.0]), {})[0].round(6)
    array([-0.786939,  0.      ,  3.      ])
    """

    kind: ClassVar[str] = "celu"

    alpha: float = 1.0

    def __post_init__(self) -> None:
        require_above_zero(self, "alpha")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        # Above 0, where it is not taken, the exponential could overflow.
        exponential = np.expm1(zeros_where(x > 0, x) / self.alpha)
        y = np.where(x > 0, x, self.alpha * exponential)
        return y, (x, exponential)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        _, exponential = saved
        # forward was: y = x where x > 0, alpha * exponential elsewhere, with exponential = exp(x / alpha) - 1,
        # so d exponential / dx = (exponential + 1) / alpha; where x > 0 the exponential is 0
        dx = dy * (exponential + 1)
        return dx, {}
