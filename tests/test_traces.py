"""Traces on disk: what is saved is what is loaded, and two are compared as if both had just been made."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases import same_case
from crosscheck.comparison import traces
from crosscheck.comparison.figures import Figures, measure
from crosscheck.comparison.windows import joined
from crosscheck.traces import mapping
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from safetensors import safe_open
from samples import case_file

NAME = "0/gradient/k.weight"


@pytest.fixture(scope="module")
def article() -> cc.Case:
    return cc.load_case("article")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> cc.Case:
    """A case with so many weights that they do not stand in its text, drawn by a seed."""
    return cc.load_case(case_file(tmp_path_factory.mktemp("wide"), inputs=40, outputs=30))


@pytest.fixture
def reference(article: cc.Case) -> cc.Trace:
    return cc.record(article)


def saved(trace: cc.Trace, folder: Path, name: str = "a.trace") -> Path:
    cc.save_trace(trace, folder / name)
    return folder / name


def same(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Whether two arrays are the same bit for bit, whatever their order in memory and that of their bytes."""
    native = [array.astype(array.dtype.newbyteorder("="), order="C") for array in map(np.asarray, (a, b))]
    return native[0].dtype == native[1].dtype and a.shape == b.shape and native[0].tobytes() == native[1].tobytes()


def assert_same(loaded: cc.Trace, trace: cc.Trace) -> None:
    assert trace.case is not None
    assert loaded.case is not None
    assert same_case(loaded.case, trace.case)
    assert (loaded.source, loaded.operations, loaded.dtypes) == (trace.source, trace.operations, trace.dtypes)
    assert loaded.environment.items() >= trace.environment.items()
    for store in ("tensors", "given"):
        ours, theirs = getattr(loaded, store), getattr(trace, store)
        assert list(ours) == list(theirs)
        assert all(same(ours[name], theirs[name]) for name in theirs)


@pytest.mark.parametrize(
    ("case", "dtype"),
    [
        ("article", "float64"),
        ("article", "bfloat16"),
        ("article", "float16"),
        ("accumulation", "float32"),
        ("several-losses", "float64"),
        ("character-lstm", "float32"),
        ("lenet", "bfloat16"),
    ],
)
def test_what_is_saved_is_what_is_loaded(case: str, dtype: str, tmp_path: Path) -> None:
    trace = cc.record(cc.load_case(case, dtype=dtype))
    assert_same(cc.load_trace(saved(trace, tmp_path)), trace)


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_frameworks_trace_survives(framework: str, article: cc.Case, adapter_of: Any, tmp_path: Path) -> None:
    adapter_of(framework)
    trace = cc.record(article, framework)
    assert_same(cc.load_trace(saved(trace, tmp_path)), trace)


def test_a_trace_says_where_it_was_made(reference: cc.Trace, tmp_path: Path) -> None:
    environment = cc.load_trace(saved(reference, tmp_path)).environment
    assert environment["crosscheck"] == cc.__version__
    assert environment["numpy"] == np.__version__
    assert environment.keys() >= {"python", "machine", "device"}


def test_inputs_and_weights_are_in_it_and_not_a_seed(wide: cc.Case, tmp_path: Path) -> None:
    path = saved(cc.Trace("nobody", wide), tmp_path)
    loaded = cc.load_trace(path).case
    assert loaded is not None
    assert same_case(loaded, wide)
    assert b"seed" not in path.read_bytes()
    with safe_open(path, framework="numpy") as file:
        assert same(file.get_tensor("case.weights.safetensors/a.weight"), wide.weights["a.weight"])


def test_other_programs_read_the_tensors(reference: cc.Trace, tmp_path: Path) -> None:
    with safe_open(saved(reference, tmp_path), framework="numpy") as file:
        assert set(file.keys()) == {*reference.tensors, *reference.given}
        assert same(file.get_tensor(NAME), reference[NAME])


def test_the_same_trace_makes_the_same_file(reference: cc.Trace, tmp_path: Path) -> None:
    assert saved(reference, tmp_path).read_bytes() == saved(reference, tmp_path, "b.trace").read_bytes()


def test_loaded_tensors_cannot_be_written_to(reference: cc.Trace, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="read-only"):
        cc.load_trace(saved(reference, tmp_path))[NAME][...] = 0


