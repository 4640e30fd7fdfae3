"""The figures of two arrays: how far apart they are, and whether every element agrees.

The arrays are walked once, in pieces that fit in the cache, and each piece is reduced to a `_Partial`; partials
merge in any order to the same result, so that threads may share the pieces. Memory is that of a few pieces.

Most elements are *plain*: `|d| / |reference| < 1/2`, where `d = reference - subject`. For these the subtraction is
exact in the arrays' own precision (Sterbenz: y/2 <= x <= 2y), both values are finite and of one sign, and the distance
in representable numbers is the difference of their bits read as integers. One division thus finds the *odd* elements
(NaN, infinities, a zero on one side, signs that differ, a difference as large as the value); they are gathered and
judged by `_judge`, which takes nothing for granted, and what remains of the piece is judged by a few fast passes.
"""

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[Any]
Scale = float | Array  # sigma: one for all elements, or one for each

PIECE_BYTES = 1 << 19  # of a piece of each array: large enough that calls cost little, and it still fits in the cache
BATCH = 1 << 14  # odd elements judged at a time: they need a dozen temporaries each
THREADED = 1 << 20  # elements from which threads pay
MOST_WORKERS = 8

# The types whose plain elements have the fast passes: the precision that d is computed in, and the integers as wide.
PRECISION: dict[np.dtype[Any], type[np.floating[Any]]] = {
    np.dtype(np.float16): np.float32,
    np.dtype(np.float32): np.float32,
    np.dtype(np.float64): np.float64,
}
BITS: dict[np.dtype[Any], type[np.signedinteger[Any]]] = {
    np.dtype(np.float16): np.int16,
    np.dtype(np.float32): np.int32,
    np.dtype(np.float64): np.int64,
}


@dataclass(frozen=True)
class Figures:
    """What `measure` found, with d = reference - subject, element by element.

    d is exact, rounded once to float64 (longdouble for longdouble). `max_abs`, `max_rel` and `max_ulp` are over the
    elements finite in both arrays, and 0.0 when there are none.
    """

    elements: int
    agrees: bool
    """Every element: NaN against NaN, the same signed infinity, or both finite and `|d| <= limit * sigma`."""
    max_abs: float
    """`max |d|`."""
    max_rel: float
    """`max |d| / |reference|`, where 0/0 is 0 and d/0 is inf; to float32 precision for float16 and float32."""
    max_ulp: float
    """max number of steps from one value to the other through the representable numbers; 0.0 and -0.0 are one."""
    sigmas: float
    """`max |d| / sigma`, where 0/0 is 0 and d/0 is inf; inf for a NaN or an infinity that the other does not have."""
    tolerance: float
    """limit * sigma at the worst element; 0.0 when there are no elements."""
    would_pass: float
    """The smallest tolerance that the worst element would have passed: `|d|` there, inf where none would do."""
    mismatched: int
    """Elements that do not agree."""
    nan: tuple[int, int]
    """NaNs in (reference, subject)."""
    inf: tuple[int, int]
    """Infinities in (reference, subject)."""
    worst_index: tuple[int, ...] | None
    """The element with the most sigmas (then the largest `|d|`, then the first in memory order of the reference);
    a NaN or an infinity that the other array does not have is worse than any number. None without elements."""
    reference: float
    """Its value in the reference; NaN when there is none."""
    subject: float
    """Its value in the subject; NaN when there is none."""


