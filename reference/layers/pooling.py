"""Pools: one number for each window of each channel. N images, C channels, H and W height and width, K the kernel's."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from itertools import accumulate
from operator import add, mul
from typing import Any, ClassVar, Literal

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, elements, require_positive, require_rank, zeros_where
from .windows import Windows

__all__ = ["AdaptiveAvgPool2d", "AvgPool2d", "GlobalAvgPool", "MaxPool2d"]


class Pool(Layer):
    """What the pools with a kernel share. ``stride`` is None where windows lie side by side, a kernel apart."""

    kernel: tuple[int, int]
    stride: tuple[int, int] | None
    padding: tuple[int, int]

    def __post_init__(self) -> None:
        require_positive(self, "kernel", *(["stride"] if self.stride else []), what="height and width")
        if any(not 0 <= size <= taps // 2 for size, taps in zip(self.padding, self.kernel, strict=True)):
            raise CaseError(f"from 0 to half of the kernel, {self.kernel}", str(self.padding), key="padding")

    @property
    def windows(self) -> Windows:
        """Where the kernel is laid."""
        padding = tuple((size, size) for size in self.padding)
        return Windows(self.kernel, self.stride or self.kernel, padding, dilation=(1, 1))

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_rank(x, 4, "(N, C, H, W)")
        return *x[:2], *self.windows.positions(x[2:])


@dataclass(frozen=True)
class MaxPool2d(Pool):
    """The largest pixel of each window: ``y[n, c, h, w] = max_kl padded[n, c, h stride + k, w stride + l]``.

    Padded is x with ``padding`` rows and columns of minus infinity on either side. The gradient goes to the pixel that
    was the largest; of several that were alike to the first one, row by row, or an equal share to each.

    Shapes: x (N, C, H, W); y (N, C, H', W'), where ``H' = (H + 2 padding - KH) // stride + 1``, and W' likewise.

    Same layer elsewhere: torch.nn.MaxPool2d and jax.lax.reduce_window, which pools with its maximum, send the gradient
    to the first of equal pixels; MLX and tinygrad share it. In keras.layers.MaxPool2D and flax.linen.max_pool images
    are (N, H, W, C), and SAME padding is not symmetric.

    Raises:
        CaseError: a kernel or a stride below 1; padding that is negative or more than half of the kernel; an input
            that is not (N, C, H, W), or is smaller than the kernel.

    Source: Ranzato, Huang, Boureau & LeCun 2007, "Unsupervised learning of invariant feature hierarchies with
    applications to object recognition".

    >>> x = np.array([[[[1.0, 2.0, 5.0], [4.0, 3.0, 0.0]]]])
    >>> MaxPool2d((2, 2), stride=(1, 1)).forward(x, {})[0]
    array([[[[4., 5.]]]])
    """

    kind: ClassVar[str] = "max_pool2d"

    kernel: tuple[int, int]
    stride: tuple[int, int] | None = None
    padding: tuple[int, int] = (0, 0)
    tie: Literal["first", "shared"] = "first"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array, Shape]]:
        pixels = np.stack(self.windows.pixels(x, -np.inf))
        y = pixels.max(axis=0)
        return y, (pixels, y, x.shape)

    def backward(
        self, dy: Array, saved: tuple[Array, Array, Shape], params: Parameters
    ) -> tuple[Array, dict[str, Array]]:
        pixels, y, shape = saved
        # forward was: y = maximum of the pixels, one under each tap
        dpixels = self.to_the_first(dy, pixels, y) if self.tie == "first" else self.shared(dy, pixels, y)
        # forward was: pixels = what each tap sees of x
        dx = self.windows.returned(dpixels, shape[2:])
        return dx, {}

    def to_the_first(self, dy: Array, pixels: Array, y: Array) -> list[Array]:
        """To a pixel that is the largest, unless a tap before it sees one that is."""
        largest, less = pixels >= y, pixels < y
        before = accumulate((less[tap] for tap in range(len(pixels) - 1)), mul)  # so far, all were less
        winners = [largest[0], *(largest[1 + tap] * none for tap, none in enumerate(before))]
        return [np.where(winner, dy, np.zeros_like(dy)) for winner in winners]

    def shared(self, dy: Array, pixels: Array, y: Array) -> list[Array]:
        """To every pixel that is the largest, dy divided by their number."""
        largest = zeros_where(pixels < y, np.ones_like(pixels))
        dpixels = largest * (dy / largest.sum(axis=0))
        return [dpixels[tap] for tap in range(len(pixels))]


@dataclass(frozen=True)
class AvgPool2d(Pool):
    """The mean of each window: ``y[n, c, h, w] = sum_kl padded[n, c, h stride + k, w stride + l] / number``.

    Padded is x with ``padding`` rows and columns of zeros on either side. The number is ``KH * KW``, or that of the
    pixels of x in the window where padding is not counted.

    Shapes: x (N, C, H, W); y (N, C, H', W'), where ``H' = (H + 2 padding - KH) // stride + 1``, and W' likewise.

    Same layer elsewhere: torch.nn.AvgPool2d and flax.linen.avg_pool count padding unless they are told not to
    (``count_include_pad``), Keras, TensorFlow and Paddle do not. JAX itself has none: it is jax.lax.reduce_window with
    a sum, divided.

    Raises:
        CaseError: a kernel or a stride below 1; padding that is negative or more than half of the kernel; an input
            that is not (N, C, H, W), or is smaller than the kernel.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition", section
    II.B, whose subsampling also scales and shifts.

    >>> x = np.array([[[[1.0, 2.0, 5.0], [4.0, 3.0, 0.0]]]])
    >>> AvgPool2d((2, 2), stride=(1, 1)).forward(x, {})[0]
    array([[[[2.5, 2.5]]]])
    """

    kind: ClassVar[str] = "avg_pool2d"

    kernel: tuple[int, int]
    stride: tuple[int, int] | None = None
    padding: tuple[int, int] = (0, 0)
    count_padding: bool = True

    def divisor(self, x: Array) -> int | Array:
        """How many pixels each window is the mean of."""
        if self.count_padding:
            return elements(self.kernel)
        return in_kind(reduce(add, self.windows.pixels(np.full((1, 1, *x.shape[2:]), 1))), x)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[int | Array, Shape]]:
        divisor = self.divisor(x)
        y = np.stack(self.windows.pixels(x)).sum(axis=0) / divisor
        return y, (divisor, x.shape)

    def backward(
        self, dy: Array, saved: tuple[int | Array, Shape], params: Parameters
    ) -> tuple[Array, dict[str, Array]]:
        divisor, shape = saved
        # forward was: y = sum of the pixels, one under each tap, / divisor
        dpixel = dy / divisor
        # forward was: pixels = what each tap sees of x
        dx = self.windows.returned([dpixel] * elements(self.kernel), shape[2:])
        return dx, {}


@dataclass(frozen=True)
class AdaptiveAvgPool2d(Layer):
    """Means over as many windows as are wanted: ``outputs`` is height and width of y, whatever those of x are.

    ``y[n, c, i, j]`` is the mean of x from row ``floor(i H / H')`` to below ``ceil((i + 1) H / H')``, and from column
    ``floor(j W / W')`` to below ``ceil((j + 1) W / W')``. Windows that do not fit side by side have a row in common.

    Shapes: x (N, C, H, W); y (N, C, H', W').

    Same layer elsewhere: torch.nn.AdaptiveAvgPool2d. keras.layers.AdaptiveAveragePooling2D (from 3.12) has the same
    windows; JAX and flax have none.

    Raises:
        CaseError: an output below 1; an input that is not (N, C, H, W).

    Source: He, Zhang, Ren & Sun 2014, "Spatial pyramid pooling in deep convolutional networks for visual recognition",
    section 2.3.

    >>> AdaptiveAvgPool2d((1, 2)).forward(np.array([[[[1.0, 2.0, 6.0], [3.0, 4.0, 8.0]]]]), {})[0]
    array([[[[2.5, 5. ]]]])
    """

    kind: ClassVar[str] = "adaptive_avg_pool2d"

    outputs: tuple[int, int]

    def __post_init__(self) -> None:
        require_positive(self, "outputs", what="height and width")

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_rank(x, 4, "(N, C, H, W)")
        return *x[:2], *self.outputs

    def bounds(self, size: int, outputs: int) -> tuple[Array, Array]:
        """Along one axis, where each window begins and where it ends."""
        place = np.arange(outputs)
        return place * size // outputs, -(-(place + 1) * size // outputs)

    def places(self, sizes: Shape) -> tuple[Any, ...]:
        """The pixels of each window, as an index (..., H', W', KH, KW). Those that it lacks lie behind the image."""
        height, width = (
            np.where(places < end[:, None], places, size)
            for size, outputs in zip(sizes, self.outputs, strict=True)
            for start, end in [self.bounds(size, outputs)]
            for places in [start[:, None] + np.arange((end - start).max())]
        )
        return slice(None), slice(None), height[:, None, :, None], width[:, None, :]

    def divisor(self, x: Array) -> Array:
        """How many pixels each window is the mean of."""
        height, width = (end - start for start, end in map(self.bounds, x.shape[2:], self.outputs))
        return in_kind(height[:, None] * width, x)

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Shape]]:
        divisor = self.divisor(x)
        padded = np.pad(x, ((0, 0), (0, 0), (0, 1), (0, 1)))
        y = padded[self.places(x.shape[2:])].sum(axis=(-2, -1)) / divisor
        return y, (divisor, x.shape)

    def backward(self, dy: Array, saved: tuple[Array, Shape], params: Parameters) -> tuple[Array, dict[str, Array]]:
        divisor, (n, channels, height, width) = saved
        # forward was: y = sum of padded[places] / divisor, and a pixel may stand in several places
        dpadded = np.zeros_like(dy, shape=(n, channels, height + 1, width + 1))
        np.add.at(dpadded, self.places((height, width)), (dy / divisor)[..., None, None])
        dx = dpadded[:, :, :-1, :-1]
        return dx, {}


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean of each channel, over all of its places: ``y[n, c] = sum x[n, c] / number``.

    Shapes: x (N, C, ...), with one axis or more behind the channels; y (N, C).

    Same layer elsewhere: keras.layers.GlobalAveragePooling2D, with channels last. In torch, JAX and flax it is a mean
    over the axes; torch.nn.AdaptiveAvgPool2d(1) keeps them, with a size of 1.

    Raises:
        CaseError: an input of a rank below 3.

    Source: Lin, Chen & Yan 2014, "Network in network", section 3.2.

    >>> GlobalAvgPool().forward(np.array([[[[1.0, 2.0], [3.0, 6.0]], [[0.0, 1.0], [0.0, 1.0]]]]), {})[0]
    array([[3. , 0.5]])
    """

    kind: ClassVar[str] = "global_avg_pool"

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 3:
            raise CaseError("an input of rank 3 or more, (N, C, ...)", f"shape {x}")
        return x[:2]

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Shape]:
        y = x.reshape(*x.shape[:2], -1).sum(axis=-1) / elements(x.shape[2:])
        return y, x.shape

    def backward(self, dy: Array, shape: Shape, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = sum of x / number, in which every place counts alike
        dplace = dy / elements(shape[2:])
        dx = np.broadcast_to(dplace.reshape(*dy.shape, *(1 for _ in shape[2:])), shape).copy()
        return dx, {}


def in_kind(whole: Array, like: Array) -> Array:
    """Whole numbers, exactly, in the dtype and the arithmetic of an array."""
    numbers = np.empty_like(like, shape=whole.shape)
    numbers[...] = whole
    return numbers
