"""The adapters: what they may not change, what they refuse and why, and that they prove what they compute with."""

import ast
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck import adapters
from crosscheck.adapters import ADAPTERS, Adapter, Altered, NotInstalled, Unsupported, contract, load_adapter
from crosscheck.reference import CLIPS, Loss, Optimizer
from numpy.typing import NDArray

Array = NDArray[Any]
Find = Callable[[str], Adapter]

N, I, O, C = 7, 3, 5, 4  # noqa: E741 - the letters of the reference

# Compiling takes seconds: with pytest-xdist those tests share a worker, and there are few of them.
COMPILED = pytest.param("torch.compile", marks=pytest.mark.xdist_group("torch.compile"))
every_adapter = pytest.mark.parametrize("name", [COMPILED if name == "torch.compile" else name for name in ADAPTERS])
every_quick_adapter = pytest.mark.parametrize("name", [name for name in ADAPTERS if name != "torch.compile"])


def network(
    *,
    dtype: str = "float64",
    optimizer: Optimizer | None = None,
    loss: Loss | None = None,
    steps: int = 2,
    frozen: tuple[str, ...] = (),
) -> cc.Case:
    """Every layer, with a residual, a repeated value, and a shared parameter, over two batches."""
    nodes = (
        cc.Node("left", cc.Dense(I, O)),
        cc.Node("left.tanh", cc.Tanh()),
        cc.Node("right", cc.Dense(I, O), takes=("input",), parameters={"weight": "left.weight"}),
        cc.Node("right.sigmoid", cc.Sigmoid()),
        cc.Node("joined", cc.Add(), takes=("left.tanh", "right.sigmoid")),
        cc.Node("twice", cc.Add(), takes=("joined", "joined")),
        cc.Node("relu", cc.Relu()),
        cc.Node("residual", cc.Add(), takes=("relu", "twice")),
        cc.Node("out", cc.Dense(O, C)),
        cc.Node("out.softmax", cc.Softmax()),
    )
    loss = loss or cc.CrossEntropy()
    generator = np.random.Generator(np.random.PCG64(20240304))
    shapes = {"left.weight": (I, O), "left.bias": (O,), "right.bias": (O,), "out.weight": (O, C), "out.bias": (C,)}
    weights = {name: generator.standard_normal(shape) / 2 for name, shape in shapes.items()}
    return cc.Case(
        name="network",
        nodes=nodes,
        loss=loss,
        optimizer=optimizer or cc.Adam(0.01, epsilon=1e-3),
        weights=weights,
        batches=tuple(
            cc.Batch(generator.standard_normal((N, I)), loss.draw_target(generator, (N, C))) for _ in range(steps)
        ),
        dtype=dtype,
        frozen=frozen,
    )


def small(*, dtype: str = "float64", optimizer: Optimizer | None = None, frozen: tuple[str, ...] = ()) -> cc.Case:
    """A shared parameter and a repeated value, in a network that compiles quickly, over two steps."""
    nodes = (
        cc.Node("left", cc.Dense(I, O)),
        cc.Node("right", cc.Dense(I, O), takes=("input",), parameters={"weight": "left.weight"}),
        cc.Node("joined", cc.Add(), takes=("left", "right")),
        cc.Node("twice", cc.Add(), takes=("joined", "joined")),
    )
    generator = np.random.Generator(np.random.PCG64(20240305))
    shapes = {"left.weight": (I, O), "left.bias": (O,), "right.bias": (O,)}
    return cc.Case(
        name="small",
        nodes=nodes,
        loss=cc.MeanSquaredError(),
        optimizer=optimizer or cc.SGD(0.1),
        weights={name: generator.standard_normal(shape) for name, shape in shapes.items()},
        batches=(cc.Batch(generator.standard_normal((N, I)), generator.standard_normal((N, O))),),
        steps=2,
        dtype=dtype,
        frozen=frozen,
    )