def measure(reference: ArrayLike, subject: ArrayLike, sigma: ArrayLike, *, limit: float = 8.0) -> Figures:
    """Compare two real arrays of one shape and dtype, element by element: `|reference - subject| <= limit * sigma`.

    `sigma` is one number >= 0 or an array of the same shape; where an array's sigma is NaN or negative, no finite
    element agrees. Any memory layout and byte order will do, and no array is copied whole.

    Raises ValueError when shapes or dtypes differ (there is no broadcasting), when the dtype is not a real number's,
    and when `limit` or one sigma for all is negative or NaN.

    Unlike numpy.testing.assert_allclose and torch.testing.assert_close it has no `rtol * |value|` term: how far an
    element may stray is sigma's to say. NaN agrees with NaN, as in assert_allclose.
    """
    first, second = _checked(reference, subject)
    scale = _checked_sigma(sigma, first.shape)
    _require_not_negative("limit", limit)
    each = [scale] if isinstance(scale, np.ndarray) else []
    walk = _Walk(first, second, *each)
    one = None if each else float(scale)
    total = _share_out(walk, lambda: _Measuring(walk, one, limit))

    index = walk.index(-total.worst.minus_position) if first.size else None
    sigma_there = 0.0 if index is None else float(each[0][index]) if each else float(scale)
    with np.errstate(all="ignore"):
        # The odd elements' quotients are float64: round, so that the figure does not depend on who computed it.
        precision = PRECISION.get(walk.dtype, np.float64)
        max_rel = float(precision(total.max_rel)) if total.max_rel < 0.5 else total.max_rel
        return Figures(
            elements=first.size,
            agrees=total.agreeing == first.size,
            max_abs=total.max_abs,
            max_rel=max_rel,
            max_ulp=total.max_ulp,
            sigmas=max(total.worst.sigmas, 0.0),
            tolerance=limit * sigma_there,
            would_pass=total.worst.distance,
            mismatched=first.size - total.agreeing,
            nan=total.nan,
            inf=total.inf,
            worst_index=index,
            reference=math.nan if index is None else float(first[index]),
            subject=math.nan if index is None else float(second[index]),
        )


def largest_difference(reference: ArrayLike, subject: ArrayLike, tolerance: float) -> tuple[bool, float]:
    """Whether all `|reference - subject| <= tolerance`, and the largest of them over the elements finite in both.

    The same rules, and the same two answers, as `measure(reference, subject, tolerance, limit=1.0)`, in a third of
    its passes. Raises ValueError as `measure` does.
    """
    first, second = _checked(reference, subject)
    _require_not_negative("tolerance", tolerance)
    walk = _Walk(first, second)
    total = _share_out(walk, lambda: _Differencing(walk, tolerance))
    return total.agreeing == first.size and total.max_abs <= tolerance, total.max_abs


# ---------------------------------------------------------------------------------------------------- what is found


class _Worst(NamedTuple):
    """The worst element so far. Tuples compare from the left, so the greatest of them is the worst."""

    pattern: bool = False  # a NaN or an infinity that the other array does not have
    sigmas: float = 0.0
    distance: float = 0.0
    minus_position: int = 0  # of two alike, the first


_NOTHING = _Worst(sigmas=-1.0)


@dataclass(slots=True)
class _Partial:
    """The figures of some of the elements. An element that nothing has judged is not among the agreeing."""

    agreeing: int = 0
    max_abs: float = 0.0
    max_rel: float = 0.0
    max_ulp: float = 0.0
    nan: tuple[int, int] = (0, 0)
    inf: tuple[int, int] = (0, 0)
    worst: _Worst = _NOTHING

    def merge(self, other: "_Partial") -> "_Partial":
        return _Partial(
            agreeing=self.agreeing + other.agreeing,
            max_abs=max(self.max_abs, other.max_abs),
            max_rel=max(self.max_rel, other.max_rel),
            max_ulp=max(self.max_ulp, other.max_ulp),
            nan=(self.nan[0] + other.nan[0], self.nan[1] + other.nan[1]),
            inf=(self.inf[0] + other.inf[0], self.inf[1] + other.inf[1]),
            worst=max(self.worst, other.worst),
        )


# ---------------------------------------------------------------------------------------------- judging odd elements


def _judge_each(odd: Array, start: int, first: Array, second: Array, sigma: Scale, limit: float) -> _Partial:
    """The figures of those elements of a piece that `odd` lists, in batches."""
    total = _Partial()
    for lo in range(0, odd.size, BATCH):
        some = odd[lo : lo + BATCH]
        sigma_of_some = sigma[some] if isinstance(sigma, np.ndarray) else sigma
        total = total.merge(_judge(first[some], second[some], sigma_of_some, limit, start + some))
    return total


