"""The training steps of the article and of mlp: the reference by hand, against PyTorch eager doing the same."""

from __future__ import annotations

from collections.abc import Callable

import crosscheck as cc
import pytest
from pytest_benchmark.fixture import BenchmarkFixture


@pytest.mark.parametrize("name", ["article", "mlp"])
@pytest.mark.parametrize("subject", ["reference", "torch"])
def test_training_run(
    name: str,
    subject: str,
    subjects: dict[str, Callable[[cc.Case], Callable[[], float]]],
    benchmark: BenchmarkFixture,
) -> None:
    """All steps of the case."""
    case = cc.load_case(name)
    benchmark.group = f"{name}: {case.steps} training steps in {case.dtype}"
    benchmark(subjects[subject](case))
