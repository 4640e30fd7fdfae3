"""An agreement and a trace as a notebook shows them: plain tables, in the notebook's own style."""

from __future__ import annotations

import numpy as np

from ..comparison.agreement import Agreement
from ..reference import Trace
from ..reference.layers import Array
from . import words

MOST = 12
"""So many tensors of each subject, the worst first."""
VALUES = 4
"""So many of a tensor's elements."""


def agreement_to_html(agreement: Agreement) -> str:
    """The verdict, the diagnosis and the worst tensors of each subject."""
    from .pages.standalone import fragment

    return fragment("agreement", agreement=agreement, subjects=words.worst_first(agreement), words=words, most=MOST)


def trace_to_html(trace: Trace) -> str:
    """Every tensor of a trace with its shape and its first elements, in the order of computation."""
    from .pages.standalone import fragment

    rows = [
        (name, np.shape(trace[name]), trace.dtype_of(name), *first_of(np.asarray(trace[name]).ravel()))
        for name in trace
    ]
    return fragment("trace", trace=trace, rows=rows)


def first_of(values: Array) -> tuple[str, bool]:
    """The first elements of an array in a few digits, and whether there are more."""
    return " ".join(f"{value:.6g}" for value in values[:VALUES]), values.size > VALUES
