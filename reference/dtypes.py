"""The dtypes that a case can be computed in. NumPy has all of them but bfloat16, whose numbers are held as float32."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DTYPES = ("float16", "bfloat16", "float32", "float64", "longdouble")
"""The dtypes that a case can be computed in."""

LOST_BITS = 16
"""How many bits of a float32 a bfloat16 number has not: it is the upper half."""


def to_bfloat16(values: Any) -> NDArray[np.float32]:
    """The values as float32 that are bfloat16 numbers: round to nearest, ties to even; NaN and infinities stay.

    A bfloat16 number is the upper half of a float32. Adding just less than half a unit of the upper half, and one
    more where that half is odd, carries into it just when the lower half says to round up.

    >>> to_bfloat16(np.array([1.0, 1 + 2**-8, 1 + 2**-8 + 2**-40, 1 + 3 * 2**-8])) - 1
    array([0.       , 0.       , 0.0078125, 0.015625 ], dtype=float32)
    """
    single = to_odd(np.asarray(values))
    bits: NDArray[Any] = single.view(np.uint32)
    bits = (bits + 0x7FFF + ((bits >> LOST_BITS) & 1)) & 0xFFFF0000
    return np.where(np.isnan(single), single, bits.view(np.float32))


def to_odd(values: NDArray[Any]) -> NDArray[np.float32]:
    """The values as float32, those that it cannot hold rounded towards 0 with the last bit set.

    Rounding to nearest twice could meet a tie that is none. What was rounded to odd is no tie, and still lies on its
    own side of it (Boldo & Melquiond 2008, "Emulation of FMA and correctly rounded sums").
    """
    if values.dtype == np.float32:
        return values
    wide = values.astype(np.longdouble) if values.dtype.kind in "iub" else values
    with np.errstate(all="ignore"):
        single = np.asarray(wide, np.float32)
        below = np.where(np.abs(single) > np.abs(wide), np.nextafter(single, 0), single)
        odd = np.where(single == wide, single, (below.view(np.uint32) | 1).view(np.float32))
    return np.where(np.isnan(single), single, odd)


def cast(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """A new array of the values in a dtype, in C order; bfloat16 numbers as float32."""
    return to_bfloat16(values).astype(np.float32, order="C") if dtype == "bfloat16" else values.astype(dtype, order="C")


def held(array: NDArray[Any]) -> NDArray[Any]:
    """An array as it is held here: of the type bfloat16 that other packages register with NumPy, as float32."""
    return array.astype(np.float32) if is_bfloat16(array) else array


def is_bfloat16(array: NDArray[Any]) -> bool:
    """Whether an array is of the type bfloat16 that other packages (ml_dtypes) register with NumPy."""
    return array.dtype.kind == "V" and array.dtype.name == "bfloat16"


def limits(dtype: str) -> tuple[float, float, float]:
    """Unit roundoff, smallest subnormal and smallest normal number of a dtype; those of long double that float64
    cannot hold are 0.

    >>> limits("bfloat16") == (2**-8, 2**-133, 2**-126), limits("float32") == (2**-24, 2**-149, 2**-126)
    (True, True)
    """
    if dtype == "bfloat16":
        return 2.0**-8, 2.0**-133, 2.0**-126
    info = np.finfo(dtype)
    return float(info.eps) / 2, float(info.smallest_subnormal), float(info.smallest_normal)


def largest(dtype: str) -> float:
    """The largest number of a dtype; infinite for long double, whose float64 cannot hold.

    >>> largest("float16"), largest("bfloat16") == (2 - 2**-7) * 2.0**127
    (65504.0, True)
    """
    if dtype == "bfloat16":
        return (2 - 2.0**-7) * 2.0**127
    return float(np.finfo(dtype).max)


def spacing(values: NDArray[Any], dtype: str) -> NDArray[Any]:
    """The distance from each value, taken as a number of the dtype, to the next one away from 0."""
    with np.errstate(all="ignore"):
        step: NDArray[Any] = np.spacing(cast(values, dtype))
        return step * 2**LOST_BITS if dtype == "bfloat16" else step


def flushes_subnormals() -> bool:
    """Whether this process takes subnormal numbers for 0: a library may have told the processor to."""
    return bool(np.finfo(np.float64).smallest_normal / np.float64(2) == 0)
