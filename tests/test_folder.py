"""An agreement on disk: what is kept of it, that it reads back, and that what is broken is told."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from agreements import NAME, agreement_with, with_nan
from crosscheck.cases.tensors import as_tensors, identical
from crosscheck.cli import app
from crosscheck.comparison.agreement import Arrays
from crosscheck.rendering import folder
from crosscheck.rendering.arrays import fitting
from crosscheck.rendering.as_json import from_json, to_json
from safetensors.numpy import load_file
from typer.testing import CliRunner

FILES = ["agreement.json", "agreement.md", "junit.xml", "report.html"]


def kept_in(folder: Path) -> dict[str, Any]:
    return load_file(folder / "tensors.safetensors")


def with_arrays(agreement: cc.Agreement, **arrays: Any) -> cc.Agreement:
    """The failing agreement, with these for the elements of its tensors in their order."""
    subject = agreement.subjects["copy"]
    names = [NAME, *(tensor.name for tensor in subject.tensors if tensor.name != NAME)]
    held = {name: Arrays(array, array, np.float64(1)) for name, array in zip(names, arrays.values(), strict=False)}
    return replace(agreement, subjects={"copy": replace(subject, arrays=held)})


def test_folder_holds_record_pages_and_elements(failing: cc.Agreement, tmp_path: Path) -> None:
    written = failing.write(tmp_path / "reports" / "article")
    assert sorted(path.name for path in written.iterdir()) == [*FILES, "tensors.safetensors"]
    tensors = kept_in(written)
    np.testing.assert_array_equal(tensors[f"subject/copy/{NAME}"], -tensors[f"reference/copy/{NAME}"])
    assert tensors[f"sigma/copy/{NAME}"].shape == tensors[f"subject/copy/{NAME}"].shape


def test_folder_forgets_the_elements_of_an_earlier_failure(
    failing: cc.Agreement, agreeing: cc.Agreement, tmp_path: Path
) -> None:
    failing.write(tmp_path)
    agreeing.write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


def test_elements_of_strided_tensors_read_back(failing: cc.Agreement, tmp_path: Path) -> None:
    array = np.arange(12.0).reshape(3, 4)
    stored = fitting(with_arrays(failing, a=array.T, b=array[::-1, ::2], c=np.float64(3)))[1]
    folder.write_bytes(tmp_path / "x", as_tensors(stored))
    back = [array for key, array in load_file(tmp_path / "x").items() if key.startswith("subject/")]
    expected = [array.T, array[::-1, ::2], np.float64(3)]
    assert sorted(map(repr, back)) == sorted(repr(np.array(array, order="C")) for array in expected)


def test_elements_are_capped_and_what_is_left_out_is_said(
    failing: cc.Agreement, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crosscheck.rendering.arrays.MOST_BYTES", 100)
    capped, stored = fitting(with_arrays(failing, a=np.zeros(2), b=np.zeros(10), c=np.zeros(1)))
    held = capped.subjects["copy"]
    assert [array.size for array in (held.arrays[name].subject for name in held.arrays)] == [2, 1]
    assert len(stored) == 6
    assert len(held.not_kept) == 1


def test_elements_that_fail_go_first(failing: cc.Agreement, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tensor that fails is one of the last in the order of computation."""
    monkeypatch.setattr("crosscheck.rendering.arrays.MOST_BYTES", 100)
    capped, _ = fitting(with_arrays(failing, failing=np.zeros(4), agreeing=np.zeros(4)))
    assert list(capped.subjects["copy"].arrays) == [NAME]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "longdouble"])
def test_elements_of_every_dtype_read_back_exactly(dtype: str, tmp_path: Path) -> None:
    case = cc.load_case("article", dtype=dtype)
    trace = cc.record(case)
    tensors = {name: np.array(array) for name, array in trace.tensors.items()}
    tensors[NAME] = -tensors[NAME]
    found = cc.compare(trace, cc.Trace("copy", case, {}, tensors, dtypes=trace.dtypes))
    found.write(tmp_path)
    kept, back = (agreement.subjects["copy"].arrays for agreement in (found, folder.read(tmp_path)))
    assert NAME in back
    assert list(back) == list(kept)
    for name, arrays in kept.items():
        for role in ("reference", "subject"):
            assert identical(getattr(back[name], role), getattr(arrays, role))


