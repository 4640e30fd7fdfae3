"""Every report is a view of one record: JSON by its schema, Markdown, the terminal, a folder written whole or not."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import fields, replace
from typing import Any

import crosscheck as cc
import pytest
from agreements import NAME, agreement_with, hostile, with_nan
from crosscheck.rendering.as_json import document, to_json
from crosscheck.rendering.junit import to_junit
from crosscheck.rendering.markdown import summary_line, to_markdown
from crosscheck.rendering.terminal import to_text

TOP_LEVEL = {"schema", "case", "dtype", "steps", "agrees", "environment", "subjects"}
SUBJECT = {"version", "verdict", "first_divergence", "diagnosis", "tensors"}
TENSOR = {
    *("name", "phase", "operation", "shape", "dtype", "verdict", "end_to_end", "local", "native", "max_abs", "max_rel"),
    *("max_ulp", "sigmas", "tolerance", "would_pass", "worst_index", "reference", "subject", "truth_distance"),
    *("mismatched", "elements", "nan", "inf"),
}


def test_json_has_the_schema(agreeing: cc.Agreement) -> None:
    record = json.loads(to_json(agreeing))
    assert record["schema"] == 1
    assert set(record) >= TOP_LEVEL
    subject = record["subjects"]["copy"]
    assert set(subject) >= SUBJECT
    assert [tensor["name"] for tensor in subject["tensors"]] == list(cc.record("article"))
    assert all(set(tensor) >= TENSOR for tensor in subject["tensors"])
    assert (record["agrees"], subject["verdict"], subject["first_divergence"]) == (True, "agree", None)


def test_json_holds_everything_of_the_record(failing: cc.Agreement) -> None:
    tensor = document(failing)["subjects"]["copy"]["tensors"][0]
    assert set(tensor) == {field.name for field in fields(cc.TensorAgreement)}


def test_json_writes_nan_and_infinities_as_strings() -> None:
    record = json.loads(to_json(agreement_with(with_nan)), parse_constant=pytest.fail)
    found = next(tensor for tensor in record["subjects"]["copy"]["tensors"] if tensor["name"] == NAME)
    assert (found["subject"], found["sigmas"]) == ("nan", "inf")
    assert found["nan"] == [0, 1]


def test_json_is_the_same_twice(failing: cc.Agreement) -> None:
    assert to_json(failing) == to_json(failing)


@pytest.mark.parametrize("render", [to_markdown, to_text])
def test_worst_comes_first_and_top_limits(failing: cc.Agreement, render: Any) -> None:
    text = render(failing, top=2)
    lines = [line for line in text.splitlines() if line.startswith(("| 0/", "0/"))]
    assert len(lines) == 2
    assert NAME.replace("_", "\\_") in lines[0] or NAME in lines[0]
    assert "disagree" in lines[0]
    assert "2 worst of" in text


@pytest.mark.parametrize("render", [to_markdown, to_text])
def test_failure_shows_its_diagnosis(failing: cc.Agreement, render: Any) -> None:
    text = render(failing).replace("\\", "")
    assert "0/backward(o): -1 times what is expected (signature), holds for 0/gradient/o.weight" in text


@pytest.mark.parametrize("render", [to_markdown, to_text])
def test_failure_shows_both_values_and_where(failing: cc.Agreement, render: Any) -> None:
    found = failing.subjects["copy"].worst_first()[0]
    text = render(failing)
    assert repr(found.reference) in text
    assert repr(found.subject) in text
    assert "first divergence 0/gradient/o.weight" in text


def test_hostile_names_are_text_in_markdown(agreeing: cc.Agreement) -> None:
    text = to_markdown(hostile(agreeing))
    assert "<img" not in text.replace("\\<img", "")
    rows = [line for line in text.splitlines() if line.startswith("| 0/")]
    assert rows
    assert all(row.replace("\\|", "").count("|") == 13 for row in rows)
    assert not any(line.startswith("# ") and "red" in line for line in text.splitlines()[1:])


@pytest.mark.parametrize("render", [to_markdown, to_text])
def test_hostile_names_cannot_drive_a_terminal(agreeing: cc.Agreement, render: Any) -> None:
    text = render(hostile(agreeing))
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_junit_has_a_test_case_for_each_tensor(failing: cc.Agreement) -> None:
    suites = ElementTree.fromstring(to_junit(failing))
    (suite,) = suites
    assert (suites.get("tests"), suites.get("failures"), suites.get("errors")) == ("26", "2", "0")
    assert suite.get("name") == "article.float64.copy"
    cases = {case.get("name"): case for case in suite.iter("testcase")}
    assert list(cases) == list(cc.record("article"))
    failure = cases[NAME].find("failure")
    assert failure is not None
    assert "apart at most" in str(failure.get("message"))
    assert cases[NAME].get("classname") == "article.float64.copy.gradient"
    assert "-1 times what is expected" in str(suite.findtext("system-out"))


@pytest.mark.parametrize(
    ("verdict", "outcome"), [("unsupported", "skipped"), ("crashed", "error"), ("timed out", "error")]
)
def test_junit_of_a_subject_without_tensors(agreeing: cc.Agreement, verdict: Any, outcome: str) -> None:
    subject = cc.SubjectAgreement("1", verdict, reason="no such thing")
    suites = ElementTree.fromstring(to_junit(replace(agreeing, subjects={"torch": subject})))
    (case,) = suites.iter("testcase")
    (found,) = case
    assert (found.tag, found.get("message")) == (outcome, f"{verdict}: no such thing")


def test_junit_never_passes_what_was_not_compared(agreeing: cc.Agreement) -> None:
    subject = agreeing.subjects["copy"]
    for verdict in ("not compared", "not given", "unsupported", "crashed", "timed out", "disagree"):
        tensors = (replace(subject.tensors[0], verdict=verdict),)
        (case,) = ElementTree.fromstring(
            to_junit(replace(agreeing, subjects={"copy": replace(subject, tensors=tensors)}))
        ).iter("testcase")
        assert len(case) == 1


def test_markdown_is_capped_and_leaves_out_the_best(failing: cc.Agreement) -> None:
    whole = to_markdown(failing)
    capped = to_markdown(failing, most_bytes=len(whole.encode()) // 2)
    assert len(capped.encode()) <= len(whole.encode()) // 2
    rows = [line for line in capped.splitlines() if line.startswith("| 0/")]
    assert 2 <= len(rows) < 26
    assert "disagree" in rows[0]
    assert "disagree" in rows[1]
    assert f"Left out for want of room: {26 - len(rows)} tensors, 0 of which fail." in capped


def test_markdown_says_so_where_failures_are_left_out(failing: cc.Agreement) -> None:
    bare = len(to_markdown(failing, top=0).encode())
    assert "Left out for want of room: 26 tensors, 2 of which fail." in to_markdown(failing, most_bytes=bare)


def test_a_very_long_name_does_not_make_the_document_long(agreeing: cc.Agreement) -> None:
    assert len(to_markdown(replace(agreeing, case="x" * 3_000_000, about="y" * 3_000_000)).encode()) < 1_000_000


def test_the_summary_is_one_line(failing: cc.Agreement, agreeing: cc.Agreement) -> None:
    line = summary_line(failing)
    assert line.startswith("- **article, float64, 1 step**: ✗ copy 1.0: disagree: 24 of 26 tensors agree")
    assert "first divergence 0/gradient/o.weight" in line
    assert summary_line(hostile(agreeing)).splitlines() == [summary_line(hostile(agreeing))]
