"""Two arrays of 50 million float32, unequal in most elements, compared beside NumPy's and torch's own checks.

    python -m pytest benchmarks/test_compare_large.py -s

These are measurements: a missed target is printed, it fails nothing. `test_ratios` interleaves the four, so that what
else the machine does meanwhile falls on all alike, and compares medians; the other tests make pytest-benchmark's table.
"""

import statistics
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from crosscheck.comparison import figures
from crosscheck.comparison.figures import largest_difference, measure
from pytest_benchmark.fixture import BenchmarkFixture

ELEMENTS = 50_000_000
ROUNDS = 7
RTOL, ATOL = 1e-5, 1e-6
SIGMA = 1e-6

# (ours, theirs): how many times faster ours is to be
TARGETS = {
    ("measure", "assert_allclose"): 5,
    ("measure", "assert_close"): 5,
    ("largest_difference", "assert_allclose"): 8,
    ("largest_difference", "assert_close"): 15,
}
NAMES = ("measure", "largest_difference", "assert_allclose", "assert_close")
Comparison = Callable[[], object]


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    """Normal values, and the same with two or so rounding errors of noise."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal(ELEMENTS, dtype=np.float32)
    second = first * (1 + np.float32(2**-22) * rng.standard_normal(ELEMENTS, dtype=np.float32))
    assert np.mean(first != second) > 0.5
    return first, second


def comparison(name: str, first: np.ndarray, second: np.ndarray) -> Comparison:
    """One comparison as a call without arguments, on as many threads as `measure` uses."""
    if name == "measure":
        return lambda: measure(first, second, SIGMA)
    if name == "largest_difference":
        return lambda: largest_difference(first, second, 8 * SIGMA)
    if name == "assert_allclose":
        return lambda: np.testing.assert_allclose(second, first, rtol=RTOL, atol=ATOL)
    torch = pytest.importorskip("torch")
    torch.set_num_threads(min(figures._cores(), figures.MOST_WORKERS))
    x, y = torch.from_numpy(first), torch.from_numpy(second)
    return lambda: torch.testing.assert_close(y, x, rtol=RTOL, atol=ATOL)


@pytest.mark.benchmark(group="50 million float32, all agree")
@pytest.mark.parametrize("name", NAMES)
def test_all_agree(name: str, arrays: tuple[np.ndarray, np.ndarray], benchmark: BenchmarkFixture) -> None:
    benchmark.pedantic(comparison(name, *arrays), rounds=3, warmup_rounds=1)


@pytest.mark.benchmark(group="50 million float32, one does not agree")
@pytest.mark.parametrize("name", NAMES)
def test_one_disagrees(name: str, arrays: tuple[np.ndarray, np.ndarray], benchmark: BenchmarkFixture) -> None:
    first, second = arrays
    where = 31_415_926
    kept = second[where]
    second[where] = first[where] + 1
    try:
        compare = comparison(name, first, second)
        if name.startswith("assert"):

            def fails() -> None:
                with pytest.raises(AssertionError):
                    compare()

            benchmark.pedantic(fails, rounds=3, warmup_rounds=1)
        else:
            benchmark.pedantic(compare, rounds=3, warmup_rounds=1)
            found = measure(first, second, SIGMA)
            assert (found.agrees, found.mismatched, found.worst_index) == (False, 1, (where,))
            assert not largest_difference(first, second, 8 * SIGMA)[0]
    finally:
        second[where] = kept


def test_ratios(
    arrays: tuple[np.ndarray, np.ndarray],
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    comparisons = {name: comparison(name, *arrays) for name in NAMES}
    seconds: dict[str, list[float]] = {name: [] for name in NAMES}
    for compare in comparisons.values():
        compare()
    for _ in range(ROUNDS):
        for name, compare in comparisons.items():
            began = time.perf_counter()
            compare()
            seconds[name].append(time.perf_counter() - began)
    median = {name: statistics.median(times) for name, times in seconds.items()}
    with capsys.disabled():
        print(f"\n\nMedians of {ROUNDS} interleaved rounds, {figures._cores()} cores:")
        for name in NAMES:
            print(f"  {name:<20}{1e3 * median[name]:8.1f} ms   fastest {1e3 * min(seconds[name]):8.1f} ms")
        for (ours, theirs), target in TARGETS.items():
            ratio = median[theirs] / median[ours]
            record_property(f"{theirs} / {ours}", round(ratio, 1))
            verdict = "reached" if ratio >= target else "missed"
            print(f"  {ours} is {ratio:.1f} times faster than {theirs}; target {target}x: {verdict}")


@pytest.mark.parametrize("name", ["measure", "largest_difference"])
def test_extra_memory(
    name: str,
    arrays: tuple[np.ndarray, np.ndarray],
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    compare = comparison(name, *arrays)
    tracemalloc.start()
    try:
        compare()
        peak = tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
    record_property(f"{name}: peak extra memory, MB", round(peak, 1))
    with capsys.disabled():
        print(f"\n  {name}: {peak:.1f} MB beside the arrays; target 64 MB: {'reached' if peak < 64 else 'missed'}")
