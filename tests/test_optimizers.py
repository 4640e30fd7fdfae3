"""Every optimizer in every option: weights and slots after each of seven steps, against torch.optim and optax."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.arithmetic.ball import balls
from crosscheck.arithmetic.base import raw
from crosscheck.arithmetic.bfloat16 import BFloat16
from crosscheck.arithmetic.poison import Poison
from crosscheck.arithmetic.tracked import Tracked, tracked
from crosscheck.faults.conventions import convention_fields
from crosscheck.reference import Optimizer
from crosscheck.reference.optimizers import base
from crosscheck.reference.optimizers.signs import sign
from formulas import FORMULAS
from numpy.typing import NDArray

Array = NDArray[Any]

RATES = (0.1, 0.1, 0.025, 0.3, 0.3, 0.05, 0.1)
"""The learning rate stays twice and changes four times; the seventh step is the first that RAdam rectifies for sure."""

OPTIONS: dict[str, Optimizer] = {
    "sgd": cc.SGD(RATES),
    "sgd-momentum": cc.SGD(RATES, momentum=0.9),
    "sgd-dampening": cc.SGD(RATES, momentum=0.9, dampening=0.25),
    "sgd-nesterov": cc.SGD(RATES, momentum=0.9, nesterov=True),
    "sgd-decay": cc.SGD(RATES, weight_decay=0.125),
    "sgd-momentum-decay": cc.SGD(RATES, momentum=0.5, weight_decay=0.125),
    "sgd-dampening-decay": cc.SGD(RATES, momentum=0.5, dampening=0.75, weight_decay=0.125),
    "sgd-nesterov-decay": cc.SGD(RATES, momentum=0.5, nesterov=True, weight_decay=0.125),
    "sgd-decoupled": cc.SGD(RATES, momentum=0.5, weight_decay=0.125, decay="decoupled"),
    "sgd-nesterov-decoupled": cc.SGD(RATES, momentum=0.5, nesterov=True, weight_decay=0.125, decay="decoupled"),
    "adagrad": cc.Adagrad(RATES),
    "adagrad-started": cc.Adagrad(RATES, epsilon=1e-3, initial_accumulator=0.1, weight_decay=0.125),
    "adagrad-root": cc.Adagrad(RATES, epsilon=1e-3, initial_accumulator=0.1, epsilon_in="root", weight_decay=0.125),
    "adagrad-decoupled": cc.Adagrad(RATES, epsilon_in="root", weight_decay=0.125, decay="decoupled"),
    "rmsprop": cc.RMSprop(RATES),
    "rmsprop-momentum": cc.RMSprop(RATES, rho=0.9, momentum=0.5, epsilon=1e-3, weight_decay=0.125),
    "rmsprop-centred": cc.RMSprop(RATES, rho=0.75, momentum=0.5, centred=True),
    "rmsprop-root": cc.RMSprop(RATES, centred=True, epsilon_in="root"),
    "rmsprop-velocity": cc.RMSprop(RATES, momentum=0.5, rate_in="velocity", weight_decay=0.125),
    "rmsprop-keras": cc.RMSprop(RATES, rho=0.9, momentum=0.5, centred=True, epsilon_in="root", rate_in="velocity"),
    "rmsprop-started": cc.RMSprop(RATES, initial_accumulator=1.0),
    "rmsprop-decoupled": cc.RMSprop(RATES, momentum=0.5, weight_decay=0.125, decay="decoupled"),
    "rmsprop-decoupled-plain": cc.RMSprop(RATES, weight_decay=0.125, decay="decoupled"),
    "rmsprop-decoupled-velocity": cc.RMSprop(
        RATES, momentum=0.5, rate_in="velocity", weight_decay=0.125, decay="decoupled"
    ),
    "adadelta": cc.Adadelta(RATES),
    "adadelta-decay": cc.Adadelta(RATES, rho=0.75, epsilon=1e-3, weight_decay=0.125),
    "adadelta-decoupled": cc.Adadelta(RATES, weight_decay=0.125, decay="decoupled"),
    "adam": cc.Adam(RATES),
    "adam-decay": cc.Adam(RATES, weight_decay=0.125),
    "adam-large-epsilon": cc.Adam(RATES, epsilon=0.1),
    "adam-other-betas": cc.Adam(RATES, beta1=0.5, beta2=0.75),
    "adam-without-memory": cc.Adam(RATES, beta1=0.0, beta2=0.0),
    "adam-everything": cc.Adam(RATES, beta1=0.75, beta2=0.9, epsilon=1e-3, weight_decay=0.25),
    "adam-decoupled": cc.Adam(RATES, weight_decay=0.125, decay="decoupled"),
    "adam-root": cc.Adam(RATES, epsilon=1e-3, epsilon_in="root"),
    "adam-root-decoupled": cc.Adam(RATES, epsilon=1e-3, epsilon_in="root", weight_decay=0.125, decay="decoupled"),
    "adam-uncorrected-epsilon": cc.Adam(RATES, epsilon=1e-3, epsilon_in="uncorrected"),
    "adam-uncorrected": cc.Adam(RATES, bias_correction=False),
    "adamw": cc.AdamW(RATES),
    "adamw-everything": cc.AdamW(RATES, beta1=0.75, beta2=0.9, epsilon=1e-3, weight_decay=0.25),
    "adamw-coupled": cc.AdamW(RATES, decay="coupled"),
    "adamw-root": cc.AdamW(RATES, epsilon_in="root"),
    "adamw-uncorrected-epsilon": cc.AdamW(RATES, epsilon=1e-3, epsilon_in="uncorrected"),
    "adamw-uncorrected": cc.AdamW(RATES, bias_correction=False),
    "amsgrad": cc.AMSGrad(RATES, beta2=0.9),
    "amsgrad-decoupled": cc.AMSGrad(RATES, beta1=0.5, beta2=0.75, weight_decay=0.125, decay="decoupled"),
    "amsgrad-corrected": cc.AMSGrad(RATES, beta2=0.9, maximum_of="corrected", weight_decay=0.125),
    "amsgrad-corrected-decoupled": cc.AMSGrad(
        RATES, maximum_of="corrected", epsilon=1e-3, epsilon_in="root", weight_decay=0.125, decay="decoupled"
    ),
    "amsgrad-uncorrected": cc.AMSGrad(RATES, beta2=0.9, bias_correction=False),
    "amsgrad-uncorrected-epsilon": cc.AMSGrad(RATES, maximum_of="corrected", epsilon_in="uncorrected"),
    "adamax": cc.Adamax(RATES),
    "adamax-decay": cc.Adamax(RATES, beta1=0.5, beta2=0.75, epsilon=1e-3, weight_decay=0.125),
    "adamax-decoupled": cc.Adamax(RATES, weight_decay=0.125, decay="decoupled"),
    "adamax-outside": cc.Adamax(RATES, epsilon_in="outside"),
    "nadam": cc.NAdam(RATES),
    "nadam-decay": cc.NAdam(RATES, beta1=0.5, beta2=0.75, epsilon=1e-3, momentum_decay=1.0, weight_decay=0.125),
    "nadam-decoupled": cc.NAdam(RATES, weight_decay=0.125, decay="decoupled"),
    "nadam-constant": cc.NAdam(RATES, momentum_schedule="constant", weight_decay=0.125),
    "nadam-constant-decoupled": cc.NAdam(RATES, momentum_schedule="constant", weight_decay=0.125, decay="decoupled"),
    "radam": cc.RAdam(RATES),
    "radam-short": cc.RAdam(RATES, beta1=0.5, beta2=0.875, epsilon=1e-3, threshold=4.0, weight_decay=0.125),
    "radam-decoupled": cc.RAdam(RATES, beta2=0.9, weight_decay=0.125, decay="decoupled"),
    "radam-torch": cc.RAdam(RATES, epsilon_in="uncorrected"),
    "radam-torch-decay": cc.RAdam(RATES, beta2=0.9, epsilon=1e-3, epsilon_in="uncorrected", weight_decay=0.125),
    "radam-torch-decoupled": cc.RAdam(RATES, epsilon_in="uncorrected", weight_decay=0.125, decay="decoupled"),
    "radam-never": cc.RAdam(RATES, beta2=0.5, epsilon_in="uncorrected"),
    "radam-torch-4": cc.RAdam(RATES, beta2=0.9, epsilon_in="uncorrected", threshold=4.0),
    "lamb": cc.Lamb(RATES),
    "lamb-everything": cc.Lamb(RATES, beta1=0.5, beta2=0.75, epsilon=1e-3, weight_decay=0.125),
    "lion": cc.Lion(RATES),
    "lion-decay": cc.Lion(RATES, beta1=0.5, beta2=0.75, weight_decay=0.125),
    "lion-coupled": cc.Lion(RATES, weight_decay=0.125, decay="coupled"),
    "rprop": cc.Rprop(RATES),
    "rprop-bounds": cc.Rprop(RATES, shrink=0.25, grow=1.5, smallest=0.05, largest=0.12),
    "rprop-late": cc.Rprop(RATES, applies="last"),
    "rprop-late-bounds": cc.Rprop(RATES, shrink=0.25, grow=1.5, smallest=0.05, largest=0.12, applies="last"),
    "adafactor": cc.Adafactor(RATES),
    "adafactor-options": cc.Adafactor(
        RATES, decay_rate=0.5, epsilon=1e-3, smallest_scale=2.0, clip=2.0, weight_decay=0.125
    ),
    "adafactor-optax": cc.Adafactor(RATES, epsilon_in="squares", rate="plain"),
    "adafactor-optax-options": cc.Adafactor(
        RATES, decay_rate=0.5, epsilon=1e-3, clip=2.0, epsilon_in="squares", rate="plain"
    ),
    "adafactor-optax-decay": cc.Adafactor(RATES, epsilon_in="squares", rate="plain", weight_decay=0.125),
    "adafactor-paper": cc.Adafactor(RATES, epsilon_in="squares"),
    "adafactor-optax-scale": cc.Adafactor(RATES, epsilon_in="squares", rate="plain", smallest_scale=2.0),
    "muon": cc.Muon(RATES),
    "muon-options": cc.Muon(
        RATES,
        momentum=0.5,
        nesterov=False,
        coefficients=(1.5, -0.5, 0.0),
        iterations=2,
        epsilon=1e-3,
        weight_decay=0.125,
        scale="match_rms",
    ),
    "muon-torch": cc.Muon(RATES, bias_correction=False),
    "muon-unscaled": cc.Muon(RATES, scale="none"),
}

TORCH_MUON = "torch.optim.Muon iterates in bfloat16, whatever the dtype"
TORCH_ADAM = {
    "root": "torch.optim.Adam has the epsilon outside the corrected root",
    "bias": "torch.optim.Adam corrects the bias of its moments",
    "maximum": "torch.optim.Adam takes the maximum of the second moment before its correction",
}
TORCH_RADAM = "torch.optim.RAdam has the epsilon beside the uncorrected root"
OPTAX_RADAM = "optax.radam has the epsilon beside the corrected root"

REFUSED_BY: dict[str, dict[str, str]] = {
    "torch": {
        **dict.fromkeys(("sgd-decoupled", "sgd-nesterov-decoupled"), "torch.optim.SGD couples the weight decay"),
        **dict.fromkeys(("adagrad-root", "adagrad-decoupled"), "torch.optim.Adagrad has the epsilon outside the root"),
        **dict.fromkeys(("rmsprop-root", "rmsprop-keras"), "torch.optim.RMSprop has the epsilon outside the root"),
        **dict.fromkeys(
            ("rmsprop-velocity", "rmsprop-decoupled-velocity"),
            "torch.optim.RMSprop has the learning rate outside the velocity",
        ),
        "rmsprop-started": "torch.optim.RMSprop starts its average at 0",
        **dict.fromkeys(
            ("rmsprop-decoupled", "rmsprop-decoupled-plain"), "torch.optim.RMSprop couples the weight decay"
        ),
        "adadelta-decoupled": "torch.optim.Adadelta couples the weight decay",
        **dict.fromkeys(
            ("adam-root", "adam-root-decoupled", "adam-uncorrected-epsilon", "adamw-root", "adamw-uncorrected-epsilon"),
            TORCH_ADAM["root"],
        ),
        **dict.fromkeys(("adam-uncorrected", "adamw-uncorrected", "amsgrad-uncorrected"), TORCH_ADAM["bias"]),
        "amsgrad-corrected": TORCH_ADAM["maximum"],
        **dict.fromkeys(("amsgrad-corrected-decoupled", "amsgrad-uncorrected-epsilon"), TORCH_ADAM["root"]),
        "adamax-decoupled": "torch.optim.Adamax couples the weight decay",
        "adamax-outside": "torch.optim.Adamax has the epsilon in the maximum",
        **dict.fromkeys(("nadam-constant", "nadam-constant-decoupled"), "torch.optim.NAdam warms its momentum up"),
        **dict.fromkeys(("radam", "radam-short", "radam-decoupled"), TORCH_RADAM),
        "radam-torch-4": "torch.optim.RAdam has a threshold of 5",
        **dict.fromkeys(("lamb", "lamb-everything"), "torch has no 'lamb'"),
        **dict.fromkeys(("lion", "lion-decay", "lion-coupled"), "torch has no 'lion'"),
        **dict.fromkeys(("rprop-late", "rprop-late-bounds"), "torch.optim.Rprop applies each step at once"),
        **dict.fromkeys(
            (
                "adafactor-optax",
                "adafactor-optax-options",
                "adafactor-optax-decay",
                "adafactor-paper",
                "adafactor-optax-scale",
            ),
            "torch.optim.Adafactor has the epsilon as a floor",
        ),
        **dict.fromkeys(("muon", "muon-options", "muon-torch", "muon-unscaled"), TORCH_MUON),
    },
    "jax": {
        **dict.fromkeys(("sgd-dampening", "sgd-dampening-decay"), "optax.sgd has no dampening"),
        **dict.fromkeys(("adagrad", "adagrad-started"), "optax.adagrad has the epsilon in the root"),
        "rmsprop-decoupled-velocity": "optax.rmsprop cannot decay weights beside a velocity that the rate is in",
        "adamw-uncorrected-epsilon": "optax.adam has the epsilon beside the corrected root",
        "adam-uncorrected-epsilon": "optax.adam has the epsilon beside the corrected root",
        **dict.fromkeys(("adam-uncorrected", "adamw-uncorrected"), "optax.adam corrects the bias of its moments"),
        **dict.fromkeys(
            ("amsgrad", "amsgrad-decoupled"), "optax.amsgrad takes the maximum of the corrected second moment"
        ),
        "amsgrad-uncorrected-epsilon": "optax.amsgrad has the epsilon beside the corrected root",
        "adamax-outside": "optax.adamax has the epsilon in the maximum",
        **dict.fromkeys(("nadam", "nadam-decay", "nadam-decoupled"), "optax.nadam has the same momentum at every step"),
        **dict.fromkeys(
            ("radam-torch", "radam-torch-decay", "radam-torch-decoupled", "radam-never", "radam-torch-4"), OPTAX_RADAM
        ),
        **dict.fromkeys(("rprop", "rprop-bounds"), "optax.rprop is one step late"),
        **dict.fromkeys(("adafactor", "adafactor-options"), "optax.adafactor has the epsilon in the squares"),
        "adafactor-paper": "optax.adafactor does not cap the learning rate",
        "adafactor-optax-decay": "optax.adafactor does not multiply its weight decay by the learning rate",
        "adafactor-optax-scale": "optax.adafactor has a smallest scale of 1e-3",
        "muon-torch": "optax.contrib.muon corrects the bias of its mean",
        "muon-unscaled": "optax.contrib.muon scales its steps by the shape",
    },
}
"""What a framework cannot express, and the reason that its adapter gives."""

every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])
Tensors = dict[str, Array]
"""The weight, and the slots, after a step."""


def draw(dtype: str) -> tuple[Array, list[Array]]:
    """A weight and a gradient for each step, with elements that are tiny, always 0, or 0 at one step or another."""
    generator = np.random.Generator(np.random.PCG64(20240302))
    weight = generator.standard_normal((3, 5)).astype(dtype)
    gradients = [generator.standard_normal((3, 5)).astype(dtype) for _ in RATES]
    for step, gradient in enumerate(gradients):
        gradient[0, 0] = 0
        gradient[0, 1] = 1e-9
        gradient[0, 2] = -1e-9 * (step + 1)
        gradient[1, step % 5] = 0
    return weight, gradients


def by_hand(optimizer: Optimizer, weight: Array, gradients: list[Array]) -> list[Tensors]:
    slots = optimizer.slots(weight)
    steps = []
    for gradient, rate in zip(gradients, optimizer.learning_rates(len(gradients)), strict=True):
        for array in (weight, gradient, *slots.values()):
            if type(array) is np.ndarray:  # a number cannot be changed anyway
                array.setflags(write=False)
        weight, slots = optimizer.update(weight, gradient, slots, rate)
        steps.append({"weight": weight, **slots})
    return steps


def in_tracked(optimizer: Optimizer, weight: Array, gradients: list[Array]) -> list[Tensors]:
    """The same, knowing how far rounding may have moved every element."""
    arithmetic = tracked(str(weight.dtype))
    return by_hand(optimizer, arithmetic.lift(weight), [arithmetic.lift(gradient) for gradient in gradients])


def by_torch(optimizer: Optimizer, weight: Array, gradients: list[Array], *, transposed: bool = False) -> list[Tensors]:
    torch = pytest.importorskip("torch")
    from crosscheck.adapters.torch.adapter import default_dtype
    from crosscheck.adapters.torch.parts import OPTIMIZERS

    def turned(array: Array) -> Array:
        return np.array(array.T, order="C") if transposed and array.ndim > 1 else array

    part = OPTIMIZERS[optimizer.kind]
    steps = []
    with default_dtype(str(weight.dtype)):
        parameter = torch.nn.Parameter(torch.tensor(turned(weight)))
        theirs = part.build([parameter], optimizer)
        for gradient, rate in zip(gradients, optimizer.learning_rates(len(gradients)), strict=True):
            theirs.param_groups[0]["lr"] = rate
            parameter.grad = torch.tensor(turned(gradient))
            theirs.step()
            held = part.held(theirs.state[parameter], transposed=transposed)
            slots = {slot: turned(value.numpy().astype(weight.dtype)) for slot, value in held.items()}
            steps.append({"weight": turned(parameter.detach().numpy().copy()), **slots})
    return steps


def by_jax(optimizer: Optimizer, weight: Array, gradients: list[Array]) -> list[Tensors]:
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    from crosscheck.adapters.jax.adapter import enable_x64
    from crosscheck.adapters.jax.parts import OPTIMIZERS

    part = OPTIMIZERS[optimizer.kind]
    with enable_x64(weight.dtype == np.float64):
        rates = optimizer.learning_rates(len(gradients))
        theirs = part.build(optimizer, lambda count: jax.numpy.asarray(rates)[count])
        current = {"w": jax.numpy.asarray(weight)}
        state = theirs.init(current)
        steps = []
        for gradient in gradients:
            updates, state = theirs.update({"w": jax.numpy.asarray(gradient)}, state, current)
            current = optax.apply_updates(current, updates)
            held = part.held(state, "w", weight.shape)
            slots = {slot: np.asarray(value).astype(weight.dtype) for slot, value in held.items()}
            steps.append({"weight": np.asarray(current["w"]), **slots})
        return steps


Run = Callable[[Optimizer, Array, list[Array]], list[Tensors]]
FRAMEWORKS: dict[str, Run] = {"torch": by_torch, "jax": by_jax}

LIMIT = 8
"""How many sigmas of rounding error the frameworks may be away."""


def assert_same(found: list[Tensors], expected: list[Any]) -> None:
    """Every element of every step within rounding of what was computed in tracked arithmetic, and no slot missing."""
    assert len(found) == len(expected)
    for step, (theirs, ours) in enumerate(zip(found, expected, strict=True)):
        assert theirs.keys() == ours.keys(), f"step {step}"
        for name, value in theirs.items():
            right = ours[name]
            assert np.shape(value) == right.shape, f"step {step}, {name}"
            apart = np.abs(value - right.value) / np.where(right.sigma > 0, right.sigma, np.finfo(float).tiny)
            assert np.all(apart <= LIMIT), f"step {step}, {name}: {np.max(apart)} sigma apart"


# ------------------------------------------------------------------------------------------------ against frameworks


def runs_with() -> Iterator[Any]:
    """Every option in every framework that has it, in both dtypes; in JAX, which compiles slowly, in one of them."""
    for framework, refused in REFUSED_BY.items():
        for place, (name, optimizer) in enumerate(OPTIONS.items()):
            dtypes = ["float64", "float32"]
            if framework == "jax" and optimizer.kind == "adafactor":
                dtypes = ["float32"]  # optax has its decay in float32
            elif framework == "jax" and "-" in name:
                dtypes = [dtypes[place % 2]]
            for dtype in dtypes if name not in refused else []:
                yield pytest.param(framework, optimizer, dtype, id=f"{name}-{framework}-{dtype}")


@pytest.mark.parametrize(("framework", "optimizer", "dtype"), [*runs_with()])
def test_weights_and_slots_of_every_step_are_the_frameworks(framework: str, optimizer: Optimizer, dtype: str) -> None:
    weight, gradients = draw(dtype)
    found = FRAMEWORKS[framework](optimizer, weight, gradients)
    assert_same(found, in_tracked(optimizer, weight, gradients))


@every_dtype
@pytest.mark.parametrize("shape", [(6,), (2, 3, 4)], ids=["vector", "three axes"])
@pytest.mark.parametrize("name", ["adafactor", "adafactor-options", "adafactor-optax", "adafactor-optax-options"])
def test_adafactor_of_other_shapes_is_the_frameworks(name: str, shape: tuple[int, ...], dtype: str) -> None:
    generator = np.random.Generator(np.random.PCG64(5))
    weight, *gradients = (generator.standard_normal(shape).astype(dtype) for _ in range(1 + len(RATES)))
    framework = "jax" if "optax" in name else "torch"
    if framework == "jax" and (dtype == "float64" or len(shape) > 2):
        return
    found = FRAMEWORKS[framework](OPTIONS[name], weight, gradients)
    assert_same(found, in_tracked(OPTIONS[name], weight, gradients))


@pytest.mark.parametrize("shape", [(3, 5), (5, 3), (4, 4)], ids=["wide", "tall", "square"])
def test_rows_and_columns_are_found_whatever_the_layout(shape: tuple[int, int]) -> None:
    generator = np.random.Generator(np.random.PCG64(6))
    weight, *gradients = (generator.standard_normal(shape).astype("float32") for _ in range(1 + len(RATES)))
    for name, run in (("adafactor", partial(by_torch, transposed=True)), ("adafactor-optax", by_jax)):
        assert_same(run(OPTIONS[name], weight, gradients), in_tracked(OPTIONS[name], weight, gradients))


@pytest.mark.parametrize("shape", [(3, 5), (5, 3)], ids=["wide", "tall"])
@pytest.mark.parametrize("nesterov", [True, False])
def test_muon_is_torchs_but_for_bfloat16(nesterov: bool, shape: tuple[int, int]) -> None:
    """A weight (inputs, outputs) is the transpose of torch's, and so are the scales by shape."""
    generator = np.random.Generator(np.random.PCG64(7))
    weight, *gradients = (generator.standard_normal(shape) for _ in range(4))
    muon = cc.Muon((0.1, 0.1, 0.05), nesterov=nesterov, bias_correction=not nesterov, weight_decay=0.125, epsilon=1e-7)
    for theirs, ours in zip(
        by_torch(muon, weight, gradients, transposed=True), by_hand(muon, weight, gradients), strict=True
    ):
        np.testing.assert_allclose(theirs["first_moment"], ours["first_moment"], rtol=1e-12)
        np.testing.assert_allclose(theirs["weight"], ours["weight"], atol=0.01)


