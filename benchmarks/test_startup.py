"""How long the command line takes to start, as a whole process, beside a bare ``import numpy``.

A command that computes nothing should start in the time that people wait without noticing: at most three times what
NumPy alone takes to import.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

TARGET = 3
CROSSCHECK = str(Path(sysconfig.get_path("scripts")) / "crosscheck")
COMMANDS = {
    "import numpy": [sys.executable, "-c", "import numpy"],
    "crosscheck --help": [CROSSCHECK, "--help"],
    "crosscheck list cases": [CROSSCHECK, "list", "cases"],
}


@pytest.fixture(scope="module")
def medians() -> dict[str, float]:
    """Where each benchmark leaves its median, in seconds."""
    return {}


@pytest.mark.benchmark(group="startup")
@pytest.mark.parametrize("name", COMMANDS)
def test_startup(name: str, benchmark: BenchmarkFixture, medians: dict[str, float]) -> None:
    benchmark.pedantic(
        subprocess.run,
        args=(COMMANDS[name],),
        kwargs={"check": True, "stdout": subprocess.DEVNULL},
        warmup_rounds=2,
        rounds=15,
    )
    if benchmark.stats is not None:
        medians[name] = benchmark.stats.stats.median


def test_the_target_is_met(medians: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    if len(medians) < len(COMMANDS):
        pytest.skip("needs the medians of every benchmark above")
    ratios = {name: median / medians["import numpy"] for name, median in medians.items() if name != "import numpy"}
    with capsys.disabled():
        print()
        for name, ratio in ratios.items():
            print(f"{name}: {ratio:.2f} times import numpy (target: at most {TARGET})")
    assert max(ratios.values()) <= TARGET
