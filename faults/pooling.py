"""Mistakes in pools."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..reference.layers import AdaptiveAvgPool2d, Array, AvgPool2d, GlobalAvgPool, MaxPool2d, Parameters, Shape
from ..reference.layers.base import elements, zeros_where
from .base import LayerFault

Gradients: TypeAlias = tuple[Array, dict[str, Array]]


class MaximumSentToAll(LayerFault, MaxPool2d):
    """Every pixel of a window is sent the gradient, as if each had been the largest.

    The backward enlarges what comes in to the size of the image, which is that of a sum over windows. Which pixel won
    was not kept.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: MaxPool2d, *inputs: Shape) -> bool:
        return elements(layer.kernel) > 1

    def backward(self, dy: Array, saved: tuple[Array, Array, Shape], params: Parameters) -> Gradients:
        pixels, _, shape = saved
        return self.windows.returned([dy] * len(pixels), shape[2:]), {}


class TiesSentInFull(LayerFault, MaxPool2d):
    """Every pixel that equals the maximum is sent all of the gradient.

    ``dy * (x == y)`` is the whole backward, and right where no two pixels of a window are alike. Behind a relu many
    are, being 0; a window of zeros then sends back as many times too much as it has pixels.
    """

    wrong = ("backward",)
    only_where = "a window in which the maximum occurs twice"

    @classmethod
    def possible(cls, layer: MaxPool2d, *inputs: Shape) -> bool:
        return elements(layer.kernel) > 1

    def backward(self, dy: Array, saved: tuple[Array, Array, Shape], params: Parameters) -> Gradients:
        pixels, y, shape = saved
        sent = [zeros_where(pixels[tap] < y, dy) for tap in range(len(pixels))]
        return self.windows.returned(sent, shape[2:]), {}


class LastOfATie(LayerFault, MaxPool2d):
    """Of equal pixels the last is taken for the largest: a loop over the window that compares by ``>=``.

    The values are the same, only the gradient goes elsewhere. No test on random data sees it; images with flat areas,
    and everything behind a relu, have such windows.
    """

    wrong = ("backward",)
    only_where = "a window in which the maximum occurs twice"

    @classmethod
    def possible(cls, layer: MaxPool2d, *inputs: Shape) -> bool:
        return elements(layer.kernel) > 1

    def backward(self, dy: Array, saved: tuple[Array, Array, Shape], params: Parameters) -> Gradients:
        pixels, y, shape = saved
        sent = self.right(tie="first").to_the_first(dy, pixels[::-1], y)  # type: ignore[attr-defined]
        return self.windows.returned(sent[::-1], shape[2:]), {}


class MaximumPaddedWithZeros(LayerFault, MaxPool2d):
    """The padding is 0, as that of a convolution, and not minus infinity: at the edges no maximum is negative.

    Behind a relu only the gradient is lost, of windows that are all 0 and of which the padding is first. Elsewhere
    negative maxima along the edges become 0.
    """

    wrong = ("forward", "backward")
    only_where = "a window at the edge in which nothing is positive"

    @classmethod
    def possible(cls, layer: MaxPool2d, *inputs: Shape) -> bool:
        return max(layer.padding) > 0

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array, Shape]]:
        pixels = np.stack(self.windows.pixels(x))
        y = pixels.max(axis=0)
        return y, (pixels, y, x.shape)


class MeanSentUndivided(LayerFault):
    """What a mean sends back to each of its pixels is all of the gradient, and not its share.

    That is the backward of a sum; the division is left in the forward. Everything below learns as many times too fast
    as there are pixels in a window.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return isinstance(layer, AvgPool2d | AdaptiveAvgPool2d | GlobalAvgPool)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        divisor = elements(saved[2:]) if isinstance(self, GlobalAvgPool) else saved[0]
        dx, dparams = super().backward(dy * divisor, saved, params)
        return dx, dparams


class DividedByTheHeight(LayerFault, AvgPool2d):
    """The sum over a window is divided by the height of the kernel, and not by the number of its pixels.

    One size stands for the kernel, from where it was square or a row. Forward and backward fit each other; all values
    are too large by the kernel's width, which the next layer learns to undo.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: AvgPool2d, *inputs: Shape) -> bool:
        return layer.kernel[1] > 1

    def divisor(self, x: Array) -> int | Array:
        return self.kernel[0]


class PaddingCountedOneWay(LayerFault, AvgPool2d):
    """Forward and backward do not agree on whether the padding is counted among the pixels of a window.

    They come from two libraries, each right by its own convention. Inside the image both divide alike; only what is
    sent back along its edges is off.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: AvgPool2d, *inputs: Shape) -> bool:
        return max(layer.padding) > 0

    def backward(self, dy: Array, saved: tuple[int | Array, Shape], params: Parameters) -> Gradients:
        _, shape = saved
        other = self.right(count_padding=not self.count_padding)
        divisor = other.divisor(np.zeros_like(dy, shape=shape))  # type: ignore[attr-defined]
        dx, dparams = super().backward(dy, (divisor, shape), params)
        return dx, dparams


class WindowsOfOneSize(LayerFault, AdaptiveAvgPool2d):
    """All windows have the size that the division gives, rounded down: what is left over is in none of them.

    It is an ordinary pool with ``size // outputs`` for kernel and stride, which ports make of it. Where the sizes
    divide, and for a single window, they are the same; otherwise the last rows and columns of the image are ignored.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: AdaptiveAvgPool2d, *inputs: Shape) -> bool:
        sizes = list(zip(inputs[0][2:], layer.outputs, strict=True))
        return all(size >= outputs for size, outputs in sizes) and any(size % outputs for size, outputs in sizes)

    def bounds(self, size: int, outputs: int) -> tuple[Array, Array]:
        place = np.arange(outputs) * (size // outputs)
        return place, place + size // outputs
