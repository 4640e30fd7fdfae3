"""Mistakes in layers that tell the places of a sequence apart."""

from __future__ import annotations

from math import prod
from typing import Any, TypeAlias

import numpy as np

from ..reference.layers import Array, Layer, Parameters, Positions, Rotary, Shape, SinusoidalPositions
from ..reference.layers.positions import Order, counted, frequencies, joined, split
from .base import LayerFault

Gradients: TypeAlias = tuple[Array, dict[str, Array]]


class PlacesAlongTheWrongAxis(LayerFault):
    """The places are counted along the axis before: along the batch, or along the heads.

    Half of all code has sequences as (T, N, E) or heads as (T, H, E), and nothing in a shape says which it is. All
    places of a sequence get the same vector, and sequences are told apart by their number in the batch: a network
    trained so depends on what it is batched with.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        x = inputs[0]
        if not isinstance(layer, Positions | SinusoidalPositions | Rotary) or len(x) < 3 or max(x[-3:-1]) == 1:
            return False
        return not isinstance(layer, Positions) or x[-3] <= layer.places

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Any]:
        y, saved = super().forward(x.swapaxes(-2, -3), params)
        return y.swapaxes(-2, -3), saved

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy.swapaxes(-2, -3), saved, params)
        return dx.swapaxes(-2, -3), dparams


class PlacesFromOne(LayerFault):
    """The first place has the number 1, not 0.

    Some models leave room for padding at the start of the table, and formulas of textbooks count from 1. For rotary
    positions the attention of a whole sequence does not change; with a cache that counts from 0 it does.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, SinusoidalPositions | Rotary)

    def angles(self, x: Array) -> Array:
        """The angles of the places that come one later."""
        angle: Array = super().angles(x) + frequencies(x, self.base)  # type: ignore[misc,attr-defined]
        return angle


class ExponentsHalved(LayerFault):
    """The exponent of pair i is ``-i / E``, not ``-2i / E``: pairs are counted where features should be.

    The formula's 2i is the number of a feature, and i runs over the pairs. All frequencies but the first are too high,
    and the lowest is the root of what it should be: long sequences repeat.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        x = inputs[0]
        return isinstance(layer, SinusoidalPositions | Rotary) and x[-1] > 2 and x[-2] > 1 and layer.base != 1

    def angles(self, x: Array) -> Array:
        """The angles with the exponents halved."""
        base: float = self.base  # type: ignore[attr-defined]
        width = x.shape[-1]
        angle: Array = counted(x, x.shape[-2])[:, None] * base ** -(counted(x, width // 2) / width)
        return angle


class SineAndCosineExchanged(LayerFault, SinusoidalPositions):
    """The cosine stands first in every pair, and the sine second.

    Either is as good to train with. Weights that were trained with the other see a table that is shifted by a quarter
    of each wave.
    """

    wrong = ("forward",)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, None]:
        angle = self.angles(x)
        return x + joined(np.cos(angle), np.sin(angle), self.order), None


class PositionGradientOfTheLastSequence(LayerFault, Positions):
    """The gradient of the vectors is that of one sequence: ``dweight = dy[n]``, not summed over the batch.

    The table was broadcast over the sequences, and its gradient is what each of them sends back, added up. With one
    sequence a step it is right; with more, the last one overwrites all others.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Positions, *inputs: Shape) -> bool:
        return prod(inputs[0][:-2]) > 1

    def backward(self, dy: Array, saved: None, params: Parameters) -> Gradients:
        _, dparams = super().backward(dy.reshape(-1, *dy.shape[-2:])[-1], saved, params)
        return dy, dparams


class TurnedTheOtherWay(LayerFault, Rotary):
    """Pairs are turned by ``-a``: the sign of the sine is that of the other feature.

    The two signs of the formula are easily exchanged, and both are a rotation. Products of queries and keys still
    depend on how far apart they are; weights that were trained with the other sign see it backwards.
    """

    wrong = ("forward", "backward")

    def angles(self, x: Array) -> Array:
        return -super().angles(x)


class NotTurnedBack(LayerFault, Rotary):
    """The gradient is turned the same way as the values, where it should be turned back.

    The forward is linear, and is used again for the backward; but the transpose of a rotation is its inverse. The
    length of the gradient is right, and the first place is right altogether.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        cos, sin = saved
        return super().backward(dy, (cos, -sin), params)


class TableOfTheOtherOrder(LayerFault, Rotary):
    """Features are paired one way, and their angles are laid out for the other.

    One half of the code comes from a model with halves and the other from one with interleaved pairs, each right by
    itself. The two features of a pair are turned by different angles, which is no rotation.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Rotary, *inputs: Shape) -> bool:
        return inputs[0][-1] > 2 and inputs[0][-2] > 1 and layer.base != 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        _, (cos, sin) = super().forward(x, params)
        x1, x2 = split(x, self.order)
        (c1, c2), (s1, s2) = self.misread(cos), self.misread(sin)
        return joined(x1 * c1 - x2 * s1, x2 * c2 + x1 * s2, self.order), (cos, sin)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        dy1, dy2 = split(dy, self.order)
        (c1, c2), (s1, s2) = map(self.misread, saved)
        return joined(dy1 * c1 + dy2 * s2, dy2 * c2 - dy1 * s1, self.order), {}

    def misread(self, table: Array) -> tuple[Array, Array]:
        """A table of the pairs, laid out for the features in the other order: for the first of each, and the second."""
        other: Order = "interleaved" if self.order == "halves" else "halves"
        return split(joined(table, table, other), self.order)
