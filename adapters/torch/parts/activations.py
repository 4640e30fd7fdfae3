"""Activations in PyTorch.

At a kink the modules have the derivative that they have, whatever the case's convention is: see
docs/decisions/kinks.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ....reference import layers
from .base import LayerPart

BEYOND_ROUNDING = 40.0
"""From here on log(1 + exp(x)) is x in every dtype; without a threshold torch computes exp(x), which overflows."""


def prelu(layer: Any, **like: Any) -> nn.Module:
    return nn.PReLU(layer.channels, **like)


def softplus(layer: Any, **like: Any) -> nn.Module:
    return nn.Softplus(layer.beta, layer.threshold if layer.beyond == "linear" else BEYOND_ROUNDING)


class Celu(nn.Module):
    """Composed: nn.CELU differentiates with 1 / alpha as a float32 number, whatever the dtype."""

    def __init__(self, layer: layers.Celu) -> None:
        super().__init__()
        self.alpha = layer.alpha

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        # Above 0, where it is not taken, the exponential could overflow, and its gradient be NaN.
        below = torch.where(x > 0, torch.zeros_like(x), x)
        return torch.where(x > 0, x, self.alpha * torch.expm1(below / self.alpha))


class HardSigmoid(nn.Module):
    """Composed: nn.Hardsigmoid differentiates with 1 / 6 as a float32 number, whatever the dtype."""

    def __init__(self, layer: layers.HardSigmoid) -> None:
        super().__init__()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu6(x + 3) / 6


class SwiGlu(nn.Module):
    """Composed: PyTorch has silu, and no gate of another value."""

    def __init__(self, layer: layers.SwiGlu) -> None:
        super().__init__()

    def forward(self, gate: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        return F.silu(gate) * value


LAYERS: dict[str, LayerPart] = {
    "relu": LayerPart("native", lambda layer, **like: nn.ReLU()),
    "tanh": LayerPart("native", lambda layer, **like: nn.Tanh()),
    "sigmoid": LayerPart("native", lambda layer, **like: nn.Sigmoid()),
    "log_sigmoid": LayerPart("native", lambda layer, **like: nn.LogSigmoid()),
    "softplus": LayerPart("native", softplus),
    "softsign": LayerPart("native", lambda layer, **like: nn.Softsign()),
    "leaky_relu": LayerPart("native", lambda layer, **like: nn.LeakyReLU(layer.slope)),
    "prelu": LayerPart("native", prelu),
    "elu": LayerPart("native", lambda layer, **like: nn.ELU(layer.alpha)),
    "selu": LayerPart("native", lambda layer, **like: nn.SELU()),
    "celu": LayerPart("composed", lambda layer, **like: Celu(layer)),
    "hardtanh": LayerPart("native", lambda layer, **like: nn.Hardtanh(layer.low, layer.high)),
    "relu6": LayerPart("native", lambda layer, **like: nn.ReLU6()),
    "hard_sigmoid": LayerPart("composed", lambda layer, **like: HardSigmoid(layer)),
    "hard_swish": LayerPart("native", lambda layer, **like: nn.Hardswish()),
    "gelu": LayerPart("native", lambda layer, **like: nn.GELU(approximate=layer.approximate)),
    "silu": LayerPart("native", lambda layer, **like: nn.SiLU()),
    "mish": LayerPart("native", lambda layer, **like: nn.Mish()),
    "glu": LayerPart("native", lambda layer, **like: nn.GLU(dim=-1)),
    "swiglu": LayerPart("composed", lambda layer, **like: SwiGlu(layer)),
    "softmax": LayerPart("native", lambda layer, **like: nn.Softmax(dim=-1)),
    "log_softmax": LayerPart("native", lambda layer, **like: nn.LogSoftmax(dim=-1)),
}

AT_KINKS: dict[str, Callable[[Any], dict[str, str]]] = {
    **dict.fromkeys(("leaky_relu", "prelu", "elu", "selu"), lambda layer: {"at_zero": "left"}),
    **dict.fromkeys(("hardtanh", "hard_swish"), lambda layer: {"at_bounds": "outside"}),
    "relu6": lambda layer: {"at_six": "outside"},
}
"""The conventions at kinks that there is no choice of."""
