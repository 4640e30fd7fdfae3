"""Marks for each phase of an exercise, as Gradescope takes them. Nothing in them says what is expected."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ..adapters import Crashed
from ..adapters.own import OwnStep, Target, called
from ..cases import load_case
from ..comparison.agreement import Agreement, SubjectAgreement, TensorAgreement
from ..comparison.check import check
from ..comparison.verdicts import HARMLESS
from ..isolation import Isolated, Limits, TimedOut
from ..reference import CaseError
from .sheet import Phase, Sheet, load_sheet
from .writing import predictions


@dataclass(frozen=True)
class Mark:
    """What one phase came to."""

    name: str
    score: float
    points: float
    output: str

    @property
    def full(self) -> bool:
        """Whether all of its points were made."""
        return self.score == self.points


class Exercise:
    """The exercise beside a file, with what was found of each of its steps; each is run once a case.

    With ``limits`` the files run in processes of their own, which end with the ``with`` statement.
    """

    def __init__(self, target: Target, limits: Limits | None = None) -> None:
        self.target = target
        self.limits = limits
        self.processes: dict[Target, Isolated] = {}
        self.folder = target.file.parent
        self.sheet: Sheet = load_sheet(self.folder)
        self.found: dict[tuple[str, str], Agreement] = {}

    def agreement(self, case: str, file: str = "") -> Agreement:
        """What is found of a step on a case. Without a file it is the one that the exercise was called with.

        Raises:
            CaseError: a file that is missing or wrong, or a step that returns what the case does not have.
        """
        if (file, case) not in self.found:
            step = Target.of(f"{self.folder / file}:{self.target.name}") if file else self.target
            subject = self.process_of(step) if self.limits else OwnStep(step, ())
            self.found[file, case] = check(load_case(self.folder / case), [subject])
        return self.found[file, case]

    def process_of(self, step: Target) -> Isolated:
        """The process that has a step."""
        if step not in self.processes:
            self.processes[step] = Isolated(f"{step.file}:{step.name}", self.limits, require=())
        return self.processes[step]

    def __enter__(self) -> Exercise:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes.values():
            process.close()

    def marks(self) -> list[Mark]:
        """What each phase came to."""
        return [self.mark(phase) for phase in self.sheet.phases]

    def mark(self, phase: Phase) -> Mark:
        """What one phase came to."""
        try:
            if phase.predict:
                return self.predicted(phase)
            file = "" if phase.file == self.default else phase.file
            (found,) = self.agreement(phase.case, file).subjects.values()
        except (CaseError, Crashed, TimedOut) as error:
            return Mark(phase.name, 0.0, phase.points, str(error))
        return judged(phase, found)

    @property
    def default(self) -> str:
        """The file that phases name unless it is another that they are about."""
        return str(Phase.model_fields["file"].default)

    def predicted(self, phase: Phase) -> Mark:
        """The mark for what was predicted, each answer counting alike."""
        right = predictions(load_case(self.folder / phase.case))
        answers = self.process_of(self.target).call("predict") if self.limits else called(self.target, "predict")
        answers = answers if isinstance(answers, dict) else {}
        said = {question: plain(answers.get(question)) for question in right}
        good = [question for question, answer in right.items() if said[question] == plain(answer)]
        open_ones = [question for question, answer in said.items() if answer is None or answer is ...]
        lines = [f"{len(good)} of {len(right)} right"]
        lines += [f"{len(open_ones)} not answered"] if open_ones else []
        lines += [f"not right: {question}" for question in right if question not in (*good, *open_ones)]
        return Mark(phase.name, share(phase, len(good), len(right)), phase.points, "; ".join(lines))


def plain(answer: Any) -> Any:
    """An answer in a form that can be compared: a shape as a tuple."""
    return tuple(answer) if isinstance(answer, list) else answer


def share(phase: Phase, good: int, total: int) -> float:
    """The points for so many of all, to two digits."""
    if phase.whole or not total:
        return phase.points if good == total > 0 else 0.0
    return round(phase.points * good / total, 2)


def judged(phase: Phase, found: SubjectAgreement) -> Mark:
    """The mark for the tensors of a phase, each judged on the learner's own inputs to it."""
    if found.reason:
        return Mark(phase.name, 0.0, phase.points, f"{found.verdict}: {found.reason}")
    concerned = [tensor for tensor in found.tensors if concerns(phase.tensors, tensor)]
    good = [tensor for tensor in concerned if tensor.verdict in HARMLESS]
    wrong = [tensor.name for tensor in concerned if tensor.verdict not in HARMLESS | {"not given"}]
    missing = len(concerned) - len(good) - len(wrong)
    parts = [f"{len(good)} of {len(concerned)} tensors right"]
    parts += [f"first wrong: {wrong[0]}"] if wrong and not phase.whole else []
    parts += [f"{missing} not given"] if missing else []
    return Mark(phase.name, share(phase, len(good), len(concerned)), phase.points, "; ".join(parts))


def concerns(patterns: Iterable[str], tensor: TensorAgreement) -> bool:
    """Whether a tensor is one that a phase is about."""
    return any(fnmatchcase(tensor.name, pattern) for pattern in patterns)


def results(name: str, marks: Sequence[Mark], note: str = "") -> dict[str, Any]:
    """The marks in the format of Gradescope's ``results.json``."""
    return {
        "score": round(sum(mark.score for mark in marks), 2),
        "output": ". ".join(filter(None, [name, note])),
        "visibility": "visible",
        "tests": [
            {
                "name": mark.name,
                "score": mark.score,
                "max_score": mark.points,
                "status": "passed" if mark.full else "failed",
                "output": mark.output,
                "visibility": "visible",
            }
            for mark in marks
        ],
    }