@every_dtype
@pytest.mark.parametrize("optimizer", OPTIONS.values(), ids=OPTIONS)
def test_the_rounding_error_stays_small_where_gradients_are_tiny(optimizer: Optimizer, dtype: str) -> None:
    """No sigma explodes at a root near 0 or in a division by next to nothing."""
    if optimizer.kind == "muon":
        return  # fifteen matrix products one after the other
    weight, gradients = draw(dtype)
    for step in in_tracked(optimizer, weight, gradients):
        updated: Any = step["weight"]
        for place in ((0, 0), (0, 1), (0, 2)):
            assert updated.sigma[place] <= 1000 * updated.unit * max(1, abs(updated.value[place]))


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", OPTIONS)
def test_what_a_framework_cannot_express_it_says(framework: str, name: str) -> None:
    pytest.importorskip(framework)
    if framework == "jax":
        pytest.importorskip("optax")
    from crosscheck.adapters import load_adapter

    assert load_adapter(framework).unsupported(line(OPTIONS[name])) == REFUSED_BY[framework].get(name, "")


def line(optimizer: Optimizer, dtype: str = "float32", steps: int = len(RATES)) -> cc.Case:
    return cc.Case(
        name="line",
        nodes=(cc.Node("y", cc.Dense(1, 1)),),
        loss=cc.MeanSquaredError(),
        optimizer=optimizer,
        weights={"y.weight": [[2.0]], "y.bias": [0.0]},
        batches=(cc.Batch([[1.0], [3.0]], [[2.0], [6.0]]),),
        steps=steps,
        dtype=dtype,
        frozen=("y.bias",),
    )


