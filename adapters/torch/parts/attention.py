"""Attention in PyTorch."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from ....reference import layers
from .base import LayerPart


class Attention(nn.Module):
    """F.scaled_dot_product_attention as a module."""

    def __init__(self, layer: layers.ScaledDotProductAttention) -> None:
        super().__init__()
        self.causal = layer.causal
        self.scale = {"width": None, "none": 1.0}[layer.scale]

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, scale=self.scale)


LAYERS: dict[str, LayerPart] = {
    "scaled_dot_product_attention": LayerPart("native", lambda layer, **like: Attention(layer)),
}