def line(weight: Any = ((2.0,),), x: Any = ((1.0,), (3.0,)), dtype: str = "float64", **changed: Any) -> cc.Case:
    """One dense layer as wide as its weight, and small enough to be compiled quickly."""
    weight = np.asarray(weight)
    targets = np.zeros((len(x), weight.shape[1]))
    fields: dict[str, Any] = {
        "name": "line",
        "nodes": (cc.Node("y", cc.Dense(*weight.shape)),),
        "loss": cc.MeanSquaredError(),
        "optimizer": cc.SGD(0.5),
        "weights": {"y.weight": weight, "y.bias": np.zeros(weight.shape[1])},
        "batches": (cc.Batch(x, targets),),
        "dtype": dtype,
    }
    return cc.Case(**{**fields, **changed})


@pytest.fixture
def able(adapter_of: Find) -> Find:
    """An adapter that can run something here; a test whose adapter cannot is skipped."""

    def find(name: str) -> Adapter:
        adapter = adapter_of(name)
        if problem := adapter.problem():
            pytest.skip(problem)
        return adapter

    return find


# ----------------------------------------------------------------------------------- what comes back is a whole trace


def assert_whole(trace: cc.Trace, case: cc.Case) -> None:
    """Exactly the tensors of the reference, each of its shape and dtype."""
    reference = cc.record(case)
    assert set(trace) == set(reference)
    for name in reference:
        assert isinstance(trace[name], np.ndarray), name
        assert trace[name].shape == reference[name].shape, name
        assert trace[name].dtype == reference[name].dtype, name


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs the list of threads that Linux has")
def test_jax_has_as_many_threads_as_it_is_said_to_have(able: Find) -> None:
    """It does not say itself: those of XLA are counted by their name."""
    trace = able("jax").record(small())
    names = [task.read_text() for task in Path("/proc/self/task").glob("*/comm")]
    assert trace.environment["threads"] == sum(name.startswith("tf_XLAEigen") for name in names)


MOMENTUM = cc.SGD((0.1, 0.05), momentum=0.5, weight_decay=0.1)


@every_quick_adapter
@pytest.mark.parametrize(
    "case",
    [
        small(dtype="float16", optimizer=cc.Adam(0.01, epsilon=1e-3)),
        small(dtype="float32", optimizer=MOMENTUM, frozen=("left.bias",)),
        small(optimizer=cc.SGD(0.1), frozen=("left.weight",)),
        network(optimizer=cc.Adam((0.01, 0.02), weight_decay=0.1), frozen=("left.bias",)),
    ],
    ids=["float16-adam", "float32-momentum", "float64-sgd", "float64-adam-every-layer"],
)
def test_a_trace_has_the_tensors_of_the_reference(able: Find, name: str, case: cc.Case) -> None:
    trace = able(name).record(case)
    assert_whole(trace, case)
    assert (trace.source, trace.case) == (name, case)
    assert {"version", "device"} <= trace.environment.keys()
    assert trace.environment["device"] == "cpu"


@pytest.mark.xdist_group("torch.compile")
def test_a_compiled_trace_has_the_tensors_of_the_reference(able: Find) -> None:
    case = small(dtype="float32", optimizer=MOMENTUM, frozen=("left.bias",))
    assert_whole(able("torch.compile").record(case), case)


@every_quick_adapter
@pytest.mark.parametrize(
    "loss",
    [cc.SoftmaxCrossEntropy("sum"), cc.MeanSquaredError("half_sum")],
    ids=["class indices", "squared error"],
)
def test_a_trace_has_the_values_of_the_reference(able: Find, name: str, loss: Loss) -> None:
    """As far as mistakes go; how far rounding may go is the tolerance's to say."""
    case = network(loss=loss)
    trace, reference = able(name).record(case), cc.record(case)
    for tensor in reference:
        largest = np.max(np.abs(reference[tensor]))
        np.testing.assert_allclose(trace[tensor], reference[tensor], rtol=0, atol=1e-11 * largest)


