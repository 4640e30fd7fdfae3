"""Who takes a training step in the benchmarks: each subject makes, of a case, a call that takes its steps once more.

What is built is built beforehand: the case, the network, the optimizer. Weights go on from call to call. A call returns
the loss of its last step, by which subjects can be told to compute the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeAlias

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.reference.step import Training
from rivals import in_autograd, in_tinygrad

Steps: TypeAlias = Callable[[], float]
Subject: TypeAlias = Callable[[cc.Case], Steps]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--trace-mib", type=int, default=512, help="Size of each trace file that is compared, in MiB.")


def by_hand(case: cc.Case) -> Steps:
    """The reference; what it makes is not kept."""
    training = Training(case, lambda name, made: made)

    def train() -> float:
        training.operations.clear()
        with np.errstate(all="ignore"):
            training.run()
        return float(training.values["loss"].value)

    return train


def in_torch(case: cc.Case) -> Steps:
    """PyTorch eager: its own training loop, without the perturbations and the record that an adapter adds."""
    torch = pytest.importorskip("torch")
    from crosscheck.adapters import contract
    from crosscheck.adapters.torch.adapter import Network, to_torch
    from crosscheck.adapters.torch.parts import OPTIMIZERS

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))  # as many as NumPy takes for its products
    network = Network(case, "cpu")
    optimizer = OPTIMIZERS[case.optimizer.kind].build(network.parameters(), case.optimizer)
    batches = [
        {name: to_torch(array, case.dtype, "cpu") for name, array in contract.data_of(case.batch(step), case).items()}
        for step in range(case.steps)
    ]

    def train() -> float:
        for data, rate in zip(batches, case.learning_rates, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            _, loss = network(data, {})
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    return train


SUBJECTS: dict[str, Subject] = {
    "reference": by_hand,
    "torch": in_torch,
    "autograd": in_autograd,
    "tinygrad": in_tinygrad,
}


@pytest.fixture
def subjects() -> dict[str, Subject]:
    """Every subject by its name."""
    return SUBJECTS
