"""Layers that tell a place of a sequence from the others. T places, L places at most, E features.

Attention and every layer with one weight for all places would not notice if a sequence were shuffled.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive

__all__ = ["Positions", "Rotary", "SinusoidalPositions"]

Order: TypeAlias = Literal["interleaved", "halves"]
"""Where the two of a pair of features stand: side by side, or one in each half."""


@dataclass(frozen=True)
class Positions(Layer):
    """A learned vector for every place, added: ``y[..., t, :] = x[..., t, :] + weight[t]``.

    The gradient of a place's vector is the sum over all sequences; of a place that none reaches it is 0.

    Shapes: x and y (..., T, E) with T up to L; weight (L, E).

    Same layer elsewhere: in GPT-2 and BERT ``x + torch.nn.Embedding(L, E)(torch.arange(T))``; no framework has it as a
    layer of its own but for keras_hub.layers.PositionEmbedding, which returns the vectors without adding them.

    Raises:
        CaseError: fewer than 1 place, a width below 1; an input that is not (..., T, E) or has more places.

    Source: Gehring et al. 2017, "Convolutional sequence to sequence learning", section 3.1.

    >>> weight = np.array([[10.0], [20.0], [30.0]])
    >>> Positions(3, 1).forward(np.array([[1.0], [2.0]]), {"weight": weight})[0].tolist()
    [[11.0], [22.0]]
    """

    kind: ClassVar[str] = "positions"

    places: int
    width: int

    def __post_init__(self) -> None:
        require_positive(self, "places", what="a number of places")
        require_positive(self, "width", what="a width")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.places, self.width)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_places(x)
        if x[-1] != self.width:
            raise CaseError(f"{x[-1]}, the width of what the node takes", str(self.width), key="width")
        if x[-2] > self.places:
            raise CaseError(f"at least {x[-2]}, of an input of shape {x}", str(self.places), key="places")
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, None]:
        y = x + params["weight"][: x.shape[-2]]
        return y, None

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[Array, dict[str, Array]]:
        places, width = dy.shape[-2:]
        # forward was: y = x + weight[:T], for each of the sequences
        dx = dy
        dweight = np.zeros_like(params["weight"])
        dweight[:places] = dy.reshape(-1, places, width).sum(axis=0)
        return dx, {"weight": dweight}


class Waves(Layer):
    """What the fixed positions share: an angle for every place and every pair of features."""

    base: float
    order: Order

    def __post_init__(self) -> None:
        require_base(self.base)

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_pairs(x)
        return x

    def angles(self, x: Array) -> Array:
        """The angle of each place (a row) and pair (a column)."""
        return counted(x, x.shape[-2])[:, None] * frequencies(x, self.base)


@dataclass(frozen=True)
class SinusoidalPositions(Waves):
    """A fixed vector for every place, added: ``y = x + table``, waves of E / 2 frequencies.

    ``table[t, 2i] = sin(t * base^(-2i / E))`` and ``table[t, 2i + 1] = cos(t * base^(-2i / E))``, places counted from
    0. With the order ``halves`` all sines stand before all cosines.

    Shapes: x and y (..., T, E), E even.

    Same layer elsewhere: keras_hub.layers.SinePositionEncoding (interleaved; it returns the table without adding it).
    PyTorch and JAX have none, and most of their users write it interleaved, as the paper does. The paper's own code,
    tensor2tensor, has halves, and exponents ``i / (E / 2 - 1)``, so that the last one is 1.

    Raises:
        CaseError: a base that is not above 0, an input that is not (..., T, E), an odd width.

    Source: Vaswani et al. 2017, "Attention is all you need", section 3.5.

    >>> SinusoidalPositions().forward(np.zeros((2, 4)), {})[0].round(4)
    array([[0.    , 1.    , 0.    , 1.    ],
           [0.8415, 0.5403, 0.01  , 1.    ]])
    """

    kind: ClassVar[str] = "sinusoidal_positions"

    base: float = 10000.0
    order: Order = "interleaved"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, None]:
        angle = self.angles(x)
        y = x + joined(np.sin(angle), np.cos(angle), self.order)
        return y, None

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = x + table, which is fixed
        dx = dy
        return dx, {}


@dataclass(frozen=True)
class Rotary(Waves):
    """Pairs of features are turned by an angle that grows with the place.

    ``y1 = x1 * cos(a) - x2 * sin(a)`` and ``y2 = x2 * cos(a) + x1 * sin(a)`` with ``a = t * base^(-2i / E)`` for pair i
    at place t, counted from 0. With the order ``halves`` pair i is features i and ``i + E / 2``, with ``interleaved``
    it is features 2i and ``2i + 1``. Products of queries and keys so turned depend on how far apart they are.

    Shapes: x and y (..., T, E), E even, heads among the axes before.

    Same layer elsewhere: halves in GPT-NeoX and in Hugging Face's Llama (``rotate_half``); interleaved in the paper,
    GPT-J and Meta's Llama (weights of one are permuted for the other). keras_hub.layers.RotaryEmbedding has halves,
    mlx.nn.RoPE too, with ``traditional`` interleaved. PyTorch and JAX have none.

    Raises:
        CaseError: a base that is not above 0, an input that is not (..., T, E), an odd width.

    Source: Su et al. 2021, "RoFormer: enhanced transformer with rotary position embedding", eq. 34.

    >>> x = np.array([[1.0, 2.0, 0.0, 0.0], [1.0, 2.0, 0.0, 0.0]])
    >>> Rotary().forward(x, {})[0].round(4)
    array([[1.    , 2.    , 0.    , 0.    ],
           [0.5403, 1.9999, 0.8415, 0.02  ]])
    """

    kind: ClassVar[str] = "rotary"

    base: float = 10000.0
    order: Order = "halves"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        angle = self.angles(x)
        cos, sin = np.cos(angle), np.sin(angle)
        x1, x2 = split(x, self.order)
        y1 = x1 * cos - x2 * sin
        y2 = x2 * cos + x1 * sin
        y = joined(y1, y2, self.order)
        return y, (cos, sin)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        cos, sin = saved
        dy1, dy2 = split(dy, self.order)
        # forward was: y1 = x1 * cos - x2 * sin, and y2 = x2 * cos + x1 * sin
        dx1 = dy1 * cos + dy2 * sin
        dx2 = dy2 * cos - dy1 * sin
        # forward was: x1, x2 = split(x)
        dx = joined(dx1, dx2, self.order)
        return dx, {}


def frequencies(x: Array, base: float) -> Array:
    """``base^(-2i / E)`` for each of the E / 2 pairs of features."""
    width = x.shape[-1]
    frequency: Array = base ** -(2 * counted(x, width // 2) / width)
    return frequency


def counted(like: Array, n: int) -> Array:
    """The numbers from 0 to n - 1, of the dtype and the arithmetic of another array."""
    numbers = np.empty_like(like, shape=(n,))
    numbers[:] = np.arange(n)
    return numbers


def split(x: Array, order: Order) -> tuple[Array, Array]:
    """The first and the second features of all pairs."""
    if order == "interleaved":
        return x[..., 0::2], x[..., 1::2]
    half = x.shape[-1] // 2
    return x[..., :half], x[..., half:]


def joined(first: Array, second: Array, order: Order) -> Array:
    """Pairs of features from the first and the second of each."""
    if order == "halves":
        return np.concatenate([first, second], axis=-1)
    return np.stack([first, second], axis=-1).reshape(*first.shape[:-1], -1)


def require_base(base: float) -> None:
    """Raise CaseError unless a number can be the base of the frequencies."""
    if not base > 0:
        raise CaseError("a number above 0", str(base), key="base")


def require_places(shape: Shape) -> None:
    """Raise CaseError unless an input of this shape has an axis of places."""
    if len(shape) < 2:
        raise CaseError("an input of rank 2 or more, (..., T, E)", f"shape {shape}")


def require_pairs(shape: Shape) -> None:
    """Raise CaseError unless an input of this shape has places, and features in pairs."""
    require_places(shape)
    if shape[-1] % 2:
        raise CaseError("an even number of features", f"{shape[-1]}, of an input of shape {shape}")
