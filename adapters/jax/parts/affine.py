"""Affine maps and tables in JAX."""

from __future__ import annotations

from .base import LayerPart

LAYERS: dict[str, LayerPart] = {
    "dense": LayerPart("composed", lambda layer, x, params: x @ params["weight"] + params["bias"]),
    "embedding": LayerPart("composed", lambda layer, x, params: params["weight"][x]),
}
