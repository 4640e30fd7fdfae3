"""Several agreements as one: what parts of a run have computed by themselves, each in its own process perhaps."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from .agreement import Agreement, TruthAgreement
from .verdicts import SEVERITY

One = TypeVar("One", bound=Agreement)


def merged(agreements: Iterable[One]) -> list[One]:
    """Agreements on the same case, dtype, steps and baseline as one, with the subjects of all of them by name.

    Of a subject that several have the worst is kept, so that nothing hides a failure; of those equally bad, the one
    with the most tensors.
    """
    alike: dict[tuple[str, str, int, str], list[One]] = {}
    for one in agreements:
        alike.setdefault((one.case, one.dtype, one.steps, baseline_of(one)), []).append(one)
    return [united(alike[key]) for key in sorted(alike)]


def united(alike: Sequence[One]) -> One:
    """Agreements that differ in their subjects alone, as one."""
    kept: dict[str, One] = {}
    for name in sorted({name for one in alike for name in one.subjects}):
        kept[name] = min((one for one in alike if name in one.subjects), key=lambda one: badness(one, name))
    subjects = {name: one.subjects[name] for name, one in kept.items()}
    truths = [one.truth for one in kept.values() if one.truth]
    return replace(alike[0], subjects=subjects, truth=all_of(truths) if truths else None)


def badness(agreement: Agreement, name: str) -> tuple[int, int]:
    """A key that sorts first the agreement that has the worst of a subject."""
    subject = agreement.subjects[name]
    return SEVERITY.index(subject.verdict), -len(subject.tensors)


def all_of(truths: Sequence[TruthAgreement]) -> TruthAgreement:
    """How far the parties of several agreements are from one truth."""
    distances = {party: distance for truth in truths for party, distance in truth.distances.items()}
    return replace(truths[0], distances=distances, tensors={k: v for truth in truths for k, v in truth.tensors.items()})


def baseline_of(agreement: Agreement) -> str:
    """Whose trace counts as right in an agreement."""
    return str(agreement.environment.get("baseline", "reference"))
