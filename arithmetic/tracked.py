"""Numbers that know how far rounding may have moved them: a value and the variance of its accumulated rounding error.

The value is computed in float64 (in long double for a subject in long double), the variance is that of a subject which
computes the same formulas in its own dtype with unit roundoff u. ``sigma`` is its root: a subject's element is right
when it lies within 8 sigma of the value.

How the variance q of a result follows from those of its operands, s being the root of a q:

==================  ===================================================================================================
elementwise f       ``f'(v)^2 q + fresh(f(v))``, for several operands the sum over them
product             ``a^2 q_b + b^2 q_a + q_a q_b + fresh(a b)``
fresh(v)            ``(k u v)^2 / 3 + floor^2``: an error spread evenly over k roundoffs, k as in ``K``; 0 where v is
                    0, and for what no format rounds: a copy, a sign, ``x + 0``, times or by a power of two
contraction, sum    ``(|A| s_B + s_A (|B| + s_B))^2 + m fresh``: what came in adds up linearly, because equal rows make
                    equal errors; fresh is ``u^2/3 [(1 + n/2) sum (a b)^2 + (1 + n/3) (sum a b)^2]``, for n terms
                    added in any order, and m the number of equal terms, which round equally; for a long sum at
                    least ``u^2/3 n`` times the mean square of the sums on the way, which a trend makes larger, and a
                    third of the square of the sum of its terms below the last digit: all may be lost alike
bias                what is added to a contraction of n terms is in every sum on its way where a kernel adds up onto
                    it: ``u^2/3 n b^2`` more
maximum             that of the larger; where the two are within 12 sigma the larger of theirs (a maximum moves no
                    further than what moves most)
quotient            ``q_a / b^2 + (a / b^2)^2 q_b + fresh``, and infinite where b may be 0: where its own s is
                    as large
sqrt                ``min(q / 4v, s) + fresh``: near 0 an error of s moves the root by no more than the root of s; what
                    is less than 12 sigma below 0 counts as 0
comparison          0: a mask is decided by the values; spread over both (variance 1) within 12 sigma and for NaN, when
                    asked for
exp                 that of any f; at least ``v^2``, when open masks are asked for, where ``1 / v`` overflows: another
                    form of the same formula has 0 there
overflow            0: the next operation goes on with the value, as if it were kept in a wider format; infinite, when
                    asked for, where it or a sum on the way to it may be larger than the largest number
==================  ===================================================================================================

Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", sections 2.2 and 4.2, for the model of rounding;
its statistical form and the correlation of equal rows were measured on correct code of several frameworks.

Where an element is an infinity or NaN its variance is 0: patterns of these are compared by themselves. Where the
variance is infinite anything may stand there, an infinity or NaN too; the value is then some number.

Numbers below the smallest normal one are 0 to many kernels, whatever the settings of the processor (bfloat16 products
of x86, XLA on CPU): it is the floor. In float16, which is computed in float32, that is the smallest subnormal one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..reference.dtypes import largest, limits
from ..reference.elementary import erf
from ..reference.optimizers.schedules import Rate
from .base import Arithmetic, Plain, Rule, raw

K = {
    "multiply": 1.0,
    "add": 1.0,
    "divide": 1.0,
    "sqrt": 1.0,
    "exp": 2.0,
    "expm1": 2.0,
    "log": 2.0,
    "log1p": 2.0,
    "tanh": 2.0,
    "sin": 2.0,
    "cos": 2.0,
    "arctan": 2.0,
    "erf": 2.0,
    "power": 2.0,
}
"""How many unit roundoffs a result may be off. Basic operations round correctly; measured worst errors of the others
over a million draws from normal(0, 4), in NumPy, torch and JAX: exp 3.3, 1.1, 2.3; expm1 1.4, 1.5, 5.9; log1p of
``exp(-|x|)`` 1.3, 1.2, 3.5; tanh 1.8, 1.0, 4.7; erf 1.0 (SciPy), 1.1, 5.3: k = 2, which at 8 sigma allows 9.2. The erf
of some kernels is accurate absolutely, not relatively: its error is k u, not ``k u |erf|``."""

NEAR = 12.0
"""Two numbers within so many sigma may compare either way."""

SMALLEST_SIGMA = 2.0**-537
"""The smallest error whose square float64 can hold."""

PARTIAL_SUMS = 8
"""How many of the sums on the way to a long one are looked at."""

FEW = 16
"""How many times as many terms a sum must have as those that make it, for the others to be looked at."""

PIECE = 1 << 14
"""Elements that an elementwise rule takes at a time, so that its temporaries stay in the cache."""

Variance: TypeAlias = Any
"""An array of variances, or the number 0.0 where all of them are 0."""


@cache
def tracked(dtype: str, *, spread: bool = False) -> type[Tracked]:
    """The class of arrays for a subject that computes in ``dtype``: float16, bfloat16, float32, float64, longdouble.

    With ``spread`` what rounding leaves undecided is left open: a mask within 12 sigma of its kink takes both of its
    values, and what may have overflowed any.

    >>> tracked("float32").unit, tracked("float32") is tracked("float32")
    (5.960464477539063e-08, True)
    """
    unit, subnormal, normal = limits(dtype)
    return type(
        f"Tracked[{dtype}]",
        (Tracked,),
        {
            "unit": unit,
            "flushes": dtype in FLUSHED,
            "floor": max(normal if dtype in FLUSHED else subnormal, SMALLEST_SIGMA),
            "normal": normal,
            "largest": largest(dtype),
            "is_bfloat16": dtype == "bfloat16",
            "spread": spread,
            "rounded": staticmethod(ROUNDED[dtype]),
            "memory": np.dtype([("value", "g" if dtype == "longdouble" else "f8"), ("variance", "f8")]),
        },
    )


FLUSHED = frozenset({"bfloat16", "float32", "float64"})
"""Dtypes of which some kernels take subnormal numbers for 0."""

ROUNDED: dict[str, Callable[[float], float]] = {
    "float16": lambda number: float(np.float16(number)),
    "bfloat16": lambda number: math.ldexp(round(math.ldexp(math.frexp(number)[0], 8)), math.frexp(number)[1] - 8),
    "float32": lambda number: float(np.float32(number)),
    "float64": lambda number: number,
    "longdouble": lambda number: number,
}
"""A Python number as a subject in the dtype holds it."""


class Tracked(Arithmetic):
    """An array of values and variances, by the rules above. Made by ``tracked``, which fills in the attributes.

    >>> import numpy as np
    >>> x = tracked("float32").lift(np.array([1.0, 3.0]))
    >>> y = np.maximum(x, 2) / 3
    >>> y.value, y.sigma * 3**1.5 / y.unit  # the 3 is exact, the quotient is rounded
    (array([0.66666667, 1.        ]), array([2., 3.]))
    """

    OPEN = frozenset({"value", "variance", "sigma", "unit", "floor", "spread", "terms", "of_terms"})

    unit: ClassVar[float]
    """The unit roundoff u of the subject."""
    floor: ClassVar[float]
    """What it cannot tell from 0: its smallest subnormal number, or the smallest normal one where kernels flush."""
    flushes: ClassVar[bool]
    """Whether kernels take subnormal numbers for 0."""
    normal: ClassVar[float]
    """Its smallest normal number: below it even a scaling by a power of two rounds."""
    largest: ClassVar[float]
    is_bfloat16: ClassVar[bool]
    spread: ClassVar[bool]
    """Whether what rounding leaves undecided is open."""
    rounded: ClassVar[Callable[[float], float]]
    memory: ClassVar[np.dtype[Any]]

    @classmethod
    def lift(cls, value: Any, sigma: Any = 0.0) -> Any:
        """An array of floats as it is, with variance 0; integer and tracked arrays unchanged.

        With a ``sigma`` it is one of several roundings: its variance is the square, and at least that of one rounding.

        What counts as 0 where subnormal numbers do has the variance of the floor. A Python number that the subject's
        dtype cannot hold carries its own rounding, ``(u v)^2 / 3``, and a learning rate that was computed also that of
        its computation.
        """
        if isinstance(value, Tracked) or (isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iub"):
            return value
        exact = cls.operand(value)
        if np.ndim(sigma) == 0 and not sigma:
            return exact
        rounded = np.maximum(np.square(sigma), cls.fresh(exact.value))
        return cls.pair(exact.value, np.where(np.equal(sigma, 0), exact.variance, rounded))

    @classmethod
    def operand(cls, value: Any) -> Any:
        if isinstance(value, Tracked):
            return value
        variance = cls.flushed(value)
        if isinstance(value, int | float):
            with np.errstate(over="ignore"):
                held = not math.isfinite(value) or cls.rounded(value) == value
            variance = variance if held else cls.fresh(np.float64(value))
            if isinstance(value, Rate):
                variance = variance + value.error**2 / 3
        return cls.pair(np.asarray(value), variance)

    @classmethod
    def flushed(cls, value: Any) -> Variance:
        """Variance of what is given, of which a subnormal number may count as 0."""
        below = (np.abs(value) < cls.normal) & (value != 0)
        return cls.floor**2 * below if cls.flushes and np.any(below) else 0.0

    @classmethod
    def pair(cls, value: Plain, variance: Variance, *operands: Variance) -> Any:
        """A new array of these values and variances; a value that is not finite has variance 0, unless it is open."""
        result = np.empty(np.shape(value), cls.memory)
        result["value"], result["variance"] = settled(value, variance, *operands)
        return cls.of(result)

    @classmethod
    def fresh(cls, value: Any, k: float = 1.0) -> Any:
        """Variance of one rounding to ``value``."""
        error = value * (k * cls.unit / math.sqrt(3))
        variance = error * error
        variance += cls.floor**2
        return variance * (value != 0)

    @classmethod
    def scaled(cls, value: Any) -> Any:
        """Variance of a scaling by a power of two: 0, but for what becomes subnormal, or would by halves.

        At a tie JAX's maximum gives each of the two half of a gradient, so that 1 may be 1/2 + 1/2.
        So small that the square of one rounding is no number of float64 counts as subnormal: what it brought along
        would be lost.
        """
        return cls.floor**2 * ((np.abs(value) < max(2 * cls.normal, SMALLEST_SIGMA / cls.unit)) & (value != 0))

    @property
    def terms(self) -> int:
        """How many products were added up to this, if it is a contraction or a sum of such; otherwise 0."""
        return self.__dict__.get("terms", 0)  # type: ignore[no-any-return]

    def __array_finalize__(self, of: Any) -> None:
        # A contraction in another shape or order is one.
        if isinstance(of, Tracked) and of.terms:
            self.__dict__["terms"] = of.terms

    def of_terms(self, terms: int) -> Self:
        """The same array, which says from now on of how many terms it is."""
        if terms:
            self.__dict__["terms"] = terms
        return self

    @property
    def value(self) -> Plain:
        """The values, float64 (long double for a subject in it); a copy."""
        values: Plain = raw(self)["value"].copy()
        return values

    @property
    def variance(self) -> NDArray[np.float64]:
        """The variances of the values' rounding errors; a copy."""
        variances: NDArray[np.float64] = raw(self)["variance"].copy()
        return variances

    @property
    def sigma(self) -> NDArray[np.float64]:
        """The root of each variance: 0 for what was given or is copied, at least the floor for what is rounded."""
        return np.sqrt(raw(self)["variance"])  # type: ignore[no-any-return]


