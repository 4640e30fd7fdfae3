"""From the layout of one framework to that of another: steps that move numbers, and change none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from ..cases.strict import Record
from ..cases.tensors import MOST_AXES
from ..reference.errors import CaseError
from ..reference.layers import Array

Axis = Annotated[int, Field(ge=0, lt=MOST_AXES)]
Axes = Annotated[list[Axis], Field(max_length=MOST_AXES)]
Count = Annotated[int, Field(ge=0, lt=2**40)]


class Step(Record):
    """One change of layout, of each array of a list, or of how many there are."""

    transpose: Axes | None = None
    """Which axis comes first, second ...: as NumPy's."""
    reshape: Annotated[list[Count], Field(max_length=MOST_AXES)] | None = None
    order: Annotated[list[Count], Field(min_length=1, max_length=64)] | None = None
    """As many equal blocks along ``axis``, in another order: which comes first, second ..."""
    flip: Axes | None = None
    """The axes that are walked backwards."""
    split: Axis | None = None
    """Along which axis one array becomes as many as the entry has names; of equal size, or of ``sizes``."""
    concatenate: Axis | None = None
    """Along which axis several become one."""
    sum: bool | None = None
    """Several add up to one: two biases, of which the other framework has one."""
    axis: Axis | None = None
    sizes: Annotated[list[Count], Field(max_length=64)] | None = None

    @property
    def doing(self) -> str:
        """What it does."""
        found = [name for name in DOINGS if getattr(self, name) is not None]
        beside = {"axis": "order", "sizes": "split"}
        odd = [name for name, of in beside.items() if getattr(self, name) is not None and found != [of]]
        if len(found) != 1 or odd or self.sum is False or (found == ["order"] and self.axis is None):
            raise CaseError(f"one of {', '.join(DOINGS)} (order with an axis, split perhaps with sizes)", self.text)
        return found[0]

    @property
    def text(self) -> str:
        """As the map says it."""
        said = self.model_dump(exclude_none=True)
        inside = ", ".join(f"{name} = {str(value).lower() if value is True else value}" for name, value in said.items())
        return f"{{ {inside} }}"

    def applied(self, arrays: list[Array], count: int) -> list[Array]:
        """Some arrays after the step; where it parts one, it becomes ``count``.

        Raises:
            CaseError: they do not have the shape for it.
        """
        try:
            return self.done(arrays, count)
        except (ValueError, IndexError) as error:  # as NumPy says that a shape does not fit
            shapes = " and ".join(str(array.shape) for array in arrays)
            raise CaseError(f"arrays that {self.text} can be done to", f"shape {shapes}: {error}") from None

    def done(self, arrays: list[Array], count: int) -> list[Array]:
        doing = self.doing
        if doing == "concatenate":
            return [np.concatenate(arrays, self.concatenate)]
        if doing == "sum":
            if len({array.shape for array in arrays}) > 1:
                raise ValueError("they differ")
            return [sum(arrays[1:], arrays[0])]
        if doing == "split":
            return [part for array in arrays for part in self.parts(array, count)]
        return [self.one(doing, array) for array in arrays]

    def parts(self, array: Array, count: int) -> list[Array]:
        """An array in parts."""
        assert self.split is not None
        if self.sizes is None:
            return np.split(array, count, self.split)
        if sum(self.sizes) != array.shape[self.split] or len(self.sizes) != count:
            raise ValueError(f"{len(self.sizes)} sizes of together {sum(self.sizes)}")
        return np.split(array, np.cumsum(self.sizes)[:-1], self.split)

    def one(self, doing: str, array: Array) -> Array:
        """One array in another layout."""
        if doing == "transpose":
            return np.transpose(array, self.transpose)
        if doing == "reshape":
            assert self.reshape is not None
            return array.reshape(self.reshape)
        if doing == "flip":
            return np.flip(array, tuple(self.flip or ()))
        assert self.order is not None
        assert self.axis is not None
        if sorted(self.order) != list(range(len(self.order))):
            raise ValueError("an order has each block once")
        blocks = np.split(array, len(self.order), self.axis)
        return np.concatenate([blocks[place] for place in self.order], self.axis)


