"""What rounding leaves open: overflow on the way, underflow, NaN under a mask, terms that a long sum loses.

Each was once a false alarm. With every one stands a mistake at the same place that is found.
"""

from __future__ import annotations

from collections.abc import Callable

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.arithmetic.base import Plain
from crosscheck.arithmetic.tracked import tracked
from crosscheck.comparison.compare import Comparison
from crosscheck.comparison.coverage import Coverage, Watched
from crosscheck.comparison.running import run
from crosscheck.comparison.tolerance import Computed, Expected, expectation

HALF, OPEN = tracked("float16"), tracked("float16", spread=True)


def copy_of(case: cc.Case, **changed: Plain) -> cc.Trace:
    """The reference's run as a subject's, with some tensors changed (dots and slashes as they are)."""
    trace = run(case)
    return cc.Trace("subject", case, {"version": "1"}, {**trace.tensors, **changed}, dict(trace.dtypes))


def verdicts(case: cc.Case, subject: cc.Trace) -> dict[str, str]:
    found = cc.compare(run(case), subject).subjects["subject"]
    return {tensor.name: tensor.verdict for tensor in found.tensors}


def one_dense(dtype: str, optimizer: cc.Optimizer, x: float = 1.0, steps: int = 1) -> cc.Case:
    """``y = x w`` of two weights, whose gradients are about ``x``, with a loss that is a sum."""
    return cc.Case(
        name="one-dense",
        nodes=(cc.Node("y", cc.Dense(1, 2, bias=False)),),
        loss=cc.MeanSquaredError("sum"),
        optimizer=optimizer,
        weights={"y.weight": [[0.5, -0.25]]},
        batches=(cc.Batch([[x]], [[1.0, 0.5]]),) * steps,
        dtype=dtype,
    )


# ------------------------------------------------------------------------------------------------------------- overflow


def angles(dtype: str) -> cc.Case:
    """The cosine of two rows, of which the first is so long that the product of the squared lengths overflows."""
    return cc.Case(
        name="angles",
        nodes=(
            cc.Node("a", cc.Dense(2, 2, bias=False), ("input",)),
            cc.Node("b", cc.Dense(2, 2, bias=False), ("input",)),
        ),
        loss=(cc.Term("loss", cc.CosineEmbedding("none"), ("a", "b")),),
        optimizer=cc.SGD(2.0**-10),
        weights={"a.weight": [[1.0, 0.5], [-0.5, 2.0]], "b.weight": [[0.5, 1.0], [2.0, 0.25]]},
        batches=(cc.Batch([[32.0, 16.0], [0.5, 1.0]], [1, 1]),),
        dtype=dtype,
    )


def test_what_follows_an_overflow_is_open_and_nothing_else_is() -> None:
    """float16 has a cosine of 0, whose denominator is infinite; what keeps the square wider has the right one."""
    case = angles("float16")
    right = run(case)["0/forward/loss"]
    assert right[0] == 1
    found = verdicts(case, copy_of(case))
    kinks = {name for name, verdict in found.items() if verdict != "agree"}
    assert kinks == {"0/forward/loss", "0/backward/a", "0/backward/b"}
    assert {found[name] for name in kinks} == {"kink"}
    wrong = right * np.array([1, 1.02], "float16")
    assert verdicts(case, copy_of(case, **{"0/forward/loss": wrong}))["0/forward/loss"] == "disagree"


def test_in_a_wider_dtype_the_same_is_decided() -> None:
    case = angles("float32")
    assert set(verdicts(case, copy_of(case)).values()) == {"agree"}
    wrong = run(case)["0/forward/loss"] * np.array([1.001, 1], "float32")
    assert verdicts(case, copy_of(case, **{"0/forward/loss": wrong}))["0/forward/loss"] == "disagree"


def gate(dtype: str) -> cc.Case:
    """Sigmoids of -12, -10 and 2, the first of which is 6e-6."""
    return cc.Case(
        name="gate",
        nodes=(cc.Node("a", cc.Dense(1, 3, bias=False)), cc.Node("b", cc.Sigmoid())),
        loss=cc.MeanSquaredError("sum"),
        optimizer=cc.SGD(2.0**-10),
        weights={"a.weight": [[-12.0, -10.0, 2.0]]},
        batches=(cc.Batch([[1.0]], [[0.5, 0.5, 0.5]]),),
        dtype=dtype,
    )


