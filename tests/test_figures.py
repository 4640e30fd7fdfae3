"""The figures of two arrays: what `measure` and `largest_difference` promise, beside a slow oracle."""

import math
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crosscheck.comparison import figures
from crosscheck.comparison.figures import Figures, largest_difference, measure
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[Any]
FLOATS = [np.float16, np.float32, np.float64]
INTEGERS = [np.bool_, np.int8, np.uint8, np.int16, np.int32, np.uint32, np.int64, np.uint64]
nan, inf = math.nan, math.inf

# The fixture changes constants and nothing that an example could leave behind.
property_test = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of 4 to 8 elements, batches of 3, and threads from 20 elements: lists of 40 straddle them all."""
    monkeypatch.setattr(figures, "PIECE_BYTES", 32)
    monkeypatch.setattr(figures, "BATCH", 3)
    monkeypatch.setattr(figures, "THREADED", 20)
    monkeypatch.setattr(figures, "_cores", lambda: 3)


def assert_same(found: Figures, expected: Figures) -> None:
    np.testing.assert_equal(asdict(found), asdict(expected))


# ------------------------------------------------------------------------------------------------------- the oracle


def exactly(value: Any) -> Fraction:
    return Fraction(float(value) if value.dtype.kind == "f" else int(value))


def rounded(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return inf


def ratio(d: Fraction, scale: float) -> float:
    if d == 0:
        return 0.0
    if math.isnan(scale) or scale <= 0:
        return inf
    return 0.0 if scale == inf else rounded(d / Fraction(scale))


def times(limit: float, sigma: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(limit) * sigma)


def ordinal(value: Any) -> int:
    """The number of a value among the representable ones: 0 for zero, 1 for the next above, -1 for the next below."""
    if value.dtype.kind != "f":
        return int(value)
    magnitude = int.from_bytes(np.abs(value).tobytes(), sys.byteorder)
    return -magnitude if value < 0 else magnitude


def oracle(reference: Array, subject: Array, sigma: Any, limit: float = 8.0) -> Figures:
    """Every figure, one element at a time, in rational numbers rounded where `Figures` says that they are."""
    every_sigma = np.broadcast_to(np.asarray(sigma, np.float64), reference.shape)
    max_abs = max_rel = max_ulp = 0.0
    agreeing = 0
    worst, worst_index = (False, -1.0, 0.0), None
    for index in np.ndindex(reference.shape):
        x, y, s = reference[index], subject[index], float(every_sigma[index])
        if np.isfinite(x) and np.isfinite(y):
            exact = abs(exactly(x) - exactly(y))
            d = rounded(exact)
            if d < inf:
                near = Fraction(d)
                agree = d <= times(limit, s)
            else:  # float64 overflows: half of it does not
                near = 2 * Fraction(rounded(exact / 2))
                agree = rounded(exact / 2) <= times(limit, s / 2)
            key = (False, ratio(near, s) if s >= 0 else inf, d)
            max_abs = max(max_abs, d)
            max_rel = max(max_rel, ratio(near, abs(float(x))))
            max_ulp = max(max_ulp, float(abs(ordinal(x) - ordinal(y))))
        else:
            agree = bool(x == y) or bool(np.isnan(x) and np.isnan(y))
            key = (False, 0.0, 0.0) if agree else (True, inf, inf)
        agreeing += agree
        if key > worst:
            worst, worst_index = key, index
    if reference.dtype in (np.float16, np.float32) and max_rel < 0.5:
        max_rel = float(np.float32(max_rel))
    return Figures(
        elements=reference.size,
        agrees=agreeing == reference.size,
        max_abs=max_abs,
        max_rel=max_rel,
        max_ulp=max_ulp,
        sigmas=max(worst[1], 0.0),
        tolerance=0.0 if worst_index is None else times(limit, float(every_sigma[worst_index])),
        would_pass=worst[2],
        mismatched=reference.size - agreeing,
        nan=(int(np.isnan(reference).sum()), int(np.isnan(subject).sum())),
        inf=(int(np.isinf(reference).sum()), int(np.isinf(subject).sum())),
        worst_index=worst_index,
        reference=nan if worst_index is None else float(reference[worst_index]),
        subject=nan if worst_index is None else float(subject[worst_index]),
    )


@st.composite
def pairs(draw: st.DrawFn, dtype: type[np.floating[Any]]) -> tuple[Array, Array]:
    """Two arrays, mostly a few steps apart, with every kind of unusual element planted among them."""
    kind = np.finfo(dtype)
    special = [0.0, -0.0, 1.0, -1.0, nan, inf, -inf, float(kind.max), float(kind.min)]
    special += [float(kind.smallest_subnormal), -float(kind.smallest_subnormal), float(kind.tiny)]
    value = st.sampled_from(special) | st.floats(width=kind.bits)  # type: ignore[arg-type]
    usual = st.floats(min_value=0.5, max_value=2.0, width=kind.bits)  # type: ignore[arg-type]
    change = st.sampled_from(["same", "up", "down", "up twice", "double", "negate", "zero", "unusual"])
    one = st.tuples(usual, st.sampled_from(["same", "up", "down"])) | st.tuples(value, change)
    first, second = [], []
    with np.errstate(all="ignore"):
        for drawn, how in draw(st.lists(one, max_size=40)):
            x = dtype(drawn)
            up = np.nextafter(x, dtype(inf))
            changed = {"same": x, "up": up, "down": np.nextafter(x, dtype(-inf)), "double": x + x, "negate": -x}
            changed |= {"up twice": np.nextafter(up, dtype(inf)), "zero": dtype(0)}
            first.append(x)
            second.append(dtype(draw(value)) if how == "unusual" else changed[how])
    return np.array(first, dtype), np.array(second, dtype)


def sigmas_for(draw: st.DrawFn, first: Array, second: Array, limit: float) -> Any:
    """One sigma, or one for each: ordinary, extreme, or with limit * sigma at or next to a difference."""
    with np.errstate(all="ignore"):
        edges = np.abs(first.astype(np.float64) - second.astype(np.float64)) / limit
    edges = edges[np.isfinite(edges)]
    edge = st.sampled_from([*edges.tolist(), *np.nextafter(edges, 0).tolist(), *np.nextafter(edges, 9).tolist(), 1.0])
    one = edge | st.sampled_from([1e-7, 1e-3, 1.0, 0.0, 5e-324, 1.7e308, inf])
    if draw(st.booleans()):
        return draw(one)
    each = one | st.sampled_from([nan, -1.0])
    return np.array(draw(st.lists(each, min_size=first.size, max_size=first.size)), np.float64)


# ------------------------------------------------------------------------------------------- equal to the oracle


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("dtype", FLOATS)
@property_test
@given(data=st.data())
def test_every_figure_equals_the_oracles(dtype: type[np.floating[Any]], data: st.DataObject) -> None:
    first, second = data.draw(pairs(dtype))
    limit = data.draw(st.sampled_from([8.0, 1.0, 0.3]))
    sigma = data.draw(st.composite(sigmas_for)(first, second, limit))
    assert_same(measure(first, second, sigma, limit=limit), oracle(first, second, sigma, limit))


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("dtype", INTEGERS)
@property_test
@given(data=st.data())
def test_integers_and_bools_equal_the_oracle(dtype: Any, data: st.DataObject) -> None:
    lowest, highest = (0, 1) if dtype is np.bool_ else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    value = st.integers(lowest, highest) | st.sampled_from([lowest, highest, 0, 1])
    values = data.draw(st.lists(st.tuples(value, value), max_size=20))
    first, second = (np.array([pair[k] for pair in values], dtype) for k in (0, 1))
    sigma = data.draw(st.sampled_from([0.0, 0.125, 1.0, 1e18]))
    assert_same(measure(first, second, sigma), oracle(first, second, sigma))


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("dtype", FLOATS)
@property_test
@given(data=st.data())
def test_largest_difference_gives_the_answers_of_measure(dtype: type[np.floating[Any]], data: st.DataObject) -> None:
    first, second = data.draw(pairs(dtype))
    with np.errstate(all="ignore"):
        edges = np.abs(first.astype(np.float64) - second.astype(np.float64))
    tolerance = data.draw(st.sampled_from([0.0, 1e-3, inf, 1.7e308, *edges[np.isfinite(edges)].tolist()]))
    found = oracle(first, second, tolerance, limit=1.0)
    assert largest_difference(first, second, tolerance) == (found.agrees, found.max_abs)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("dtype", FLOATS)
def test_the_fast_passes_and_the_careful_judge_give_the_same_figures(
    dtype: type[np.floating[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    @property_test
    @given(data=st.data())
    def check(data: st.DataObject) -> None:
        first, second = data.draw(pairs(dtype))
        sigma = data.draw(st.composite(sigmas_for)(first, second, 8.0))
        fast = measure(first, second, sigma)
        with monkeypatch.context() as patch:
            patch.setattr(figures._Measuring, "_take_plain", lambda self, start, x, y, scale: np.arange(x.size))
            assert_same(fast, measure(first, second, sigma))

    check()


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_faulty_fast_pass_would_be_caught(dtype: type[np.floating[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.linspace(1, 2, 30).astype(dtype)
    second = np.nextafter(first, dtype(3))
    assert_same(measure(first, second, 1.0), oracle(first, second, 1.0))
    monkeypatch.setattr(figures, "_largest", lambda values: float(values.max()))  # forgets the negative ones
    with pytest.raises(AssertionError):
        assert_same(measure(first, second, 1.0), oracle(first, second, 1.0))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("each", [False, True], ids=["one sigma", "a sigma each"])
def test_large_arrays_at_the_real_piece_size(dtype: type[np.floating[Any]], each: bool) -> None:
    rng = np.random.default_rng(1)
    first = rng.standard_normal((2048 + 1, 515)).astype(dtype)
    second = (first * (1 + 4 * np.finfo(dtype).eps * rng.standard_normal(first.shape))).astype(dtype)
    second[7, 3], second[2048, 514], first[1000, 1] = 0, -first[2048, 514], -0.0
    sigma: Any = np.abs(first.astype(np.float64)) * np.finfo(dtype).eps + 1e-30 if each else 1e-3
    x, y = first.astype(np.float64), second.astype(np.float64)
    d = np.abs(x - y)
    found = measure(first, second, sigma)
    assert found.max_abs == d.max()
    assert found.mismatched == np.count_nonzero(~(d <= 8 * sigma))
    assert found.sigmas == (d / sigma).max()
    assert found.worst_index == np.unravel_index((d / sigma).argmax(), d.shape)
    planted = ((7, 3), (2048, 514), (1000, 1))
    assert found.max_ulp == float(max(abs(ordinal(first[at]) - ordinal(second[at])) for at in planted))
    assert largest_difference(first, second, found.max_abs) == (True, found.max_abs)
    assert largest_difference(first, second, np.nextafter(found.max_abs, 0)) == (False, found.max_abs)


# ------------------------------------------------------------------------------------- the specification read aloud


def test_nan_agrees_with_nan_and_with_nothing_else() -> None:
    assert measure(np.full(3, nan), np.full(3, nan), 0.0).agrees
    found = measure(np.array([1.0, nan, 3.0]), np.array([1.5, 2.0, nan]), 1e9)
    assert (found.agrees, found.mismatched, found.nan, found.inf) == (False, 2, (1, 1), (0, 0))
    assert (found.worst_index, found.sigmas, found.would_pass) == ((1,), inf, inf)
    assert (found.max_abs, found.subject) == (0.5, 2.0)
    assert math.isnan(found.reference)


def test_an_infinity_agrees_with_itself_and_not_with_its_opposite() -> None:
    ends = np.array([inf, -inf], np.float32)
    assert measure(ends, ends, 0.0).agrees
    found = measure(ends, -ends, inf)
    assert (found.agrees, found.mismatched, found.inf, found.max_abs, found.max_ulp) == (False, 2, (2, 2), 0.0, 0.0)
    assert largest_difference(ends, -ends, inf) == (False, 0.0)


def test_a_pattern_mismatch_is_worse_than_infinitely_many_sigmas() -> None:
    found = measure(np.array([0.0, 1.0]), np.array([1.0, nan]), 0.0)
    assert found.worst_index == (1,)


def test_ulps_are_counted_through_zero_and_both_zeros_are_one() -> None:
    least = np.finfo(np.float32).smallest_subnormal
    assert measure(np.array([0.0, -0.0], np.float32), np.array([-0.0, 0.0], np.float32), 0.0).max_ulp == 0
    assert measure(np.array([least], np.float32), np.array([-least], np.float32), 1.0).max_ulp == 2
    assert measure(np.array([-1.0], np.float32), np.array([1.0], np.float32), 1.0).max_ulp == 2 * 0x3F800000


def test_relative_difference_to_zero_is_infinite_unless_there_is_none() -> None:
    assert measure(np.zeros(2), np.zeros(2), 1.0).max_rel == 0
    assert measure(np.zeros(2), np.array([0.0, 1e-300]), 1.0).max_rel == inf


def test_sigma_zero_asks_for_equality() -> None:
    assert measure(np.ones(3), np.ones(3), 0.0).sigmas == 0
    found = measure(np.ones(3), np.array([1.0, 1.0 + 2**-52, 1.0]), 0.0)
    assert (found.agrees, found.sigmas, found.worst_index, found.tolerance) == (False, inf, (1,), 0.0)


def test_the_limit_itself_agrees_and_would_pass_is_the_tolerance_that_does() -> None:
    first, second = np.array([1.0]), np.array([1.5])
    assert measure(first, second, 0.0625).agrees
    found = measure(first, second, 0.06)
    assert not found.agrees
    assert (found.tolerance, found.would_pass) == (8 * 0.06, 0.5)
    assert largest_difference(first, second, found.would_pass) == (True, 0.5)


@pytest.mark.parametrize(("dtype", "difference"), [(np.float16, 131008.0), (np.float32, 2.0**129 - 2.0**105)])
def test_a_difference_may_exceed_what_the_dtype_holds(dtype: type[np.floating[Any]], difference: float) -> None:
    top = np.array([np.finfo(dtype).max])
    found = measure(top, -top, difference / 8)
    assert (found.agrees, found.max_abs, found.max_rel) == (True, difference, 2.0)
    assert largest_difference(top, -top, difference) == (True, difference)
    assert largest_difference(top, -top, np.nextafter(difference, 0)) == (False, difference)


def test_a_difference_that_float32_would_round_is_exact() -> None:
    first = np.array([1.0], np.float32)
    second = np.nextafter(np.array([0.45], np.float32), np.float32(1))  # 1 - this needs one bit more than float32 has
    exact = 1.0 - float(second[0])
    assert exact != float(first[0] - second[0])
    assert measure(first, second, 1.0).max_abs == exact
    assert largest_difference(first, second, exact) == (True, exact)
    assert largest_difference(first, second, np.nextafter(exact, 0)) == (False, exact)


def test_the_larger_of_two_differences_that_float32_rounds_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    first = np.ones(2, np.float32)
    second = np.array([-(2.0**-26), -(2.0**-25)], np.float32)  # both 1 in float32
    for size in (4, 8):  # bytes of a piece: one element, or both
        monkeypatch.setattr(figures, "PIECE_BYTES", size)
        for x, y in ((first, second), (first, second[::-1].copy())):
            assert largest_difference(x, y, 1.0 + 2.0**-26) == (False, 1.0 + 2.0**-25)


def test_a_difference_may_exceed_what_float64_holds() -> None:
    top = np.array([np.finfo(np.float64).max])
    found = measure(top, -top, top[0])
    assert (found.agrees, found.max_abs, found.max_rel, found.sigmas) == (True, inf, 2.0, 2.0)
    assert not measure(top, -top, top[0], limit=1.9).agrees
    assert not measure(top, -top, top[0], limit=1.0).agrees
    assert largest_difference(top, -top, top[0]) == (False, inf)


def test_where_sigma_is_no_number_only_nan_agrees() -> None:
    top = np.array([np.finfo(np.float64).max])
    assert measure(top, -top, np.array([nan])).sigmas == inf
    found = measure(np.array([1.0, nan]), np.array([1.0, nan]), np.array([nan, nan]))
    assert (found.agrees, found.mismatched, found.worst_index, found.sigmas) == (False, 1, (0,), inf)


def test_longdouble() -> None:
    first = np.array([1.0, 2.0, nan, 0.0], np.longdouble)
    second = first.copy()
    second[1] = np.nextafter(second[1], np.longdouble(3))
    found = measure(first, second, 1e-3)
    assert (found.agrees, found.max_ulp, found.nan, found.worst_index) == (True, 1.0, (1, 1), (1,))
    assert found.max_abs == float(np.spacing(np.longdouble(2)))
    assert largest_difference(first, second, 0.0) == (False, found.max_abs)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0, 2)])
@pytest.mark.parametrize("dtype", [*FLOATS, np.longdouble, np.int32, np.bool_])
def test_empty_arrays_agree_and_have_no_worst_element(shape: tuple[int, ...], dtype: type[np.generic]) -> None:
    empty = np.empty(shape, dtype)
    for sigma in (1.0, np.ones(shape)):
        found = measure(empty, empty, sigma)
        assert (found.elements, found.agrees, found.worst_index, found.max_abs) == (0, True, None, 0.0)
        assert (found.sigmas, found.tolerance, found.would_pass) == (0.0, 0.0, 0.0)
        assert math.isnan(found.reference)
        assert math.isnan(found.subject)
    assert largest_difference(empty, empty, 0.0) == (True, 0.0)


@pytest.mark.parametrize("dtype", [*FLOATS, np.longdouble, np.int64])
def test_zero_dimensional_arrays(dtype: type[np.generic]) -> None:
    found = measure(np.array(3, dtype), np.array(5, dtype), 1.0)
    assert (found.elements, found.worst_index, found.reference, found.subject) == (1, (), 3.0, 5.0)
    assert (found.max_abs, found.sigmas) == (2.0, 2.0)


# ----------------------------------------------------------------------------------------------------- layouts

LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": np.ascontiguousarray,
    "Fortran": np.asfortranarray,
    "every second": lambda a: np.repeat(a, 2, axis=2)[:, :, ::2],
    "every second row": lambda a: np.repeat(a, 2, axis=0)[::2],
    "reversed": lambda a: a[::-1, :, ::-1].copy()[::-1, :, ::-1],
    "axes exchanged": lambda a: a.transpose(1, 2, 0).copy().transpose(2, 0, 1),
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "little-endian": lambda a: a.astype(a.dtype.newbyteorder("<")),
    "big-endian, every second": lambda a: np.repeat(a.astype(a.dtype.newbyteorder(">")), 2, axis=2)[:, :, ::2],
    "unaligned": lambda a: np.frombuffer(b"\0" + a.tobytes(), np.uint8)[1:].view(a.dtype).reshape(a.shape),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("dtype", [*FLOATS, np.longdouble, np.int32])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_changes_nothing(layout: str, dtype: type[np.generic]) -> None:
    rng = np.random.default_rng(2)
    first = (100 * rng.standard_normal((3, 3, 5))).astype(dtype)
    second = (first + (10 * rng.standard_normal(first.shape)).astype(dtype)).astype(dtype)
    sigma = rng.uniform(0.1, 1.0, first.shape)
    second[2, 2, 4] += np.array(90, dtype)  # one worst element, in the last piece
    for scale in (0.7, sigma):
        expected = measure(first, second, scale)
        change = LAYOUTS[layout]
        for x, y in ((change(first), change(second)), (first, change(second)), (change(first), second)):
            assert_same(measure(x, y, scale), expected)
            assert largest_difference(x, y, 1.0) == largest_difference(first, second, 1.0)
        if isinstance(scale, np.ndarray):
            assert_same(measure(first, second, change(scale)), expected)


def test_a_repeated_row_is_as_good_as_copies_of_it() -> None:
    row = np.arange(6.0)
    repeated = np.broadcast_to(row, (4, 6))
    assert_same(measure(repeated, repeated + 1, repeated + 1), measure(repeated.copy(), repeated + 1, repeated + 1))


def test_memory_mapped_arrays(tmp_path: Path) -> None:
    values = np.random.default_rng(3).standard_normal((40, 50)).astype(np.float32)
    np.save(tmp_path / "first.npy", values)
    np.save(tmp_path / "second.npy", np.nextafter(values, np.float32(9)))
    first, second = (np.load(tmp_path / name, mmap_mode="r") for name in ("first.npy", "second.npy"))
    assert_same(measure(first, second, 1e-3), measure(np.array(first), np.array(second), 1e-3))


# ------------------------------------------------------------------------------------------- threads and memory


@pytest.mark.parametrize("cores", [1, 2, 7])
def test_the_number_of_threads_changes_nothing(cores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    first = rng.integers(-3, 4, 5_000).astype(np.float32)  # many ties and many zeros
    second = rng.integers(-3, 4, 5_000).astype(np.float32)
    expected = oracle(first, second, 1.0)
    assert first.size < figures.THREADED
    assert_same(measure(first, second, 1.0), expected)
    monkeypatch.setattr(figures, "PIECE_BYTES", 256)
    monkeypatch.setattr(figures, "THREADED", 0)
    monkeypatch.setattr(figures, "_cores", lambda: cores)
    for _ in range(3):
        assert_same(measure(first, second, 1.0), expected)
        assert largest_difference(first, second, 9.0) == (True, expected.max_abs)


def peak_memory(call: Callable[[], object]) -> float:
    """The most memory that a call held at once, in MB."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def test_memory_is_that_of_a_few_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_cores", lambda: 8)
    first = np.random.default_rng(5).standard_normal(20_000_000, dtype=np.float32)  # 80 MB
    second = np.nextafter(first, np.float32(9))
    assert peak_memory(lambda: measure(first, second, 1.0)) < 40
    assert peak_memory(lambda: largest_difference(first, second, 1.0)) < 20


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.int64])
def test_memory_stays_bounded_when_nothing_is_simple(dtype: type[np.generic], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "_cores", lambda: 8)
    first = (np.arange(4_000_000) % 100 - 50).astype(np.dtype(dtype).newbyteorder(">")).reshape(1000, 4000)[:, ::2]
    second = -first
    sigma = np.zeros((1000, 4000))[:, ::2]
    assert peak_memory(lambda: measure(first, second, sigma)) < 64