@every_quick_adapter
def test_two_runs_are_the_same_and_of_different_memory(able: Find, name: str) -> None:
    case = small()
    first, second = able(name).record(case), able(name).record(case)
    for tensor in first:
        np.testing.assert_array_equal(first[tensor], second[tensor])
        assert not np.shares_memory(first[tensor], second[tensor])
    arrays = list(first.tensors.values())
    for place, array in enumerate(arrays):
        assert not any(np.shares_memory(array, other) for other in arrays[place + 1 :])


@every_quick_adapter
def test_sixty_four_bits_are_sixty_four_bits(able: Find, name: str) -> None:
    """1 + 2^-40 is 1 in float32; the sums here are exact in float64."""
    case = line([[1 + 2.0**-40, 1 - 2.0**-41]], [[1.0], [2.0]])
    y = able(name).record(case)["0/forward/y"]
    assert y.tolist() == [[1 + 2.0**-40, 1 - 2.0**-41], [2 + 2.0**-39, 2 - 2.0**-40]]


@every_quick_adapter
def test_thirty_two_bits_are_no_more(able: Find, name: str) -> None:
    """In the products and in their sum: 1 + 2^-24 of float64 is rounded to 1."""
    case = line([[1.0], [2.0**-24]], [[1.0, 1.0], [1.0, 1.0]], dtype="float32")
    assert able(name).record(case)["0/forward/y"].tolist() == [[1.0], [1.0]]


# --------------------------------------------------------------------------------- the process is left as it was found


