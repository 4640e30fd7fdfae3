"""Models recorded in PyTorch, flax and JAX: every tensor is the framework's own, and the model is left as it was."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import crosscheck as cc
import numpy as np
import pytest
from ported import random

torch = pytest.importorskip("torch")
jax = pytest.importorskip("jax")
optax = pytest.importorskip("optax")
nnx = pytest.importorskip("flax.nnx")
nn, jnp = torch.nn, jax.numpy

X = random(5, 3).astype(np.float32)
T = random(5, 2, seed=1).astype(np.float32)


def squared(y: Any, t: Any) -> Any:
    return ((y - t) ** 2).sum()


def half_square(y: Any) -> Any:
    return (y**2).sum() / 2


def record(module: Any, inputs: Any = X, **options: Any) -> cc.Trace:
    return cc.record_module(module, inputs, **{"loss": half_square, **options})


class Net(nn.Module):
    """A layer that is called twice, one in place, one that gives a tuple, a name that is taken."""

    def __init__(self) -> None:
        super().__init__()
        self.square = nn.Linear(3, 3)
        self.relu = nn.ReLU(inplace=True)
        self.rnn = nn.RNN(3, 4, batch_first=True)
        self.output = nn.Linear(4, 2)
        self.idle = nn.Linear(1, 1)

    def forward(self, x: Any) -> Any:
        h = self.relu(self.square(self.square(x)))
        _, last = self.rnn(h[:, None])
        return self.output(last[0])


@pytest.fixture(scope="module")
def net() -> Any:
    torch.manual_seed(0)
    return Net()


@pytest.fixture(scope="module")
def recorded(net: Any) -> cc.Trace:
    return record(net, targets=T, loss=squared, optimizer=lambda some: torch.optim.SGD(some, lr=0.5), steps=2)


def test_every_submodule_and_every_parameter_is_there_by_its_name(recorded: cc.Trace) -> None:
    forward = ["square#0", "square#1", "relu", "rnn:0", "rnn:1", ".output", "output", "loss"]
    names = [name for name in recorded if name.startswith("0/")]
    assert [name.removeprefix("0/forward/") for name in names if "/forward/" in name] == forward
    backward = ["output", ".output", "rnn:1", "relu", "square#1", "square#0", "input"]
    assert [name.removeprefix("0/backward/") for name in names if "/backward/" in name] == backward
    parameters = {name for name, _ in Net().named_parameters()}
    for phase, some in (("gradient", parameters - {"idle.weight", "idle.bias"}), ("update", parameters)):
        assert {name.removeprefix(f"0/{phase}/") for name in names if f"/{phase}/" in name} == some
    assert {name.removeprefix("0/initial/") for name in recorded.given if "initial" in name} == parameters
    assert len(recorded) == 2 * len(names)
    assert recorded.model
    assert recorded.model.unseen == ("idle",)
    assert (recorded.model.name, recorded.model.dtype, recorded.model.kinds["rnn"]) == ("Net", "float64", "RNN")
    assert recorded.model.rounding.keys() == recorded.tensors.keys()
    assert recorded.environment["version"] == torch.__version__


def test_the_tensors_are_those_of_the_ordinary_training_loop(net: Any, recorded: cc.Trace) -> None:
    import copy

    plain = copy.deepcopy(net).double()
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.5)
    x, t = (torch.from_numpy(array).double() for array in (X, T))
    x.requires_grad_()
    for step in range(2):
        optimizer.zero_grad()
        hidden = plain.relu(plain.square(plain.square(x)))
        hidden.retain_grad()
        states, last = plain.rnn(hidden[:, None])
        y = plain.output(last[0])
        y.retain_grad()
        loss = squared(y, t)
        loss.backward()
        same = {"forward/output": y, "forward/rnn:0": states, "forward/relu": hidden, "forward/loss": loss}
        same |= {"backward/output": y.grad, "backward/relu": hidden.grad}
        if step == 0:
            same["backward/input"] = x.grad
        same |= {f"gradient/{name}": one.grad for name, one in plain.named_parameters() if one.grad is not None}
        same = {name: one.detach().clone() for name, one in same.items()}
        optimizer.step()
        same |= {f"update/{name}": one.detach() for name, one in plain.named_parameters()}
        for name, one in same.items():
            assert np.allclose(recorded[f"{step}/{name}"], one.numpy(), rtol=1e-12, atol=1e-14), name


def test_the_gradient_at_a_call_is_that_of_the_call(recorded: cc.Trace) -> None:
    weight = np.asarray(recorded["0/initial/square.weight"])
    second, first = (recorded[f"0/backward/square#{call}"] for call in (1, 0))
    assert np.allclose(second @ weight, first, rtol=1e-12)
    total = second.T @ recorded["0/forward/square#0"] + first.T @ X.astype(np.float64)
    assert np.allclose(recorded["0/gradient/square.weight"], total, rtol=1e-12)


def test_a_module_is_left_as_it_is_found() -> None:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    calls: list[int] = []
    module[0].register_forward_hook(lambda *_: calls.append(1))
    half_square(module(torch.from_numpy(X))).backward()
    before = {name: one.clone() for name, one in module.state_dict().items()}
    gradients = {name: one.grad.clone() for name, one in module.named_parameters()}
    generator, dtype, hooks = torch.random.get_rng_state(), torch.get_default_dtype(), len(module[0]._forward_hooks)
    trace = record(module, probe=3, optimizer=lambda some: torch.optim.Adam(some))
    assert not np.array_equal(trace["0/initial/0.weight"], before["0.weight"].numpy())
    assert all(torch.equal(one, before[name]) for name, one in module.state_dict().items())
    assert all(torch.equal(one.grad, gradients[name]) for name, one in module.named_parameters())
    assert all(one.dtype == torch.float32 for one in module.parameters())
    assert module.training
    assert torch.equal(torch.random.get_rng_state(), generator)
    assert (torch.get_default_dtype(), len(module[0]._forward_hooks), len(module[2]._forward_hooks)) == (
        dtype,
        hooks,
        0,
    )
    after = trace["0/state/1.running_mean"]
    mean = trace["0/forward/0"].mean(axis=0)
    assert np.allclose(after, 0.9 * trace["0/initial/1.running_mean"] + 0.1 * mean, rtol=1e-12)


def test_tied_parameters_are_one_and_frozen_ones_have_no_gradient() -> None:
    module = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False), nn.Linear(3, 2))
    module[1].weight = module[0].weight
    module[2].weight.requires_grad_(False)
    trace = record(module, optimizer=lambda some: torch.optim.SGD(some, lr=0.1))
    assert {name for name in trace if "/gradient/" in name} == {"0/gradient/0.weight", "0/gradient/2.bias"}
    assert np.array_equal(trace["0/update/2.weight"], trace["0/initial/2.weight"])
    both = trace["0/backward/1"].T @ trace["0/forward/0"] + trace["0/backward/0"].T @ X.astype(np.float64)
    assert np.allclose(trace["0/gradient/0.weight"], both, rtol=1e-12)


def test_inputs_in_a_list_and_in_a_table() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(7, 3)

        def forward(self, x: Any, *, index: Any) -> dict[str, Any]:
            return {"sum": x + self.table(index), "pair": (x, None)}

    index = np.array([1, 0, 6, 1, 2])
    trace = record(
        Two(), {"x": X, "index": index}, loss=lambda found, t: squared(found["sum"], t["y"]), targets={"y": X}
    )
    assert {name for name in trace.given if "data" in name} == {
        "0/data/input:x",
        "0/data/input:index",
        "0/data/target:y",
    }
    assert {"0/forward/output:sum", "0/forward/output:pair.0", "0/backward/input:x"} <= {*trace}
    assert "0/backward/input:index" not in trace.tensors
    listed = record(nn.Bilinear(3, 3, 2), [X, 2 * X])
    assert {"0/backward/input:0", "0/backward/input:1"} <= {*listed}


def test_what_cannot_be_seen_twice_the_same_is_refused() -> None:
    module = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5))
    before = torch.random.get_rng_state()
    with pytest.raises(cc.CaseError, match=r"module: expected a module that draws no random numbers \(dropout"):
        record(module)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert len(record(module.eval())) == 10

    class Noisy(nnx.Module):
        def __init__(self) -> None:
            self.dropout = nnx.Dropout(0.5, rngs=nnx.Rngs(0))
            self.scale = nnx.Param(jnp.ones(3))

        def __call__(self, x: Any) -> Any:
            return self.dropout(x * self.scale[...])

    with pytest.raises(
        cc.CaseError, match=r"draws no random numbers .*; received one that does, from 'dropout.rngs.count'"
    ):
        record(Noisy())
    quiet = Noisy()
    quiet.eval()
    trace = record(quiet)
    assert {name for name in trace.given if "initial" in name} == {"0/initial/scale"}
    assert not any("/state/" in name for name in trace)


class Wrong(NamedTuple):
    module: Any
    options: dict[str, Any]
    message: str


WRONG = {
    "a dtype": Wrong(nn.Linear(3, 2), {"dtype": "float16"}, "dtype: expected one of 'float32', 'float64'"),
    "steps": Wrong(nn.Linear(3, 2), {"steps": 0}, "steps: expected a whole number of at least 1"),
    "a probe": Wrong(nn.Linear(3, 2), {"probe": -1}, "probe: expected a whole number of at least 0"),
    "both": Wrong(nn.Linear(3, 2), {"probe": 0, "weights": "a.trace"}, "probe: expected a probe, or the weights"),
    "a map alone": Wrong(nn.Linear(3, 2), {"map": "a.toml"}, "weights: expected the weights of a trace"),
    "no model": Wrong(3, {}, "module: expected a torch.nn.Module"),
    "no parameters": Wrong(lambda p, x: x, {}, "module: expected a torch.nn.Module"),
    "a loss": Wrong(nn.Linear(3, 2), {"loss": lambda y: y}, "loss: expected a loss that gives one number"),
    "a loss of JAX": Wrong(lambda p, x: x * p, {"loss": lambda y: y, "parameters": 2.0}, "loss: expected a loss that"),
    "a loss of nothing": Wrong(nn.Linear(3, 2), {"loss": lambda y: torch.zeros(())}, "which depends on the parameters"),
    "an input": Wrong(nn.Linear(3, 2), {"inputs": "x"}, "input: expected arrays of numbers"),
    "the weights of a case": Wrong(
        nn.Linear(3, 2), {"weights": cc.record("article")}, "weights: expected a trace that record_module"
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_told(what: str) -> None:
    module, options, message = WRONG[what]
    with pytest.raises(cc.CaseError) as raised:
        record(module, options.pop("inputs", X), **options)
    assert message in str(raised.value)


# ---------------------------------------------------------------------------------------------------- probe, weights


def test_a_probe_draws_numbers_that_differ_about_as_large_as_they_were() -> None:
    module = nn.Sequential(nn.Linear(3, 50), nn.LayerNorm(50), nn.BatchNorm1d(50)).eval()
    one, other, again = (record(module, probe=seed) for seed in (0, 1, 0))
    for name, _ in module.named_parameters():
        drawn = np.asarray(one[f"0/initial/{name}"])
        assert np.unique(drawn).size == drawn.size
        assert np.array_equal(drawn, again[f"0/initial/{name}"])
        assert not np.array_equal(drawn, other[f"0/initial/{name}"])
        assert np.array_equal(drawn, drawn.astype(np.float32))
    assert abs(one["0/initial/1.weight"].mean() - 1) < 0.1
    assert 0.05 < one["0/initial/1.bias"].std() < 0.2
    assert (one["0/initial/2.running_var"] > 0.8).all()
    assert np.unique(one["0/initial/2.running_mean"]).size == 50


def test_weights_come_from_a_trace(tmp_path: Path) -> None:
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    cc.save_trace(record(first), tmp_path / "a.trace")
    trace = record(second, weights=tmp_path / "a.trace")
    assert cc.compare(tmp_path / "a.trace", trace).ok
    with pytest.raises(cc.CaseError, match=r"'weight' of shape \(2, 4\); received shape \(2, 3\)"):
        record(nn.Linear(4, 2), random(5, 4), weights=tmp_path / "a.trace")
    with pytest.raises(cc.CaseError, match="weights of the same names, or a map"):
        record(nn.Sequential(nn.Linear(3, 2)), weights=tmp_path / "a.trace")


# ------------------------------------------------------------------------------------------------------------- JAX


def mlp(params: Any, x: Any) -> Any:
    hidden = cc.tap("hidden", jnp.tanh(x @ params["layers"][0]["w"] + params["layers"][0]["b"]))
    return hidden @ params["layers"][1]["w"]


TREE = {"layers": [{"w": random(3, 4), "b": random(4)}, {"w": random(4, 2)}]}


def test_a_function_of_a_tree_of_parameters() -> None:
    trace = record(mlp, parameters=TREE, targets=T, loss=squared, optimizer=optax.sgd(0.5))
    assert list(trace) == [
        *("0/forward/hidden", "0/forward/output", "0/forward/loss"),
        *("0/backward/output", "0/backward/hidden", "0/backward/input"),
        *(f"0/{phase}/layers.{name}" for phase in ("gradient", "update") for name in ("0.b", "0.w", "1.w")),
    ]
    hidden, dy = trace["0/forward/hidden"], 2 * (trace["0/forward/output"] - T)
    assert np.allclose(trace["0/backward/output"], dy, rtol=1e-12)
    assert np.allclose(trace["0/backward/hidden"], dy @ TREE["layers"][1]["w"].T, rtol=1e-12)
    assert np.allclose(trace["0/gradient/layers.1.w"], hidden.T @ dy, rtol=1e-12)
    assert np.allclose(trace["0/update/layers.1.w"], TREE["layers"][1]["w"] - 0.5 * trace["0/gradient/layers.1.w"])
    assert trace.model
    assert (trace.source, trace.model.name, trace.dtype_of("0/forward/hidden")) == ("jax", "mlp", "float64")
    assert not jax.config.jax_enable_x64


def test_a_tap_outside_of_a_recording_does_nothing() -> None:
    value = object()
    assert cc.tap("hidden", value) is value


def test_a_tap_in_a_loop_that_is_compiled_is_refused() -> None:
    def looped(scale: Any, x: Any) -> Any:
        return jax.lax.scan(lambda carry, row: (cc.tap("carry", carry + scale * row), None), jnp.zeros(3, x.dtype), x)[
            0
        ]

    with pytest.raises(cc.CaseError, match="expected a tensor that can be seen from outside, to tap; received 'carry'"):
        record(looped, parameters=2.0)


def test_two_parameters_of_one_name_are_refused() -> None:
    with pytest.raises(cc.CaseError, match=r"names that differ; received 'a\.b'"):
        record(mlp, parameters={"a.b": X, "a": {"b": X}})


class Cell(nnx.Module):
    def __init__(self) -> None:
        self.inner = nnx.Linear(3, 3, kernel_init=nnx.initializers.ones, rngs=nnx.Rngs(0))

    def __call__(self, x: Any) -> Any:
        return self.inner(x)


class Flax(nnx.Module):
    """A list of modules, one called twice, a class with a base that is called too, statistics, a loop."""

    def __init__(self) -> None:
        self.cells = nnx.List([Cell(), Cell()])
        self.norm = nnx.BatchNorm(3, rngs=nnx.Rngs(0))
        self.looped = Cell()

    def __call__(self, x: Any) -> Any:
        x = self.norm(self.cells[1](self.cells[0](self.cells[0](x))))
        step = nnx.scan(lambda cell, carry: cell(carry), in_axes=(None, nnx.Carry), out_axes=nnx.Carry, length=2)
        return step(self.looped, x)


def test_an_nnx_module() -> None:
    module = Flax()
    kernel, call = module.cells[0].inner.kernel[...], Cell.__call__
    trace = record(module, optimizer=optax.sgd(0.1), probe=0)
    forward = [
        "cells.0.inner#0",
        "cells.0#0",
        "cells.0.inner#1",
        "cells.0#1",
        "cells.1.inner",
        "cells.1",
        "norm",
        "output",
    ]
    assert [name.removeprefix("0/forward/") for name in trace if "/forward/" in name] == [*forward, "loss"]
    assert [name.removeprefix("0/backward/") for name in trace if "/backward/" in name] == [*reversed(forward), "input"]
    assert trace.model
    assert {"looped", "looped.inner"} <= {*trace.model.unseen}
    weight = trace["0/initial/cells.1.inner.kernel"]
    assert np.allclose(trace["0/backward/cells.1"] @ weight.T, trace["0/backward/cells.0#1"], rtol=1e-10)
    mean = trace["0/forward/cells.1"].mean(axis=0)
    assert np.allclose(trace["0/state/norm.mean"], 0.99 * trace["0/initial/norm.mean"] + 0.01 * mean, rtol=1e-10)
    assert np.array_equal(module.cells[0].inner.kernel[...], kernel)
    assert np.array_equal(module.norm.mean[...], np.zeros(3))
    assert Cell.__call__ is call
    assert module.looped.inner.param_dtype == jnp.float32


def test_a_class_that_inherits_its_call_is_as_it_was() -> None:
    class Child(Cell):
        def __call__(self, x: Any) -> Any:
            return super().__call__(x) * 2

    class Heir(Cell):
        pass

    for kind in (Child, Heir):
        own = "__call__" in vars(kind)
        trace = record(kind())
        assert [name for name in trace if "/forward/" in name] == [
            "0/forward/inner",
            "0/forward/output",
            "0/forward/loss",
        ]
        assert ("__call__" in vars(kind)) == own


# -------------------------------------------------------------------------------------------------------- rounding


def in_float32(x: Any) -> Any:
    return x.float() if hasattr(x, "float") else x.astype("float32")


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_a_part_in_float32_is_seen_behind_it_and_not_before(framework: str) -> None:
    if framework == "torch":

        class Mixed(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.a, self.b = nn.Linear(3, 8), nn.Linear(8, 2)

            def forward(self, x: Any) -> Any:
                return self.b(torch.softmax(self.a(x).float(), -1).double())

        trace = record(Mixed(), probe=0)
        before, behind = "a", "b"
    else:

        def mixed(params: Any, x: Any) -> Any:
            hidden = cc.tap("a", x @ params["a"])
            return jax.nn.softmax(hidden.astype("float32")) @ params["b"]

        trace = record(mixed, parameters={"a": random(3, 8), "b": random(8, 2)})
        before, behind = "a", "output"
    assert trace.model
    assert trace.model.precision == trace.environment["precision"] == "float32"
    assert trace.model.rounding[f"0/forward/{before}"] < 1e-14
    assert 1e-9 < trace.model.rounding[f"0/forward/{behind}"] < 1e-5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_rounding_is_about_as_large_as_it_is(dtype: str) -> None:
    module = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    trace = record(module, dtype=dtype, probe=1)
    assert trace.model
    unit = np.finfo(dtype).eps / 2
    for name, array in trace.tensors.items():
        assert array.dtype == dtype
        size = float(np.abs(array).max())
        assert unit * size <= trace.model.rounding[name] < 1000 * unit * max(size, 1)


def test_what_overflows_has_no_bound() -> None:
    trace = record(nn.Linear(3, 2), 1e30 * X, dtype="float32")
    assert trace.model
    assert "0/forward/loss" not in trace.model.rounding
    assert "0/forward/output" in trace.model.rounding


def test_two_recordings_of_one_model_agree(recorded: cc.Trace, net: Any) -> None:
    second = record(net, targets=T, loss=squared, optimizer=lambda some: torch.optim.SGD(some, lr=0.5), steps=2)
    agreement = cc.compare(recorded, second)
    assert agreement.ok
    open_ones = {one.entry.split(" -> ")[0]: one.why for one in agreement.placed if not one.proven}
    assert open_ones.keys() == {"idle.weight", "idle.bias", "rnn.weight_hh_l0"}  # of which there is but one step
    assert open_ones["rnn.weight_hh_l0"].startswith("its gradient is 0")
    assert open_ones["idle.bias"].startswith("it has no gradient")
