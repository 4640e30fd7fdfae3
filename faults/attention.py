"""Mistakes in attention. H heads, Lq places of queries, Lk places of keys, E the width of both."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np

from ..reference.layers import Array, Parameters, ScaledDotProductAttention, Shape
from ..reference.layers.attention import Saved
from .base import LayerFault

Gradients: TypeAlias = tuple[tuple[Array, Array, Array], dict[str, Array]]


class ScaleByHeads(LayerFault, ScaledDotProductAttention):
    """The products are divided by the root of the number of heads, not of the width of a head.

    Both numbers come from one reshape, and it is easy to take the wrong axis of the two. All logits are off by one
    constant factor: attention is sharper or flatter than it was trained to be.
    """

    number = 18
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        q = inputs[0]
        return len(q) > 3 and layer.scale == "width" and q[-3] != q[-1]

    def divisor(self, q: Array) -> Array:
        divisor: Array = np.sqrt(np.full_like(q, q.shape[-3], shape=()))
        return divisor


class ScaleWithoutRoot(LayerFault, ScaledDotProductAttention):
    """The products are divided by the width, ``1 / E``, not by its root.

    Some networks are trained that way on purpose, and a port that follows one of them is wrong for all others. The
    logits are too small by a constant, so that attention is nearly even.
    """

    number = 18
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        return layer.scale == "width" and inputs[0][-1] > 1

    def divisor(self, q: Array) -> Array:
        return np.full_like(q, q.shape[-1], shape=())


class ScaleByValues(LayerFault, ScaledDotProductAttention):
    """The products are divided by the root of the width of the values, not of the queries and keys.

    In most networks all three are equally wide, and any of them may be asked for its width. Where values are wider or
    narrower, all logits are off by one constant factor.
    """

    number = 18
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        q, _, v = inputs
        return layer.scale == "width" and q[-1] != v[-1]

    def forward(self, q: Array, k: Array, v: Array, params: Parameters) -> tuple[Array, Saved]:
        y, (p, *_) = self.right(scale="none").forward(q / self.divisor(v), k, v, params)
        return y, (p, q, k, v)

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        p, q, k, v = saved
        root = self.divisor(v)
        (dq, dk, dv), _ = self.right(scale="none").backward(dy, (p, q / root, k, v), params)
        return (dq / root, dk, dv), {}


class ScaleForgottenInTheBackward(LayerFault, ScaledDotProductAttention):
    """The backward of the products leaves out the division that the forward did.

    ``softmax(scores)`` is differentiated with respect to the scores, and the queries are taken to be one product away.
    The gradients of queries and keys are too large by the root of the width, that of the values is exact.
    """

    number = 18
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        return layer.scale == "width" and inputs[0][-1] > 1

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        dinputs: tuple[Array, Array, Array] = self.right(scale="none").backward(dy, saved, params)[0]
        return dinputs, {}


class CausalMaskForgottenInTheBackward(LayerFault, ScaledDotProductAttention):
    """The backward computes the attention anew, without the mask of the forward.

    To save memory the probabilities are not kept, and the second computation of them is other code than the first.
    Outputs are right, and gradients flow from each place to the places after it, which it never saw.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        return layer.causal and inputs[1][-2] > 1

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        _, q, k, v = saved
        _, unmasked = self.right(causal=False).forward(q, k, v, params)
        return super().backward(dy, unmasked, params)


class AttentionJacobianDiagonal(LayerFault, ScaledDotProductAttention):
    """The softmax inside attention is differentiated as if every probability had one score: ``dp * p (1 - p)``.

    It is the softmax layer's classic mistake in a place where no test looks at the softmax alone. Values have the right
    gradient, queries and keys a wrong one.
    """

    number = 5
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        return inputs[1][-2] > 1

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        p, q, k, v = saved
        (_, _, dv), _ = super().backward(dy, saved, params)
        dscores = (dy @ v.swapaxes(-1, -2)) * (p * (1 - p))
        dproducts = dscores / self.divisor(q)
        return (dproducts @ k, dproducts.swapaxes(-1, -2) @ q, dv), {}