BASE = np.arange(24.0).reshape(4, 6)
ARRAYS: dict[str, NDArray[Any]] = {
    "columns first": BASE.T,
    "strided": BASE[::2, 1::3],
    "negative strides": BASE[::-1, ::-2],
    "broadcast": np.broadcast_to(np.float32([1, 2, 3]), (5, 3)),
    "big-endian": BASE.astype(">f4"),
    "big-endian, columns first": BASE.astype(">f8").T,
    "no axes": np.array(2.5, np.float16),
    "empty": np.empty((3, 0, 2), np.float32),
    "all NaN": np.full((2, 3), np.nan),
    "NaN of every kind": np.array([0x7FF8000000000001, 0xFFF0000000000002, 0x7FF0000000000003], np.uint64).view(float),
    "infinities and zeros": np.array([np.inf, -np.inf, 0.0, -0.0], np.float16),
    "denormal": np.array([5e-324, -1e-310, 2.2250738585072014e-308]),
    "denormal float32": np.array([1e-45, -1e-40], np.float32),
    "whole numbers": np.array([[2**62, -(2**62)]]),
    "masks": np.array([True, False]),
    "not aligned": np.frombuffer(bytes(range(1, 26)), np.float64, 3, 1),
}


@pytest.mark.parametrize("what", ARRAYS)
def test_tensors_of_every_kind_survive(what: str, article: cc.Case, tmp_path: Path) -> None:
    trace = cc.Trace("subject", article, {}, {"0/forward/before": BASE, NAME: ARRAYS[what], "0/forward/behind": BASE})
    loaded = cc.load_trace(saved(trace, tmp_path))
    assert_same(loaded, trace)
    assert loaded.dtype_of(NAME) == trace.dtype_of(NAME)
    assert cc.compare(trace, replace(loaded, source="copy"), local=False).subjects["copy"].verdict == "agree"


@settings(max_examples=40, deadline=None)
@given(
    array=st.sampled_from([np.float16, np.float32, np.float64, ">f4", np.int64]).flatmap(
        lambda dtype: arrays(dtype, st.lists(st.integers(0, 4), max_size=3).map(tuple))
    ),
    order=st.sampled_from(["C", "F"]),
)
def test_any_array_survives(
    array: NDArray[Any], order: Any, article: cc.Case, tmp_path_factory: pytest.TempPathFactory
) -> None:
    trace = cc.Trace("subject", article, {}, {NAME: np.asarray(array, order=order)})
    assert_same(cc.load_trace(saved(trace, tmp_path_factory.mktemp("any"))), trace)


class Own(cc.Relu):
    """A layer that no file can name."""


def with_layer_of_ones_own(trace: cc.Trace) -> cc.Trace:
    assert trace.case is not None
    nodes = tuple(replace(node, layer=Own()) if node.name == "j.relu" else node for node in trace.case.nodes)
    return replace(trace, case=replace(trace.case, nodes=nodes))


