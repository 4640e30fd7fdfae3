"""Every built-in case agrees in every adapter, phase by phase: one test for each case, adapter, dtype and phase."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases import built_in
from crosscheck.reference.trace import phase_of

Find = Callable[..., cc.SubjectAgreement]

ADAPTERS = tuple(cc.ADAPTERS)
DTYPES = {name: ("float64", "float32") if name == "torch" else ("float64",) for name in ADAPTERS}
"""What compiles for seconds is compiled once."""

SLOW = {
    "torch.compile": frozenset({"article", "convolutional", "attention"}),
    "jax.eager": frozenset({"article", "several-losses"}),
}
"""The cases that these are tried with, for they take up to half a minute for each."""

TORCH = {"lamb", "lion", "muon"}
JAX = {"adafactor", "adagrad", "amsgrad", "clipping", "nadam", "radam", "rprop"}
UNSUPPORTED = {
    *((case, adapter) for case in TORCH for adapter in ("torch", "torch.compile")),
    *((case, "torch.compile") for case in ("character-lstm", "gru")),
    *((case, adapter) for case in JAX for adapter in ("jax", "jax.eager")),
}
"""The built-in cases that an adapter cannot run as they are meant."""


def phases(case: str) -> list[str]:
    """The phases of a case, in the order of computation."""
    return list(dict.fromkeys(phase_of(name) for name in cc.record(case)))


def combinations() -> Iterator[object]:
    for case in built_in():
        of_case = phases(case)
        for adapter in ADAPTERS:
            if (case, adapter) in UNSUPPORTED or case not in SLOW.get(adapter, {case}):
                continue
            for dtype in DTYPES[adapter]:
                for phase in of_case:
                    yield pytest.param(case, adapter, dtype, phase, id=f"{case}-{adapter}-{dtype}-{phase}")


@pytest.mark.parametrize(("case", "adapter", "dtype", "phase"), list(combinations()))
def test_case_agrees(case: str, adapter: str, dtype: str, phase: str, agreement_of: Find) -> None:
    found = agreement_of(case, adapter, dtype)
    assert found.verdict == "agree", found.reason or found.first_divergence
    tensors = [tensor for tensor in found.tensors if tensor.phase == phase]
    expected = [name for name in cc.record(case) if phase_of(name) == phase]
    assert [tensor.name for tensor in tensors] == expected
    for tensor in tensors:
        assert tensor.verdict == "agree", tensor
        assert tensor.elements == np.prod(tensor.shape, dtype=int), tensor
        assert tensor.dtype == dtype


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_an_adapter_cannot_run_is_what_it_says(adapter: str, adapter_of: Callable[[str], Any]) -> None:
    found = {(case, adapter) for case in built_in() if adapter_of(adapter).unsupported(cc.load_case(case))}
    assert found == {pair for pair in UNSUPPORTED if pair[1] == adapter}


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_article_differs_by_a_few_roundings(adapter: str, agreement_of: Find) -> None:
    """In float64, end to end, no element is further off than 4 roundings of its tensor's largest."""
    agreement_of("article", adapter)  # skips where the adapter cannot run
    trace, other = cc.record("article"), cc.record("article", adapter)
    for name in trace:
        apart = np.abs(np.asarray(trace[name]) - other[name]).max()
        assert apart <= 4 * np.finfo(np.float64).eps * np.abs(trace[name]).max(), name


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_native_and_composed_are_told_apart(adapter: str, agreement_of: Find) -> None:
    """Cross-entropy of probabilities is composed in every framework; JAX composes the affine map too."""
    native = {tensor.kind: tensor.native for tensor in agreement_of("article", adapter).tensors}
    assert native["cross_entropy"] is False
    assert native["dense"] is adapter.startswith("torch")
    assert native["relu"] is native["tanh"] is native["softmax"] is native["sgd"] is True


@pytest.mark.gpu
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("case", list(built_in()))
def test_case_agrees_on_a_gpu(case: str, adapter: str, adapter_of: Callable[[str], cc.adapters.Adapter]) -> None:
    if "cuda" not in adapter_of(adapter).devices():
        pytest.skip(f"{adapter} has no CUDA device here")
    if (case, adapter) in UNSUPPORTED:
        pytest.skip(f"{adapter} does not run {case}")
    found = cc.check(case, [adapter], device="cuda").subjects[adapter]
    assert found.verdict == "agree", found
    assert found.environment["device"] != "cpu"