def test_extended_numbers_that_no_two_doubles_hold_are_left_out(failing: cc.Agreement) -> None:
    if np.finfo(np.longdouble).max == np.finfo(np.float64).max:
        pytest.skip("longdouble is double here")
    largest = np.array([np.finfo(np.longdouble).max])
    capped, stored = fitting(with_arrays(failing, a=largest))
    assert not stored
    assert capped.subjects["copy"].not_kept == (NAME,)


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        (lambda array: array.T, "shape"),
        (lambda array: array.ravel()[:-1], "shape"),
        (lambda array: array.astype(np.float32), "dtype"),
        (lambda array: array.T.astype(np.int16), "dtype"),
        (lambda array: array[:0], "shape"),
    ],
    ids=["transposed", "one less", "float32", "integers of another shape", "none"],
)
def test_what_is_refused_is_kept_as_it_was_given(change: Any, failed: str, tmp_path: Path) -> None:
    found = agreement_with(change)
    found.write(tmp_path)
    subject = folder.read(tmp_path).subjects["copy"]
    (tensor,) = (one for one in subject.tensors if one.verdict == "disagree")
    assert (tensor.name, tensor.failed, subject.not_kept) == (NAME, failed, ())
    right = cc.record("article")[NAME]
    assert identical(subject.arrays[NAME].subject, np.asarray(change(right)))
    assert identical(subject.arrays[NAME].reference, right)


def test_complex_numbers_are_not_kept_and_the_page_says_why(tmp_path: Path) -> None:
    agreement_with(lambda array: array + 1j).write(tmp_path)
    subject = folder.read(tmp_path).subjects["copy"]
    assert (dict(subject.arrays), subject.not_kept) == ({}, (NAME,))
    assert "a file of arrays has no complex numbers" in (tmp_path / "report.html").read_text()


def test_names_with_slashes_do_not_meet(failing: cc.Agreement, tmp_path: Path) -> None:
    subject = failing.subjects["copy"]
    (tensor,) = (tensor for tensor in subject.tensors if tensor.name == NAME)
    one, other = (Arrays(np.zeros(tensor.shape) + value, np.ones(tensor.shape), np.float64(1)) for value in (1, 2))
    strange = replace(tensor, name="x/0/y")
    subjects = {
        "a": replace(subject, tensors=(strange,), first_divergence="x/0/y", arrays={"x/0/y": one}),
        "a/x": replace(subject, tensors=(replace(tensor, name="0/y"),), first_divergence="0/y", arrays={"0/y": other}),
    }
    replace(failing, subjects=subjects).write(tmp_path)
    back = folder.read(tmp_path).subjects
    np.testing.assert_array_equal(back["a"].arrays["x/0/y"].reference, one.reference)
    np.testing.assert_array_equal(back["a/x"].arrays["0/y"].reference, other.reference)


# --------------------------------------------------------------------------------------------------------- reading back


@pytest.mark.parametrize("change", [None, lambda array: -array, with_nan], ids=["agreeing", "failing", "NaN"])
def test_the_record_reads_back(change: Any) -> None:
    found = agreement_with(change)
    back = from_json(to_json(found))
    assert to_json(back) == to_json(found)
    for name, subject in found.subjects.items():
        assert repr(back.subjects[name]) == repr(subject)
    assert back.network == found.network


