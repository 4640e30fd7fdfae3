"""Hashes of tensors: of many at once, in bounded memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..reference.layers import Array
from .mapping import windows

MOST_WORKERS = 8
"""Each has a window of an array in memory."""


def sha256_of(arrays: Iterable[Array]) -> Iterator[str]:
    """The hash of each array's bytes, in its order in memory, which must be C order."""
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_WORKERS)) as pool:
        yield from pool.map(one_sha256, arrays)


def one_sha256(array: Array) -> str:
    """The hash of one array."""
    hashed = hashlib.sha256()
    for _, (window,) in windows(array):
        hashed.update(window.reshape(-1).view(np.uint8).data)
    return hashed.hexdigest()
