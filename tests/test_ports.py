"""Ports compared: what agrees is proven, what is wrong is found where it is, and what nothing shows is said."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases.tensors import contents_of
from crosscheck.cli import app
from crosscheck.porting.layouts import Step
from crosscheck.porting.maps import Entry
from crosscheck.traces.head import KEY, SCHEMA
from numpy.typing import NDArray
from ported import random, recording
from safetensors.numpy import save_file
from typer.testing import CliRunner

Array = NDArray[Any]

WEIGHTS = {"fc.weight": random(4, 4), "fc.bias": random(4), "out.weight": random(6, 4), "out.bias": random(6)}
MAP = cc.Map(
    parameters=(
        Entry(a="fc.weight", b="a.kernel", layout=[Step(transpose=[1, 0])]),
        Entry(a="fc.bias", b="a.bias"),
        Entry(a="out.weight", b=["b.kernel", "c.kernel"], layout=[Step(split=0), Step(transpose=[1, 0])]),
        Entry(a="out.bias", b=["b.bias", "c.bias"], layout=[Step(split=0)]),
    ),
    outputs=(Entry(a="fc", b="a"),),
)
OUTPUTS = {"fc": random(3, 4), "output": random(3, 6)}


def gradients_of(parameters: dict[str, Array]) -> dict[str, Array]:
    return {name: random(*array.shape, seed=9) for name, array in parameters.items()}


def ported(parameters: dict[str, Array]) -> dict[str, Array]:
    return MAP.laid_out(parameters)


def pair(weights: dict[str, Array] = WEIGHTS, **changes: Any) -> tuple[cc.Trace, cc.Trace]:
    """A recording and one of its port, which is right; ``changes`` are of the gradients that both have."""
    gradients = {**gradients_of(weights), **changes}
    second = {"a": OUTPUTS["fc"], "output": OUTPUTS["output"]}
    return (
        recording("torch", weights, OUTPUTS, gradients),
        recording("flax", ported(weights), second, ported(gradients)),
    )


def not_proven(agreement: cc.Agreement) -> dict[str, str]:
    return {one.entry.split(" -> ")[0]: one.why for one in agreement.placed if not one.proven}


def test_a_right_port_agrees_and_every_entry_is_proven() -> None:
    agreement = cc.compare(*pair(), map=MAP)
    assert agreement.ok
    assert not_proven(agreement) == {}
    (found,) = agreement.subjects.values()
    assert len(found.tensors) == 3 + 2 * 6
    assert {tensor.verdict for tensor in found.tensors} == {"agree"}
    assert (agreement.case, agreement.dtype, agreement.steps) == ("Net", "float64", 1)
    assert "the map: 4 of 4 entries of parameters proven" in agreement.table()


@pytest.mark.parametrize("name", ["0/forward/a", "0/forward/output", "0/gradient/c.kernel", "0/initial/b.bias"])
def test_one_element_that_differs_is_found(name: str) -> None:
    first, second = pair()
    store = second.given if "initial" in name else second.tensors
    store[name] = np.array(store[name])
    store[name].flat[1] += 1e-9
    agreement = cc.compare(first, second, map=MAP)
    (found,) = agreement.subjects.values()
    assert (agreement.ok, found.first_divergence) == (False, name)
    assert found.worst_first()[0].mismatched == 1


def test_the_tolerance_is_the_rounding_of_both() -> None:
    first, second = pair()
    second.tensors["0/forward/a"] = second.tensors["0/forward/a"] + 1e-10
    assert not cc.compare(first, second, map=MAP).ok
    assert second.model
    rounded = replace(second.model, rounding={**second.model.rounding, "0/forward/a": 1e-10 / 7.9})
    assert cc.compare(first, replace(second, model=rounded), map=MAP).ok
    unbounded = {name: size for name, size in second.model.rounding.items() if name != "0/forward/a"}
    agreement = cc.compare(first, replace(second, model=replace(second.model, rounding=unbounded)), map=MAP)
    assert not agreement.ok
    assert agreement.subjects["flax"].tensors[12 - 6].verdict in ("agree", "not compared")
    assert agreement.subjects["flax"].verdict == "not compared"


def test_the_weights_have_no_tolerance() -> None:
    first, second = pair()
    second.given["0/initial/a.bias"] = np.nextafter(second.given["0/initial/a.bias"], 9)
    agreement = cc.compare(first, second, map=MAP)
    assert not_proven(agreement) == {"fc.bias": "the weights are not equal"}
    assert agreement.subjects["flax"].diagnosis[0].cause == "unknown"


MISPLACED: dict[str, tuple[str, Callable[[dict[str, Array]], dict[str, Array]], str, str]] = {
    "a square matrix that was not transposed": (
        "fc.weight",
        lambda w: {"a.kernel": w["a.kernel"].T},
        "another layout",
        "{ transpose = [1, 0] }",
    ),
    "two parts exchanged": (
        "out.weight",
        lambda w: {"b.kernel": w["c.kernel"], "c.kernel": w["b.kernel"]},
        "another layout",
        "in the order [1, 0]",
    ),
    "blocks in another order": (
        "fc.bias",
        lambda w: {"a.bias": w["a.bias"][[2, 3, 0, 1]]},
        "another layout",
        "{ order = [1, 0], axis = 0 }",
    ),
    "blocks woven": (
        "fc.bias",
        lambda w: {"a.bias": w["a.bias"][[0, 2, 1, 3]]},
        "another layout",
        "{ order = [0, 2, 1, 3], axis = 0 }",
    ),
    "numbers of nowhere": ("fc.bias", lambda w: {"a.bias": w["a.bias"] * 2}, "unknown", "in no layout"),
}


@pytest.mark.parametrize("what", MISPLACED)
def test_weights_in_the_wrong_place_are_told_how_they_fit(what: str) -> None:
    entry, change, cause, evidence = MISPLACED[what]
    first, second = pair()
    weights = {name.removeprefix("0/initial/"): array for name, array in second.given.items()}
    second.given.update({f"0/initial/{name}": array for name, array in change(weights).items()})
    agreement = cc.compare(first, second, map=MAP)
    (told,) = agreement.subjects["flax"].diagnosis
    assert (told.operation.split(" -> ")[0], told.cause) == (entry, cause)
    assert evidence in told.evidence
    assert not_proven(agreement) == {entry: "the weights are not equal"}


def test_weights_of_another_parameter_are_told_whose_they_are() -> None:
    weights = {"one": random(4), "two": random(4, seed=1)}
    first, second = recording("torch", weights), recording("jax", {"one": weights["two"], "two": weights["one"]})
    agreement = cc.compare(first, second)
    assert [(one.operation, one.cause) for one in agreement.subjects["jax"].diagnosis] == [
        ("one -> one", "another parameter"),
        ("two -> two", "another parameter"),
    ]


def symmetric() -> dict[str, Array]:
    return {**WEIGHTS, "fc.weight": WEIGHTS["fc.weight"] + WEIGHTS["fc.weight"].T}


def test_what_is_symmetric_is_not_proven_unless_its_gradient_is_not() -> None:
    agreement = cc.compare(*pair(symmetric()), map=MAP)
    assert agreement.ok
    assert not_proven(agreement) == {}
    gradient = random(4, 4, seed=3)
    agreement = cc.compare(*pair(symmetric(), **{"fc.weight": gradient + gradient.T}), map=MAP)
    assert agreement.ok  # but this is said
    assert not_proven(agreement) == {"fc.weight": "{ transpose = [1, 0] } fits as well"}
    assert "not proven: fc.weight -> a.kernel, { transpose = [1, 0] }: { transpose = [1, 0] } fits" in agreement.table()


def test_biases_of_zero_are_decided_by_their_gradients() -> None:
    zero = {**WEIGHTS, "fc.bias": np.zeros(4), "out.bias": np.zeros(6)}
    assert not_proven(cc.compare(*pair(zero), map=MAP)) == {}
    agreement = cc.compare(*pair(zero, **{"fc.bias": np.ones(4)}), map=MAP)
    assert list(not_proven(agreement)) == ["fc.bias"]
    assert "fits as well" in not_proven(agreement)["fc.bias"]


def test_two_parameters_that_are_alike_in_all_are_not_proven() -> None:
    weights, gradients = {"one": np.zeros(4), "two": np.zeros(4)}, dict.fromkeys(("one", "two"), random(4))
    both = (recording(name, weights, gradients=gradients) for name in ("torch", "jax"))
    assert not_proven(cc.compare(*both)) == {"one": "two fits as well", "two": "one fits as well"}


@pytest.mark.parametrize(
    ("gradient", "why"),
    [(np.zeros(4), "its gradient is 0, so nothing shows how it is used"), (random(4) * 1e-16, "its gradient is 0")],
)
def test_a_gradient_of_zero_proves_nothing(gradient: Array, why: str) -> None:
    agreement = cc.compare(*pair(**{"fc.bias": gradient}), map=MAP)
    assert agreement.ok
    assert not_proven(agreement)["fc.bias"].startswith(why)


def test_a_gradient_that_one_does_not_give_is_no_agreement() -> None:
    first, second = pair()
    del first.tensors["0/gradient/fc.bias"]
    agreement = cc.compare(first, second, map=MAP)
    (found,) = agreement.subjects.values()
    (lacking,) = (tensor for tensor in found.tensors if tensor.verdict == "not given")
    assert (lacking.name, lacking.required, agreement.ok) == ("0/gradient/a.bias", True, False)
    assert not_proven(agreement) == {"fc.bias": "it has no gradient in both, so nothing shows how it is used"}
    del second.tensors["0/gradient/a.bias"]
    agreement = cc.compare(first, second, map=MAP)
    assert agreement.ok
    assert list(not_proven(agreement)) == ["fc.bias"]


@pytest.mark.parametrize("side", [0, 1])
def test_a_parameter_without_a_place_is_no_agreement(side: int) -> None:
    both = pair()
    both[side].given["0/initial/more"] = random(3)
    both[side].tensors["0/gradient/more"] = random(3)
    agreement = cc.compare(*both, map=MAP)
    (found,) = agreement.subjects.values()
    assert not agreement.ok
    assert {tensor.name for tensor in found.tensors if tensor.verdict == "not given"} == {
        "0/initial/more",
        "0/gradient/more",
    }


def test_outputs_and_buffers_without_a_place_are_said() -> None:
    first, second = pair()
    first.tensors["0/forward/relu"] = random(3)
    second.given["0/initial/mask"] = second.tensors["0/state/mask"] = random(3)
    agreement = cc.compare(first, second, map=MAP)
    assert agreement.ok
    assert agreement.alone == {"torch": ("relu",), "flax": ("mask",)}
    assert "in torch alone, not compared: relu" in agreement.table()


def test_statistics_are_proven_by_what_they_become() -> None:
    weights, before, after = {"w": random(3)}, {"bn.var": random(3, seed=1)}, random(3, seed=2)
    traces = [recording(name, weights, statistics=before) for name in ("torch", "flax")]
    for trace in traces:
        trace.tensors["0/state/bn.var"] = after
    assert not_proven(cc.compare(*traces)) == {}
    traces[1].tensors["0/state/bn.var"] = after * (1 + 1e-3)
    agreement = cc.compare(*traces)
    assert agreement.subjects["flax"].first_divergence == "0/state/bn.var"
    assert not_proven(agreement) == {"bn.var": "its state disagrees"}


def test_two_that_add_up_have_one_gradient_and_no_update() -> None:
    one, two, gradient = random(4), random(4, seed=1), random(4, seed=2)
    rate = 0.5
    first = recording(
        "torch",
        {"ih": one, "hh": two},
        gradients={"ih": gradient, "hh": gradient},
        updates={"ih": one - rate * gradient, "hh": two - rate * gradient},
    )
    bias = one + two
    second = recording("jax", {"b": bias}, gradients={"b": gradient}, updates={"b": bias - rate * gradient})
    map = cc.Map(parameters=(Entry(a=["ih", "hh"], b="b", layout=[Step(sum=True)]),))
    agreement = cc.compare(first, second, map=map)
    assert agreement.ok
    assert not_proven(agreement) == {}
    lacking = [(t.name, t.required) for t in agreement.subjects["jax"].tensors if t.verdict == "not given"]
    assert lacking == [("0/update/ih", False), ("0/update/hh", False), ("0/update/b", False)]
    second.tensors["0/gradient/b"] = 2 * gradient
    assert not cc.compare(first, second, map=map).ok


# -------------------------------------------------------------------------------------------------------- refused


def test_inputs_that_differ_are_refused_by_name(tmp_path: Path) -> None:
    first, second = pair()
    second.given["0/data/input"] = np.nextafter(second.given["0/data/input"], 9)
    paths = [str(tmp_path / name) for name in ("a.trace", "b.trace")]
    for trace, path in zip((first, second), paths, strict=True):
        cc.save_trace(trace, path)
    MAP.save(tmp_path / "map.toml")
    with pytest.raises(cc.CaseError) as raised:
        cc.compare(*paths, map=tmp_path / "map.toml")
    assert (raised.value.file, raised.value.key) == (paths[1], "0/data/input")
    result = CliRunner().invoke(app, ["compare", *paths, "--map", str(tmp_path / "map.toml")])
    assert result.exit_code == 2
    del second.given["0/data/input"]
    with pytest.raises(cc.CaseError, match="'input' in one of both only"):
        cc.compare(first, second, map=MAP)


@pytest.mark.parametrize(("key", "value"), [("dtype", "float32"), ("steps", 2)])
def test_what_was_recorded_otherwise_is_refused(key: str, value: Any) -> None:
    first, second = pair()
    assert second.model
    with pytest.raises(cc.CaseError, match=f"flax: {key}: expected what torch was recorded with"):
        cc.compare(first, replace(second, model=replace(second.model, **{key: value})), map=MAP)


def test_a_model_is_not_held_against_a_case() -> None:
    article, (first, _) = cc.record("article"), pair()
    for both in ((article, first), (first, article)):
        with pytest.raises(cc.CaseError, match="two traces that record_module made; received one of a case"):
            cc.compare(*both)
    with pytest.raises(cc.CaseError, match="of a case"):
        cc.compare(article, article, map=MAP)
    with pytest.raises(cc.CaseError, match="to compare locally; received a model"):
        cc.compare(*pair(), map=MAP, local=True)
    with pytest.raises(cc.CaseError, match="of a case"):
        cc.suggest_map(first, article)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model.trace", "model.trace", "--map", "none.toml"], "error: none.toml: expected a file"),
        (["model.trace", "case.trace", "--map", "map.toml"], "error: case.trace: model: expected two traces that"),
        (["case.trace", "case.trace", "--map", "map.toml"], "error: case.trace (first): model: expected two traces"),
        (
            ["model.trace", "case.trace", "--suggest", "x.toml"],
            "error: case.trace: expected a trace that record_module",
        ),
        (["model.trace", "port.trace", "--map", "map.toml", "--suggest", "x.toml"], "error: --map: expected a map"),
        (
            ["model.trace", "port.trace"],
            "error: port.trace: map: expected parameters of the names that model.trace has",
        ),
        (["model.trace", "port.trace", "--map", "map.toml", "--local"], "error: case: expected a trace that holds"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_asked_wrongly_is_told_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = pair()
    for name, trace in (("model", first), ("port", second), ("case", cc.record("article"))):
        cc.save_trace(trace, f"{name}.trace")
    MAP.save("map.toml")
    result = CliRunner().invoke(app, ["compare", *arguments])
    assert result.exit_code == 2
    assert result.output.startswith(message), result.output
    assert result.output.count("\n") == 1
    assert not Path("x.toml").exists()


# ------------------------------------------------------------------------------------------------------- on disk


def test_a_recording_reads_back_bit_for_bit(tmp_path: Path) -> None:
    first, second = pair()
    for trace in (first, second):
        cc.save_trace(trace, tmp_path / "a.trace")
        back = cc.load_trace(tmp_path / "a.trace")
        assert (back.model, back.case, back.source) == (trace.model, None, trace.source)
        assert list(back.tensors) == list(trace.tensors)
        for name, array in {**trace.tensors, **trace.given}.items():
            assert np.array_equal(back[name], array)


def changed_head(change: Callable[[dict[str, Any]], None], path: Path) -> Path:
    """A file whose head is another, with the hash of that."""
    cc.save_trace(pair()[0], path)
    contents = contents_of(path.read_bytes())
    head = json.loads(contents.metadata[KEY].split(" ", 2)[2])
    change(head)
    text = json.dumps(head)
    metadata = {KEY: f"{SCHEMA} {hashlib.sha256(text.encode()).hexdigest()} {text}"}
    save_file({name: np.array(array) for name, array in contents.tensors.items()}, path, metadata)
    return path


def setting(key: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda head: head["model"].__setitem__(key, value)


HOSTILE = {
    "a case beside the model": (
        lambda head: head.__setitem__("case", "name = 'x'"),
        "head: expected a case or a model",
    ),
    "neither": (lambda head: head.pop("model"), "head: expected a case or a model"),
    "a rounding below 0": (setting("rounding", {"0/forward/fc": -1.0}), "head.model.rounding.0/forward/fc"),
    "a rounding of nothing": (setting("rounding", {"0/forward/none": 1.0}), "'0/forward/none'"),
    "a rounding that is text": (setting("rounding", {"0/forward/fc": "1"}), "head.model.rounding.0/forward/fc"),
    "no steps": (setting("steps", 0), "head.model.steps"),
    "many steps": (setting("steps", 10**9), "head.model.steps"),
    "a dtype that there is not": (setting("dtype", "float128"), "head.model.dtype"),
    "an unknown key": (setting("code", "import os"), "head.model.code"),
    "a name of no tensor": (lambda head: head["tensors"][0].__setitem__("name", "x/y"), "one of both only"),
    "no name": (setting("name", ""), "head.model.name"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_head_that_is_none_is_refused(what: str, tmp_path: Path) -> None:
    change, message = HOSTILE[what]
    path = changed_head(change, tmp_path / "a.trace")
    with pytest.raises(cc.CaseError) as raised:
        cc.load_trace(path)
    assert message in str(raised.value)
    assert raised.value.file == str(path)


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    paths = [str(changed_head(setting("name", "../../out"), tmp_path / name)) for name in ("a.trace", "b.trace")]
    result = CliRunner().invoke(app, ["compare", *paths, "--out", str(tmp_path / "reports")])
    assert result.exit_code == 2
    assert not (tmp_path / "out").exists()


COMPARE = """
import sys
sys.modules["torch"] = sys.modules["jax"] = sys.modules["optax"] = sys.modules["flax"] = None
from crosscheck.cli import app
app(["compare", "a.trace", "b.trace", *sys.argv[1:]])
"""


def test_recordings_are_compared_where_there_is_no_framework(tmp_path: Path) -> None:
    for trace, name in zip(pair(), ("a.trace", "b.trace"), strict=True):
        cc.save_trace(trace, tmp_path / name)
    MAP.save(tmp_path / "map.toml")
    for more in (["--suggest", "other.toml"], ["--map", "map.toml", "--json", "out.json"]):
        command = [sys.executable, "-c", COMPARE, *more]
        done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
    record = json.loads((tmp_path / "out.json").read_text())
    assert [one["proven"] for one in record["placed"]] == [True] * 4
    pages = tmp_path / "reports" / "compare" / "Net"
    assert "4 of 4 entries of parameters proven" in (pages / "report.html").read_text()
    assert "4 of 4 entries of parameters proven" in (pages / "agreement.md").read_text()
