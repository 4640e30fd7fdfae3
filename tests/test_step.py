"""The training step: what is computed, in which order, under which names, and what each thing is made of."""

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.reference import DTYPES, train
from numpy.typing import NDArray

Array = NDArray[Any]

N, I, O, C = 7, 3, 5, 4  # noqa: E741 - the letters of the reference


def graph(
    *,
    optimizer: Any = None,
    dtype: str = "float64",
    steps: int = 1,
    batches: int = 1,
    frozen: tuple[str, ...] = (),
    loss: Any = None,
) -> cc.Case:
    r"""A network with a residual, a shared parameter, a repeated value and an input that is used twice.

    input -> left -> bent --> joined -> twice --> kinked -> through -> out
      \----> right -----/                \--------------/
    """
    nodes = (
        cc.Node("left", cc.Dense(I, O)),
        cc.Node("bent", cc.Tanh()),
        cc.Node("right", cc.Dense(I, O), takes=("input",), parameters={"weight": "left.weight"}),
        cc.Node("joined", cc.Add(), takes=("bent", "right")),
        cc.Node("twice", cc.Add(), takes=("joined", "joined")),
        cc.Node("kinked", cc.Relu()),
        cc.Node("through", cc.Add(), takes=("kinked", "twice")),
        cc.Node("out", cc.Dense(O, C)),
    )
    generator = np.random.Generator(np.random.PCG64(20240303))
    shapes = {"left.weight": (I, O), "left.bias": (O,), "right.bias": (O,), "out.weight": (O, C), "out.bias": (C,)}
    weights = {name: generator.standard_normal(shape) for name, shape in shapes.items()}
    loss = loss or cc.MeanSquaredError()
    data = tuple(
        cc.Batch(generator.standard_normal((N, I)), loss.draw_target(generator, (N, C))) for _ in range(batches)
    )
    return cc.Case(
        name="graph",
        nodes=nodes,
        loss=loss,
        optimizer=optimizer or cc.SGD(0.1),
        weights=weights,
        batches=data,
        steps=steps,
        dtype=dtype,
        frozen=frozen,
    )


OPERATIONS = [
    ("0/forward(left)", "dense", "data/input initial/left.weight initial/left.bias", "forward/left"),
    ("0/forward(bent)", "tanh", "forward/left", "forward/bent"),
    ("0/forward(right)", "dense", "data/input initial/left.weight initial/right.bias", "forward/right"),
    ("0/forward(joined)", "add", "forward/bent forward/right", "forward/joined"),
    ("0/forward(twice)", "add", "forward/joined forward/joined", "forward/twice"),
    ("0/forward(kinked)", "relu", "forward/twice", "forward/kinked"),
    ("0/forward(through)", "add", "forward/kinked forward/twice", "forward/through"),
    ("0/forward(out)", "dense", "forward/through initial/out.weight initial/out.bias", "forward/out"),
    ("0/forward(loss)", "mean_squared_error", "forward/out data/target", "forward/loss"),
    ("0/backward(loss)", "mean_squared_error", "forward/out data/target", "backward/out"),
    (
        "0/backward(out)",
        "dense",
        "backward/out forward/through forward/out initial/out.weight initial/out.bias",
        "backward/through gradient/out.weight gradient/out.bias",
    ),
    (
        "0/backward(through)",
        "add",
        "backward/through forward/kinked forward/twice forward/through",
        "backward/kinked backward/twice->through",
    ),
    (
        "0/backward(kinked)",
        "relu",
        "backward/kinked forward/twice forward/kinked",
        "backward/twice->kinked",
    ),
    ("0/sum(twice)", "sum", "backward/twice->through backward/twice->kinked", "backward/twice"),
    (
        "0/backward(twice)",
        "add",
        "backward/twice forward/joined forward/joined forward/twice",
        "backward/joined->twice#1 backward/joined->twice#2",
    ),
    ("0/sum(joined)", "sum", "backward/joined->twice#1 backward/joined->twice#2", "backward/joined"),
    (
        "0/backward(joined)",
        "add",
        "backward/joined forward/bent forward/right forward/joined",
        "backward/bent backward/right",
    ),
    (
        "0/backward(right)",
        "dense",
        "backward/right data/input forward/right initial/left.weight initial/right.bias",
        "backward/input->right gradient/left.weight->right gradient/right.bias",
    ),
    ("0/backward(bent)", "tanh", "backward/bent forward/left forward/bent", "backward/left"),
    (
        "0/backward(left)",
        "dense",
        "backward/left data/input forward/left initial/left.weight initial/left.bias",
        "backward/input->left gradient/left.weight->left gradient/left.bias",
    ),
    ("0/sum(input)", "sum", "backward/input->right backward/input->left", "backward/input"),
    (
        "0/sum(left.weight)",
        "sum",
        "gradient/left.weight->right gradient/left.weight->left",
        "gradient/left.weight",
    ),
    ("0/update(left.weight)", "sgd", "initial/left.weight gradient/left.weight", "update/left.weight"),
    ("0/update(left.bias)", "sgd", "initial/left.bias gradient/left.bias", "update/left.bias"),
    ("0/update(right.bias)", "sgd", "initial/right.bias gradient/right.bias", "update/right.bias"),
    ("0/update(out.weight)", "sgd", "initial/out.weight gradient/out.weight", "update/out.weight"),
    ("0/update(out.bias)", "sgd", "initial/out.bias gradient/out.bias", "update/out.bias"),
]
"""One step of the graph, written out by hand."""

