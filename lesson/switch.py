"""Both ways of the update: all gradients first, or each weight as soon as its gradient is there. Both are run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..comparison.running import run
from ..comparison.trials import apart
from ..faults import faults_of
from ..faults.base import Mistake
from ..faults.steps import UpdatedTooEarly
from ..reference import Case, Trace
from .excerpts import FEW, excerpt
from .lesson import BothWays, Switch
from .source import mistake_of
from .symbols import Symbols

MOST_TENSORS = 16
"""Of how many tensors numbers are shown."""


def switch(case: Case, note: str = "") -> Switch | None:
    """The first step of a case both ways, and the loss after it; None where both are the same."""
    case = case.with_steps(max(case.steps, 2))
    early = next((fault for fault in faults_of(case) if fault.name == UpdatedTooEarly.name()), None)
    if early is None:
        return None
    right, wrong = run(case), run(case, early.start, str(early))
    rows = tuple(both_ways(Symbols(case), right, wrong))
    after = f"{case.places(1)[0]}/forward/loss"
    losses = float(np.sum(right[after])), float(np.sum(wrong[after]))
    code = mistake_of(UpdatedTooEarly, stop=Mistake)
    return Switch(early.about, code, rows[:MOST_TENSORS], losses, note) if rows else None


def both_ways(symbols: Symbols, right: Trace, wrong: Trace) -> Iterator[BothWays]:
    """Of each tensor of the first step that is another one, the row that changes most."""
    for name in right:
        if name.partition("/")[0].partition(".")[0] == "0" and apart(right[name], wrong[name]):
            shown = excerpt(symbols, name, right[name])
            others = excerpt(symbols, name, wrong[name]).values
            row = int(np.argmax(np.abs(others - shown.values).max(axis=1)))
            yield BothWays(
                shown.symbol,
                f"row {shown.rows[row]}" if shown.rows[row] else "",
                tuple(map(float, shown.values[row][:FEW])),
                tuple(map(float, others[row][:FEW])),
                float(np.max(np.abs(np.asarray(wrong[name], float) - np.asarray(right[name], float)))),
            )
