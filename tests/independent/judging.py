"""What is found of two training steps that were written without the reference, right and with a mistake in them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import crosscheck as cc
import numpy as np
from crosscheck.comparison.compare import Comparison
from crosscheck.faults import FAULTS

NETWORKS = {"article-batch": "article", "one column": "regression"}
"""The function that computes a case, where it has another name."""


def load(name: str) -> ModuleType:
    """One of the two implementations."""
    path = Path(__file__).parent / f"plain_{name}.py"
    spec = spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WRITTEN = {name: load(name) for name in ("numpy", "torch") if find_spec(name)}
MISTAKES = [(name, mistake) for name, module in WRITTEN.items() for mistake in module.PLANTED]


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
