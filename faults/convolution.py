"""Mistakes in convolutions: in how the kernel is read, in where it is laid, and where windows overlap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from ..reference.layers import Array, ConvTranspose2d, Parameters, Shape
from ..reference.layers.convolution import Convolution, Convolving, as_rows
from ..reference.layers.pooling import Pool
from ..reference.layers.windows import Windows
from .base import LayerFault

Gradients: TypeAlias = tuple[Array, dict[str, Array]]


class KernelMisread(LayerFault, Convolving):
    """The kernel is read in another order than it is kept, forward and backward alike, and its gradient with it."""

    def read(self, params: Parameters) -> dict[str, Array]:
        """The parameters, or their gradients, with the kernel in the other order; twice is as it was."""
        raise NotImplementedError

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Any]:
        y, saved = super().forward(x, self.read(params))
        return y, saved

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, self.read(params))
        return dx, self.read(dparams)


class KernelFlipped(KernelMisread, Convolution):
    """The kernel is turned by half a turn before it is laid on: convolution as mathematics defines it.

    Signal processing's ``convolve`` flips, deep learning's convolution does not. Forward and backward fit each other
    and training works; only weights from elsewhere, if they are not symmetric, give something else.
    """

    number = 10
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Convolution, *inputs: Shape) -> bool:
        return max(layer.windows.kernel) > 1

    def read(self, params: Parameters) -> dict[str, Array]:
        return flipped(params)


class KernelHeightAsWidth(KernelMisread):
    """Height and width of the kernel are exchanged, as by weights that were transposed on the way.

    Square kernels let it pass, and those that are symmetric about their diagonal do not even change. An edge detector
    finds the edges that run the other way.
    """

    number = 10
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Convolving, *inputs: Shape) -> bool:
        kernel = layer.windows.kernel
        return len(kernel) == 2 and kernel[0] == kernel[1] > 1

    def read(self, params: Parameters) -> dict[str, Array]:
        return turned(params)


class KernelUpsideDown(KernelMisread):
    """The kernel is laid on upside down: its rows in reverse, its columns as they are.

    One axis is flipped where both or none should be, as by images that are stored from the bottom up. Kernels that are
    symmetric from top to bottom do not tell; forward and backward fit each other, so that training works.
    """

    number = 10
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Convolving, *inputs: Shape) -> bool:
        return len(layer.windows.kernel) == 2 and min(layer.windows.kernel) > 1

    def read(self, params: Parameters) -> dict[str, Array]:
        return upside_down(params)


class KernelReadByColumns(LayerFault, Convolving):
    """The numbers of each kernel are laid out column by column, though they are stored row by row.

    Some languages store matrices by columns, and a file of plain numbers does not say which it was written by. The
    shape is right and every number is there; that they stand in other places shows only in what comes out.
    """

    number = 10
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Convolving, *inputs: Shape) -> bool:
        kernel = layer.windows.kernel  # a square one has height and width exchanged
        return len(kernel) == 2 and min(kernel) > 1 and kernel[0] != kernel[1]

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Any]:
        y, saved = super().forward(x, self.by_columns(params))
        return y, saved

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, self.by_columns(params))
        dweight = dparams["weight"]
        return dx, {**dparams, "weight": dweight.swapaxes(2, 3).reshape(dweight.shape)}

    def by_columns(self, params: Parameters) -> dict[str, Array]:
        """The parameters with the kernel as it is read."""
        weight = params["weight"]
        height, width = self.windows.kernel
        return {**params, "weight": weight.reshape(*weight.shape[:2], width, height).swapaxes(2, 3)}


class KernelGradientFlipped(LayerFault, Convolving):
    """The kernel's gradient is turned by half a turn; what is sent back is right.

    Of the two gradients of a convolution the input's goes through a flipped kernel, and the flip is written for the
    other one too. Each number of the kernel is pushed by what belongs to the opposite one.
    """

    number = 10
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Convolving, *inputs: Shape) -> bool:
        return max(layer.windows.kernel) > 1

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, params)
        return dx, flipped(dparams)


class KernelNotFlipped(LayerFault, Convolving):
    """The gradient goes back through the kernel as it stands, where it should be turned by half a turn.

    The backward of a convolution is a convolution too, and the same code is used for both. The gradients of kernel and
    bias are right; what is sent back is wrong unless the kernel is symmetric.
    """

    number = 10
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Convolving, *inputs: Shape) -> bool:
        return max(layer.windows.kernel) > 1

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, flipped(params))
        return dx, dparams


class GroupsDealtOut(LayerFault, Convolving):
    """Channels are dealt out to the groups in turn, where each group should have neighbouring ones.

    A reshape to (channels, groups) for one to (groups, channels), which a transpose too many or too few makes of each
    other. Shapes agree and training works; weights from elsewhere are given the wrong channels.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Convolving, *inputs: Shape) -> bool:
        return 1 < layer.groups < layer.inputs

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Any]:
        y, saved = super().forward(x[:, self.order()], params)
        return y, saved

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dealt, dparams = super().backward(dy, saved, params)
        dx = np.zeros_like(dealt)
        dx[:, self.order()] = dealt
        return dx, dparams

    def order(self) -> Array:
        """The channels, group by group."""
        return np.arange(self.inputs).reshape(-1, self.groups).T.reshape(-1)


