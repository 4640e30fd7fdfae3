"""Mistakes in functions of single numbers, and in softmax."""

from __future__ import annotations

from typing import Any, TypeAlias

from ..reference.layers import Array, Gelu, Layer, Parameters, Relu, Shape, Sigmoid, Softmax, Tanh
from ..reference.layers.base import zeros_where
from .base import LayerFault

Gradients: TypeAlias = tuple[Array, dict[str, Array]]


class GradientUnchanged(LayerFault):
    """The backward sends on what came in, ``dx = dy``: the activation's derivative is forgotten.

    The loop over the layers knows matrices and leaves the functions between them to the forward. Where the function is
    steep, near 0 for tanh, hardly anything is off; where it is flat, gradients come through that should have died.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, Tanh | Sigmoid | Gelu | Softmax)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        return dy, {}


class DerivativeAtTheOutput(LayerFault):
    """The derivative is taken at the layer's output, ``f'(f(x))``, where it should be at its input.

    A list of activations is at hand in the backward and a list of what went into them is not. The last layer is exact,
    and every gradient below is off by a factor that differs from element to element.
    """

    number = 7
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, Tanh | Sigmoid | Gelu)

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

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        return zeros_where(y < 0, dy), {}


class ReluMaskOfTheGradient(LayerFault, Relu):
    """relu is applied to the gradient itself: ``dx = max(dy, 0)``.

    "The backward of relu is relu" is remembered, with the wrong variable in it. Every negative gradient is lost and
    the layers below can only be pushed one way.
    """

    number = 27
    wrong = ("backward",)

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        return zeros_where(dy <= 0, dy), {}


class TanhSquareForgotten(LayerFault, Tanh):
    """The derivative of tanh is written ``1 - y``, without the square.

    It looks like sigmoid's, ``y (1 - y)``, with which it is confused. For outputs near 1 the gradient is half of what
    it should be, for outputs near -1 it is 2 where it should be 0.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        return dy * (1 - y), {}


class SigmoidDerivativeSign(LayerFault, Sigmoid):
    """The derivative of sigmoid is written ``y (1 + y)``.

    One sign, lost on the way from ``exp(-x) / (1 + exp(-x))^2`` to ``y (1 - y)``. The gradient is too large everywhere,
    by ``(1 + y) / (1 - y)``: hardly where the output is near 0, without bound where it is near 1.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        return dy * (y * (1 + y)), {}


class DiagonalJacobian(LayerFault, Softmax):
    """Softmax is differentiated as if every output had one input: ``dx = dy y (1 - y)``.

    This is sigmoid's formula, and the diagonal of softmax's Jacobian; but every output depends on all inputs of its
    row. The rows of the gradient do not add up to 0, as they must: softmax does not change when a row is shifted.
    """

    number = 5
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return inputs[0][-1] > 1

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        return dy * (y * (1 - y)), {}


class SoftmaxOverTheRows(LayerFault, Softmax):
    """Softmax runs down the columns: what adds up to 1 is each class over the batch.

    The axis is 0 by default or by habit from single rows. The forward and its backward fit each other, so that a test
    of the gradient alone passes; with one row every probability is 1 and every gradient 0.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return len(inputs[0]) > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = super().forward(x.swapaxes(0, -1), params)[0].swapaxes(0, -1)
        return y, y

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        dx, _ = super().backward(dy.swapaxes(0, -1), y.swapaxes(0, -1), params)
        return dx.swapaxes(0, -1), {}


class ProductRuleForgotten(LayerFault, Gelu):
    """``x Phi(x)`` is differentiated as if Phi were a constant: ``dx = dy Phi(x)``.

    relu is the same product with a mask for Phi, whose derivative is 0 and may be left out; here ``x phi(x)`` is
    missing. Far from 0 nothing shows; at 1 the derivative is 0.84 where it should be 1.08.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        _, distribution = saved
        return dy * distribution, {}


class GeluBySigmoid(LayerFault, Gelu):
    """``x sigmoid(1.702 x)``, the quick approximation, takes the place of Phi.

    It was published beside the one by tanh, and some networks were trained with it, CLIP among them: a port must know
    which. It is off by up to 0.02, forty times as much as the other, and no higher precision makes that less.
    """

    wrong = ("forward", "backward")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        distribution, _ = Sigmoid().forward(1.702 * x, {})
        return x * distribution, (x, distribution)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        x, distribution = saved
        return dy * (distribution + x * 1.702 * distribution * (1 - distribution)), {}


class GeluSlopeApproximated(LayerFault, Gelu):
    """The forward is exact, and the backward differentiates the approximation by tanh.

    The forward calls a library's erf, and the derivative is copied from a text that approximates. The two are so near,
    some thousandths apart at most, that a check by finite differences with a generous tolerance passes.
    """

    number = 17
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return bool(layer.approximate == "none")

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        approximate = self.right(approximate="tanh")
        _, saved_by_tanh = approximate.forward(saved[0], params)
        dx: Array = approximate.backward(dy, saved_by_tanh, params)[0]
        return dx, {}
