"""Mistakes in attention. H heads of queries, G of keys, Lq and Lk places of them, E the width of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import numpy as np

from ..reference.layers import (
    Array,
    MergeHeads,
    MultiHeadAttention,
    Parameters,
    ScaledDotProductAttention,
    Shape,
    SplitHeads,
)
from ..reference.layers.attention import Saved, grouped, merge, softmax, split
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
        dp = (grouped(dy, v) @ v.swapaxes(-1, -2)).reshape(p.shape)
        dproducts = grouped(dp * (p * (1 - p)) / self.divisor(q), k)
        return ((dproducts @ k).reshape(q.shape), dproducts.swapaxes(-1, -2) @ grouped(q, k), dv), {}


class SoftmaxOverTheQueries(LayerFault, ScaledDotProductAttention):
    """The softmax is taken over the queries, the wrong one of the last two axes of the scores.

    In self-attention both axes are equally long and nothing complains. The weights of a query's values do not add up to
    1, those of a key do: a place that nobody asks for has the same influence as one that all ask for.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        # A key that no query sees has a row of nothing but minus infinity.
        return not layer.causal and layer.mask != "boolean"

    def forward(self, q: Array, k: Array, v: Array, params: Parameters) -> tuple[Array, Saved]:
        products = grouped(q, k) @ k.swapaxes(-1, -2)
        scores = products.reshape(*q.shape[:-1], k.shape[-2]) / self.divisor(q)
        p = softmax(self.masked(scores, params).swapaxes(-1, -2)).swapaxes(-1, -2)
        y = (grouped(p, v) @ v).reshape(*q.shape[:-1], v.shape[-1])
        return y, (p, q, k, v)

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        p, q, k, v = saved
        (_, _, dv), _ = super().backward(dy, saved, params)
        dp = (grouped(dy, v) @ v.swapaxes(-1, -2)).reshape(p.shape)
        dscores = p * (dp - (dp * p).sum(axis=-2, keepdims=True))
        dproducts = grouped(dscores / self.divisor(q), k)
        return ((dproducts @ k).reshape(q.shape), dproducts.swapaxes(-1, -2) @ grouped(q, k), dv), {}


# ------------------------------------------------------------------------------------------------------------- masks


class CausalMaskOffByOne(LayerFault, ScaledDotProductAttention):
    """Every query sees the key after its own place: the mask begins one diagonal too far to the right.

    ``triu(mask, k=1)`` and ``tril(mask, k=1)`` look alike, and one of them lets the answer in: the next symbol, which
    is the target. Training goes suspiciously well and generation fails.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        return layer.causal and inputs[1][-2] > 1

    def masked(self, scores: Array, params: Parameters) -> Array:
        queries, keys = scores.shape[-2:]
        unmasked: Array = self.right(causal=False).masked(scores, params)  # type: ignore[attr-defined]
        seen = np.arange(queries)[:, None] + 1 >= np.arange(keys)
        return np.where(seen, unmasked, np.full_like(scores, -np.inf))


class CausalMaskAfterTheSoftmax(LayerFault, ScaledDotProductAttention):
    """The mask sets probabilities to 0, after the softmax, where it should have set scores to minus infinity before.

    What a query may not see is gone, and what is left does not add up to 1. Early places, which see little, are nearly
    0, and the later keys still have an influence: on how small.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        return layer.causal and inputs[1][-2] > 1

    def forward(self, q: Array, k: Array, v: Array, params: Parameters) -> tuple[Array, Saved]:
        _, (p, *_) = self.right(causal=False).forward(q, k, v, params)
        seen = np.arange(q.shape[-2])[:, None] >= np.arange(k.shape[-2])
        p = np.where(seen, p, np.zeros_like(p))
        return (grouped(p, v) @ v).reshape(*q.shape[:-1], v.shape[-1]), (p, q, k, v)


