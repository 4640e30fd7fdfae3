"""Places of a sequence in JAX."""

from __future__ import annotations

import jax.numpy as jnp

from ....reference import layers
from .base import LayerPart, Tensor, Tensors


def positions(layer: layers.Positions, x: Tensor, params: Tensors) -> Tensor:
    return x + params["weight"][: x.shape[-2]]


def sinusoidal_positions(layer: layers.SinusoidalPositions, x: Tensor, params: Tensors) -> Tensor:
    angle = angles(x, layer.base)
    return x + joined(jnp.sin(angle), jnp.cos(angle), layer.order)


def rotary(layer: layers.Rotary, x: Tensor, params: Tensors) -> Tensor:
    angle = angles(x, layer.base)
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    x1, x2 = (x[..., 0::2], x[..., 1::2]) if layer.order == "interleaved" else jnp.split(x, 2, axis=-1)
    return joined(x1 * cos - x2 * sin, x2 * cos + x1 * sin, layer.order)


def angles(x: Tensor, base: float) -> Tensor:
    places, width = x.shape[-2:]
    return jnp.arange(places, dtype=x.dtype)[:, None] * base ** -(jnp.arange(0, width, 2, dtype=x.dtype) / width)


def joined(first: Tensor, second: Tensor, order: str) -> Tensor:
    if order == "interleaved":
        return jnp.stack([first, second], axis=-1).reshape(*first.shape[:-1], -1)
    return jnp.concatenate([first, second], axis=-1)


LAYERS: dict[str, LayerPart] = {
    "positions": LayerPart("composed", positions),
    "sinusoidal_positions": LayerPart("composed", sinusoidal_positions),
    "rotary": LayerPart("composed", rotary),
}