def test_what_optax_has_in_float32_alone_it_says() -> None:
    pytest.importorskip("optax")
    from crosscheck.adapters import load_adapter

    reason = "optax.adafactor computes its decay in float32, whatever the dtype"
    assert load_adapter("jax").unsupported(line(OPTIONS["adafactor-optax"], "float64")) == reason


def test_muon_updates_matrices_alone() -> None:
    with pytest.raises(cc.CaseError) as caught:
        replace(line(OPTIONS["muon"]), frozen=())
    expected = "a matrix, or a place among the frozen: muon updates nothing else"
    assert str(caught.value) == f"weights.y.bias: expected {expected}; received shape (1,)"


@pytest.mark.parametrize("scale", [1.0, 1e-4], ids=["", "small gradients"])
@pytest.mark.parametrize("optimizer", OPTIONS.values(), ids=OPTIONS)
def test_weights_of_every_step_are_those_of_the_formula(optimizer: Optimizer, scale: float) -> None:
    weight, gradients = draw("float64")
    gradients = [scale * gradient for gradient in gradients]
    found = [step["weight"] for step in by_hand(optimizer, weight, gradients)]
    expected = [*FORMULAS[optimizer.kind](optimizer, weight, gradients, RATES)]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    "optimizer",
    [
        *(cc.Rprop((0.5,) * 7, smallest=0.125, largest=0.25, applies=applies) for applies in ("this", "last")),
        *(cc.Adafactor((0.75,) * 7, rate=rate) for rate in ("capped", "plain")),
    ],
    ids=["rprop", "rprop late", "adafactor", "adafactor plain"],
)
def test_bounds_hold_from_the_first_step_on(optimizer: Optimizer) -> None:
    weight, gradients = draw("float64")
    found = [step["weight"] for step in by_hand(optimizer, weight, gradients)]
    expected = [*FORMULAS[optimizer.kind](optimizer, weight, gradients, optimizer.learning_rates(7))]
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("rate", [0.25, (0.25, 0.5)])
def test_rprop_starts_with_its_first_rate(rate: float | tuple[float, ...]) -> None:
    np.testing.assert_array_equal(cc.Rprop(rate).slots(np.zeros(3))["step_size"], 0.25)