CASES: dict[str, Callable[[], cc.Case]] = {
    "sgd": graph,
    "momentum, two batches": lambda: graph(optimizer=cc.SGD((0.1, 0.2), momentum=0.5), steps=2, batches=2),
    "adam, two steps of one batch": lambda: graph(optimizer=cc.Adam(0.1), steps=2),
    "frozen": lambda: graph(optimizer=cc.Adam(0.1), steps=2, frozen=("left.weight", "out.bias")),
    "class indices": lambda: graph(loss=cc.SoftmaxCrossEntropy()),
    "distributions": lambda: graph(loss=cc.SoftmaxCrossEntropy("sum", "distributions")),
}
every_case = pytest.mark.parametrize("case", [make() for make in CASES.values()], ids=CASES)

Kept = list[tuple[str, Array]]


def kept_by(case: cc.Case, hook: Callable[[str, Array], Array] = lambda name, made: made) -> tuple[Kept, list[Any]]:
    """What a hook was handed, in order, and the operations."""
    kept: Kept = []

    def keep(name: str, made: Array) -> Array:
        kept.append((name, made))
        return hook(name, made)

    return kept, train(case, keep)


# ----------------------------------------------------------------------------------------------- order and names


def test_the_operations_of_a_step_are_these() -> None:
    found = [
        (operation.name, operation.kind, operation.inputs, operation.outputs)
        for operation in cc.record(graph()).operations
    ]
    expected = [
        (name, kind, tuple(f"0/{i}" for i in inputs.split()), tuple(f"0/{o}" for o in outputs.split()))
        for name, kind, inputs, outputs in OPERATIONS
    ]
    assert found == expected


@every_case
def test_the_hook_receives_every_tensor_once_in_the_order_of_the_trace(case: cc.Case) -> None:
    kept, operations = kept_by(case)
    names = [name for name, _ in kept]
    assert len(names) == len(set(names))
    given = [name for name in names if name.split("/")[1] in ("data", "initial")]
    made = [name for operation in operations for name in operation.outputs]
    assert [name for name in names if name not in given] == made
    trace = cc.record(case)
    assert list(trace) == made
    assert list(trace.given) == given
    for name, array in kept:
        np.testing.assert_array_equal(array, trace[name])


@every_case
def test_every_tensor_is_made_once_and_of_what_was_there_before(case: cc.Case) -> None:
    trace = cc.record(case)
    there = set(trace.given)
    for operation in trace.operations:
        assert set(operation.inputs) <= there, operation.name
        assert not set(operation.outputs) & there, operation.name
        assert operation.outputs, operation.name
        there |= set(operation.outputs)
    assert there == {*trace.given, *trace.tensors}
    assert len({operation.name for operation in trace.operations}) == len(trace.operations)


PHASES = ("data", "initial", "forward", "backward", "gradient", "state", "update")
NAME = re.compile(rf"(\d+)/({'|'.join(PHASES)})/([\w.]+)(?:->([\w.]+(?:#\d)?))?")


@every_case
def test_names_are_step_phase_and_name(case: cc.Case) -> None:
    nodes, parameters = {node.name for node in case.nodes}, set(case.parameters)
    owners = {
        "data": {"input", "target"},
        "forward": {*nodes, "loss"},
        "backward": {*nodes, "input"},
        "gradient": parameters,
        "update": set(case.trained),
    }
    names = [name for name, _ in kept_by(case)[0]]
    for name in names:
        step, phase, owner, use = NAME.fullmatch(name).groups()  # type: ignore[union-attr]
        assert int(step) < case.steps
        assert use is None or (phase in ("backward", "gradient") and use in case.uses[owner])
        if phase in owners:
            assert owner in owners[phase], name
        else:
            slot = owner.rpartition(".")[2]
            assert owner in parameters or slot in ("velocity", "step", "first_moment", "second_moment"), name
    steps = [int(name.split("/")[0]) for name in names]
    assert steps == sorted(steps)


