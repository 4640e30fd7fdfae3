"""Mistakes in functions of single numbers: in any of them, and in those of reference/layers/activations.py."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..reference.layers import (
    Array,
    Celu,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    Hardtanh,
    Layer,
    LeakyRelu,
    LogSigmoid,
    LogSoftmax,
    Mish,
    Parameters,
    Relu,
    Relu6,
    Selu,
    Shape,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from ..reference.layers.activations import logistic
from ..reference.layers.base import zeros_where
from .base import LayerFault

Gradients: TypeAlias = tuple[Array, dict[str, Array]]

FUNCTIONS = (
    *(Tanh, Sigmoid, LogSigmoid, Softplus, Softsign, LeakyRelu, Elu, Selu, Celu),
    *(Hardtanh, Relu6, HardSigmoid, HardSwish, Gelu, Silu, Mish, Softmax, LogSoftmax),
)


class GradientUnchanged(LayerFault):
    """The backward sends on what came in, ``dx = dy``: the activation's derivative is forgotten.

    The loop over the layers knows matrices and leaves the functions between them to the forward. Where the function is
    steep, near 0 for tanh, hardly anything is off; where it is flat, gradients come through that should have died.
    """

    wrong = ("backward",)
    question = "The layer bends the line in the forward. Where does that appear on the way back?"
    experiment = "Nudge a large input of the layer by a little: does its output move by as much?"

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, FUNCTIONS)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        return dy, {}


class DerivativeAtTheOutput(LayerFault):
    """The derivative is taken at the layer's output, ``f'(f(x))``, where it should be at its input.

    A list of activations is at hand in the backward and a list of what went into them is not. The last layer is exact,
    and every gradient below is off by a factor that differs from element to element.
    """

    number = 7
    wrong = ("backward",)
    question = (
        "The derivative is written for one of two variables, the layer's input or its output. Which did you give it?"
    )
    experiment = (
        "Take a single number, nudge the layer's input by a little and compare the change of the output with your "
        "factor."
    )

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, Tanh | Sigmoid | LogSigmoid | Softplus | Softsign | Gelu | Silu | Mish)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y, _ = super().forward(x, params)
        return y, y

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        _, saved = super().forward(y, params)
        dx: Array = super().backward(dy, saved, params)[0]
        return dx, {}


class DerivativeOfTheInput(LayerFault):
    """The formula for the output is given the input: ``1 - x^2`` for tanh, where ``1 - y^2`` is the derivative.

    Both formulas of a derivative circulate, ``1 - tanh(x)^2`` and ``1 - y^2``, and the second is called with the
    variable of the first. Elementwise the gradient is off by ``(1 - x^2) / (1 - y^2)``, and large inputs turn its sign.
    """

    number = 7
    wrong = ("backward",)
    question = "The short form of this derivative is in terms of the layer's output. What did you put in?"
    experiment = "Put an input of 2 in: can the factor be what your formula makes of it?"

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, Tanh | Sigmoid)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y, _ = super().forward(x, params)
        return y, x


class ReluMaskIncludesZero(LayerFault, Relu):
    """The derivative of relu at exactly 0 is taken as 1: the mask is ``x >= 0``.

    On random data no input is exactly 0, and the two masks are one. It shows where a bias and its inputs are 0 from the
    start, where inputs are padded or where a layer was set to zeros: gradients flow there that elsewhere do not.
    """

    number = 27
    wrong = ("backward",)
    only_where = "an input of exactly 0"
    question = "What does relu let through at exactly 0?"
    experiment = "Look for an input of relu that is exactly 0, and at what you send back there."

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y, _ = super().forward(x, params)
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        return zeros_where(x < 0, dy), {}


class ReluMaskOfTheOutput(LayerFault, Relu):
    """The mask ``>= 0`` is taken of the output, which never is below 0: it lets everything through.

    For the input that mask is nearly right, and the input was not kept. Gradients reach nodes that gave nothing, so
    that only elements with a negative input differ.
    """

    number = 27
    wrong = ("backward",)
    question = "Of which values are you asking whether they are above 0?"
    experiment = "Look for a place where relu's input and its output tell you different things."

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        return zeros_where(y < 0, dy), {}


class ReluMaskOfTheGradient(LayerFault, Relu):
    """relu is applied to the gradient itself: ``dx = max(dy, 0)``.

    "The backward of relu is relu" is remembered, with the wrong variable in it. Every negative gradient is lost and
    the layers below can only be pushed one way.
    """

    number = 27
    wrong = ("backward",)
    question = (
        "Where is the gate of relu decided: by what came in on the way forward, or by what arrives on the way back?"
    )
    experiment = "Find a place where relu was open and a negative gradient arrives: what should be sent on?"

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        return zeros_where(dy <= 0, dy), {}


class TanhSquareForgotten(LayerFault, Tanh):
    """The derivative of tanh is written ``1 - y``, without the square.

    It looks like sigmoid's, ``y (1 - y)``, with which it is confused. For outputs near 1 the gradient is half of what
    it should be, for outputs near -1 it is 2 where it should be 0.
    """

    wrong = ("backward",)
    question = "What is the derivative of tanh in terms of its output?"
    experiment = "Put a large number into tanh: what should the slope be there?"

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        return dy * (1 - y), {}


class SigmoidDerivativeSign(LayerFault, Sigmoid):
    """The derivative of sigmoid is written ``y (1 + y)``.

    One sign, lost on the way from ``exp(-x) / (1 + exp(-x))^2`` to ``y (1 - y)``. The gradient is too large everywhere,
    by ``(1 + y) / (1 - y)``: hardly where the output is near 0, without bound where it is near 1.
    """

    wrong = ("backward",)
    question = "Can the slope of a curve that always rises be anything but positive?"
    experiment = "Print the factor that you multiply by: which values can it have?"

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        return dy * (y * (1 + y)), {}


class LogarithmForgotten(LayerFault, LogSigmoid):
    """The derivative of log_sigmoid is that of sigmoid, ``s (1 - s)``: the logarithm around it is left out.

    The logarithm was put there for the sake of the forward alone, against underflow. Dividing by s is what it does to
    the derivative, and far below 0, where the loss is largest, the gradient vanishes in place of being 1.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        x, _ = saved
        sigmoid = logistic(x)
        return dy * (sigmoid * (1 - sigmoid)), {}


