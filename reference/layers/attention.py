"""Attention. N sequences of T places; H heads. Lq queries, Lk keys and as many values; queries and keys of width E,
values of width Ev. Where keys and values have G heads, fewer than the queries, each is shared by H / G of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive
from .dropout import require_zeros_and_ones

__all__ = ["MergeHeads", "MultiHeadAttention", "ScaledDotProductAttention", "SplitHeads"]

Saved = tuple[Array, Array, Array, Array]


@dataclass(frozen=True)
class ScaledDotProductAttention(Layer):
    """For every query a mean of the values, weighted by its likeness to their keys.

    ``y = softmax(q k^T / sqrt(E)) v``, softmax over the keys.

    With ``causal`` the query at place i sees the keys at places 0 to i: a mask that is aligned at the top left, also
    where there are not as many keys as queries. With scale ``none`` nothing is divided by. Another ``mask`` comes with
    the data of every step, under ``NODE.mask``: a number for every score, ``boolean`` 1 where the query sees the key
    and 0 where it does not, or ``additive``, what is added to the scores after the division. With ``causal`` too, a
    query sees what both let it see.

    Keys and values may have fewer heads than queries (grouped queries; with a single head multi-query attention). The
    first head is then that of the first H / G heads of queries, and so on.

    Shapes: q (..., H, Lq, E); k (..., G, Lk, E); v (..., G, Lk, Ev); y (..., H, Lq, Ev); mask (..., H, Lq, Lk). Where
    queries are of rank 2 there is no axis of heads. H is a multiple of G; all axes before are alike.

    Same layer elsewhere: torch.nn.functional.scaled_dot_product_attention, heads before places as here, top left too
    and True seen, but it takes no mask beside its own causal one, and fewer heads of keys only with ``enable_gqa``;
    torch.nn.MultiheadAttention has True for what is not seen. MLX's causal mask is aligned at the bottom right.
    jax.nn.dot_product_attention has heads after places, wants values as wide as keys, and computes its softmax in
    float32 whatever the dtype of its inputs. A query that sees no key gives 0 in torch, the mean of all values in JAX
    and Keras and NaN elsewhere; here it is refused.

    Raises:
        CaseError: inputs that are not of these shapes, a boolean mask of other numbers than 0 and 1 or with a query
            that sees no key.

    Source: Vaswani et al. 2017, "Attention is all you need", eq. 1; Ainslie et al. 2023, "GQA: Training generalized
    multi-query transformer models from multi-head checkpoints", section 2.2.

    >>> q, k = np.array([[0.0], [5.0]]), np.array([[0.0], [0.0]])
    >>> ScaledDotProductAttention(causal=True).forward(q, k, np.array([[2.0], [4.0]]), {})[0]
    array([[2.],
           [3.]])
    """

    kind: ClassVar[str] = "scaled_dot_product_attention"
    arity: ClassVar[int | None] = 3

    causal: bool = False
    scale: Literal["width", "none"] = "width"
    mask: Literal["none", "boolean", "additive"] = "none"

    @property
    def given(self) -> tuple[str, ...]:
        return () if self.mask == "none" else ("mask",)

    def given_shape(self, name: str, *shapes: Shape) -> Shape:
        q, k, _ = shapes
        return *q[:-1], k[-2]

    def check_given(self, name: str, values: Array) -> None:
        if self.mask == "boolean":
            require_zeros_and_ones(values)
            blind = ~((values != 0) & (in_order(values.shape) | (not self.causal))).any(axis=-1)
            if blind.any():
                query = [int(places[0]) for places in blind.nonzero()]
                raise CaseError("a mask by which every query sees a key", f"none for the query at {query}")

    def draw_given(self, generator: np.random.Generator, name: str, shape: Shape) -> Array:
        """About two of three are seen; every query sees the first and, if there are more, there is one it does not."""
        seen = generator.random(shape) < 0.75
        if shape[-1] > 1:
            np.put_along_axis(seen, generator.integers(1, shape[-1], (*shape[:-1], 1)), False, axis=-1)
        seen[..., 0] = True
        return seen.astype(float) if self.mask == "boolean" else np.where(seen, generator.standard_normal(shape), -1e4)

    def output_shape(self, *shapes: Shape) -> Shape:
        q, k, v = shapes
        if not fit(q, k, v):
            expected = "queries (..., Lq, E), keys (..., Lk, E) and values (..., Lk, Ev)"
            raise CaseError(expected, f"shapes {q}, {k} and {v}", key="from")
        return *q[:-1], v[-1]

    def forward(self, q: Array, k: Array, v: Array, params: Parameters) -> tuple[Array, Saved]:
        products = grouped(q, k) @ k.swapaxes(-1, -2)
        scores = products.reshape(*q.shape[:-1], k.shape[-2]) / self.divisor(q)
        p = softmax(self.masked(scores, params))
        y = (grouped(p, v) @ v).reshape(*q.shape[:-1], v.shape[-1])
        return y, (p, q, k, v)

    def backward(
        self, dy: Array, saved: Saved, params: Parameters
    ) -> tuple[tuple[Array, Array, Array], dict[str, Array]]:
        p, q, k, v = saved
        # forward was: y = p @ v, for all queries of a group in one product, so that dv is the sum over the group
        dp = (grouped(dy, v) @ v.swapaxes(-1, -2)).reshape(p.shape)
        dv = grouped(p, v).swapaxes(-1, -2) @ grouped(dy, v)
        # forward was: p = softmax(masked scores), and p is 0 where a key was not seen
        dscores = p * (dp - (dp * p).sum(axis=-1, keepdims=True))
        # forward was: scores = q @ k.T / divisor, for all queries of a group in one product, as above
        dproducts = grouped(dscores / self.divisor(q), k)
        dq = (dproducts @ k).reshape(q.shape)
        dk = dproducts.swapaxes(-1, -2) @ grouped(q, k)
        return (dq, dk, dv), {}

    def divisor(self, q: Array) -> Array:
        """What the products are divided by: the root of the queries' width, or 1."""
        root: Array = np.sqrt(np.full_like(q, q.shape[-1] if self.scale == "width" else 1, shape=()))
        return root

    def masked(self, scores: Array, params: Parameters) -> Array:
        """The scores, at minus infinity where the query does not see the key."""
        hidden = np.full_like(scores, -np.inf)
        if self.mask == "additive":
            scores = scores + params["mask"]
        if self.mask == "boolean":
            scores = np.where(params["mask"] == 0, hidden, scores)
        if self.causal:
            # A query sees the key of its own place, so that no row is without a finite maximum.
            scores = np.where(in_order(scores.shape), scores, hidden)
        return scores