@every_case
def test_a_step_goes_forward_then_backward_then_updates(case: cc.Case) -> None:
    for step in range(case.steps):
        phases = [o.phase for o in cc.record(case).operations if o.name.startswith(f"{step}/")]
        assert phases == sorted(phases, key=["forward", "backward", "update"].index)
        assert set(phases) == {"forward", "backward", "update"}


def test_every_name_is_there() -> None:
    trace = cc.record(graph(optimizer=cc.Adam(0.1), frozen=("left.bias",)))
    case = graph()
    for node in case.nodes:
        assert f"0/forward/{node.name}" in trace.tensors
        assert f"0/backward/{node.name}" in trace.tensors
    for name in case.parameters:
        assert f"0/gradient/{name}" in trace.tensors
        assert f"0/initial/{name}" in trace.given
        trained = name != "left.bias"
        assert (f"0/update/{name}" in trace.tensors) == trained
        for slot in ("step", "first_moment", "second_moment"):
            assert (f"0/initial/{name}.{slot}" in trace.given) == trained
            assert (f"0/state/{name}.{slot}" in trace.tensors) == trained
    assert {"0/backward/input", "0/forward/loss"} <= trace.tensors.keys()
    assert {"0/data/input", "0/data/target"} <= trace.given.keys()


# ------------------------------------------------------------------------------------------ the hook has its way


def test_the_step_goes_on_with_what_the_hook_hands_back() -> None:
    plain = cc.record(graph())
    other = np.linspace(-0.9, 0.9, N * O).reshape(N, O)
    kept, _ = kept_by(graph(), lambda name, made: other if name == "0/forward/bent" else made)
    made = dict(kept)
    np.testing.assert_array_equal(made["0/forward/bent"], plain["0/forward/bent"])
    np.testing.assert_array_equal(made["0/forward/joined"], other + plain["0/forward/right"])
    # Tanh saved its output for its backward: it uses the one that was handed back.
    np.testing.assert_array_equal(made["0/backward/left"], made["0/backward/bent"] * (1 - other * other))


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (cc.Relu(), lambda dy, y: np.where(y > 0, dy, 0)),
        (cc.Tanh(), lambda dy, y: dy * (1 - y * y)),
        (cc.Sigmoid(), lambda dy, y: dy * (y * (1 - y))),
        (cc.Softmax(), lambda dy, y: y * (dy - (dy * y).sum(axis=-1, keepdims=True))),
    ],
    ids=["relu", "tanh", "sigmoid", "softmax"],
)
def test_a_layer_that_saved_its_output_uses_the_replaced_one(
    layer: Any, expected: Callable[[Array, Array], Array]
) -> None:
    generator = np.random.Generator(np.random.PCG64(14))
    case = cc.Case(
        name="alone",
        nodes=(cc.Node("in", cc.Dense(I, O)), cc.Node("y", layer)),
        loss=cc.MeanSquaredError(),
        optimizer=cc.SGD(0.1),
        weights={"in.weight": generator.standard_normal((I, O)), "in.bias": np.zeros(O)},
        batches=(cc.Batch(generator.standard_normal((N, I)), generator.standard_normal((N, O))),),
    )
    other, dy = generator.uniform(-1, 1, (N, O)), generator.standard_normal((N, O))
    given = {"0/forward/y": other, "0/backward/y": dy}
    kept, _ = kept_by(case, lambda name, made: given.get(name, made))
    np.testing.assert_array_equal(dict(kept)["0/backward/in"], expected(dy, other))


@every_case
def test_a_tensor_depends_on_the_inputs_of_its_operation_and_on_nothing_else(case: cc.Case) -> None:
    """Every tensor gives way to a random one; where one is another, only its readers make anything else."""

    @cache
    def drawn(name: str, changed: bool, shape: tuple[int, ...]) -> Array:
        return np.random.Generator(np.random.PCG64([*name.encode(), changed])).uniform(0.1, 0.9, shape)

    def made_with(changed: str) -> dict[str, Array]:
        def hook(name: str, made: Array) -> Array:
            if made.dtype.kind == "i":
                return (made + 1) % C if name == changed else made
            return drawn(name, name == changed, made.shape)

        return dict(kept_by(case, hook)[0])

    operations = cc.record(case).operations
    plain = made_with("nothing")
    for name in plain:
        changed = {other for other, array in made_with(name).items() if not np.array_equal(array, plain[other])}
        readers = {output for operation in operations if name in operation.inputs for output in operation.outputs}
        assert changed <= readers, f"{name} is read by what does not say so: {changed - readers}"
        used_up = name.split("/")[1] in ("state", "update") and int(name.split("/")[0]) == case.steps - 1
        assert changed or used_up or name.endswith("/loss") or not readers, f"{name} is read by nothing"


# ------------------------------------------------------------------------------------------------------ the sums


