"""Attention. Lq queries, Lk keys and as many values; queries and keys of width E, values of width Ev."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape

__all__ = ["ScaledDotProductAttention"]

Saved = tuple[Array, Array, Array, Array]


@dataclass(frozen=True)
class ScaledDotProductAttention(Layer):
    """For every query a mean of the values, weighted by its likeness to their keys.

    ``y = softmax(q k^T / sqrt(E)) v``, softmax over the keys.

    With ``causal`` the query at place i sees the keys at places 0 to i: a mask that is aligned at the top left, also
    where there are not as many keys as queries. With scale ``none`` nothing is divided by.

    Shapes: q (..., Lq, E); k (..., Lk, E); v (..., Lk, Ev); y (..., Lq, Ev); the axes before alike, heads among them.

    Same layer elsewhere: torch.nn.functional.scaled_dot_product_attention, heads before places as here, top left too;
    MLX's mask is aligned at the bottom right. jax.nn.dot_product_attention has heads after places, wants values as
    wide as keys, and computes its softmax in float32 whatever the dtype of its inputs.

    Raises:
        CaseError: inputs that are not of these shapes.

    Source: Vaswani et al. 2017, "Attention is all you need", eq. 1.

    >>> q, k = np.array([[0.0], [5.0]]), np.array([[0.0], [0.0]])
    >>> ScaledDotProductAttention(causal=True).forward(q, k, np.array([[2.0], [4.0]]), {})[0]
    array([[2.],
           [3.]])
    """

    kind: ClassVar[str] = "scaled_dot_product_attention"
    arity: ClassVar[int | None] = 3

    causal: bool = False
    scale: Literal["width", "none"] = "width"

    def output_shape(self, *shapes: Shape) -> Shape:
        q, k, v = shapes
        if min(map(len, shapes)) < 2 or q[:-2] != k[:-2] or k[:-1] != v[:-1] or q[-1] != k[-1]:
            expected = "queries (..., Lq, E), keys (..., Lk, E) and values (..., Lk, Ev)"
            raise CaseError(expected, f"shapes {q}, {k} and {v}", key="from")
        return *q[:-1], v[-1]

    def forward(self, q: Array, k: Array, v: Array, params: Parameters) -> tuple[Array, Saved]:
        scores = q @ k.swapaxes(-1, -2) / self.divisor(q)
        if self.causal:
            # A query sees the key of its own place, so that no row is without a finite maximum.
            place = np.arange(max(scores.shape[-2:]))
            seen = place[: scores.shape[-2], None] >= place[: scores.shape[-1]]
            scores = np.where(seen, scores, np.full_like(scores, -np.inf))
        e = np.exp(scores - scores.max(axis=-1, keepdims=True))
        p = e / e.sum(axis=-1, keepdims=True)
        y = p @ v
        return y, (p, q, k, v)

    def backward(
        self, dy: Array, saved: Saved, params: Parameters
    ) -> tuple[tuple[Array, Array, Array], dict[str, Array]]:
        p, q, k, v = saved
        # forward was: y = p @ v
        dp = dy @ v.swapaxes(-1, -2)
        dv = p.swapaxes(-1, -2) @ dy
        # forward was: p = softmax(scores), and p is 0 where a key was not seen
        dscores = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
        # forward was: scores = q @ k.T / divisor
        dproducts = dscores / self.divisor(q)
        dq = dproducts @ k
        dk = dproducts.swapaxes(-1, -2) @ q
        return (dq, dk, dv), {}

    def divisor(self, q: Array) -> Array:
        """What the products are divided by: the root of the queries' width, or 1."""
        root: Array = np.sqrt(np.full_like(q, q.shape[-1] if self.scale == "width" else 1, shape=()))
        return root
