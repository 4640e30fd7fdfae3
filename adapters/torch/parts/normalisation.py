"""Normalisations in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from ....reference import layers
from .base import LayerPart


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm1d to BatchNorm3d, which in PyTorch differ in the rank that they check alone."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        pass


class InstanceNorm(nn.InstanceNorm1d):
    """InstanceNorm1d to InstanceNorm3d, which in PyTorch differ in the rank that they check alone."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return self._apply_instance_norm(input)  # type: ignore[no-any-return,no-untyped-call]


def layer_norm(layer: Any, **like: Any) -> nn.Module:
    return nn.LayerNorm(layer.features, eps=layer.epsilon, **like)


def rms_norm(layer: Any, **like: Any) -> nn.Module:
    return nn.RMSNorm(layer.features, eps=layer.epsilon, **like)


def group_norm(layer: Any, **like: Any) -> nn.Module:
    return nn.GroupNorm(layer.groups, layer.features, eps=layer.epsilon, affine=layer.affine, **like)


def instance_norm(layer: Any, **like: Any) -> nn.Module:
    return InstanceNorm(layer.features, eps=layer.epsilon, affine=layer.affine, **like)


def inside_the_root(module: str) -> Callable[[Any], str]:
    """The limit of a module that has its epsilon inside the root."""
    return lambda layer: "" if layer.epsilon_in == "root" else f"torch.nn.{module} has its epsilon inside the root"


def batch_norm(layer: Any, **like: Any) -> nn.Module:
    of_new = layer.momentum if layer.momentum_of == "new" else 1 - layer.momentum
    return BatchNorm(layer.features, eps=layer.epsilon, momentum=of_new, **like).train(layer.training)


def batch_norm_limits(layer: layers.BatchNorm) -> str:
    biased = layer.training and layer.running_variance == "biased"
    return "torch's batch normalisation remembers the unbiased variance" if biased else ""


LAYERS: dict[str, LayerPart] = {
    "layer_norm": LayerPart("native", layer_norm, limits=inside_the_root("LayerNorm")),
    "rms_norm": LayerPart("native", rms_norm, limits=inside_the_root("RMSNorm")),
    "group_norm": LayerPart("native", group_norm, limits=inside_the_root("GroupNorm")),
    "instance_norm": LayerPart("native", instance_norm, limits=inside_the_root("InstanceNorm1d")),
    "batch_norm": LayerPart("native", batch_norm, limits=batch_norm_limits),
}