@pytest.mark.parametrize(
    ("dtype", "element", "made", "verdict"),
    [
        ("float16", 0, 0.0, "kink"),  # 1 / (1 + exp(12)), where exp(12) is infinite
        ("float16", 0, 1e-4, "disagree"),
        ("float16", 1, 0.0, "disagree"),  # exp(10) is a number
        ("float16", 2, 0.875, "disagree"),
        ("float32", 0, 0.0, "disagree"),
    ],
)
def test_what_divides_by_an_exponential_may_be_0_where_that_overflows(
    dtype: str, element: int, made: float, verdict: str
) -> None:
    case = gate(dtype)
    y = np.array(run(case)["0/forward/b"])
    y[0, element] = made
    assert verdicts(case, copy_of(case, **{"0/forward/b": y}))["0/forward/b"] == verdict


def test_an_operand_that_may_have_overflowed_makes_what_may_be_anything() -> None:
    large = OPEN.lift(np.array([300.0, 200.0])) * 250  # 75000, which float16 has not, and 50000
    for made in (
        1 / large,
        large + large,
        np.exp(-large),
        np.where(large > 1, large, 0),
        np.maximum(large, 1),
        large * 0,
    ):
        assert np.isinf(made.sigma[0])
        assert np.isfinite(made.value[0])
    assert np.isfinite((1 / large).sigma[1])
    assert np.isfinite((1 / (HALF.lift(np.array([300.0])) * 250)).sigma).all()


@pytest.mark.parametrize("terms", [[60000.0, 50000.0, -60000.0], [60000.0, -50000.0, 100.0]])
def test_a_sum_may_overflow_on_the_way(terms: list[float]) -> None:
    x = OPEN.lift(np.array([terms, [1.0, 2.0, 3.0]]))
    ones = OPEN.lift(np.ones((3, 2)))
    assert np.isinf(x.sum(axis=1).sigma).tolist() == [True, False]
    assert np.isinf((x @ ones).sigma).tolist() == [[True, True], [False, False]]
    assert np.isfinite(HALF.lift(x.value).sum(axis=1).sigma).all()


def test_what_is_kept_is_infinite_or_not_and_open_only_at_the_largest_number() -> None:
    made = OPEN.pair(np.array([65000.0, 65515.0, 66000.0, -65515.0]), np.full(4, 4.0))
    expected = expectation(made, "float16")
    assert np.isinf(expected.sigma).tolist() == [False, True, False, True]
    assert np.isinf(expected.value).tolist() == [False, False, True, False]


def test_an_infinity_that_was_given_is_none_that_rounding_made() -> None:
    """Its pattern is still required: of no infinity, and of none of the other sign."""
    given = OPEN.lift(np.array([np.inf, -np.inf, np.nan]))
    for made in (given * 3, given + 1, given * OPEN.pair(np.full(3, 2.0), np.full(3, 1e-6))):
        np.testing.assert_array_equal(made.value, given.value)
        assert not made.sigma.any()
    doubtful = given * OPEN.pair(np.zeros(3), np.full(3, 1e-6))
    assert np.isinf(doubtful.sigma).all()


# ------------------------------------------------------------------------------------------------ NaN, and what is near


def diverged(loss: cc.Loss, epsilon: float = 0.0) -> cc.Case:
    """The first row of its output is infinity less infinity."""
    return cc.Case(
        name="diverged",
        nodes=(cc.Node("x", cc.Dense(1, 2, bias=False)), cc.Node("y", cc.Dense(2, 2, bias=False))),
        loss=loss,
        optimizer=cc.SGD(0.5),
        weights={"x.weight": [[1e30, 1e30]], "y.weight": [[1.0, 1.0], [-0.5, -2.0]]},
        batches=(cc.Batch([[1e30], [1e-30]], [[1.0, 0.5]] * 2),),
        dtype="float32",
        clip=cc.ClipByGlobalNorm(1.0, epsilon),
    )


def test_a_mask_of_nan_may_hold_or_not() -> None:
    """The sign of an error, or the slope of a relu, where there is no number."""
    case = diverged(cc.MeanAbsoluteError("sum"))
    assert np.isnan(run(case)["0/forward/y"][0]).all()
    right = run(case)["0/backward/y"]
    other, wrong = right.copy(), right.copy()
    other[0], wrong[1] = -1, -right[1]
    assert not np.array_equal(right, other)
    assert verdicts(case, copy_of(case, **{"0/backward/y": other}))["0/backward/y"] == "kink"
    assert verdicts(case, copy_of(case, **{"0/backward/y": wrong}))["0/backward/y"] == "disagree"


