"""What judgement costs: sigma against one float64 pass of the reference, local comparison against a check without it.

Targets: sigma at most 12 times a plain pass on dense and convolutional work; a check that compares locally at most 4
times one that compares end to end alone, on a stack of four blocks like GPT's.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from statistics import median
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.comparison.compare import Comparison
from crosscheck.comparison.tolerance import Computed
from crosscheck.reference import run
from numpy.typing import NDArray

Array = NDArray[Any]


class EndToEnd(Computed):
    """The computed tolerance without its local comparison."""

    def local(self, *arguments: Any, **options: Any) -> bool:
        return False


def finished(name: str, nodes: list[cc.Node], loss: Any, batch: cc.Batch, dtype: str = "float64") -> cc.Case:
    """A case of these nodes with random weights."""
    generator = np.random.default_rng(1)
    weights: dict[str, Array] = {}
    for node in nodes:
        for local, shape in node.layer.parameters().items():
            scale = 1 / np.sqrt(np.prod(shape[:-1])) if len(shape) > 1 else 0.5
            weights.setdefault(node.parameters.get(local, f"{node.name}.{local}"), generator.normal(0, scale, shape))
    return cc.Case(
        name=name, nodes=nodes, loss=loss, optimizer=cc.Adam(0.125), weights=weights, batches=[batch], dtype=dtype
    )


def dense() -> cc.Case:
    generator = np.random.default_rng(2)
    nodes = [
        cc.Node("a", cc.Dense(784, 512)),
        cc.Node("a.relu", cc.Relu()),
        cc.Node("b", cc.Dense(512, 10)),
    ]
    batch = cc.Batch(generator.normal(size=(128, 784)), generator.integers(10, size=128))
    return finished("dense", nodes, cc.SoftmaxCrossEntropy(), batch)


def convolution() -> cc.Case:
    generator = np.random.default_rng(3)
    nodes = [
        cc.Node("a", cc.Conv2d(3, 16, (3, 3), padding=(1, 1))),
        cc.Node("a.relu", cc.Relu()),
        cc.Node("b", cc.Conv2d(16, 8, (3, 3), stride=(2, 2))),
    ]
    batch = cc.Batch(generator.normal(size=(16, 3, 32, 30)), generator.normal(size=(16, 8, 15, 14)))
    return finished("convolution", nodes, cc.MeanSquaredError(), batch)


def blocks(count: int = 4, width: int = 128, length: int = 64, vocabulary: int = 512) -> cc.Case:
    """Pre-norm blocks as in GPT-2, with one head each."""
    generator = np.random.default_rng(4)
    nodes = [cc.Node("tokens", cc.Embedding(vocabulary, width))]
    stream = "tokens"
    for block in range(count):
        at = f"b{block}."
        nodes += [
            cc.Node(f"{at}norm", cc.LayerNorm(width), (stream,)),
            *(cc.Node(f"{at}{part}", cc.Dense(width, width), (f"{at}norm",)) for part in "qkv"),
            cc.Node(f"{at}mix", cc.ScaledDotProductAttention(causal=True), tuple(f"{at}{part}" for part in "qkv")),
            cc.Node(f"{at}project", cc.Dense(width, width)),
            cc.Node(f"{at}join", cc.Add(), (stream, f"{at}project")),
            cc.Node(f"{at}norm2", cc.LayerNorm(width)),
            cc.Node(f"{at}up", cc.Dense(width, 4 * width)),
            cc.Node(f"{at}gelu", cc.Gelu("tanh")),
            cc.Node(f"{at}down", cc.Dense(4 * width, width)),
            cc.Node(f"{at}join2", cc.Add(), (f"{at}join", f"{at}down")),
        ]
        stream = f"{at}join2"
    nodes += [cc.Node("norm", cc.LayerNorm(width)), cc.Node("logits", cc.Dense(width, vocabulary))]
    batch = cc.Batch(generator.integers(vocabulary, size=(4, length)), generator.integers(vocabulary, size=(4, length)))
    return finished("blocks", nodes, cc.SoftmaxCrossEntropy(), batch, dtype="float32")


def seconds(work: Callable[[], Any], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return times


def report(what: str, ratio: float, target: float, peak: float) -> None:
    verdict = "reached" if ratio <= target else "missed"
    print(f"\n{what}: {ratio:.1f} times, target {target:g}: {verdict}; peak extra memory {peak / 2**20:.0f} MiB")


def peak_of(work: Callable[[], Any]) -> int:
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


@pytest.mark.parametrize("build", [dense, convolution], ids=["dense", "convolution"])
def test_sigma_against_a_plain_pass(build: Callable[[], cc.Case], benchmark: Any) -> None:
    case = build()
    trace = run(case)
    plain = median(seconds(lambda: run(case), 7))
    tracked = median(seconds(lambda: Computed().expect(trace), 5))
    report(f"sigma of {case.name}", tracked / plain, 12, peak_of(lambda: Computed().expect(trace)))
    benchmark.pedantic(Computed().expect, (trace,), rounds=3)


def test_local_comparison_against_a_check_without_it(benchmark: Any) -> None:
    case = blocks()
    trace = run(case)
    subject = cc.Trace("copy", case, {}, dict(trace.tensors))

    def check(tolerance: Computed) -> None:
        found = Comparison(run(case), tolerance).of(subject)
        verdicts = {tensor.verdict for tensor in found.tensors}
        allowed = (
            {"agree", "not compared"} if isinstance(tolerance, EndToEnd) else {"agree"}
        )  # some have no bound there
        assert "agree" in verdicts <= allowed

    without = median(seconds(lambda: check(EndToEnd()), 3))
    ratio = median(seconds(lambda: check(Computed()), 3)) / without
    report("check of four blocks with local comparison", ratio, 4, peak_of(lambda: check(Computed())))
    benchmark.pedantic(check, (Computed(),), rounds=1)
