"""bfloat16 without hardware: float32 arithmetic, every result rounded to the 8 significant bits of bfloat16.

A matrix product or a sum is one operation: it accumulates in float32 and rounds once, as accelerators do. So is what is
made of a number to the power of a count: rounded by itself 0.999 would be 1, and 1 - 0.999 nothing. (Arrays of
ml_dtypes.bfloat16 promote to float32 midway, so they cannot stand in for it.)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ..reference.dtypes import to_bfloat16
from ..reference.elementary import erf
from .base import UFUNCS, Arithmetic, Rule, raw


def _rounding(ufunc: np.ufunc, method: str = "__call__") -> Rule:
    def rule(cls: type[BFloat16], *operands: Any, **options: Any) -> Any:
        return cls.of(to_bfloat16(getattr(ufunc, method)(*map(raw, operands), **options)))

    return rule


def _where(cls: type[BFloat16], condition: Any, x: Any, y: Any) -> Any:
    return cls.of(np.where(raw(condition) != 0, raw(cls.operand(x)), raw(cls.operand(y))))


def _argmax(cls: type[BFloat16], a: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    return np.argmax(raw(a), axis=axis, keepdims=keepdims)


def _erf(cls: type[BFloat16], x: Any) -> Any:
    return cls.of(to_bfloat16(erf(raw(x))))


def _power(cls: type[BFloat16], base: Any, exponent: Any) -> Any:
    power = raw(base) ** raw(exponent)
    count = not isinstance(exponent, int) and exponent.ndim == 0
    return cls.of(np.asarray(power, np.float32) if count else to_bfloat16(power))


def _scatter(cls: type[BFloat16], target: Any, index: Any, values: Any) -> None:
    memory = raw(target)
    np.add.at(memory, index, raw(values))
    memory[...] = to_bfloat16(memory)


class BFloat16(Arithmetic):
    """An array of bfloat16 numbers, held as float32. A mask is of ones and zeros.

    >>> BFloat16.lift(np.array([1.0, 2.0])) / 3
    BFloat16(array([0.33398438, 0.66796875], dtype=float32))
    """

    OPEN = frozenset({"value"})
    RULES: ClassVar[Mapping[str, Rule]] = {
        **{name: _rounding(getattr(np, name)) for name in UFUNCS},
        "power": _power,
        "add.reduce": _rounding(np.add, "reduce"),
        "maximum.reduce": _rounding(np.maximum, "reduce"),
        "add.at": _scatter,
        "where": _where,
        "argmax": _argmax,
        "erf": _erf,
    }

    @classmethod
    def lift(cls, value: Any) -> Any:
        """An array of floats rounded to bfloat16; integer arrays and arrays of the class unchanged."""
        if isinstance(value, BFloat16) or (isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iub"):
            return value
        return cls.operand(value)

    @classmethod
    def operand(cls, value: Any) -> Any:
        return value if isinstance(value, BFloat16) else cls.of(to_bfloat16(value))

    @property
    def value(self) -> NDArray[np.float32]:
        """The numbers as float32; a copy."""
        values: NDArray[np.float32] = raw(self).copy()
        return values