def test_a_value_that_is_used_twice_has_parts_and_their_sum() -> None:
    trace = cc.record(graph())
    for total, parts in {
        "backward/twice": ("twice->through", "twice->kinked"),
        "backward/joined": ("joined->twice#1", "joined->twice#2"),
        "backward/input": ("input->right", "input->left"),
        "gradient/left.weight": ("left.weight->right", "left.weight->left"),
    }.items():
        phase = total.partition("/")[0]
        first, second = (trace[f"0/{phase}/{part}"] for part in parts)
        np.testing.assert_array_equal(trace[f"0/{total}"], first + second)
    # x + x: each use sends back what came, and the sum is twice that.
    np.testing.assert_array_equal(trace["0/backward/joined->twice#1"], trace["0/backward/twice"])
    np.testing.assert_array_equal(trace["0/backward/joined"], 2 * trace["0/backward/twice"])


def test_each_use_of_a_shared_parameter_has_its_part() -> None:
    trace = cc.record(graph())
    for node in ("left", "right"):
        by_hand = trace["0/data/input"].T @ trace[f"0/backward/{node}"]
        np.testing.assert_array_equal(trace[f"0/gradient/left.weight->{node}"], by_hand)


def test_the_last_node_may_also_be_taken_by_the_loss_only() -> None:
    trace = cc.record(graph())
    assert not [name for name in trace if name.endswith("->loss")]


# ------------------------------------------------------------------------------- gradients, by central differences


def loss_at(case: cc.Case, name: str, nudge: Array) -> Any:
    """The loss of a run in which one tensor is moved."""
    kept, _ = kept_by(case, lambda found, made: made + nudge if found == name else made)
    return dict(kept)["0/forward/loss"]


LOSSES = {
    "mean_squared_error": cc.MeanSquaredError(),
    "softmax_cross_entropy": cc.SoftmaxCrossEntropy(),
    "distributions": cc.SoftmaxCrossEntropy("mean_over_outputs", "distributions"),
}


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("phase", ["input", "nodes", "parameters"])
def test_gradients_are_the_slopes_of_the_loss(loss: Any, phase: str) -> None:
    case = graph(dtype="longdouble", loss=loss)
    trace = cc.record(case)
    assert np.min(np.abs(trace["0/forward/twice"])) > 1e-3, "an input of relu within reach of its kink"
    pairs = {
        "input": {"0/data/input": "0/backward/input"},
        "nodes": {f"0/forward/{node.name}": f"0/backward/{node.name}" for node in case.nodes},
        "parameters": {f"0/initial/{name}": f"0/gradient/{name}" for name in case.parameters},
    }[phase]
    epsilon = np.finfo(np.longdouble).eps
    h = epsilon ** (np.longdouble(1) / 3)
    for name, gradient in pairs.items():
        slopes = np.zeros_like(trace[name])
        for place in np.ndindex(slopes.shape):
            nudge = np.zeros_like(slopes)
            nudge[place] = h
            slopes[place] = (loss_at(case, name, nudge) - loss_at(case, name, -nudge)) / (2 * h)
        # Truncation is of the order of h^2 slopes, rounding of eps / h losses: both of eps^(2/3).
        apart = np.max(np.abs(trace[gradient] - slopes))
        largest = max(np.max(np.abs(slopes)), trace["0/forward/loss"])
        assert apart <= 100 * float(epsilon) ** (2 / 3) * largest, gradient
        assert np.any(slopes), gradient


# --------------------------------------------------------------------------------------------------- the updates


def test_a_frozen_parameter_has_a_gradient_and_no_update() -> None:
    frozen = cc.record(graph(steps=2, frozen=("left.weight", "out.bias")))
    assert "0/gradient/left.weight" in frozen.tensors
    assert not [name for name in frozen if "/update/left.weight" in name or "/update/out.bias" in name]
    # The second step still reads the first weights of them, and the new ones of the others.
    (second,) = (operation for operation in frozen.operations if operation.name == "1/forward(out)")
    assert second.inputs == ("1/forward/through", "0/update/out.weight", "0/initial/out.bias")


def test_all_gradients_come_from_the_weights_of_before_the_step() -> None:
    """And not, as in some texts, those of the first layer from weights of the last that are updated already."""
    case = graph()
    spoilt, _ = kept_by(case, lambda name, made: made * np.nan if "/update/" in name else made)
    trace = cc.record(case)
    for name, array in spoilt:
        np.testing.assert_array_equal(array, trace[name])
    by_hand = trace["0/backward/out"] @ case.weights["out.weight"].T
    np.testing.assert_array_equal(trace["0/backward/through"], by_hand)
    assert not np.array_equal(trace["0/backward/through"], trace["0/backward/out"] @ trace["0/update/out.weight"].T)


