"""Tensors as a lesson shows them: whole where they are small, and else a part that says so."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from ..reference.dtypes import limits
from ..reference.layers import Array, Shape
from .lesson import Excerpt, Seen
from .symbols import Name, Symbols

ROWS, COLUMNS = 6, 8
"""How much of a tensor is shown."""

FEW = 4
"""How many numbers are few enough to be written in a line."""

ROUNDINGS, PERCENT = 2**12, 0.01
"""Within how many roundings of its largest element, but no more than a hundredth, an array is taken for a tensor."""


def excerpt(symbols: Symbols, name: str, array: Array) -> Excerpt:
    """A tensor, or the beginning of its last two axes at the beginning of all others."""
    array = np.asarray(array)
    *leading, rows, columns = (1, 1, *array.shape)[-max(array.ndim, 2) :]
    shown = min(rows, ROWS), min(columns, COLUMNS)

    def index(row: int, column: int) -> Shape:
        return (*[0] * len(leading), row, column)[-array.ndim :] if array.ndim else ()

    indices = tuple(tuple(index(row, column) for column in range(shown[1])) for row in range(shown[0]))
    part = ""
    if leading or shown != (rows, columns):
        places = [*["0"] * len(leading), f":{shown[0]}", f":{shown[1]}"][-max(array.ndim, 1) :]
        part = f"[{', '.join(places)}]"
    owner = name.split("/", 2)[2].partition("->")[0]
    owner = next((known for known in symbols.case.parameters if owner.startswith(f"{known}.")), owner)
    heads = symbols if len(leading) == 0 else None
    return Excerpt(
        name=name,
        symbol=symbols.tensor(name),
        shape=array.shape,
        values=at(array, indices),
        indices=indices,
        rows=tuple(head(heads, owner, 0, row, array.ndim > 1 and rows > 1) for row in range(shown[0])),
        columns=tuple(head(heads, owner, array.ndim - 1, column, columns > 1) for column in range(shown[1])),
        part=part,
    )


def head(symbols: Symbols | None, owner: str, axis: int, place: int, several: bool) -> str:
    """What a row or a column is called; nothing where there is but one."""
    if not several:
        return ""
    return symbols.head(owner, axis, place) if symbols else str(place)


def at(array: Array, indices: Iterable[Iterable[Shape]]) -> Array:
    """Some elements of an array, as rows."""
    return np.array([[float(array[index]) for index in row] for row in indices])


class Known(NamedTuple):
    """A tensor of a case that an array inside a framework may be."""

    name: str
    symbol: Name
    array: Array


def recognised(array: Array, known: Sequence[Known], dtype: str) -> Seen:
    """Which tensor of the case an array inside a framework is, by its numbers."""
    few = tuple(map(float, array.ravel())) if array.size <= FEW else ()
    for one in known:
        for transposed in (False, True):
            other = one.array.T if transposed else one.array
            if other.shape == array.shape and (not transposed or array.ndim == 2) and near(array, other, dtype):
                return Seen(array.shape, one.symbol, one.name, transposed and not near(array, one.array, dtype), few)
    return Seen(array.shape, None, "", False, few)


def near(one: Array, other: Array, dtype: str) -> bool:
    """Whether two arrays of numbers are the same but for rounding."""
    if one.shape != other.shape or one.dtype.kind != other.dtype.kind:
        return False
    if one.dtype.kind != "f":
        return bool(np.array_equal(one, other))
    relative = min(ROUNDINGS * limits(dtype)[0], PERCENT)
    allowed = relative * max(float(np.max(np.abs(other), initial=0)), limits(dtype)[1])
    return bool(np.all(np.abs(one.astype(np.float64) - other) <= allowed))
