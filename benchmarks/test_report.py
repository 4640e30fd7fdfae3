"""How long the report of a large case takes to make: 500 tensors, of which none or every one fails.

With what fails come its worst elements, and drawings of the first few. The target is two seconds of the processor;
importing Matplotlib, once in a process, is not in them.
"""

from __future__ import annotations

import time
from dataclasses import replace

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.comparison.agreement import Arrays
from crosscheck.rendering.report import to_html
from pytest_benchmark.fixture import BenchmarkFixture

TENSORS = 500
SHAPE = (64, 48)
TARGET = 2.0


def agreement(*, fails: bool) -> cc.Agreement:
    """The article against another run of it, with many times as many tensors."""
    trace = cc.record("article")
    found = cc.compare(trace, cc.Trace("copy", trace.case, {}, {**trace.tensors}))
    subject = found.subjects["copy"]
    rng = np.random.default_rng(1)
    reference = rng.normal(size=SHAPE)
    arrays = Arrays(reference, reference + 1e-12 * rng.normal(size=SHAPE), np.full(SHAPE, 1e-14))
    names = [f"0/gradient/layer{number}.weight" for number in range(TENSORS)]
    one = replace(subject.tensors[0], shape=SHAPE)
    if fails:
        one = replace(one, verdict="disagree", failed="values")
    tensors = tuple(replace(one, name=name) for name in names)
    large = replace(subject, tensors=tensors, arrays=dict.fromkeys(names, arrays) if fails else {})
    if fails:
        large = replace(large, verdict="disagree", first_divergence=names[0])
    return replace(found, subjects={"copy": large})


@pytest.mark.benchmark(group="report", timer=time.process_time)
@pytest.mark.parametrize("fails", [False, True], ids=["agreeing", "failing"])
def test_report(fails: bool, benchmark: BenchmarkFixture, capsys: pytest.CaptureFixture[str]) -> None:
    found = agreement(fails=fails)
    page = benchmark.pedantic(to_html, args=(found,), warmup_rounds=1, rounds=5)
    with capsys.disabled():
        print(f"\n{len(page.encode()) / 1e6:.2f} MB")
    if benchmark.stats is not None:
        assert benchmark.stats.stats.median <= TARGET
