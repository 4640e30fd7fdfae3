"""Arrays in safetensors files: written by the safetensors library, and read here, where they lie.

What is read may come from anywhere. The library copies every array, takes the last of two tensors of one name, and
leaves a shape to whoever makes an array of it. Here nothing is copied, and every byte behind the header belongs to one
tensor, whose type and shape say how many it has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple, TypeAlias

import numpy as np
from pydantic import Field
from safetensors.numpy import save

from ..reference.errors import CaseError
from ..reference.layers import Array
from .strict import Record, checked, json_table
from .tables import shown, shown_text

Buffer: TypeAlias = Any
"""Bytes, or a file that is mapped into memory."""

NAMES = "F16 F32 F64 I8 I16 I32 I64 U8 U16 U32 U64"
TYPES = {name: np.dtype(f"<{name[0].lower()}{int(name[1:]) // 8}") for name in NAMES.split()} | {"BOOL": np.dtype("?")}
"""The types of safetensors that NumPy has."""

METADATA = "__metadata__"
LARGEST_HEADER = 2**25
"""How many bytes the header of a file may have."""
MOST_AXES = 32

Count = Annotated[int, Field(ge=0)]


class Place(Record):
    """A tensor as a header describes it."""

    dtype: str
    shape: list[Count] = Field(max_length=MOST_AXES)
    data_offsets: list[Count] = Field(min_length=2, max_length=2)


class Texts(Record):
    """What a header says beside the tensors."""

    texts: dict[str, str]


class Contents(NamedTuple):
    """What a safetensors file holds: texts and arrays by name, the arrays in the order in which they lie there."""

    metadata: dict[str, str]
    tensors: dict[str, Array]


def tensors_in(data: Buffer) -> dict[str, Array]:
    """The arrays by name: views of the data, which cannot be written to.

    Raises:
        CaseError: see ``contents_of``.
    """
    return contents_of(data).tensors


def contents_of(data: Buffer) -> Contents:
    """What a safetensors file holds; the arrays are views of the data.

    Raises:
        CaseError: the bytes are not a whole safetensors file; or it has a tensor of a type that NumPy has not.
    """
    size = len(data)
    length = int.from_bytes(data[:8], "little")
    if size < 8 or length > min(size - 8, LARGEST_HEADER):
        received = f"{size} bytes, of which the header is {length}" if size >= 8 else f"{size} bytes"
        raise CaseError(f"a whole safetensors file, its header at most {LARGEST_HEADER:,} bytes", received)
    start = 8 + length
    header = json_table(bytes(data[8:start]))
    metadata = checked(Texts, {"texts": header.pop(METADATA, {})}, METADATA).texts
    places = {name: checked(Place, place, shown_text(name)) for name, place in header.items()}
    tensors: dict[str, Array] = {}
    for name, place in sorted(places.items(), key=lambda item: item[1].data_offsets):
        begin, end = place.data_offsets
        if 8 + length + begin != start:
            expected = f"tensors that neither overlap nor leave room, this one from byte {start - 8 - length}"
            raise CaseError(expected, f"from byte {begin}", key=shown_text(name))
        start += end - begin
        tensors[name] = array_in(data, 8 + length + begin, end - begin, place, name)
    if start != size:
        raise CaseError(f"a whole safetensors file, of {start} bytes by its header", f"{size} bytes")
    return Contents(metadata, tensors)


def array_in(data: Buffer, start: int, room: int, place: Place, name: str) -> Array:
    """One tensor.

    Raises:
        CaseError: it has not just the bytes that its type and shape ask for, or they are not there.
    """
    if place.dtype not in TYPES:
        raise CaseError("tensors of a type that NumPy has", shown(place.dtype), key=shown_text(name))
    dtype, count = TYPES[place.dtype], math.prod(place.shape)
    if count * dtype.itemsize != room or start + room > len(data):
        there = min(room, len(data) - start)
        expected = f"the {count * dtype.itemsize} bytes of shape {tuple(place.shape)} in {place.dtype}"
        raise CaseError(expected, f"{there}", key=shown_text(name))
    try:
        return np.frombuffer(data, dtype, count, start).reshape(place.shape)
    except ValueError as error:
        raise CaseError("a shape that NumPy can have", f"{tuple(place.shape)}: {error}", key=shown_text(name)) from None


def as_tensors(arrays: Mapping[str, Array]) -> bytes:
    """The arrays as a safetensors file, read back and compared before they are handed on."""
    data: bytes = save({name: in_rows(array) for name, array in arrays.items()})
    back = tensors_in(data)
    if set(back) != set(arrays) or not all(identical(back[name], array) for name, array in arrays.items()):
        raise RuntimeError("safetensors gave back other arrays than it was given")
    return data


def in_rows(array: Array) -> Array:
    """The array in C order and little-endian, copied only if need be: safetensors 0.8.0 scrambles strided ones."""
    rows: Array = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    return rows


def identical(a: Array, b: Array) -> bool:
    """Whether two arrays are equal in dtype, in shape and in every element, the sign of zeros included."""
    real = a.dtype.kind == "f"
    if a.dtype.newbyteorder("=") != b.dtype.newbyteorder("=") or not np.array_equal(a, b, equal_nan=real):
        return False
    return not real or bool(np.array_equal(np.signbit(a), np.signbit(b)))
