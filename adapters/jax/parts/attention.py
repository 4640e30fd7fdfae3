"""Attention in JAX."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from ....reference import layers
from .base import LayerPart, Tensor, Tensors


def attention(layer: layers.ScaledDotProductAttention, q: Tensor, k: Tensor, v: Tensor, params: Tensors) -> Tensor:
    """Composed: jax.nn.dot_product_attention computes its softmax in float32, whatever the dtype of its inputs.

    It also wants values as wide as keys, and heads after places.
    """
    if q.ndim > 2:
        k, v = (jnp.repeat(shared, q.shape[-3] // shared.shape[-3], axis=-3) for shared in (k, v))
    scores = q @ jnp.matrix_transpose(k)
    if layer.scale == "width":
        scores = scores / q.shape[-1] ** 0.5
    if layer.mask == "additive":
        scores = scores + params["mask"]
    if layer.mask == "boolean":
        scores = jnp.where(params["mask"] == 1, scores, -jnp.inf)
    if layer.causal:
        scores = jnp.where(jnp.tri(q.shape[-2], k.shape[-2], dtype=bool), scores, -jnp.inf)
    return jax.nn.softmax(scores, axis=-1) @ v


def split(x: Tensor, heads: int) -> Tensor:
    return jnp.swapaxes(x.reshape(*x.shape[:-1], heads, -1), -2, -3)


def merge(x: Tensor) -> Tensor:
    return jnp.swapaxes(x, -2, -3).reshape(*x.shape[:-3], x.shape[-2], -1)


def multi_head_attention(layer: layers.MultiHeadAttention, x: Tensor, params: Tensors) -> Tensor:
    projected = x @ params["in_weight"] + (params["in_bias"] if layer.bias else 0)
    q, k, v = (split(part, layer.heads) for part in jnp.split(projected, 3, axis=-1))
    seen = attention(layer.attention, q, k, v, {})
    return merge(seen) @ params["out_weight"] + (params["out_bias"] if layer.bias else 0)


LAYERS: dict[str, LayerPart] = {
    "scaled_dot_product_attention": LayerPart("composed", attention),
    "multi_head_attention": LayerPart("composed", multi_head_attention),
    "split_heads": LayerPart("composed", lambda layer, x, params: split(x, layer.heads)),
    "merge_heads": LayerPart("composed", lambda layer, x, params: merge(x)),
}
