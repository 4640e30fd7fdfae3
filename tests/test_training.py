"""What a training step has beside layers: several losses, given masks, clipping, micro-batches; by formula and alike
in every framework.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.comparison.trials import Bench
from crosscheck.faults import faults_of
from crosscheck.reference import CLIPS, ClipByGlobalNorm, ClipByValue, Dropout, Term
from numpy.typing import NDArray

Array = NDArray[Any]

CASES = ("several-losses", "accumulation", "clipping")


def array_of(trace: cc.Trace, name: str) -> Array:
    return np.asarray(trace[name])


# ------------------------------------------------------------------------------------------------------ several losses


def test_the_loss_is_the_weighted_sum_of_the_losses() -> None:
    trace = cc.record("several-losses")
    expected = 0.75 * trace["0/forward/classified"] + 0.5 * trace["0/forward/measured"]
    np.testing.assert_allclose(trace["0/forward/loss"], expected, rtol=1e-15)


def test_a_loss_without_a_reduction_enters_the_sum_with_all_its_elements() -> None:
    left, right = Term("left", cc.MeanSquaredError("none"), ("a",)), Term("right", cc.MeanSquaredError(), ("b",), 0.5)
    trace = cc.record(head(loss=(left, right)))
    assert (trace["0/forward/left"].shape, trace["0/forward/loss"].shape) == ((5, 3), ())
    assert trace["0/forward/loss"] == trace["0/forward/left"].sum() + 0.5 * trace["0/forward/right"]


@pytest.mark.parametrize("weight", [2.0, -0.5])
def test_the_gradient_of_a_loss_is_weighted(weight: float) -> None:
    left, right = head().losses
    trace, plain = cc.record(head(loss=(left, replace(right, weight=weight)))), cc.record(head(loss=(left, right)))
    np.testing.assert_array_equal(trace["0/backward/b"], weight / 0.5 * array_of(plain, "0/backward/b"))
    np.testing.assert_array_equal(trace["0/backward/a"], plain["0/backward/a"])


@pytest.mark.parametrize("name", ["trunk.weight", "trunk.bias", "class.weight", "number.bias"])
def test_the_gradients_are_those_of_the_weighted_sum(name: str) -> None:
    """Against central differences of the loss, over every element of a parameter."""
    case = cc.load_case("several-losses").with_steps(1)
    gradient, h = cc.record(case)[f"0/gradient/{name}"], 1e-5
    for place in np.ndindex(gradient.shape):
        nudge = np.zeros(gradient.shape)
        nudge[place] = h
        losses = [
            cc.record(replace(case, weights={**case.weights, name: case.weights[name] + sign * nudge}))[
                "0/forward/loss"
            ]
            for sign in (1, -1)
        ]
        np.testing.assert_allclose(gradient[place], (losses[0] - losses[1]) / (2 * h), rtol=1e-6, atol=1e-9)


def test_a_loss_alone_is_the_same_as_a_term() -> None:
    case = cc.load_case("mlp")
    again = replace(case, loss=(Term("loss", case.loss),))  # type: ignore[arg-type]
    assert again.loss == case.loss
    assert again.losses == (Term("loss", case.loss, (case.nodes[-1].name,)),)  # type: ignore[arg-type]


def head(**changes: Any) -> cc.Case:
    """Two heads on the input, one loss for each."""
    fields: dict[str, Any] = {
        "name": "heads",
        "nodes": (cc.Node("a", cc.Dense(2, 3)), cc.Node("b", cc.Dense(2, 4), takes=("input",))),
        "loss": (Term("left", cc.MeanSquaredError(), ("a",)), Term("right", cc.MeanSquaredError(), ("b",), 0.5)),
        "optimizer": cc.SGD(0.5),
        "weights": {
            "a.weight": np.ones((2, 3)),
            "a.bias": np.ones(3),
            "b.weight": np.ones((2, 4)),
            "b.bias": np.ones(4),
        },
        "batches": (cc.Batch(np.ones((5, 2)), {"left": np.zeros((5, 3)), "right": np.zeros((5, 4))}),),
    }
    return cc.Case(**{**fields, **changes})


LEFT, RIGHT = head().losses
MSE = cc.MeanSquaredError()
FIVE_ROWS, NONE = np.ones((5, 2)), np.zeros(())
A_NAME = "a name of letters, digits, '_', '-' and '.', not beginning with '.' or '-'"

MISFITS: dict[str, tuple[dict[str, Any], str]] = {
    "named as a node": (
        {"loss": (replace(LEFT, name="a"), RIGHT)},
        "losses.a.name: expected a name of its own; received 'a'",
    ),
    "named as the sum": (
        {"loss": (replace(LEFT, name="loss"), RIGHT)},
        "losses.loss.name: expected a name of its own; received 'loss'",
    ),
    "named as another loss": (
        {"loss": (LEFT, replace(RIGHT, name="left"))},
        "losses.left.name: expected a name of its own; received 'left'",
    ),
    "a name with a slash": (
        {"loss": (replace(LEFT, name="le/ft"), RIGHT)},
        f"losses.le/ft.name: expected {A_NAME}; received 'le/ft'",
    ),
    "a name where there is one loss": (
        {"loss": (LEFT,)},
        "loss.name: expected 'loss', for it is alone; received 'left'",
    ),
    "of what is no node": (
        {"loss": (replace(LEFT, takes=("c",)), RIGHT)},
        "losses.left.from: expected the name of a node: 'a', 'b'; received 'c'",
    ),
    "of what is no node, alone": (
        {"loss": (Term("loss", MSE, ("input",)),)},
        "loss.from: expected the name of a node: 'a', 'b'; received 'input'",
    ),
    "of too many nodes": (
        {"loss": (replace(LEFT, takes=("a", "b")), RIGHT)},
        "losses.left.from: expected one node for 'mean_squared_error'; received 'a', 'b'",
    ),
    "of one node twice": (
        {"loss": (replace(LEFT, loss=cc.GaussianNLL(), takes=("a", "a")), RIGHT)},
        "losses.left.from: expected 2 different nodes for 'gaussian_nll'; received 'a', 'a'",
    ),
    "a node of which there is none": (
        {"loss": (replace(LEFT, takes=("b",)), RIGHT)},
        "nodes.a: expected an output that a later node or a loss takes; received none that does",
    ),
    "a node of which there is none, of one loss": (
        {"loss": MSE},
        "nodes.a: expected an output that a later node or a loss takes; received none that does",
    ),
    "no weight": (
        {"loss": (replace(LEFT, weight=0.0), RIGHT)},
        "losses.left.weight: expected a number other than 0; received 0.0",
    ),
    "a weight without a bound": (
        {"loss": (LEFT, replace(RIGHT, weight=-np.inf))},
        "losses.right.weight: expected a number other than 0; received -inf",
    ),
    "a weight that is no number": (
        {"loss": (LEFT, replace(RIGHT, weight=np.nan))},
        "losses.right.weight: expected a number other than 0; received nan",
    ),
    "a weight where there is one loss": (
        {"loss": (Term("loss", MSE, weight=0.5),)},
        "loss.weight: expected 1, for it is alone; received 0.5",
    ),
    "targets of one for two": (
        {"batches": (cc.Batch(FIVE_ROWS, np.zeros((5, 3))),)},
        "data.targets: expected the targets of each loss: 'left', 'right'; received one array",
    ),
    "targets for one of two": (
        {"batches": (cc.Batch(FIVE_ROWS, {"left": np.zeros((5, 3))}),)},
        "data.targets.right: expected the targets of this loss; received nothing",
    ),
    "targets of another shape": (
        {"batches": (cc.Batch(FIVE_ROWS, {"left": np.zeros((5, 3)), "right": np.zeros((5, 2))}),)},
        "data.targets.right: expected shape (5, 4); received shape (5, 2)",
    ),
    "targets of no loss": (
        {"batches": (cc.Batch(FIVE_ROWS, {"lift": NONE, "left": NONE, "right": NONE}),)},
        "data.targets.lift: expected a loss of the case: 'left', 'right'; received 'lift'",
    ),
}


@pytest.mark.parametrize(("changes", "message"), MISFITS.values(), ids=MISFITS)
def test_losses_that_do_not_fit_are_refused(changes: dict[str, Any], message: str) -> None:
    assert head().losses[1].weight == 0.5
    with pytest.raises(cc.CaseError) as caught:
        head(**changes)
    assert str(caught.value) == message


# --------------------------------------------------------------------------------------------------------------- masks


def test_a_mask_is_part_of_the_trace_and_drops_both_ways() -> None:
    trace = cc.record("several-losses")
    mask = array_of(trace, "0/data/dropped.mask")
    assert set(np.unique(mask)) == {0, 1}
    np.testing.assert_array_equal(trace["0/forward/dropped"], trace["0/forward/bent"] * mask / 0.75)
    assert not array_of(trace, "0/backward/bent")[mask == 0].any()
    assert not np.array_equal(mask, trace["1/data/dropped.mask"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "data.given.drop.mask: expected an array of shape"),
        ({"drop.mask": np.ones((2, 2))}, "data.given.drop.mask: expected shape"),
        ({"drop.mask": np.full((5, 2), 0.5)}, "expected a mask of 0 and 1; received 0.5"),
        ({"drop.mask": np.ones((5, 2)), "a.mask": np.ones(1)}, "data.given.a.mask: expected what a layer is given"),
    ],
)
def test_a_mask_that_does_not_fit_is_refused(given: dict[str, Array], message: str) -> None:
    with pytest.raises(cc.CaseError, match=message.replace(".", r"\.")):
        cc.Case(
            name="masked",
            nodes=(cc.Node("drop", Dropout(0.25)),),
            loss=cc.MeanSquaredError(),
            optimizer=cc.SGD(0.5),
            weights={},
            batches=(cc.Batch(np.ones((5, 2)), np.zeros((5, 2)), given),),
        )


# ------------------------------------------------------------------------------------------------------------ clipping


def test_clipping_by_norm_keeps_the_direction_and_leaves_small_gradients_alone() -> None:
    trace = cc.record("clipping")
    names = trace.case.trained  # type: ignore[union-attr]
    for step, clipped in ((0, True), (1, False)):
        before = np.concatenate([array_of(trace, f"{step}/gradient/{name}").ravel() for name in names])
        after = np.concatenate([array_of(trace, f"{step}/clipped/{name}").ravel() for name in names])
        norm = np.sqrt((before * before).sum())
        assert (norm > 1) == clipped
        np.testing.assert_allclose(after, before / (norm + 1e-6) if clipped else before, rtol=1e-15)


def test_the_update_takes_the_clipped_gradient() -> None:
    trace = cc.record("clipping")
    before = trace.case.weights["out.bias"]  # type: ignore[union-attr]
    np.testing.assert_array_equal(trace["0/update/out.bias"], before - 0.5 * trace["0/clipped/out.bias"])


def test_clipping_by_value_is_element_by_element() -> None:
    clipped = ClipByValue(0.5).clipped({"w": np.array([[-0.75, 0.5], [0.25, np.inf]])})
    np.testing.assert_array_equal(clipped["w"], [[-0.5, 0.5], [0.25, 0.5]])


@pytest.mark.parametrize("kind", CLIPS)
@pytest.mark.parametrize("limit", [0.0, -1.0, np.inf, np.nan])
def test_a_limit_that_is_none_is_refused(kind: str, limit: float) -> None:
    assert CLIPS[kind](5e-324).limit > 0
    with pytest.raises(cc.CaseError) as caught:
        CLIPS[kind](limit)
    assert str(caught.value) == f"limit: expected a number above 0; received {limit!r}"


@pytest.mark.parametrize("epsilon", [-5e-324, -1.0, np.inf, np.nan])
def test_an_epsilon_below_0_is_refused(epsilon: float) -> None:
    assert ClipByGlobalNorm(1.0, epsilon=0.0).epsilon == 0
    with pytest.raises(cc.CaseError) as caught:
        ClipByGlobalNorm(1.0, epsilon=epsilon)
    assert str(caught.value) == f"epsilon: expected a number of at least 0; received {epsilon!r}"


# ------------------------------------------------------------------------------------------------------- micro-batches


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_micro_batches_are_one_batch_cut_into_pieces(reduction: str) -> None:
    """The share of each by its rows, or of each the whole of a sum: then the step is that of the whole batch."""
    generator = np.random.Generator(np.random.PCG64(3))
    x, target = generator.standard_normal((9, 3)), generator.standard_normal((9, 2))
    weights = {"y.weight": generator.standard_normal((3, 2)), "y.bias": generator.standard_normal(2)}
    common: dict[str, Any] = {
        "name": "pieces",
        "nodes": (cc.Node("y", cc.Dense(3, 2)), cc.Node("t", cc.Tanh())),
        "loss": cc.MeanSquaredError(reduction),  # type: ignore[arg-type]
        "optimizer": cc.SGD(0.5),
        "weights": weights,
    }
    whole = cc.record(cc.Case(**common, batches=(cc.Batch(x, target),)))
    pieces = cc.record(
        cc.Case(
            **common,
            batches=tuple(cc.Batch(x[part], target[part]) for part in (slice(0, 2), slice(2, 6), slice(6, 9))),
            micro_batches=3,
            accumulation="rows" if reduction == "mean" else "sum",
        )
    )
    for name in ("0/gradient/y.weight", "0/gradient/y.bias", "0/update/y.weight"):
        np.testing.assert_allclose(pieces[name], whole[name], rtol=1e-13)
    assert {name.partition("/")[0] for name in pieces} == {"0.0", "0.1", "0.2", "0"}


OF_EACH = [
    ("forward(a)", "forward", "dense", "./data/input 0/initial/a.weight 0/initial/a.bias", "./forward/a"),
    ("forward(b)", "forward", "dense", "./data/input 0/initial/b.weight 0/initial/b.bias", "./forward/b"),
    ("forward(left)", "forward", "mean_squared_error", "./forward/a ./data/left.target", "./forward/left"),
    ("forward(right)", "forward", "mean_squared_error", "./forward/b ./data/right.target", "./forward/right"),
    ("forward(loss)", "forward", "weighted_sum", "./forward/left ./forward/right", "./forward/loss"),
    ("backward(right)", "backward", "mean_squared_error", "./forward/b ./data/right.target", "./backward/b"),
    ("backward(left)", "backward", "mean_squared_error", "./forward/a ./data/left.target", "./backward/a"),
    (
        "backward(b)",
        "backward",
        "dense",
        "./backward/b ./data/input ./forward/b 0/initial/b.weight 0/initial/b.bias",
        "./backward/input->b ./gradient/b.weight ./gradient/b.bias",
    ),
    (
        "backward(a)",
        "backward",
        "dense",
        "./backward/a ./data/input ./forward/a 0/initial/a.weight 0/initial/a.bias",
        "./backward/input->a ./gradient/a.weight ./gradient/a.bias",
    ),
    ("sum(input)", "backward", "sum", "./backward/input->b ./backward/input->a", "./backward/input"),
]
"""What is done with every micro-batch, written out by hand."""
OF_THE_STEP = [
    *(
        (f"sum({name})", "backward", "sum", f"0.0/gradient/{name} 0.1/gradient/{name}", f"0/gradient/{name}")
        for name in ("a.weight", "a.bias", "b.weight", "b.bias")
    ),
    (
        "clipped(gradients)",
        "clipped",
        "clip_by_value",
        "0/gradient/a.weight 0/gradient/b.weight 0/gradient/b.bias",
        "0/clipped/a.weight 0/clipped/b.weight 0/clipped/b.bias",
    ),
    *(
        (f"update({name})", "update", "sgd", f"0/initial/{name} 0/clipped/{name}", f"0/update/{name}")
        for name in ("a.weight", "b.weight", "b.bias")
    ),
]
"""And then; a bias is frozen: it has a gradient, which nothing clips."""


def test_the_operations_of_a_step_with_micro_batches_and_clipping_are_these() -> None:
    case = head(batches=head().batches * 2, micro_batches=2, clip=ClipByValue(0.5), frozen=("a.bias",))
    found = [
        (operation.name, operation.phase, operation.kind, " ".join(operation.inputs), " ".join(operation.outputs))
        for operation in cc.record(case).operations
    ]
    expected = [
        (f"{place}/{name}", phase, kind, inputs.replace("./", f"{place}/"), outputs.replace("./", f"{place}/"))
        for place, operations in (("0.0", OF_EACH), ("0.1", OF_EACH), ("0", OF_THE_STEP))
        for name, phase, kind, inputs, outputs in operations
    ]
    assert found == expected


def test_every_step_takes_its_own_micro_batches() -> None:
    case = cc.load_case("accumulation")
    assert case.steps == 2
    assert [len(batch.inputs) for batch in case.batches_of(1)] == [6, 4]
    assert case.shares(0) == (5 / 9, 4 / 9)
    shared = replace(case, batches=case.batches[:2], steps=2)
    assert shared.batches_of(0) == shared.batches_of(1)
    assert case.batch(1) is case.batches_of(1)[0]
    assert replace(case, micro_batches=1, steps=0, optimizer=cc.SGD(0.5)).steps == len(case.batches) == 4
    with pytest.raises(cc.CaseError, match="2 batches, or as many for each of 2 steps"):
        replace(case, batches=case.batches[:3])
    with pytest.raises(cc.CaseError, match="micro_batches: expected at least 1; received 0"):
        replace(case, micro_batches=0)


def test_the_targets_of_a_loss_alone_may_have_its_name() -> None:
    case = cc.load_case("mlp")
    batch = case.batch(0)
    named = replace(case, batches=(replace(batch, targets={"loss": batch.targets}),), steps=1, optimizer=cc.SGD(0.5))
    np.testing.assert_array_equal(named.batch(0).targets, batch.targets)


# ------------------------------------------------------------------------------------------------------------ all alike


@pytest.mark.parametrize(
    ("adapter", "dtype"),
    [("torch", "float64"), ("torch", "float32"), ("jax", "float64"), ("jax", "float32"), ("jax.eager", "float64")],
)
@pytest.mark.parametrize("name", CASES)
def test_frameworks_agree(name: str, adapter: str, dtype: str) -> None:
    pytest.importorskip(adapter.partition(".")[0])
    case = cc.load_case(name, dtype=dtype)
    if adapter != "torch" and isinstance(case.clip, ClipByGlobalNorm):
        case = replace(case, clip=replace(case.clip, epsilon=0.0))
    agreement = cc.check(case, [adapter])
    agreement.raise_if_failed()
    assert {tensor.verdict for tensor in agreement.subjects[adapter].tensors} == {"agree"}


def test_an_epsilon_that_a_framework_has_not_is_unsupported() -> None:
    pytest.importorskip("torch")
    case = cc.load_case("clipping")
    other = replace(case, clip=ClipByGlobalNorm(1.0, epsilon=0.5))
    assert cc.check(other, ["torch"]).subjects["torch"].verdict == "unsupported"


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_written_and_read_back(name: str, tmp_path: Path) -> None:
    case = cc.load_case(name)
    cc.save_case(case, tmp_path / "again.toml")  # reads back and compares, or raises
    again = cc.load_case(tmp_path / "again.toml")
    assert (again.losses, again.clip, again.micro_batches) == (case.losses, case.clip, case.micro_batches)


STEP_FAULTS = {
    "several-losses": {
        *("loss_weight_forgotten", "loss_weights_left_out", "losses_averaged"),
        *("dropout_gradient_not_masked", "dropout_not_scaled", "dropout_scaled_forward_only"),
    },
    "accumulation": {"accumulation_not_divided", "mean_of_means", "clipped_above_only", "dropped_beyond_the_limit"},
    "clipping": {"clipped_each_alone", "scaled_below_the_limit"},
}


@pytest.mark.parametrize("name", CASES)
def test_mistakes_of_the_step_are_found_where_they_are_made_and_named(name: str) -> None:
    bench = Bench(cc.load_case(name))
    planted = [fault for fault in faults_of(bench.case) if fault.name in STEP_FAULTS[name]]
    assert {fault.name for fault in planted} == STEP_FAULTS[name]
    for fault in planted:
        trial = bench.plant(fault)
        assert (trial.visible, trial.detected, trial.localised, trial.named) == (True,) * 4, trial