def test_a_statistic_goes_on_from_what_the_step_before_made_of_it() -> None:
    generator = np.random.Generator(np.random.PCG64(20240305))
    weights = {"in.weight": generator.standard_normal((I, O)), "in.bias": generator.standard_normal(O)}
    case = cc.Case(
        name="normalised",
        nodes=(cc.Node("in", cc.Dense(I, O)), cc.Node("y", cc.BatchNorm(O, momentum=0.25, running_variance="biased"))),
        loss=cc.MeanSquaredError(),
        optimizer=cc.SGD(0.1),
        weights={**weights, "y.weight": np.ones(O), "y.bias": np.zeros(O)},
        batches=tuple(cc.Batch(generator.standard_normal((N, I)), generator.standard_normal((N, O))) for _ in range(3)),
        steps=3,
    )
    trace = cc.record(case)
    mean, variance = np.zeros(O), np.ones(O)
    for step in range(3):
        seen = trace[f"{step}/forward/in"]
        mean, variance = 0.75 * mean + 0.25 * seen.mean(axis=0), 0.75 * variance + 0.25 * seen.var(axis=0)
        np.testing.assert_allclose(trace[f"{step}/state/y.running_mean"], mean, rtol=1e-13)
        np.testing.assert_allclose(trace[f"{step}/state/y.running_var"], variance, rtol=1e-13)
    (last,) = (operation for operation in trace.operations if operation.name == "2/forward(y)")
    assert last.inputs[-2:] == ("1/state/y.running_mean", "1/state/y.running_var")


@pytest.mark.parametrize(
    ("optimizer", "remembers"),
    [
        (cc.SGD((0.1, 0.2)), False),
        (cc.SGD((0.1, 0.2), weight_decay=0.1), False),
        (cc.SGD((0.1, 0.2), momentum=0.9), True),
        (cc.Adam((0.1, 0.2)), True),
    ],
    ids=["sgd", "sgd with decay", "momentum", "adam"],
)
def test_two_steps_are_two_runs_of_one_but_for_what_is_remembered(optimizer: Any, remembers: bool) -> None:
    both = graph(optimizer=optimizer, steps=2, batches=2)
    trace = cc.record(both)
    first = replace(both, steps=1, batches=both.batches[:1], optimizer=replace(optimizer, learning_rate=0.1))
    weights = {name: cc.record(first)[f"0/update/{name}"] for name in both.parameters}
    second = replace(
        both, steps=1, batches=both.batches[1:], optimizer=replace(optimizer, learning_rate=0.2), weights=weights
    )
    again = cc.record(second)
    for name in cc.record(first):
        np.testing.assert_array_equal(trace[name], cc.record(first)[name])
    for name in again:
        same = np.array_equal(again[name], trace[name.replace("0/", "1/", 1)])
        phase = name.split("/")[1]
        assert same or (remembers and phase in ("update", "state")), name
        if remembers and phase == "update":
            assert not same, name


def test_the_optimizer_is_handed_the_rate_of_each_step() -> None:
    case = graph(optimizer=cc.SGD((0.1, 0.0, 0.2)), steps=3)
    trace = cc.record(case)
    np.testing.assert_array_equal(trace["1/update/out.weight"], trace["0/update/out.weight"])
    last = trace["1/update/out.weight"] - 0.2 * trace["2/gradient/out.weight"]
    np.testing.assert_array_equal(trace["2/update/out.weight"], last)


def test_a_run_is_the_same_again_and_changes_no_case() -> None:
    case = graph(optimizer=cc.Adam(0.1), steps=2)
    before = {name: array.copy() for name, array in case.weights.items()}
    first, second = cc.record(case), cc.record(case)
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])
    for name, array in before.items():
        np.testing.assert_array_equal(case.weights[name], array)


def test_an_overflow_is_a_result_and_no_warning() -> None:
    case = graph(dtype="float16", optimizer=cc.SGD(60000.0), steps=3)
    trace = cc.record(case)
    assert not np.isfinite(trace["2/forward/loss"])


# ------------------------------------------------------------------------------------------------------- the case

FIELDS: dict[str, Any] = {
    "name": "small",
    "nodes": (cc.Node("j", cc.Dense(I, O)), cc.Node("j.tanh", cc.Tanh()), cc.Node("o", cc.Dense(O, C))),
    "loss": cc.MeanSquaredError(),
    "optimizer": cc.SGD(0.1),
    "weights": {
        "j.weight": np.zeros((I, O)),
        "j.bias": np.zeros(O),
        "o.weight": np.zeros((O, C)),
        "o.bias": np.zeros(C),
    },
    "batches": (cc.Batch(np.zeros((N, I)), np.zeros((N, C))),),
}

