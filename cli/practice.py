"""What ``crosscheck check`` shows a learner: hints and marks, and no expected value."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from .console import console, refuse
from .status import AGREES, CRASHED, DISAGREES, FAILED

if TYPE_CHECKING:
    from ..adapters.own.loading import Target
    from ..comparison.agreement import Agreement
    from ..exercises.grading import Exercise
    from ..exercises.sheet import Level
    from ..isolation import Limits
    from ..reference import Case


def practise(target: Target, hint: Level | None, grade: Path | None, limits: Limits | None) -> NoReturn:
    """Judge the exercise beside a file: a hint on it if one is asked for, otherwise what each phase comes to."""
    from ..exercises.grading import Exercise

    with Exercise(target, limits) as exercise:
        judge(exercise, hint, grade)


def judge(exercise: Exercise, hint: Level | None, grade: Path | None) -> NoReturn:
    """See ``practise``."""
    from ..cases import load_case
    from ..cases.files import write_text
    from ..exercises.grading import results
    from ..reference.errors import printable

    if hint and hint not in exercise.sheet.hints:
        allowed = ", ".join(exercise.sheet.hints)
        refuse(f"--hint: expected one of {allowed}, which this exercise allows; received {hint!r}")
    if hint:
        cases = [load_case(exercise.folder / name) for name in exercise.sheet.cases]
        found = [(case, exercise.agreement(name)) for case, name in zip(cases, exercise.sheet.cases, strict=True)]
        show_hints(found, hint)
    marks, shown = exercise.marks(), console()
    if grade or not hint:
        for mark in marks:
            sign, style = ("✓", "green") if mark.full else ("✗", "red")
            text = f"{sign} {mark.name}: {mark.score:g} of {mark.points:g} points. {mark.output}"
            shown.print(printable(text), style=style, markup=False, soft_wrap=True)
    if grade:
        note = f"A hint was taken: {hint}{', giving up' if hint == 'line' else ''}" if hint else ""
        document = results(exercise.sheet.name, marks, note)
        write_text(grade, json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        shown.print(f"written to {grade}", style="dim", markup=False)
    crashed = any(one.verdict in FAILED for found in exercise.found.values() for one in found.subjects.values())
    raise typer.Exit(CRASHED if crashed else AGREES if all(mark.full for mark in marks) else DISAGREES)


def show_hints(found: Sequence[tuple[Case, Agreement]], level: Level) -> None:
    """Print every hint up to a level."""
    from ..exercises.hints import hints_on

    shown, told = console(), hints_on(found, level)
    for one in told:
        shown.print(f"{one.level}: {one.text}", markup=False, soft_wrap=True)
    if not told:
        shown.print("nothing is wrong, and nothing is missing", style="green")
