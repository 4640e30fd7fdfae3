"""A case in a user's own code: a training step by hand, or a single layer with its backward."""

from __future__ import annotations

from .loading import Target, called, is_target
from .step import OwnStep, Step

__all__ = ["OwnStep", "Step", "Target", "called", "is_target"]
