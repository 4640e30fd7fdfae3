"""Two training steps written without the reference: right, they agree with it; wrong, they are caught and explained.

``independent/`` has them, in NumPy and on torch tensors, with the mistakes that can be planted in each. What the
diagnosis replays are the reference's own lines, changed: here it must recognise what others wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import crosscheck as cc
import pytest
from independent.judging import MISTAKES, NETWORKS, WRITTEN, failing, is_named, reference, wrong_step
from independent.report import page

CASES = ("article", "article-batch", "mlp", "regression", "one column", "residual", "convolutional", "attention")

NOT_PLANTED = {2, 21}
"""Of the 28 known mistakes those that no case here can have: they need micro-batches and RMSprop."""


@pytest.fixture
def written(adapter_of: Callable[[str], object]) -> Callable[[str], ModuleType]:
    """One of the two implementations; a test whose framework is not here is skipped."""

    def find(name: str) -> ModuleType:
        if name not in WRITTEN:
            adapter_of(name)
        return WRITTEN[name]

    return find


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_right_step_agrees_in_every_tensor(
    name: str, case: str, dtype: str, written: Callable[[str], ModuleType]
) -> None:
    baseline = reference(case, dtype).baseline
    subject = written(name).run(baseline.case, NETWORKS.get(case, case))
    agreement = cc.compare(baseline, subject)
    (found,) = agreement.subjects.values()
    assert {tensor.name: tensor.verdict for tensor in found.tensors} == dict.fromkeys(baseline, "agree")
    assert {tensor.local for tensor in found.tensors} == {"agree"}


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=[f"{name}-{mistake}" for name, mistake in MISTAKES])
def test_wrong_step_is_detected_and_placed(name: str, mistake: str) -> None:
    *_, operations = WRITTEN[name].PLANTED[mistake]
    found = wrong_step(name, mistake)
    assert found.verdict == "disagree"
    assert failing(found) == operations


@pytest.mark.skipif("torch" not in WRITTEN, reason="torch is not installed")
def test_most_mistakes_are_named() -> None:
    assert len(MISTAKES) >= 40
    assert all(len(module.PLANTED) >= 20 for module in WRITTEN.values())
    unnamed = [f"{name}: {mistake}" for name, mistake in MISTAKES if not is_named(name, mistake)]
    named = 1 - len(unnamed) / len(MISTAKES)
    assert named >= 0.9, f"{named:.1%} named; not: {unnamed}"


def test_every_known_mistake_is_planted_that_can_be() -> None:
    planted = {entry[2] for module in WRITTEN.values() for entry in module.PLANTED.values()}
    assert planted == set(range(1, 29)) - NOT_PLANTED


@pytest.mark.skipif("torch" not in WRITTEN, reason="torch is not installed")
def test_the_report_has_every_mistake() -> None:
    text = page()
    assert f"{len(MISTAKES)} of {len(MISTAKES)} detected" in text
    assert all(f"| {mistake} |" in text for _, mistake in MISTAKES)
