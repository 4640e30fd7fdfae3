"""The checker checked: faults are found, placed and named, correct runs pass, and what is no known fault is unknown.

A stratified sample; ``make faults`` runs the whole.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases import built_in
from crosscheck.cases.random import KINKS, mixed_case, random_case
from crosscheck.cli import app
from crosscheck.comparison.compare import Comparison
from crosscheck.comparison.rules import RULES, refused
from crosscheck.comparison.tolerance import Computed
from crosscheck.comparison.trials import Bench, CorrectRun, Trial, Trials, correct_runs, everything
from crosscheck.faults import FAULTS, Fault, conventions_of, faults_of
from crosscheck.reference import CLIPS, LAYERS, LOSSES, OPTIMIZERS, run
from crosscheck.rendering.trials import coverage_to_markdown, to_json, to_markdown
from typer.testing import CliRunner

KINDS = (*LAYERS, *LOSSES, *CLIPS, *OPTIMIZERS)
NETWORKS = 900


def kinds_of(case: cc.Case) -> set[str]:
    found = {case.optimizer.kind, *(node.layer.kind for node in case.nodes), *(term.loss.kind for term in case.losses)}
    return found | {case.clip.kind} if case.clip else found


# ------------------------------------------------------------------------------------------------------ random networks


def test_every_kind_stands_in_30_of_the_networks() -> None:
    """Of those that ``make faults`` makes correct runs of."""
    stands_in = Counter(kind for number in range(NETWORKS) for kind in kinds_of(mixed_case(number)))
    assert {kind: stands_in[kind] for kind in KINDS if stands_in[kind] < 30} == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_that_is_asked_for_is_there(kind: str) -> None:
    assert all(kind in kinds_of(random_case(seed, kind=kind)) for seed in range(8))


def test_a_kind_that_is_none_is_refused() -> None:
    with pytest.raises(cc.CaseError, match="'transformer'"):
        random_case(0, kind="transformer")


def test_random_networks_are_finite_and_off_the_kinks() -> None:
    for seed in range(0, NETWORKS, 3):
        case = random_case(seed)
        trace = run(case)
        assert all(np.isfinite(trace[name]).all() for name in trace), seed
        for node in case.nodes:
            kinks = KINKS.get(node.layer.kind, lambda layer: ())(node.layer)
            places = [place for step in range(case.steps) for place in case.places(step) if kinks]
            taken = [trace[f"{place}/forward/{node.takes[0]}"] for place in places]
            assert all(np.all(x != kink) for x in taken for kink in kinks), (seed, node.name)


def test_a_random_network_is_the_same_in_every_dtype() -> None:
    wide, narrow = random_case(8), random_case(8, dtype="float16")
    assert narrow.dtype == "float16"
    assert narrow.nodes == wide.nodes
    for name, weight in wide.weights.items():
        np.testing.assert_array_equal(narrow.weights[name].astype("float64"), weight)


def test_rows_and_widths_differ() -> None:
    for seed in range(60):
        inputs = random_case(seed).batch(0).inputs
        assert inputs.shape[0] not in inputs.shape[1:2], seed


# --------------------------------------------------------------------------------------------------------------- faults


@cache
def bench(case: str, dtype: str = "float64") -> Bench:
    return Bench(cc.load_case(case, dtype=dtype))


@cache
def sites() -> dict[str, list[tuple[str, Fault]]]:
    """Where each fault can happen: the built-in cases, those with the fewest tensors first, and the fault there."""
    found: dict[str, list[tuple[str, Fault]]] = {name: [] for name in FAULTS}
    for case in sorted(built_in(), key=lambda name: len(bench(name).wide)):
        for fault in faults_of(bench(case).case):
            found[fault.name].append((case, fault))
    return found


@cache
def visible(name: str) -> list[tuple[str, Fault]]:
    """The first of these places where a fault is visible; none, if it is not in any."""
    return next(([(case, fault)] for case, fault in sites()[name] if bench(case).visible(fault)), [])


def test_every_fault_is_visible_in_a_built_in_case() -> None:
    assert [name for name in FAULTS if not visible(name)] == []


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_detected_localised_and_named_in_float64(name: str) -> None:
    for case, fault in visible(name):
        trial = bench(case).plant(fault)
        assert trial.detected, trial
        assert trial.localised, trial
        assert trial.named, trial


def test_faults_are_found_in_float32() -> None:
    trials = [bench(case, "float32").plant(fault) for name in list(FAULTS)[::11] for case, fault in visible(name)]
    found = [trial for trial in trials if trial.detected]
    assert len(found) >= 0.95 * len(trials), [trial for trial in trials if not trial.detected]
    assert all(trial.localised for trial in found), [trial for trial in found if not trial.localised]
    assert sum(trial.named for trial in found) >= 0.95 * len(found), [trial for trial in found if not trial.named]


@pytest.mark.parametrize("case", ["article-batch", "regression", "convolutional"])
def test_a_convention_is_called_one_and_never_a_fault(case: str) -> None:
    trials = [bench(case).plant(convention, "convention") for convention in conventions_of(bench(case).case)]
    assert trials
    for trial in trials:
        assert trial.detected or not trial.visible, trial
        assert trial.named or not trial.detected, trial
        assert not any(said.startswith("fault") for said in trial.said), trial


def test_three_faults_at_once_are_all_named_and_nothing_else() -> None:
    planted = {"j": "bias_gradient_averaged", "k.tanh": "tanh_square_forgotten", "o.softmax": "diagonal_jacobian"}
    case = cc.load_case("article-batch")
    nodes = tuple(
        replace(node, layer=FAULTS[planted[node.name]].planted(node.layer)) if node.name in planted else node  # type: ignore[attr-defined]
        for node in case.nodes
    )
    faulty = run(replace(case, nodes=nodes))
    found = bench("article-batch").comparison.of(faulty)
    named = {(one.operation.partition("/")[2], one.cause) for one in found.diagnosis}
    assert named == {(f"backward({site})", name) for site, name in planted.items()}


@pytest.mark.parametrize(
    ("tensor", "operation"),
    [
        ("0/gradient/k.weight", "0/backward(k)"),
        ("0/forward/o", "0/forward(o)"),
        ("0/update/j.bias", "0/update(j.bias)"),
    ],
)
def test_a_fault_of_no_catalogue_is_placed_and_called_unknown(tensor: str, operation: str) -> None:
    subject = run(cc.load_case("article-batch"))
    changed = subject.tensors[tensor].copy()
    changed.flat[1] += 1e-6
    subject.tensors[tensor] = changed
    subject.source = "off by a millionth"
    found = bench("article-batch").comparison.of(subject)
    assert found.first_divergence == tensor
    assert next((one.operation, one.kind) for one in found.diagnosis) == (operation, "unknown")


@pytest.mark.parametrize("case", ["article-batch", "convolutional"])
def test_every_tensor_scaled_by_a_ten_thousandth_is_refused_in_float32(case: str) -> None:
    # A bias that a batch norm undoes has the gradient 0, and what stands there is nothing but rounding.
    comparison = bench(case, "float32").comparison
    right = comparison.baseline
    passed = []
    for name in right:
        if np.any(right[name]) and not (case == "convolutional" and name.endswith("gradient/a.bias")):
            scaled = {**right.tensors, name: (right[name] * np.float32(1 + 1e-4)).astype(np.float32)}
            if comparison.local(scaled)[name].outcome != "disagree":
                passed.append(name)
    assert passed == []


# --------------------------------------------------------------------------------------------------------- correct runs


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("adapter", ["torch", "jax"])
def test_no_correct_run_is_refused(adapter: str, dtype: str, adapter_of: Callable[[str], cc.adapters.Adapter]) -> None:
    adapter_of(adapter)
    runs, coverage = correct_runs(range(3 if adapter == "jax" else 10), adapter, dtype)
    assert [one for one in runs if one.alarm] == []
    assert any(one.compared for one in runs)
    assert coverage.worst <= 8
    seen = coverage.strayed.values()
    refused, few = sum(kind.refused for kind in seen), sum(kind.few_digits + kind.rounding for kind in seen)
    assert refused == sum(kind.tensors for kind in seen) > 0
    # What cannot be refused are differences of nearly equal numbers, in which rounding is as large.
    assert few <= 0.03 * refused


@pytest.mark.parametrize(
    ("adapter", "dtype", "seed"),
    [
        pytest.param("torch", "float16", 35, id="cosine overflows"),
        pytest.param("torch", "float16", 207, id="Adafactor's product underflows"),
        pytest.param("torch", "float16", 242, id="Rprop's product underflows"),
        pytest.param("torch", "float16", 301, id="RMSprop's centred square is below 0"),
        pytest.param("torch", "float16", 370, id="Adafactor's squares overflow"),
        pytest.param("torch", "float16", 758, id="sign of NaN"),
        pytest.param("torch", "float16", 785, id="hardtanh of NaN, Gaussian likelihood overflows"),
        pytest.param("torch", "bfloat16", 758, id="subnormal gradients are flushed"),
        pytest.param("torch", "bfloat16", 1210, id="a choice within a choice"),
        pytest.param("torch", "float32", 437, id="a sum stagnates"),
        pytest.param("jax", "bfloat16", 33, id="hardtanh at its bound"),
    ],
)
def test_what_was_once_a_false_alarm(
    adapter: str, dtype: str, seed: int, adapter_of: Callable[[str], cc.adapters.Adapter]
) -> None:
    adapter_of(adapter)
    (one,), coverage = correct_runs([seed], adapter, dtype)
    assert one.compared
    assert not one.alarm, one
    assert coverage.worst <= 8


# ---------------------------------------------------------------------------------------------------- rules and reports


def test_other_rules_refuse_what_they_should() -> None:
    right = run(cc.load_case("mlp", dtype="float32"))
    same = run(cc.load_case("mlp", dtype="float32"))
    assert not any(refused(right, same).values())
    same.tensors = {name: array + np.float32(1) for name, array in same.tensors.items()}
    assert set(refused(right, same)) == {rule.name for rule in RULES}
    assert all(found for name, found in refused(right, same).items() if not name.startswith("JAX"))


def test_gates_fail_where_a_fault_is_missed_or_a_correct_run_refused() -> None:
    fine = Trial("fault", "a", "j", 1, "case", "float64", True, True, True, True, ())
    assert Trials([fine], [CorrectRun("c", "torch", "float64", "agree", "", 1.0)]).ok
    assert not Trials([replace(fine, detected=False)]).ok
    assert not Trials([replace(fine, localised=False)]).ok
    assert not Trials([replace(fine, named=False)]).ok
    assert not Trials([replace(fine, kind="convention", said=("fault: b",))]).ok
    assert not Trials([fine], [CorrectRun("c", "torch", "float64", "disagree", "", 9.0)]).ok
    assert not Trials([fine], [CorrectRun("c", "torch", "float64", "crashed", "", 0.0)]).ok
    assert Trials([replace(fine, visible=False, detected=False)]).ok


def test_a_report_has_every_fault_and_what_was_missed() -> None:
    trials = Trials([bench("article").plant(fault) for fault in faults_of(bench("article").case)[:4]])
    trials.trials.append(replace(trials.trials[0], visible=True, detected=False, said=("unknown: unknown",)))
    text = to_markdown(trials)
    assert "Missed" in text
    assert all(trial.name.replace("_", "\\_") in text for trial in trials.trials)
    assert '"gates"' in to_json(trials)
    assert "By kind, dtype and subject" in coverage_to_markdown(trials.coverage)


def test_a_comparison_of_a_right_run_has_no_diagnosis() -> None:
    case = random_case(4)
    found = Comparison(run(case), Computed()).of(run(case))
    assert (found.verdict, found.diagnosis) == ("agree", ())


def test_the_whole_in_one_process() -> None:
    case = cc.load_case("mazur")
    trials = everything([case], ["float64"], {}, sites=1)
    assert {trial.name for trial in trials.of("fault")} == {fault.name for fault in faults_of(case)}
    assert trials.ok
    assert trials.visible_in()["ascent"] == {"mazur": True}


def test_a_convention_is_placed_where_it_makes_a_difference() -> None:
    """The weighted sum takes all of the losses that are not reduced; a slot of another name is made by the update."""
    for case, name in (("several-losses", "reduction = none"), ("rprop", "applies = last")):
        conventions = [one for one in conventions_of(bench(case).case) if one.name == name]
        assert conventions
        for convention in conventions:
            trial = bench(case).plant(convention, "convention")
            assert (trial.detected, trial.localised, trial.named) == (True, True, True), trial


def test_processes_end_with_the_one_that_started_them() -> None:
    code = (
        "import os, sys\n"
        "from concurrent.futures import ProcessPoolExecutor\n"
        "from multiprocessing import get_context\n"
        "from crosscheck.comparison.trials import end_with_parent\n"
        "if __name__ == '__main__':\n"
        "    pool = ProcessPoolExecutor(1, get_context('spawn'), initializer=end_with_parent)\n"
        "    print(pool.submit(os.getpid).result(), flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        os.kill(worker, 0)  # it is there
        parent.kill()
    for _ in range(100):
        try:
            os.kill(worker, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail("the worker outlives its parent")


def test_the_command_says_where_it_is_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("crosscheck.cli.console.SECONDS_BETWEEN_LINES", 0)
    found = CliRunner().invoke(app, ["faults", "mazur", "--dtype", "float64", "--sites", "1", "--out", str(tmp_path)])
    assert "faults: mazur, float64" in found.stderr.splitlines()


def test_the_command_plants_and_reports(tmp_path: Path) -> None:
    arguments = ["faults", "mazur", "--dtype", "float64", "--sites", "1", "--out", str(tmp_path)]
    found = CliRunner().invoke(app, [*arguments, "--json", str(tmp_path / "faults.json")])
    assert found.exit_code == 0, found.output
    assert "visible faults detected" in found.output
    assert sorted(path.name for path in tmp_path.iterdir()) == ["faults.json", "faults.md"]


def test_the_command_refuses_numbers_that_are_none() -> None:
    found = CliRunner().invoke(app, ["faults", "mazur", "--against", "jax:many"])
    assert found.exit_code == 2
    assert "jax:many" in found.output


def test_every_fault_is_listed_with_what_it_is() -> None:
    listed = dict(line.split(maxsplit=1) for line in CliRunner().invoke(app, ["list", "faults"]).output.splitlines())
    assert list(listed) == list(FAULTS)