def test_the_sign_of_0_is_0() -> None:
    found = sign(np.array([-2.0, -0.0, 0.0, 0.5]))
    assert found.tolist() == [-1, 0, 0, 1]
    assert not np.signbit(found[1])


# --------------------------------------------------------------------------------------- what the optimizers promise


@pytest.mark.parametrize("optimizer", OPTIONS.values(), ids=OPTIONS)
def test_a_rate_of_zero_leaves_the_weight_as_it_was(optimizer: Optimizer) -> None:
    if optimizer.kind == "rprop":
        return  # whose step sizes are its own
    weight, gradients = draw("float64")
    updated, _ = optimizer.update(weight, gradients[1], optimizer.slots(weight), 0.0)
    np.testing.assert_array_equal(updated, weight)


@pytest.mark.parametrize("optimizer", OPTIONS.values(), ids=OPTIONS)
def test_an_optimizer_treats_every_element_alike(optimizer: Optimizer) -> None:
    """A weight in another shape, or cut in pieces, has the same updates; but for those that look at all of it."""
    weight, gradients = draw("float64")
    if optimizer.kind in ("lamb", "adafactor", "muon"):
        return
    whole = by_hand(optimizer, weight, gradients)
    column = by_hand(optimizer, weight[:, 2], [gradient[:, 2] for gradient in gradients])
    for both, part in zip(whole, column, strict=True):
        np.testing.assert_array_equal(both["weight"][:, 2], part["weight"])