class MaskInverted(LayerFault, ScaledDotProductAttention):
    """The boolean mask means the opposite: where it is 1 the key is hidden.

    In one library, even in one framework, both meanings are in use: torch.nn.MultiheadAttention hides where the mask is
    True, scaled_dot_product_attention shows. Every query sees exactly what it should not.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        return layer.mask == "boolean"

    def masked(self, scores: Array, params: Parameters) -> Array:
        return super().masked(scores, {"mask": 1 - params["mask"]})


class MaskAddedBeforeTheDivision(LayerFault, ScaledDotProductAttention):
    """The additive mask is added to the products, and divided with them.

    Where it is far below 0 it still hides, so that a test with such a mask alone sees nothing. A bias that depends on
    the distance of two places is too small by the root of the width.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        return layer.mask == "additive" and layer.scale == "width" and inputs[0][-1] > 1 and inputs[1][-2] > 1

    def forward(self, q: Array, k: Array, v: Array, params: Parameters) -> tuple[Array, Saved]:
        return super().forward(q, k, v, {"mask": params["mask"] / self.divisor(q)})


class MaskForgottenInTheBackward(LayerFault, ScaledDotProductAttention):
    """The backward computes the attention anew, without the mask that came with the data.

    It is handed queries, keys and values, as the forward was, and nobody handed it the mask. Padding that no output
    depends on has a gradient, and all other gradients are a little off.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        return layer.mask != "none" and inputs[1][-2] > 1

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        _, q, k, v = saved
        _, unmasked = self.right(mask="none").forward(q, k, v, {})
        return super().backward(dy, unmasked, params)


# ------------------------------------------------------------------------------------------------------------- heads


class SharedHeadsTiled(LayerFault, ScaledDotProductAttention):
    """Heads of keys and values are repeated all together, ``k1 k2 k1 k2``, and not each in turn, ``k1 k1 k2 k2``.

    ``repeat`` in NumPy is ``repeat_interleave`` in PyTorch, whose ``repeat`` is NumPy's ``tile``. All shapes are right,
    and most queries ask keys of another group.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        q, k, _ = inputs
        return len(q) > 2 and 1 < k[-3] < q[-3]

    def forward(self, q: Array, k: Array, v: Array, params: Parameters) -> tuple[Array, Saved]:
        order = places(q, k)
        given = {name: mask[..., order, :, :] for name, mask in params.items()}
        y, saved = super().forward(q[..., order, :, :], k, v, given)
        return y[..., np.argsort(order), :, :], saved

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        _, q, k, _ = saved
        order = places(q, k)
        (dq, dk, dv), _ = super().backward(dy[..., order, :, :], saved, params)
        return (dq[..., np.argsort(order), :, :], dk, dv), {}


class SharedHeadsNotSummed(LayerFault, ScaledDotProductAttention):
    """The gradient of a head of keys or values that several queries share is that of the last of them alone.

    The forward repeated the head, and the backward writes every copy's gradient to the same place, with ``=`` where
    ``+=`` is needed. Outputs are right, and so is the gradient of the queries.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: ScaledDotProductAttention, *inputs: Shape) -> bool:
        q, k, _ = inputs
        return len(q) > 2 and k[-3] < q[-3]

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        _, q, k, _ = saved
        (dq, _, _), _ = super().backward(dy, saved, params)
        group = q.shape[-3] // k.shape[-3]
        last = (np.arange(q.shape[-3]) % group == group - 1)[:, None, None]
        (_, dk, dv), _ = super().backward(np.where(last, dy, np.zeros_like(dy)), saved, params)
        return (dq, dk, dv), {}


class HeadsCutWithoutTransposition(LayerFault, SplitHeads):
    """Rows are reshaped to (H, T, E) at once, where they should be cut into (T, H, E) and transposed.

    The shape is right and the heads are made of pieces of different places. A network trained that way from the start
    learns; with the weights of another it gives nonsense.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: SplitHeads, *inputs: Shape) -> bool:
        return layer.heads > 1 and inputs[0][-2] > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, None]:
        return x.reshape(self.output_shape(x.shape)), None

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[Array, dict[str, Array]]:
        return dy.reshape(merge(dy).shape), {}