def settled(value: Any, variance: Variance, *operands: Variance) -> tuple[Any, Variance]:
    """Values and variances: 0 where the value is not finite, infinite where it has no bound, or an operand has none.

    What may be anything is some finite number of infinite variance.
    """
    if isinstance(variance, float) and variance == 0:
        return value, variance
    with np.errstate(all="ignore"):
        if np.isfinite(np.add.reduce(value * 0.0 + variance, axis=None)):
            return value, variance
        variance = np.where(np.isfinite(value), np.where(np.isnan(variance), np.inf, variance), 0.0)
        for q in operands:
            value, variance = opened(value, variance, np.isinf(q))
        return value, variance


def opened(value: Any, variance: Variance, where: Any) -> tuple[Any, Variance]:
    """Values and variances with those that may be anything: of infinite variance, and finite."""
    if not np.any(where):
        return value, variance
    return np.where(where & ~np.isfinite(value), 0.0, value), np.where(where, np.inf, variance)


def parts(x: Any) -> tuple[Any, Variance]:
    """Values and variances of a tracked array or a piece of its memory; 0.0 where all variances are 0."""
    memory = raw(x)
    value, variance = memory["value"], np.asarray(memory["variance"])  # an array, of what has no axes too
    return value, variance if variance.any() else 0.0


