"""Every optimizer in every option: weights and slots after each of four steps, against torch.optim and optax."""

from collections.abc import Callable, Iterable
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.reference import Optimizer
from numpy.typing import NDArray

Array = NDArray[Any]

# How many epsilons of the largest element of a tensor the frameworks may be away.
EPSILONS = 16

RATES = (0.1, 0.1, 0.025, 0.3)
"""The learning rate stays once and changes twice."""

OPTIONS: dict[str, Optimizer] = {
    "sgd": cc.SGD(RATES),
    "sgd-momentum": cc.SGD(RATES, momentum=0.9),
    "sgd-dampening": cc.SGD(RATES, momentum=0.9, dampening=0.25),
    "sgd-nesterov": cc.SGD(RATES, momentum=0.9, nesterov=True),
    "sgd-decay": cc.SGD(RATES, weight_decay=0.125),
    "sgd-momentum-decay": cc.SGD(RATES, momentum=0.5, weight_decay=0.125),
    "sgd-dampening-decay": cc.SGD(RATES, momentum=0.5, dampening=0.75, weight_decay=0.125),
    "sgd-nesterov-decay": cc.SGD(RATES, momentum=0.5, nesterov=True, weight_decay=0.125),
    "adam": cc.Adam(RATES),
    "adam-decay": cc.Adam(RATES, weight_decay=0.125),
    "adam-large-epsilon": cc.Adam(RATES, epsilon=0.1),
    "adam-other-betas": cc.Adam(RATES, beta1=0.5, beta2=0.75),
    "adam-without-memory": cc.Adam(RATES, beta1=0.0, beta2=0.0),
    "adam-everything": cc.Adam(RATES, beta1=0.75, beta2=0.9, epsilon=1e-3, weight_decay=0.25),
}

REFUSED_BY = {
    "torch": {},
    "jax": dict.fromkeys(("sgd-dampening", "sgd-dampening-decay"), "optax.sgd has no dampening"),
}
"""What a framework cannot express, and the reason that its adapter gives."""

every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])
supported = pytest.mark.parametrize(
    ("framework", "optimizer"),
    [
        pytest.param(framework, optimizer, id=f"{name}-{framework}")
        for framework, refused in REFUSED_BY.items()
        for name, optimizer in OPTIONS.items()
        if name not in refused
    ],
)

Step = tuple[Array, dict[str, Array]]


def draw(dtype: str) -> tuple[Array, list[Array]]:
    """A weight and a gradient for each step, with elements that are tiny, always 0, or 0 at one step or another."""
    generator = np.random.Generator(np.random.PCG64(20240302))
    weight = generator.standard_normal((3, 5)).astype(dtype)
    gradients = [generator.standard_normal((3, 5)).astype(dtype) for _ in RATES]
    for step, gradient in enumerate(gradients):
        gradient[0, 0] = 0
        gradient[0, 1] = 1e-9
        gradient[0, 2] = -1e-9 * (step + 1)
        gradient[1, step] = 0
    return weight, gradients


def by_hand(optimizer: Optimizer, weight: Array, gradients: list[Array]) -> list[Step]:
    slots = optimizer.slots(weight)
    steps = []
    for gradient, rate in zip(gradients, optimizer.learning_rates(len(gradients)), strict=True):
        for array in (weight, gradient, *slots.values()):
            if isinstance(array, np.ndarray):  # a number cannot be changed anyway
                array.setflags(write=False)
        weight, slots = optimizer.update(weight, gradient, slots, rate)
        steps.append((weight, dict(slots)))
    return steps


def by_torch(optimizer: Optimizer, weight: Array, gradients: list[Array]) -> list[Step]:
    torch = pytest.importorskip("torch")
    from crosscheck.adapters.torch.parts import OPTIMIZERS

    part = OPTIMIZERS[optimizer.kind]
    parameter = torch.nn.Parameter(torch.tensor(weight))
    theirs = part.build([parameter], optimizer)
    steps = []
    for gradient, rate in zip(gradients, optimizer.learning_rates(len(gradients)), strict=True):
        theirs.param_groups[0]["lr"] = rate
        parameter.grad = torch.tensor(gradient)
        theirs.step()
        state = theirs.state[parameter]
        held = {slot: state.get(key) for slot, key in part.slots.items()}
        slots = {slot: value.numpy().astype(weight.dtype) for slot, value in held.items() if value is not None}
        steps.append((parameter.detach().numpy().copy(), slots))
    return steps


def by_jax(optimizer: Optimizer, weight: Array, gradients: list[Array]) -> list[Step]:
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    from crosscheck.adapters.jax.adapter import enable_x64, states
    from crosscheck.adapters.jax.parts import OPTIMIZERS

    part = OPTIMIZERS[optimizer.kind]
    with enable_x64(weight.dtype == np.float64):
        rates = optimizer.learning_rates(len(gradients))
        theirs = part.build(optimizer, lambda count: jax.numpy.asarray(rates)[count])
        current = jax.numpy.asarray(weight)
        state = theirs.init(current)
        steps = []
        for gradient in gradients:
            updates, state = theirs.update(jax.numpy.asarray(gradient), state, current)
            current = optax.apply_updates(current, updates)
            slots = {
                slot: np.asarray(getattr(held, field)).astype(weight.dtype)
                for slot, (kind, field) in part.slots.items()
                for held in states(state, kind)
            }
            steps.append((np.asarray(current), slots))
        return steps


Run = Callable[[Optimizer, Array, list[Array]], list[Step]]
FRAMEWORKS: dict[str, Run] = {"torch": by_torch, "jax": by_jax}


