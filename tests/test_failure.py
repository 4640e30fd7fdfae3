"""What a test that fails shows, for each way of failing."""

from __future__ import annotations

from collections.abc import Callable

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.comparison.agreement import Diagnosis
from crosscheck.reference.layers import Array
from crosscheck.rendering.failure import CAUSES, failure

NAME = "0/gradient/k.weight"


def changed(change: Callable[[Array], Array] | None) -> cc.Agreement:
    """The article, with one tensor changed or left out, against itself."""
    trace = cc.record("article", "reference")
    tensors = dict(trace.tensors)
    made = tensors.pop(NAME)
    if change is not None:
        tensors[NAME] = change(made.copy())
    return cc.compare(trace, type(trace)("mine", tensors=tensors))


def with_nan(array: Array) -> Array:
    array[1, 2] = np.nan
    return array


@pytest.mark.parametrize(
    ("change", "verdict", "lines"),
    [
        (lambda array: array + 0.5, "disagree", ["  max abs    0.5"]),
        (lambda array: array[:3], "disagree", ["  shape  shape (3, 4) for (4, 4)"]),
        (lambda array: array.astype("float32"), "disagree", ["  dtype  dtype float32 for float64"]),
        (with_nan, "disagree", ["  nan        1 elements are NaN for 0 of the reference, or not the same ones"]),
        (None, "not given", ["  present  not given"]),
    ],
    ids=["values", "shape", "dtype", "nan", "nothing"],
)
def test_each_way_of_failing(change: Callable[[Array], Array] | None, verdict: str, lines: list[str]) -> None:
    shown = failure(changed(change), "mine", "gradient").splitlines()
    assert shown[0] == f"article, float64, 1 step: mine: {verdict} in gradient"
    assert shown[2] == f"worst in gradient: {NAME}, 4 × 4 of float64, by dense"
    assert set(lines) <= set(shown)


def test_both_values_are_shown_in_all_their_digits() -> None:
    agreement = changed(lambda array: array + 0.5)
    (tensor,) = (one for one in agreement.subjects["mine"].tensors if one.name == NAME)
    assert tensor.worst_index is not None
    right = cc.record("article")[NAME][tensor.worst_index]
    shown = failure(agreement, "mine").splitlines()
    assert f"  at         {list(tensor.worst_index)}" in shown
    assert f"  reference  {float(right)!r}" in shown
    assert f"  mine       {float(right + 0.5)!r}" in shown


def test_a_phase_that_agrees_shows_no_tensor() -> None:
    assert "worst" not in failure(changed(None), "mine", "forward")


def test_what_could_not_be_compared_shows_the_reason() -> None:
    agreement = cc.Agreement(
        "article", "float64", 1, subjects={"mine": cc.SubjectAgreement("2", "crashed", reason="x\ty")}
    )
    assert failure(agreement, "mine", "forward") == "article, float64, 1 step: mine 2: crashed\nx\\ty"


def test_a_long_diagnosis_is_cut() -> None:
    causes = tuple(Diagnosis(f"{number}", "cause", "evidence", "fault") for number in range(CAUSES + 2))
    agreement = cc.Agreement(
        "article", "float64", 1, subjects={"mine": cc.SubjectAgreement("", "crashed", diagnosis=causes)}
    )
    shown = failure(agreement, "mine").splitlines()
    assert shown[-1] == "  and 2 more"
    assert len(shown) == 2 + 1 + CAUSES + 1
