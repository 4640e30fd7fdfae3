"""How a layer, a loss or an optimizer becomes known: its module lists it in ``__all__``."""

from __future__ import annotations

from types import ModuleType
from typing import TypeVar

T = TypeVar("T")


def kinds(base: type[T], *families: ModuleType) -> dict[str, type[T]]:
    """The subclasses of ``base`` that some modules list, in their order, each by its ``kind``."""
    listed = (getattr(family, name) for family in families for name in family.__all__)
    return {one.kind: one for one in listed if isinstance(one, type) and issubclass(one, base)}  # type: ignore[attr-defined]
