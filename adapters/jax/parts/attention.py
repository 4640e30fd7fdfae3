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
    scores = q @ jnp.matrix_transpose(k)
    if layer.scale == "width":
        scores = scores / q.shape[-1] ** 0.5
    if layer.causal:
        scores = jnp.where(jnp.tri(q.shape[-2], k.shape[-2], dtype=bool), scores, -jnp.inf)
    return jax.nn.softmax(scores, axis=-1) @ v


LAYERS: dict[str, LayerPart] = {
    "scaled_dot_product_attention": LayerPart("composed", attention),
}