# ------------------------------------------------------------------------------------------------------ the last guard


@pytest.mark.parametrize("compare", [measure, largest_difference])
def test_shapes_and_dtypes_are_never_reconciled(compare: Callable[..., object]) -> None:
    with pytest.raises(ValueError, match=r"shapes must be equal: the reference has \(2, 1\), the subject \(2,\)"):
        compare(np.ones((2, 1)), np.ones(2), 1.0)
    with pytest.raises(ValueError, match="dtypes must be equal: the reference has float32, the subject float64"):
        compare(np.ones(2, np.float32), np.ones(2), 1.0)
    with pytest.raises(ValueError, match="received complex128"):
        compare(np.ones(2, complex), np.ones(2, complex), 1.0)
    with pytest.raises(ValueError, match="must be a number >= 0, received nan"):
        compare(np.ones(2), np.ones(2), nan)


def test_sigma_is_never_broadcast() -> None:
    with pytest.raises(ValueError, match=r"shape \(2, 3\), received shape \(3,\)"):
        measure(np.ones((2, 3)), np.ones((2, 3)), np.ones(3))
    with pytest.raises(ValueError, match="must be float64, received float32"):
        measure(np.ones(3), np.ones(3), np.ones(3, np.float32))
    with pytest.raises(ValueError, match="limit must be a number >= 0, received -1"):
        measure(np.ones(3), np.ones(3), 1.0, limit=-1.0)
