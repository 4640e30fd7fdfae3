"""Several agreements as one: whatever the order, nothing is lost and no failure is hidden."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.comparison.agreement import Arrays, TruthAgreement
from crosscheck.comparison.merging import merged
from crosscheck.comparison.verdicts import Verdict


def agreement(name: str, verdict: Verdict = "agree", tensors: int = 1, **fields: Any) -> cc.Agreement:
    """An agreement of one subject. Where it fails the arrays are there, and say of which agreement they are."""
    kept = tuple(cc.TensorAgreement(f"0/forward/{i}", "forward", "", "", (), "float64") for i in range(tensors))
    failed = verdict == "disagree"
    arrays = {"0/forward/0": Arrays(*[np.array(tensors)] * 3)} if failed else {}
    subjects = {name: cc.SubjectAgreement("1", verdict, tensors=kept, arrays=arrays)}
    defaults: dict[str, Any] = {"environment": {"baseline": "reference"}, "subjects": subjects}
    return cc.Agreement("article", "float64", 1, **{**defaults, **fields})


def test_subjects_of_one_case_come_together() -> None:
    (one,) = merged([agreement("torch"), agreement("jax", "disagree")])
    assert isinstance(one, cc.Agreement)
    assert {name: subject.verdict for name, subject in one.subjects.items()} == {"jax": "disagree", "torch": "agree"}
    assert {name: list(subject.arrays) for name, subject in one.subjects.items()} == {
        "jax": ["0/forward/0"],
        "torch": [],
    }
    assert not one.ok


def test_other_cases_stay_apart() -> None:
    first = agreement("torch")
    others = [replace(first, dtype="float32"), replace(first, steps=2), replace(first, case="mazur")]
    others.append(replace(first, environment={"baseline": "jax"}))
    assert len(merged([first, *others, first])) == 5
    assert merged([]) == []


@pytest.mark.parametrize(
    "order", list(permutations([("agree", 3), ("disagree", 1), ("disagree", 2), ("kink", 4), ("unsupported", 0)], 3))
)
def test_of_one_subject_the_worst_is_kept_whatever_the_order(order: tuple[tuple[Verdict, int], ...]) -> None:
    (one,) = merged([agreement("torch", verdict, tensors) for verdict, tensors in order])
    severity = ["disagree", "unsupported", "kink", "agree"]
    verdict, tensors = min(order, key=lambda given: (severity.index(given[0]), -given[1]))
    assert one.subjects["torch"].verdict == verdict
    assert len(one.subjects["torch"].tensors) == tensors
    kept = [int(arrays.subject) for arrays in one.subjects["torch"].arrays.values()]
    assert kept == ([tensors] if verdict == "disagree" else [])


def test_the_distances_from_the_truth_come_together() -> None:
    truth = TruthAgreement("balls", 30, {"reference": 1.0, "torch": 2.0}, {"reference": "a", "torch": "b"})
    other = replace(truth, distances={"reference": 1.0, "jax": 0.5}, tensors={"reference": "a", "jax": "c"})
    (one,) = merged([agreement("torch", truth=truth), agreement("jax", truth=other), agreement("right")])
    assert one.truth
    assert one.truth.distances == {"reference": 1.0, "torch": 2.0, "jax": 0.5}
    assert one.truth.tensors == {"reference": "a", "torch": "b", "jax": "c"}
    assert one.truth.nearest == "jax"
