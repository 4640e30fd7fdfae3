"""Windows: the places at which a kernel is laid on images, which convolutions and pools have in common.

N images, C channels, and behind these the sizes S of any number of axes: one of a sequence, two of an image. A kernel
has a *tap* for each of its numbers and is laid on at P positions, so many along each axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..elementary import overlaid
from ..errors import CaseError
from .base import Array, Shape, elements

Pair: TypeAlias = tuple[int, int]
Slices: TypeAlias = tuple[slice, ...]
"""One for each axis behind the channels."""


@dataclass(frozen=True)
class Windows:
    """A kernel that is laid on images. Each field has a value for each axis.

    ``padding`` is by how much an axis is extended before and behind, ``dilation`` how far the taps lie apart.

    >>> windows = Windows(kernel=(3,), stride=(2,), padding=((1, 0),), dilation=(1,))
    >>> windows.columns(np.array([[[1.0, 2.0, 3.0, 4.0]]]), groups=1)  # a column for each position
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
        """The images, extended by ``value``."""
        if not any(map(any, self.padding)):
            return images
        return np.pad(images, ((0, 0), (0, 0), *self.padding), constant_values=value)

    def columns(self, images: Array, groups: int) -> Array:
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

    def returned(self, dpixels: Sequence[Array], sizes: Shape) -> Array:
        """The gradient of images of these sizes from that of what each tap sees: to each pixel the sum over its taps.

        Shapes: (N, C, *P) for each tap; the gradient (N, C, *S).
        """
        n, channels, *_ = dpixels[0].shape
        places = [(slice(None), slice(None), *seen) for seen in self.seen(sizes)]
        dpadded = overlaid(dpixels, places, (n, channels, *self.padded_sizes(sizes)))
        return self.cut(dpadded, sizes)

    def cut(self, dpadded: Array, sizes: Shape) -> Array:
        """The images without their padding."""
        kept = (slice(before, before + size) for size, (before, _) in zip(sizes, self.padding, strict=True))
        return dpadded[:, :, *kept]

    def returned_columns(self, dcolumns: Array, n: int, sizes: Shape) -> Array:
        """The same from the gradient of the columns of n images: (groups, C / groups * taps, N * P)."""
        taps = elements(self.kernel)
        dpixels = dcolumns.reshape(-1, taps, n, *self.positions(sizes)).swapaxes(0, 2)
        return self.returned([dpixels[:, tap] for tap in range(taps)], sizes)
