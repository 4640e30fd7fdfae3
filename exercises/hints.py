"""Hints on the first tensor that is wrong, from where it is to the line that makes it right.

None but the last says what is expected: where it goes wrong, how the wrong is related to the right (a ratio, a sign, a
shape, places), a question, an experiment, the name of the mistake. The wording stands beside the class of each mistake.
"""

from __future__ import annotations

from collections.abc import Sequence
from inspect import cleandoc, getsource
from typing import NamedTuple

import numpy as np

from ..comparison.agreement import Agreement, Arrays, Diagnosis, SubjectAgreement, TensorAgreement
from ..comparison.diagnosis import constant_ratio, few_roundings, transposed
from ..comparison.running import run
from ..comparison.tolerance import Expected
from ..comparison.verdicts import HARMLESS, SEVERITY, worst
from ..faults import FAULTS
from ..faults.base import LayerFault, LossFault, Mistake, OptimizerFault, StepFault, done
from ..reference import Case, Operation
from .sheet import LEVELS, Level


class Hint(NamedTuple):
    """One hint, and how much it says."""

    level: Level
    text: str


def hints_on(found: Sequence[tuple[Case, Agreement]], level: Level) -> list[Hint]:
    """The hints on the first case in which something is wrong or, where nothing is, missing."""

    def severity(pair: tuple[Case, Agreement]) -> int:
        (subject,) = pair[1].subjects.values()
        verdict = subject.verdict if subject.reason else worst(tensor.verdict for tensor in subject.tensors)
        return SEVERITY.index(verdict)

    return hints(*min(found, key=severity), level)


def hints(case: Case, agreement: Agreement, level: Level) -> list[Hint]:
    """Every hint up to a level on a case and what was found of one subject; none where nothing is wrong or missing."""
    (found,) = agreement.subjects.values()
    if found.reason:
        return [Hint("where", found.reason)]
    wrong = next((tensor for tensor in found.tensors if tensor.verdict not in HARMLESS | {"not given"}), None)
    if wrong is None:
        missing = next((tensor for tensor in found.tensors if tensor.verdict == "not given"), None)
        text = f"nothing that you gave is wrong; the first that is missing is {missing.name}" if missing else ""
        return [Hint("where", text)] if text else []
    operation = next((one for one in run(case).operations if one.name == wrong.operation), None)
    causes = [cause for cause in found.diagnosis if cause.operation == wrong.operation]
    told = {
        "where": where(found, wrong, operation),
        "kind": kind(case, wrong, found.arrays.get(wrong.name)),
        "question": " / ".join(asked(cause, "question", operation, case) for cause in causes),
        "experiment": " / ".join(asked(cause, "experiment", operation, case) for cause in causes),
        "cause": " / ".join(f"{cause.cause}: {about(cause)}" for cause in causes),
        "line": line(case, operation),
    }
    return [Hint(one, told[one]) for one in LEVELS[: LEVELS.index(level) + 1] if told[one]]


def where(found: SubjectAgreement, wrong: TensorAgreement, operation: Operation | None) -> str:
    """Which tensor is the first that is wrong, and that what it is made of is right."""
    verdicts = {tensor.name: tensor.verdict for tensor in found.tensors}
    fed = [verdicts[name] for name in operation.inputs if name in verdicts] if operation else []
    right = "all that you fed it is right" if "not given" not in fed else "all that you gave before it is right"
    return f"{wrong.name} is your first wrong tensor; {right}"


def kind(case: Case, wrong: TensorAgreement, elements: Arrays | None) -> str:
    """How a tensor is related to the right one."""
    if wrong.failed == "shape":
        return f"its shape is {wrong.received}; that of what it belongs to is {wrong.shape}"
    if wrong.failed == "dtype":
        return f"its dtype is {wrong.received}; that of the case is {wrong.dtype}"
    if wrong.failed == "expected":
        return "the case has no such tensor: what it belongs to is not trained"
    assert elements  # whatever fails by its values has them
    right, mine = elements.reference, elements.subject
    if wrong.failed in ("nan", "infinity"):
        return (
            f"it has {'NaN' if wrong.failed == 'nan' else 'infinities'} where there should be numbers, or the reverse"
        )
    expected = Expected(right, 0.0)
    with np.errstate(all="ignore"):
        if transposed(case, mine, expected):
            return "rows and columns are exchanged"
        if ratio := constant_ratio(case, mine, expected):
            return f"every number of it is {ratio.replace('what is expected', 'what it should be')}"
        apart = ~(np.abs(mine - right) <= few_roundings(case) * np.abs(right).max(initial=0))
        turned = int((np.sign(mine) != np.sign(right)).sum())
    if not mine.any():
        return "all of it is 0"
    places = [list(map(int, place)) for place in np.argwhere(apart)]
    first = f", first at {places[0]}" if places and right.ndim else ""
    signs = f"{turned} have the wrong sign" if turned else "the signs are right"
    return f"{len(places)} of its {right.size} numbers are wrong{first}; {signs}"


def asked(cause: Diagnosis, part: str, operation: Operation | None, case: Case) -> str:
    """The question or the experiment that goes with a cause; of one that is unknown, that of its operation."""
    return str(getattr(FAULTS.get(cause.cause) or family(operation, case), part))


def family(operation: Operation | None, case: Case) -> type[Mistake]:
    """The sort of mistakes that an operation can have."""
    if operation is None or operation.kind in ("sum", "weighted_sum") or operation.phase == "clipped":
        return StepFault
    if operation.phase == "update":
        return OptimizerFault
    return LossFault if done(operation).of in {term.name for term in case.losses} else LayerFault


def about(cause: Diagnosis) -> str:
    """What a cause is."""
    if cause.cause in FAULTS:
        return FAULTS[cause.cause].about()
    said = {"convention": "another convention than the case's", "unknown": "none of the known mistakes"}
    return said.get(cause.kind, "how it is related to what it should be")


def line(case: Case, operation: Operation | None) -> str:
    """The reference's own lines of an operation."""
    if operation is None or operation.kind in ("sum", "weighted_sum"):
        return "the parts add up"
    if operation.phase == "update":
        return source(type(case.optimizer), "update")
    if operation.phase == "clipped":
        return source(type(case.clip), "clipped")
    of, part = done(operation).of, "forward" if operation.phase == "forward" else "backward"
    things = {**{node.name: node.layer for node in case.nodes}, **{term.name: term.loss for term in case.losses}}
    return source(type(things[of]), part)


def source(described: type, part: str) -> str:
    """A method as it is written."""
    return cleandoc("\n" + getsource(getattr(described, part)))