DOINGS = ("transpose", "reshape", "order", "flip", "split", "concatenate", "sum")

Layout = Sequence[Step]


def laid_out(arrays: Sequence[Array], layout: Layout, count: int) -> list[Array]:
    """Some arrays in another layout, as so many.

    Raises:
        CaseError: they do not have the shape for it; ``key`` is the place of the step.
    """
    found = list(arrays)
    for place, step in enumerate(layout):
        try:
            found = step.applied(found, count)
        except CaseError as error:
            raise error.within(f"layout.{place}") from None
    return found


def is_sum(layout: Layout) -> bool:
    """Whether numbers add up in it."""
    return any(step.sum for step in layout)


def as_text(layout: Layout) -> str:
    """A layout as the map says it; nothing where nothing changes."""
    return ", ".join(step.text for step in layout)


def moved(sizes: Sequence[int]) -> Iterator[list[int]]:
    """Every order of axes that changes something of a shape: those of size 1 do not."""
    for axes in permutations(range(len(sizes))):
        long = [axis for axis in axes if sizes[axis] > 1]
        if long != sorted(long):
            yield list(axes)


# ---------------------------------------------------------------------------------------------- other ways that fit

MOST_BLOCKS = 4
"""Up to so many equal blocks may stand in another order: the gates of an LSTM."""


class Rival(NamedTuple):
    """Another layout that has the same shapes: what more is done to the arrays, and what that is."""

    layout: tuple[Step, ...]
    exchanged: tuple[int, ...]
    """In which order the arrays themselves come."""

    def applied(self, arrays: Sequence[Array]) -> list[Array]:
        """The arrays in that layout."""
        return laid_out([arrays[place] for place in self.exchanged], self.layout, 1)

    @property
    def text(self) -> str:
        """What it is, in words."""
        changed = f"in the order {list(self.exchanged)}" if list(self.exchanged) != sorted(self.exchanged) else ""
        return " and ".join(part for part in (changed, as_text(self.layout)) if part)


def rivals(shapes: Sequence[tuple[int, ...]]) -> Iterator[Rival]:
    """The other layouts of arrays of some shapes: the classics of what still fits.

    Axes exchanged, blocks along an axis in another order (gates; queries, keys and values), blocks that are woven into
    each other (by head first, or by gate first), axes walked backwards, the arrays themselves exchanged.
    """
    same = tuple(range(len(shapes)))
    if len(shapes) <= MOST_BLOCKS:
        yield from (
            Rival((), order)
            for order in permutations(same)
            if order != same and [shapes[place] for place in order] == list(shapes)
        )
    if len(set(shapes)) > 1:
        return
    shape = shapes[0]
    for axes in moved(shape) if len(shape) <= MOST_BLOCKS else ():
        if tuple(shape[axis] for axis in axes) == shape:
            yield Rival((Step(transpose=axes),), same)
    for axis, size in enumerate(shape):
        for count in range(2, MOST_BLOCKS + 1):
            if size % count == 0:
                for order in list(permutations(range(count)))[1:]:
                    yield Rival((Step(order=list(order), axis=axis),), same)
        for count in range(2, size // 2 + 1):
            if size % count == 0:
                yield Rival(woven(shape, axis, count), same)
        if size > 1:
            yield Rival((Step(flip=[axis]),), same)


def woven(shape: tuple[int, ...], axis: int, count: int) -> tuple[Step, ...]:
    """The first element of each of ``count`` blocks along an axis, then the second of each, and so on."""
    apart = [*shape[:axis], count, shape[axis] // count, *shape[axis + 1 :]]
    axes: list[Any] = list(range(len(apart)))
    axes[axis], axes[axis + 1] = axes[axis + 1], axes[axis]
    return Step(reshape=apart), Step(transpose=axes), Step(reshape=list(shape))


def elements(shapes: Sequence[tuple[int, ...]]) -> int:
    """How many elements arrays of some shapes have."""
    return sum(math.prod(shape) for shape in shapes)
