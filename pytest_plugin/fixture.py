"""The fixture: what a test checks and compares with, and how it fails."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ..api import Agreement, compare
from ..comparison.agreement import SubjectAgreement
from ..comparison.tolerance import Tolerance
from ..comparison.verdicts import HARMLESS
from ..reference import Case, Trace
from ..rendering.failure import failure
from .session import Part, Session, computed, name_of


class Crosscheck:
    """What the fixture is. Of a test that a marker made, ``case``, ``subject`` and ``phase`` say which it is."""

    def __init__(self, session: Session, folder: Path, options: Mapping[str, Any], part: Part | None) -> None:
        self.compared = False
        self.case = part.run.case if part else None
        self.subject = name_of(part.run.subject) if part else None
        self.phase = part.phase if part else ""
        self._session = session
        self._folder = folder
        self._options = options
        self._part = part

    def check(
        self, case: Case | str | os.PathLike[str] | None = None, against: Any = None, **options: Any
    ) -> Agreement:
        """Check a case as ``crosscheck.check`` does, or without arguments what the marker asks for.

        The test fails, and shows the worst tensor and the diagnosis, if a subject does not agree; where none fails it
        is skipped if one is not installed or cannot express the case. What the marker and the options of the command
        line say are defaults.
        """
        __tracebackhide__ = True
        self.compared = True
        if case is None:
            if self._part is None or against is not None or options:
                pytest.fail("expected a case: crosscheck.check(CASE), or @pytest.mark.crosscheck(CASE)")
            return self._judged(self._part.run.agreement, self._part.phase)
        chosen = {**self._options, **options}
        named = chosen.pop("against", None)
        subjects = self._session.subjects(named if against is None else against)
        reasons = [self._session.absence(subject) for subject in subjects]
        absent = list(filter(None, reasons))
        present = [subject for subject, reason in zip(subjects, reasons, strict=True) if not reason]
        if absent and not present:
            pytest.skip("; ".join(absent))
        agreement = computed(self._session.load(case, self._folder), present, chosen)
        self._session.record(agreement)
        return self._judged(agreement, absent=absent)

    def compare(self, reference: Trace, subject: Trace, *, tolerance: Tolerance | None = None) -> Agreement:
        """Hold one trace against another, which counts as the reference; the test fails unless they agree.

        Raises:
            ValueError: traces of different cases.
        """
        __tracebackhide__ = True
        self.compared = True
        agreement = compare(reference, subject, tolerance=tolerance)
        self._session.record(agreement)
        return self._judged(agreement)

    def _judged(self, agreement: Agreement, phase: str = "", absent: Iterable[str] = ()) -> Agreement:
        """Fail if a subject fails; skip if one is missing or unsupported; otherwise hand the agreement back."""
        __tracebackhide__ = True
        judged = {name: subject.within(phase) for name, subject in agreement.subjects.items()}
        left_out = {name: reason for name, subject in judged.items() if (reason := why_left_out(subject))}
        failed = [name for name in judged if name not in left_out and judged[name].verdict not in HARMLESS]
        if failed or not judged:
            texts = [failure(agreement, name, phase) for name in failed]
            pytest.fail("\n\n".join(texts) or f"{agreement.case}: nothing was compared", pytrace=not phase)
        if missing := [*(f"{name}: {reason}" for name, reason in left_out.items()), *absent]:
            agreeing = [f"{name} agrees" for name in judged if name not in left_out]
            pytest.skip("; ".join([*missing, *agreeing]))
        return agreement


def why_left_out(subject: SubjectAgreement) -> str:
    """Why a subject neither agrees nor fails: it is unsupported, or gives nothing of a phase and need not."""
    if subject.verdict == "unsupported":
        return subject.reason
    return "not given" if subject.tensors and not any(tensor.counts for tensor in subject.tensors) else ""