def taken(cls: type[Tracked], x: Any) -> tuple[Any, Variance]:
    """The same of an operand: where overflow is left open, of infinite variance what may have overflowed."""
    value, variance = parts(x)
    if cls.spread:
        over = (np.abs(value) + NEAR * np.sqrt(variance) > cls.largest) & np.isfinite(value)
        if over.any():
            variance = np.where(over, np.inf, variance)
    return value, variance


def may_be_zero(a: Any, q: Variance) -> Any:
    """Where a number is within 12 sigma of 0, and not exactly what it is."""
    return (q > 0) & (a * a <= NEAR * NEAR * q)


def times(factor: Any, variance: Variance) -> Variance:
    """Variance of an error that reaches the result multiplied by ``factor``."""
    return factor * factor * variance if isinstance(variance, np.ndarray) else 0.0


# ------------------------------------------------------------------------------------------------------- elementwise

Core: TypeAlias = Callable[..., tuple[Any, Variance]]
"""From the class and, of each operand, values and variances: values and variances of the result."""


def elementwise(core: Core, *, mixes: bool = True) -> Rule:
    """The rule that applies ``core`` to pieces of its operands; ``mixes`` says that it goes on with all of them."""

    def applied(cls: type[Tracked], *operands: Any) -> tuple[Any, Any, list[Variance]]:
        known = [part for x in operands for part in taken(cls, x)]
        return *core(cls, *known), known[1::2] if mixes else []

    def rule(cls: type[Tracked], *operands: Any) -> Any:
        shape = np.broadcast_shapes(*(x.shape for x in operands))
        if math.prod(shape) <= PIECE:
            value, variance, of_operands = applied(cls, *operands)
            if np.shape(value) != shape:
                value = np.broadcast_to(value, shape)
            return cls.pair(value, variance, *of_operands)
        result = np.empty(shape, cls.memory)
        for piece in pieces(shape):
            value, variance, of_operands = applied(cls, *(raw(x)[matching(piece, x.shape)] for x in operands))
            result["value"][piece], result["variance"][piece] = settled(value, variance, *of_operands)
        return cls.of(result)

    return rule


