"""From PyTorch to JAX and flax: right ports agree, and what is wrong in a port is found where it is and told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cli import app
from crosscheck.porting.layouts import Step
from ported import random
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
nnx = pytest.importorskip("flax.nnx")
nn, jnp = torch.nn, jax.numpy

X = random(2, 3, 4, 5).astype(np.float32)
T = random(2, 6, seed=1).astype(np.float32)


def loss(y: Any, t: Any) -> Any:
    return ((y - t) ** 2).mean()


class Net(nn.Module):
    """A convolution, a square matrix, attention with packed weights, an LSTM, and what is in every network."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.LayerNorm(6)
        self.gelu = nn.GELU()
        self.square = nn.Linear(6, 6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)
        self.lstm = nn.LSTM(6, 6, batch_first=True)

    def forward(self, x: Any) -> Any:
        h = self.conv(x).flatten(2).transpose(1, 2)
        h = self.square(self.gelu(self.norm(h)))
        h, _ = self.attention(h, h, h)
        h, _ = self.lstm(h[:, :2])
        return h.mean(1)


def port(
    epsilon: float = 1e-5, approximate: bool = False, gates: str = "ifgo", packed: str = "qkv", **more: Any
) -> Any:
    """The same as a function in JAX, whose weights are in JAX's layouts, or with something wrong."""

    def net(p: Any, x: Any) -> Any:
        dimensions = ("NHWC", "HWIO", "NHWC")
        h = jax.lax.conv_general_dilated(x, p["conv"]["w"], (1, 1), "SAME", dimension_numbers=dimensions)
        h = cc.tap("conv", h + p["conv"]["b"]).reshape(x.shape[0], -1, 6)
        mean, var = h.mean(-1, keepdims=True), h.var(-1, keepdims=True)
        h = cc.tap("norm", (h - mean) / jnp.sqrt(var + epsilon) * p["norm"]["scale"] + p["norm"]["b"])
        h = cc.tap("gelu", jax.nn.gelu(h, approximate=approximate))
        h = cc.tap("square", h @ p["square"]["w"] + p["square"]["b"])
        parts = dict(
            zip(packed, jnp.split(h @ p["attention"]["qkv"]["w"] + p["attention"]["qkv"]["b"], 3, -1), strict=True)
        )
        q, k, v = (parts[name].reshape(*h.shape[:2], 2, 3) for name in "qkv")
        weights = jnp.einsum("nqhd,nkhd->nhqk", q, k) / np.sqrt(3)
        h = jnp.einsum("nhqk,nkhd->nqhd", jax.nn.softmax(weights), v).reshape(h.shape)
        h = cc.tap("attention", h @ p["attention"]["out"]["w"] + p["attention"]["out"]["b"])
        states, s = [], (jnp.zeros((x.shape[0], 6), x.dtype),) * 2
        for step in range(2):
            z = h[:, step] @ p["lstm"]["wi"] + s[0] @ p["lstm"]["wh"] + p["lstm"]["bi"] + p["lstm"]["bh"]
            g = dict(zip(gates, jnp.split(z, 4, -1), strict=True))
            c = jax.nn.sigmoid(g["f"]) * s[1] + jax.nn.sigmoid(g["i"]) * jnp.tanh(g["g"])
            s = (jax.nn.sigmoid(g["o"]) * jnp.tanh(c), c)
            states.append(s[0])
        return cc.tap("lstm", jnp.stack(states, 1)).mean(1)

    return net


def linear(inputs: int, outputs: int) -> dict[str, Any]:
    return {"w": np.zeros((inputs, outputs), np.float32), "b": np.zeros(outputs, np.float32)}


TREE = {
    "conv": {"w": np.zeros((3, 3, 3, 6), np.float32), "b": np.zeros(6, np.float32)},
    "norm": {"scale": np.ones(6, np.float32), "b": np.zeros(6, np.float32)},
    "square": linear(6, 6),
    "attention": {"qkv": linear(6, 18), "out": linear(6, 6)},
    "lstm": {
        **{name: np.zeros((6, 24), np.float32) for name in ("wi", "wh")},
        **{name: np.zeros(24, np.float32) for name in ("bi", "bh")},
    },
}
OPTIONS: dict[str, Any] = {"loss": loss, "targets": T}


@pytest.fixture(scope="module")
def first() -> cc.Trace:
    return cc.record_module(Net(), X, probe=0, optimizer=lambda some: torch.optim.Adam(some, lr=0.01), **OPTIONS)


