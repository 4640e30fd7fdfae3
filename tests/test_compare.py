"""Comparison: what is checked of a tensor, in which order, and what a subject's verdict is. Each rule has its fault."""

from __future__ import annotations

from dataclasses import replace

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.comparison.compare import Comparison
from numpy.typing import NDArray

NAME = "0/gradient/k.weight"


@pytest.fixture
def reference() -> cc.Trace:
    return cc.record("article")


def subject_of(reference: cc.Trace, **changed: NDArray[np.generic] | None) -> cc.Trace:
    """A copy of the reference as another's trace, with one tensor changed, or left out."""
    tensors = {name: np.array(tensor) for name, tensor in reference.tensors.items()}
    for array in changed.values():
        if array is None:
            del tensors[NAME]
        else:
            tensors[NAME] = array
    return cc.Trace("subject", reference.case, {"version": "1"}, tensors)


def planted(reference: cc.Trace, place: tuple[int, ...], value: float) -> NDArray[np.generic]:
    array = np.array(reference[NAME])
    array[place] = value
    return array


def tensor_of(
    reference: cc.Trace, subject: cc.Trace, name: str = NAME, local: bool | None = None
) -> cc.TensorAgreement:
    found = cc.compare(reference, subject, local=local).subjects["subject"]
    return next(tensor for tensor in found.tensors if tensor.name == name)


def test_equal_traces_agree(reference: cc.Trace) -> None:
    agreement = cc.compare(reference, subject_of(reference))
    assert agreement.ok
    found = agreement.subjects["subject"]
    assert found.verdict == "agree"
    assert found.first_divergence is None
    assert [tensor.name for tensor in found.tensors] == list(reference)
    assert all(tensor.max_abs == 0 for tensor in found.tensors)


def test_tensor_starts_as_not_compared() -> None:
    tensor = cc.TensorAgreement("n", "p", "o", "k", (1,), "float64")
    assert tensor.verdict == tensor.end_to_end == tensor.local == "not compared"


def test_an_agreement_says_where_each_side_was_computed() -> None:
    found = cc.compare(cc.record("article"), cc.record("article"))
    assert {"numpy", "machine", "device", "baseline"} <= found.environment.keys()
    assert "version" not in found.environment
    assert found.environment["device"] == "cpu"


def test_missing_tensor_is_not_given_and_no_agreement(reference: cc.Trace) -> None:
    agreement = cc.compare(reference, subject_of(reference, gone=None))
    tensor = tensor_of(reference, subject_of(reference, gone=None))
    assert (tensor.verdict, tensor.failed) == ("not given", "present")
    assert agreement.subjects["subject"].verdict == "not given"
    assert not agreement.ok


def test_wrong_dtype_comes_before_shape_and_values(reference: cc.Trace) -> None:
    tensor = tensor_of(reference, subject_of(reference, other=np.zeros((2, 2), np.float32)))
    assert (tensor.verdict, tensor.failed, tensor.received) == ("disagree", "dtype", "float32")


@pytest.mark.parametrize("shape", [(1, 4, 4), (16,), (4, 1), ()], ids=str)
def test_shape_is_exact_and_nothing_is_broadcast(reference: cc.Trace, shape: tuple[int, ...]) -> None:
    tensor = tensor_of(reference, subject_of(reference, other=np.ones(shape)))
    assert (tensor.verdict, tensor.failed, tensor.received) == ("disagree", "shape", str(shape))
    assert tensor.elements is None


def test_nan_is_a_finding_and_the_other_figures_stay(reference: cc.Trace) -> None:
    array = planted(reference, (1, 2), np.nan)
    array[3, 3] += 1.0
    tensor = tensor_of(reference, subject_of(reference, other=array))
    assert (tensor.verdict, tensor.failed) == ("disagree", "nan")
    assert tensor.nan == (0, 1)
    assert tensor.max_abs == pytest.approx(1.0)
    assert tensor.mismatched == 2
    assert tensor.worst_index == (1, 2)


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_a_finding(reference: cc.Trace, value: float) -> None:
    tensor = tensor_of(reference, subject_of(reference, other=planted(reference, (0, 0), value)))
    assert (tensor.verdict, tensor.failed, tensor.inf) == ("disagree", "infinity", (0, 1))