def torch_state() -> dict[str, Any]:
    """What of PyTorch a run may not change."""
    import torch

    return {
        "dtype": torch.get_default_dtype(),
        "random": torch.get_rng_state().tolist(),
        "threads": torch.get_num_threads(),
        "interop threads": torch.get_num_interop_threads(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
        "anomaly": torch.is_anomaly_enabled(),
    }


def jax_state() -> dict[str, Any]:
    """What of JAX a run may not change."""
    import jax

    return {**jax.config.values, "zeros": jax.numpy.zeros(1).dtype, "device": jax.numpy.zeros(1).devices()}


def numpy_state() -> dict[str, Any]:
    """What of NumPy and of Python a run may not change."""
    import random
    import warnings

    return {
        "legacy random": str(np.random.get_state()),  # noqa: NPY002 - other people's code draws from it
        "errors": np.geterr(),
        "random": random.getstate(),
        "filters": list(warnings.filters),
    }


STATES: dict[str, Callable[[], dict[str, Any]]] = {
    "torch": torch_state,
    "torch.compile": torch_state,
    "jax": jax_state,
    "jax.eager": jax_state,
}


def test_every_adapter_has_its_state_watched() -> None:
    assert STATES.keys() == ADAPTERS.keys()


@every_quick_adapter
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_run_leaves_the_process_as_it_found_it(able: Find, name: str, dtype: str) -> None:
    adapter = able(name)
    before = STATES[name](), numpy_state()
    adapter.record(small(dtype=dtype))
    assert (STATES[name](), numpy_state()) == before


@pytest.mark.xdist_group("torch.compile")
def test_a_compiled_run_leaves_the_process_as_it_found_it(able: Find) -> None:
    """Called without gradients, too: that is restored, and does not matter."""
    adapter = able("torch.compile")
    import torch

    case = line()
    with torch.no_grad():
        before = torch_state(), torch._dynamo.config.recompile_limit, torch._dynamo.config.accumulated_recompile_limit
        filters = numpy_state()["filters"]
        trace = adapter.record(case)
        after = torch_state(), torch._dynamo.config.recompile_limit, torch._dynamo.config.accumulated_recompile_limit
        assert after == before
        assert [f for f in numpy_state()["filters"] if f[2] is DeprecationWarning and f[3]] == [
            f for f in filters if f[2] is DeprecationWarning and f[3]
        ]
    assert_whole(trace, case)


@every_quick_adapter
def test_a_run_that_fails_leaves_the_process_as_it_found_it(
    able: Find, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = able(name)
    before = STATES[name](), numpy_state()
    monkeypatch.setattr(contract, "forward", lambda *arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        adapter.record(small())
    assert (STATES[name](), numpy_state()) == before


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_a_run_where_gradients_are_off(able: Find, mode: str) -> None:
    adapter = able("torch")
    import torch

    expected = adapter.record(small())
    with getattr(torch, mode)():
        before = torch_state()
        trace = adapter.record(small())
        assert torch_state() == before
    for name in expected:
        np.testing.assert_array_equal(trace[name], expected[name])


@pytest.fixture
def float16_by_default() -> Iterator[None]:
    torch = pytest.importorskip("torch")
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float16)
    yield
    torch.set_default_dtype(before)


@pytest.mark.usefixtures("float16_by_default")
def test_a_run_does_not_depend_on_the_default_dtype(able: Find) -> None:
    adapter = able("torch")
    import torch

    for dtype in ("float32", "float64"):
        case = small(dtype=dtype)
        assert_whole(adapter.record(case), case)
    assert torch.get_default_dtype() == torch.float16


@pytest.mark.parametrize("name", ["jax", "jax.eager"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("enabled", [False, True], ids=["off", "on"])
def test_sixty_four_bits_stay_off_or_on(able: Find, name: str, dtype: str, enabled: bool) -> None:
    adapter = able(name)
    import jax
    from crosscheck.adapters.jax.adapter import enable_x64

    case = line(dtype=dtype)
    expected = adapter.record(case)
    with enable_x64(enabled):
        before = jax_state()
        trace = adapter.record(case)
        assert jax_state() == before
        assert jax.config.jax_enable_x64 is enabled
        assert jax.numpy.zeros(1).dtype == ("float64" if enabled else "float32")
    for tensor in expected:
        np.testing.assert_array_equal(trace[tensor], expected[tensor])


# --------------------------------------------------------------- that it computed with what it was given is asserted

SQUARE = line(np.array([[1.0, 2.0], [3.0, 4.0]]), [[1.0, 0.5], [0.25, 2.0], [-1.0, 3.0]])


def test_a_weight_written_in_another_layout_does_not_read_back(able: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    """A square weight, whose shape says nothing: written as it is and read transposed."""
    adapter = able("torch")
    from crosscheck.adapters.torch.adapter import Network

    built = Network.__init__

    def untransposed(self: Any, case: cc.Case, device: str) -> None:
        built(self, case, device)
        for name in self.transposed:
            self.shared[name].data = self.shared[name].data.T.contiguous()

    monkeypatch.setattr(Network, "__init__", untransposed)
    with pytest.raises(Altered, match=r"torch: weight 'y\.weight' does not read back as it was given"):
        adapter.record(SQUARE)


def test_a_layout_that_is_declared_wrongly_is_a_disagreement(able: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written and read by the same mistake, a square weight reads back: what is computed with it differs."""
    able("torch")
    from crosscheck.adapters.torch.parts import LAYERS

    monkeypatch.setitem(LAYERS, "dense", replace(LAYERS["dense"], transposed=lambda layer: frozenset()))
    subject = cc.check(SQUARE, ["torch"]).subjects["torch"]
    assert (subject.verdict, subject.first_divergence) == ("disagree", "0/forward/y")


@every_quick_adapter
def test_a_weight_that_is_changed_on_its_way_does_not_read_back(
    able: Find, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The weights of the case and what the framework reads differ in the last bit."""
    adapter = able(name)
    case = small()
    real = contract.require_read_back

    def nudged(case: cc.Case, read: Callable[[str], Array], subject: str) -> None:
        real(case, lambda weight: np.nextafter(read(weight), np.inf), subject)

    monkeypatch.setattr(contract, "require_read_back", nudged)
    with pytest.raises(Altered, match="does not read back"):
        adapter.record(case)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda weight: np.ascontiguousarray(weight.T),
        lambda weight: weight.astype("float32"),
        lambda weight: weight + 0.0,
        lambda weight: weight[:1],
    ],
    ids=["transposed", "other dtype", "sign of zero", "row missing"],
)
def test_reading_back_is_bit_for_bit(spoil: Callable[[Array], Array]) -> None:
    case = line(np.array([[-0.0, 2.0], [3.0, 4.0]]), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    contract.require_read_back(case, lambda name: case.weights[name], "mine")
    with pytest.raises(Altered, match=r"mine: weight 'y\.weight'"):
        contract.require_read_back(
            case, lambda name: spoil(case.weights[name]) if name == "y.weight" else case.weights[name], "mine"
        )


@every_quick_adapter
def test_perturbations_that_are_not_zero_are_noticed(able: Find, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = able(name)
    real = contract.forward

    def disturbed(case: cc.Case, x: Any, parameters: Any, zeros: Mapping[str, Any], apply: Any, criterion: Any) -> Any:
        return real(case, x, parameters, {path: zero + 0.5 for path, zero in zeros.items()}, apply, criterion)

    monkeypatch.setattr(contract, "forward", disturbed)
    with pytest.raises(Altered, match=f"{name}: the perturbations change the gradient of"):
        adapter.record(small())


def test_a_gradient_may_differ_by_the_rounding_of_a_compiler_only() -> None:
    plain = np.array([1.0, -2.0, 0.0])
    contract.require_unperturbed("w", plain, plain * (1 + 8 * 2.0**-52), "mine", dtype="float64")
    for other in (plain + 1e-12, plain * np.nan, plain[::-1]):
        with pytest.raises(Altered, match="mine: the perturbations change the gradient of 'w'"):
            contract.require_unperturbed("w", plain, other, "mine", dtype="float64")
    with np.errstate(invalid="ignore"):  # what is NaN both times is the same
        contract.require_unperturbed("w", plain * np.nan, plain * np.nan, "mine", dtype="float64")


# ------------------------------------------------------------------------------------------------------ not installed


@pytest.mark.parametrize(
    ("name", "lacking", "message"),
    [
        ("torch", {"torch"}, "torch not installed: pip install 'crosscheck[torch]'"),
        ("torch.compile", {"torch"}, "torch not installed: pip install 'crosscheck[torch]'"),
        ("jax", {"jax"}, "jax not installed: pip install 'crosscheck[jax]'"),
        ("jax", {"optax"}, "optax not installed: pip install 'crosscheck[jax]'"),
        ("jax.eager", {"jax", "optax"}, "jax and optax not installed: pip install 'crosscheck[jax]'"),
    ],
)
def test_a_missing_framework_says_how_to_install_it(
    name: str, lacking: set[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda package: None if package in lacking else object())
    assert set(adapters.missing(name)) == lacking
    with pytest.raises(NotInstalled) as caught:
        load_adapter(name)
    assert str(caught.value) == message
    with pytest.raises(NotInstalled):
        cc.check(line(), [name])


@pytest.mark.parametrize(("name", "package"), [("torch", "torch"), ("jax", "optax")])
def test_a_framework_that_cannot_be_imported_is_not_installed(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda package: object())
    for module in [module for module in sys.modules if module.startswith(f"crosscheck.adapters.{name}.")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(NotInstalled, match=f"^{name} cannot be imported: import of {package} halted"):
        load_adapter(name)


def test_an_adapter_that_there_is_not() -> None:
    with pytest.raises(KeyError, match="tinygrad"):
        load_adapter("tinygrad")


@every_adapter
def test_an_adapter_goes_by_its_name(adapter_of: Find, name: str) -> None:
    assert adapter_of(name).name == name


# -------------------------------------------------------------------------------------------------------- unsupported


def refuses(adapter: Adapter, case: cc.Case, reason: str, device: str = "cpu") -> None:
    """The reason is told, raised, and reported as ``unsupported``: never as agreement, never as a crash."""
    assert adapter.unsupported(case, device) == reason
    with pytest.raises(Unsupported) as caught:
        adapter.record(case, device)
    assert str(caught.value) == reason
    agreement = cc.check(case, [adapter.name], device=device)
    assert (agreement.subjects[adapter.name].verdict, agreement.subjects[adapter.name].reason) == (
        "unsupported",
        reason,
    )
    assert not agreement.ok


@every_adapter
def test_long_double_is_unsupported(able: Find, name: str) -> None:
    refuses(able(name), line(dtype="longdouble"), f"{name} does not compute in longdouble")


@every_adapter
def test_a_device_that_there_is_not_is_unsupported(able: Find, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = able(name)
    assert adapter.devices()[0] == "cpu"
    monkeypatch.setattr(type(adapter), "devices", lambda self: ("cpu",))
    refuses(adapter, line(), f"{name} has no device 'cuda' here; it has cpu", "cuda")


@every_adapter
@pytest.mark.parametrize("kind", ["dense", "mean_squared_error", "sgd"])
def test_a_kind_that_the_framework_lacks_is_unsupported(
    able: Find, name: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = able(name)
    monkeypatch.setattr(type(adapter), "parts", {k: part for k, part in adapter.parts.items() if k != kind})
    refuses(adapter, line(), f"{name} has no {kind!r}")


@pytest.mark.parametrize("name", ["jax", "jax.eager"])
def test_dampening_is_unsupported_in_optax(able: Find, name: str) -> None:
    dampened = line(optimizer=cc.SGD(0.5, momentum=0.5, dampening=0.5))
    refuses(able(name), dampened, "optax.sgd has no dampening")
    assert able(name).unsupported(line(optimizer=cc.SGD(0.5, momentum=0.5))) == ""


def test_recurrent_modules_are_not_compiled(able: Find) -> None:
    """It is torch's own refusal, and its default: unrolled, each step of a sequence would be compiled for itself."""
    adapter, case = able("torch.compile"), cc.load_case("gru")
    refuses(adapter, case, "torch.compile takes no recurrent module into its graph, as 'rnn' is")
    assert able("torch").unsupported(case) == ""


def test_parameters_of_recurrent_layers_can_be_shared(able: Find) -> None:
    """What is given to a module of torch for one call reaches the list of weights that the module keeps."""
    one, nodes = cc.load_case("gru"), []
    for node in one.nodes:
        nodes.append(replace(node, parameters={}))
        if node.name == "rnn":
            nodes.append(cc.Node("back", cc.Dense(7, 3)))
            nodes.append(cc.Node("again", cc.Rnn(3, 7), parameters={k: f"rnn.{k}" for k in cc.Rnn(3, 7).parameters()}))
    nodes[4] = replace(nodes[4], takes=("again",))
    weights = {**one.weights, "back.weight": np.full((7, 3), 0.25), "back.bias": np.full(3, 0.5)}
    case = replace(one, nodes=tuple(nodes), weights=weights)
    able("torch")
    assert cc.check(case, ["torch"]).subjects["torch"].verdict == "agree"


def test_compiling_without_a_compiler_is_unsupported(
    adapter_of: Find, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    adapter = adapter_of("torch.compile")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    reason = "torch.compile needs a C++ compiler (g++ or clang++, or the one that CXX names)"
    assert adapter.problem() == reason
    refuses(adapter, line(), reason)
    monkeypatch.setenv("CXX", str(tmp_path / "c++"))
    assert adapter.problem() == reason
    (tmp_path / "c++").touch(mode=0o755)
    assert adapter.problem() == ""


@every_adapter
def test_every_kind_is_there_native_or_composed(adapter_of: Find, name: str) -> None:
    kinds = adapter_of(name).kinds
    lacking = {"lamb", "lion"} if name.startswith("torch") else set()
    assert kinds.keys() == {*cc.LAYERS, *cc.LOSSES, *CLIPS, *cc.OPTIMIZERS} - lacking
    assert set(kinds.values()) <= {"native", "composed"}
    assert kinds["cross_entropy"] == "composed"
    assert kinds["dense"] == ("native" if name.startswith("torch") else "composed")


# ------------------------------------------------------------------------------- the framework differentiates, not we

SOURCES = sorted(Path(contract.__file__).parent.rglob("*.py"))
OWN_FORMULAS = frozenset({"backward", "update", "vjp", "jvp", "custom_vjp", "custom_jvp", "defvjp", "defjvp"})
OWN_DIFFERENTIATION = frozenset(
    {"Function", "custom_vjp", "custom_jvp", "defvjp", "defjvp", "register_hook", "setup_context", "apply_gradients"}
)


NOT_OURS = {
    "jax/inside.py": {"def update"},
    "torch/inside.py": {"fn.register_hook"},
    "own/layer.py": {"torch.autograd.Function", "jax.custom_vjp", "jax.custom_jvp"},
    "torch/functions.py": {"torch.autograd.Function"},
}
"""What looks so and is none: the optimizer's own update in a jaxpr, a hook that only looks, a user's own function."""


def own_derivatives(source: str) -> set[str]:
    """Every function in some code that is named as a derivative or an update, every hook into differentiation."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in OWN_FORMULAS:
            found.add(f"def {node.name}")
        if isinstance(node, ast.Attribute) and node.attr in OWN_DIFFERENTIATION:
            found.add(ast.unparse(node))
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names if alias.name in OWN_DIFFERENTIATION}
    return found


@pytest.mark.parametrize("name", [path.relative_to(SOURCES[0].parent).as_posix() for path in SOURCES])
def test_no_derivative_and_no_update_is_written_in_an_adapter(name: str) -> None:
    source = (SOURCES[0].parent / name).read_text(encoding="utf-8")
    assert own_derivatives(source) == NOT_OURS.get(name, set())


@pytest.mark.parametrize(
    "source",
    [
        "def backward(ctx, dy): return dy",
        "class Wrong(torch.autograd.Function): pass",
        "from torch.autograd import Function",
        "wrong = jax.custom_vjp(right)",
        "@jax.custom_jvp\ndef right(x): return x",
        "class Mine(Optimizer):\n    def update(self, w, dw): return w - dw",
        "x.register_hook(lambda dx: dx / 2)",
    ],
)
def test_a_derivative_in_an_adapter_would_be_seen(source: str) -> None:
    assert own_derivatives(source)


def test_the_sources_are_found() -> None:
    names = {path.relative_to(SOURCES[0].parent).as_posix() for path in SOURCES}
    assert {"contract.py", *(f"{f}/{m}" for f in ("torch", "jax") for m in ("adapter.py", "parts/losses.py"))} <= names


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("adapter", ["torch", "jax"])
def test_a_mean_over_more_rows_than_a_dtype_can_count(
    adapter: str, dtype: str, adapter_of: Callable[[str], Any]
) -> None:
    """bfloat16 counts to 256, one by one."""
    adapter_of(adapter)
    generator = np.random.default_rng(5)
    rows, classes = (7, 3, 13), 6
    case = cc.Case(
        "many-rows",
        [cc.Node("z", cc.Dense(classes, classes, bias=False)), cc.Node("p", cc.LogSoftmax())],
        cc.NegativeLogLikelihood(),
        cc.SGD(0.5),
        weights={"z.weight": generator.normal(size=(classes, classes))},
        batches=[cc.Batch(generator.normal(size=(*rows, classes)), generator.integers(classes, size=rows))],
        dtype=dtype,
    )
    assert cc.check(case, [adapter]).subjects[adapter].verdict == "agree"


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
def test_what_is_not_finite_in_both_runs_is_no_altered_gradient(value: float) -> None:
    plain = np.array([1.0, value], "float32")
    contract.require_unperturbed("w", plain, np.array([1 + 1e-7, value], "float32"), "someone", dtype="float32")
    with pytest.raises(Altered, match="someone: the perturbations change the gradient of 'w'"):
        contract.require_unperturbed("w", plain, np.array([value, value], "float32"), "someone", dtype="float32")
    with pytest.raises(Altered):
        contract.require_unperturbed("w", plain, np.array([1, 0], "float32"), "someone", dtype="float32")