def pieces(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Indices, one slice an axis, that cut an array into pieces of at most ``PIECE`` elements."""
    if not shape:
        yield ()
        return
    row = math.prod(shape[1:])
    step = max(1, PIECE // max(1, row))
    for start in range(0, shape[0], step):
        for rest in pieces(shape[1:]) if row > PIECE else [tuple(slice(None) for _ in shape[1:])]:
            yield (slice(start, start + step), *rest)


def matching(piece: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[Any, ...]:
    """The index of an operand of this shape, which is broadcast, that belongs to a piece of the result."""
    last = piece[len(piece) - len(shape) :]
    # The ellipsis keeps what has no axes an array: NumPy would make a scalar of it.
    return (*(slice(None) if size == 1 else part for part, size in zip(last, shape, strict=True)), ...)


def _add(sign: int) -> Rule:
    @elementwise
    def apart(cls: type[Tracked], a: Any, q_a: Variance, b: Any, q_b: Variance) -> tuple[Any, Variance]:
        value = a + b if sign > 0 else a - b
        rounds = not (absent(a, q_a) or absent(b, q_b))
        return value, q_a + q_b + (cls.fresh(value, K["add"]) if rounds else 0.0)

    @elementwise
    def same(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
        return (a + a, 4 * q) if sign > 0 else (a - a, 0.0)

    def rule(cls: type[Tracked], a: Any, b: Any) -> Any:
        if a is b:
            return same(cls, a)
        result = apart(cls, a, b)
        if a.terms or b.terms:
            memory = raw(result)
            _, memory["variance"] = settled(memory["value"], memory["variance"] + on_the_way(cls, a, b))
        return result.of_terms(a.terms + b.terms)

    return rule


def on_the_way(cls: type[Tracked], a: Any, b: Any) -> Any:
    """What rounds more where a kernel adds up the terms of one onto the other."""
    return sum(cls.unit**2 / 3 * one.terms * raw(other)["value"] ** 2 for one, other in ((a, b), (b, a)) if one.terms)


def absent(a: Any, q: Variance) -> bool:
    """Whether an operand is 0 everywhere, exactly: nothing rounds when it is added."""
    return not isinstance(q, np.ndarray) and not a.flat[:4].any() and not a.any()


def scales(a: Any, q: Variance) -> bool:
    """Whether an operand is 0 or a power of two everywhere, exactly: nothing rounds when one multiplies by it."""
    return not isinstance(q, np.ndarray) and _dyadic(a.flat[:4]) and _dyadic(a)


def _dyadic(a: Any) -> bool:
    mantissa = np.frexp(a)[0]
    return bool(((np.abs(mantissa) == 0.5) | (mantissa == 0)).all())


@elementwise
def _product(cls: type[Tracked], a: Any, q_a: Variance, b: Any, q_b: Variance) -> tuple[Any, Variance]:
    value = a * b
    rounds = not (scales(a, q_a) or scales(b, q_b))
    variance = times(a, q_b) + times(b, q_a) + q_a * q_b
    if cls.spread and not np.isfinite(value).all():  # no number, times what may be 0, may be no number or 0
        wild = ~np.isfinite(a) & may_be_zero(b, q_b) | ~np.isfinite(b) & may_be_zero(a, q_a)
        value, variance = opened(value, variance, wild)
    return value, variance + (cls.fresh(value, K["multiply"]) if rounds else cls.scaled(value))


@elementwise
def _square(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
    # (a + e)^2 = a^2 + 2 a e + e^2, and e^2 is at most a few q
    value = a * a
    return value, times(2 * a, q) + q * q * 3 + (cls.scaled(value) if scales(a, q) else cls.fresh(value, K["multiply"]))


@elementwise
def _quotient(cls: type[Tracked], a: Any, q_a: Variance, b: Any, q_b: Variance) -> tuple[Any, Variance]:
    value = a / b
    variance = times(1 / b, q_a) + times(value / b, q_b)
    if isinstance(q_b, np.ndarray):
        value, variance = opened(value, variance, (b * b <= q_b) & (q_b > 0))
    return value, variance + (cls.scaled(value) if scales(b, q_b) else cls.fresh(value, K["divide"]))


@elementwise
def _one(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
    return a / a, 0.0


@elementwise
def _negative(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
    return -a, q


@elementwise
def _absolute(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
    return np.abs(a), q


@elementwise
def _maximum(cls: type[Tracked], a: Any, q_a: Variance, b: Any, q_b: Variance) -> tuple[Any, Variance]:
    larger = np.where((a >= b) | np.isnan(a), q_a, q_b)
    near = np.abs(a - b) <= NEAR * np.sqrt(q_a + q_b)
    return np.maximum(a, b), np.where(near, np.maximum(q_a, q_b), larger)


@elementwise
def _sqrt(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
    passed: Variance = 0.0
    if isinstance(q, np.ndarray):
        near = may_be_zero(a, q)
        a = np.where(near, np.maximum(a, 0), a)
        passed = np.fmin(q / (4 * a), np.sqrt(q))
        if cls.spread:  # the root of less than 0 is no number
            a, passed = opened(a, passed, near)
    value = np.sqrt(a)
    return value, passed + cls.fresh(value, K["sqrt"])


def _function(name: str, function: Callable[[Any], Any], slope: Callable[[Any, Any], Any]) -> Rule:
    """The rule of a function of one number; ``slope(x, f(x))`` is its derivative."""

    @elementwise
    def rule(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
        value = function(a)
        passed = times(slope(a, value), q) if isinstance(q, np.ndarray) else 0.0
        return value, passed + cls.fresh(value, K[name])

    return rule


@elementwise
def _exp(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
    value = np.exp(a)
    variance = (times(value, q) if isinstance(q, np.ndarray) else 0.0) + cls.fresh(value, K["exp"])
    if cls.spread:  # who divides by exp(-a) instead has 0 where that overflows
        variance = np.where(value * cls.largest < 1, np.maximum(variance, value * value), variance)
    return value, variance


@elementwise
def _erf(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
    value = erf(a)
    passed = times(2 / math.sqrt(math.pi) * np.exp(-a * a), q)
    return value, passed + cls.fresh(np.sign(value), K["erf"])  # absolute: of the size of 1


def _power(cls: type[Tracked], base: Any, exponent: Any) -> Any:
    if isinstance(exponent, int):
        return _whole_power(exponent)(cls, base)
    # A power of a count, as that of the steps, is made with more digits than bfloat16 has: there 1 - 0.999 is 0.
    digits = tracked("float32", spread=cls.spread) if exponent.ndim == 0 and cls.is_bfloat16 else cls
    return cls.of(raw(_exponential(digits, digits.operand(base), exponent)))


@cache
def _whole_power(n: int) -> Rule:
    @elementwise
    def rule(cls: type[Tracked], a: Any, q: Variance) -> tuple[Any, Variance]:
        value = a ** float(n)
        passed = times(n * a ** float(n - 1), q) if n else 0.0
        rounds = n not in (0, 1) and not scales(a, q)
        return value, passed + (cls.fresh(value, max(K["power"], abs(n) - 1)) if rounds else 0.0)

    return rule


@elementwise
def _exponential(cls: type[Tracked], a: Any, q_a: Variance, b: Any, q_b: Variance) -> tuple[Any, Variance]:
    value = a**b
    slope = np.where(value != 0, np.log(a) * value, 0.0)  # 0^b stays 0
    passed = times(b * a ** (b - 1), q_a) + times(slope, q_b)
    return value, passed + cls.fresh(value, K["power"])


# ------------------------------------------------------------------------------------------------- masks and choices


def _comparison(compare: np.ufunc) -> Rule:
    @elementwise
    def rule(cls: type[Tracked], a: Any, q_a: Variance, b: Any, q_b: Variance) -> tuple[Any, Variance]:
        mask = compare(a, b).astype(float)
        if not cls.spread:
            return mask, 0.0
        q = q_a + q_b
        return mask, (q > 0) & (np.abs(a - b) <= NEAR * np.sqrt(q)) | np.isnan(a) | np.isnan(b)

    return rule


def _chosen(
    cls: type[Tracked], mask: Any, undecided: Variance, a: Any, q_a: Variance, b: Any, q_b: Variance
) -> tuple[Any, Variance]:
    holds = mask != 0
    value: Any = np.where(holds, a, b)
    variance: Variance = np.where(holds, q_a, q_b)
    if isinstance(undecided, np.ndarray):
        # The other may be it, which has an error of its own: it may be a choice that is as little decided.
        apart = np.where((a == b) | np.isnan(a) & np.isnan(b), 0.0, (a - b) ** 2)
        variance = np.where(undecided > 0, np.maximum(q_a, q_b) + apart, variance)
        value, variance = opened(value, variance, (undecided > 0) & ~np.isfinite(apart))
    return value, variance


_choice = elementwise(_chosen, mixes=False)


def _where(cls: type[Tracked], condition: Any, x: Any, y: Any) -> Any:
    return _choice(cls, *map(cls.operand, (condition, x, y)))


def _argmax(cls: type[Tracked], a: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    return np.argmax(raw(a)["value"], axis=axis, keepdims=keepdims)


def _largest(cls: type[Tracked], x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The maximum along an axis: its variance is the largest of those that could be it."""
    a, q = taken(cls, x)
    value = np.max(a, axis=axis, keepdims=True)
    variance: Variance = 0.0
    if isinstance(q, np.ndarray):
        q_value = np.max(np.where(a == value, q, 0.0), axis=axis, keepdims=True)
        near = value - a <= NEAR * np.sqrt(q + q_value)
        variance = np.max(np.where(near, q, 0.0), axis=axis, keepdims=True)
    result = cls.pair(value, variance)
    return result if keepdims else result.reshape(np.max(a, axis=axis).shape)


# --------------------------------------------------------------------------------------------- sums and contractions


def _sum(cls: type[Tracked], x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    """``sum a``: terms that are 0 do not round, and a sum of one term is that term."""
    a, q = taken(cls, x)
    value = np.asarray(np.sum(a, axis=axis, keepdims=keepdims))
    n = np.count_nonzero(a, axis=axis, keepdims=keepdims)
    squares = np.sum(a * a, axis=axis, keepdims=keepdims)
    variance = _summing(cls, n, squares, value)
    if a.size // max(1, value.size) >= 2 * PARTIAL_SUMS:
        variance = np.maximum(variance, cls.unit**2 / 3 * n * _partial_of_sum(a, axis, keepdims))
        variance = variance + _lost_of_sum(cls, a, axis, keepdims)
    variance = variance * multiplicity(a, axis, keepdims)
    linear: Variance = np.sum(np.sqrt(q), axis=axis, keepdims=keepdims) if isinstance(q, np.ndarray) else 0.0
    variance = variance + linear * linear
    if cls.spread:
        reach = np.sum(np.abs(a), axis=axis, keepdims=keepdims)
        value, variance = opened(value, variance, np.isinf(linear) | overflows(cls, reach))
    return cls.pair(value, variance)


def overflows(cls: type[Tracked], reach: Any) -> Any:
    """Which sums may overflow on the way, from the sums of what is added up without its sign."""
    return (reach > cls.largest) & np.isfinite(reach)


def _summing(cls: type[Tracked], n: Any, squares: Any, value: Any) -> Any:
    """Fresh variance of a sum of n terms: without the n products of a contraction, whose share is the 1 in 1 + n/2."""
    variance = cls.unit**2 / 3 * (n / 2 * squares + (n + 1) / 3 * (value * value)) + n * cls.floor**2
    return variance * (n > 1)


def _partial_of_sum(a: Plain, axis: Any, keepdims: bool) -> Any:
    """The mean square of the sums on the way to a sum, as ``_partial`` has it."""
    terms, shape, axes = terms_of(a, axis)
    starts = np.linspace(0, terms.shape[1], PARTIAL_SUMS, endpoint=False).astype(int)
    so_far = np.cumsum(np.add.reduceat(terms, starts, axis=1), axis=1)
    mean = (so_far * so_far).mean(axis=1).reshape(shape)
    return np.expand_dims(mean, axes) if keepdims else mean


def _lost_of_sum(cls: type[Tracked], a: Plain, axis: Any, keepdims: bool) -> Any:
    """What ``lost`` says of a sum along some axes."""
    terms, shape, axes = terms_of(a, axis)
    variance = lost(cls, terms).reshape(shape)
    return np.expand_dims(variance, axes) if keepdims else variance


def lost(cls: type[Tracked], terms: Plain) -> Any:
    """Variance of each row's sum for the terms below its last digit, all of which may be lost, or rounded up, alike.

    Rounding is not independent there: a sum that does not move at all stagnates (Higham 2002, section 4.2).
    """
    size = np.abs(terms)
    digit = 2 * cls.unit * np.maximum(np.abs(terms.sum(axis=1)), size.max(axis=1, initial=0))
    below = np.where(size <= digit[:, None], terms, 0.0).sum(axis=1)
    return below * below / 3


def terms_of(a: Plain, axis: Any) -> tuple[Plain, list[int], tuple[int, ...]]:
    """The terms of each sum along some axes, a row for each; the shape of the sums, and the axes."""
    axes = tuple(range(a.ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, a.ndim)
    kept = [place for place in range(a.ndim) if place not in axes]
    shape = [a.shape[place] for place in kept]
    terms = a.transpose(*kept, *axes).reshape(math.prod(shape), -1) if a.size else np.zeros((math.prod(shape), 0))
    return terms, shape, axes


def multiplicity(a: Plain, axis: Any, keepdims: bool) -> Any:
    """For each sum the number of times that its most frequent term other than 0 stands in it."""
    terms, shape, axes = terms_of(a, axis)
    counts = np.ones(shape, np.int64)
    rows = max(1, PIECE // max(1, terms.shape[1]))
    for start in range(0, len(terms), rows):
        some = np.sort(nearly(terms[start : start + rows]), axis=1)
        counts.reshape(-1)[start : start + rows] = longest_run(some)
    return np.expand_dims(counts, axes) if keepdims else counts


def nearly(a: Plain) -> NDArray[np.float64]:
    """The values to 41 bits, so that rows which were computed alike but rounded differently are equal.

    By Veltkamp's splitting (Dekker 1971, "A floating-point technique for extending the available precision").
    """
    a = a.astype(float, copy=False)
    large = a * 4097.0
    return large - (large - a)


def longest_run(ordered: Plain) -> NDArray[np.int64]:
    """For each row of sorted numbers, the length of the longest run of equal ones other than 0; at least 1."""
    equal = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != 0)
    counts = np.ones(len(ordered), np.int64)
    for row in np.flatnonzero(equal.any(axis=1)):
        ends = np.flatnonzero(np.diff(np.concatenate([[False], equal[row], [False]]).astype(np.int8)))
        counts[row] = (ends[1::2] - ends[::2]).max() + 1
    return counts


def _matmul(cls: type[Tracked], x: Any, y: Any) -> Any:
    """``A @ B`` as NumPy has it, stacks of matrices and vectors included."""
    # Copies whose memory is in the order of the operand's: then the value is bit for bit what NumPy makes of floats.
    a, q_a = (np.copy(part, order="K") if isinstance(part, np.ndarray) else part for part in taken(cls, x))
    b, q_b = (np.copy(part, order="K") if isinstance(part, np.ndarray) else part for part in taken(cls, y))
    n = a.shape[-1]
    value = np.asarray(a @ b)
    squares = np.asarray((a * a) @ (b * b))
    # in place where it can be: these are as large as the result
    fresh = np.asarray(squares * (1 + n / 2 if n > 1 else 0.0))
    fresh += (1 + n / 3 if n > 1 else 1.0) * (value * value)
    long = n >= 2 * PARTIAL_SUMS
    if long:
        np.maximum(fresh, squares + n * _partial(a, b, n), out=fresh)
    fresh *= cls.unit**2 / 3 * equal_terms(a, b)
    fresh += n * cls.floor**2 * some_term(a, b, squares)
    reach = np.asarray(np.abs(a) @ np.abs(b)) if long or cls.spread else squares
    if long:
        # Where nearly all of a sum comes from few of its terms the others may be below its last digit.
        few = reach * reach < n / FEW * squares
        if few.any():
            few &= reach * reach < ((a != 0).astype(float) @ (b != 0).astype(float)) / FEW * squares
            fresh[few] += _lost_of_product(cls, a, b, few)
    if isinstance(q_a, np.ndarray) or isinstance(q_b, np.ndarray):
        s_a, s_b = np.sqrt(q_a), np.sqrt(q_b)
        linear: Any = 0.0
        if isinstance(q_b, np.ndarray):
            linear = np.abs(a) @ s_b
        if isinstance(q_a, np.ndarray):
            linear = linear + s_a @ (np.abs(b) + s_b)
        fresh += linear * linear
    if cls.spread:
        ones_a, ones_b = np.ones(a.shape), np.ones(b.shape)
        of_open = (np.isinf(q_a) * ones_a) @ ones_b + ones_a @ (np.isinf(q_b) * ones_b)
        value, fresh = opened(value, fresh, (of_open > 0) | overflows(cls, reach))
    return cls.pair(value, fresh).of_terms(n if n > 1 else 0)


def _lost_of_product(cls: type[Tracked], a: Plain, b: Plain, few: Plain) -> Plain:
    """What ``lost`` says of some elements of ``a @ b``, whose terms are gathered a piece at a time."""
    rows, columns = a if a.ndim > 1 else a[None], b.swapaxes(-1, -2) if b.ndim > 1 else b[None]
    stack = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    rows, columns = (np.broadcast_to(x, (*stack, *x.shape[-2:])) for x in (rows, columns))
    *which, i, j = np.nonzero(few.reshape(*stack, rows.shape[-2], columns.shape[-2]))
    step = max(1, PIECE // rows.shape[-1])
    found = []
    for start in range(0, len(i), step):
        some = slice(start, start + step)
        of = tuple(index[some] for index in which)
        found.append(lost(cls, rows[(*of, i[some])] * columns[(*of, j[some])]))
    return np.concatenate([np.zeros(0), *found])


def some_term(a: Plain, b: Plain, squares: Plain) -> Any:
    """Which elements of ``a @ b`` have a term that is not 0, also where the square of it is none of float64's."""
    if squares.all():
        return True
    smallest = [np.abs(x).min(where=x != 0, initial=1.0) for x in (a, b)]
    if math.prod(smallest) > math.sqrt(SMALLEST_SIGMA):
        return squares != 0
    return ((a != 0).astype(float) @ (b != 0).astype(float)) > 0


def _partial(a: Plain, b: Plain, n: int) -> Plain:
    """The mean square of the sums on the way to ``a @ b``: terms that follow a trend make them larger."""
    so_far: Any = 0.0
    total: Any = 0.0
    for part in np.array_split(np.arange(n), PARTIAL_SUMS):
        first, last = part[0], part[-1] + 1
        so_far = so_far + a[..., first:last] @ (b[first:last] if b.ndim == 1 else b[..., first:last, :])
        total = total + so_far * so_far
    mean: Plain = total / PARTIAL_SUMS
    return mean


def equal_terms(a: Plain, b: Plain) -> int:
    """The number of times that the most frequent term of ``sum_k a_ik b_kj`` stands in it for every i and j.

    Terms k and l are equal when column k of A is its column l and row k of B its row l; in stacks, in all of them.
    """
    columns = np.moveaxis(a, -1, 0).reshape(a.shape[-1], -1)
    rows = (np.moveaxis(b, -2, 0) if b.ndim > 1 else b).reshape(a.shape[-1], -1)
    smaller, larger = sorted((columns, rows), key=lambda matrix: matrix.shape[1])
    first = marks(smaller)
    if most_frequent(first) == 1:
        return 1
    second = marks(larger)
    return most_frequent(np.where((first == 0) | (second == 0), 0, first * np.uint64(3) + second))


def marks(rows: Plain) -> NDArray[np.uint64]:
    """A number for each row: equal for equal rows, 0 for a row of zeros, otherwise different but for chance 2^-64."""
    bits = (nearly(rows) + 0.0).view(np.uint64)  # -0 is 0
    with np.errstate(over="ignore"):
        mixed: NDArray[np.uint64] = (bits >> np.uint64(11)) @ _odd(rows.shape[1])
    return mixed


@cache
def _odd(n: int) -> NDArray[np.uint64]:
    """Random odd numbers: multiplied by them and added up modulo 2^64, different rows stay different."""
    return np.random.Generator(np.random.PCG64(n)).integers(2**63, size=n, dtype=np.uint64) * np.uint64(2) + np.uint64(
        1
    )


def most_frequent(numbers: NDArray[np.uint64]) -> int:
    """How often the most frequent number other than 0 stands there; at least 1."""
    return int(longest_run(np.sort(numbers)[None, :])[0])


def _scatter(cls: type[Tracked], target: Any, index: Any, values: Any) -> None:
    """``target[index] += values``, where one place may be met several times: to each place belongs a sum."""
    memory, (v, q) = raw(target), taken(cls, values)
    place = np.arange(memory.size).reshape(memory.shape)[index]
    v, q = (np.broadcast_to(part, place.shape) for part in (v, q))
    before = memory["value"].ravel()

    def collected(start: Plain, terms: Plain) -> Plain:
        total = start.copy()
        np.add.at(total, place, terms)
        return total

    value = collected(before, v)
    n = collected((before != 0).astype(float), v != 0)
    squares = collected(before * before, v * v)
    linear = collected(np.sqrt(memory["variance"].ravel()), np.sqrt(q))
    fresh = _summing(cls, n, squares, value) * _equal_at(place.ravel(), v.ravel(), memory.size)
    variance = linear * linear + fresh
    if cls.spread:
        reach = collected(np.abs(before), np.abs(v))
        value, variance = opened(value, variance, np.isinf(linear) | overflows(cls, reach))
    value, variance = settled(value, variance)
    memory["value"], memory["variance"] = value.reshape(memory.shape), variance.reshape(memory.shape)


def _equal_at(place: Plain, v: Plain, size: int) -> Any:
    """For each place the number of times that its most frequent term other than 0 is added there; at least 1."""
    v = nearly(v)
    order = np.lexsort((v, place))
    place, v = place[order], v[order]
    starts = np.flatnonzero(np.concatenate([[True], (place[1:] != place[:-1]) | (v[1:] != v[:-1])])[: len(v)])
    counts = np.ones(size)
    lengths = np.diff(np.append(starts, len(v))) * (v[starts] != 0)
    np.maximum.at(counts, place[starts], lengths)
    return counts


Tracked.RULES = {
    "add": _add(1),
    "subtract": _add(-1),
    "multiply": lambda cls, a, b: _square(cls, a) if a is b else _product(cls, a, b),
    "divide": lambda cls, a, b: _one(cls, a) if a is b else _quotient(cls, a, b),
    "matmul": _matmul,
    "power": _power,
    "negative": _negative,
    "absolute": _absolute,
    "square": _square,
    "maximum": _maximum,
    "exp": _exp,
    "expm1": _function("expm1", np.expm1, lambda x, y: 1 + y),
    "log": _function("log", np.log, lambda x, y: 1 / x),
    "log1p": _function("log1p", np.log1p, lambda x, y: 1 / (1 + x)),
    "tanh": _function("tanh", np.tanh, lambda x, y: 1 - y * y),
    "sin": _function("sin", np.sin, lambda x, y: np.cos(x)),
    "cos": _function("cos", np.cos, lambda x, y: np.sin(x)),
    "arctan": _function("arctan", np.arctan, lambda x, y: 1 / (1 + x * x)),
    "sqrt": _sqrt,
    "erf": _erf,
    **{
        compare.__name__: _comparison(compare)
        for compare in (np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal)
    },
    "where": _where,
    "argmax": _argmax,
    "maximum.reduce": _largest,
    "add.reduce": _sum,
    "add.at": _scatter,
}
