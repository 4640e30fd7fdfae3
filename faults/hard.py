"""Mistakes in what is cut off at bounds."""

from __future__ import annotations

from ..reference.layers import Array, HardSigmoid, HardSwish, Hardtanh, Parameters, Relu6
from ..reference.layers.base import zeros_where
from ..reference.layers.hard import cut
from .activations import Gradients
from .base import LayerFault


class LowerBoundForgotten(LayerFault, Hardtanh):
    """The backward stops what lies above the upper bound and nothing that lies below the lower one.

    One mask was written and the other was to follow. Units that are stuck at the bottom go on being pushed.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        return zeros_where(x >= self.high, dy), {}


class CapForgotten(LayerFault, Relu6):
    """The backward is relu's: gradients come back where the output is held at 6.

    The cap was added to the forward, for quantisation, and the derivative left as it was. With few inputs above 6 it
    hardly shows.
    """

    wrong = ("backward",)
    only_where = "an input above 6"

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        return zeros_where(x <= 0, dy), {}


class FloorForgotten(LayerFault, Relu6):
    """The backward knows the cap and not the floor: gradients come back where the output is 0.

    ``min(y, 6)`` is differentiated and the relu inside it forgotten. Units that gave nothing are trained all the same.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        return zeros_where(x >= 6, dy), {}


class SaturationForgotten(LayerFault, HardSigmoid):
    """The derivative of hard_sigmoid is 1/6 everywhere, beyond -3 and 3 too.

    The slope of the line is remembered and its ends are not. Saturated gates, which should be left alone, keep moving.
    """

    wrong = ("backward",)
    only_where = "an input beyond -3 or 3"

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        return dy / 6, {}


class SlopeOfTheLineForgotten(LayerFault, HardSigmoid):
    """The derivative of hard_sigmoid is 1 between -3 and 3: the sixth is left out.

    The backward is that of relu6, of which the function is made, and the division after it is not differentiated. Every
    gradient is six times too large.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        return super().backward(6 * dy, x, params)


class HardSigmoidOfKeras2(LayerFault, HardSigmoid):
    """hard_sigmoid is ``0.2 x + 0.5``, cut at 0 and 1.

    That is what Keras called so up to version 2, and ONNX does by default; weights trained with it are off by up to
    0.08 in the other. Forward and backward fit each other.
    """

    wrong = ("forward", "backward")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        return cut(0.2 * x + 0.5, 0, 1), x

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        return zeros_where(x <= -2.5, zeros_where(x >= 2.5, 0.2 * dy)), {}


class GateNeverSaturates(LayerFault, HardSwish):
    """The gate of hard_swish is differentiated as a line without ends: ``gate + x / 6`` everywhere.

    Between -3 and 3 that is right. Beyond, where the derivative is 0 and 1, it grows with x and has no bound.
    """

    wrong = ("backward",)
    only_where = "an input beyond -3 or 3"

    def backward(self, dy: Array, saved: tuple[Array, Array, Array], params: Parameters) -> Gradients:
        x, _, gate = saved
        return dy * gate + dy * x / 6, {}
