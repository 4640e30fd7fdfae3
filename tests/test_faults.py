"""Every known mistake, planted: it shows where it is made and nowhere else, and as what the list says it shows as."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.arithmetic.base import raw
from crosscheck.arithmetic.poison import Poison
from crosscheck.cases import built_in
from crosscheck.cases.drawing import draw_batch, draw_weights
from crosscheck.faults import FAULTS, Fault, conventions_of, faults_of, record
from crosscheck.faults.base import mixed
from crosscheck.reference import Loss, train
from crosscheck.reference.network import parameter_shapes, resolve
from numpy.typing import NDArray
from samples import require_alike

Array = NDArray[Any]

APART = 1e-9
"""How far apart two tensors must be to differ, relative to their largest element ..."""
NOTHING = 1e-3
"""... or to this, where all are smaller: what should be 0 is nothing but rounding."""


def drawn(
    name: str,
    nodes: tuple[cc.Node, ...],
    shape: tuple[int, ...],
    optimizer: Any,
    steps: int = 1,
    loss: Loss | None = None,
) -> cc.Case:
    """A case with mean squared error, unless another loss is asked for, and everything drawn from seeds."""
    nodes, loss = resolve(nodes), loss or cc.MeanSquaredError()
    return cc.Case(
        name=name,
        nodes=nodes,
        loss=loss,
        optimizer=optimizer,
        weights=draw_weights(parameter_shapes(nodes), seed=2024),
        batches=tuple(draw_batch(nodes, loss, shape, seed) for seed in range(steps)),
    )


def scored(loss: Loss) -> cc.Case:
    """One layer of scores and a loss."""
    name = loss.kind.replace("_", "-")
    return drawn(name, (cc.Node("y", cc.Dense(3, 4)),), (7, 3), cc.SGD(0.25), loss=loss)


def at_kinks(at_zero: Any = "left", at_bounds: Any = "outside") -> cc.Case:
    """Layers with kinks, each given an input of which every element lies at a kink of one of them."""
    layers = (
        *(cc.LeakyRelu(0.25, at_zero), cc.PRelu(6, at_zero), cc.Elu(0.5, at_zero), cc.Selu(at_zero)),
        *(cc.Hardtanh(at_bounds=at_bounds), cc.Relu6(at_bounds), cc.HardSwish(at_bounds)),
    )
    nodes = [cc.Node(layer.kind, layer, ("input",)) for layer in layers]
    for before, (number, node) in zip([nodes[0].name, *map(str, range(1, 6))], enumerate(nodes[1:], 1), strict=True):
        nodes.append(cc.Node(str(number), cc.Add(), (before, node.name)))
    nodes.append(cc.Node("y", cc.Dense(6, 4)))
    graph, loss = resolve(tuple(nodes)), cc.MeanSquaredError()
    x = np.stack([np.roll([-3.0, -1.0, 0.0, 1.0, 3.0, 6.0], place) for place in range(5)])
    return cc.Case(
        name="at-kinks",
        nodes=graph,
        loss=loss,
        optimizer=cc.SGD(0.25),
        weights=draw_weights(parameter_shapes(graph), seed=2024),
        batches=(cc.Batch(x, np.random.Generator(np.random.PCG64(1)).standard_normal((5, 4))),),
    )


EXTRA: dict[str, Callable[[], cc.Case]] = {
    "at kinks": at_kinks,
    "one output": lambda: drawn("one-output", (cc.Node("y", cc.Dense(3, 1)),), (7, 3), cc.SGD(0.25)),
    "decay": lambda: drawn(
        "decay",
        (cc.Node("y", cc.Dense(3, 4)),),
        (7, 3),
        cc.Adam((0.25, 0.125), beta1=0.875, epsilon=2.0**-10, weight_decay=0.125),
        steps=2,
    ),
    "ties shared": lambda: drawn(
        "ties-shared",
        (
            cc.Node("x", cc.Conv2d(2, 4, (1, 2))),
            cc.Node("x.relu", cc.Relu()),
            cc.Node("y", cc.MaxPool2d((2, 2), (1, 1), tie="shared")),
        ),
        (3, 2, 5, 7),
        cc.SGD(0.25),
    ),
    "means and stamps the other way": lambda: drawn(
        "means-and-stamps",
        (
            cc.Node("x", cc.ConvTranspose2d(2, 4, (3, 2), (2, 1), (1, 0), bias=False, orientation="flipped")),
            cc.Node("y", cc.AvgPool2d((2, 3), None, (1, 1), count_padding=False)),
        ),
        (3, 2, 5, 7),
        cc.SGD(0.25),
    ),
    "square kernel": lambda: drawn(
        "square-kernel",
        (cc.Node("y", cc.Conv2d(2, 4, (3, 3), (1, 2), (1, 0))),),
        (3, 2, 6, 7),
        cc.SGD(0.25),
    ),
    "heads": lambda: drawn(
        "heads",
        (
            cc.Node("q", cc.Dense(6, 4)),
            cc.Node("k", cc.Dense(6, 4), takes=("input",)),
            cc.Node("v", cc.Dense(6, 2), takes=("input",)),
            cc.Node("y", cc.ScaledDotProductAttention(), takes=("q", "k", "v")),
        ),
        (7, 3, 5, 6),
        cc.SGD(0.25),
    ),
    "epsilon outside": lambda: drawn(
        "epsilon-outside",
        (cc.Node("x", cc.Dense(3, 5)), cc.Node("y", cc.LayerNorm(5, epsilon=2.0**-4, epsilon_in="outside"))),
        (7, 3),
        cc.SGD(0.25),
    ),
    **{
        loss.kind: lambda loss=loss: scored(loss)
        for loss in (
            cc.NegativeLogLikelihood(class_weights=(0.5, 2.0, 1.0, 0.25), ignore_index=-1),
            cc.MeanAbsoluteError(),
            cc.SmoothL1(beta=0.5),
            cc.SquaredHinge(),
        )
    },
}
"""Cases in which some faults can happen that can happen in no built-in case."""

CASES: dict[str, cc.Case] = {
    **{name: cc.load_case(name, dtype="float64") for name in built_in()},
    **{name: make() for name, make in EXTRA.items()},
}

BUILT_IN = frozenset(built_in())

COVERED = {
    1: {
        "gradient_not_averaged",
        "gradient_divided_by_the_first_axis",
        "gradient_averaged_over_the_rows",
        "accumulation_not_divided",
    },
    2: {"mean_of_means"},
    3: {"bias_gradient_averaged"},
    4: {"bias_gradient_of_the_last_row", "bias_gradient_of_the_first_row", "bias_gradient_not_summed"},
    5: {"diagonal_jacobian", "attention_jacobian_diagonal"},
    6: {
        "softmax_twice",
        "softmax_twice_differentiated_once",
        "probabilities_taken_for_logits",
        "probabilities_taken_for_yes_or_no_logits",
        "sigmoid_twice",
    },
    7: {"derivative_at_the_output", "derivative_of_the_input"},
    8: {"updated_too_early"},
    9: {
        "weight_gradient_transposed",
        "weight_not_transposed",
        "bilinear_weight_transposed",
        "bilinear_weight_not_transposed",
    },
    10: {
        "kernel_flipped",
        "kernel_height_as_width",
        "kernel_upside_down",
        "kernel_read_by_columns",
        "kernel_gradient_flipped",
        "kernel_not_flipped",
    },
    11: {"last_use_overwrites", "first_use_only"},
    12: {"gradients_not_cleared"},
    13: {"targets_broadcast"},
    14: {"statistics_taken_as_constants", "mean_term_forgotten", "variance_term_forgotten"},
    16: {
        "epsilon_of_keras",
        "epsilon_of_torch",
        "epsilon_of_flax",
        "epsilon_of_bert",
        "epsilon_of_the_dtype",
        "epsilon_beside_the_root",
        "epsilon_beside_the_root_in_the_forward",
    },
    17: {"gelu_slope_approximated"},
    18: {
        "scale_by_heads",
        "scale_without_root",
        "scale_by_values",
        "scale_forgotten_in_the_backward",
        "scaled_by_all_heads",
        "scaled_by_the_number_of_heads",
    },
    19: {"bias_not_corrected", "second_moment_not_corrected", "first_moment_not_corrected"},
    20: {"epsilon_inside_the_root", "epsilon_beside_the_uncorrected"},
    22: {
        "nesterov_sign",
        "nesterov_from_the_new_velocity",
        "nesterov_in_units_of_the_weights",
        "look_ahead_forgotten",
    },
    23: {"rate_inside_the_velocity", "velocity_in_units_of_the_weights"},
    24: {"decay_without_the_rate", "decay_beside_the_ratio"},
    25: {"tied_weight_overwritten", "tied_weight_use_forgotten"},
    26: {"repeated_rows_overwritten"},
    27: {"relu_mask_includes_zero", "relu_mask_of_the_output", "relu_mask_of_the_gradient"},
    28: {
        "update_one_step_late",
        "rate_one_step_early",
        "step_ahead",
        "step_counted_for_every_weight",
        "step_counted_from_one",
        "warmup_counted_from_one",
    },
}
"""Which faults are which of the listed mistakes."""

NOT_COVERED = {
    15: "a convention of batch_norm, running_variance",
    21: "a convention of rmsprop, epsilon_in",
}
"""The listed mistakes that are no faults here, and why."""

ALL_SITES = [(name, fault) for name, case in CASES.items() for fault in faults_of(case)]


def two_of_each() -> Iterator[tuple[str, Fault]]:
    """Each fault in the first two cases that it can happen in, the smallest first; ``make faults`` has every site."""
    places: dict[str, dict[str, Fault]] = {}
    for name, fault in sorted(ALL_SITES, key=lambda site: len(CASES[site[0]].parameters)):
        places.setdefault(fault.name, {}).setdefault(name, fault)
    for found in places.values():
        yield from list(found.items())[:2]


SITES = list(two_of_each())
every_site = pytest.mark.parametrize(("name", "fault"), SITES, ids=[f"{name}-{fault}" for name, fault in SITES])
every_fault = pytest.mark.parametrize("name", FAULTS)


def fault_of(case: cc.Case, label: str) -> Fault:
    """The fault of a case that is written ``NAME at SITE``."""
    (fault,) = (fault for fault in faults_of(case) if str(fault) == label)
    return fault


def differ(made: Array, own: Array) -> bool:
    """Whether two tensors are not the same."""
    if made.shape != own.shape:
        return True
    finite = np.isfinite(made) & np.isfinite(own)
    largest = max(NOTHING, *(np.abs(array[finite]).max(initial=0) for array in (made, own)))
    apart = np.abs(np.where(finite, made, 0) - np.where(finite, own, 0))
    return not np.all(np.where(finite, apart <= APART * largest, (made == own) | (np.isnan(made) & np.isnan(own))))


def locally_wrong(case: cc.Case, trace: cc.Trace) -> list[cc.Operation]:
    """The operations that made something else of their inputs in the trace than the reference makes of the same."""
    wrong: set[str] = set()

    def keep(name: str, made: Array) -> Array:
        if name not in trace:  # under another convention something else is remembered
            return made
        if differ(made, trace[name]):
            wrong.add(name)
        return trace[name]

    with np.errstate(all="ignore"):
        operations = train(case, keep)
    return [operation for operation in operations if wrong & set(operation.outputs)]


@cache
def shown(name: str, fault: Fault) -> list[cc.Operation]:
    """The operations of a case that a fault makes wrong."""
    return locally_wrong(CASES[name], record(CASES[name], fault))


# ----------------------------------------------------------------------------------------------------- where they show


@every_site
def test_a_fault_shows_where_it_is_made_and_nowhere_else(name: str, fault: Fault) -> None:
    wrong = shown(name, fault)
    assert [operation.name for operation in wrong if not fault.makes(operation)] == []
    assert wrong or fault.only_where


@every_fault
def test_a_fault_shows_in_some_case(name: str) -> None:
    of_it = sorted((case not in BUILT_IN, place) for place, (case, fault) in enumerate(ALL_SITES) if fault.name == name)
    seen_in = next(case for case, fault in (ALL_SITES[place] for _, place in of_it) if shown(case, fault))
    assert seen_in in BUILT_IN


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_the_right_run_is_locally_right(case: cc.Case) -> None:
    assert locally_wrong(case, cc.record(case)) == []


@cache
def right_in_float32(name: str) -> cc.Trace:
    return cc.record(replace(CASES[name], dtype="float32"))


@every_site
def test_shapes_and_dtypes_are_those_of_the_right_run(name: str, fault: Fault) -> None:
    right = right_in_float32(name)
    assert right.case
    wrong = record(right.case, fault)
    assert wrong.source == str(fault)
    assert list(wrong.given) == list(right.given)
    described = {tensor: (array.shape, array.dtype) for tensor, array in right.tensors.items()}
    if fault.name == "bias_gradient_not_summed":
        bias = next(node.parameters["bias"] for node in right.case.nodes if node.name == fault.site)
        shape = right[f"0/forward/{fault.site}"].shape
        grown = re.compile(rf"\d+/(gradient/|update/|state/){re.escape(bias)}(\.(?!(?:step|momentum_product)$)\w+)?")
        described |= {tensor: (shape, dtype) for tensor, (_, dtype) in described.items() if grown.fullmatch(tensor)}
    assert {tensor: (array.shape, array.dtype) for tensor, array in wrong.tensors.items()} == described


@every_fault
def test_a_fault_keeps_to_the_subset_of_numpy(name: str) -> None:
    """It is replayed in the arithmetic of the comparison, so that it must run in every one."""
    case, fault = next((CASES[case], fault) for case, fault in SITES if fault.name == name)
    expected = record(case, fault)

    def keep(tensor: str, made: Array) -> Array:
        if tensor in expected.given and made.dtype.kind == "f":
            made = Poison.lift(made)
        assert isinstance(made, Poison) or made.dtype.kind == "i", tensor
        require_alike(raw(made), expected[tensor])
        return made

    with np.errstate(all="ignore"):
        fault.start(case, keep).run()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_fault_has_a_name_of_its_own_and_makes_an_operation(case: cc.Case) -> None:
    faults = faults_of(case)
    labels = [str(fault) for fault in faults]
    assert len(set(labels)) == len(labels)
    operations = cc.record(case).operations
    for fault in faults:
        assert any(fault.makes(operation) for operation in operations), str(fault)


def test_every_kind_has_at_least_two_faults() -> None:
    """Whatever operation of whatever kind: there is more than one way to get it wrong."""
    of_kind: dict[str, set[str]] = {}
    for case in CASES.values():
        faults = faults_of(case)
        for operation in cc.record(case).operations:
            of_kind.setdefault(operation.kind, set()).update(fault.name for fault in faults if fault.makes(operation))
    assert {*cc.LAYERS, *cc.LOSSES, *cc.OPTIMIZERS, "sum"} <= of_kind.keys()
    assert {kind: names for kind, names in of_kind.items() if len(names) < 2} == {}


# ------------------------------------------------------------------------------------------------------ what they are


@every_fault
def test_a_fault_teaches(name: str) -> None:
    mistake = FAULTS[name]
    text = " ".join((mistake.__doc__ or "").split())
    assert len(re.findall(r"[.!?](?= [A-Z`\"]|$)", text)) >= 2
    assert mistake.about().endswith(".")
    assert mistake.about() in text


def test_the_listed_mistakes_are_covered() -> None:
    found: dict[int, set[str]] = {}
    for name, mistake in FAULTS.items():
        if mistake.number is not None:
            found.setdefault(mistake.number, set()).add(name)
    assert found == COVERED
    assert sorted([*COVERED, *NOT_COVERED]) == list(range(1, 29))


@pytest.mark.parametrize(
    ("label", "kind"),
    [("diagonal_jacobian", cc.Softmax()), ("upstream_forgotten", cc.Dense(2, 3)), ("ascent", cc.Adam(0.5, beta1=0.5))],
    ids=["of a kind", "of every layer", "of every optimizer"],
)
def test_what_has_a_fault_is_otherwise_what_it_was(label: str, kind: Any) -> None:
    faulty = mixed(FAULTS[label], kind)
    assert isinstance(faulty, type(kind))
    assert (faulty.kind, vars(faulty)) == (kind.kind, vars(kind))


# ------------------------------------------------------------------------------------------------- what they show as


def both(name: str, label: str) -> tuple[cc.Trace, cc.Trace]:
    """The run of a case as it should be, and with a fault."""
    return cc.record(CASES[name]), record(CASES[name], fault_of(CASES[name], label))


def gradients(trace: cc.Trace, step: int = 0) -> Iterator[str]:
    yield from (name for name in trace if name.startswith((f"{step}/gradient", f"{step}/backward")))


def assert_near(found: Array, expected: Array) -> None:
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-14)


def test_1_every_gradient_is_off_by_the_number_of_rows() -> None:
    right, wrong = both("article-batch", "gradient_not_averaged at loss")
    for name in gradients(right):
        assert_near(wrong[name], 3 * right[name])


def test_3_the_bias_gradient_alone_is_off_by_one_over_the_number_of_rows() -> None:
    right, wrong = both("mlp", "bias_gradient_averaged at b")
    for name in gradients(right):
        assert_near(wrong[name], right[name] / 5 if name == "0/gradient/b.bias" else right[name])


def test_5_rows_of_the_gradient_of_the_logits_do_not_add_up_to_0() -> None:
    right, wrong = both("article-batch", "diagonal_jacobian at o.softmax")
    assert_near(right["0/backward/o"].sum(axis=-1), np.zeros(3))
    assert np.all(np.abs(wrong["0/backward/o"].sum(axis=-1)) > 0.01)


def test_7_the_gradient_below_is_off_by_a_ratio_of_its_elements() -> None:
    right, wrong = both("article-batch", "derivative_of_the_input at k.tanh")
    z, a = right["0/forward/k"], right["0/forward/k.tanh"]
    assert_near(wrong["0/backward/k.tanh"], right["0/backward/k.tanh"])
    assert_near(wrong["0/backward/k"], right["0/backward/k"] * (1 - z * z) / (1 - a * a))


def test_8_is_where_the_printed_loss_of_a_well_known_text_comes_from() -> None:
    """The text prints .291027924 for the loss after the step; the gradients of one network give .291027774."""
    case = CASES["mazur"]
    losses = []
    for trace in both("mazur", "updated_too_early"):
        after = {name: trace[f"0/update/{name}"] for name in case.trained}
        losses.append(float(cc.record(replace(case, weights={**case.weights, **after}))["0/forward/loss"]))
    assert [round(loss, 9) for loss in losses] == [0.291027774, 0.291027924]


def test_9_the_gradient_is_the_transpose() -> None:
    right, wrong = both("article", "weight_gradient_transposed at k")
    np.testing.assert_array_equal(wrong["0/gradient/k.weight"], right["0/gradient/k.weight"].T)


def test_a_stride_forgotten_leaves_the_rest_of_the_image_without_a_gradient() -> None:
    right, wrong = both("convolutional", "stride_forgotten_in_the_backward at b")
    assert_near(wrong["0/gradient/b.weight"], right["0/gradient/b.weight"])
    # two positions, two rows apart, under a kernel of three rows: five of the six rows were seen
    for trace, rows in ((right, 5), (wrong, 4)):
        dx = trace["0/backward/a.relu"]
        assert np.all(np.any(dx[:, :, :rows], axis=(0, 1, 3)))
        assert not np.any(dx[:, :, rows:])


def test_the_gradient_of_a_tie_is_sent_as_often_as_the_maximum_occurs() -> None:
    layer = cc.MaxPool2d((2, 2))
    x, dy = np.array([[[[1.0, 7.0, 0.0, 0.0], [7.0, 7.0, 0.0, 0.0]]]]), np.array([[[[12.0, 24.0]]]])
    expected = {
        "": [[0, 12, 24, 0], [0, 0, 0, 0]],
        "ties_sent_in_full": [[0, 12, 24, 24], [12, 12, 24, 24]],
        "last_of_a_tie": [[0, 0, 0, 0], [0, 12, 0, 24]],
        "maximum_sent_to_all": [[12, 12, 24, 24], [12, 12, 24, 24]],
    }
    for name, sent in expected.items():
        made = FAULTS[name].planted(layer) if name else layer  # type: ignore[attr-defined]
        y, saved = made.forward(x, {})
        assert y.tolist() == [[[[7, 0]]]]
        assert made.backward(dy, saved, {})[0].tolist() == [[sent]]


def test_12_the_second_step_has_the_sum_of_both_gradients() -> None:
    right, wrong = both("mlp", "gradients_not_cleared")
    for name in CASES["mlp"].parameters:
        np.testing.assert_array_equal(wrong[f"0/gradient/{name}"], right[f"0/gradient/{name}"])
        assert_near(wrong[f"1/gradient/{name}"], right[f"0/gradient/{name}"] + right[f"1/gradient/{name}"])


def test_13_every_row_is_drawn_to_the_mean_of_the_targets() -> None:
    right, wrong = both("one output", "targets_broadcast at loss")
    y, target = right["0/forward/y"], right["0/data/target"]
    assert_near(wrong["0/backward/y"], 2 * (y - target.mean()) / len(y))


def test_14_weight_and_bias_are_exact_and_what_is_sent_back_does_not_add_up_to_0() -> None:
    right, wrong = both("convolutional", "statistics_taken_as_constants at a.norm")
    for name in ("0/gradient/a.norm.weight", "0/gradient/a.norm.bias"):
        np.testing.assert_array_equal(wrong[name], right[name])
    assert_near(right["0/backward/a"].sum(axis=(0, 2, 3)), np.zeros(5))
    assert np.abs(wrong["0/backward/a"].sum(axis=(0, 2, 3))).max() > 0.01


def test_16_the_error_shrinks_as_the_scale_of_the_input_grows() -> None:
    layer = cc.LayerNorm(5, epsilon=1e-5)
    other = FAULTS["epsilon_of_keras"].planted(layer)  # type: ignore[attr-defined]
    x = np.random.Generator(np.random.PCG64(3)).standard_normal((4, 5))
    params = {"weight": np.ones(5), "bias": np.zeros(5)}
    errors = [np.abs(other.forward(s * x, params)[0] - layer.forward(s * x, params)[0]).max() for s in (1, 10, 100)]
    assert errors[0] > 50 * errors[1] > 2500 * errors[2]


def test_19_the_first_update_is_off_by_a_ratio_of_the_betas() -> None:
    adam = cc.Adam(0.5, epsilon=0.0)
    weight, gradient = np.array([1.0, -2.0]), np.array([3.0, 0.5])
    right, _ = adam.update(weight, gradient, adam.slots(weight), 0.5)
    uncorrected = replace(adam, bias_correction=False)
    wrong, _ = uncorrected.update(weight, gradient, uncorrected.slots(weight), 0.5)
    assert_near((wrong - weight) / (right - weight), np.full(2, (1 - 0.9) / (1 - 0.999) ** 0.5))


def test_24_what_is_off_after_two_steps_is_the_decay_of_the_weight() -> None:
    sgd = cc.SGD(0.25, momentum=0.5, weight_decay=0.125)
    weight, gradient, slots = np.array([1.0, -2.0]), np.zeros(2), {"velocity": np.zeros(2)}
    _, right = sgd.update(weight, gradient, slots, 0.25)
    _, wrong = replace(sgd, decay="decoupled").update(weight, gradient, slots, 0.25)
    assert_near(right["velocity"] - wrong["velocity"], 0.125 * weight)


def test_26_only_rows_that_occur_twice_are_wrong() -> None:
    right, wrong = both("attention", "repeated_rows_overwritten at x")
    taken = np.bincount(right["0/data/input"].ravel(), minlength=8)
    same = np.all(wrong["0/gradient/x.weight"] == right["0/gradient/x.weight"], axis=-1)
    np.testing.assert_array_equal(same, taken < 2)


def test_27_the_mask_shows_only_at_an_input_of_0() -> None:
    right, wrong = both("article-batch", "relu_mask_includes_zero at j.relu")
    at_zero = right["0/forward/j"] == 0
    assert at_zero.sum() == 1
    np.testing.assert_array_equal(wrong["0/backward/j"] != right["0/backward/j"], at_zero)


def test_28_a_late_update_applies_the_gradient_of_the_step_before() -> None:
    _, wrong = both("article-batch", "update_one_step_late")
    for name in CASES["article-batch"].trained:
        np.testing.assert_array_equal(wrong[f"0/update/{name}"], wrong[f"0/initial/{name}"])
        assert_near(wrong[f"1/update/{name}"], wrong[f"0/update/{name}"] - 0.125 * wrong[f"0/gradient/{name}"])


# ------------------------------------------------------------------------------------------------------- conventions

CONVENTIONS = list(
    {
        (other.name, case.nodes[0].layer.kind if not other.site else other.about): (name, other)
        for name, case in sorted(CASES.items(), key=lambda item: -len(item[1].parameters))
        for other in conventions_of(case)
    }.values()
)
"""Each convention of each kind in the smallest case that has it."""


@pytest.mark.parametrize(("name", "other"), CONVENTIONS, ids=[f"{name}-{other}" for name, other in CONVENTIONS])
def test_a_convention_shows_where_it_is_followed_and_nowhere_else(name: str, other: Fault) -> None:
    """Unless nothing is another number on this data: a mean over one row is a sum, a kink has no input on it."""
    case = CASES[name]
    right, found = cc.record(case), record(case, other)
    wrong = locally_wrong(case, found)
    assert [operation.name for operation in wrong if not other.makes(operation)] == []
    alike = list(found) == list(right) and not any(differ(found[tensor], right[tensor]) for tensor in right)
    assert bool(wrong) != alike


@pytest.mark.parametrize(
    ("adapter", "conventions", "followed"),
    [
        ("torch", {}, set()),
        (
            "torch",
            {"at_zero": "right", "at_bounds": "inside"},
            {
                *(f"at_zero = left, 0/backward({kind})" for kind in ("leaky_relu", "prelu", "elu", "selu")),
                *(f"at_bounds = outside, 0/backward({kind})" for kind in ("hardtanh", "hard_swish")),
                "at_six = outside, 0/backward(relu6)",
            },
        ),
        ("jax", {}, {"at_zero = right, 0/backward(leaky_relu)", "at_bounds = inside, 0/backward(hardtanh)"}),
    ],
    ids=["torch", "torch-other conventions", "jax"],
)
def test_a_framework_that_differs_at_kinks_is_said_to_follow_another_convention(
    adapter: str, conventions: dict[str, str], followed: set[str], adapter_of: Callable[[str], object]
) -> None:
    adapter_of(adapter)
    found = cc.check(at_kinks(**conventions), [adapter]).subjects[adapter]
    assert found.verdict == ("disagree" if followed else "agree")
    assert {f"{one.cause}, {one.operation}" for one in found.diagnosis} == followed
    assert {one.kind for one in found.diagnosis} <= {"convention"}


def test_the_conventions_of_an_operation_are_the_alternatives_to_what_is_behind_it() -> None:
    found: dict[tuple[str, str], list[str]] = {}
    for case in CASES.values():
        others = conventions_of(case)
        for operation in cc.record(case).operations:
            found[case.name, operation.name] = [str(other) for other in others if other.makes(operation)]
    assert found["convolutional", "0/forward(a.norm)"] == [
        "training = false at a.norm",
        "running_variance = biased at a.norm",
        "momentum_of = old at a.norm",
    ]
    assert found["attention", "1/backward(seen)"] == ["causal = false at seen", "scale = none at seen"]
    assert found["pooling", "0/backward(relu.max)"] == ["tie = shared at relu.max"]
    assert found["pooling", "0/forward(relu.mean)"] == ["count_padding = false at relu.mean"]
    assert found["pooling", "0/forward(b)"] == ["orientation = flipped at b"]
    assert found["attention", "0/forward(wide.gelu)"] == ["approximate = tanh at wide.gelu"]
    assert found["epsilon-outside", "0/backward(y)"] == ["epsilon_in = root at y"]
    assert found["residual", "2/update(u.weight)"] == ["decay = decoupled", "nesterov = false"]
    assert found["mlp", "0/backward(loss)"] == [
        "reduction = sum at loss",
        "reduction = mean_over_outputs at loss",
        "reduction = none at loss",
        "weighted_mean = rows at loss",
        "ignored_rows = counted at loss",
    ]
    assert found["residual", "0/sum(first)"] == []


def test_a_convention_that_asks_for_other_data_is_left_out() -> None:
    """The classes of mlp's targets are indices: read as distributions they have the wrong shape."""
    assert not [other for other in conventions_of(CASES["mlp"]) if other.name.startswith("targets")]
