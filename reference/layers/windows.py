"""Windows: the places at which a kernel is laid on images, which convolutions and pools have in common.

N images, C channels, and behind these the sizes S of any number of axes: one of a sequence, two of an image. A kernel
has a *tap* for each of its numbers and is laid on at P positions, so many along each axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import CaseError
from .base import Array, Shape, elements

Pair: TypeAlias = tuple[int, int]
Slices: TypeAlias = tuple[slice, ...]
"""One for each axis behind the channels."""


class Phase(NamedTuple):
    """Pixels that are seen by the same taps: on each axis those of one remainder by the stride."""

    pixels: Slices
    """Where they are in the images, which are not padded."""
    taps: Slices
    """What sees them, the last tap first."""
    windows: Windows
    """Laid on an array with a place for each position: for each pixel the positions from which those taps see it."""


@dataclass(frozen=True)
class Windows:
    """A kernel that is laid on images. Each field has a value for each axis.

    ``padding`` is by how much an axis is extended before and behind, or shortened where it is negative; ``dilation``
    is how far the taps lie apart.

    >>> windows = Windows(kernel=(3,), stride=(2,), padding=((1, 0),), dilation=(1,))
    >>> windows.columns(np.array([[[1.0, 2.0, 3.0, 4.0]]]))  # a column for each position
    array([[[0., 2.],
            [1., 3.],
            [2., 4.]]])
    """

    kernel: Shape
    stride: Shape
    padding: tuple[Pair, ...]
    dilation: Shape

    def span(self) -> Shape:
        """From the first pixel that the kernel covers to the last."""
        return tuple(apart * (taps - 1) + 1 for taps, apart in zip(self.kernel, self.dilation, strict=True))

    def padded_sizes(self, sizes: Shape) -> Shape:
        return tuple(before + size + behind for size, (before, behind) in zip(sizes, self.padding, strict=True))

    def positions(self, sizes: Shape) -> Shape:
        """At how many positions the kernel is laid on images of these sizes.

        Raises:
            CaseError: it is larger than they are with their padding.
        """
        padded, span = self.padded_sizes(sizes), self.span()
        if any(size < reach for size, reach in zip(padded, span, strict=True)):
            dilated = f", which covers {span}" if span != self.kernel else ""
            raise CaseError(f"at most {padded}, the padded image", f"{self.kernel}{dilated}", key="kernel")
        return tuple((size - reach) // step + 1 for size, reach, step in zip(padded, span, self.stride, strict=True))

    def padded(self, images: Array, value: float = 0) -> Array:
        """The images, extended by ``value`` or shortened."""
        axes = zip(images.shape[2:], self.padding, strict=True)
        images = images[:, :, *(slice(max(-before, 0), size - max(-behind, 0)) for size, (before, behind) in axes)]
        widths = [(max(before, 0), max(behind, 0)) for before, behind in self.padding]
        return np.pad(images, [(0, 0), (0, 0), *widths], constant_values=value) if max(map(max, widths)) else images

    def columns(self, images: Array, groups: int = 1) -> Array:
        """What each tap sees of each channel, a row for each of these and a column for each position of each image.

        The positions are the last axes, as they are in the images, so that whole runs of pixels are copied: with the
        taps last it takes ten times as long.

        Shapes: images (N, C, *S); the columns (groups, C / groups * taps, N * P).
        """
        rank, channels = len(self.kernel), images.shape[1]
        positions, taps = range(2, 2 + rank), range(2 + rank, 2 + 2 * rank)
        views = sliding_window_view(self.padded(images), self.span(), axis=tuple(positions))
        views = views[:, :, *(slice(None, None, step) for step in (*self.stride, *self.dilation))]
        rows = channels // groups * elements(self.kernel)
        return views.transpose(1, *taps, 0, *positions).reshape(groups, rows, -1)

    def seen(self, sizes: Shape) -> Iterator[Slices]:
        """For each tap the pixels that it sees from all positions, of padded images of these sizes before padding."""
        for tap in product(*map(range, self.kernel)):
            axes = zip(tap, self.dilation, self.stride, self.positions(sizes), strict=True)
            yield tuple(
                slice(place * apart, place * apart + step * (count - 1) + 1, step) for place, apart, step, count in axes
            )

    def pixels(self, images: Array, value: float = 0) -> list[Array]:
        """For each tap what it sees of the images, which are extended by ``value``: views (N, C, *P)."""
        padded = self.padded(images, value)
        return [padded[:, :, *seen] for seen in self.seen(images.shape[2:])]

    def scattered(self, dpixels: Iterator[Array], like: Array, sizes: Shape) -> Array:
        """The gradient of images of these sizes: to each pixel what every tap sends it, from all positions.

        Shapes: (N, C, *P) for each tap, as those of ``like``; the gradient (N, C, *S).
        """
        dpadded = np.zeros_like(like, shape=(*like.shape[:2], *self.padded_sizes(sizes)))
        for seen, dpixel in zip(self.seen(sizes), dpixels, strict=True):
            dpadded[:, :, *seen] += dpixel
        kept = (slice(before, before + size) for size, (before, _) in zip(sizes, self.padding, strict=True))
        return dpadded[:, :, *kept]

    def phases(self, sizes: Shape) -> Iterator[Phase]:
        """From where each pixel of images of these sizes is seen, a phase at a time.

        A pixel at ``place`` of the padded image is seen by tap k from position ``(place - k dilation) / stride``, where
        that is a whole number. A pixel that lies a stride further is seen by the same taps, from the next positions:
        what a phase needs is again a kernel that is laid on, without a stride.
        """
        axes = map(phases_of_axis, self.kernel, self.stride, self.padding, self.dilation, sizes, self.positions(sizes))
        for phase in product(*axes):
            pixels, taps, kernel, padding, dilation = zip(*phase, strict=True)
            yield Phase(pixels, taps, Windows(kernel, (1,) * len(sizes), padding, dilation))


def phases_of_axis(
    kernel: int, stride: int, padding: Pair, dilation: int, size: int, positions: int
) -> Iterator[tuple[slice, slice, int, Pair, int]]:
    """The phases of one axis: pixels, taps, and kernel, padding and dilation of the windows on the positions."""
    for start in range(min(stride, size)):
        place = start + padding[0]
        taps = [k for k in range(kernel) if (place - k * dilation) % stride == 0]
        if taps:
            step = taps[1] - taps[0] if len(taps) > 1 else 1
            # from where the last tap sees the first of the pixels, and the first tap the last of them
            first = (place - taps[-1] * dilation) // stride
            last = (place - taps[0] * dilation) // stride + (size - 1 - start) // stride
            backwards = slice(taps[-1], taps[0] - 1 if taps[0] else None, -step)
            around = (-first, last - (positions - 1))
            yield slice(start, None, stride), backwards, len(taps), around, step * dilation // stride or 1