def test_infinity_of_the_other_sign_is_a_finding(reference: cc.Trace) -> None:
    reference.tensors[NAME] = planted(reference, (0, 0), np.inf)
    subject = subject_of(reference, other=planted(reference, (0, 0), -np.inf))
    tensor = tensor_of(reference, subject, local=False)
    assert (tensor.verdict, tensor.failed, tensor.inf) == ("disagree", "infinity", (1, 1))


def test_same_nan_and_infinity_agree(reference: cc.Trace) -> None:
    array = planted(reference, (0, 0), np.inf)
    array[1, 1] = np.nan
    reference.tensors[NAME] = array
    assert tensor_of(reference, subject_of(reference, other=array.copy()), local=False).verdict == "agree"


def test_one_element_off_by_a_millionth_is_found(reference: cc.Trace) -> None:
    array = np.array(reference[NAME])
    array[2, 0] *= 1 + 1e-6
    tensor = tensor_of(reference, subject_of(reference, other=array))
    assert (tensor.verdict, tensor.failed, tensor.mismatched) == ("disagree", "values", 1)
    assert tensor.worst_index == (2, 0)
    assert tensor.reference == reference[NAME][2, 0]
    assert tensor.subject == array[2, 0]
    assert tensor.tolerance is not None
    assert tensor.would_pass is not None
    assert tensor.would_pass > tensor.tolerance


def test_transposed_square_matrix_is_found(reference: cc.Trace) -> None:
    tensor = tensor_of(reference, subject_of(reference, other=np.ascontiguousarray(reference[NAME].T)))
    assert tensor.verdict == "disagree"


def test_tensor_that_the_case_does_not_have_is_found(reference: cc.Trace) -> None:
    subject = subject_of(reference)
    subject.tensors["0/gradient/nowhere"] = np.zeros(3)
    tensor = tensor_of(reference, subject, "0/gradient/nowhere")
    assert (tensor.verdict, tensor.failed) == ("disagree", "expected")


def test_first_divergence_is_first_in_order_of_computation(reference: cc.Trace) -> None:
    subject = subject_of(reference)
    for name in ("0/update/j.weight", "0/backward/k.tanh", "0/gradient/o.weight"):
        subject.tensors[name] = subject.tensors[name] + 1
    found = cc.compare(reference, subject).subjects["subject"]
    assert found.first_divergence == "0/backward/k.tanh"
    assert found.worst_first()[0].verdict == "disagree"


def test_order_of_computation_is_known_for_two_frameworks_traces(reference: cc.Trace) -> None:
    bare = cc.Trace("other", reference.case, {}, dict(sorted(reference.tensors.items())))
    found = cc.compare(bare, subject_of(reference), local=False).subjects["subject"]
    assert [tensor.name for tensor in found.tensors] == list(reference)
    assert found.tensors[0].operation == "0/forward(j)"


def test_only_some_tensors(reference: cc.Trace) -> None:
    found = Comparison(reference, cc.Computed(), ["*/forward/*"]).of(subject_of(reference, gone=None))
    assert found.verdict == "agree"
    assert {tensor.phase for tensor in found.tensors} == {"forward"}


def test_nothing_compared_is_no_agreement(reference: cc.Trace) -> None:
    agreement = cc.check("article", against=[])
    assert not agreement.compared
    assert not agreement.ok
    with pytest.raises(cc.Disagreement, match="nothing was compared"):
        agreement.raise_if_failed()


def test_traces_of_different_cases_are_refused(reference: cc.Trace) -> None:
    other = replace(subject_of(reference), case=cc.load_case("mazur"))
    with pytest.raises(ValueError, match="name: expected what reference started from, 'article'; received 'mazur'"):
        cc.compare(reference, other)


