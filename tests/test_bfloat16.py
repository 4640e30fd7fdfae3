"""bfloat16, which NumPy lacks: cast once, held as float32, run by the reference and the adapters, told in reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import crosscheck as cc
import ml_dtypes
import numpy as np
import pytest
from crosscheck import reference
from crosscheck.arithmetic.tracked import tracked
from crosscheck.cases.random import random_case
from crosscheck.cli.options import Dtype
from crosscheck.comparison.compare import Found
from crosscheck.comparison.running import run
from crosscheck.comparison.tolerance import Computed, Expected
from crosscheck.comparison.trials import Bench
from crosscheck.faults import faults_of
from crosscheck.reference.dtypes import DTYPES, is_bfloat16, spacing, to_bfloat16
from crosscheck.rendering.as_json import document

SUBJECTS = ("torch", "jax")


def test_the_command_line_knows_every_dtype() -> None:
    assert {dtype.value for dtype in Dtype} == set(DTYPES)


# ------------------------------------------------------------------------------------------------------------- the cast


def test_a_tie_that_is_none_is_rounded_once() -> None:
    """A little beside the middle of two numbers: by way of float32 it would be the middle, a tie."""
    generator = np.random.Generator(np.random.PCG64(0))
    middles = 1 + (2 * generator.integers(64, size=50) + 1) * 2.0**-8
    for scale in (1.0, -1.0, 0.25, -0.25):
        for sign in (1, -1):
            found = to_bfloat16(scale * (middles + sign * 2.0**-40)).astype(float)
            np.testing.assert_array_equal(found, scale * (middles + sign * 2.0**-8))
    large = np.array([2**61 + 2**53 - 1, 2**61 + 2**53, 2**61 + 2**53 + 1])
    np.testing.assert_array_equal(to_bfloat16(large).astype(float), [2**61, 2**61, 2**61 + 2**54])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_tie_goes_to_the_even_number(dtype: type) -> None:
    middles = 1 + (2 * np.arange(64) + 1) * 2.0**-8
    even = middles + np.where(np.arange(64) % 2, 1, -1) * 2.0**-8
    np.testing.assert_array_equal(to_bfloat16(middles.astype(dtype)), even.astype(np.float32))


@pytest.mark.parametrize("dtype", [np.float64, np.longdouble, np.int64])
def test_the_nearest_number_is_found(dtype: type) -> None:
    generator = np.random.Generator(np.random.PCG64(1))
    values = (generator.standard_normal(200) * 2.0 ** generator.integers(0, 40, 200)).astype(dtype)
    for value, found in zip(values, to_bfloat16(values), strict=True):
        number = ml_dtypes.bfloat16(found)
        assert float(number) == float(found)
        others = [float(np.nextafter(number, ml_dtypes.bfloat16(way))) for way in (-np.inf, np.inf)]
        exact = Fraction(*value.as_integer_ratio()) if dtype is not np.int64 else Fraction(int(value))
        assert all(abs(Fraction(float(found)) - exact) <= abs(Fraction(other) - exact) for other in others)


def test_what_is_beyond_the_range() -> None:
    values = np.array([3.4e38, 1e39, -1e300, 1e-300, np.inf, np.nan, -0.0])
    with np.errstate(all="ignore"):
        expected = values.astype(ml_dtypes.bfloat16).astype(np.float32)
    np.testing.assert_array_equal(to_bfloat16(values), expected)


def test_the_type_of_other_packages_is_known_by_its_name() -> None:
    assert is_bfloat16(np.zeros(2, ml_dtypes.bfloat16))
    assert not is_bfloat16(np.zeros(2, "V2"))
    assert not is_bfloat16(np.zeros(2, np.float32))


def test_spacing_is_that_of_the_numbers() -> None:
    values = np.array([0.75, 1.0, 3.0, 2.0**-130, 300.0])
    expected = np.spacing(values.astype(ml_dtypes.bfloat16)).astype(np.float64)
    np.testing.assert_array_equal(spacing(values, "bfloat16").astype(np.float64), expected)


# ---------------------------------------------------------------------------------------------------- a case, and a run


def test_a_case_holds_what_bfloat16_can() -> None:
    case = cc.load_case("article", dtype="bfloat16")
    for array in (*case.weights.values(), case.batch(0).inputs, case.batch(0).targets):
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, to_bfloat16(array))
    wide = cc.load_case("article")
    assert any((array != wide.weights[name]).any() for name, array in case.weights.items())


def test_a_case_takes_the_arrays_of_other_packages() -> None:
    case = cc.load_case("article", dtype="bfloat16")
    weights = {name: array.astype(ml_dtypes.bfloat16) for name, array in case.weights.items()}
    assert all(map(is_bfloat16, weights.values()))
    same = replace(case, weights=weights)
    assert all((same.weights[name] == case.weights[name]).all() for name in weights)


def test_a_number_too_large_is_refused() -> None:
    case = cc.load_case("article")
    with pytest.raises(cc.CaseError, match=r"finite numbers of bfloat16; received 3.4e\+38 at \[1\]"):
        replace(case, weights={**case.weights, "j.bias": [0.0, 3.4e38, 0.0]}, dtype="bfloat16")


def test_the_reference_rounds_every_tensor() -> None:
    case = cc.load_case("mlp", dtype="bfloat16")
    trace = cc.record(case)
    assert {trace.dtype_of(name) for name in trace} == {"bfloat16"}
    for name in trace:
        np.testing.assert_array_equal(trace[name], to_bfloat16(trace[name]))
    assert trace.dtype_of("0/data/target") == "int64"
    with pytest.raises(cc.CaseError, match=r"crosscheck\.record"):
        reference.run(case)


# ----------------------------------------------------------------------------------------------------------- comparison


@pytest.mark.parametrize("name", ["article-batch", "mlp", "residual", "convolutional"])
@pytest.mark.parametrize("adapter", SUBJECTS)
def test_frameworks_agree(adapter: str, name: str, agreement_of: Callable[..., cc.SubjectAgreement]) -> None:
    found = agreement_of(name, adapter, "bfloat16")
    assert found.verdict == "agree", found.first_divergence
    assert {tensor.dtype for tensor in found.tensors} == {"bfloat16"}
    assert all(tensor.local == "agree" for tensor in found.tensors)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_random_networks_agree(dtype: str, adapter_of: Callable[[str], cc.adapters.Adapter]) -> None:
    adapter_of("torch")
    for seed in range(4):  # of Adam, which in float16 were once refused for an epsilon of 0
        found = cc.check(random_case(seed, kind="adam", dtype=dtype), ["torch"]).subjects["torch"]
        assert found.verdict == "agree", (seed, found.first_divergence)


def test_adam_with_its_usual_rates_has_a_bound() -> None:
    """``1 - 0.999`` is nothing in eight digits: what is divided by it would pass whatever it is."""
    case = replace(cc.load_case("mlp", dtype="bfloat16"), optimizer=cc.Adam(0.125))
    trace = cc.record(case)
    assert all(np.isfinite(trace[name]).all() for name in trace)
    found: dict[str, Expected] = {}
    assert Computed().local(case, {name: trace[name] for name in trace}, found.__setitem__)
    assert [name for name, expected in found.items() if not np.isfinite(expected.sigma).all()] == []


def test_a_tensor_that_has_no_bound_is_left_open() -> None:
    expected = Expected(np.array([1.0, 2.0]), np.array([np.inf, np.inf]))
    assert Found.of(expected, np.array([5.0, np.nan]), 8.0, "float64").outcome == "kink"
    half = Expected(expected.value, np.array([np.inf, 1e-9]))
    assert Found.of(half, np.array([5.0, 2.0]), 8.0, "float64").outcome == "agree"
    assert Found.of(half, np.array([5.0, 2.5]), 8.0, "float64").outcome == "disagree"


def subject_of(case: cc.Case) -> cc.Trace:
    """A run that is right, to be changed."""
    return run(case, source="mine")


def test_what_was_made_in_float32_is_refused() -> None:
    case = cc.load_case("article", dtype="bfloat16")
    subject = subject_of(case)
    del subject.dtypes["0/forward/k"]
    agreement = cc.compare(cc.record(case), subject)
    (tensor,) = (one for one in agreement.subjects["mine"].tensors if one.verdict != "agree")
    assert (tensor.name, tensor.failed, tensor.received) == ("0/forward/k", "dtype", "float32")
    assert agreement.subjects["mine"].diagnosis[0].cause == "made in float32, not in bfloat16"


def test_arrays_of_other_packages_are_kept_as_float32() -> None:
    trace = cc.Trace()
    trace.keep("0/forward/y", np.ones(2, ml_dtypes.bfloat16))
    assert (trace["0/forward/y"].dtype, trace.dtype_of("0/forward/y")) == (np.float32, "bfloat16")


def test_reports_count_in_numbers_of_bfloat16() -> None:
    case = cc.load_case("article", dtype="bfloat16")
    other = subject_of(case)
    other.tensors["0/forward/k"] = other["0/forward/k"] + 3 * spacing(other["0/forward/k"], "bfloat16")
    agreement = cc.compare(subject_of(case), other)
    (subject,) = agreement.subjects.values()
    (tensor,) = (one for one in subject.tensors if one.name == "0/forward/k")
    assert tensor.max_ulp == pytest.approx(3, abs=1.5)
    report = document(agreement)
    assert report["dtype"] == "bfloat16"
    (told,) = report["subjects"].values()
    assert {one["dtype"] for one in told["tensors"]} == {"bfloat16"}


def test_it_shows_in_the_terminal_and_in_a_folder(tmp_path: Path) -> None:
    case = cc.load_case("article", dtype="bfloat16")
    agreement = cc.compare(cc.record(case), subject_of(case))
    assert "bfloat16" in agreement.table()
    assert "bfloat16" in (agreement.write(tmp_path) / "agreement.md").read_text()


def test_faults_are_found_and_named() -> None:
    bench = Bench(cc.load_case("article-batch", dtype="bfloat16"))
    names = ("diagonal_jacobian", "ascent", "bias_gradient_of_the_last_row", "updated_too_early")
    for name in names:
        fault = next(one for one in faults_of(bench.case) if one.name == name)
        trial = bench.plant(fault)
        assert trial.detected, trial
        assert trial.localised, trial
        assert trial.named, trial


# -------------------------------------------------------------------------------- denominators that rounding may make 0


def test_a_quotient_has_no_bound_where_its_denominator_may_be_zero() -> None:
    cls = tracked("float16")
    small = cls.lift(np.array([2.0**-13, 2.0**-13, 1.0])) * cls.lift(np.array([3 * 2.0**-13, 1.0, 3.0]))
    assert np.isinf((cls.lift(np.ones(3)) / small).sigma).tolist() == [True, False, False]


def test_infinite_updates_of_float16_agree(adapter_of: Callable[[str], cc.adapters.Adapter]) -> None:
    """Adam's usual epsilon is 0 in float16, and so is the root of a small second moment."""
    adapter_of("torch")
    case = replace(cc.load_case("mlp", dtype="float16").with_steps(1), optimizer=cc.Adam(0.0625))
    found = cc.check(case, ["torch"]).subjects["torch"]
    assert found.verdict == "agree", found.first_divergence
    subject = cc.record(case, "torch")
    assert not all(np.isfinite(subject[name]).all() for name in subject)
