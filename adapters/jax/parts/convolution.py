"""Convolutions in JAX."""

from __future__ import annotations

import jax

from ....reference import layers
from .base import LayerPart, Tensor, Tensors


def convolution(layer: layers.Conv1d | layers.Conv2d, x: Tensor, params: Tensors) -> Tensor:
    windows = layer.windows
    y = jax.lax.conv_general_dilated(
        x,
        params["weight"],
        windows.stride,
        windows.padding,
        rhs_dilation=windows.dilation,
        feature_group_count=layer.groups,
    )
    return with_bias(y, params)


def conv_transpose2d(layer: layers.ConvTranspose2d, x: Tensor, params: Tensors) -> Tensor:
    """jax.lax.conv_transpose for each group: its padding is that of the spread image, under a kernel without stride."""
    axes = zip(layer.windows.span(), layer.padding, layer.output_padding, strict=True)
    padding = [(span - 1 - cut, span - 1 - cut + extra) for span, cut, extra in axes]
    upright = layer.orientation == "upright"

    def transposed(x: Tensor, weight: Tensor) -> Tensor:
        # A transposed kernel is that of the convolution whose backward this is: it has our inputs for its outputs.
        layout = ("NCHW", "OIHW" if upright else "IOHW", "NCHW")
        return jax.lax.conv_transpose(
            x,
            weight,
            layer.stride,
            padding,
            rhs_dilation=layer.dilation,
            dimension_numbers=layout,
            transpose_kernel=upright,
        )

    n, _, *sizes = x.shape
    weight = params["weight"].reshape(layer.groups, -1, *params["weight"].shape[1:])
    y = jax.vmap(transposed, in_axes=(1, 0), out_axes=1)(x.reshape(n, layer.groups, -1, *sizes), weight)
    return with_bias(y.reshape(n, layer.outputs, *y.shape[3:]), params)


def with_bias(y: Tensor, params: Tensors) -> Tensor:
    """The output with its bias, if there is one."""
    return y + params["bias"].reshape(-1, *(1 for _ in y.shape[2:])) if "bias" in params else y


LAYERS: dict[str, LayerPart] = {
    "conv1d": LayerPart("native", convolution),
    "conv2d": LayerPart("native", convolution),
    "conv_transpose2d": LayerPart("native", conv_transpose2d),
}
