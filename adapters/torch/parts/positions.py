"""Places of a sequence in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ....reference import layers
from .base import LayerPart, uninitialised


class Positions(nn.Embedding):
    """The embedding of the numbers of the places, added."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return input + super().forward(torch.arange(input.shape[-2], device=input.device))


class SinusoidalPositions(nn.Module):
    """The table of sines and cosines, added."""

    def __init__(self, layer: layers.SinusoidalPositions) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angle = angles(x, self.layer.base)
        return x + joined(torch.sin(angle), torch.cos(angle), self.layer.order)


class Rotary(nn.Module):
    """Pairs of features, turned."""

    def __init__(self, layer: layers.Rotary) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        angle = angles(x, self.layer.base)
        cos, sin = torch.cos(angle), torch.sin(angle)
        if self.layer.order == "interleaved":
            x1, x2 = x[..., 0::2], x[..., 1::2]
        else:
            x1, x2 = x.chunk(2, dim=-1)
        return joined(x1 * cos - x2 * sin, x2 * cos + x1 * sin, self.layer.order)


def angles(x: torch.Tensor, base: float) -> torch.Tensor:
    places, width = x.shape[-2:]
    like: dict[str, Any] = {"dtype": x.dtype, "device": x.device}
    return torch.arange(places, **like)[:, None] * base ** -(torch.arange(0, width, 2, **like) / width)


def joined(first: torch.Tensor, second: torch.Tensor, order: str) -> torch.Tensor:
    if order == "interleaved":
        return torch.stack([first, second], dim=-1).flatten(-2)
    return torch.cat([first, second], dim=-1)


LAYERS: dict[str, LayerPart] = {
    "positions": LayerPart(
        "composed", lambda layer, **like: uninitialised(Positions, layer.places, layer.width, **like)
    ),
    "sinusoidal_positions": LayerPart("composed", lambda layer, **like: SinusoidalPositions(layer)),
    "rotary": LayerPart("composed", lambda layer, **like: Rotary(layer)),
}
