"""Mistakes in layers that join values, or give them another shape."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..reference.layers import Add, Array, Concatenate, Flatten, Multiply, Parameters, Reshape, Shape
from .base import LayerFault

Gradients: TypeAlias = tuple[Any, dict[str, Array]]


class SecondPathForgotten(LayerFault):
    """What joins several values sends its gradient to the first of them only.

    In a residual block the shortcut needs no code in the forward beyond the ``+``, and so is left out of the backward.
    The network still learns through its blocks, and worse the deeper it is.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return isinstance(layer, Add | Multiply | Concatenate)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        (first, *others), dparams = super().backward(dy, saved, params)
        return (first, *map(np.zeros_like, others)), dparams


class GradientDivided(LayerFault, Add):
    """The sum divides its gradient among its values: each is sent one half.

    A sum distributes values, so it seems natural that it distributes the gradient too; but each value moves the sum by
    all of its own change, and each receives all of dy. Twenty additions in a row make what comes first a million times
    too small.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[tuple[Array, Array], dict[str, Array]]:
        return super().backward(dy / 2, saved, params)


class FactorsNotExchanged(LayerFault, Multiply):
    """Each factor is sent the gradient times itself, where it should be times the other one.

    ``da = dy * a`` stands below ``y = a * b`` and looks like it. Where a value is multiplied by itself nothing is
    wrong; elsewhere a factor near 0, which should be sent most, is sent nothing.
    """

    wrong = ("backward",)

    def backward(
        self, dy: Array, saved: tuple[Array, Array], params: Parameters
    ) -> tuple[tuple[Array, Array], dict[str, Array]]:
        a, b = saved
        return super().backward(dy, (b, a), params)


class JoinedInReverse(LayerFault, Concatenate):
    """The values are joined the other way around, the last one first.

    Skip connections are written as (shortcut, value) by some and as (value, shortcut) by others. The shape is the same
    and training works; weights from elsewhere meet the wrong channels.
    """

    wrong = ("forward", "backward")

    def forward(self, *values_and_params: Any) -> tuple[Array, list[int]]:
        *values, params = values_and_params
        return super().forward(*reversed(values), params)

    def backward(self, dy: Array, sizes: list[int], params: Parameters) -> tuple[tuple[Array, ...], dict[str, Array]]:
        dvalues, dparams = super().backward(dy, sizes, params)
        return dvalues[::-1], dparams


class ChannelsFlattenedLast(LayerFault, Flatten):
    """A row is flattened with its channels last: pixel by pixel, where it should be channel by channel.

    So do libraries that keep images as (N, H, W, C), and a port of the weights must exchange the rows of the next
    matrix. Forward and backward fit each other; every number is there, at another place.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Flatten, *inputs: Shape) -> bool:
        _, channels, *sizes = inputs[0]
        return channels > 1 and any(size > 1 for size in sizes)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Shape]:
        y, _ = super().forward(channels_last(x), params)
        return y, x.shape

    def backward(self, dy: Array, shape: Shape, params: Parameters) -> Gradients:
        n, channels, *sizes = shape
        return dy.reshape(n, *sizes, channels).transpose(0, len(shape) - 1, *range(1, len(shape) - 1)), {}


class ReshapedByColumns(LayerFault):
    """A row is read and written with its first axis running fastest, where it should be the last.

    Some languages keep matrices by columns, and their reshape takes the numbers in that order. Whatever is made of one
    axis, or one axis of it, comes out in another order.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        if not isinstance(layer, Flatten | Reshape):
            return False
        before, behind = (
            [size for size in shape[1:] if size > 1] for shape in (inputs[0], layer.output_shape(*inputs))
        )
        return before != behind

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Shape]:
        return by_columns(x, self.output_shape(x.shape)), x.shape

    def backward(self, dy: Array, shape: Shape, params: Parameters) -> Gradients:
        return by_columns(dy, shape), {}


def channels_last(x: Array) -> Array:
    """Images with the axis of the channels behind the others."""
    return x.transpose(0, *range(2, x.ndim), 1)


def by_columns(x: Array, shape: Shape) -> Array:
    """Every row in another shape, in Fortran's order."""

    def reverse(x: Array) -> Array:
        return x.transpose(0, *range(x.ndim - 1, 0, -1))

    return reverse(reverse(x).reshape(shape[0], *shape[:0:-1]))
