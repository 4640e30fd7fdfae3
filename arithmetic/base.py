"""What every arithmetic shares: structure is NumPy's, calculation is a table of rules, and anything else raises.

An arithmetic is a subclass of ``numpy.ndarray`` under which the lines of ``reference/`` run unchanged. Its memory is
an ordinary array of some dtype (pairs of numbers, Python objects, floats), so that NumPy itself reshapes, slices,
transposes and gathers. What calculates comes through NumPy's protocols (NEP 13 and NEP 18) and is looked up in the
class's ``RULES``. The subset of NumPy that has rules is the one of docs/decisions/numpy-subset.md.

Some ways of losing the class cannot be seen from here, because NumPy asks nobody: ``np.asarray``, ``np.array``,
``np.ascontiguousarray``, ``as_strided`` and assignment into a plain array. What is lost so comes back as a plain
array beside one of the class, and that raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..reference import elementary

Plain: TypeAlias = NDArray[Any]
Rule: TypeAlias = Callable[..., Any]

UFUNCS = frozenset(
    "add subtract multiply divide matmul power negative absolute maximum exp expm1 log log1p tanh sqrt square sin cos "
    "arctan "
    "less less_equal greater greater_equal equal not_equal".split()
)
UFUNC_METHODS = frozenset({"add.reduce", "maximum.reduce", "add.at"})
FUNCTIONS = frozenset(
    "where argmax pad zeros_like ones_like full_like empty_like take_along_axis put_along_axis sliding_window_view "
    "concatenate stack broadcast_to".split()
)
ELEMENTARY = frozenset({"erf", "overlaid"})
"""What NumPy lacks and reference/elementary.py has: each asks an arithmetic for its rule as NumPy's functions do."""
METHODS = frozenset("sum mean max argmax reshape transpose swapaxes copy".split())
ATTRIBUTES = frozenset("shape ndim size dtype T".split())

OPTIONS = frozenset({"axis", "keepdims", "out", "casting", "subok"})
"""What a ufunc may be called with. The last two are of NumPy's own ``mean``, and change nothing here."""

FORBIDDEN = frozenset(
    "__float__ __int__ __index__ __complex__ __iter__ __contains__ __array__ __array_interface__ __array_struct__ "
    "__dlpack__ __buffer__ __deepcopy__ __reduce__ __reduce_ex__".split()
)
"""Ways out of the class that Python and NumPy take by themselves."""