@dataclass(frozen=True)
class SplitHeads(Layer):
    """Rows cut into heads, and the heads put before the places: ``y[..., h, t, e] = x[..., t, h * E + e]``.

    Shapes: x (..., T, H * E); y (..., H, T, E).

    Same layer elsewhere: ``x.unflatten(-1, (H, E)).transpose(-2, -3)`` in PyTorch. What wants heads after places, as
    jax.nn.dot_product_attention does, leaves the transposition out.

    Raises:
        CaseError: fewer than 1 head, an input of rank 1, a width that is no multiple of the heads.

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.2.2.

    >>> SplitHeads(2).forward(np.array([[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]), {})[0].tolist()
    [[[1.0, 2.0], [5.0, 6.0]], [[3.0, 4.0], [7.0, 8.0]]]
    """

    kind: ClassVar[str] = "split_heads"

    heads: int

    def __post_init__(self) -> None:
        require_positive(self, "heads", what="a number of heads")

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise CaseError("an input of rank 2 or more, (..., T, H * E)", f"shape {x}")
        if x[-1] % self.heads:
            raise CaseError(f"a divisor of {x[-1]}, the width of what the node takes", str(self.heads), key="heads")
        return *x[:-2], self.heads, x[-2], x[-1] // self.heads

    def forward(self, x: Array, params: Parameters) -> tuple[Array, None]:
        y = split(x, self.heads)
        return y, None

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = split(x)
        dx = merge(dy)
        return dx, {}


