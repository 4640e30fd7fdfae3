"""Ordinary arithmetic in the strictest wrapping: what a test runs the reference on, to see that it keeps to the subset.

Values are NumPy's own. Beyond what every arithmetic refuses, a mask is taken by nothing but ``numpy.where`` and ``*``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..reference.elementary import erf
from .base import UFUNCS, Arithmetic, Outside, Rule, raw

MASK_TAKERS = frozenset({"multiply", "where"})


def _plain(ufunc: np.ufunc, method: str = "__call__") -> Rule:
    def rule(cls: type[Poison], *operands: Any, **options: Any) -> Any:
        return cls.lift(getattr(ufunc, method)(*map(raw, operands), **options))

    return rule


def _where(cls: type[Poison], condition: Any, x: Any, y: Any) -> Any:
    return cls.lift(np.where(raw(condition), raw(x), raw(y)))


def _argmax(cls: type[Poison], a: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    return np.argmax(raw(a), axis=axis, keepdims=keepdims)


def _erf(cls: type[Poison], x: Any) -> Any:
    return cls.lift(erf(raw(x)))


class Poison(Arithmetic):
    """An array that raises at anything outside the subset. Its masks are poison too.

    >>> import numpy as np
    >>> x = Poison.lift(np.array([1.0, -2.0]))
    >>> np.maximum(x, 0)
    Poison(array([1., 0.]))
    >>> np.clip(x, 0, 1)  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
        ...
    Outside: numpy.clip is outside the reference's subset of NumPy (docs/decisions/numpy-subset.md)
    """

    RULES: ClassVar[Mapping[str, Rule]] = {
        **{name: _plain(getattr(np, name)) for name in UFUNCS},
        "add.reduce": _plain(np.add, "reduce"),
        "maximum.reduce": _plain(np.maximum, "reduce"),
        "add.at": _plain(np.add, "at"),
        "where": _where,
        "argmax": _argmax,
        "erf": _erf,
    }

    @classmethod
    def lift(cls, value: Any) -> Any:
        """Floating-point numbers and masks as poison; integers and Python's numbers as they are."""
        if isinstance(value, np.ndarray | np.generic) and raw(value).dtype.kind in "fb":
            return cls.of(np.asanyarray(value))
        return value

    @classmethod
    def operand(cls, value: Any) -> Any:
        return value

    @classmethod
    def require(cls, key: str, *values: Any) -> None:
        super().require(key, *values)
        for value in values:
            if isinstance(value, Poison) and raw(value).dtype.kind == "b" and key not in MASK_TAKERS:
                raise Outside(f"numpy.{key} of a mask")