class Outside(TypeError):
    """Something that the reference's subset of NumPy does not have."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} is outside the reference's subset of NumPy (docs/decisions/numpy-subset.md)")


class Arithmetic(np.ndarray[Any, np.dtype[Any]]):
    """An array that calculates by its class's rules.

    A subclass gives

    - ``RULES``: by the name of a ufunc (``exp``), of its method (``add.reduce``) or of a function (``where``,
      ``argmax``), a function that takes the class and then the operands, each an array of the class. Exceptions: the
      whole exponent of a power is a Python number, and so is the base of any other; indices and plain masks are as
      they were given;
    - ``lift(value)``: an ordinary array as one of the class, exactly; an integer array stays what it is;
    - ``OPEN``: names of its own that may be read from an array of the class (``sigma``).

    A number without axes is an array without axes, never a scalar.
    """

    RULES: ClassVar[Mapping[str, Rule]] = {}
    OPEN: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    def lift(cls, value: Any) -> Any:
        """The value in this arithmetic, exactly; integers stay as they are."""
        raise NotImplementedError

    @classmethod
    def operand(cls, value: Any) -> Any:
        """A value that an operation meets, in this arithmetic: Python's numbers and plain integers too."""
        return cls.lift(value)

    @classmethod
    def working(cls) -> AbstractContextManager[Any]:
        """The context in which rules are applied. An overflow or a NaN is a result like any other."""
        return np.errstate(all="ignore")

    @classmethod
    def of(cls, memory: Any) -> Self:
        """Plain memory as an array of the class."""
        return np.ndarray.view(memory, cls)

    @classmethod
    def filled(cls, shape: int | tuple[int, ...], value: Any, like: Plain) -> Self:
        """A new array with this value everywhere; ``like`` gives the dtype of the memory."""
        memory = np.empty(shape, raw(like).dtype)
        memory[...] = raw(cls.operand(value))
        return cls.of(memory)

    @classmethod
    def require(cls, key: str, *values: Any) -> None:
        """Raise unless these values may meet in an operation: no plain floats, no other arithmetic."""
        for value in values:
            if isinstance(value, Arithmetic):
                if type(value) is not cls:
                    raise Outside(f"{key} of {cls.__name__} and {type(value).__name__}")
            elif isinstance(value, np.ndarray | np.generic) and value.dtype.kind not in "iub":
                raise Outside(f"{key} of {cls.__name__} and a plain array (somewhere the class was lost)")

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        cls = type(self)
        key = ufunc.__name__ if method == "__call__" else f"{ufunc.__name__}.{method}"
        if key not in cls.RULES:
            raise Outside(f"numpy.{key}")
        rule = cls.RULES[key]
        defaults = {"where": True, "dtype": None, "out": None}  # NumPy's own methods spell them out
        options = {name: value for name, value in options.items() if value is not defaults.get(name, ...)}
        if unknown := options.keys() - OPTIONS:
            raise Outside(f"numpy.{key} with {', '.join(sorted(unknown))}")
        out = options.pop("out", (None,))[0]
        if out is not None and not isinstance(out, cls):
            raise Outside(f"numpy.{key} with a plain array for the result")
        cls.require(key, *inputs)
        options = {name: value for name, value in options.items() if name in ("axis", "keepdims")}
        with cls.working():
            result = rule(cls, *cls._operands(key, inputs), **options)
            if out is None:
                return result
            np.copyto(raw(out), raw(result), casting="same_kind")
            return out

    @classmethod
    def _operands(cls, key: str, inputs: tuple[Any, ...]) -> list[Any]:
        first = cls.operand(inputs[0])
        if key == "add.at":
            return [first, inputs[1], cls.operand(inputs[2])]
        if key == "power":
            if type(inputs[1]) is int:
                return [first, inputs[1]]
            if not isinstance(inputs[0], int | float):
                raise Outside("a power whose exponent is not whole, of anything but a number,")
            return [inputs[0], cls.operand(inputs[1])]
        return [first, *(first if other is inputs[0] else cls.operand(other) for other in inputs[1:])]

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        cls, name = type(self), function.__name__
        if ALLOWED.get(name) is not function:
            raise Outside(f"numpy.{name}")
        if unknown := kwargs.keys() & {"dtype", "like", "out", "subok"}:
            raise Outside(f"numpy.{name} with {', '.join(sorted(unknown))}")
        cls.require(name, *leaves(args), *leaves(tuple(kwargs.values())))
        with cls.working():
            return {**GENERIC, **cls.RULES}[name](cls, *args, **kwargs)

    def argmax(self, axis: int | None = None, *, keepdims: bool = False) -> Any:  # type: ignore[override]
        """Index of the largest value; plain integers."""
        return np.argmax(self, axis=axis, keepdims=keepdims)

    def __getattribute__(self, name: str) -> Any:
        if name not in METHODS | ATTRIBUTES | type(self).OPEN and not (name[:2] == "__" and name not in FORBIDDEN):
            raise Outside(f"ndarray.{name}")
        return super().__getattribute__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        raise Outside(f"setting ndarray.{name}")

    def __getitem__(self, index: Any) -> Any:
        return type(self).of(raw(self)[checked(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        cls = type(self)
        cls.require("assignment", value)
        with cls.working():
            raw(self)[checked(index)] = raw(cls.operand(value))

    def __eq__(self, other: Any) -> Any:  # NumPy compares pairs by itself, without asking the class
        return np.equal(self, other)

    def __ne__(self, other: Any) -> Any:
        return np.not_equal(self, other)

    __hash__ = None

    def __bool__(self) -> bool:
        raise Outside("the truth of a mask (numpy.where takes masks), which")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({raw(self)!r})"

    __str__ = __repr__


def _raises(name: str) -> Callable[..., Any]:
    def method(self: Arithmetic, *args: Any) -> Any:
        raise Outside(name)

    return method


for _name in FORBIDDEN:
    setattr(Arithmetic, _name, _raises(_name))


def raw(value: Any) -> Any:
    """The memory of an array of some arithmetic as a plain array, inside lists and tuples too; others as they are."""
    if isinstance(value, Arithmetic):
        return np.ndarray.view(value, np.ndarray)
    return type(value)(map(raw, value)) if isinstance(value, list | tuple) else value


def leaves(value: Any) -> Iterator[Any]:
    """What a nest of lists and tuples holds."""
    if isinstance(value, list | tuple):
        for part in value:
            yield from leaves(part)
    else:
        yield value


def checked(index: Any) -> tuple[Any, ...]:
    """The index, if it is of integers, slices, None and the ellipsis, so that it gives an array and never a scalar."""
    parts = index if isinstance(index, tuple) else (index,)
    for part in parts:
        integers = isinstance(part, np.ndarray | np.generic) and part.dtype.kind in "iu"
        integer = isinstance(part, int) and not isinstance(part, bool)
        if not (integers or integer or part is None or part is Ellipsis or isinstance(part, slice)):
            raise Outside(f"indexing with {type(part).__name__}")
    return parts if any(part is Ellipsis for part in parts) else (*parts, Ellipsis)


# ------------------------------------------------------------------------------------ functions that only move numbers


def _moving(function: Any) -> Rule:
    """The rule of a function that takes arrays of the class and hands their elements on."""

    def rule(cls: type[Arithmetic], *args: Any, **kwargs: Any) -> Any:
        return cls.of(function(*map(raw, args), **{name: raw(value) for name, value in kwargs.items()}))

    return rule


def _joining(function: Any) -> Rule:
    """The same of a function that takes a list of arrays: each must be of the class."""
    moving = _moving(function)

    def rule(cls: type[Arithmetic], arrays: Any, axis: int = 0) -> Any:
        if not all(isinstance(array, Arithmetic) for array in arrays):
            raise Outside(f"numpy.{function.__name__} with a plain array")
        return moving(cls, list(arrays), axis=axis)

    return rule


def _full_like(cls: type[Arithmetic], a: Any, fill_value: Any, *, shape: Any = None) -> Any:
    memory = np.empty_like(raw(a), shape=shape)  # its axes in the order of a's, as NumPy has them
    memory[...] = raw(cls.operand(fill_value))
    return cls.of(memory)


def _overlaid(cls: type[Arithmetic], parts: Any, places: Any, shape: tuple[int, ...]) -> Any:
    """One sum over all of the parts: a chain of additions would round otherwise."""
    terms = cls.filled((len(parts), *shape), 0, parts[0])
    for term, (part, place) in enumerate(zip(parts, places, strict=True)):
        terms[(term, *place)] = part
    total = _full_like(cls, parts[0], 0, shape=shape)
    total[...] = terms.sum(axis=0)
    return total


def _put_along_axis(cls: type[Arithmetic], arr: Any, indices: Any, values: Any, axis: int | None) -> None:
    np.put_along_axis(raw(arr), indices, raw(cls.operand(values)), axis)


def _pad(cls: type[Arithmetic], array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    if mode != "constant":
        raise Outside(f"numpy.pad with mode {mode!r}")
    widths = np.broadcast_to(pad_width, (array.ndim, 2)).tolist()
    sizes = zip(widths, array.shape, strict=True)
    padded = cls.filled(tuple(before + size + after for (before, after), size in sizes), constant_values, array)
    padded[tuple(slice(before, before + size) for (before, _), size in zip(widths, array.shape, strict=True))] = array
    return padded


GENERIC: dict[str, Rule] = {
    "take_along_axis": _moving(np.take_along_axis),
    "sliding_window_view": _moving(sliding_window_view),
    "broadcast_to": _moving(np.broadcast_to),
    "concatenate": _joining(np.concatenate),
    "stack": _joining(np.stack),
    "put_along_axis": _put_along_axis,
    "overlaid": _overlaid,
    "pad": _pad,
    "full_like": _full_like,
    "zeros_like": lambda cls, a, *, shape=None: _full_like(cls, a, 0, shape=shape),
    "ones_like": lambda cls, a, *, shape=None: _full_like(cls, a, 1, shape=shape),
    # What is read before it was written is NaN, so that it shows.
    "empty_like": lambda cls, prototype, *, shape=None: _full_like(cls, prototype, np.nan, shape=shape),
}
"""Rules that serve every arithmetic."""

ALLOWED: dict[str, Any] = {
    **{name: sliding_window_view if name == "sliding_window_view" else getattr(np, name) for name in FUNCTIONS},
    **{name: getattr(elementary, name) for name in ELEMENTARY},
}
"""The functions themselves: another of the same name (``numpy.linalg.matmul``) is not meant."""