def test_of_an_undecided_choice_the_other_may_be_undecided_too() -> None:
    """1 above 0, 0 below, and at 0 again 1: next to 0 it is all of these."""
    x = OPEN.pair(np.array([1e-3, 1.0]), np.array([1e-4, 1e-4]))
    slope = np.where(x > 0, np.ones_like(x), np.where(x < 0, np.zeros_like(x), np.ones_like(x)))
    assert slope.value.tolist() == [1, 1]
    assert slope.sigma.tolist() == [1, 0]


def test_a_gradient_that_is_no_number_makes_all_clipped_ones_none() -> None:
    """So it is in torch and optax: the norm is NaN, and so is what they multiply by."""
    gradients = {"a": np.array([np.nan, 1.0]), "b": np.array([2.0])}
    clipped = cc.ClipByGlobalNorm(1.0).clipped(gradients)
    assert all(np.isnan(one).all() for one in clipped.values())


@pytest.mark.parametrize(("framework", "epsilon"), [("torch", 1e-6), ("jax", 0.0)])
def test_clipping_what_is_no_number_agrees(
    framework: str, epsilon: float, adapter_of: Callable[[str], cc.adapters.Adapter]
) -> None:
    adapter_of(framework)
    case = diverged(cc.MeanSquaredError("sum"), epsilon)
    assert np.isnan(cc.record(case, framework)["0/clipped/y.weight"]).all()
    found = cc.check(case, [framework]).subjects[framework]
    assert {tensor.verdict for tensor in found.tensors if tensor.phase == "clipped"} == {"agree"}


# ------------------------------------------------------------------------------------------------------------ underflow


def test_the_root_of_what_is_below_0_by_no_more_than_rounding_is_that_of_0() -> None:
    """A centred variance: the mean of squares underflows, the square of the mean does not."""
    mean = HALF.lift(np.array([1e-4, 0.25]))
    centred = HALF.lift(np.array([0.0, 0.0])) - mean * mean
    root = np.sqrt(centred)
    assert root.value[0] == 0
    assert 0 < root.sigma[0] < 1e-3
    assert np.isnan(root.value[1])  # that far below it is none
    assert np.isinf(np.sqrt(OPEN.lift(np.zeros(2)) - OPEN.lift(mean.value) * OPEN.lift(mean.value)).sigma[0])


@pytest.mark.parametrize(
    "optimizer",
    [
        cc.RMSprop(0.0625, rho=0.875, epsilon=2.0**-10, centred=True),
        cc.Rprop(0.0625, grow=1.25),
        cc.Adafactor(0.0625, epsilon=2.0**-10),
    ],
    ids=lambda optimizer: optimizer.kind,
)
def test_gradients_whose_squares_underflow_are_no_alarm(
    optimizer: cc.Optimizer, adapter_of: Callable[[str], cc.adapters.Adapter]
) -> None:
    """And a slot of another gradient, large enough, is found if it is wrong."""
    adapter_of("torch")
    case = one_dense("float16", optimizer, x=2.0**-12, steps=3)
    subject = cc.record(case, "torch")
    found = Comparison(run(case), Computed()).of(subject)
    assert {tensor.verdict for tensor in found.tensors} <= {"agree", "kink"}
    case = one_dense("float16", optimizer, x=0.5, steps=3)
    subject = cc.record(case, "torch")
    assert Comparison(run(case), Computed()).of(subject).verdict == "agree"
    name = "2/update/y.weight"
    subject.tensors[name] = subject[name] * np.float16(1.02)
    assert Comparison(run(case), Computed()).of(subject).first_divergence == name


def test_signs_turn_where_the_product_of_two_gradients_is_below_0() -> None:
    """In float16 the product of two small ones is 0, and nothing turns."""
    rprop = cc.Rprop(0.5, grow=2.0)
    slots = {"step_size": np.full(2, 0.5, "float16"), "previous_gradient": np.array([1e-4, 0.5], "float16")}
    _, new = rprop.update(np.zeros(2, "float16"), np.array([-1e-4, -0.5], "float16"), slots, 0.5)
    np.testing.assert_array_equal(new["step_size"], [0.5, 0.25])


