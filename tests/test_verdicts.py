"""The function that decides, as a full table."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest
from crosscheck.comparison.verdicts import HARMLESS, SEVERITY, Outcome, Support, Verdict, decide, worst

COMPARABLE = {
    # end to end      local            verdict
    ("agree", "agree"): "agree",
    ("agree", "disagree"): "disagree",
    ("agree", "kink"): "kink",
    ("agree", "not compared"): "agree",
    ("disagree", "agree"): "agree",
    ("disagree", "disagree"): "disagree",
    ("disagree", "kink"): "kink",
    ("disagree", "not compared"): "disagree",
    ("kink", "agree"): "agree",
    ("kink", "disagree"): "disagree",
    ("kink", "kink"): "kink",
    ("kink", "not compared"): "kink",
    ("not compared", "agree"): "agree",
    ("not compared", "disagree"): "disagree",
    ("not compared", "kink"): "kink",
    ("not compared", "not compared"): "not compared",
}
OTHERWISE = {
    "refused": "disagree",
    "not given": "not given",
    "unsupported": "unsupported",
    "crashed": "crashed",
    "timed out": "timed out",
}
ROWS = [*product(get_args(Outcome), get_args(Outcome), get_args(Support))]


def test_table_is_full() -> None:
    outcomes = get_args(Outcome)
    assert set(COMPARABLE) == set(product(outcomes, outcomes))
    assert set(get_args(Support)) == {"comparable", *OTHERWISE}
    assert len(ROWS) == 96


@pytest.mark.parametrize(("end_to_end", "local", "support"), ROWS)
def test_verdict(end_to_end: Outcome, local: Outcome, support: Support) -> None:
    expected = COMPARABLE[end_to_end, local] if support == "comparable" else OTHERWISE[support]
    assert decide(end_to_end, local, support) == expected


def test_only_a_comparison_makes_agreement() -> None:
    for end_to_end, local, support in ROWS:
        if decide(end_to_end, local, support) == "agree":
            assert support == "comparable"
            assert "agree" in (end_to_end, local)


def test_worst_is_the_worst() -> None:
    assert set(SEVERITY) == set(get_args(Verdict))
    assert worst([]) == "not compared"
    assert worst(["agree", "disagree", "kink"]) == "disagree"
    assert worst(["agree", "not given"]) == "not given"
    assert {"agree", "kink"} == HARMLESS
