"""Convolutions, plain and transposed. N images or sequences, I input and O output channels in G groups; H and W height
and width of an image, L the length of a sequence, and K the kernel's.

They are one mechanism for any number of axes: a convolution is a product of the kernel with what lies under it, and
its backward sends back to each pixel the sum over the windows that it lies in. A transposed convolution is that
backward taken for a forward, and has the convolution for its backward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive, require_rank
from .windows import Windows

__all__ = ["Conv1d", "Conv2d", "ConvTranspose2d"]


class Convolving(Layer):
    """What all of them share: channels in groups, a kernel that is laid on, a bias that may be left out."""

    layout: ClassVar[str]
    """The axes of an input."""
    sizes: ClassVar[str]
    """What the numbers of a kernel are."""

    inputs: int
    outputs: int
    padding: Any
    groups: int
    bias: bool

    @property
    def windows(self) -> Windows:
        """Where the kernel is laid: on the input, or on the output of a transposed convolution."""
        raise NotImplementedError

    def __post_init__(self) -> None:
        require_positive(self, "inputs", "outputs", what="a number of channels")
        require_positive(self, "kernel", "stride", "dilation", what=self.sizes)
        require_positive(self, "groups", what="a number of groups")
        if min(map(min, self.windows.padding)) < 0:
            raise CaseError(f"{self.sizes} of at least 0", str(self.padding), key="padding")
        if self.inputs % self.groups or self.outputs % self.groups:
            raise CaseError(
                f"a number that divides {self.inputs} inputs and {self.outputs} outputs", str(self.groups), key="groups"
            )

    def check_shape(self, x: Shape) -> None:
        """Raise CaseError unless the layer can take an input of this shape."""
        require_rank(x, 2 + len(self.windows.kernel), self.layout)
        if x[1] != self.inputs:
            raise CaseError(f"{x[1]}, the channels of what the node takes", str(self.inputs), key="inputs")


class Convolution(Convolving):
    """A convolution of any number of axes."""

    def parameters(self) -> dict[str, Shape]:
        weight = (self.outputs, self.inputs // self.groups, *self.windows.kernel)
        return {"weight": weight, **({"bias": (self.outputs,)} if self.bias else {})}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        self.check_shape(x)
        return x[0], self.outputs, *self.windows.positions(x[2:])

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Shape]]:
        columns = self.windows.columns(x, self.groups)
        y = params["weight"].reshape(self.groups, self.outputs // self.groups, -1) @ columns
        if self.bias:
            y = y + params["bias"].reshape(self.groups, -1, 1)
        return as_images(y, x.shape[0], self.windows.positions(x.shape[2:])), (columns, x.shape)

    def backward(self, dy: Array, saved: tuple[Array, Shape], params: Parameters) -> tuple[Array, dict[str, Array]]:
        columns, (n, _, *sizes) = saved
        # forward was: y = weight @ columns + bias, with a row for each channel and tap and a column for each position
        drows = as_rows(dy, self.groups)
        weight = params["weight"].reshape(self.groups, self.outputs // self.groups, -1)
        dparams = {"weight": (drows @ columns.swapaxes(1, 2)).reshape(params["weight"].shape)}
        if self.bias:
            dparams["bias"] = drows.sum(axis=-1).reshape(self.outputs)
        dcolumns = weight.swapaxes(1, 2) @ drows
        # forward was: columns = what each tap sees of x, and a pixel is seen by as many taps as windows that it lies in
        dx = self.windows.returned_columns(dcolumns, n, tuple(sizes))
        return dx, dparams


@dataclass(frozen=True)
class Conv1d(Convolution):
    """Cross-correlation of sequences with a kernel, which goes by the name of convolution.

    ``y[n, o, t] = sum_ik padded[n, i, t stride + k dilation] * weight[o, i, k] + bias[o]``, where padded is x with
    ``padding`` zeros at either end. In groups, the sum runs over the input channels of the output's own group.

    Shapes: x (N, I, L); weight (O, I / G, K); bias (O,), unless it is left out; y (N, O, L'), where
    ``L' = (L + 2 padding - dilation (K - 1) - 1) // stride + 1``.

    Same layer elsewhere: torch.nn.Conv1d; jax.lax.conv_general_dilated, with these layouts as its default.
    flax.nnx.Conv and keras.layers.Conv1D keep sequences as (N, L, I) and kernels as (K, I / G, O).

    Raises:
        CaseError: channels, a kernel, a stride, a dilation or groups below 1; groups that do not divide the channels;
            negative padding; an input that is not (N, I, L), or is smaller than the kernel.

    Source: Waibel, Hanazawa, Hinton, Shikano & Lang 1989, "Phoneme recognition using time-delay neural networks".

    >>> import numpy as np
    >>> x, weight = np.array([[[1.0, 2.0, 3.0, 4.0, 5.0]]]), np.array([[[1.0, 10.0]], [[100.0, 0.0]]])
    >>> Conv1d(1, 2, 2, stride=2, dilation=2).forward(x, {"weight": weight, "bias": np.array([0.5, 0.0])})[0]
    array([[[ 31.5,  53.5],
            [100. , 300. ]]])
    """

    kind: ClassVar[str] = "conv1d"
    layout: ClassVar[str] = "(N, I, L)"
    sizes: ClassVar[str] = "a length"

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1
    bias: bool = True

    @property
    def windows(self) -> Windows:
        return Windows((self.kernel,), (self.stride,), ((self.padding, self.padding),), (self.dilation,))


@dataclass(frozen=True)
class Conv2d(Convolution):
    """Cross-correlation of images with a kernel, which goes by the name of convolution.

    ``y[n, o, h, w] = sum_ikl padded[n, i, h stride + k dilation, w stride + l dilation] * weight[o, i, k, l]
    + bias[o]``, where padded is x with ``padding`` rows and columns of zeros on either side. In groups, the sum runs
    over the input channels of the output's own group.

    Shapes: x (N, I, H, W); weight (O, I / G, KH, KW); bias (O,), unless it is left out; y (N, O, H', W'), where
    ``H' = (H + 2 padding - dilation (KH - 1) - 1) // stride + 1``, and W' likewise.

    Same layer elsewhere: torch.nn.Conv2d; jax.lax.conv_general_dilated, with these layouts as its default.
    flax.nnx.Conv and keras.layers.Conv2D keep images as (N, H, W, I) and kernels as (KH, KW, I / G, O), and their SAME
    padding with a stride above 1 is not symmetric.

    Raises:
        CaseError: channels, a kernel, a stride, a dilation or groups below 1; groups that do not divide the channels;
            negative padding; an input that is not (N, I, H, W), or is smaller than the kernel.

    Source: LeCun, Boser et al. 1989, "Backpropagation applied to handwritten zip code recognition".

    >>> import numpy as np
    >>> x, weight = np.arange(6.0).reshape(1, 1, 2, 3), np.array([[[[1.0, 10.0]]]])
    >>> Conv2d(1, 1, (1, 2)).forward(x, {"weight": weight, "bias": np.array([0.5])})[0]
    array([[[[10.5, 21.5],
             [43.5, 54.5]]]])
    """

    kind: ClassVar[str] = "conv2d"
    layout: ClassVar[str] = "(N, I, H, W)"
    sizes: ClassVar[str] = "height and width"

    inputs: int
    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    bias: bool = True

    @property
    def windows(self) -> Windows:
        return Windows(self.kernel, self.stride, tuple((size, size) for size in self.padding), self.dilation)


@dataclass(frozen=True)
class ConvTranspose2d(Convolving):
    """Transposed convolution: every pixel lays the kernel, times its value, on a larger image, where they add up.

    ``y = bias[o]`` plus, for every pixel and tap, ``x[n, i, h, w] * weight[i, o, k, l]`` at row
    ``h stride + k dilation - padding`` and column ``w stride + l dilation - padding``; what falls outside is lost.
    With ``orientation`` "flipped" the kernel is turned by half a turn first. In groups, an output channel adds up the
    input channels of its own group. It maps shapes, and gradients, as the backward of a convolution does; it is not
    that convolution's inverse.

    Shapes: x (N, I, H, W); weight (I, O / G, KH, KW); bias (O,), unless it is left out; y (N, O, H', W'), where
    ``H' = (H - 1) stride - 2 padding + dilation (KH - 1) + 1 + output_padding``, and W' likewise: with a stride,
    convolutions map images of several sizes to one, and ``output_padding`` says which of these it is.

    Same layer elsewhere: torch.nn.ConvTranspose2d, upright; jax.lax.conv_transpose is flipped unless it is told
    ``transpose_kernel=True``, knows padding only as that of the spread image, and has no groups. flax.nnx.ConvTranspose
    is flipped too, keras.layers.Conv2DTranspose is upright with kernels as (KH, KW, O, I).

    Raises:
        CaseError: channels, a kernel, a stride, a dilation or groups below 1; groups that do not divide the channels;
            negative padding; an output padding that is negative or not below the stride; an input that is not
            (N, I, H, W), or whose output is all padding.

    Source: Zeiler, Krishnan, Taylor & Fergus 2010, "Deconvolutional networks"; Dumoulin & Visin 2016, "A guide to
    convolution arithmetic for deep learning", chapter 4.

    >>> import numpy as np
    >>> x, weight = np.array([[[[1.0, 2.0]]]]), np.array([[[[1.0, 10.0, 100.0]]]])
    >>> ConvTranspose2d(1, 1, (1, 3), (1, 2)).forward(x, {"weight": weight, "bias": np.array([0.5])})[0]
    array([[[[  1.5,  10.5, 102.5,  20.5, 200.5]]]])
    """

    kind: ClassVar[str] = "conv_transpose2d"
    layout: ClassVar[str] = "(N, I, H, W)"
    sizes: ClassVar[str] = "height and width"

    inputs: int
    outputs: int
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    output_padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    bias: bool = True
    orientation: Literal["upright", "flipped"] = "upright"

    def __post_init__(self) -> None:
        super().__post_init__()
        if any(not 0 <= extra < step for extra, step in zip(self.output_padding, self.stride, strict=True)):
            raise CaseError(
                f"height and width from 0 to below the stride, {self.stride}",
                str(self.output_padding),
                key="output_padding",
            )

    @property
    def windows(self) -> Windows:
        return Windows(self.kernel, self.stride, tuple((size, size) for size in self.padding), self.dilation)

    def parameters(self) -> dict[str, Shape]:
        weight = (self.inputs, self.outputs // self.groups, *self.kernel)
        return {"weight": weight, **({"bias": (self.outputs,)} if self.bias else {})}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        self.check_shape(x)
        sizes = self.output_sizes(x[2:])
        if min(sizes) < 1:
            raise CaseError("less padding than the output has pixels", str(self.padding), key="padding")
        return x[0], self.outputs, *sizes

    def output_sizes(self, sizes: Shape) -> Shape:
        """Height and width of the output."""
        axes = zip(sizes, self.stride, self.padding, self.windows.span(), self.output_padding, strict=True)
        return tuple((size - 1) * step - 2 * cut + span + extra for size, step, cut, span, extra in axes)

    def laid(self, weight: Array) -> Array:
        """The kernel, or its gradient, as it is laid on; twice is as it was."""
        return weight if self.orientation == "upright" else weight[:, :, ::-1, ::-1]

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        weight = self.laid(params["weight"]).reshape(self.groups, self.inputs // self.groups, -1)
        columns = weight.swapaxes(1, 2) @ as_rows(x, self.groups)
        y = self.windows.returned_columns(columns, x.shape[0], self.output_sizes(x.shape[2:]))
        if self.bias:
            y = y + params["bias"].reshape(-1, 1, 1)
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = columns laid where each tap sees them, added up, + bias
        dcolumns = self.windows.columns(dy, self.groups)
        dbias = {"bias": as_rows(dy).sum(axis=-1).reshape(self.outputs)} if self.bias else {}
        # forward was: columns = weight.T @ x, with a row for each channel and tap and a column for each pixel
        weight = self.laid(params["weight"])
        dx = weight.reshape(self.groups, self.inputs // self.groups, -1) @ dcolumns
        dweight = as_rows(x, self.groups) @ dcolumns.swapaxes(1, 2)
        dparams = {"weight": self.laid(dweight.reshape(weight.shape)), **dbias}
        return as_images(dx, x.shape[0], x.shape[2:]), dparams


def as_rows(images: Array, groups: int = 1) -> Array:
    """Images (N, C, *S) with a row for each channel: (groups, C / groups, N * S)."""
    return images.swapaxes(0, 1).reshape(groups, images.shape[1] // groups, -1)


def as_images(rows: Array, n: int, sizes: Shape) -> Array:
    """What ``as_rows`` made rows of, as images of these sizes."""
    return rows.reshape(-1, n, *sizes).swapaxes(0, 1)
