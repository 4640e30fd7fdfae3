"""The reference run in the dtype of its case: what every comparison holds a subject against.

NumPy computes in the other dtypes. It lacks bfloat16, so there the reference's lines run on arrays that round to it.
"""

from __future__ import annotations

from ..arithmetic.bfloat16 import BFloat16
from ..reference import Case, Trace, step
from ..reference.layers import Array
from ..reference.step import Keep, Start, Training


def run(case: Case, start: Start = Training, source: str = "reference") -> Trace:
    """Compute every step of the case in its dtype and return everything that was computed.

    Another ``start`` makes another run of it, as a fault does, whose ``source`` then has another name.

    >>> import crosscheck as cc
    >>> trace = run(cc.load_case("article", dtype="bfloat16"))
    >>> print(trace["0/forward/o.softmax"], trace.dtype_of("0/forward/o.softmax"))
    [[0.29296875 0.02978516 0.67578125]] bfloat16
    """
    return step.run(case, start, source, rounding if case.dtype == "bfloat16" else None)


def rounding(trace: Trace) -> Keep:
    """The hook with which a run rounds to bfloat16: what it starts from is lifted, and the numbers are kept."""

    def keep(name: str, made: Array) -> Array:
        lifted: Array = BFloat16.lift(made)
        if isinstance(lifted, BFloat16):
            trace.keep(name, lifted.value, "bfloat16")
        else:
            trace.keep(name, made)
        return lifted

    return keep