REFUSED: dict[str, tuple[Callable[[cc.Trace], cc.Trace], str]] = {
    "no case": (lambda trace: replace(trace, case=None), "expected a trace that holds the case"),
    "a layer of one's own": (with_layer_of_ones_own, "nodes.j.relu: expected one of the package's own kinds"),
    "longdouble": (
        lambda trace: replace(trace, tensors={NAME: np.zeros(3, np.longdouble)}),
        "expected tensors of a type that safetensors has",
    ),
    "complex": (lambda trace: replace(trace, tensors={NAME: np.zeros(3, complex)}), "received complex128"),
    "objects": (lambda trace: replace(trace, tensors={NAME: np.array([None])}), "received object"),
    "a name of two parts": (lambda trace: replace(trace, tensors={"0/forward": BASE}), "received '0/forward'"),
    "given among the tensors": (
        lambda trace: replace(trace, tensors={"0/data/input": BASE}),
        "received '0/data/input'",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_saved_is_refused(what: str, reference: cc.Trace, tmp_path: Path) -> None:
    change, message = REFUSED[what]
    with pytest.raises(cc.CaseError) as raised:
        saved(change(reference), tmp_path)
    assert message in str(raised.value)
    assert list(tmp_path.iterdir()) == []


# ------------------------------------------------------------------------------------------------------- comparing


def subject_of(reference: cc.Trace, **changes: Any) -> cc.Trace:
    """A copy of the reference as another's trace."""
    tensors = {name: np.array(array) for name, array in reference.tensors.items()}
    return replace(reference, **{"source": "subject", "tensors": tensors, "operations": [], "given": {}, **changes})


def test_files_are_compared_as_traces_are(reference: cc.Trace, tmp_path: Path) -> None:
    subject = subject_of(reference)
    subject.tensors[NAME][2, 0] *= 1 + 1e-9
    now = cc.compare(reference, subject).subjects["subject"]
    paths = saved(reference, tmp_path), saved(subject, tmp_path, "b.trace")
    agreement = cc.compare(*paths)
    (found,) = agreement.subjects.values()  # the first is the reference, which it is held against
    assert list(agreement.subjects) == [str(paths[1])]
    assert found.tensors == now.tensors
    assert found.diagnosis == now.diagnosis
    assert (found.verdict, found.first_divergence) == ("disagree", NAME)
    assert found.version == f"subject {np.__version__}"


def test_both_are_held_against_the_reference_and_the_one_that_is_wrong_is_named(
    reference: cc.Trace, tmp_path: Path
) -> None:
    wrong = subject_of(reference)
    wrong.tensors[NAME] = -wrong.tensors[NAME]
    right = subject_of(reference)
    right.tensors["0/forward/o"] = np.nextafter(right.tensors["0/forward/o"], 9)
    first, second = saved(wrong, tmp_path), saved(right, tmp_path, "b.trace")
    agreement = cc.compare(first, second)
    assert [found.verdict for found in agreement.subjects.values()] == ["disagree", "agree"]
    assert "-1 times" in agreement.subjects[str(first)].diagnosis[0].cause
    assert all(tensor.local == "agree" for tensor in agreement.subjects[str(second)].tensors)


def test_a_reference_that_was_changed_is_found(reference: cc.Trace, tmp_path: Path) -> None:
    changed = replace(reference, tensors={**reference.tensors, NAME: reference[NAME] * 2})
    agreement = cc.compare(saved(changed, tmp_path), saved(subject_of(reference), tmp_path, "b.trace"))
    assert [found.verdict for found in agreement.subjects.values()] == ["disagree", "agree"]


def test_directly_two_that_are_wrong_alike_agree(reference: cc.Trace, tmp_path: Path) -> None:
    wrong = subject_of(reference)
    wrong.tensors[NAME] = -wrong.tensors[NAME]
    paths = saved(wrong, tmp_path), saved(wrong, tmp_path, "b.trace")
    assert not cc.compare(*paths).ok
    agreement = cc.compare(*paths, local=False)
    assert agreement.ok
    assert agreement.environment["baseline"] == str(paths[0])
    assert {tensor.local for tensor in agreement.subjects[str(paths[1])].tensors} == {"not compared"}


def test_directly_the_references_own_values_count(reference: cc.Trace) -> None:
    changed = replace(reference, tensors={**reference.tensors, NAME: reference[NAME] * 2})
    found = cc.compare(changed, subject_of(reference), local=False).subjects["subject"]
    assert found.first_divergence == NAME


def test_without_a_case_nothing_is_compared_locally(reference: cc.Trace) -> None:
    bare = [subject_of(reference, case=None), subject_of(reference, case=None)]
    assert cc.compare(*bare).ok
    with pytest.raises(cc.CaseError, match="to compare locally"):
        cc.compare(*bare, local=True)


def test_a_trace_and_a_file_are_compared(reference: cc.Trace, tmp_path: Path) -> None:
    assert cc.compare(reference, saved(subject_of(reference), tmp_path)).ok


def test_a_file_beside_itself_has_two_names(reference: cc.Trace, tmp_path: Path) -> None:
    path = saved(subject_of(reference, tensors={**reference.tensors, NAME: reference[NAME] * 2}), tmp_path)
    assert list(cc.compare(path, path).subjects) == [f"{path} (first)", f"{path} (second)"]


def other_inputs(case: cc.Case, **changes: Any) -> dict[str, cc.Case]:
    """The case with each of its inputs changed, by the key that it stands under."""
    o_bias = np.array(case.weights["o.bias"])
    batch = case.batches[0]
    return {
        "weights.o.bias.0": replace(case, weights={**case.weights, "o.bias": np.nextafter(o_bias, 1)}),
        "data.inputs.0.0": replace(case, batches=[cc.Batch(batch.inputs * (1 + 2**-50), batch.targets)]),
        "data.targets.0.0": replace(case, batches=[cc.Batch(batch.inputs, [[0.0, 1.0, 0.0]])]),
        "dtype": replace(case, dtype="float32"),
        "steps": replace(case, steps=2),
        "optimizer.learning_rate": replace(case, optimizer=cc.SGD(0.02)),
        "nodes.3.kind": replace(
            case, nodes=[replace(n, layer=cc.Sigmoid()) if n.name == "k.tanh" else n for n in case.nodes]
        ),
        "name": replace(case, name="other"),
    }


@pytest.mark.parametrize("whole", [True, False], ids=["recomputed", "large"])
@pytest.mark.parametrize("key", list(other_inputs(cc.load_case("article"))))
def test_other_inputs_are_refused_by_name(
    key: str, whole: bool, article: cc.Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "RECOMPUTED_BYTES", 2**26 if whole else -1)
    paths = [
        saved(cc.Trace("one", article), tmp_path),
        saved(cc.Trace("other", other_inputs(article)[key]), tmp_path, "b.trace"),
    ]
    with pytest.raises(cc.CaseError) as raised:
        cc.compare(*paths)
    assert (raised.value.file, raised.value.key) == (str(paths[1]), key)
    assert f"what {paths[0]} started from" in raised.value.expected


@pytest.mark.parametrize("whole", [True, False], ids=["recomputed", "large"])
def test_other_arrays_beside_the_case_are_refused_by_name(
    whole: bool, wide: cc.Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(traces, "RECOMPUTED_BYTES", 2**26 if whole else -1)
    weights = {**wide.weights, "a.bias": np.nextafter(wide.weights["a.bias"], 9)}
    paths = [saved(cc.Trace("one", wide), tmp_path)]
    paths += [saved(cc.Trace("other", replace(wide, weights=weights)), tmp_path, "b.trace")]
    with pytest.raises(cc.CaseError) as raised:
        cc.compare(*paths)
    assert raised.value.key == "case.weights.safetensors/a.bias"


def test_words_about_a_case_may_differ(reference: cc.Trace, article: cc.Case, tmp_path: Path) -> None:
    subject = subject_of(reference, case=replace(article, about="in other words", symbols={}))
    assert cc.compare(saved(reference, tmp_path), saved(subject, tmp_path, "b.trace")).ok


def test_environments_that_differ_are_listed(reference: cc.Trace, tmp_path: Path) -> None:
    subject = subject_of(
        reference, environment={"version": "9", "device": "gpu", "machine": "Plan9 mips", "tf32": True}
    )
    agreement = cc.compare(saved(reference, tmp_path), saved(subject, tmp_path, "b.trace"))
    assert agreement.ok
    here = cc.load_trace(tmp_path / "a.trace").environment
    assert agreement.differing == {
        "machine": (here["machine"], "Plan9 mips"),
        "version": (f"reference {np.__version__}", "subject 9"),
        "device": ("cpu", "gpu"),
        "tf32": ("", "True"),
    }
    text = agreement.table()
    assert "device: cpu / gpu" in text
    assert "tf32: not said / True" in text
    assert agreement.write(tmp_path / "out").joinpath("agreement.md").read_text().count("Plan9 mips") == 1
    record = json.loads((tmp_path / "out" / "agreement.json").read_text())
    assert record["differing"]["device"] == ["cpu", "gpu"]


RECORD = """
import sys
sys.modules[{absent!r}] = None
from crosscheck.cli import app
app(["record", "article", "--with", {framework!r}, "-o", {path!r}])
"""
COMPARE = """
import sys
sys.modules["torch"] = sys.modules["jax"] = sys.modules["optax"] = None
from crosscheck.cli import app
app(["compare", "torch.trace", "jax.trace", "--json", "out.json"])
"""


def test_one_made_with_torch_only_and_one_with_jax_only_are_compared_with_neither(
    adapter_of: Any, tmp_path: Path
) -> None:
    for framework, absent in (("torch", "jax"), ("jax", "torch")):
        adapter_of(framework)
        code = RECORD.format(absent=absent, framework=framework, path=f"{framework}.trace")
        subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    done = subprocess.run([sys.executable, "-c", COMPARE], cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    record = json.loads((tmp_path / "out.json").read_text())
    assert list(record["subjects"]) == ["torch.trace", "jax.trace"]
    for subject in record["subjects"].values():
        assert {(tensor["local"], tensor["end_to_end"]) for tensor in subject["tensors"]} == {("agree", "agree")}


# ------------------------------------------------------------------------------------------- larger than memory


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of few elements, and nothing that is small enough to be computed again."""
    monkeypatch.setattr(mapping, "WINDOW_BYTES", 64)
    monkeypatch.setattr(traces, "RECOMPUTED_BYTES", 0)


def large(case: cc.Case, source: str, change: Any = None, dtype: str = "float32") -> cc.Trace:
    generator = np.random.default_rng(1)
    trace = cc.Trace(source, case)
    for name in ("0/forward/a", "0/gradient/b", "0/update/c"):
        array = generator.normal(size=(9, 7)).astype(np.float32)
        if dtype == "bfloat16":
            array = (array.view(np.uint32) & np.uint32(0xFFFF0000)).view(np.float32)
        if change and name == "0/gradient/b":
            change(array)
        trace.keep(name, array, "bfloat16" if dtype == "bfloat16" else "")
    return trace


def planted(value: float, *places: tuple[int, int]) -> Callable[[NDArray[Any]], None]:
    def change(array: NDArray[Any]) -> None:
        for place in places:
            array[place] = value

    return change


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_large_traces_agree_window_by_window(dtype: str, narrow: None, article: cc.Case, tmp_path: Path) -> None:
    paths = [saved(large(article, name, dtype=dtype), tmp_path, f"{name}.trace") for name in "ab"]
    agreement = cc.compare(*paths)
    (found,) = agreement.subjects.values()
    assert (agreement.case, agreement.dtype, agreement.steps) == (article.name, article.dtype, 1)
    assert [(t.name, t.verdict, t.elements) for t in found.tensors] == [
        (name, "agree", 63) for name in ("0/forward/a", "0/gradient/b", "0/update/c")
    ]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize(
    ("value", "failed"), [(5.0, "values"), (np.nan, "nan"), (np.inf, "infinity")], ids=["value", "NaN", "infinity"]
)
@pytest.mark.parametrize("place", [(0, 0), (2, 1), (2, 2), (8, 6)], ids=str)
def test_one_element_of_a_large_trace_is_found(
    dtype: str, place: tuple[int, int], value: float, failed: str, narrow: None, article: cc.Case, tmp_path: Path
) -> None:
    paths = [
        saved(large(article, "a", dtype=dtype), tmp_path),
        saved(large(article, "b", planted(value, place), dtype), tmp_path, "b.trace"),
    ]
    (found,) = cc.compare(*paths).subjects.values()
    tensor = found.worst_first()[0]
    assert (found.verdict, found.first_divergence) == ("disagree", "0/gradient/b")
    assert (tensor.failed, tensor.worst_index, tensor.mismatched) == (failed, place, 1)
    assert np.array_equal(tensor.subject, value, equal_nan=True)


def test_the_first_check_that_fails_in_any_window_counts(narrow: None, article: cc.Case, tmp_path: Path) -> None:
    def change(array: NDArray[Any]) -> None:
        array[0, 0], array[4, 4], array[8, 6] = 5.0, np.inf, np.nan

    paths = [saved(large(article, "a"), tmp_path), saved(large(article, "b", change), tmp_path, "b.trace")]
    (found,) = cc.compare(*paths).subjects.values()
    tensor = found.worst_first()[0]
    assert (tensor.failed, tensor.mismatched, tensor.nan, tensor.inf) == ("nan", 3, (0, 1), (0, 1))


def test_shapes_of_large_traces_are_exact(narrow: None, article: cc.Case, tmp_path: Path) -> None:
    other = large(article, "b")
    other.tensors["0/gradient/b"] = other.tensors["0/gradient/b"][:1]  # which NumPy would broadcast
    (found,) = cc.compare(saved(large(article, "a"), tmp_path), saved(other, tmp_path, "b.trace")).subjects.values()
    assert [tensor.failed for tensor in found.tensors] == [None, "shape", None]


VALUES = st.sampled_from([0.0, -0.0, 1.0, 1.5, -2.0, np.nan, np.inf, -np.inf, 5e-324, 1e308])


@settings(max_examples=60, deadline=None)
@given(
    first=arrays(np.float64, (4, 6), elements=VALUES),
    second=arrays(np.float64, (4, 6), elements=VALUES),
    cuts=st.sets(st.integers(1, 23), min_size=1, max_size=4),
)
def test_windows_together_are_the_whole(first: NDArray[Any], second: NDArray[Any], cuts: set[int]) -> None:
    edges = [0, *sorted(cuts), 24]
    parts = [
        (start, measure(first.reshape(-1)[start:stop], second.reshape(-1)[start:stop], 0.25))
        for start, stop in pairwise(edges)
    ]
    assert comparable(joined(parts, first.shape)) == comparable(measure(first, second, 0.25))


def comparable(figures: Figures) -> dict[str, str]:
    """Figures of which NaN equals NaN."""
    return {name: repr(value) for name, value in vars(figures).items()}


def test_a_mapped_file_is_read_again_once_it_was_given_back(reference: cc.Trace, tmp_path: Path) -> None:
    array = cc.load_trace(saved(reference, tmp_path))[NAME]
    assert mapping.file_of(array) is not None
    for _ in range(2):
        ((_, (window,)),) = mapping.windows(array)
        assert same(window, reference[NAME])
