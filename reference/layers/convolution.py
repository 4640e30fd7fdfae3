"""Convolutions of images. N images, I input and O output channels, H and W height and width, K the kernel's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive, require_rank


@dataclass(frozen=True)
class Conv2d(Layer):
    """Cross-correlation of images with a kernel, which goes by the name of convolution.

    ``y[n, o, h, w] = sum_ikl padded[n, i, h stride + k, w stride + l] * weight[o, i, k, l] + bias[o]``, where padded is
    x with ``padding`` rows and columns of zeros on either side.

    Shapes: x (N, I, H, W); weight (O, I, KH, KW); bias (O,); y (N, O, H', W'), where
    ``H' = (H + 2 padding - KH) // stride + 1``, and W' likewise.

    Same layer elsewhere: torch.nn.Conv2d; jax.lax.conv_general_dilated, with these layouts as its default.
    flax.nnx.Conv and keras.layers.Conv2D keep images as (N, H, W, I) and kernels as (KH, KW, I, O), and their SAME
    padding with a stride above 1 is not symmetric.

    Raises:
        CaseError: channels, a kernel or a stride below 1; negative padding; an input that is not (N, I, H, W), or is
            smaller than the kernel.

    Source: LeCun, Boser et al. 1989, "Backpropagation applied to handwritten zip code recognition".

    >>> x, weight = np.arange(6.0).reshape(1, 1, 2, 3), np.array([[[[1.0, 10.0]]]])
    >>> Conv2d(1, 1, (1, 2)).forward(x, {"weight": weight, "bias": np.array([0.5])})[0]
    array([[[[10.5, 21.5],
             [43.5, 54.5]]]])
    """

    kind: ClassVar[str] = "conv2d"

    inputs: int
    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)

    def __post_init__(self) -> None:
        require_positive(self, "inputs", "outputs", what="a number of channels")
        require_positive(self, "kernel", "stride", what="height and width")
        if min(self.padding) < 0:
            raise CaseError("height and width of at least 0", str(self.padding), key="padding")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.outputs, self.inputs, *self.kernel), "bias": (self.outputs,)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_rank(x, 4, "(N, I, H, W)")
        if x[1] != self.inputs:
            raise CaseError(f"{x[1]}, the channels of what the node takes", str(self.inputs), key="inputs")
        height, width = (size + 2 * padding for size, padding in zip(x[2:], self.padding, strict=True))
        if height < self.kernel[0] or width < self.kernel[1]:
            raise CaseError(f"at most {(height, width)}, the padded image", str(self.kernel), key="kernel")
        return x[0], self.outputs, *self.positions(height, width)

    def positions(self, height: int, width: int) -> tuple[int, int]:
        """At how many places, down and across, the kernel is laid on a padded image."""
        (rows, columns), (down, across) = self.kernel, self.stride
        return (height - rows) // down + 1, (width - columns) // across + 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Shape]]:
        (top, left), (down, across) = self.padding, self.stride
        padded = np.pad(x, ((0, 0), (0, 0), (top, top), (left, left)))
        patches = patches_of(padded, self.kernel)[:, ::down, ::across]
        n, height, width = patches.shape[:3]
        rows = patches.reshape(n * height * width, -1)
        y = rows @ params["weight"].reshape(self.outputs, -1).T + params["bias"]
        return y.reshape(n, height, width, self.outputs).transpose(0, 3, 1, 2), (rows, x.shape)

    def backward(self, dy: Array, saved: tuple[Array, Shape], params: Parameters) -> tuple[Array, dict[str, Array]]:
        rows, shape = saved
        # forward was: y = rows @ weight.T + bias, with a row for each patch and a column for each of its pixels
        drows = dy.transpose(0, 2, 3, 1).reshape(-1, self.outputs)
        dweight = (drows.T @ rows).reshape(self.outputs, self.inputs, *self.kernel)
        dbias = drows.sum(axis=0)
        # forward was: y[h, w] = sum padded[h stride + k, w stride + l] * weight[k, l]. A pixel was taken by the patches
        # that begin up to a kernel before it: their dy, spread to the strides, under the kernel turned by half a turn.
        taken = patches_of(self.spread(dy, shape), self.kernel)
        turned = params["weight"][:, :, ::-1, ::-1].transpose(0, 2, 3, 1).reshape(-1, self.inputs)
        dx = (taken.reshape(-1, turned.shape[0]) @ turned).reshape(*taken.shape[:3], self.inputs)
        return dx.transpose(0, 3, 1, 2), {"weight": dweight, "bias": dbias}

    def spread(self, dy: Array, shape: Shape) -> Array:
        """The gradient with zeros between and around, so that the patch of a pixel is all that it went into."""
        (rows, columns), (down, across), (top, left) = self.kernel, self.stride, self.padding
        n, _, height, width = shape
        image = np.zeros_like(dy, shape=(n, self.outputs, height + 2 * top + rows - 1, width + 2 * left + columns - 1))
        below, right = rows - 1 + down * dy.shape[2], columns - 1 + across * dy.shape[3]
        image[:, :, rows - 1 : below : down, columns - 1 : right : across] = dy
        return image[:, :, top : top + height + rows - 1, left : left + width + columns - 1]


def patches_of(image: Array, kernel: tuple[int, int]) -> Array:
    """Every patch of an image (N, C, H, W) that the kernel can be laid on: (N, H', W', C, KH, KW)."""
    return sliding_window_view(image, kernel, axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
