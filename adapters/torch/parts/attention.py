"""Attention in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ....reference import layers
from .base import LayerPart, uninitialised


class Attention(nn.Module):
    """F.scaled_dot_product_attention as a module."""

    def __init__(self, layer: layers.ScaledDotProductAttention) -> None:
        super().__init__()
        self.causal = layer.causal
        self.boolean = layer.mask == "boolean"
        self.scale = {"width": None, "none": 1.0}[layer.scale]

    def forward(
        self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        if mask is not None:
            mask = mask.bool() if self.boolean else mask
            if self.causal:  # which PyTorch takes instead of a mask and not beside one
                later = torch.ones_like(mask, dtype=torch.bool).triu(1)
                mask = mask.masked_fill(later, False if self.boolean else -torch.inf)
        shared = q.ndim > 2 and q.shape[-3] != k.shape[-3]
        return F.scaled_dot_product_attention(
            q, k, v, mask, is_causal=self.causal and mask is None, scale=self.scale, enable_gqa=shared
        )


class SplitHeads(nn.Module):
    """Tensor.reshape and Tensor.transpose as a module."""

    def __init__(self, layer: layers.SplitHeads) -> None:
        super().__init__()
        self.heads = layer.heads

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(*x.shape[:-1], self.heads, -1).transpose(-2, -3)


class MergeHeads(nn.Module):
    """Tensor.transpose and Tensor.flatten as a module."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.transpose(-2, -3).flatten(-2)


class SelfAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention of one value, which may have more than one axis before the places."""

    def __init__(
        self, width: int, heads: int, *, causal: bool, bias: bool, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(width, heads, bias=bias, batch_first=True, device=device, dtype=dtype)
        self.causal = causal

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        rows = x.reshape(-1, *x.shape[-2:])
        later = torch.ones(2 * x.shape[-2:-1], dtype=torch.bool, device=x.device).triu(1) if self.causal else None
        seen, _ = super().forward(rows, rows, rows, need_weights=False, attn_mask=later, is_causal=self.causal)
        return seen.reshape(x.shape)


def multi_head_attention(layer: layers.MultiHeadAttention, **like: Any) -> nn.Module:
    return uninitialised(SelfAttention, layer.width, layer.heads, causal=layer.causal, bias=layer.bias, **like)


LAYERS: dict[str, LayerPart] = {
    "scaled_dot_product_attention": LayerPart("native", lambda layer, **like: Attention(layer)),
    "multi_head_attention": LayerPart(
        "native",
        multi_head_attention,
        transposed=lambda layer: frozenset({"in_weight", "out_weight"}),
        names={
            "in_weight": "in_proj_weight",
            "in_bias": "in_proj_bias",
            "out_weight": "out_proj.weight",
            "out_bias": "out_proj.bias",
        },
    ),
    "split_heads": LayerPart("composed", lambda layer, **like: SplitHeads(layer)),
    "merge_heads": LayerPart("composed", lambda layer, **like: MergeHeads()),
}
