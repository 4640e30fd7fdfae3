"""The training step of the article and of mlp: the reference by hand, against PyTorch eager doing the same.

PyTorch runs its own training loop, without the perturbations and the record that an adapter adds; its network and
optimizer are built beforehand, and its weights go on from round to round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import crosscheck as cc
import pytest
from crosscheck.reference import run

CASES = ("article", "mlp")


def by_hand(case: cc.Case) -> Callable[[], Any]:
    return lambda: run(case)


def in_torch(case: cc.Case) -> Callable[[], Any]:
    torch = pytest.importorskip("torch")
    from crosscheck.adapters.torch.adapter import Network
    from crosscheck.adapters.torch.parts import OPTIMIZERS

    batches = [
        (torch.from_numpy(case.batch(step).inputs.copy()), torch.from_numpy(case.batch(step).targets.copy()))
        for step in range(case.steps)
    ]

    network = Network(case, "cpu")
    optimizer = OPTIMIZERS[case.optimizer.kind].build(network.parameters(), case.optimizer)

    def train() -> None:
        for (x, target), rate in zip(batches, case.learning_rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            value = x
            for layer in network.layers:
                value = layer(value)
            network.loss(value, target).backward()
            optimizer.step()

    return train


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("way", [by_hand, in_torch], ids=["reference", "torch"])
def test_training_run(name: str, way: Callable[[cc.Case], Callable[[], Any]], benchmark: Any) -> None:
    """All steps of the case."""
    case = cc.load_case(name)
    benchmark.group = f"{name}: {case.steps} training steps in {case.dtype}"
    benchmark(way(case))