J, TANH, OUT = FIELDS["nodes"]
BATCH = FIELDS["batches"][0]
INDICES = cc.SoftmaxCrossEntropy()


def weights(**changed: Any) -> dict[str, Any]:
    return {**FIELDS["weights"], **{name.replace("_", "."): array for name, array in changed.items()}}


def shared(*parameters: Mapping[str, str]) -> dict[str, Any]:
    nodes = [replace(node, parameters=names) for node, names in zip((J, OUT), parameters, strict=True)]
    return {"nodes": (nodes[0], TANH, nodes[1])}


A_NAME = "a name of letters, digits, '_', '-' and '.', not beginning with '.' or '-'"

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "name with a slash": ({"name": "a/b"}, f"name: expected {A_NAME}; received 'a/b'"),
    "no name": ({"name": ""}, f"name: expected {A_NAME}; received ''"),
    "name that is none": ({"name": 3}, f"name: expected {A_NAME}; received 3"),
    "dtype": (
        {"dtype": "float8"},
        "dtype: expected one of 'bfloat16', 'float16', 'float32', 'float64', 'longdouble'; received 'float8'",
    ),
    "no nodes": ({"nodes": ()}, "nodes: expected at least one node; received none"),
    "node's name": (
        {"nodes": (replace(J, name=".j"),)},
        f"nodes..j.name: expected {A_NAME}; received '.j'",
    ),
    "node named as a use": (
        {"nodes": (replace(J, name="a->b"),)},
        f"nodes.a->b.name: expected {A_NAME}; received 'a->b'",
    ),
    "reserved name": (
        {"nodes": (J, replace(TANH, name="loss"), OUT)},
        "nodes.loss: expected a name of its own; received 'loss', one of the reserved names",
    ),
    "name used twice": (
        {"nodes": (J, TANH, replace(OUT, name="j"))},
        "nodes.j: expected a name of its own; received 'j', the name of an earlier node",
    ),
    "takes what is not there": (
        {"nodes": (J, replace(TANH, takes=("k",)), OUT)},
        "nodes.j.tanh.from: expected what stands before it: 'input', 'j'; received 'k'",
    ),
    "takes what stands after it": (
        {"nodes": (J, replace(TANH, takes=("o",)), OUT)},
        "nodes.j.tanh.from: expected what stands before it: 'input', 'j'; received 'o'",
    ),
    "takes itself": (
        {"nodes": (J, replace(TANH, takes=("j.tanh",)), OUT)},
        "nodes.j.tanh.from: expected what stands before it: 'input', 'j'; received 'j.tanh'",
    ),
    "takes too few": (
        {"nodes": (J, cc.Node("j.tanh", cc.Add()), OUT)},
        "nodes.j.tanh.from: expected 2 for 'add'; received 1: 'j'",
    ),
    "takes too many": (
        {"nodes": (J, replace(TANH, takes=("input", "j")), OUT)},
        "nodes.j.tanh.from: expected 1 for 'tanh'; received 2: 'input', 'j'",
    ),
    "a parameter that the layer lacks": (
        shared({"weights": "j.weight"}, {}),
        "nodes.j.parameters: expected a parameter of 'dense': 'bias', 'weight'; received 'weights'",
    ),
    "a parameter of a layer without": (
        {"nodes": (J, replace(TANH, parameters={"weight": "w"}), OUT)},
        "nodes.j.tanh.parameters: expected a parameter of 'tanh': none; received 'weight'",
    ),
    "a parameter's name": (
        shared({"weight": "w i j"}, {}),
        f"nodes.j.parameters.weight: expected {A_NAME}; received 'w i j'",
    ),
    "one parameter for two": (
        shared({"weight": "w", "bias": "w"}, {}),
        "nodes.j.parameters: expected a different parameter for each; received 'w', 'w'",
    ),
    "a parameter named as a node": (
        shared({"weight": "o"}, {}),
        "nodes.j.parameters: expected a parameter's name that is no node's; received 'o'",
    ),
    "a parameter named as what an optimizer may remember of another": (
        {
            **shared({"weight": "w"}, {"weight": "w.step"}),
            "weights": {
                "w": np.zeros((I, O)),
                "w.step": np.zeros((O, C)),
                "j.bias": np.zeros(O),
                "o.bias": np.zeros(C),
            },
        },
        "nodes: expected a name that does not continue that of the parameter 'w'; received 'w.step'",
    ),
    "a parameter with a reserved name": (
        shared({"weight": "target"}, {}),
        "nodes.j.parameters: expected a parameter's name that is no node's; received 'target'",
    ),
    "an output that nothing takes": (
        {"nodes": (J, TANH, cc.Node("o", cc.Dense(O, C), takes=("j",)))},
        "nodes.j.tanh: expected an output that a later node or a loss takes; received none that does",
    ),
    "no steps": ({"steps": -1}, "steps: expected at least 1 step and a batch; received -1"),
    "no batch": ({"batches": ()}, "steps: expected at least 1 step and a batch; received 0"),
    "no batch for the steps": (
        {"batches": (), "steps": 2},
        "data: expected 1 batch, or one for each of 2 steps; received 0",
    ),
    "too few batches": (
        {"batches": (BATCH, BATCH), "steps": 3},
        "data: expected 1 batch, or one for each of 3 steps; received 2",
    ),
    "too few rates": (
        {"optimizer": cc.SGD((0.1, 0.2)), "steps": 3},
        "optimizer.learning_rate: expected one number, or a list of 3, one for each step; received a list of 2",
    ),
    "too many rates": (
        {"optimizer": cc.Adam((0.1, 0.2))},
        "optimizer.learning_rate: expected one number, or a list of 1, one for each step; received a list of 2",
    ),
    "no rates": (
        {"optimizer": cc.Adam(())},
        "optimizer.learning_rate: expected one number, or a list of 1, one for each step; received a list of 0",
    ),
    "ragged rows": (
        {"weights": weights(j_weight=[[1.0, 2.0], [3.0]])},
        "weights.j.weight: expected rows of equal length; received a ragged array",
    ),
    "words for numbers": (
        {"weights": weights(j_bias=["a"] * O)},
        "weights.j.bias: expected numbers; received values of type <U1",
    ),
    "true for numbers": (
        {"weights": weights(j_bias=[True] * O)},
        "weights.j.bias: expected numbers; received values of type bool",
    ),
    "complex numbers": (
        {"weights": weights(j_bias=[1j] * O)},
        "weights.j.bias: expected numbers; received values of type complex128",
    ),
    "nan": (
        {"weights": weights(j_bias=[0, 0, np.nan, 0, 0])},
        "weights.j.bias: expected finite numbers of float64; received nan at [2]",
    ),
    "the first of two that are not finite": (
        {"weights": weights(j_bias=[0, 0, np.inf, np.nan, 0])},
        "weights.j.bias: expected finite numbers of float64; received inf at [2]",
    ),
    "infinity": (
        {"batches": (cc.Batch([[0, 0, 0], [0, -np.inf, 0]], np.zeros((2, C))),)},
        "data.inputs: expected finite numbers of float64; received -inf at [1, 1]",
    ),
    "too large for the dtype": (
        {"dtype": "float16", "weights": weights(o_bias=[0.0, 0.0, 70000.0, 0.0])},
        "weights.o.bias: expected finite numbers of float16; received 70000.0 at [2]",
    ),
    "real class indices": (
        {"loss": INDICES, "batches": (cc.Batch(BATCH.inputs, np.zeros(N)),)},
        "data.targets: expected whole numbers; received values of type float64",
    ),
    "unknown weight": (
        {"weights": weights(k_weight=np.zeros(3))},
        "weights.k.weight: expected a parameter of the case: 'j.bias', 'j.weight', 'o.bias', 'o.weight'; "
        "received 'k.weight'",
    ),
    "missing weight": (
        {"weights": {name: array for name, array in FIELDS["weights"].items() if name != "o.weight"}},
        "weights.o.weight: expected an array of shape (5, 4); received nothing",
    ),
    "transposed weight": (
        {"weights": weights(j_weight=np.zeros((O, I)))},
        "weights.j.weight: expected shape (3, 5), for node 'j'; received shape (5, 3)",
    ),
    "shared by two shapes": (
        {**shared({}, {"weight": "j.weight"}), "weights": {n: a for n, a in weights().items() if n != "o.weight"}},
        "weights.j.weight: expected shape (5, 4), for node 'o'; received shape (3, 5)",
    ),
    "a number for inputs": (
        {"batches": (cc.Batch(3.0, BATCH.targets),)},
        "data.inputs: expected at least one row; received shape ()",
    ),
    "no rows": (
        {"batches": (cc.Batch(np.zeros((0, I)), np.zeros((0, C))),)},
        "data.inputs: expected at least one row; received shape (0, 3)",
    ),
    "widths of data and node": (
        {"batches": (cc.Batch(np.zeros((N, 2)), BATCH.targets),)},
        "nodes.j.inputs: expected 2, the width of what the node takes; received 3",
    ),
    "widths of two nodes": (
        {"nodes": (J, TANH, cc.Node("o", cc.Dense(C, C))), "weights": weights(o_weight=np.zeros((C, C)))},
        "nodes.o.inputs: expected 5, the width of what the node takes; received 4",
    ),
    "rank of the data": (
        {"batches": (cc.Batch(np.zeros(I), BATCH.targets),)},
        "nodes.j: expected an input of rank 2 or more, (..., N, I); received shape (3,)",
    ),
    "targets": (
        {"batches": (cc.Batch(BATCH.inputs, np.zeros((N, 1))),)},
        "data.targets: expected shape (7, 4); received shape (7, 1)",
    ),
    "targets of the second step": (
        {"batches": (BATCH, cc.Batch(BATCH.inputs, np.zeros(N)))},
        "data.1.targets: expected shape (7, 4); received shape (7,)",
    ),
    "a class that there is not": (
        {"loss": INDICES, "batches": (cc.Batch(BATCH.inputs, np.arange(N)),)},
        "data.targets: expected class indices from 0 to 3; received indices from 0 to 6",
    ),
    "a loss of rows without rows": (
        {
            "nodes": (cc.Node("y", cc.Tanh()),),
            "weights": {},
            "loss": cc.CrossEntropy(),
            "batches": (cc.Batch(np.ones(N), np.ones(N)),),
        },
        "loss.prediction: expected a prediction of shape (..., N, C); received shape (7,)",
    ),
    "frozen": (
        {"frozen": ("j",)},
        "frozen.j: expected a parameter of the case: 'j.bias', 'j.weight', 'o.bias', 'o.weight'; received 'j'",
    ),
    "symbols": (
        {"symbols": {"k": "layer k"}},
        "symbols.k: expected a name of the case: 'input', 'j', 'j.bias', 'j.tanh', 'j.weight', 'loss', 'o', 'o.bias', "
        "'o.weight', 'target'; received 'k'",
    ),
}