def _judge(first: Array, second: Array, sigma: Scale, limit: float, positions: Array) -> _Partial:
    """The figures of at least one element, of any kind, in float64 or wider: slower, and right for every value."""
    x, y = (values.astype(np.result_type(values, np.float64)) for values in (first, second))
    finite = np.isfinite(x) & np.isfinite(y)
    alike = (x == y) | (np.isnan(x) & np.isnan(y))
    d = np.abs(x - y) if first.dtype.kind == "f" else _steps(first, second).astype(np.float64)
    d = np.where(finite, d, 0)
    ulps = d / np.spacing(np.abs(x)) if first.dtype == np.longdouble else _steps(first, second)
    ulps = np.where(finite, ulps, 0)

    sigma = np.broadcast_to(np.asarray(sigma), d.shape)
    agree = np.where(finite, d <= limit * sigma, alike)
    sigmas = _ratio(d, sigma)
    rel = _ratio(d, np.where(finite, np.abs(x), 1))
    if np.isinf(d).any():  # finite values whose difference overflows: half of it does not
        over = np.isinf(d)
        half = np.abs(x[over] / 2 - y[over] / 2)
        agree[over] = half <= limit * (sigma[over] / 2)
        sigmas[over] = _ratio(half, sigma[over] / 2)
        rel[over] = half / np.abs(x[over] / 2)
    sigmas[~finite] = np.where(alike[~finite], 0.0, np.inf)
    pattern = ~finite & ~alike

    worst = np.flatnonzero(pattern if pattern.any() else sigmas == sigmas.max())
    at = worst[d[worst].argmax()]
    distance = math.inf if pattern[at] else float(d[at])
    return _Partial(
        agreeing=int(np.count_nonzero(agree)),
        max_abs=float(d.max()),
        max_rel=float(rel.max()),
        max_ulp=float(ulps.max()),
        nan=(int(np.count_nonzero(np.isnan(x))), int(np.count_nonzero(np.isnan(y)))),
        inf=(int(np.count_nonzero(np.isinf(x))), int(np.count_nonzero(np.isinf(y)))),
        worst=_Worst(bool(pattern[at]), float(sigmas[at]), distance, -int(positions[at])),
    )


def _ratio(d: Array, scale: Array) -> Array:
    """Each d / scale for d >= 0: 0/0 is 0, d/0 is inf, as is everything over a scale that is negative or NaN."""
    return np.where(scale >= 0, np.where(d == 0, 0, d / np.abs(scale)), np.inf)


def _steps(first: Array, second: Array) -> Array:
    """How many steps lead from one value to the other through the representable numbers, as uint64."""
    if first.dtype.kind == "f":
        first, second = _ordinals(first), _ordinals(second)
    high, low = np.maximum(first, second), np.minimum(first, second)
    result: Array = high.astype(np.uint64) - low.astype(np.uint64)  # modulo 2^64, where high - low always fits
    return result


def _ordinals(values: Array) -> Array:
    """Number the floats of BITS in order: 0 for both zeros, 1 for the next above, -1 for the next below, and so on."""
    bits = BITS[values.dtype]
    raw = values.view(bits).astype(np.int64)
    return np.where(raw < 0, np.iinfo(bits).min - raw, raw)  # a negative float is its sign bit plus its magnitude


# -------------------------------------------------------------------------------------------------- judging pieces


class _Worker(Protocol):
    """Takes pieces one after another, adding what it finds to `total`."""

    total: _Partial

    def take(self, start: int, first: Array, second: Array, sigma: Array | None = None) -> None: ...


