"""Clipping in optax."""

from __future__ import annotations

import optax

from ....reference import ClipByGlobalNorm
from .base import ClipPart


def limits(clip: ClipByGlobalNorm) -> str:
    return "optax.clip_by_global_norm adds no epsilon to the norm" if clip.epsilon else ""


CLIPS: dict[str, ClipPart] = {
    "clip_by_value": ClipPart("native", lambda clip: optax.clip(clip.limit)),
    "clip_by_global_norm": ClipPart("native", lambda clip: optax.clip_by_global_norm(clip.limit), limits),
}