@dataclass(frozen=True)
class MergeHeads(Layer):
    """Heads put side by side again, in rows: ``y[..., t, h * E + e] = x[..., h, t, e]``. It undoes ``split_heads``.

    Shapes: x (..., H, T, E); y (..., T, H * E).

    Same layer elsewhere: ``x.transpose(-2, -3).flatten(-2)`` in PyTorch.

    Raises:
        CaseError: an input of rank 2 or less.

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.2.2, where it is called Concat.

    >>> MergeHeads().forward(np.array([[[1.0, 2.0], [5.0, 6.0]], [[3.0, 4.0], [7.0, 8.0]]]), {})[0].tolist()
    [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]]
    """

    kind: ClassVar[str] = "merge_heads"

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 3:
            raise CaseError("an input of rank 3 or more, (..., H, T, E)", f"shape {x}")
        return *x[:-3], x[-2], x[-3] * x[-1]

    def forward(self, x: Array, params: Parameters) -> tuple[Array, int]:
        y = merge(x)
        return y, x.shape[-3]

    def backward(self, dy: Array, heads: int, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = merge(x)
        dx = split(dy, heads)
        return dx, {}


@dataclass(frozen=True)
class MultiHeadAttention(Layer):
    """Self-attention in several heads, with its projections: the whole of it as one layer.

    ``q, k, v = x @ in_weight + in_bias``, side by side; ``seen = attention(split(q), split(k), split(v))``;
    ``y = merge(seen) @ out_weight + out_bias``.

    It is what ``dense``, ``split_heads``, ``scaled_dot_product_attention``, ``merge_heads`` and ``dense`` make, one
    after the other, without what is between them in the trace. Without ``bias`` neither projection has one.

    Shapes: x (..., T, E); in_weight (E, 3 E), in_bias (3 E,); out_weight (E, E), out_bias (E,); y (..., T, E). A head
    is E / H wide.

    Same layer elsewhere: torch.nn.MultiheadAttention with ``batch_first=True``, ``x`` for all three inputs and
    ``need_weights=False`` (which changes nothing but its speed); its weights are (3 E, E) and (E, E), and True in its
    mask is what is not seen. flax.nnx.MultiHeadAttention and keras.layers.MultiHeadAttention have three projections
    apart, each (E, H, E / H). mlx.nn.MultiHeadAttention has by default no bias.

    Raises:
        CaseError: a width or a number of heads below 1, a width that is no multiple of the heads, an input that is not
            (..., T, E).

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.2.2.

    >>> weight = {"in_weight": np.array([[0.0, 0.0, 1.0]]), "out_weight": np.array([[3.0]])}
    >>> MultiHeadAttention(1, 1, bias=False).forward(np.array([[2.0], [4.0]]), weight)[0]
    array([[9.],
           [9.]])
    """

    kind: ClassVar[str] = "multi_head_attention"

    width: int
    heads: int
    causal: bool = False
    bias: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "width", what="a width")
        require_positive(self, "heads", what="a number of heads")
        if self.width % self.heads:
            raise CaseError(f"a divisor of {self.width}, the width", str(self.heads), key="heads")

    @property
    def attention(self) -> ScaledDotProductAttention:
        """What each head does."""
        return ScaledDotProductAttention(causal=self.causal)

    def parameters(self) -> dict[str, Shape]:
        shapes = {"in_weight": (self.width, 3 * self.width), "in_bias": (3 * self.width,)}
        shapes |= {"out_weight": (self.width, self.width), "out_bias": (self.width,)}
        return {name: shape for name, shape in shapes.items() if self.bias or not name.endswith("bias")}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise CaseError("an input of rank 2 or more, (..., T, E)", f"shape {x}")
        if x[-1] != self.width:
            raise CaseError(f"{x[-1]}, the width of what the node takes", str(self.width), key="width")
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array, Saved]]:
        projected = x @ params["in_weight"]
        if self.bias:
            projected = projected + params["in_bias"]
        q, k, v = (split(projected[..., part], self.heads) for part in self.parts)
        seen, saved = self.attention.forward(q, k, v, {})
        merged = self.merged(seen)
        y = merged @ params["out_weight"]
        if self.bias:
            y = y + params["out_bias"]
        return y, (x, merged, saved)

    def backward(
        self, dy: Array, saved: tuple[Array, Array, Saved], params: Parameters
    ) -> tuple[Array, dict[str, Array]]:
        x, merged, of_attention = saved
        # forward was: y = merged @ out_weight + out_bias, for each of the rows
        dmerged = dy @ params["out_weight"].T
        rows, drows = merged.reshape(-1, self.width), dy.reshape(-1, self.width)
        dparams = {"out_weight": rows.T @ drows, "out_bias": drows.sum(axis=0)}
        # forward was: merged = merge(seen)
        dseen = self.unmerged(dmerged)
        # forward was: seen = attention(q, k, v)
        (dq, dk, dv), _ = self.attention.backward(dseen, of_attention, {})
        # forward was: q, k, v = split(projected), one beside the other
        dprojected = np.concatenate([merge(dq), merge(dk), merge(dv)], axis=-1)
        # forward was: projected = x @ in_weight + in_bias, for each of the rows
        dx = dprojected @ params["in_weight"].T
        rows, drows = x.reshape(-1, self.width), dprojected.reshape(-1, 3 * self.width)
        dparams |= {"in_weight": rows.T @ drows, "in_bias": drows.sum(axis=0)}
        return dx, {name: dparams[name] for name in self.parameters()}

    @property
    def parts(self) -> tuple[slice, slice, slice]:
        """Where queries, keys and values are in what the first projection gives."""
        return slice(0, self.width), slice(self.width, 2 * self.width), slice(2 * self.width, 3 * self.width)

    def merged(self, seen: Array) -> Array:
        """The outputs of all heads, side by side."""
        return merge(seen)

    def unmerged(self, dmerged: Array) -> Array:
        """The gradient of each head's output."""
        return split(dmerged, self.heads)


