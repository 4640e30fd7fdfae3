"""Mistakes in softmax and in its logarithm."""

from __future__ import annotations

import numpy as np

from ..reference.layers import Array, Layer, LogSoftmax, Parameters, Shape, Softmax
from .activations import Gradients
from .base import LayerFault


class DiagonalJacobian(LayerFault, Softmax):
    """Softmax is differentiated as if every output had one input: ``dx = dy y (1 - y)``.

    This is sigmoid's formula, and the diagonal of softmax's Jacobian; but every output depends on all inputs of its
    row. The rows of the gradient do not add up to 0, as they must: softmax does not change when a row is shifted.
    """

    number = 5
    wrong = ("backward",)
    question = "Each output of softmax depends on how many of its inputs?"
    experiment = (
        "Add up what you send back along a row. All outputs add up to 1 whatever the inputs are, so what must the "
        "sum be?"
    )

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
    question = "What adds up to 1: the outputs of one row, or one output of all rows?"
    experiment = "Add up what softmax made along each axis."

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return len(inputs[0]) > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = super().forward(x.swapaxes(0, -1), params)[0].swapaxes(0, -1)
        return y, y

    def backward(self, dy: Array, y: Array, params: Parameters) -> Gradients:
        dx, _ = super().backward(dy.swapaxes(0, -1), y.swapaxes(0, -1), params)
        return dx.swapaxes(0, -1), {}


class LogSoftmaxOverTheRows(LayerFault, LogSoftmax):
    """log_softmax runs down the columns: what adds up to 1 is each class over the batch.

    The axis is 0 by default or by habit from single rows. The forward and its backward fit each other, so that a test
    of the gradient alone passes.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return len(inputs[0]) > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        y, saved = super().forward(x.swapaxes(0, -1), params)
        return y.swapaxes(0, -1), saved

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        dx, _ = super().backward(dy.swapaxes(0, -1), saved, params)
        return dx.swapaxes(0, -1), {}


class LogSoftmaxDiagonal(LayerFault, LogSoftmax):
    """log_softmax is differentiated as if every output had one input: ``dx = dy (1 - p)``.

    Each output depends on its whole row through the sum of the exponentials; only its own share is kept. Rows of the
    gradient do not add up to 0, as they must: log_softmax does not change when a row is shifted.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return inputs[0][-1] > 1

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        shifted, logarithm = saved
        return dy * (1 - np.exp(shifted - logarithm)), {}


class LogOfSoftmaxForgotten(LayerFault, LogSoftmax):
    """The backward is that of softmax: ``dx = p (dy - sum(dy p))``.

    The logarithm was added to the forward for its numbers' sake and its derivative, 1 / p, was not. Where a class is
    improbable hardly anything comes back, and those are the classes to learn.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return inputs[0][-1] > 1

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        shifted, logarithm = saved
        return Softmax().backward(dy, np.exp(shifted - logarithm), params)


class UpstreamSumTakenAsOne(LayerFault, LogSoftmax):
    """The backward is ``dx = dy - p``: the sum of the gradients that come in is taken to be 1.

    "Softmax minus one-hot" is what it gives for one label a row, up to sign. For a mean over rows, for weights of
    classes or for any other loss behind it p has another factor.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        shifted, logarithm = saved
        return dy - np.exp(shifted - logarithm), {}
