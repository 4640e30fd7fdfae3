"""Two comparisons of every tensor: end to end, and locally from the subject's own inputs to the operation."""

from __future__ import annotations

from dataclasses import replace

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases.random import random_case
from crosscheck.comparison.agreement import describe
from numpy.typing import NDArray

Array = NDArray[np.generic]


def copy_of(case: cc.Case, **changed: Array) -> cc.Trace:
    """The reference's run as a subject's, with some tensors changed (dots and slashes as they are)."""
    trace = cc.record(case)
    tensors = {name: np.array(tensor) for name, tensor in trace.tensors.items()}
    return cc.Trace("subject", case, {"version": "1"}, {**tensors, **changed})


def found(case: cc.Case, subject: cc.Trace) -> cc.SubjectAgreement:
    return cc.compare(cc.record(case), subject).subjects[subject.source]


class Forgetful(cc.Tanh):
    """A tanh whose derivative is that of another function."""

    def backward(self, dy: Array, y: Array, params: object) -> tuple[Array, dict[str, Array]]:
        return dy * (1 - y), {}  # type: ignore[operator]


def with_layer(case: cc.Case, name: str, layer: cc.Tanh) -> cc.Case:
    nodes = tuple(replace(node, layer=layer) if node.name == name else node for node in case.nodes)
    return replace(case, nodes=nodes)


def test_fault_shows_where_it_is_made_and_nowhere_else() -> None:
    """One wrong backward: everything behind it is wrong end to end, and right from the subject's own inputs."""
    case = cc.load_case("article-batch")
    wrong = cc.record(with_layer(case, "k.tanh", Forgetful()))
    wrong.source = "wrong"
    tensors = {tensor.name: tensor for tensor in found(case, wrong).tensors}
    disagreeing = [name for name, tensor in tensors.items() if tensor.verdict == "disagree"]
    assert disagreeing == ["0/backward/k", "1/backward/k"]
    behind = tensors["0/gradient/j.weight"]
    assert (behind.verdict, behind.end_to_end, behind.local) == ("agree", "disagree", "agree")
    before = tensors["0/gradient/o.weight"]
    assert (before.verdict, before.end_to_end, before.local) == ("agree", "agree", "agree")


def test_every_faulty_operation_of_a_run_is_found() -> None:
    case = cc.load_case("mlp")
    trace = cc.record(case)
    changed = {
        name: np.asarray(trace[name]) * (1 + 1e-6)
        for name in ("0/forward/b", "0/gradient/a.weight", "2/state/c.bias.second_moment")
    }
    operations = {t.operation for t in found(case, copy_of(case, **changed)).tensors if t.verdict == "disagree"}
    # What was changed is wrong where it is made, and what the copy made of the old value is wrong where it is used.
    makers = {"0/forward(b)", "0/backward(a)", "2/update(c.bias)"}
    assert makers <= operations
    readers = {op.name for op in trace.operations if set(op.inputs) & set(changed)}
    assert operations <= makers | readers


def test_sigmas_of_both_comparisons_are_reported() -> None:
    pytest.importorskip("torch")
    for tensor in cc.check("mlp", ["torch"]).subjects["torch"].tensors:
        assert tensor.end_to_end_sigmas is not None
        assert tensor.local_sigmas is not None
        assert tensor.sigmas == tensor.local_sigmas
        assert tensor.end_to_end_sigmas < 8


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_not_given_carries_its_rounding_on(dtype: str) -> None:
    """A subject that gives its updated weights alone is judged by them, through a run of the reference between them."""
    case = cc.load_case("mlp", dtype=dtype)
    whole = cc.record(case)
    kept = {name: tensor for name, tensor in whole.tensors.items() if "/update/" in name}
    agreement = found(case, cc.Trace("sparse", case, {}, kept))
    given = {tensor.verdict for tensor in agreement.tensors if tensor.phase == "update"}
    assert given == {"agree"}
    assert agreement.verdict == "not given"
    kept["1/update/b.weight"] = kept["1/update/b.weight"] * (1 + 1e-4)
    broken = found(case, cc.Trace("sparse", case, {}, kept))
    assert broken.first_divergence == "1/update/b.weight"


def test_slots_that_are_not_given_are_replayed_from_the_subjects_own_gradients() -> None:
    case = cc.load_case("mlp")
    tensors = {name: tensor for name, tensor in cc.record(case).tensors.items() if "/state/" not in name}
    updates = [t for t in found(case, cc.Trace("no slots", case, {}, tensors)).tensors if t.phase == "update"]
    assert {tensor.verdict for tensor in updates} == {"agree"}
    tensors["0/gradient/b.weight"] = tensors["0/gradient/b.weight"] * 1.5
    broken = {t.name: t.verdict for t in found(case, cc.Trace("no slots", case, {}, tensors)).tensors}
    assert broken["0/gradient/b.weight"] == "disagree"
    assert broken["1/update/b.weight"] == "disagree"


def undecided(seed: int = 3, width: int = 256) -> cc.Case:
    """A wide relu network in float32, some of whose pre-activations are as near to 0 as rounding can tell."""
    generator = np.random.default_rng(seed)
    sizes = [(60, width), (width, 10)]
    weights: dict[str, Array] = {}
    for layer, (inputs, outputs) in enumerate(sizes):
        matrix = generator.standard_normal((inputs, outputs)) / np.sqrt(inputs)
        weights[f"d{layer}.weight"] = matrix.astype(np.float32)
        weights[f"d{layer}.bias"] = generator.standard_normal(outputs).astype(np.float32)
    x = generator.standard_normal((24, 60)).astype(np.float32)
    products = x.astype(np.float64) @ weights["d0.weight"].astype(np.float64)
    weights["d0.bias"][:40] = -products[np.arange(40) % 24, np.arange(40)]
    return cc.Case(
        name="undecided",
        nodes=(cc.Node("d0", cc.Dense(*sizes[0])), cc.Node("r0", cc.Relu()), cc.Node("d1", cc.Dense(*sizes[1]))),
        loss=cc.SoftmaxCrossEntropy(),
        optimizer=cc.SGD(0.125),
        weights=weights,
        batches=(cc.Batch(x, generator.integers(10, size=24)),),
        dtype="float32",
    )