def split(x: Array, heads: int) -> Array:
    """Rows (..., T, H * E) as heads (..., H, T, E)."""
    return x.reshape(*x.shape[:-1], heads, x.shape[-1] // heads).swapaxes(-2, -3)


def merge(x: Array) -> Array:
    """Heads (..., H, T, E) as rows (..., T, H * E)."""
    return x.swapaxes(-2, -3).reshape(*x.shape[:-3], x.shape[-2], x.shape[-3] * x.shape[-1])


def grouped(x: Array, k: Array) -> Array:
    """What belongs to queries, (..., H, Lq, E), below the head of keys that they share: (..., G, H / G * Lq, E)."""
    return x.reshape(*k.shape[:-2], -1, x.shape[-1])


def fit(q: Shape, k: Shape, v: Shape) -> bool:
    """Whether queries, keys and values of these shapes fit together."""
    if min(map(len, (q, k, v))) < 2 or len(q) != len(k) or k[:-1] != v[:-1] or q[-1] != k[-1]:
        return False
    return q[:-3] == k[:-3] and (len(q) == 2 or q[-3] % max(k[-3], 1) == 0)


def softmax(scores: Array) -> Array:
    """Probabilities over the last axis."""
    e = np.exp(scores - scores.max(axis=-1, keepdims=True))
    p: Array = e / e.sum(axis=-1, keepdims=True)
    return p


def in_order(shape: Shape) -> Array:
    """A mask (Lq, Lk) for scores of this shape: true where the key is not at a later place than the query."""
    queries, keys = shape[-2:]
    place = np.arange(max(queries, keys))
    return place[:queries, None] >= place[:keys]
