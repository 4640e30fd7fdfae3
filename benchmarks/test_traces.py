"""Two trace files that are larger than what a comparison of them may take of memory, beside `cp` of the same files.

    python -m pytest benchmarks/test_traces.py -s --trace-mib 2048

These are measurements: a missed target is printed, it fails nothing. Copying and comparing take turns, so that what
else the machine does meanwhile falls on both alike, and medians are compared. What is copied lies in the page cache,
and so does what is compared; `--basetemp=/dev/shm/traces` keeps the disk out of what is written, too. Comparing takes
two and a half times the CPU time of copying, most of it SHA-256, on all cores.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import crosscheck as cc
import numpy as np
import pytest

ROUNDS = 5
TENSORS = 16
SPEED = 0.6
MEMORY_MIB = 1024

COMPARE = """
import json, re, resource, sys, time
from pathlib import Path
from crosscheck.comparison.traces import compare_files
began = time.perf_counter()
(found,) = compare_files(*sys.argv[1:]).subjects.values()
seconds = time.perf_counter() - began
status = Path("/proc/self/status")  # on Linux ru_maxrss counts the process that this one was forked from, too
peak = int(re.search(r"VmHWM:\\s*(\\d+)", status.read_text())[1]) if status.exists() else (
    resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
)
print(json.dumps({"seconds": seconds, "peak": peak, "agree": found.count("agree"), "verdict": found.verdict}))
"""


@pytest.fixture(scope="module")
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Path]]:
    """Normal float32 values, and the same with two or so rounding errors of noise, as two traces."""
    folder = tmp_path_factory.mktemp("traces")
    elements = request.config.getoption("--trace-mib") * 2**20 // 4 // TENSORS
    generator = np.random.default_rng(0)
    first = generator.standard_normal(elements, dtype=np.float32)
    second = first * (1 + np.float32(2**-22) * generator.standard_normal(elements, dtype=np.float32))
    assert np.mean(first != second) > 0.5
    case = cc.load_case("article", dtype="float32")
    for name, array in (("a", first), ("b", second)):
        tensors = {f"0/gradient/{number}.weight": array for number in range(TENSORS)}
        cc.save_trace(cc.Trace(name, case, {}, tensors), folder / f"{name}.trace")
    yield folder / "a.trace", folder / "b.trace"
    shutil.rmtree(folder)


def test_speed_and_memory(
    pair: tuple[Path, Path],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    total = sum(path.stat().st_size for path in pair)
    copying, comparing, peaks = [], [], []
    for _ in range(ROUNDS + 1):
        began = time.perf_counter()
        subprocess.run(["cp", *pair, tmp_path], check=True)
        copying.append(time.perf_counter() - began)
        for path in pair:
            (tmp_path / path.name).unlink()
        done = subprocess.run([sys.executable, "-c", COMPARE, *pair], check=True, capture_output=True, text=True)
        found = json.loads(done.stdout)
        assert (found["verdict"], found["agree"]) == ("agree", TENSORS)
        comparing.append(found["seconds"])
        peaks.append(found["peak"] / 1024)
    copied, compared = (total / statistics.median(seconds[1:]) / 1e9 for seconds in (copying, comparing))
    ratio, peak = compared / copied, max(peaks)
    record_property("speed beside cp", round(ratio, 2))
    record_property("peak memory, MiB", round(peak))
    with capsys.disabled():
        print(f"\n\nMedians of {ROUNDS} rounds, two files of {total / 2 / 2**20:.0f} MiB:")
        print(f"  cp {copied:.2f} GB/s, compare {compared:.2f} GB/s, hashes verified")
        print(f"  {ratio:.0%} of the speed of copying; target {SPEED:.0%}: {'reached' if ratio >= SPEED else 'missed'}")
        print(f"  {peak:.0f} MiB at most; target {MEMORY_MIB}: {'reached' if peak < MEMORY_MIB else 'missed'}")