@pytest.mark.parametrize(("changed", "message"), REFUSED.values(), ids=REFUSED)
def test_a_case_that_does_not_fit_together_is_refused(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(cc.CaseError) as caught:
        cc.Case(**{**FIELDS, **changed})
    assert str(caught.value) == message


def test_the_case_that_the_others_spoil_is_sound() -> None:
    case = cc.Case(**FIELDS, symbols={"j.weight": "wij", "input": "i", "o": "o_input"}, frozen=("j.bias",))
    assert [node.takes for node in case.nodes] == [("input",), ("j",), ("j.tanh",)]
    assert case.steps == 1
    assert cc.record(case)["0/forward/o"].shape == (N, C)


@pytest.mark.parametrize(
    ("steps", "message"),
    [
        (0, "steps: expected at least 1; received 0"),
        (3, "data: expected 1 batch, or one for each of 3 steps; received 2"),
    ],
    ids=["none", "more than there are batches"],
)
def test_another_number_of_steps_is_refused(steps: int, message: str) -> None:
    case = graph(steps=2, batches=2)
    with pytest.raises(cc.CaseError) as caught:
        case.with_steps(steps)
    assert str(caught.value) == message


def test_more_steps_than_rates_are_refused() -> None:
    with pytest.raises(cc.CaseError, match=r"a list of 3, one for each step; received a list of 2"):
        graph(optimizer=cc.SGD((0.1, 0.2)), steps=2).with_steps(3)


def test_fewer_steps_are_the_first_of_them() -> None:
    case = graph(optimizer=cc.Adam((0.1, 0.2, 0.3)), steps=3, batches=3)
    shorter = case.with_steps(2)
    assert (shorter.steps, len(shorter.batches), shorter.learning_rates) == (2, 2, (0.1, 0.2))
    trace, whole = cc.record(shorter), cc.record(case)
    assert list(trace) == [name for name in whole if not name.startswith("2/")]
    for name in trace:
        np.testing.assert_array_equal(trace[name], whole[name])


def test_one_batch_serves_any_number_of_steps() -> None:
    case = graph().with_steps(4)
    assert (case.steps, len(case.batches), case.batch(3)) == (4, 1, case.batches[0])


def test_an_error_says_what_was_expected_and_what_was_received() -> None:
    error = cc.CaseError("2", "3", key="inputs").within("nodes.k").in_file("mine.toml")
    assert (error.expected, error.received, error.key, error.file) == ("2", "3", "nodes.k.inputs", "mine.toml")
    assert str(error) == "mine.toml: nodes.k.inputs: expected 2; received 3"
    assert str(cc.CaseError("2", "3")) == "expected 2; received 3"
    assert isinstance(error, ValueError)
    assert error.args == ("2", "3")


def test_an_error_is_the_same_in_another_process() -> None:
    error = cc.CaseError("2", "3", key="inputs", file="mine.toml")
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), vars(again), again.args) == (str(error), vars(error), error.args)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_case_owns_its_numbers(dtype: str) -> None:
    weight = np.ones((I, O), "float32" if dtype == "bfloat16" else dtype)
    case = cc.Case(**{**FIELDS, "weights": weights(j_weight=weight), "dtype": dtype})
    weight[:] = 2
    assert np.all(case.weights["j.weight"] == 1)
