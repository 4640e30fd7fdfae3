"""What a command's exit status says, and the last line that it prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..comparison.verdicts import HARMLESS

if TYPE_CHECKING:
    from ..comparison.agreement import Agreement

AGREES, DISAGREES, BAD_INPUT, CRASHED, NOTHING = 0, 1, 2, 3, 5

FAILED = frozenset({"crashed", "timed out"})
"""Verdicts of a subject that did not come to an end."""


def exit_status(agreements: Sequence[Agreement], *, strict: bool) -> int:
    """The exit status for some agreements; the worst news decides."""
    verdicts = {subject.verdict for found in agreements for subject in found.subjects.values()}
    if verdicts & FAILED:
        return CRASHED
    if strict and "unsupported" in verdicts:
        return DISAGREES
    if not any(found.compared for found in agreements):
        return NOTHING
    if verdicts - HARMLESS - {"unsupported", "not compared"}:
        return DISAGREES
    return AGREES if all(found.ok for found in agreements) else NOTHING


def conclusion(agreements: Sequence[Agreement], status: int) -> str:
    """The last line of a run."""
    subjects = [subject for found in agreements for subject in found.subjects.values()]
    if status == AGREES:
        tensors = [tensor for subject in subjects for tensor in subject.tensors]
        left_open = sum(tensor.verdict == "kink" for tensor in tensors)
        kinks = sum(tensor.end_to_end == "kink" for tensor in tensors)
        left_out = sum(subject.verdict == "unsupported" for subject in subjects)
        not_given = sum(tensor.verdict == "not given" for tensor in tensors)
        beyond = f"; {kinks} differ end to end, beyond masks that rounding leaves undecided" if kinks else ""
        others = f"; {not_given} not given, which is no agreement" if not_given else ""
        unsupported = f"; {left_out} unsupported, which is no agreement" if left_out else ""
        compared = len(tensors) - not_given
        some = f"{compared - left_open} agree, {left_open} as far as rounding lets one tell"
        return f"{compared} tensors compared, {some if left_open else 'all agree'}{beyond}{others}{unsupported}"
    if status == NOTHING:
        bare = [found for found in agreements if not found.ok]
        hint = "" if any(found.subjects for found in bare) else ": no framework is installed (see crosscheck doctor)"
        return f"nothing was compared for {', '.join(found.case for found in bare)}{hint}"
    if status == CRASHED:
        failed = [
            f"{name} {one.verdict}"
            for found in agreements
            for name, one in found.subjects.items()
            if one.verdict in FAILED
        ]
        return ", ".join(dict.fromkeys(failed))
    given = all(subject.verdict in HARMLESS | {"not given", "unsupported"} for subject in subjects)
    return "not everything that is required was given" if given else "not everything agrees"
