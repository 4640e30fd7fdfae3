"""What joins values of the graph in PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from ....reference import layers
from .base import LayerPart


class Sum(nn.Module):
    """torch.add as a module."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.add(a, b)


class Dropout(nn.Module):
    """Composed: nn.Dropout draws its own mask."""

    def __init__(self, layer: layers.Dropout) -> None:
        super().__init__()
        self.kept = 1 - layer.rate

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return x * mask / self.kept


LAYERS: dict[str, LayerPart] = {
    "add": LayerPart("native", lambda layer, **like: Sum()),
    "dropout": LayerPart("composed", lambda layer, **like: Dropout(layer)),
}
