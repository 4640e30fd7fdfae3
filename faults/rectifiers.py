"""Mistakes in the relatives of relu: in the leak, in the exponential, at the kink."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..reference.layers import Array, Celu, Elu, Layer, LeakyRelu, Parameters, PRelu, Selu, Shape
from ..reference.layers.base import zeros_where
from ..reference.layers.rectifiers import SELU_SCALE
from .activations import Gradients
from .base import LayerFault


class LeakForgotten(LayerFault):
    """The backward is that of relu: nothing comes back where the input is negative.

    relu was replaced in the forward and its mask left in the backward. The units that the leak should keep alive die
    as before.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, LeakyRelu | PRelu)

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        _, dparams = super().backward(dy, x, params)
        return zeros_where(x <= 0, dy), dparams


class LeakOnTheWrongSide(LayerFault):
    """The mask of the backward is turned around: the slope where the input is positive, 1 where it is negative.

    ``where(x < 0, dy, slope * dy)`` has its branches in the order in which they are thought of. Gradients of active
    units are a hundredth of what they should be.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, LeakyRelu | PRelu)

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        _, dparams = super().backward(dy, x, params)
        return super().backward(dy, -x, params)[0], dparams


class SlopeGradientUnmasked(LayerFault, PRelu):
    """The gradient of the learned slope counts every input: ``dweight = sum(dy x)``.

    The slope multiplies negative inputs alone, and only these may teach it. What is sent back is right.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, x, params)
        # The same for the mirrored inputs is what the positive ones add, with the other sign.
        _, mirrored = super().backward(dy, -x, params)
        return dx, {"weight": dparams["weight"] - mirrored["weight"]}


class SlopeGradientOfTheOutput(LayerFault, PRelu):
    """The gradient of the learned slope is made of the output: ``dweight = sum(dy y)`` over negative inputs.

    The output is at hand and the input is not. It has the slope in it already, so that a small slope hardly learns and
    a slope of 0 never does.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, x, params)
        return dx, {"weight": params["weight"] * dparams["weight"]}


class SlopeGradientOfAllChannels(LayerFault, PRelu):
    """Every learned slope gets the sum over all channels: ``dweight = sum(dy x)``, broadcast.

    The sum runs over one axis too many, and broadcasting makes the shape right again. All slopes move alike, as if
    there were one.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return bool(layer.channels > 1)

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, x, params)
        total = dparams["weight"].sum(axis=0, keepdims=True)
        return dx, {"weight": np.broadcast_to(total, dparams["weight"].shape).copy()}


class ExponentialTakenForItsSlope(LayerFault):
    """Below 0 the derivative is the output itself, ``dx = dy y``: the 1 that was subtracted is not given back.

    "The exponential is its own derivative", but the output is the exponential less 1, times alpha: it is negative, and
    every gradient below 0 has the wrong sign.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, Elu | Selu | Celu)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        x, _ = saved
        below = self.forward(x, params)[0]
        return np.where(x > 0, super().backward(dy, saved, params)[0], dy * below), {}


class AlphaForgottenInTheSlope(LayerFault):
    """Below 0 the derivative is ``exp(x)``, without alpha.

    It is right for an elu with alpha 1, for which it was written, and for no other: elu's has a factor of alpha, selu's
    of scale and alpha, and celu's divides x by it.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return isinstance(layer, Selu) or (isinstance(layer, Elu | Celu) and layer.alpha != 1)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        x, _ = saved
        below = zeros_where(x > 0, x)
        return np.where(x > 0, super().backward(dy, saved, params)[0], dy * np.exp(below)), {}


class SeluScaleForgotten(LayerFault, Selu):
    """The backward of selu is elu's: the scale of 1.0507 is in the forward only.

    Every gradient is 5 percent too small at every such layer, and after fourteen of them half is gone: what keeps the
    variance at 1 on the way up lets it shrink on the way down.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        return super().backward(dy / SELU_SCALE, saved, params)


class CeluAsElu(LayerFault, Celu):
    """celu is computed as elu: ``alpha (exp(x) - 1)``, with x not divided by alpha.

    At alpha 1, the default of both, they are one function. Forward and backward fit each other.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return bool(layer.alpha != 1)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        return Elu(self.alpha).forward(x, params)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        return Elu(self.alpha).backward(dy, saved, params)


class CeluSlopesAddedAtZero(LayerFault, Celu):
    """At exactly 0 the derivative of celu is 2: ``max(x, 0)`` and ``min(x, 0)`` give 1 each.

    The function is written as the sum of the two, and where a framework lets both keep the gradient of a tie it comes
    back twice. celu has no kink there, and 1 is its derivative: this is no convention.
    """

    wrong = ("backward",)
    only_where = "an input of exactly 0"

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        x, _ = saved
        dx, _ = super().backward(dy, saved, params)
        return np.where(x == 0, 2 * dx, dx), {}
