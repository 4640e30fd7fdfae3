"""The truth, enclosed: every number a ball, a midpoint of many bits and a radius that the true value never leaves.

Balls are ``arb`` numbers of python-flint, the extra ``truth``, in arrays of objects. They certify rounding and nothing
else: a wrong formula is evaluated just as rigorously. What is independent of the hand-written backward passes is
``central_difference``, which differentiates a forward pass by its values alone, to 60 digits.

A comparison that a ball leaves open gives the ball [0, 1]; ``numpy.where`` then encloses both branches. An enclosure
may contain infinity, as that of 1 / x does when x may be 0: ``finite`` tells which do not.

Source: Johansson 2017, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic", IEEE Transactions on
Computers 66(8).
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, reduce
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .base import Arithmetic, Plain, Rule, raw


@cache
def balls(bits: int = 200) -> type[Ball]:
    """The class of arrays of balls that calculate with so many bits.

    Raises:
        ImportError: python-flint is not installed.
    """
    return type(f"Ball[{bits}]", (Ball,), {"bits": bits, "flint": flint()})


def flint() -> Any:
    """python-flint, imported when first needed."""
    try:
        import flint
    except ImportError as error:
        raise ImportError("the true values need python-flint: pip install 'crosscheck[truth]'") from error
    return flint


class Ball(Arithmetic):
    """An array of balls. Made by ``balls``, which fills in the precision.

    >>> import numpy as np
    >>> third = balls().lift(np.array([1.0])) / 3
    >>> third.mid.astype(float), bool(third.radius < 1e-59), third.finite
    (array([0.33333333]), True, array([ True]))
    """

    OPEN = frozenset({"mid", "radius", "finite", "bits"})

    bits: ClassVar[int]
    flint: ClassVar[Any]

    @classmethod
    def lift(cls, value: Any) -> Any:
        """An array of floats, long double too, exactly; integer arrays and arrays of balls unchanged."""
        if isinstance(value, Ball) or (isinstance(value, np.ndarray | np.generic) and value.dtype.kind in "iub"):
            return value
        return cls.operand(value)

    @classmethod
    def operand(cls, value: Any) -> Any:
        if isinstance(value, Ball):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return cls.of(_scalar(cls.flint.arb(value)))
        given = np.asarray(value)
        high = given.astype(float)
        made = _objects(cls.flint.arb, high)
        if given.dtype.kind == "f" and given.dtype.itemsize > 8:
            with np.errstate(invalid="ignore"), cls.working():
                low = (given - high).astype(float)  # 53 bits and the rest
                made = made + _objects(cls.flint.arb, np.where(np.isfinite(high), low, 0.0))
        return cls.of(np.asarray(made, object))

    @classmethod
    def working(cls) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = cls.flint.ctx.workprec(cls.bits)
        return context

    @property
    def mid(self) -> NDArray[np.longdouble]:
        """The midpoints, in long double."""

        def rounded(x: Any) -> np.longdouble:
            high = float(x.mid())
            return np.longdouble(high) + np.longdouble(float(x.mid() - high) if np.isfinite(high) else 0.0)

        with type(self).working():
            return _objects(rounded, raw(self)).astype(np.longdouble)

    @property
    def radius(self) -> NDArray[np.float64]:
        """The radii, rounded up; infinite where the enclosure contains infinity."""
        radii = _objects(lambda x: float(x.rad()) if x.is_finite() else np.inf, raw(self)).astype(float)
        return np.where(radii > 0, np.nextafter(radii, np.inf), radii)

    @property
    def finite(self) -> NDArray[np.bool_]:
        """Where the enclosure contains neither infinity nor NaN."""
        return _objects(lambda x: x.is_finite(), raw(self)).astype(bool)


class Distance(NamedTuple):
    """Between which two numbers ``|true value - x|`` lies; [0, infinity] where either may not be finite."""

    lower: NDArray[np.float64]
    upper: NDArray[np.float64]


def distance(true: Any, values: Plain) -> Distance:
    """How far an array of floats is from the true values, certified.

    >>> import numpy as np
    >>> third = balls().lift(np.array([1.0])) / 3
    >>> lower, upper = distance(third, np.array([1 / 3]))
    >>> lower <= upper, upper
    (array([ True]), array([1.85037171e-17]))
    """
    cls = type(true)
    if true.shape != values.shape:
        raise ValueError(f"two arrays of one shape expected; received {true.shape} and {values.shape}")
    with cls.working():
        apart = raw(true) - raw(cls.operand(values))
        lower = _objects(lambda x: float(x.abs_lower()) if x.is_finite() else 0.0, apart).astype(float)
        upper = _objects(lambda x: float(x.abs_upper()) if x.is_finite() else np.inf, apart).astype(float)
    return Distance(np.where(lower > 0, np.nextafter(lower, 0), 0.0), np.nextafter(upper, np.inf) * (upper > 0))


def central_difference(
    function: Callable[[Any], Any], x: Plain, direction: Plain | None = None, *, power: int = 100, bits: int = 400
) -> Any:
    """The derivative of a function by its values alone: ``(f(x + h d) - f(x - h d)) / 2h`` with ``h = 2^-power``.

    With a direction d of the shape of x: the directional derivative, of whatever shape ``function`` gives. Without:
    that in the direction of every element of x in turn, the gradient of a function that gives a number.

    ``function`` takes and gives balls of so many bits. The difference is enclosed; its distance from the derivative,
    ``h^2 f''' / 6``, is of the size of 1e-60 for what a network computes, and is not enclosed.

    >>> import numpy as np
    >>> float(abs(central_difference(lambda x: (x**3).sum(), np.array([2.0])).mid - 12)[0])
    0.0
    """
    cls = balls(bits)
    start, step = cls.lift(x), cls.lift(np.array(2.0**-power))

    def along(d: Any) -> Any:
        return (function(start + step * d) - function(start - step * d)) / (2 * step)

    if direction is not None:
        return along(cls.lift(direction))
    derivatives = np.empty(x.shape, object)
    for place in np.ndindex(x.shape):
        d = np.zeros(x.shape)
        d[place] = 1.0
        derivatives[place] = raw(along(cls.lift(d)))[()]
    return cls.of(derivatives)


# ------------------------------------------------------------------------------------------------------------- rules


def _scalar(value: Any) -> Plain:
    made = np.empty((), object)
    made[()] = value
    return made


def _objects(function: Callable[..., Any], *operands: Any) -> Plain:
    """``function`` of every element, as an array of objects, without axes too."""
    made = np.frompyfunc(function, len(operands), 1)(*operands)
    return made if isinstance(made, np.ndarray) else _scalar(made)


def _each(function: Callable[..., Any]) -> Rule:
    """The rule that applies a function of balls to every element."""

    def rule(cls: type[Ball], *operands: Any) -> Any:
        return cls.of(_objects(function, *map(raw, operands)))

    return rule


def _method(name: str) -> Rule:
    return _each(lambda x: getattr(x, name)())


def _power(cls: type[Ball], base: Any, exponent: Any) -> Any:
    return cls.of(_objects(lambda x, n: x**n, raw(cls.operand(base)), raw(exponent)))


def _sum(cls: type[Ball], x: Any, axis: Any = 0, keepdims: bool = False) -> Any:
    total = np.sum(raw(x), axis=axis, keepdims=keepdims, initial=cls.flint.arb(0))
    return cls.of(total if isinstance(total, np.ndarray) else _scalar(total))


def _larger(x: Any, y: Any) -> Any:
    """Encloses the larger; ``max`` of Python would depend on the order of its arguments where they overlap."""
    return x + y if x.is_nan() or y.is_nan() else x.max(y)


def _largest(cls: type[Ball], x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    memory = raw(x)
    axes = range(memory.ndim) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, memory.ndim)
    for place in sorted(axes, reverse=True):
        memory = np.frompyfunc(_larger, 2, 1).reduce(memory, axis=place, keepdims=keepdims)
    return cls.of(memory if isinstance(memory, np.ndarray) else _scalar(memory))


def _argmax(cls: type[Ball], a: Any, axis: int | None = None, *, keepdims: bool = False) -> Any:
    """By the midpoints: an index has no third value. Where balls overlap it is not certified."""
    memory = raw(a) if axis is not None else raw(a).reshape(-1)
    moved = np.moveaxis(memory, -1 if axis is None else axis, -1)
    found = np.empty(moved.shape[:-1], np.intp)
    for place in np.ndindex(found.shape):
        row = [x.mid() for x in moved[place]]
        found[place] = reduce(lambda best, i: i if row[i] > row[best] else best, range(len(row)), 0)
    if not keepdims:
        return found if found.ndim else found[()]
    return np.expand_dims(found, axis) if axis is not None else found.reshape((1,) * a.ndim)


def _scatter(cls: type[Ball], target: Any, index: Any, values: Any) -> None:
    np.add.at(raw(target), index, raw(values))


def _matmul(cls: type[Ball], x: Any, y: Any) -> Any:
    """``A @ B`` by ``arb_mat``, stacks of matrices one by one; a vector is a matrix of one row or column."""
    a, b = raw(x), raw(y)
    if not a.ndim or not b.ndim:
        raise ValueError("matmul of a number: at least one axis expected")
    rows, columns = a if a.ndim > 1 else a[None, :], b if b.ndim > 1 else b[:, None]
    (m, n), (k, p) = rows.shape[-2:], columns.shape[-2:]
    if n != k:
        raise ValueError(f"matmul of shapes {a.shape} and {b.shape}")
    stack = np.broadcast_shapes(rows.shape[:-2], columns.shape[:-2])
    rows, columns = np.broadcast_to(rows, (*stack, m, n)), np.broadcast_to(columns, (*stack, n, p))
    product = np.empty((*stack, m, p), object)
    for place in np.ndindex(stack):
        left = cls.flint.arb_mat(m, n, rows[place].ravel().tolist())
        right = cls.flint.arb_mat(n, p, columns[place].ravel().tolist())
        flat = np.empty(m * p, object)
        flat[:] = (left * right).entries()
        product[place] = flat.reshape(m, p)
    if a.ndim == 1:
        product = product[..., 0, :]
    return cls.of(product if b.ndim > 1 else product[..., 0])


def _mask(holds: Callable[[Any, Any], bool], fails: Callable[[Any, Any], bool]) -> Rule:
    """Three-valued comparison: ``holds`` and ``fails`` are both certain, and both false where balls overlap."""

    def rule(cls: type[Ball], a: Any, b: Any) -> Any:
        arb = cls.flint.arb
        yes, no, open_ = arb(1), arb(0), arb(0.5, 0.5)

        def compared(x: Any, y: Any) -> Any:
            if holds(x, y):
                return yes
            return no if fails(x, y) or x.is_nan() or y.is_nan() else open_

        return cls.of(_objects(compared, raw(a), raw(b)))

    return rule


def _where(cls: type[Ball], condition: Any, x: Any, y: Any) -> Any:
    def chosen(mask: Any, a: Any, b: Any) -> Any:
        if mask == 1:
            return a
        return b if mask == 0 else a.union(b)

    return cls.of(_objects(chosen, *(raw(cls.operand(part)) for part in (condition, x, y))))


def _differ(x: Any, y: Any) -> bool:
    return not x.overlaps(y)


_square = _each(lambda x: x**2)

Ball.RULES = {
    "add": _each(lambda x, y: x + y),
    "subtract": lambda cls, a, b: cls.filled(a.shape, 0, a) if a is b else _each(lambda x, y: x - y)(cls, a, b),
    "multiply": lambda cls, a, b: _square(cls, a) if a is b else _each(lambda x, y: x * y)(cls, a, b),
    "divide": _each(lambda x, y: x / y),
    "matmul": _matmul,
    "power": _power,
    "negative": _each(lambda x: -x),
    "absolute": _each(abs),
    "square": _square,
    "maximum": _each(_larger),
    "exp": _method("exp"),
    "expm1": _method("expm1"),
    "log": _method("log"),
    "log1p": _method("log1p"),
    "tanh": _method("tanh"),
    "sin": _method("sin"),
    "cos": _method("cos"),
    "arctan": _method("atan"),
    "sqrt": _method("sqrt"),
    "erf": _method("erf"),
    "less": _mask(lambda x, y: x < y, lambda x, y: x >= y),
    "less_equal": _mask(lambda x, y: x <= y, lambda x, y: x > y),
    "greater": _mask(lambda x, y: x > y, lambda x, y: x <= y),
    "greater_equal": _mask(lambda x, y: x >= y, lambda x, y: x < y),
    "equal": _mask(lambda x, y: x == y, _differ),
    "not_equal": _mask(_differ, lambda x, y: x == y),
    "where": _where,
    "argmax": _argmax,
    "maximum.reduce": _largest,
    "add.reduce": _sum,
    "add.at": _scatter,
}
