"""The parts of a case as JAX has them: jax.nn functions, composed affine maps, optax losses and optimizers.

Adding a layer is one line of its family's ``LAYERS``: a function of the layer, its inputs and its parameters. Layouts
are the reference's own.
"""

from __future__ import annotations

from . import activations, affine, attention, convolution, normalisation, pooling, positions, recurrent, structure
from .activations import AT_KINKS
from .base import LayerPart, Rate, Tensor, Tensors
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
"""Every layer that can be expressed in JAX, by its kind."""

__all__ = [
    "AT_KINKS",
    "CLIPS",
    "LAYERS",
    "LOSSES",
    "OPTIMIZERS",
    "Rate",
    "Tensor",
    "Tensors",
    "build_schedule",
    "schedule_limits",
]
