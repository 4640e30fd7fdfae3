"""What joins values of the graph, or gives a value another shape, in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ....reference import layers
from .base import LayerPart


class Joined(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function: Callable[..., torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        return self.function(*values)


class Dropout(nn.Module):
    """Composed: nn.Dropout draws its own mask."""

    def __init__(self, layer: layers.Dropout) -> None:
        super().__init__()
        self.kept = 1 - layer.rate

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return x * mask / self.kept


LAYERS: dict[str, LayerPart] = {
    "add": LayerPart("native", lambda layer, **like: Joined(torch.add)),
    "multiply": LayerPart("native", lambda layer, **like: Joined(torch.mul)),
    "concatenate": LayerPart("native", lambda layer, **like: Joined(lambda *values: torch.cat(values, layer.axis))),
    "flatten": LayerPart("native", lambda layer, **like: nn.Flatten()),
    "reshape": LayerPart("native", lambda layer, **like: Joined(lambda x: x.reshape(len(x), *layer.shape))),
    "dropout": LayerPart("composed", lambda layer, **like: Dropout(layer)),
}
