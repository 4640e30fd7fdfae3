"""Maps: what they say is read and checked, what they suggest follows from shapes, order, names and numbers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases.files import LARGEST_TEXT
from crosscheck.cli import app
from crosscheck.porting.layouts import Step
from crosscheck.porting.maps import Entry
from ported import random, recording
from typer.testing import CliRunner

LINEAR = {"fc.weight": random(4, 3), "fc.bias": random(4)}
PORTED = {"fc.kernel": random(4, 3).T, "fc.bias": random(4)}


def entry(a: Any, b: Any, *layout: Step) -> Entry:
    return Entry(a=a, b=b, layout=list(layout))


MAP = cc.Map(
    parameters=(entry("fc.weight", "fc.kernel", Step(transpose=[1, 0])), entry("fc.bias", "fc.bias")),
    outputs=(
        entry('a "quoted"\n', ["b", "c"], Step(split=0, sizes=[1, 2]), Step(order=[1, 0], axis=0), Step(flip=[0])),
    ),
)


def test_a_map_is_read_as_it_was_written(tmp_path: Path) -> None:
    MAP.save(tmp_path / "map.toml", {"parameters.0": ["a remark\n[[parameters]]"], "": ["at the end"]})
    text = (tmp_path / "map.toml").read_text()
    assert '# a remark\\n[[parameters]]\n[[parameters]]\na = "fc.weight"' in text
    assert "layout = [{ transpose = [1, 0] }]" in text
    assert text.endswith("# at the end\n")
    assert replace(cc.Map.load(tmp_path / "map.toml"), file="") == MAP


REFUSED = {
    "unknown section": ("[[layers]]\n", "map.layers"),
    "unknown key": ('[[parameters]]\na = "a"\nb = "b"\nc = "c"\n', "map.parameters.0.c"),
    "no b": ('[[parameters]]\na = "a"\n', "map.parameters.0.b"),
    "no names": ('[[parameters]]\na = []\nb = "b"\n', "map.parameters.0.a"),
    "a number": ('[[parameters]]\na = 1\nb = "b"\n', "map.parameters.0.a"),
    "unknown step": ('[[parameters]]\na = "a"\nb = "b"\nlayout = [{ turn = 1 }]\n', "map.parameters.0.layout.0.turn"),
    "no axes": (
        '[[parameters]]\na = "a"\nb = "b"\nlayout = [{ transpose = [-1] }]\n',
        "map.parameters.0.layout.0.transpose.0",
    ),
    "many axes": (
        '[[parameters]]\na = "a"\nb = "b"\nlayout = [{ transpose = [99] }]\n',
        "map.parameters.0.layout.0.transpose.0",
    ),
    "two at once": (
        '[[parameters]]\na = "a"\nb = "b"\nlayout = [{ flip = [0], split = 0 }]\n',
        "parameters.0.layout.0",
    ),
    "nothing": ('[[parameters]]\na = "a"\nb = "b"\nlayout = [{ axis = 0 }]\n', "parameters.0.layout.0"),
    "many steps": (
        '[[parameters]]\na = "a"\nb = "b"\nlayout = [' + "{ flip = [0] }," * 17 + "]\n",
        "map.parameters.0.layout",
    ),
    "no TOML": ("[[parameters", "end of document"),
    "deep": ("a = " + "[" * 5000 + "]" * 5000, ""),
    "no text": ("\udcff", "line 1"),
    "large": ("#" * (LARGEST_TEXT + 1), ""),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_map_is_refused(what: str, tmp_path: Path) -> None:
    text, key = REFUSED[what]
    path = tmp_path / "map.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(cc.CaseError) as raised:
        cc.Map.load(path)
    assert raised.value.file == str(path)
    assert raised.value.key.startswith(key)
    assert "\n" not in str(raised.value)


def test_a_map_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(cc.CaseError, match="does not exist"):
        cc.Map.load(tmp_path / "none.toml")


UNFIT = {
    "unknown in a": (entry("fc.wieght", "fc.kernel"), "a", "did you mean 'fc.weight'"),
    "unknown in b": (entry("fc.weight", "fc.kernal"), "b", "did you mean 'fc.kernel'"),
    "another section's": (entry("loss", "fc.bias"), "a", "'loss'"),
    "a shape": (entry("fc.weight", "fc.kernel"), "layout", "shape (4, 3)"),
    "a step": (entry("fc.weight", "fc.kernel", Step(transpose=[0, 1, 2])), "layout.0", "shape (4, 3)"),
    "how many": (entry("fc.weight", ["fc.kernel", "fc.bias"]), "layout", "received 1"),
    "twice": (entry(["fc.weight", "fc.weight"], "fc.kernel"), "a", "'fc.weight' again"),
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_map_that_does_not_fit_is_refused_by_its_key(what: str) -> None:
    wrong, key, received = UNFIT[what]
    first, second = recording("torch", LINEAR), recording("flax", PORTED)
    with pytest.raises(cc.CaseError) as raised:
        cc.compare(first, second, map=cc.Map(parameters=(wrong,), file="map.toml"))
    assert (raised.value.file, raised.value.key) == ("map.toml", f"parameters.0.{key}")
    assert received in str(raised.value)


def test_a_name_is_used_once(tmp_path: Path) -> None:
    twice = cc.Map(parameters=(entry("fc.bias", "fc.bias"), entry("fc.bias", "fc.bias")))
    with pytest.raises(cc.CaseError, match=r"parameters\.1\.a: expected each name once; received 'fc.bias' again"):
        cc.compare(recording("torch", LINEAR), recording("flax", PORTED), map=twice)


# ------------------------------------------------------------------------------------------------------- suggestions


def suggested(first: dict[str, Any], second: dict[str, Any], kinds: dict[str, str] | None = None, **more: Any) -> Any:
    return cc.suggest_map(recording("torch", first, kinds=kinds or {}), recording("flax", second, **more))


def entries(found: Any) -> list[str]:
    return [entry.text for entry in found.map.parameters]


def other(*shape: int) -> Any:
    return random(*shape, seed=7)


def test_shapes_and_names_place_what_is_alike() -> None:
    found = suggested(
        {
            "conv.weight": random(8, 3, 5, 5),
            "norm.weight": random(8),
            "norm.bias": random(8),
            "head.weight": random(4, 8),
        },
        {"conv.kernel": other(5, 5, 3, 8), "head.kernel": other(8, 4), "norm.bias": other(8), "norm.scale": other(8)},
        {"conv": "Conv2d", "head": "Linear"},
    )
    assert entries(found) == [
        "conv.weight -> conv.kernel, { transpose = [2, 3, 1, 0] }",
        "norm.weight -> norm.scale",
        "norm.bias -> norm.bias",
        "head.weight -> head.kernel, { transpose = [1, 0] }",
    ]


def test_a_square_matrix_follows_the_convention_and_is_said_to_be_open() -> None:
    first, second = (
        {"a.weight": random(4, 4), "b.weight": random(4, 4)},
        {"a.kernel": other(4, 4), "b.weight": other(4, 4)},
    )
    found = suggested(first, second, {"a": "Linear", "b": "Embedding"})
    assert entries(found) == ["a.weight -> a.kernel, { transpose = [1, 0] }", "b.weight -> b.weight"]
    assert found.notes == {
        "parameters.0": ["by its shape alone it could be: as it is"],
        "parameters.1": ["by its shape alone it could be: { transpose = [1, 0] }"],
    }


def test_equal_numbers_decide_before_names_do() -> None:
    one, two = random(4, 4), other(4, 4)
    found = suggested({"one": one, "two": two}, {"one": two.T, "two": one})
    assert entries(found) == ["one -> two", "two -> one, { transpose = [1, 0] }"]
    assert found.notes == {}


def test_two_that_are_as_likely_are_said_to_be() -> None:
    found = suggested({"x": random(3), "z": random(3)}, {"p": other(3), "t": other(3)})
    assert entries(found) == ["x -> p", "z -> t"]  # by their order
    assert any("as likely" in line for line in found.lines)


@pytest.mark.parametrize("way", ["split", "concatenate"])
def test_queries_keys_and_values_in_one(way: str) -> None:
    parts = {f"attn.{name}.kernel": random(6, 2, 3, seed=seed) for seed, name in enumerate(("key", "query", "value"))}
    packed = {"attn.in_proj_weight": other(18, 6)}
    if way == "split":
        found = suggested(packed, parts, {"attn": "MultiheadAttention"})
        assert entries(found) == [
            "attn.in_proj_weight -> attn.query.kernel + attn.key.kernel + attn.value.kernel, "
            "{ split = 0 }, { transpose = [1, 0] }, { reshape = [6, 2, 3] }"
        ]
    else:
        found = cc.suggest_map(
            recording("flax", parts), recording("torch", packed, kinds={"attn": "MultiheadAttention"})
        )
        assert entries(found)[0].startswith("attn.query.kernel + attn.key.kernel + attn.value.kernel -> ")
        made = found.map.parameters[0].of([parts[f"attn.{name}.kernel"] for name in ("query", "key", "value")])
        expected = np.concatenate([parts[f"attn.{name}.kernel"].reshape(6, 6).T for name in ("query", "key", "value")])
        assert np.array_equal(made[0], expected)


def test_two_biases_that_add_up() -> None:
    first = {
        f"lstm.{what}_l0": random(20, *more)
        for what, more in (("weight_ih", (3,)), ("weight_hh", (5,)), ("bias_ih", ()), ("bias_hh", ()))
    }
    found = suggested(
        first,
        {"cell.i.kernel": other(3, 20), "cell.h.kernel": other(5, 20), "cell.h.bias": other(20)},
        {"lstm": "LSTM"},
    )
    assert "lstm.bias_ih_l0 + lstm.bias_hh_l0 -> cell.h.bias, { sum = true }" in entries(found)


def test_what_has_no_place_is_said() -> None:
    found = suggested({"a": random(3), "b": random(5)}, {"a": other(3), "c": other(7)})
    assert "parameters of a without a place: b" in found.lines
    assert "parameters of b without a place: c" in found.lines
    assert "# parameters of a without a place: b" in found.text


def test_statistics_are_no_parameters() -> None:
    first = recording("torch", {"bn.weight": random(3)}, statistics={"bn.running_mean": random(3, seed=1)})
    second = recording("flax", {"bn.mean": other(3)}, statistics={"bn.scale": other(3)})
    found = cc.suggest_map(first, second)
    assert {entry.text for entry in found.map.parameters} == {"bn.running_mean -> bn.scale", "bn.weight -> bn.mean"}


def test_inputs_are_placed_by_their_numbers_and_outputs_by_shapes() -> None:
    x = random(2, 3, 4, 4)
    first = recording("torch", {}, {"conv": random(2, 3, 4, 4), "lstm:0": random(2, 9)}, inputs={"input": x})
    second = recording(
        "flax", {}, {"conv": random(2, 4, 4, 3), "rnn": random(2, 9)}, inputs={"input": x.transpose(0, 3, 2, 1)}
    )
    found = cc.suggest_map(first, second).map
    assert [entry.text for entry in found.inputs] == ["input -> input, { transpose = [0, 3, 2, 1] }"]
    assert [entry.text for entry in found.outputs] == [
        "conv -> conv, { transpose = [0, 2, 3, 1] }",
        "lstm:0 -> rnn",
        "loss -> loss",
    ]


def test_a_suggestion_is_written_by_the_command(tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("a.trace", "b.trace")]
    for path, trace in zip(paths, (recording("torch", LINEAR), recording("flax", PORTED)), strict=True):
        cc.save_trace(trace, path)
    result = CliRunner().invoke(app, ["compare", *paths, "--suggest", str(tmp_path / "map.toml")])
    assert result.exit_code == 0, result.output
    assert "a map of 4 entries was written" in result.output
    assert len(cc.Map.load(tmp_path / "map.toml").parameters) == 2
    result = CliRunner().invoke(
        app, ["compare", *paths, "--map", str(tmp_path / "map.toml"), "--out", str(tmp_path / "out")]
    )
    assert result.exit_code == 1  # gradients of the one and of the other were drawn apart
    assert "not proven: fc.weight -> fc.kernel, { transpose = [1, 0] }: its gradient disagrees" in result.output