class LogisticMirrored(LayerFault):
    """The logistic function in the derivative has the argument of the wrong sign: ``s(x)`` for ``s(-x)``.

    The derivative of softplus is s(x) and that of log_sigmoid, which is softplus turned twice, is s(-x). With the two
    confused the steep half is taken for the flat one.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, LogSigmoid | Softplus)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        # s(-x) = 1 - s(x)
        return dy - super().backward(dy, saved, params)[0], {}


class SoftplusSlopeTimesBeta(LayerFault, Softplus):
    """The derivative of softplus is multiplied by beta: ``beta s(beta x)``.

    The chain rule brings a beta out of the exponential, which the division of the forward takes away again; here the
    division was forgotten. At the default, 1, nothing shows.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return bool(layer.beta != 1)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        return self.beta * super().backward(dy, saved, params)[0], {}


class SoftplusNotDivided(LayerFault, Softplus):
    """Softplus is ``log(1 + exp(beta x))``, not divided by beta.

    Beta is taken for a scale of the input. Forward and backward fit each other, so that a test of the gradient passes;
    but far above 0 the layer multiplies by beta where it should do nothing.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return bool(layer.beta != 1)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        y, saved = super().forward(x, params)
        return self.beta * y, saved

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        return super().backward(self.beta * dy, saved, params)


class SoftsignSquareForgotten(LayerFault, Softsign):
    """The derivative of softsign is written ``1 / (1 + |x|)``, without the square.

    The rule for quotients divides by the square of the divisor. Where x is near 0 the two are one; at 1 the gradient is
    twice what it should be.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        _, divisor = saved
        return dy / divisor, {}


class SoftsignAbsoluteForgotten(LayerFault, Softsign):
    """The divisor is differentiated as ``1 + x``: the derivative is ``(1 - y) / (1 + |x|)``.

    The absolute value has the sign of x as its derivative, which was dropped. For positive inputs all is right, for
    negative ones the gradient is too large: at -1 three times.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        y, divisor = saved
        return dy * (1 - y) / divisor, {}