def test_half_a_small_gradient_and_the_other_half_have_lost_a_bit() -> None:
    """At a tie of maximum and minimum JAX's celu sends back dy / 2 + dy / 2."""
    dy = np.array([0.00010877847671508789, 0.0078125], "float16")
    halves = dy / np.float16(2) + dy / np.float16(2)
    made = HALF.lift(dy) * HALF.lift(np.ones(2))
    assert halves[0] != dy[0]
    assert (np.abs(halves - made.value) <= 8 * made.sigma).all()
    assert made.sigma[1] == 0


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_subnormal_numbers_may_be_0_to_a_kernel(dtype: str) -> None:
    """To those of bfloat16 in x86 processors, and to XLA on CPU: as operands and as results."""
    cls, normal = tracked(dtype), 2.0**-126
    given, weight = np.array([[0.75, 1.5, -0.5]]) * normal, np.array([[60.0], [3.0], [40.0]])
    made = cls.lift(given) @ cls.lift(weight)
    flushed = np.where(np.abs(given) < normal, 0, given) @ weight
    assert abs(flushed - made.value) > 10 * normal
    assert abs(flushed - made.value) <= 8 * made.sigma
    large = cls.lift(given * 2.0**30) @ cls.lift(weight)
    assert large.sigma < 2 * cls.unit * np.abs(given * 2.0**30) @ np.abs(weight)


# --------------------------------------------------------------------------------------------- what a long sum may lose


def stagnating() -> tuple[Plain, Plain]:
    """Two large terms, and two hundred of one sign that are below the last digit of their sum."""
    x = np.random.Generator(np.random.PCG64(7)).uniform(-184, -120, 220).astype("float32")
    x[[13, 17]] = 2.28e9, 2.36e9
    return x, np.cumsum(x, dtype="float32")[-1]


@pytest.mark.parametrize(
    "added",
    [
        lambda x: x.sum(),
        lambda x: x @ np.ones_like(x),
        lambda x: (x.reshape(1, 1, -1) @ np.ones_like(x, shape=(2, 220, 1)))[1, 0, 0],
        lambda x: np.broadcast_to(x[:, None], (220, 3)).sum(axis=0)[1],
    ],
    ids=["sum", "dot", "stack", "columns"],
)
def test_terms_below_the_last_digit_of_their_sum_may_all_be_lost(added: Callable[[Plain], Plain]) -> None:
    x, one_by_one = stagnating()
    made = added(tracked("float32").lift(x))
    off = abs(one_by_one - made.value) / made.sigma
    assert 0.5 < off < 8  # sigma is not idle
    assert made.sigma < abs(x[x < 0].sum(dtype=float))  # and no more than what can be lost


def test_a_sum_that_loses_nothing_is_as_sharp_as_ever() -> None:
    x = np.random.Generator(np.random.PCG64(7)).standard_normal((220, 3))
    sigma = (tracked("float32").lift(x).T @ np.ones_like(tracked("float32").lift(x))).sigma
    assert (sigma < 4 * 2.0**-24 * np.sqrt(220) * np.abs(np.cumsum(x, axis=0)).max(axis=0)[:, None]).all()


# ------------------------------------------------------------------------------------------------------------- coverage


def test_coverage_counts_what_is_open_once_it_is_open() -> None:
    case = angles("float16")
    baseline, coverage = run(case), Coverage()
    Comparison(baseline, Watched(coverage, baseline.operations)).of(copy_of(case))
    assert coverage.worst < 8
    wrong = run(case)["0/forward/loss"] * np.array([1, 1.02], "float16")
    subject = copy_of(case, **{"0/forward/loss": wrong})
    Comparison(baseline, Watched(coverage, baseline.operations)).of(subject)
    assert coverage.worst > 8


def test_coverage_tells_rounding_and_few_digits_from_what_can_be_refused() -> None:
    seen = Coverage().of("", "float32", "dense")
    for value in (1.0, 1e-5, 3e-8, 0.0):
        seen.add(Expected(np.array([value]), np.array([1e-9])), np.array([value + 2e-9]), "case", 8.0)
    assert (seen.tensors, seen.refused, seen.few_digits, seen.rounding) == (1, 1, 1, 1)