def ported(net: Any, **options: Any) -> cc.Trace:
    options = {"parameters": TREE, "optimizer": optax.adam(0.01), **OPTIONS, **options}
    return cc.record_module(net, X.transpose(0, 2, 3, 1), **options)


@pytest.fixture(scope="module")
def map(first: cc.Trace) -> cc.Map:
    found = cc.suggest_map(first, ported(port(), optimizer=None)).map
    assert isinstance(found, cc.Map)
    return found


@pytest.fixture(scope="module")
def second(first: cc.Trace, map: cc.Map) -> cc.Trace:
    return ported(port(), weights=first, map=map)


def not_proven(agreement: cc.Agreement) -> list[str]:
    return [one.entry.split(" -> ")[0] for one in agreement.placed if not one.proven]


def first_divergence(agreement: cc.Agreement) -> str | None:
    (found,) = agreement.subjects.values()
    return found.first_divergence


def test_the_suggestion_places_everything(map: cc.Map, first: cc.Trace, second: cc.Trace) -> None:
    found = cc.suggest_map(first, second)
    assert found.unplaced["parameters"] == ([], [])
    texts = {entry.text for entry in map.parameters}
    assert {
        "conv.weight -> conv.w, { transpose = [2, 3, 1, 0] }",
        "square.weight -> square.w, { transpose = [1, 0] }",
        "attention.in_proj_weight -> attention.qkv.w, { transpose = [1, 0] }",
        "lstm.weight_hh_l0 -> lstm.wh, { transpose = [1, 0] }",
        "norm.weight -> norm.scale",
    } <= texts
    assert map.inputs[0].text == "input -> input, { transpose = [0, 2, 3, 1] }"
    assert {entry.text for entry in map.outputs} >= {
        "conv -> conv, { transpose = [0, 2, 3, 1] }",
        "attention:0 -> attention",
        "lstm:0 -> lstm",
    }


def test_a_right_port_agrees_in_all_and_is_proven(first: cc.Trace, second: cc.Trace, map: cc.Map) -> None:
    agreement = cc.compare(first, second, map=map)
    agreement.raise_if_failed()
    assert not_proven(agreement) == []
    (found,) = agreement.subjects.values()
    assert {tensor.verdict for tensor in found.tensors} == {"agree"}
    assert len(found.tensors) == 2 * 8 + 3 * 14  # outputs, loss, gradients at them and the input; of each weight three


MISTAKES: dict[str, tuple[dict[str, Any], str]] = {
    "another epsilon": ({"epsilon": 1e-6}, "0/forward/norm"),
    "gelu by tanh": ({"approximate": True}, "0/forward/gelu"),
    "queries, keys and values in another order": ({"packed": "vqk"}, "0/forward/attention"),
    "gates in another order": ({"gates": "ifog"}, "0/forward/lstm"),
}


@pytest.fixture(scope="module")
def wrong(first: cc.Trace, map: cc.Map) -> Callable[[str], cc.Agreement]:
    return lambda what: cc.compare(first, ported(port(**MISTAKES[what][0]), weights=first, map=map), map=map)


@pytest.mark.parametrize("what", MISTAKES)
def test_a_mistake_in_the_port_is_found_where_it_is(what: str, wrong: Callable[[str], cc.Agreement]) -> None:
    agreement = wrong(what)
    assert not agreement.ok
    assert first_divergence(agreement) == MISTAKES[what][1]
    assert not_proven(agreement) != []


WRONG_MAPS: dict[str, tuple[str, list[Step], str]] = {
    "a square matrix as it is": ("square.weight", [], "0/forward/square"),
    "a kernel walked backwards": ("conv.weight", [Step(transpose=[2, 3, 1, 0]), Step(flip=[0, 1])], "0/forward/conv"),
}


@pytest.mark.parametrize("what", WRONG_MAPS)
def test_weights_placed_by_a_wrong_map_are_found_by_what_they_make(what: str, first: cc.Trace, map: cc.Map) -> None:
    name, layout, place = WRONG_MAPS[what]
    entries = tuple(e.model_copy(update={"layout": layout}) if e.a == name else e for e in map.parameters)
    other = replace(map, parameters=entries)
    agreement = cc.compare(first, ported(port(), weights=first, map=other), map=other)
    assert first_divergence(agreement) == place
    assert name in not_proven(agreement)


