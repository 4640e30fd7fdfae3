"""A subject in a process of its own, which may crash, hang or take all memory without taking the others along."""

from __future__ import annotations

from .limits import Limits
from .process import TimedOut
from .subject import Isolated, opened, recordings

__all__ = ["Isolated", "Limits", "TimedOut", "opened", "recordings"]
