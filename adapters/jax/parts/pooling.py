"""Pools in JAX."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from ....reference import layers
from .base import LayerPart, Tensor, Tensors


def over_windows(layer: Any, x: Tensor, start: float, function: Any) -> Tensor:
    """jax.lax.reduce_window of images."""
    windows = layer.windows
    padding = ((0, 0), (0, 0), *windows.padding)
    kernel, stride = (1, 1, *windows.kernel), (1, 1, *windows.stride)
    y: Tensor = jax.lax.reduce_window(x, start, function, kernel, stride, padding)
    return y


def max_pool2d(layer: layers.MaxPool2d, x: Tensor, params: Tensors) -> Tensor:
    return over_windows(layer, x, -jnp.inf, jax.lax.max)


def max_pool2d_limits(layer: layers.MaxPool2d) -> str:
    return "" if layer.tie == "first" else "jax.lax.reduce_window sends the gradient of a tie to the first"


def avg_pool2d(layer: layers.AvgPool2d, x: Tensor, params: Tensors) -> Tensor:
    """Composed of sums over windows: of the pixels, and of ones where padding is not counted."""
    total = over_windows(layer, x, 0.0, jax.lax.add)
    if layer.count_padding:
        return total / (layer.kernel[0] * layer.kernel[1])
    return total / over_windows(layer, jnp.ones_like(x), 0.0, jax.lax.add)


def adaptive_avg_pool2d(layer: layers.AdaptiveAvgPool2d, x: Tensor, params: Tensors) -> Tensor:
    """Composed of means, each of one window."""

    def windows(size: int, outputs: int) -> list[slice]:
        return [slice(i * size // outputs, -(-(i + 1) * size // outputs)) for i in range(outputs)]

    rows, columns = (windows(size, outputs) for size, outputs in zip(x.shape[2:], layer.outputs, strict=True))
    means = [jnp.stack([x[:, :, row, column].mean(axis=(2, 3)) for column in columns], axis=-1) for row in rows]
    return jnp.stack(means, axis=-2)


LAYERS: dict[str, LayerPart] = {
    "max_pool2d": LayerPart("native", max_pool2d, limits=max_pool2d_limits),
    "avg_pool2d": LayerPart("composed", avg_pool2d),
    "adaptive_avg_pool2d": LayerPart("composed", adaptive_avg_pool2d),
    "global_avg_pool": LayerPart("composed", lambda layer, x, params: x.mean(axis=tuple(range(2, x.ndim)))),
}