class _Measuring:
    """Every figure of the pieces it takes. `sigma` is None when each piece brings its own."""

    def __init__(self, walk: "_Walk", sigma: float | None, limit: float) -> None:
        self.total = _Partial()
        self.sigma, self.limit = sigma, limit
        self.fast = walk.dtype in PRECISION
        if self.fast:
            self.precision, self.bits = PRECISION[walk.dtype], BITS[walk.dtype]
            self.d = np.empty(walk.room, self.precision)
            self.rel = np.empty(walk.room, self.precision)
            self.ulps = np.empty(walk.room, self.bits)
            self.sigmas = np.empty(walk.room if sigma is None else 0, np.float64)

    def take(self, start: int, first: Array, second: Array, sigma: Array | None = None) -> None:
        scale = self.sigma if sigma is None else sigma
        assert scale is not None
        odd = self._take_plain(start, first, second, scale) if self.fast else np.arange(first.size)
        self.total = self.total.merge(_judge_each(odd, start, first, second, scale, self.limit))

    def _take_plain(self, start: int, first: Array, second: Array, scale: Scale) -> Array:
        """Add the figures of the plain elements, and return where the odd ones are."""
        n = first.size
        each = isinstance(scale, np.ndarray)
        x, y = first.astype(self.precision, copy=False), second.astype(self.precision, copy=False)
        d = np.subtract(x, y, out=self.d[:n])
        rel = np.divide(d, x, out=self.rel[:n])
        ulps = np.subtract(first.view(self.bits), second.view(self.bits), out=self.ulps[:n])
        sigmas = np.divide(d, scale, out=self.sigmas[:n]) if each else d

        odd = np.arange(0)
        max_abs, max_rel, max_ulp = _largest(d), _largest_number(rel), _largest(ulps)
        scaled = not each or np.min(scale) > 0
        if not (math.isfinite(max_abs) and max_rel < 0.5 and max_ulp <= np.iinfo(self.bits).max and scaled):
            is_odd = ~(np.abs(rel) < 0.5)
            is_odd &= d != 0  # 0/0 is plain
            if not scaled:
                is_odd = is_odd | ~(np.asarray(scale) > 0)
            odd = np.flatnonzero(is_odd)
            for figure in (d, rel, ulps, sigmas):
                figure[odd] = 0
            np.copyto(ulps, 0, where=d == 0)  # the bits of 0.0 and -0.0 differ
            max_abs, max_rel, max_ulp = _largest(d), _largest_number(rel), _largest(ulps)

        agreeing = n
        max_sigmas = _largest(sigmas) if each else _quotient(max_abs, scale)
        if max_sigmas >= self.limit * (1 - 1e-12):  # a quotient is rounded: only the comparison itself decides
            agree = np.abs(d, dtype=np.float64) <= self.limit * np.asarray(scale, np.float64)
            agree[odd] = True
            agreeing = int(np.count_nonzero(agree))

        worst = _NOTHING
        if (False, max_sigmas, max_abs) > self.total.worst[:3]:
            distance = np.abs(d)
            if each:
                distance[np.abs(sigmas) != max_sigmas] = -1
            at = int(distance.argmax())
            worst = _Worst(False, max_sigmas, float(distance[at]), -(start + at))
        self.total = self.total.merge(_Partial(agreeing - odd.size, max_abs, max_rel, max_ulp, worst=worst))
        return odd


class _Differencing:
    """The largest |d| of the pieces it takes; `agreeing` counts the elements that no NaN or infinity sets apart."""

    def __init__(self, walk: "_Walk", tolerance: float) -> None:
        self.total = _Partial()
        self.tolerance = tolerance
        self.fast = walk.dtype in PRECISION
        if self.fast:
            self.precision = PRECISION[walk.dtype]
            self.d = np.empty(walk.room, self.precision)

    def take(self, start: int, first: Array, second: Array, sigma: Array | None = None) -> None:
        odd = self._take_plain(first, second) if self.fast else np.arange(first.size)
        self.total = self.total.merge(_judge_each(odd, start, first, second, self.tolerance, 1.0))

    def _take_plain(self, first: Array, second: Array) -> Array:
        """Add the largest |d| of the elements whose d is finite, and return where the others are."""
        x, y = first.astype(self.precision, copy=False), second.astype(self.precision, copy=False)
        d = np.subtract(x, y, out=self.d[: first.size])
        odd = np.arange(0)
        max_abs = _largest(d)
        if not math.isfinite(max_abs):
            odd = np.flatnonzero(~np.isfinite(d))
            d[odd] = 0
            max_abs = _largest(d)
        # Here d is rounded to the arrays' precision. Rounding keeps order, so the largest is among the largest rounded.
        if max_abs > 0 and max_abs >= self.precision(self.total.max_abs):
            rounded = np.flatnonzero(np.abs(d) == max_abs)
            exact = float(np.abs(first[rounded].astype(np.float64) - second[rounded]).max())
            self.total.max_abs = max(self.total.max_abs, exact)
        self.total.agreeing += first.size - odd.size
        return odd


def _largest(values: Array) -> float:
    """The largest |value|; NaN when there is one."""
    return abs(max(float(values.max()), -float(values.min())))  # abs: not -0.0


def _largest_number(values: Array) -> float:
    """The largest |value| over those that are not NaN."""
    return abs(max(float(np.fmax.reduce(values, initial=0)), -float(np.fmin.reduce(values, initial=0))))


def _quotient(d: float, scale: Scale) -> float:
    """One d / scale for d >= 0, where 0/0 is 0 and d/0 is inf."""
    return d / float(scale) if scale else math.inf if d else 0.0


# ------------------------------------------------------------------------------------------------ walking the arrays