class PaddedBehind(LayerFault, Convolving):
    """All of the padding lies behind the image, below it and on its right, where half should lie before it.

    Frameworks that pad to keep the size add more behind than before where it comes out odd, and a port takes it all
    there. The shape is right, and everything is shifted by the padding.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Convolving, *inputs: Shape) -> bool:
        return max(map(max, layer.windows.padding)) > 0

    @property
    def windows(self) -> Windows:
        return shifted(super().windows)


class PaddingCutFromBehind(LayerFault, Convolution):
    """Of the padded image's gradient the rows and columns behind are cut off, where half of them lie before.

    What was added in the forward is taken away in the backward by ``[:height, :width]``. The gradients of kernel and
    bias are right; what is sent back is shifted by the padding.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Convolution, *inputs: Shape) -> bool:
        return max(map(max, layer.windows.padding)) > 0

    def backward(self, dy: Array, saved: tuple[Array, Shape], params: Parameters) -> Gradients:
        _, dparams = super().backward(dy, saved, params)
        return sent_back(self, shifted(self.windows), dy, saved, params), dparams


class StrideForgottenInTheBackward(LayerFault, Convolution):
    """What is sent back lies side by side, as if the forward had no stride.

    As many zeros belong between two positions as pixels were skipped. The gradients of kernel and bias are right; that
    of the input is crowded into a corner, and the rest of the image has none.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Convolution, *inputs: Shape) -> bool:
        positions = layer.output_shape(*inputs)[2:]
        return any(step > 1 and count > 1 for step, count in zip(layer.windows.stride, positions, strict=True))

    def backward(self, dy: Array, saved: tuple[Array, Shape], params: Parameters) -> Gradients:
        _, dparams = super().backward(dy, saved, params)
        windows = replace(self.windows, stride=tuple(1 for _ in self.windows.stride))
        return sent_back(self, windows, dy, saved, params), dparams


class DilationForgottenInTheBackward(LayerFault, Convolution):
    """What is sent back goes to pixels side by side, as if the kernel's taps did not lie apart.

    The backward was written before the dilation was. The gradients of kernel and bias are right; every tap but the
    first sends its part to a pixel that it did not see.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Convolution, *inputs: Shape) -> bool:
        return layer.windows.span() != layer.windows.kernel

    def backward(self, dy: Array, saved: tuple[Array, Shape], params: Parameters) -> Gradients:
        _, dparams = super().backward(dy, saved, params)
        windows = replace(self.windows, dilation=tuple(1 for _ in self.windows.dilation))
        return sent_back(self, windows, dy, saved, params), dparams


