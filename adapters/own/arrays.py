"""From what a user's code hands back to NumPy: nothing is cast, so that a wrong dtype or shape shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...reference.dtypes import cast, is_bfloat16
from ...reference.errors import CaseError
from ...reference.layers import Array
from ...reference.trace import Trace


def left_out(value: object) -> bool:
    """Whether a value stands for nothing: None, or the dots of a blank that has not been filled in."""
    return value is None or value is ...


def keep(trace: Trace, name: str, value: Any, dtype: str, where: str) -> Array:
    """Store a value under its name in a trace, and hand back the array that it is; ``where`` is said of an error.

    A number of Python's own has no dtype and is taken in that of the case. NumPy's protocols do the rest, for lists,
    PyTorch's tensors and JAX's arrays alike.

    Raises:
        CaseError: it is no array of numbers.
    """
    if type(value) in (int, float):
        with np.errstate(over="ignore"):
            number = cast(np.asarray(value, np.longdouble), dtype)
            return trace.keep(name, number, dtype if dtype == "bfloat16" else "")
    own = ""
    if type(value).__module__.partition(".")[0] in ("jax", "jaxlib"):
        trace.environment["compiled"] = True  # it may have been, which nobody can tell by the array
    if hasattr(value, "detach"):  # a tensor of PyTorch's: with a history or on a device it refuses the protocol
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # NumPy lacks it
            value, own = value.float(), "bfloat16"
    try:
        array = np.asarray(value).copy()
    except Exception as error:
        raise CaseError("an array", f"{kind_of(value)} ({type(error).__name__}: {error})", key=where) from None
    if array.dtype.kind not in "biufc" and not is_bfloat16(array):
        raise CaseError("an array of numbers", kind_of(value), key=where)
    trace.keep(name, array, own)
    return trace[name]


def kind_of(value: object) -> str:
    """A value as an error shows it: its type, and for an array what it holds."""
    dtype = getattr(value, "dtype", None)
    return f"{type(value).__name__} of {dtype}" if dtype is not None else type(value).__name__
