"""Normalisations in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ....reference import layers
from .base import LayerPart


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm1d for rows and BatchNorm2d for images, which in PyTorch differ in the rank that they check alone."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        kind = nn.BatchNorm2d if input.ndim == 4 else nn.BatchNorm1d
        kind._check_input_dim(self, input)  # type: ignore[arg-type]


def layer_norm(layer: Any, **like: Any) -> nn.Module:
    return nn.LayerNorm(layer.features, eps=layer.epsilon, **like)


def layer_norm_limits(layer: layers.LayerNorm) -> str:
    return "" if layer.epsilon_in == "root" else "torch.nn.LayerNorm has its epsilon inside the root"


def batch_norm(layer: Any, **like: Any) -> nn.Module:
    of_new = layer.momentum if layer.momentum_of == "new" else 1 - layer.momentum
    return BatchNorm(layer.features, eps=layer.epsilon, momentum=of_new, **like).train(layer.training)


def batch_norm_limits(layer: layers.BatchNorm) -> str:
    biased = layer.training and layer.running_variance == "biased"
    return "torch's batch normalisation remembers the unbiased variance" if biased else ""


LAYERS: dict[str, LayerPart] = {
    "layer_norm": LayerPart("native", layer_norm, limits=layer_norm_limits),
    "batch_norm": LayerPart("native", batch_norm, limits=batch_norm_limits),
}
