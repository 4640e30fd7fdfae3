"""Cases: the built-in ones, and reading, writing and checking case files.

Names are handed on when they are first used, so that listing the built-in cases imports neither NumPy nor pydantic.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from . import networks
    from .listing import built_in
    from .reading import load_case
    from .writing import same_case, save_case

__all__ = ["built_in", "load_case", "networks", "same_case", "save_case"]

HOMES = {"built_in": "listing", "load_case": "reading", "same_case": "writing", "save_case": "writing"}


def __getattr__(name: str) -> object:
    if name == "networks":
        return import_module(".networks", __name__)
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