def test_failure_names_tensor_operation_values_and_tolerance(reference: cc.Trace) -> None:
    array = planted(reference, (2, 0), 5.0)
    with pytest.raises(cc.Disagreement) as caught:
        cc.compare(reference, subject_of(reference, other=array)).raise_if_failed()
    text = str(caught.value)
    for part in ("subject 1", "0/gradient/k.weight", "0/backward(k)", "[2, 0]", "5.0", "allowed"):
        assert part in text


def test_elements_of_what_failed_are_kept(reference: cc.Trace) -> None:
    array = planted(reference, (2, 0), 5.0)
    found = cc.compare(reference, subject_of(reference, other=array)).subjects["subject"]
    # The weight after the step is right, and so not what becomes of the gradient that was planted.
    failed = (NAME, "0/update/k.weight")
    assert sorted(found.arrays) == sorted(failed)
    kept = found.arrays[NAME]
    np.testing.assert_array_equal(kept.subject, array)
    np.testing.assert_array_equal(kept.reference, reference[NAME])
    assert kept.sigma.shape == array.shape
    assert ((kept.sigma > 0) == (reference[NAME] != 0)).all()


def test_elements_of_what_was_asked_for_are_kept_too(reference: cc.Trace) -> None:
    found = cc.compare(reference, subject_of(reference), show=["*/gradient/j.*"]).subjects["subject"]
    assert list(found.arrays) == ["0/gradient/j.weight", "0/gradient/j.bias"]
    assert not cc.compare(reference, subject_of(reference)).subjects["subject"].arrays


def test_what_each_subject_should_have_made_is_its_own(reference: cc.Trace) -> None:
    """What is right locally depends on the subject's own inputs, here to the update of the weight."""
    comparison = Comparison(reference, cc.Computed())
    expected = []
    for value in (5.0, 6.0):
        found = comparison.of(subject_of(reference, other=planted(reference, (2, 0), value)))
        expected.append(found.arrays["0/update/k.weight"].reference)
    assert not np.array_equal(*expected)


def test_crash_is_its_own_verdict_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = pytest.importorskip("crosscheck.adapters.torch.adapter")
    pytest.importorskip("jax")

    def fail(self: object, case: cc.Case, device: str) -> cc.Trace:
        raise RuntimeError("the machine is on fire")

    monkeypatch.setattr(adapter.Torch, "run", fail)
    agreement = cc.check("article", ["torch", "jax"])
    assert agreement.subjects["torch"].verdict == "crashed"
    assert "RuntimeError: the machine is on fire" in agreement.subjects["torch"].reason
    assert agreement.subjects["jax"].verdict == "agree"
    assert not agreement.ok


def test_unknown_adapter_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        cc.check("article", ["nothing"])


def test_epsilon_table_is_relative_to_the_largest_element() -> None:
    table = cc.EpsilonTable()
    for dtype in (np.float16, np.float32, np.float64, np.longdouble):
        array = np.array([0.0, -4.0, 1.0], dtype)
        assert table.limit * table.sigma(array, str(array.dtype)) == pytest.approx(64 * 4 * float(np.finfo(dtype).eps))
    assert table.limit * table.sigma(np.array([-4.0], np.float32), "bfloat16") == 64 * 4 * 2**-7
    assert table.sigma(np.zeros(3), "float64") > 0
    assert table.sigma(np.array([np.nan, np.inf, 1.0]), "float64") == table.sigma(np.array([1.0]), "float64")
    assert table.sigma(np.array([3]), "int64") == 0


def test_a_pattern_alone_is_no_list_of_letters() -> None:
    trace = cc.record("article")
    (found,) = cc.compare(trace, trace, only="*/gradient/*").subjects.values()
    assert {tensor.phase for tensor in found.tensors} == {"gradient"}
