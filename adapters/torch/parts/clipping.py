"""Clipping in PyTorch."""

from __future__ import annotations

from torch import nn

from ....reference import ClipByGlobalNorm
from .base import ClipPart

EPSILON = 1e-6
"""What torch adds to the norm."""


def limits(clip: ClipByGlobalNorm) -> str:
    return "" if clip.epsilon == EPSILON else f"torch.nn.utils.clip_grad_norm_ has an epsilon of {EPSILON}"


CLIPS: dict[str, ClipPart] = {
    "clip_by_value": ClipPart("native", lambda parameters, clip: nn.utils.clip_grad_value_(parameters, clip.limit)),
    "clip_by_global_norm": ClipPart(
        "native", lambda parameters, clip: nn.utils.clip_grad_norm_(parameters, clip.limit), limits
    ),
}
