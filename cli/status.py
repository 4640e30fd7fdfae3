"""What a command's exit status says, and the last line that it prints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..comparison.agreement import Agreement

AGREES, DISAGREES, BAD_INPUT, CRASHED, NOTHING = 0, 1, 2, 3, 5


def exit_status(agreements: Sequence[Agreement], *, strict: bool) -> int:
    """The exit status for some agreements; the worst news decides."""
    from ..comparison.verdicts import HARMLESS

    verdicts = {subject.verdict for found in agreements for subject in found.subjects.values()}
    if verdicts & {"crashed", "timed out"}:
        return CRASHED
    if verdicts - HARMLESS - {"unsupported", "not compared"} or (strict and "unsupported" in verdicts):
        return DISAGREES
    return AGREES if agreements and all(found.ok for found in agreements) else NOTHING


def conclusion(agreements: Sequence[Agreement], status: int) -> str:
    """The last line of a run."""
    if status == AGREES:
        subjects = [subject for found in agreements for subject in found.subjects.values()]
        tensors = [tensor for subject in subjects for tensor in subject.tensors]
        left_open = sum(tensor.verdict == "kink" for tensor in tensors)
        kinks = sum(tensor.end_to_end == "kink" for tensor in tensors)
        left_out = sum(subject.verdict == "unsupported" for subject in subjects)
        beyond = f"; {kinks} differ end to end, beyond masks that rounding leaves undecided" if kinks else ""
        unsupported = f"; {left_out} unsupported, which is no agreement" if left_out else ""
        some = f"{len(tensors) - left_open} agree, {left_open} as far as rounding lets one tell"
        return f"{len(tensors)} tensors compared, {some if left_open else 'all agree'}{beyond}{unsupported}"
    if status == NOTHING:
        bare = [found for found in agreements if not found.ok]
        hint = "" if any(found.subjects for found in bare) else ": no framework is installed (see crosscheck doctor)"
        return f"nothing was compared for {', '.join(found.case for found in bare)}{hint}"
    return {DISAGREES: "not everything agrees", CRASHED: "a framework crashed"}[status]
