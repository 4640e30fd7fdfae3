"""Mistakes in layers that are linear in their weight: dense, embedding, convolution."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..reference.layers import Array, Conv2d, Dense, Embedding, Parameters, Shape
from .base import LayerFault

Gradients: TypeAlias = tuple[Array, dict[str, Array]]


class WeightGradientTransposed(LayerFault, Dense):
    """The weight gradient is ``dy.T @ x``, the transpose of what it should be.

    Half of all libraries keep weights as (O, I), and formulas are copied from one half to the other. Where a layer is
    as wide as the one before, nothing complains of the shape.
    """

    number = 9
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Dense, *inputs: Shape) -> bool:
        return layer.inputs == layer.outputs > 1

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, x, params)
        return dx, {**dparams, "weight": dparams["weight"].T}


class WeightNotTransposed(LayerFault, Dense):
    """The gradient is sent back through the weight as it stands, ``dx = dy @ weight``, not through its transpose.

    The forward's product is repeated with dy for x. Only between layers of equal width do the shapes allow it, and the
    layer's own gradients are right: those of all layers before it are not.
    """

    number = 9
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Dense, *inputs: Shape) -> bool:
        return layer.inputs == layer.outputs > 1

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        return super().backward(dy, x, {**params, "weight": params["weight"].T})


class BiasAlongTheRows(LayerFault, Dense):
    """The bias is added as a column, one number for each row of the batch: ``y = x @ weight + bias[:, None]``.

    A bias kept as (O, 1), as for column vectors, is broadcast the wrong way over a batch of rows. Only a batch with as
    many rows as the layer has outputs goes through, and there it is silent.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Dense, *inputs: Shape) -> bool:
        return inputs[0][-2] == layer.outputs > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        return x @ params["weight"] + params["bias"][:, None], x

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, x, params)
        by_row = dy.reshape(-1, *dy.shape[-2:]).sum(axis=0)
        return dx, {**dparams, "bias": by_row.sum(axis=-1)}


class RepeatedRowsOverwritten(LayerFault, Embedding):
    """The embedding's gradient is assigned, ``dweight[x] = dy``, so that of a repeated index one place remains.

    ``dweight[x] += dy`` looks like a sum and is none: NumPy reads, adds and writes once for each row. Only rows that
    occur more than once are wrong, which in a text are the frequent words.
    """

    number = 26
    wrong = ("backward",)
    only_where = "an index that occurs twice"

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[None, dict[str, Array]]:
        dweight = np.zeros_like(params["weight"])
        dweight[x] = dy
        return None, {"weight": dweight}


class IndicesFromOne(LayerFault, Embedding):
    """Indices are read as if they began at 1: the row before the wanted one is taken.

    It comes with vocabularies from a language that counts from 1. Index 0 wraps around to the last row, so that nothing
    is ever out of range; and what is trained so works, until its weights meet another tokenizer.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Embedding, *inputs: Shape) -> bool:
        return layer.rows > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        return super().forward(x - 1, params)


class KernelFlipped(LayerFault, Conv2d):
    """The kernel is turned by half a turn before it is laid on: convolution as mathematics defines it.

    Signal processing's ``convolve`` flips, deep learning's convolution does not. Forward and backward fit each other
    and training works; only weights from elsewhere, if they are not symmetric, give something else.
    """

    number = 10
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Conv2d, *inputs: Shape) -> bool:
        return max(layer.kernel) > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Any]:
        return super().forward(x, flipped(params))

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, flipped(params))
        return dx, flipped(dparams)


class KernelHeightAsWidth(LayerFault, Conv2d):
    """Height and width of the kernel are exchanged, as by weights that were transposed on the way.

    Square kernels let it pass, and those that are symmetric about their diagonal do not even change. An edge detector
    finds the edges that run the other way.
    """

    number = 10
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Conv2d, *inputs: Shape) -> bool:
        return layer.kernel[0] == layer.kernel[1] > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Any]:
        return super().forward(x, turned(params))

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, turned(params))
        return dx, turned(dparams)


class KernelNotFlipped(LayerFault, Conv2d):
    """The gradient goes back through the kernel as it stands, where it should be turned by half a turn.

    The backward of a convolution is a convolution too, and the same code is used for both. The gradients of kernel and
    bias are right; what is sent back is wrong unless the kernel is symmetric.
    """

    number = 10
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Conv2d, *inputs: Shape) -> bool:
        return max(layer.kernel) > 1

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        return super().backward(dy, saved, flipped(params))


def flipped(params: Parameters) -> dict[str, Array]:
    """The parameters, or their gradients, with the kernel turned by half a turn."""
    return {**params, "weight": params["weight"][:, :, ::-1, ::-1]}


def turned(params: Parameters) -> dict[str, Array]:
    """The parameters, or their gradients, with the height of the kernel as its width."""
    return {**params, "weight": params["weight"].swapaxes(2, 3)}
