"""Where the time of GPT-2's training step goes, part by part: in the reference by hand and in PyTorch eager.

The reference's parts are timed around its layers, PyTorch's by its profiler, which names operators.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.reference.step import Training

PARTS: dict[str, tuple[str, str]] = {
    "matrix products": ("dense", "aten::mm aten::addmm"),
    "update": ("update", "Optimizer.step"),
    "loss": ("loss", "log_softmax nll_loss"),
    "attention": ("scaled_dot_product_attention split_heads merge_heads", "_scaled_dot_product"),
    "GELU": ("gelu", "gelu"),
    "layer norm": ("layer_norm", "native_layer_norm"),
    "embeddings": ("embedding positions", "embedding EmbeddingBackward"),
}
"""Of each part the kinds of the reference's layers, and how the names of PyTorch's operators begin or go on.

Embeddings: with the sum of the two gradients of the table of symbols, which is the weight of the output layer too. Of
dense layers, with their biases.
"""

Seconds = Counter[str]


class Timed(Training):
    """A run that takes the time of its parts."""

    def __init__(self, case: cc.Case) -> None:
        super().__init__(case, lambda name, made: made)
        self.seconds: Seconds = Counter()

    def timed(self, kind: str, part: Callable[..., None], *arguments: Any) -> None:
        began = time.perf_counter()
        part(*arguments)
        self.seconds[kind] += time.perf_counter() - began

    def forward_of(self, node: cc.Node) -> None:
        self.timed(node.layer.kind, super().forward_of, node)

    def backward_of(self, node: cc.Node) -> None:
        self.timed(node.layer.kind, super().backward_of, node)

    def loss_of(self, term: Any, batch: cc.Batch) -> None:
        self.timed("loss", super().loss_of, term, batch)

    def backward_of_loss(self, term: Any, weight: float) -> None:
        self.timed("loss", super().backward_of_loss, term, weight)

    def update(self) -> None:
        self.timed("update", super().update)

    def training_step(self) -> None:
        self.timed("all", super().training_step)


def of_reference(case: cc.Case) -> Callable[[], Seconds]:
    training = Timed(case)

    def step() -> Seconds:
        training.seconds = Counter()
        training.operations.clear()
        with np.errstate(all="ignore"):
            training.run()
        parts = {part: sum(training.seconds[kind] for kind in kinds.split()) for part, (kinds, _) in PARTS.items()}
        return Counter({**parts, "all": training.seconds["all"]})

    return step


def of_torch(train: Callable[[], float]) -> Callable[[], Seconds]:
    profiler = pytest.importorskip("torch").profiler

    def step() -> Seconds:
        began = time.perf_counter()
        train()
        whole = time.perf_counter() - began
        with profiler.profile(activities=[profiler.ProfilerActivity.CPU]) as profile:
            train()
        seconds: Seconds = Counter({"all": whole})
        for event in profile.key_averages():
            for part, (_, names) in PARTS.items():
                if any(name in event.key for name in names.split()):
                    of_event = event.cpu_time_total if part == "update" else event.self_cpu_time_total
                    seconds[part] += of_event / 1e6
        return seconds

    return step
