"""The parts of a case as PyTorch has them: which module is which layer, which loss, which optimizer.

Adding a layer is one line of its family's ``LAYERS``. A layout that differs from the reference's is declared beside it.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from ....reference.layers import Layer
from ....reference.losses import Loss
from . import activations, affine, attention, convolution, normalisation, pooling, positions, recurrent, structure
from .activations import AT_KINKS
from .base import LayerPart
from .clipping import CLIPS
from .losses import LOSSES
from .optimizers import OPTIMIZERS
from .schedules import build_schedule, schedule_limits

LAYERS: dict[str, LayerPart] = {
    kind: part
    for family in (
        *(affine, activations, convolution, pooling, normalisation),
        *(recurrent, attention, positions, structure),
    )
    for kind, part in family.LAYERS.items()
}
"""Every layer that PyTorch can express, by its kind."""


def build_layer(layer: Layer, **like: Any) -> nn.Module:
    return LAYERS[layer.kind].build(layer, **like)


def build_loss(loss: Loss) -> nn.Module:
    return LOSSES[loss.kind].build(loss)


__all__ = [
    "AT_KINKS",
    "CLIPS",
    "LAYERS",
    "LOSSES",
    "OPTIMIZERS",
    "build_layer",
    "build_loss",
    "build_schedule",
    "recurrent",
    "schedule_limits",
]
