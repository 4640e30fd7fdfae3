"""A model brought from one framework to another: recorded in both, and what is what in the other."""

from __future__ import annotations

from .maps import Map
from .recording import record_module
from .settling import settle_map
from .suggesting import suggest_map

__all__ = ["Map", "record_module", "settle_map", "suggest_map"]