class _Walk:
    """Cuts arrays of one shape into one-dimensional pieces of a bounded length, in the first one's memory order.

    Axes are put in order of stride; where every array is then contiguous they are flattened in place, and pieces are
    views. Otherwise a piece is a block of rows, copied (that piece alone) when it has no one-dimensional view.
    """

    def __init__(self, *arrays: Array) -> None:
        first = arrays[0]
        self.size = first.size
        self.dtype = first.dtype.newbyteorder("=")
        self.axes = sorted(range(first.ndim), key=lambda axis: -abs(first.strides[axis]))
        self.shape = tuple(first.shape[axis] for axis in self.axes)
        arrays = tuple(array.transpose(self.axes) for array in arrays)
        if all(array.flags.c_contiguous for array in arrays):
            arrays = tuple(array.reshape(-1) for array in arrays)
        self.arrays = arrays

        most = PIECE_BYTES // max(4, self.dtype.itemsize)  # float16 is computed in float32
        shape = arrays[0].shape
        axis = len(shape) - 1  # the axis that is cut: all of those behind it fit in a piece
        inner = 1
        while axis > 0 and inner * shape[axis] <= most:
            inner *= shape[axis]
            axis -= 1
        self.outer, self.length, self.inner = shape[:axis], shape[axis], inner
        self.step = max(1, most // inner)
        self.room = min(most, self.size)
        self.cuts = -(-self.length // self.step)
        self.count = math.prod(self.outer) * self.cuts

    def piece(self, number: int) -> tuple[int, list[Array]]:
        """The position of a piece's first element, and the piece of each array."""
        row, cut = divmod(number, self.cuts)
        lo = cut * self.step
        outer = np.unravel_index(row, self.outer) if self.outer else ()
        where = (*outer, slice(lo, lo + self.step))
        pieces = [array[where].reshape(-1) for array in self.arrays]
        native = [piece.astype(piece.dtype.newbyteorder("="), copy=False) for piece in pieces]
        return (row * self.length + lo) * self.inner, native

    def index(self, position: int) -> tuple[int, ...]:
        """The index, in the arrays as they came, of the element at a position of the walk."""
        walked = np.unravel_index(position, self.shape) if self.shape else ()
        return tuple(int(at) for _, at in sorted(zip(self.axes, walked, strict=True)))


def _share_out(walk: _Walk, hire: Callable[[], _Worker]) -> _Partial:
    """Have workers take the pieces, each in its own thread, and merge what they found."""
    numbers: Iterator[int] = iter(range(walk.count))  # shared: whoever is free takes the next

    def work() -> _Partial:
        worker = hire()
        with np.errstate(all="ignore"):
            for number in numbers:
                start, pieces = walk.piece(number)
                worker.take(start, *pieces)
        return worker.total

    workers = min(_cores(), MOST_WORKERS, walk.count) if walk.size >= THREADED else 1
    if workers <= 1:
        return work()
    with ThreadPoolExecutor(workers) as pool:
        found = [pool.submit(work) for _ in range(workers)]
        return reduce(_Partial.merge, (future.result() for future in found))


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# ----------------------------------------------------------------------------------------------------- the last guard


def _checked(reference: ArrayLike, subject: ArrayLike) -> tuple[Array, Array]:
    first, second = np.asarray(reference), np.asarray(subject)
    if first.shape != second.shape:
        raise ValueError(f"shapes must be equal: the reference has {first.shape}, the subject {second.shape}")
    if first.dtype.newbyteorder("=") != second.dtype.newbyteorder("="):
        raise ValueError(f"dtypes must be equal: the reference has {first.dtype}, the subject {second.dtype}")
    if first.dtype.kind not in "fiub":
        raise ValueError(f"dtype must be real floating point, integer or bool, received {first.dtype}")
    return first, second


def _checked_sigma(sigma: ArrayLike, shape: tuple[int, ...]) -> Scale:
    scale = np.asarray(sigma)
    if scale.ndim == 0:
        _require_not_negative("sigma", float(scale))
        return float(scale)
    if scale.shape != shape:
        raise ValueError(f"sigma must be one number or have the arrays' shape {shape}, received shape {scale.shape}")
    if scale.dtype.newbyteorder("=") != np.float64:
        raise ValueError(f"an array of sigmas must be float64, received {scale.dtype}")
    return scale


def _require_not_negative(name: str, value: float) -> None:
    if not value >= 0:
        raise ValueError(f"{name} must be a number >= 0, received {value}")
