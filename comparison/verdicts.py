"""The verdict on a tensor, from the two comparisons that are made of it. One pure function decides."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal[
    "agree", "disagree", "kink", "not given", "unsupported", "crashed", "timed out", "not compared"
]
"""The closed vocabulary. A tensor starts as ``not compared``, and only a comparison makes it ``agree``.

``kink``: it differs by no more than what rounding leaves undecided can make of it: a mask or a sign, whether a number
on the way overflows, a quotient whose denominator may be 0.
"""

Outcome: TypeAlias = Literal["agree", "disagree", "kink", "not compared"]
"""What one comparison of a tensor says."""

Support: TypeAlias = Literal["comparable", "refused", "not given", "unsupported", "crashed", "timed out"]
"""What there is to compare: an array of the right dtype and shape, another array, or none, and why."""

SEVERITY: tuple[Verdict, ...] = (
    "crashed",
    "timed out",
    "disagree",
    "not given",
    "unsupported",
    "not compared",
    "kink",
    "agree",
)
"""Verdicts from the worst: a subject's is the worst of its tensors'."""

UNCOMPARED: frozenset[Verdict] = frozenset({"not compared", "not given", "unsupported", "crashed", "timed out"})
"""Verdicts on what was not compared at all."""

HARMLESS: frozenset[Verdict] = frozenset({"agree", "kink"})
"""Verdicts that do not fail a run."""


def decide(end_to_end: Outcome, local: Outcome, support: Support) -> Verdict:
    """The verdict on a tensor.

    ``local`` is the comparison with what the reference's operation makes of the subject's own inputs to it, and
    ``end_to_end`` that with the reference's own run. Where the local one was made it decides: it is one operation
    long, so that neither the rounding nor the faults of earlier operations are in it. Otherwise the other decides.

    >>> decide(end_to_end="disagree", local="agree", support="comparable")
    'agree'
    >>> decide(end_to_end="kink", local="not compared", support="comparable")
    'kink'
    >>> decide(end_to_end="not compared", local="not compared", support="not given")
    'not given'
    """
    if support == "refused":
        return "disagree"
    if support != "comparable":
        return support
    return local if local != "not compared" else end_to_end


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts; of none, ``not compared``."""
    return min(verdicts, key=SEVERITY.index, default="not compared")
