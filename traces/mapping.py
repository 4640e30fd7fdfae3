"""Files in memory by mapping: read when they are looked at, and given back when they have been seen."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..cases.files import require_regular
from ..reference.errors import CaseError
from ..reference.layers import Array

WINDOW_BYTES = 2**24
"""How much of an array is looked at at a time, where all of it may be more than there is memory."""


class MappedFile(mmap.mmap):
    """A file as bytes in memory that cannot be written to."""

    def give_back(self, array: Array) -> None:
        """Let go of the memory that an array in it takes; whoever looks at it again reads it again."""
        if array.size and hasattr(mmap, "MADV_DONTNEED"):
            start = address(array) - address(np.frombuffer(self, np.uint8, 1))
            page = start // mmap.PAGESIZE * mmap.PAGESIZE
            self.madvise(mmap.MADV_DONTNEED, page, start - page + array.nbytes)


def mapped(path: Path) -> MappedFile:
    """A file, mapped into memory.

    Raises:
        CaseError: it is not there, is empty, or cannot be read.
    """
    try:
        require_regular(path, path.name)
        with path.open("rb") as file:
            return MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)
    except OSError as error:
        raise CaseError("a file that can be read", error.strerror or str(error)) from None
    except ValueError:
        raise CaseError("a file", "an empty one") from None


def windows(*arrays: Array) -> Iterator[tuple[int, tuple[Array, ...]]]:
    """Arrays of one shape, flat and so much of each at a time, with the position of the first element.

    What has been seen of a mapped file is given back. Arrays that are small, or do not lie in C order, come whole and
    in their shape.
    """
    first = arrays[0]
    step = WINDOW_BYTES // first.itemsize
    files = [file_of(array) for array in arrays]
    whole = first.size <= step or not all(array.flags.c_contiguous for array in arrays)
    flat = arrays if whole else tuple(array.reshape(-1) for array in arrays)
    for start in (0,) if whole else range(0, first.size, step):
        parts = flat if whole else tuple(array[start : start + step] for array in flat)
        yield start, parts
        for file, part in zip(files, parts, strict=True):
            if file is not None:
                file.give_back(part)


def file_of(array: Array) -> MappedFile | None:
    """The mapped file that an array lies in, if any."""
    base: Any = array
    while isinstance(base, np.ndarray | memoryview):
        base = base.obj if isinstance(base, memoryview) else base.base
    return base if isinstance(base, MappedFile) else None


def address(array: Array) -> int:
    """Where an array begins in memory."""
    start: int = array.__array_interface__["data"][0]
    return start