class HeadsCutByStrides(LayerFault, SplitHeads):
    """Of every row a head takes each H-th element, ``e * H + h``, and not a piece of it, ``h * E + e``.

    The axis of heads is made behind that of the width. Checkpoints of both orders exist, and only the numbers tell
    them apart.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: SplitHeads, *inputs: Shape) -> bool:
        return 1 < layer.heads < inputs[0][-1]

    def forward(self, x: Array, params: Parameters) -> tuple[Array, None]:
        return split(x, x.shape[-1] // self.heads).swapaxes(-1, -3), None

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[Array, dict[str, Array]]:
        return merge(dy.swapaxes(-1, -3)), {}


class HeadsMergedWithoutTransposition(LayerFault, MergeHeads):
    """Heads are reshaped to rows as they lie, (H, T, E), without being put behind the places first.

    In PyTorch ``view`` refuses after a transposition, and leaving the transposition out is one way to silence it. Every
    row is made of pieces of one head at several places.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: MergeHeads, *inputs: Shape) -> bool:
        heads, length, _ = inputs[0][-3:]
        return heads > 1 and length > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, int]:
        return x.reshape(self.output_shape(x.shape)), x.shape[-3]

    def backward(self, dy: Array, heads: int, params: Parameters) -> tuple[Array, dict[str, Array]]:
        return dy.reshape(split(dy, heads).shape), {}


class HeadsMergedInTheWrongOrder(LayerFault, MultiHeadAttention):
    """Inside the layer the heads' outputs are put together without being put behind the places first.

    Shapes are right, and the projection that follows gets rows that are made of several places. The backward undoes
    what the forward did, so that it is the right derivative of a wrong layer.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: MultiHeadAttention, *inputs: Shape) -> bool:
        return layer.heads > 1 and inputs[0][-2] > 1

    def merged(self, seen: Array) -> Array:
        return seen.reshape(merge(seen).shape)

    def unmerged(self, dmerged: Array) -> Array:
        return dmerged.reshape(split(dmerged, self.heads).shape)


class ProjectionsPackedByHead(LayerFault, MultiHeadAttention):
    """The packed projection is read head by head, ``q1 k1 v1 q2 k2 v2``, and not ``q1 q2 k1 k2 v1 v2``.

    Both orders exist: GPT-NeoX and BLOOM pack by head, torch and GPT-2 do not. The weight has the same shape in both.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: MultiHeadAttention, *inputs: Shape) -> bool:
        return layer.heads > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array, Saved]]:
        return super().forward(x, reordered(params, self.columns))

    def backward(
        self, dy: Array, saved: tuple[Array, Array, Saved], params: Parameters
    ) -> tuple[Array, dict[str, Array]]:
        dx, dparams = super().backward(dy, saved, reordered(params, self.columns))
        return dx, reordered(dparams, np.argsort(self.columns))

    @property
    def columns(self) -> Array:
        """Where each column of the right order is in the other."""
        of_each = np.arange(3 * self.width).reshape(self.heads, 3, self.width // self.heads)
        return of_each.swapaxes(0, 1).reshape(-1)


class ScaledByAllHeads(LayerFault, MultiHeadAttention):
    """The products are divided by the root of the layer's width, not of a head's.

    The width at hand when the layer is made is that of all heads together. All logits are too small by the root of
    the number of heads.
    """

    number = 18
    wrong = ("forward", "backward")
    divided_by: ClassVar[str] = "width"

    @classmethod
    def possible(cls, layer: MultiHeadAttention, *inputs: Shape) -> bool:
        return bool(getattr(layer, cls.divided_by) != layer.width // layer.heads)

    @property
    def attention(self) -> ScaledDotProductAttention:
        return Rescaled(self.causal, number=getattr(self, self.divided_by))


class ScaledByTheNumberOfHeads(ScaledByAllHeads):
    """The products are divided by the root of the number of heads, not of the width of a head.

    Both numbers come from one reshape. It is the mistake ``scale_by_heads`` inside the layer that has its own
    projections, where nobody sees the scores.
    """

    divided_by = "heads"


@dataclass(frozen=True)
class Rescaled(ScaledDotProductAttention):
    """Attention with products divided by the root of another number."""

    number: int = 1

    def divisor(self, q: Array) -> Array:
        root: Array = np.sqrt(np.full_like(q, self.number, shape=()))
        return root


def places(q: Array, k: Array) -> Array:
    """The heads of queries in the order of the heads of keys that they have where these are tiled."""
    heads, shared = q.shape[-3], k.shape[-3]
    return np.arange(heads).reshape(heads // shared, shared).T.reshape(-1)


def reordered(params: Parameters, columns: Array) -> dict[str, Array]:
    """The parameters with the columns of the first projection in another order."""
    return {name: array[..., columns] if name.startswith("in_") else array for name, array in params.items()}