def assert_near(what: str, found: Array, expected: Array, allowed: float) -> None:
    """Equal shape and dtype, and every element within ``allowed`` of the largest magnitude."""
    assert found.dtype == expected.dtype, what
    assert found.shape == expected.shape, what
    apart = np.max(np.abs(found - expected))
    assert apart <= allowed * np.max(np.abs(expected)), f"{what}: {apart} apart\nby hand:\n{found}\nfor:\n{expected}"


def cancellation(optimizer: Optimizer) -> float:
    """By how many epsilons, times the learning rate, the bias correction of Adam may move a weight.

    ``1 - beta^step`` loses digits: half an epsilon of beta is ``1 / (2 (1 - beta))`` epsilons of the difference, and
    of the second moment the root is taken. torch computes it in float64 whatever the dtype, optax in the dtype.
    """
    return 1 / (4 * (1 - optimizer.beta2)) + 1 / (2 * (1 - optimizer.beta1)) if isinstance(optimizer, cc.Adam) else 0


def assert_same(optimizer: Optimizer, found: list[Step], expected: list[Step]) -> None:
    epsilon = float(np.finfo(found[0][0].dtype).eps)
    moved = 0.0
    for step, ((weight, slots), (their_weight, their_slots)) in enumerate(zip(found, expected, strict=True)):
        assert slots.keys() == their_slots.keys(), f"step {step}"
        for slot, value in slots.items():
            assert_near(f"step {step}, {slot}", value, their_slots[slot], EPSILONS * epsilon)
        moved += RATES[step] * cancellation(optimizer)
        largest = float(np.max(np.abs(their_weight)))
        assert_near(f"step {step}, weight", weight, their_weight, (EPSILONS + moved / largest) * epsilon)


# ------------------------------------------------------------------------------------------------ against frameworks


@supported
@every_dtype
def test_weights_and_slots_of_every_step_are_the_frameworks(framework: str, optimizer: Optimizer, dtype: str) -> None:
    weight, gradients = draw(dtype)
    expected = FRAMEWORKS[framework](optimizer, weight, gradients)
    assert_same(optimizer, by_hand(optimizer, weight, gradients), expected)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", OPTIONS)
def test_what_a_framework_cannot_express_it_says(framework: str, name: str) -> None:
    pytest.importorskip(framework)
    if framework == "jax":
        pytest.importorskip("optax")
    node = cc.Node("y", cc.Dense(1, 1))
    case = cc.Case(
        name="line",
        nodes=(node,),
        loss=cc.MeanSquaredError(),
        optimizer=OPTIONS[name],
        weights={"y.weight": [[2.0]], "y.bias": [0.0]},
        batches=(cc.Batch([[1.0], [3.0]], [[2.0], [6.0]]),),
        steps=len(RATES),
    )
    from crosscheck.adapters import load_adapter

    assert load_adapter(framework).unsupported(case) == REFUSED_BY[framework].get(name, "")


# --------------------------------------------------------------------------------------- what the optimizers promise


@pytest.mark.parametrize("optimizer", OPTIONS.values(), ids=OPTIONS)
def test_a_rate_of_zero_leaves_the_weight_as_it_was(optimizer: Optimizer) -> None:
    weight, gradients = draw("float64")
    updated, _ = optimizer.update(weight, gradients[1], optimizer.slots(weight), 0.0)
    np.testing.assert_array_equal(updated, weight)


@pytest.mark.parametrize("optimizer", OPTIONS.values(), ids=OPTIONS)
def test_an_optimizer_treats_every_element_alike(optimizer: Optimizer) -> None:
    """A weight in another shape, or cut in pieces, has the same updates."""
    weight, gradients = draw("float64")
    whole = by_hand(optimizer, weight, gradients)
    column = by_hand(optimizer, weight[:, 2], [gradient[:, 2] for gradient in gradients])
    for (updated, _), (part, _) in zip(whole, column, strict=True):
        np.testing.assert_array_equal(updated[:, 2], part)


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


def test_an_element_without_gradient_does_not_move() -> None:
    weight, gradients = draw("float64")
    for optimizer in (cc.SGD(RATES, momentum=0.9), cc.Adam(RATES)):
        for updated, _ in by_hand(optimizer, weight, gradients):
            assert updated[0, 0] == weight[0, 0]


def test_what_is_not_said_is_this() -> None:
    assert vars(cc.SGD(0.1)) == {
        "learning_rate": 0.1,
        "momentum": 0.0,
        "dampening": 0.0,
        "nesterov": False,
        "weight_decay": 0.0,
    }
    assert vars(cc.Adam(0.1)) == {
        "learning_rate": 0.1,
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-8,
        "weight_decay": 0.0,
    }


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
    "adam decay < 0": (
        lambda: cc.Adam(0.1, weight_decay=-0.1),
        "weight_decay: expected a number of at least 0; received -0.1",
    ),
}


def test_the_ends_of_the_ranges_are_in_them() -> None:
    assert cc.SGD(0.0, momentum=0.0, dampening=0.0, weight_decay=0.0).learning_rate == 0
    assert cc.SGD((0.0, 1e300), momentum=2.0**-1074, dampening=0.0).momentum > 0
    assert cc.Adam(0.0, beta1=0.0, beta2=0.0, epsilon=0.0, weight_decay=0.0).beta1 == 0


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
            assert field == "learning_rate" or len({option[field] for option in tried}) > 1, f"{field} is not tried"


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
    expected = by_torch(wrong, weight, gradients)
    with pytest.raises(AssertionError, match="apart"):
        assert_same(wrong, by_hand(wrong, weight, gradients), expected)