ARITHMETICS: dict[str, Callable[[Array], Any]] = {
    "ordinary": lambda array: array,
    "tracked": tracked("float64").lift,
    "bfloat16": BFloat16.lift,
    "poison": Poison.lift,
    "balls": balls().lift,
}


@pytest.mark.parametrize("lift", ARITHMETICS.values(), ids=ARITHMETICS)
@pytest.mark.parametrize("optimizer", OPTIONS.values(), ids=OPTIONS)
def test_some_rows_at_a_time_make_the_same_weight(
    optimizer: Optimizer, lift: Callable[[Array], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    weight, gradients = draw("float32" if lift == BFloat16.lift else "float64")
    at_once = by_hand(optimizer, lift(weight), [*map(lift, gradients)])
    monkeypatch.setattr(base, "PIECE", 10)
    in_pieces = by_hand(optimizer, lift(weight), [*map(lift, gradients)])
    for expected, found in zip(at_once, in_pieces, strict=True):
        assert [*found] == [*expected]
        for name, array in found.items():
            assert type(array) is type(expected[name])
            np.testing.assert_array_equal(values(array), values(expected[name]))


def values(array: Any) -> Array:
    """What an array of any arithmetic holds, without the error that it carries beside it."""
    held: Array = array.value if isinstance(array, Tracked | BFloat16) else raw(array)
    return held.astype(str) if held.dtype == object else held


@pytest.mark.parametrize(("size", "rows"), [(2, [1] * 5), (3, [1] * 5), (8, [2, 2, 1]), (14, [4, 1]), (15, [5])])
def test_a_piece_is_of_whole_rows(size: int, rows: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "PIECE", size)
    seen: list[tuple[int, ...]] = []

    @base.elementwise
    def update(self: object, weight: Array, dweight: Array, slots: dict[str, Array], learning_rate: float) -> Any:
        seen.extend([weight.shape, dweight.shape, slots["like"].shape, slots["step"].shape])
        return weight - learning_rate * dweight, {"step": slots["step"] + 1, "like": slots["like"] + dweight}

    weight, dweight = draw("float64")[0].T, draw("float64")[1][0].T
    made, new = update(None, weight, dweight, {"step": np.zeros(()), "like": weight}, 0.5)
    assert seen == [shape for count in rows for shape in (*[(count, 3)] * 3, ())]
    assert [*new] == ["step", "like"]
    assert new["step"] == 1
    np.testing.assert_array_equal(made, weight - 0.5 * dweight)
    np.testing.assert_array_equal(new["like"], weight + dweight)


@every_dtype
@pytest.mark.parametrize("optimizer", OPTIONS.values(), ids=OPTIONS)
def test_ordinary_arrays_keep_their_dtype_and_are_right(optimizer: Optimizer, dtype: str) -> None:
    weight, gradients = draw(dtype)
    found = by_hand(optimizer, weight, gradients)
    assert {str(array.dtype) for step in found for array in step.values()} == {dtype}
    assert_same(found, in_tracked(optimizer, weight, gradients))


USED: dict[str, tuple[Callable[..., object], dict[str, object], list[dict[str, object]], list[dict[str, object]]]] = {
    "'coupled' without weight decay": (cc.Adam, {"decay": "decoupled"}, [{"weight_decay": 5e-324}], [{}]),
    "'coupled' without momentum": (
        partial(cc.SGD, weight_decay=0.1),
        {"decay": "decoupled"},
        [{"momentum": 5e-324}],
        [{}],
    ),
    "0 without momentum": (cc.SGD, {"dampening": 5e-324}, [{"momentum": 5e-324}], [{}]),
    "false without momentum or with dampening": (
        cc.SGD,
        {"nesterov": True},
        [{"momentum": 5e-324}],
        [{}, {"momentum": 0.5, "dampening": 5e-324}],
    ),
    "'outside' without an epsilon": (cc.RMSprop, {"epsilon_in": "root"}, [{"epsilon": 5e-324}], [{"epsilon": 0.0}]),
    "'outside' without momentum": (cc.RMSprop, {"rate_in": "velocity"}, [{"momentum": 5e-324}], [{}]),
    "false with a rho of 0": (cc.RMSprop, {"centred": True}, [{"rho": 5e-324}], [{"rho": 0.0}]),
    "True with no moving average": (
        cc.Adam,
        {"bias_correction": False},
        [{"beta1": 0.0}, {"beta2": 0.0}, {"beta1": 0.0, "beta2": 5e-324}],
        [{"beta1": 0.0, "beta2": 0.0}],
    ),
    "'outside' or 'root' where no bias is corrected": (
        cc.Adam,
        {"epsilon_in": "uncorrected"},
        [{"beta2": 5e-324}],
        [{"bias_correction": False}, {"beta2": 0.0}],
    ),
    "'raw' where no bias is corrected": (
        cc.AMSGrad,
        {"maximum_of": "corrected"},
        [{"beta2": 5e-324}],
        [{"bias_correction": False}, {"beta2": 0.0}],
    ),
    "'maximum' without an epsilon": (cc.Adamax, {"epsilon_in": "outside"}, [{"epsilon": 5e-324}], [{"epsilon": 0.0}]),
    "'warming' without momentum": (
        cc.NAdam,
        {"momentum_schedule": "constant"},
        [{"beta1": 5e-324}],
        [{"beta1": 0.0}],
    ),
    "'outside' without an epsilon or a bias": (
        cc.RAdam,
        {"epsilon_in": "uncorrected"},
        [{"epsilon": 5e-324, "beta2": 5e-324}],
        [{"epsilon": 0.0}, {"beta2": 0.0}],
    ),
    "True without momentum": (cc.Muon, {"nesterov": False}, [{"momentum": 5e-324}], [{"momentum": 0.0}]),
    "True without Nesterov's momentum": (
        cc.Muon,
        {"bias_correction": False},
        [{"momentum": 5e-324}],
        [{"momentum": 0.0}, {"nesterov": False}],
    ),
}


@pytest.mark.parametrize("expected", USED)
def test_a_convention_without_effect_keeps_its_default(expected: str) -> None:
    make, other, with_effect, without = USED[expected]
    for options in with_effect:
        make(0.1, **other, **options)
    for options in without:
        with pytest.raises(cc.CaseError) as caught:
            make(0.1, **other, **options)
        ((field, value),) = other.items()
        assert str(caught.value) == f"{field}: expected {expected}; received {value!r}"
        make(0.1, **options)


@pytest.mark.parametrize(
    ("make", "field", "other"), [(cc.Adam, "epsilon_in", "root"), (cc.Adagrad, "epsilon_in", "root")]
)
def test_an_epsilon_that_is_none_stands_nowhere(make: Callable[..., object], field: str, other: str) -> None:
    make(0.1, epsilon=5e-324, **{field: other})
    with pytest.raises(cc.CaseError, match=f"{field}: expected 'outside' without an epsilon; received '{other}'"):
        make(0.1, epsilon=0.0, **{field: other})


def test_gradient_descent_is_the_articles_line() -> None:
    updated, slots = cc.SGD(0.01).update(np.array([10.0, -2.0]), np.array([14.0, 3.0]), {}, 0.01)
    np.testing.assert_array_equal(updated, np.array([10.0, -2.0]) - 0.01 * np.array([14.0, 3.0]))
    assert slots == {}


def test_the_first_velocity_is_the_gradient_undampened() -> None:
    sgd = cc.SGD(0.5, momentum=0.5, dampening=0.25)
    weight, slots = sgd.update(np.array([1.0]), np.array([2.0]), {}, 0.5)
    assert (weight.tolist(), slots["velocity"].tolist()) == ([0.0], [2.0])
    weight, slots = sgd.update(weight, np.array([4.0]), slots, 0.5)
    assert (weight.tolist(), slots["velocity"].tolist()) == ([-2.0], [0.5 * 2 + 0.75 * 4])


def test_a_changed_rate_acts_at_once_on_the_whole_velocity() -> None:
    sgd = cc.SGD((1.0, 0.0), momentum=0.5)
    weight, slots = sgd.update(np.array([1.0]), np.array([2.0]), {}, 1.0)
    again, _ = sgd.update(weight, np.array([2.0]), slots, 0.0)
    assert again.tolist() == weight.tolist()


def test_nesterov_looks_one_step_ahead() -> None:
    weight, slots = cc.SGD(1.0, momentum=0.5, nesterov=True).update(np.array([0.0]), np.array([2.0]), {}, 1.0)
    assert (weight.tolist(), slots["velocity"].tolist()) == ([-3.0], [2.0])


def test_the_first_step_of_adam_is_the_rate_whatever_the_gradient() -> None:
    adam = cc.Adam(0.5, epsilon=0.0)
    gradients = np.array([1e-9, -3.0, 1e9])
    weight, slots = adam.update(np.zeros(3), gradients, adam.slots(np.zeros(3)), 0.5)
    np.testing.assert_allclose(weight, [-0.5, 0.5, -0.5], rtol=1e-12)
    assert slots["step"] == 1
    assert slots["step"].shape == ()


def test_the_epsilon_of_adam_stands_outside_the_root() -> None:
    """At a gradient of 1e-9 the three places where it is found differ by far more than rounding."""
    adam = cc.Adam(1.0, epsilon=1e-8)
    weight, _ = adam.update(np.zeros(1), np.array([1e-9]), adam.slots(np.zeros(1)), 1.0)
    np.testing.assert_allclose(weight, -1e-9 / (1e-9 + 1e-8), rtol=1e-12)


@pytest.mark.parametrize("shape", [(3, 5), (2, 3, 4), (6,)], ids=["matrix", "three axes", "vector"])
def test_adafactor_remembers_nothing_at_the_start(shape: tuple[int, ...]) -> None:
    slots = cc.Adafactor(0.1).slots(np.ones(shape))
    *before, rows, columns = (1, *shape)[-max(2, len(shape)) :]
    factored = {"row_variance": (*before, rows, 1), "column_variance": (*before, 1, columns)}
    expected = {"step": (), **({"variance": shape} if len(shape) == 1 else factored)}
    assert {name: slot.shape for name, slot in slots.items()} == expected
    assert not any(slot.any() for slot in slots.values())


@pytest.mark.parametrize("size", [0.25, 1.0, 4.0])
def test_lamb_takes_plain_steps_where_a_norm_is_0(size: float) -> None:
    lamb = cc.Lamb(0.5, epsilon=1.0)
    weight, gradient = size * np.array([0.6, 0.8]), size * np.array([-0.8, 0.6])
    u = gradient / (np.abs(gradient) + 1)
    moved, _ = lamb.update(np.zeros(2), gradient, lamb.slots(weight), 0.5)
    np.testing.assert_allclose(moved, -0.5 * u, rtol=1e-14)
    moved, _ = lamb.update(weight, np.zeros(2), lamb.slots(weight), 0.5)
    np.testing.assert_array_equal(moved, weight)
    assert lamb.ratio(weight, np.zeros(2)) == 1
    moved, _ = lamb.update(weight, gradient, lamb.slots(weight), 0.5)
    np.testing.assert_allclose(moved, weight - 0.5 * size * u / np.linalg.norm(u), rtol=1e-14)


def test_radam_knows_the_spread_above_the_threshold_alone() -> None:
    step = np.float64(8)
    shrunk = 0.75**step
    rho = float(7 - 2 * step * shrunk / (1 - shrunk))
    assert 4 < rho < 7
    assert not cc.RAdam(0.1, beta2=0.75, threshold=rho).rectification(step)[0]
    known, r = cc.RAdam(0.1, beta2=0.75, threshold=float(np.nextafter(rho, 0))).rectification(step)
    assert known
    np.testing.assert_allclose(r, np.sqrt((rho - 4) * (rho - 2) * 7 / (3 * 5 * rho)), rtol=1e-14)
    for never in (cc.RAdam(0.1, beta2=0.5), cc.RAdam(0.1, beta2=0.6, threshold=4.0)):  # 4 is the most it can become
        assert [float(value) for value in never.rectification(step)] == [0, 1]


def test_without_a_decay_no_velocity_depends_on_the_weight() -> None:
    """Not even on one that overflowed: 0 times infinity is no number."""
    _, slots = cc.SGD(0.5, momentum=0.5).update(np.array([inf, -inf]), np.array([2.0, 3.0]), {}, 0.5)
    assert slots["velocity"].tolist() == [2, 3]


def test_an_element_without_gradient_does_not_move() -> None:
    weight, gradients = draw("float64")
    for optimizer in (cc.SGD(RATES, momentum=0.9), cc.Adam(RATES)):
        for step in by_hand(optimizer, weight, gradients):
            assert step["weight"][0, 0] == weight[0, 0]


# ------------------------------------------------------------------------------------------------------------ refusals

nan, inf = float("nan"), float("inf")
REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "negative rate": (lambda: cc.SGD(-0.1), "learning_rate: expected a number of at least 0; received -0.1"),
    "rate is nan": (lambda: cc.SGD(nan), "learning_rate: expected a number of at least 0; received nan"),
    "rate is infinite": (lambda: cc.Adam(inf), "learning_rate: expected a number of at least 0; received inf"),
    "one of the rates": (
        lambda: cc.Adam((0.1, -0.2)),
        "learning_rate: expected a number of at least 0; received -0.2",
    ),
    "momentum 1": (lambda: cc.SGD(0.1, momentum=1.0), "momentum: expected a number in [0, 1); received 1.0"),
    "momentum < 0": (lambda: cc.SGD(0.1, momentum=-0.5), "momentum: expected a number in [0, 1); received -0.5"),
    "dampening 1": (
        lambda: cc.SGD(0.1, momentum=0.5, dampening=1.0),
        "dampening: expected a number in [0, 1); received 1.0",
    ),
    "dampening < 0": (
        lambda: cc.SGD(0.1, momentum=0.5, dampening=-1.0),
        "dampening: expected a number in [0, 1); received -1.0",
    ),
    "sgd decay < 0": (
        lambda: cc.SGD(0.1, weight_decay=-0.1),
        "weight_decay: expected a number of at least 0; received -0.1",
    ),
    "dampening alone": (
        lambda: cc.SGD(0.1, dampening=0.5),
        "dampening: expected 0 without momentum; received 0.5",
    ),
    "nesterov alone": (
        lambda: cc.SGD(0.1, nesterov=True),
        "nesterov: expected false without momentum or with dampening; received True",
    ),
    "nesterov dampened": (
        lambda: cc.SGD(0.1, momentum=0.5, dampening=0.5, nesterov=True),
        "nesterov: expected false without momentum or with dampening; received True",
    ),
    "beta1 1": (lambda: cc.Adam(0.1, beta1=1.0), "beta1: expected a number in [0, 1); received 1.0"),
    "beta1 < 0": (lambda: cc.Adam(0.1, beta1=-0.1), "beta1: expected a number in [0, 1); received -0.1"),
    "beta2 1": (lambda: cc.Adam(0.1, beta2=1.0), "beta2: expected a number in [0, 1); received 1.0"),
    "beta2 < 0": (lambda: cc.Adam(0.1, beta2=-0.1), "beta2: expected a number in [0, 1); received -0.1"),
    "sgd decay infinite": (
        lambda: cc.SGD(0.1, weight_decay=inf),
        "weight_decay: expected a number of at least 0; received inf",
    ),
    "adam decay infinite": (
        lambda: cc.Adam(0.1, weight_decay=inf),
        "weight_decay: expected a number of at least 0; received inf",
    ),
    "beta2 nan": (lambda: cc.Adam(0.1, beta2=nan), "beta2: expected a number in [0, 1); received nan"),
    "epsilon < 0": (lambda: cc.Adam(0.1, epsilon=-1e-8), "epsilon: expected a number of at least 0; received -1e-08"),
    "epsilon infinite": (lambda: cc.Adam(0.1, epsilon=inf), "epsilon: expected a number of at least 0; received inf"),
    "rho 1": (lambda: cc.RMSprop(0.1, rho=1.0), "rho: expected a number in [0, 1); received 1.0"),
    "rho 1 of adadelta": (lambda: cc.Adadelta(0.1, rho=1.0), "rho: expected a number in [0, 1); received 1.0"),
    "adadelta without epsilon": (
        lambda: cc.Adadelta(0.1, epsilon=0.0),
        "epsilon: expected a number above 0; received 0.0",
    ),
    "centred without memory": (
        lambda: cc.RMSprop(0.1, rho=0.0, centred=True),
        "centred: expected false with a rho of 0; received True",
    ),
    "accumulator < 0": (
        lambda: cc.Adagrad(0.1, initial_accumulator=-1.0),
        "initial_accumulator: expected a number of at least 0; received -1.0",
    ),
    "momentum decay < 0": (
        lambda: cc.NAdam(0.1, momentum_decay=-1.0),
        "momentum_decay: expected a number of at least 0; received -1.0",
    ),
    "threshold 3": (lambda: cc.RAdam(0.1, threshold=3.0), "threshold: expected a number of at least 4; received 3.0"),
    "lamb decay < 0": (
        lambda: cc.Lamb(0.1, weight_decay=-0.1),
        "weight_decay: expected a number of at least 0; received -0.1",
    ),
    "lion beta 1": (lambda: cc.Lion(0.1, beta2=1.0), "beta2: expected a number in [0, 1); received 1.0"),
    "shrink 1": (lambda: cc.Rprop(0.1, shrink=1.0), "shrink: expected a number in (0, 1); received 1.0"),
    "grow 1": (lambda: cc.Rprop(0.1, grow=1.0), "grow: expected a number above 1; received 1.0"),
    "bounds exchanged": (
        lambda: cc.Rprop(0.1, smallest=2.0, largest=1.0),
        "largest: expected a number of at least smallest; received 1.0",
    ),
    "clip < 1": (lambda: cc.Adafactor(0.1, clip=0.5), "clip: expected a number of at least 1; received 0.5"),
    "adafactor without epsilon": (
        lambda: cc.Adafactor(0.1, epsilon=0.0),
        "epsilon: expected a number above 0; received 0.0",
    ),
    "no iteration": (
        lambda: cc.Muon(0.1, iterations=0),
        "iterations: expected a whole number of at least 1; received 0",
    ),
    "adam decay < 0": (
        lambda: cc.Adam(0.1, weight_decay=-0.1),
        "weight_decay: expected a number of at least 0; received -0.1",
    ),
}


TINY, BELOW_1 = 5e-324, 1 - 2.0**-53
AT_LEAST_0 = ((0.0, 1e300), (-TINY, inf, nan))
UNDER_1 = ((0.0, BELOW_1), (-TINY, 1.0, nan))
ABOVE_0 = ((TINY, 1e300), (0.0, inf, nan))
RANGES: dict[tuple[Callable[..., object], str], tuple[tuple[float, ...], tuple[float, ...]]] = {
    **{(kind, "learning_rate"): AT_LEAST_0 for kind in cc.OPTIMIZERS.values()},
    **{(kind, "weight_decay"): AT_LEAST_0 for kind in (cc.SGD, cc.Adam, cc.Lamb, cc.Adafactor, cc.Muon)},
    (cc.SGD, "momentum"): UNDER_1,
    (partial(cc.SGD, momentum=0.5), "dampening"): UNDER_1,
    (cc.Adagrad, "epsilon"): AT_LEAST_0,
    (cc.Adagrad, "initial_accumulator"): AT_LEAST_0,
    (cc.RMSprop, "rho"): UNDER_1,
    (cc.RMSprop, "momentum"): UNDER_1,
    (cc.RMSprop, "epsilon"): AT_LEAST_0,
    (cc.RMSprop, "initial_accumulator"): AT_LEAST_0,
    (cc.Adadelta, "rho"): UNDER_1,
    (cc.Adadelta, "epsilon"): ABOVE_0,
    **{(kind, beta): UNDER_1 for kind in (cc.Adam, cc.Lamb, cc.Lion) for beta in ("beta1", "beta2")},
    **{(kind, "epsilon"): AT_LEAST_0 for kind in (cc.Adam, cc.Lamb)},
    (cc.NAdam, "momentum_decay"): AT_LEAST_0,
    (cc.RAdam, "threshold"): ((4.0, 1e300), (4 - 2.0**-51, inf, nan)),
    (cc.Rprop, "shrink"): ((TINY, BELOW_1), (0.0, 1.0, nan)),
    (cc.Rprop, "grow"): ((1 + 2.0**-52, 1e300), (1.0, inf, nan)),
    (cc.Rprop, "smallest"): ((0.0, 50.0), (-TINY, nan)),
    (partial(cc.Rprop, smallest=0.5), "largest"): ((0.5, 1e300), (0.5 - 2.0**-54, inf, nan)),
    **{(cc.Adafactor, name): AT_LEAST_0 for name in ("decay_rate", "smallest_scale")},
    (cc.Adafactor, "epsilon"): ABOVE_0,
    (cc.Adafactor, "clip"): ((1.0, 1e300), (BELOW_1, inf, nan)),
    (cc.Muon, "momentum"): ((TINY, BELOW_1), (-TINY, 1.0, nan)),
    (cc.Muon, "epsilon"): AT_LEAST_0,
    (cc.Muon, "iterations"): ((1, 2), (0, -1)),
}


@pytest.mark.parametrize(("make", "field"), RANGES)
def test_a_range_is_what_it_says(make: Callable[..., Any], field: str) -> None:
    inside, outside = RANGES[make, field]
    for value in inside:
        assert getattr(make(**{"learning_rate": 0.1, field: value}), field) == value
    for value in outside:
        with pytest.raises(cc.CaseError) as caught:
            make(**{"learning_rate": 0.1, field: value})
        assert (caught.value.key, caught.value.received) == (field, repr(value))


@pytest.mark.parametrize(("refused", "message"), REFUSED.values(), ids=REFUSED)
def test_a_hyperparameter_out_of_range_is_refused(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(cc.CaseError) as caught:
        refused()
    assert str(caught.value) == message


# ------------------------------------------------------------------------------------------------- the suite, checked


def require_covered(optimizers: Iterable[type[Optimizer]]) -> None:
    """Complain of every optimizer, and of every option of one, that is nowhere in use here."""
    for optimizer in optimizers:
        tried = [vars(option) for option in OPTIONS.values() if type(option) is optimizer]
        assert tried, f"{optimizer.kind} is not tried"
        for field in tried[0]:
            values = {option[field] for option in tried}
            assert field == "learning_rate" or len(values) > 1, f"{field} is not tried"
            assert values >= set(convention_fields(optimizer).get(field, ())), f"{field} is not tried in every way"


def test_every_optimizer_and_every_option_is_tried() -> None:
    require_covered(cc.OPTIMIZERS.values())


def test_an_optimizer_without_a_trial_is_complained_of() -> None:
    class Invented(cc.SGD):
        kind = "invented"

    with pytest.raises(AssertionError, match="invented is not tried"):
        require_covered([*cc.OPTIMIZERS.values(), Invented])


class DampensTheFirstStep(cc.SGD):
    """As MLX does."""

    def slots(self, weight: Array) -> dict[str, Array]:
        return {"velocity": np.zeros_like(weight)}


class EpsilonUnderTheRoot(cc.Adam):
    """Epsilon added to the second moment before its root is taken."""

    def update(self, weight: Array, dweight: Array, slots: Any, learning_rate: float) -> Any:
        _, new = super().update(weight, dweight, slots, learning_rate)
        m = new["first_moment"] / (1 - self.beta1 ** new["step"])
        v = new["second_moment"] / (1 - self.beta2 ** new["step"])
        return weight - learning_rate * m / np.sqrt(v + self.epsilon), new


@pytest.mark.parametrize(
    "wrong",
    [DampensTheFirstStep(RATES, momentum=0.9, dampening=0.25), EpsilonUnderTheRoot(RATES)],
    ids=["dampens the first step", "epsilon under the root"],
)
def test_a_wrong_update_is_caught(wrong: Optimizer) -> None:
    weight, gradients = draw("float32")
    found = by_torch(wrong, weight, gradients)
    with pytest.raises(AssertionError, match="apart"):
        assert_same(found, in_tracked(wrong, weight, gradients))