class OverlapOverwritten(LayerFault):
    """Where windows overlap, the last of them overwrites what the others send back: ``=`` where it should be ``+=``.

    With windows side by side, as in most pools, both are the same. A pixel that lies in several has the gradient of
    one, so that what is sent back is too small, and smaller the more the windows overlap.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return isinstance(layer, Convolution | Pool) and overlap(layer.windows, inputs[0][2:])

    @property
    def windows(self) -> Windows:
        return overwriting(super().windows)  # type: ignore[misc]


class StampOverwritten(LayerFault, ConvTranspose2d):
    """Where the kernels that the pixels lay down overlap, the last of them overwrites the others.

    ``y[...] = x * kernel`` in a loop over the pixels, without the ``+``. With a stride as large as the kernel nothing
    overlaps and all is right; otherwise it is right nowhere but at the edges.
    """

    wrong = ("forward",)

    @classmethod
    def possible(cls, layer: ConvTranspose2d, *inputs: Shape) -> bool:
        return overlap(layer.windows, layer.output_sizes(inputs[0][2:]))

    @property
    def windows(self) -> Windows:
        return overwriting(super().windows)


@dataclass(frozen=True)
class Overwriting(Windows):
    """Windows that send back to a pixel what the last tap has for it."""

    def returned(self, dpixels: Sequence[Array], sizes: Shape) -> Array:
        n, channels, *_ = dpixels[0].shape
        dpadded = np.zeros_like(dpixels[0], shape=(n, channels, *self.padded_sizes(sizes)))
        for seen, dpixel in zip(self.seen(sizes), dpixels, strict=True):
            dpadded[:, :, *seen] = dpixel
        return self.cut(dpadded, sizes)


def overwriting(windows: Windows) -> Windows:
    """The same windows, overwriting."""
    return Overwriting(windows.kernel, windows.stride, windows.padding, windows.dilation)


def shifted(windows: Windows) -> Windows:
    """The same windows with all of the padding behind."""
    return replace(windows, padding=tuple((0, before + behind) for before, behind in windows.padding))


def overlap(windows: Windows, sizes: Shape) -> bool:
    """Whether some pixel is seen by two taps."""
    for taps, apart, step, count in zip(
        windows.kernel, windows.dilation, windows.stride, windows.positions(sizes), strict=True
    ):
        seen = [tap * apart + place * step for tap in range(taps) for place in range(count)]
        if len(set(seen)) < len(seen):
            return True
    return False


def sent_back(layer: Convolution, windows: Windows, dy: Array, saved: tuple[Array, Shape], params: Parameters) -> Array:
    """The gradient of the input, if the kernel were laid in other windows: its first positions have the gradient."""
    n, _, *sizes = saved[1]
    spread = np.zeros_like(dy, shape=(n, layer.outputs, *windows.positions(tuple(sizes))))
    spread[:, :, *map(slice, dy.shape[2:])] = dy
    weight = params["weight"].reshape(layer.groups, layer.outputs // layer.groups, -1)
    return windows.returned_columns(weight.swapaxes(1, 2) @ as_rows(spread, layer.groups), n, tuple(sizes))


def flipped(params: Parameters) -> dict[str, Array]:
    """The parameters, or their gradients, with the kernel turned by half a turn."""
    weight = params["weight"]
    return {**params, "weight": weight[:, :, *(slice(None, None, -1) for _ in weight.shape[2:])]}


def upside_down(params: Parameters) -> dict[str, Array]:
    """The parameters, or their gradients, with the rows of the kernel in reverse."""
    return {**params, "weight": params["weight"][:, :, ::-1]}


def turned(params: Parameters) -> dict[str, Array]:
    """The parameters, or their gradients, with the height of the kernel as its width."""
    return {**params, "weight": params["weight"].swapaxes(2, 3)}
