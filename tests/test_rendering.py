"""Every report is a view of one record: JSON by its schema, Markdown, the terminal, a folder written whole or not."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.rendering import folder
from crosscheck.rendering.as_json import document, to_json
from crosscheck.rendering.markdown import to_markdown
from crosscheck.rendering.terminal import to_text
from safetensors.numpy import load_file

TOP_LEVEL = {"schema", "case", "dtype", "steps", "agrees", "environment", "subjects"}
SUBJECT = {"version", "verdict", "first_divergence", "diagnosis", "tensors"}
TENSOR = {
    *("name", "phase", "operation", "shape", "dtype", "verdict", "end_to_end", "local", "native", "max_abs", "max_rel"),
    *("max_ulp", "sigmas", "tolerance", "would_pass", "worst_index", "reference", "subject", "truth_distance"),
    *("mismatched", "elements", "nan", "inf"),
}
NAME = "0/gradient/o.weight"


def agreement_with(change: Any = None) -> cc.Agreement:
    """The article against a copy of itself, one tensor changed."""
    reference = cc.record("article")
    subject = cc.Trace("copy", reference.case, {"version": "1.0", "device": "cpu"}, dict(reference.tensors))
    if change is not None:
        subject.tensors[NAME] = change(np.array(subject.tensors[NAME]))
    return cc.compare(reference, subject)


def with_nan(array: Any) -> Any:
    array[0, 0] = np.nan
    return array


@pytest.fixture
def agreeing() -> cc.Agreement:
    return agreement_with()


@pytest.fixture
def failing() -> cc.Agreement:
    return agreement_with(lambda array: -array)


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


HOSTILE = "<img src=x onerror=alert(1)>|`x`*\n# \x1b[31mred\u202eevil"


def hostile(agreement: cc.Agreement) -> cc.Agreement:
    subject = agreement.subjects["copy"]
    tensors = tuple(replace(tensor, name=f"0/forward/{HOSTILE}") for tensor in subject.tensors)
    return replace(agreement, case=HOSTILE, subjects={HOSTILE: replace(subject, tensors=tensors)})


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


def test_folder_holds_record_page_and_evidence(failing: cc.Agreement, tmp_path: Path) -> None:
    written = failing.write(tmp_path / "reports" / "article")
    assert sorted(path.name for path in written.iterdir()) == ["agreement.json", "agreement.md", "tensors.safetensors"]
    tensors = load_file(written / "tensors.safetensors")
    np.testing.assert_array_equal(tensors[f"copy/{NAME}"], -tensors[f"reference/{NAME}"])


def test_folder_forgets_the_evidence_of_an_earlier_failure(
    failing: cc.Agreement, agreeing: cc.Agreement, tmp_path: Path
) -> None:
    failing.write(tmp_path)
    agreeing.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["agreement.json", "agreement.md"]


def test_evidence_of_strided_tensors_reads_back(failing: cc.Agreement, tmp_path: Path) -> None:
    array = np.arange(12.0).reshape(3, 4)
    replace(failing, evidence={"a": array.T, "b": array[::-1, ::2], "c": np.float64(3)}).write(tmp_path)
    tensors = load_file(tmp_path / "tensors.safetensors")
    np.testing.assert_array_equal(tensors["a"], array.T)
    np.testing.assert_array_equal(tensors["b"], array[::-1, ::2])
    assert tensors["c"].shape == ()


def test_evidence_is_capped(failing: cc.Agreement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "EVIDENCE_BYTES", 100)
    replace(failing, evidence={"a": np.zeros(10), "b": np.zeros(10), "c": np.zeros(2)}).write(tmp_path)
    assert sorted(load_file(tmp_path / "tensors.safetensors")) == ["a", "c"]


def test_interrupted_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.json"
    folder.write_text(path, "old")

    def fail(*args: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        folder.write_text(path, "new")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.json"]