@pytest.mark.parametrize("adapter", cc.ADAPTERS)
def test_undecided_masks_do_not_fail_correct_code(adapter: str) -> None:
    if adapter == "torch.compile":
        pytest.skip("the same operations as torch, for seconds of compilation")
    pytest.importorskip(adapter.partition(".")[0])
    agreement = cc.check(undecided(), [adapter])
    subject = agreement.subjects[adapter]
    assert agreement.ok
    assert subject.verdict == "agree"
    assert "kink" in {tensor.end_to_end for tensor in subject.tensors}
    assert {tensor.local for tensor in subject.tensors} == {"agree"}
    assert "rounding leaves undecided" in describe(subject)


def test_a_run_with_undecided_masks_is_status_0_and_says_so() -> None:
    """Also where they alone decide a tensor, as they do of a subject that did not record what it took."""
    from crosscheck.cli.status import AGREES, conclusion, exit_status

    agreement = cc.compare(cc.record(undecided()), copy_of(undecided()))
    (subject,) = agreement.subjects.values()
    kinked = replace(subject.tensors[-1], verdict="kink", end_to_end="kink", local="not compared")
    subject = replace(subject, verdict="kink", tensors=(*subject.tensors[:-1], kinked))
    agreement = replace(agreement, subjects={"subject": subject})
    assert agreement.ok
    assert exit_status([agreement], strict=True) == AGREES
    assert "differ end to end, beyond masks that rounding leaves undecided" in conclusion([agreement], AGREES)


def test_fault_beyond_an_undecided_mask_is_found() -> None:
    case = undecided()
    subject = copy_of(case)
    subject.tensors["0/gradient/d0.weight"] = subject.tensors["0/gradient/d0.weight"] * np.float32(1 + 1e-3)
    assert found(case, subject).first_divergence == "0/gradient/d0.weight"


def test_table_has_no_local_comparison() -> None:
    case = cc.load_case("article")
    agreement = cc.compare(cc.record(case), copy_of(case), tolerance=cc.EpsilonTable())
    assert agreement.ok
    assert {tensor.local for tensor in agreement.subjects["subject"].tensors} == {"not compared"}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_reference_agrees_with_itself(dtype: str) -> None:
    case = cc.load_case("residual", dtype=dtype)
    assert cc.compare(cc.record(case), copy_of(case)).ok


def test_overflow_is_expected_where_the_dtype_overflows() -> None:
    """In float16 a product of large numbers is infinite, and agrees with one that is."""
    case = cc.Case(
        name="overflow",
        nodes=(cc.Node("y", cc.Dense(1, 2)),),
        loss=cc.MeanSquaredError("sum"),
        optimizer=cc.SGD(0.5),
        weights={"y.weight": [[300.0, 1.0]], "y.bias": [0.0, 0.0]},
        batches=(cc.Batch([[300.0], [2.0], [1.0]], [[1.0, 1.0]] * 3),),
        dtype="float16",
    )
    trace = cc.record(case)
    assert np.isinf(trace["0/forward/y"]).any()
    forward = next(t for t in found(case, copy_of(case)).tensors if t.name == "0/forward/y")
    assert (forward.verdict, forward.inf) == ("agree", (1, 1))


# ----------------------------------------------------------------------------------------------------- fused operations


def verdict_of_a_sum(*, compiled: bool, factor: float = 1.0) -> str:
    """Of a subject that adds up two nearly opposite parts of a gradient, the first before it is rounded.

    As where a product and a sum are one instruction. The sum is taken times a factor.
    """
    reference = cc.record(cc.load_case("residual", dtype="float32"))
    total, first, second = (f"0/backward/{name}" for name in ("input", "input->first", "input->u"))
    generator = np.random.default_rng(3)
    exact = generator.uniform(0.5, 1, reference[total].shape)
    other = (-exact * (1 + 2.0**-10)).astype("float32")
    made = {
        **{name: reference[name] for name in reference},
        first: exact.astype("float32"),
        second: other,
        total: (factor * (exact + other)).astype("float32"),
    }
    environment = {"compiled": True} if compiled else {}
    subject = cc.Trace("fused", reference.case, environment, made)
    (found,) = cc.compare(reference, subject).subjects.values()
    return next(tensor.local for tensor in found.tensors if tensor.name == total)


def test_what_was_added_before_it_was_rounded_agrees_where_operations_are_fused() -> None:
    assert verdict_of_a_sum(compiled=True) == "agree"
    assert verdict_of_a_sum(compiled=False) == "disagree"


def test_fused_operations_hide_no_more_than_that() -> None:
    assert verdict_of_a_sum(compiled=True, factor=1.01) == "disagree"


def test_jax_may_fuse_a_product_and_a_sum() -> None:
    """Two uses of a mish, whose gradients nearly cancel: its sum is nearer to the truth than that of what is shown."""
    pytest.importorskip("jax")
    case = random_case(2, kind="glu", dtype="float32")
    found = cc.check(case, ["jax"]).subjects["jax"]
    assert found.environment["compiled"] is True
    assert found.verdict == "agree"