def test_weights_that_were_placed_by_hand_are_told_how_they_fit(first: cc.Trace, map: cc.Map) -> None:
    weights = map.laid_out({name.removeprefix("0/initial/"): array for name, array in first.given.items()})
    tree = jax.tree_util.tree_map_with_path(
        lambda path, _: np.asarray(weights[jax.tree_util.keystr(path, simple=True, separator=".")]), TREE
    )
    tree["square"]["w"] = tree["square"]["w"].T
    tree["attention"]["qkv"]["b"] = tree["attention"]["qkv"]["b"].reshape(3, 6)[[0, 2, 1]].ravel()
    agreement = cc.compare(first, ported(port(), parameters=tree), map=map)
    (found,) = agreement.subjects.values()
    told = {one.operation.split(" -> ")[0]: one.evidence for one in found.diagnosis}
    assert told.keys() == {"square.weight", "attention.in_proj_bias"}
    assert "after { transpose = [1, 0] } on top" in told["square.weight"]
    assert "after { order = [0, 2, 1], axis = 0 } on top" in told["attention.in_proj_bias"]
    assert first_divergence(agreement) == "0/initial/square.w"


@pytest.mark.parametrize("mistake", [{"packed": "kvq"}, {"gates": "gifo", "packed": "vkq"}], ids=str)
def test_what_no_shape_tells_is_found_by_trying(mistake: dict[str, str], first: cc.Trace, map: cc.Map) -> None:
    options = {"parameters": TREE, **OPTIONS}
    found = cc.settle_map(port(**mistake), X.transpose(0, 2, 3, 1), weights=first, map=map, **options)
    assert any("found by trying" in line for line in found.lines)
    both = zip(found.map.parameters, map.parameters, strict=True)
    changed = {one.first[0].partition(".")[0] for one, other in both if one != other}
    assert changed == {{"gates": "lstm", "packed": "attention"}[name] for name in mistake}
    agreement = cc.compare(first, ported(port(**mistake), weights=first, map=found.map), map=found.map)
    assert agreement.ok
    assert not_proven(agreement) == []


def test_what_is_wrong_otherwise_is_not_settled(first: cc.Trace, map: cc.Map) -> None:
    options = {"parameters": TREE, **OPTIONS}
    found = cc.settle_map(port(approximate=True), X.transpose(0, 2, 3, 1), weights=first, map=map, **options)
    assert found.map == map
    assert found.lines == ["no layout that was tried makes 0/forward/gelu agree"]


class Flax(nnx.Module):
    """The first half of it in flax, with queries, keys and values apart, and by heads."""

    def __init__(self, epsilon: float = 1e-5) -> None:
        zeros = {"kernel_init": nnx.initializers.zeros, "rngs": nnx.Rngs(0)}
        self.conv = nnx.Conv(3, 6, (3, 3), **zeros)
        self.norm = nnx.LayerNorm(6, epsilon=epsilon, rngs=nnx.Rngs(0))
        self.attention = nnx.MultiHeadAttention(num_heads=2, in_features=6, decode=False, **zeros)

    def __call__(self, x: Any) -> Any:
        return self.attention(self.norm(self.conv(x).reshape(x.shape[0], -1, 6))).mean(1)


class Half(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.LayerNorm(6)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x: Any) -> Any:
        h = self.norm(self.conv(x).flatten(2).transpose(1, 2))
        return self.attention(h, h, h)[0].mean(1)


def test_a_port_to_flax_through_files_and_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    command = CliRunner().invoke
    options: dict[str, Any] = {**OPTIONS, "optimizer": optax.sgd(0.1)}
    half = cc.record_module(Half(), X, **{**options, "optimizer": lambda some: torch.optim.SGD(some, lr=0.1)}, probe=0)
    cc.save_trace(half, "a.trace")
    x = X.transpose(0, 2, 3, 1)
    cc.save_trace(cc.record_module(Flax(), x, **options), "b.trace")
    assert command(app, ["compare", "a.trace", "b.trace", "--suggest", "map.toml"]).exit_code == 0
    for epsilon, status in ((1e-5, 0), (1e-6, 1)):
        cc.save_trace(cc.record_module(Flax(epsilon), x, weights="a.trace", map="map.toml", **options), "b.trace")
        result = command(app, ["compare", "a.trace", "b.trace", "--map", "map.toml"])
        assert result.exit_code == status, result.output
        if epsilon == 1e-5:
            assert "the map: 8 of 8 entries of parameters proven" in result.output
        else:
            assert "first divergence 0/forward/norm" in result.output
