"""Two training steps written without the reference: right, they agree with it; wrong, they are caught and explained.

``independent/`` has them, in NumPy and on torch tensors, with the mistakes that can be planted in each. What the
diagnosis replays are the reference's own lines, changed: here it must recognise what others wrote.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.comparison.compare import Comparison
from crosscheck.faults import FAULTS

CASES = ("article", "article-batch", "mlp", "regression", "one column", "residual", "convolutional", "attention")

NETWORKS = {"article-batch": "article", "one column": "regression"}
"""The function that computes a case, where it has another name."""

NOT_PLANTED = {2, 21}
"""Of the 28 known mistakes those that no case here can have: they need micro-batches and RMSprop."""


def load(name: str) -> ModuleType:
    """A module of ``independent/``, which is no package."""
    path = Path(__file__).parent / "independent" / f"plain_{name}.py"
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WRITTEN = {name: load(name) for name in ("numpy", "torch") if find_spec(name)}
MISTAKES = [(name, mistake) for name, module in WRITTEN.items() for mistake in module.PLANTED]


@pytest.fixture
def written(adapter_of: Callable[[str], object]) -> Callable[[str], ModuleType]:
    """One of the two implementations; a test whose framework is not here is skipped."""

    def find(name: str) -> ModuleType:
        if name not in WRITTEN:
            adapter_of(name)
        return WRITTEN[name]

    return find


@cache
def reference(name: str, dtype: str = "float64", steps: int = 0) -> Comparison:
    """The reference's run of a case, with what every comparison with it has in common."""
    case = one_column(dtype) if name == "one column" else cc.load_case(name, dtype=dtype)
    return Comparison(cc.record(case.with_steps(steps) if steps else case), cc.Computed())


def one_column(dtype: str) -> cc.Case:
    """A regression with a single output, where a target without its column would be broadcast."""
    case = cc.load_case("regression")
    a, tanh, b = case.nodes
    draw = np.random.Generator(np.random.PCG64(11)).standard_normal
    weights = {**case.weights, "b.weight": draw((8, 1)), "b.bias": draw(1)}
    nodes = (a, tanh, replace(b, layer=cc.Dense(8, 1)))
    batch = cc.Batch(case.batch(0).inputs, draw((6, 1)))
    return replace(case, name="one-column", nodes=nodes, weights=weights, batches=(batch,), dtype=dtype)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ["numpy", "torch"])
def test_right_step_agrees_in_every_tensor(
    name: str, case: str, dtype: str, written: Callable[[str], ModuleType]
) -> None:
    baseline = reference(case, dtype).baseline
    subject = written(name).run(baseline.case, NETWORKS.get(case, case))
    agreement = cc.compare(baseline, subject)
    (found,) = agreement.subjects.values()
    assert {tensor.name: tensor.verdict for tensor in found.tensors} == dict.fromkeys(baseline, "agree")
    assert {tensor.local for tensor in found.tensors} == {"agree"}


@cache
def wrong_step(name: str, mistake: str) -> cc.SubjectAgreement:
    """What is found of a step with one mistake. Computed once, for the tests that look at it."""
    case, steps, *_ = WRITTEN[name].PLANTED[mistake]
    comparison = reference(case, steps=steps)
    return comparison.of(WRITTEN[name].run(comparison.baseline.case, NETWORKS.get(case, case), mistake))


def failing(found: cc.SubjectAgreement) -> set[str]:
    """The operations that are said to be wrong."""
    return {tensor.operation for tensor in found.tensors if tensor.verdict == "disagree"} | {
        diagnosis.operation for diagnosis in found.diagnosis
    }


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=[f"{name}-{mistake}" for name, mistake in MISTAKES])
def test_wrong_step_is_detected_and_placed(name: str, mistake: str) -> None:
    *_, operations = WRITTEN[name].PLANTED[mistake]
    found = wrong_step(name, mistake)
    assert found.verdict == "disagree"
    assert failing(found) == operations


def is_named(name: str, mistake: str) -> bool:
    """Whether the mistake is among the causes of every operation that it makes wrong."""
    number = WRITTEN[name].PLANTED[mistake][2]
    convention = WRITTEN[name].CONVENTIONS.get(mistake)
    found = wrong_step(name, mistake)
    right = {
        cause.operation
        for cause in found.diagnosis
        if cause.cause == convention or (cause.cause in FAULTS and FAULTS[cause.cause].number == number)
    }
    return right == failing(found)


@pytest.mark.skipif("torch" not in WRITTEN, reason="torch is not installed")
def test_most_mistakes_are_named() -> None:
    assert len(MISTAKES) >= 40
    assert all(len(module.PLANTED) >= 20 for module in WRITTEN.values())
    unnamed = [f"{name}: {mistake}" for name, mistake in MISTAKES if not is_named(name, mistake)]
    named = 1 - len(unnamed) / len(MISTAKES)
    assert named >= 0.9, f"{named:.1%} named; not: {unnamed}"


def test_every_known_mistake_is_planted_that_can_be() -> None:
    planted = {entry[2] for module in WRITTEN.values() for entry in module.PLANTED.values()}
    assert planted == set(range(1, 29)) - NOT_PLANTED
