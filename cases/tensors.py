"""Arrays in a safetensors file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from ..reference.errors import CaseError
from ..reference.layers import Array


def tensors_in(data: bytes) -> dict[str, Array]:
    """The arrays by name.

    Raises:
        CaseError: the bytes are not a safetensors file, or one of a type that NumPy has not.
    """
    try:
        return load(data)
    except SafetensorError as error:
        raise CaseError("a safetensors file", str(error)) from None
    except KeyError as error:
        raise CaseError("tensors of a type that NumPy has", f"{error.args[0]}") from None


def as_tensors(arrays: Mapping[str, Array]) -> bytes:
    """The arrays as a safetensors file, read back and compared before they are handed on.

    Each is copied into rows first: safetensors 0.8.0 writes the memory of a strided array as it lies.
    """
    data = save({name: np.array(array, order="C") for name, array in arrays.items()})
    back = tensors_in(data)
    if set(back) != set(arrays) or not all(identical(back[name], array) for name, array in arrays.items()):
        raise RuntimeError("safetensors gave back other arrays than it was given")
    return data


def identical(a: Array, b: Array) -> bool:
    """Whether two arrays are equal in dtype, in shape and in every element, the sign of zeros included."""
    real = a.dtype.kind == "f"
    if a.dtype != b.dtype or not np.array_equal(a, b, equal_nan=real):
        return False
    return not real or bool(np.array_equal(np.signbit(a), np.signbit(b)))


def write_synced(path: Path, data: bytes) -> None:
    """Write a file and wait until it is on the disk."""
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
