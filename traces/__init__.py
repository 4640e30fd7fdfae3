"""Traces on disk: recorded on one machine, held against another's on a third."""

from __future__ import annotations

from .loading import load_trace
from .saving import save_trace

__all__ = ["load_trace", "save_trace"]
