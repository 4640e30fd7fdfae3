"""Whole training steps: the reference by hand against PyTorch eager, HIPS autograd and tinygrad, in float32.

    python -m pip install -e '.[bench]'
    export OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 NUM_CPU_THREADS=2
    python -m pytest benchmarks/test_networks.py -s

All have the same two threads, the last of the three settings being tinygrad's; on a machine that does something else
meanwhile give all of them one, for OpenBLAS waits for its second thread by spinning. tinygrad compiles with clang, in
its first run for minutes, and keeps what it made; its step of gpt is slow, and `-k "not (tinygrad and gpt)"` leaves it.

These are measurements: a missed target is printed, it fails nothing. A framework that computes another loss fails.
`test_ratio` takes the two in turn and compares the fastest of each, which what else the machine does disturbs least;
`test_step` makes pytest-benchmark's table, `test_parts` says where the time of the reference and PyTorch goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import crosscheck as cc
import parts
import pytest
from crosscheck.cases import networks
from pytest_benchmark.fixture import BenchmarkFixture

Subjects = dict[str, Callable[[cc.Case], Callable[[], float]]]

ROUNDS = 7
WARMUP = 3
"""Rounds before those that count: tinygrad's first is not compiled as a whole, its second is the compilation."""

NETWORKS: dict[str, Callable[[], cc.Case]] = {
    "gpt": lambda: networks.gpt2(layers=4, vocabulary=16_384, places=128, length=128, batch=4),
    "lenet": lambda: networks.lenet(batch=64),
    "lstm": lambda: networks.character_lstm(hidden=256, length=64, batch=16),
    "resnet": lambda: networks.resnet(depth=8, batch=16),
}
TARGETS: dict[str, dict[str, float]] = {
    "torch": {"gpt": 1.0, "lenet": 2.0, "lstm": 2.0, "resnet": 4.0},
    "autograd": dict.fromkeys(NETWORKS, 1.0),
    "tinygrad": dict.fromkeys(NETWORKS, 1.0),
}
"""How many times as long as each of the others the reference may take."""


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("subject", ["reference", *TARGETS])
def test_step(name: str, subject: str, subjects: Subjects, benchmark: BenchmarkFixture) -> None:
    benchmark.group = f"{name}: a training step"
    benchmark.pedantic(subjects[subject](NETWORKS[name]()), rounds=3, warmup_rounds=WARMUP)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("rival", TARGETS)
def test_ratio(
    name: str,
    rival: str,
    subjects: Subjects,
    record_property: Callable[[str, object], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    case = NETWORKS[name]()
    steps = {subject: subjects[subject](case) for subject in ("reference", rival)}
    wall: dict[str, list[float]] = {subject: [] for subject in steps}
    busy: dict[str, list[float]] = {subject: [] for subject in steps}
    for _ in range(WARMUP):
        losses = {subject: step() for subject, step in steps.items()}
        assert losses[rival] == pytest.approx(losses["reference"], rel=1e-3)
    for _ in range(ROUNDS):
        for subject, step in steps.items():
            began, worked = time.perf_counter(), time.process_time()
            step()
            wall[subject].append(time.perf_counter() - began)
            busy[subject].append(time.process_time() - worked)
    fastest = {subject: min(seconds) for subject, seconds in wall.items()}
    ratio, target = fastest["reference"] / fastest[rival], TARGETS[rival][name]
    record_property(f"{name}: reference / {rival}", round(ratio, 2))
    with capsys.disabled():
        print(f"\n{name} ({case.about}): fastest of {ROUNDS} interleaved rounds:")
        for subject, seconds in fastest.items():
            print(f"  {subject:<12}{1e3 * seconds:9.1f} ms, {1e3 * min(busy[subject]):9.1f} ms of the processor")
        verdict = "reached" if ratio <= target else "missed"
        print(f"  reference / {rival}: {ratio:.2f}, target at most {target:g}: {verdict}")


def test_parts(subjects: Subjects, capsys: pytest.CaptureFixture[str]) -> None:
    case = NETWORKS["gpt"]()
    steps = {"reference": parts.of_reference(case), "torch": parts.of_torch(subjects["torch"](case))}
    rounds = {subject: [step() for _ in range(ROUNDS)] for subject, step in steps.items()}
    fastest = {
        subject: {part: min(seconds[part] for seconds in rounds[subject]) for part in [*parts.PARTS, "all"]}
        for subject in steps
    }
    for seconds in fastest.values():
        seconds["rest"] = seconds["all"] - sum(seconds[part] for part in parts.PARTS)
    with capsys.disabled():
        print(f"\n{'ms':<18}{'reference':>10}{'torch':>10}")
        for part in [*parts.PARTS, "rest", "all"]:
            print(f"{part:<18}" + "".join(f"{1e3 * fastest[subject][part]:>10.0f}" for subject in steps))