def test_pages_made_later_are_the_same(failing: cc.Agreement, tmp_path: Path) -> None:
    """Everything derives from the folder: byte for byte what was written beside the record."""
    failing.write(tmp_path)
    pages = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in ("report.html", "agreement.md", "junit.xml"):
        (tmp_path / name).unlink()
    folder.render(folder.read(tmp_path), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == pages


def first_tensor(record: Any) -> Any:
    return record["subjects"]["copy"]["tensors"][0]


def subject_in(record: Any) -> Any:
    return record["subjects"]["copy"]


BROKEN = {
    "no JSON": (lambda record: "{", "expected a JSON document"),
    "no object": (lambda record: "[1]", r"expected an agreement, a JSON object; received \[1\]"),
    "no schema": (lambda record: record.pop("schema"), "schema: expected 1, .*; received null"),
    "schema 2": (lambda record: record.update(schema=2), "schema: expected 1, .*; received 2"),
    "no case": (lambda record: record.pop("case"), "case: expected a value; received nothing"),
    "another key": (lambda record: record.update(new=1), "new: expected no key of this name; received 1"),
    "steps": (lambda record: record.update(steps="many"), 'steps: expected a valid integer.*; received "many"'),
    "limit": (lambda record: record.update(limit=0), "limit: expected a number above 0; received 0"),
    "verdict": (
        lambda record: first_tensor(record).update(verdict="fine"),
        r"subjects\.copy\.tensors\.0\.verdict: expected 'agree', .*; received \"fine\"",
    ),
    "number": (
        lambda record: first_tensor(record).update(sigmas="lots"),
        r"subjects\.copy\.tensors\.0\.sigmas: expected a valid number.*; received \"lots\"",
    ),
    "elements": (
        lambda record: subject_in(record).update(arrays={NAME: {"reference": 1}}),
        r"subjects\.copy\.arrays",
    ),
    "agrees after all": (lambda record: record.update(agrees=True), "agrees: expected false, which follows .* true"),
    "a verdict of its own": (
        lambda record: subject_in(record).update(verdict="agree"),
        r'subjects\.copy\.verdict: expected "disagree", which follows from the tensors; received "agree"',
    ),
    "another divergence": (
        lambda record: subject_in(record).update(first_divergence="0/forward/j"),
        r"subjects\.copy\.first_divergence: expected \"0/gradient/o.weight\"",
    ),
    "values without figures": (
        lambda record: next(t for t in subject_in(record)["tensors"] if t["name"] == NAME).update(tolerance=None),
        r"tolerance: expected a value, for the values disagree; received null",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_record_is_an_error_that_says_where(what: str, failing: cc.Agreement, tmp_path: Path) -> None:
    change, message = BROKEN[what]
    failing.write(tmp_path)
    path = tmp_path / "agreement.json"
    record = json.loads(path.read_text())
    changed = change(record)
    path.write_text(changed if what in ("no JSON", "no object") else json.dumps(record))
    with pytest.raises(cc.CaseError, match=message) as caught:
        folder.read(tmp_path)
    assert str(caught.value).startswith(f"{path}: ")


def test_elements_of_another_shape_are_an_error(failing: cc.Agreement, tmp_path: Path) -> None:
    failing.write(tmp_path)
    path = tmp_path / "tensors.safetensors"
    tensors = load_file(path)
    path.write_bytes(as_tensors({**tensors, f"subject/copy/{NAME}": np.zeros((2, 2))}))
    with pytest.raises(cc.CaseError, match=rf"tensors.safetensors: subject/copy/{NAME}: expected numbers of shape"):
        folder.read(tmp_path)
    path.write_bytes(b"nothing")
    with pytest.raises(cc.CaseError, match=r"tensors.safetensors: expected a whole safetensors file"):
        folder.read(tmp_path)


@pytest.mark.parametrize("name", ["agreement.json", "tensors.safetensors"])
def test_what_is_too_large_is_refused_before_it_is_read(name: str, failing: cc.Agreement, tmp_path: Path) -> None:
    failing.write(tmp_path)
    os.truncate(tmp_path / name, folder.LARGEST + 1)
    expected = rf"{name}: expected a file of at most 268,435,456 bytes; received '{name}', which is larger"
    with pytest.raises(cc.CaseError, match=expected):
        folder.read(tmp_path)
    result = CliRunner().invoke(app, ["report", str(tmp_path)])
    assert result.exit_code == 2
    assert "at most 268,435,456 bytes" in " ".join(result.output.split())


def test_without_the_elements_the_page_says_so(failing: cc.Agreement, tmp_path: Path) -> None:
    failing.write(tmp_path)
    (tmp_path / "tensors.safetensors").unlink()
    folder.render(folder.read(tmp_path), tmp_path)
    assert "Its elements are not beside the record." in (tmp_path / "report.html").read_text()


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
