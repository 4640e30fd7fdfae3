"""Write the sample of a failing run: one network with three known mistakes at once, each found where it is made.

python docs/samples.py reports/samples/three-mistakes
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import crosscheck as cc
from crosscheck.comparison.running import run
from crosscheck.faults import Fault, faults_of
from crosscheck.reference import Case
from crosscheck.reference.step import Keep, Start, Training

CASE = "article-batch"
MISTAKES = {"o.softmax": "diagonal_jacobian", "k.tanh": "tanh_square_forgotten", "j": "bias_gradient_averaged"}
"""By the node that each is in."""


def together(faults: Sequence[Fault]) -> Start:
    """What starts a run with mistakes in several layers."""

    def start(case: Case, keep: Keep) -> Training:
        for fault in faults:
            case = fault.start(case, lambda name, made: made).case
        return Training(case, keep)

    return start


def sample() -> cc.Agreement:
    """The run with the mistakes, held against the right one."""
    case = cc.load_case(CASE)
    faults = [fault for fault in faults_of(case) if MISTAKES.get(fault.site) == fault.name]
    assert len(faults) == len(MISTAKES)
    return cc.compare(cc.record(case), run(case, together(faults), "three mistakes"))


if __name__ == "__main__":
    print(sample().write(sys.argv[1]))
