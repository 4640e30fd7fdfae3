"""The table of what was run: complete, up to date with the adapters, and nothing in it disagrees without a reason."""

from __future__ import annotations

import json
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import crosscheck as cc
import pytest
from crosscheck.adapters import load_adapter
from crosscheck.reference import CLIPS

DOCS = Path(__file__).parent.parent / "docs"
RECORD: dict[str, Any] = json.loads((DOCS / "support.json").read_text())
FRAMEWORKS = ("torch", "jax")
RUN = [pytest.param(kind, name, id=f"{kind}-{name}") for kind in RECORD["kinds"] for name in FRAMEWORKS]


@pytest.fixture(scope="module")
def support() -> ModuleType:
    spec = spec_from_file_location("support", DOCS / "support.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = module_from_spec(spec)  # dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


def test_every_kind_was_run() -> None:
    kinds = [*cc.LAYERS, *cc.LOSSES, *cc.OPTIMIZERS, *CLIPS]
    assert list(RECORD["kinds"]) == kinds, "run make support ARGS=--missing"


def test_the_page_is_that_of_the_record(support: ModuleType) -> None:
    assert (DOCS / "support.md").read_text() == support.page(RECORD)


@pytest.mark.parametrize(("kind", "framework"), RUN)
def test_support_is_that_of_the_adapter(kind: str, framework: str) -> None:
    pytest.importorskip(framework)
    result = RECORD["kinds"][kind][framework]
    supported = load_adapter(framework).kinds.get(kind, "unsupported")
    assert result["support"] in (supported, "unsupported")
    assert result["support"] != "unsupported" or result["reason"]


@pytest.mark.parametrize(("kind", "framework"), RUN)
def test_what_disagrees_is_known(support: ModuleType, kind: str, framework: str) -> None:
    runs = RECORD["kinds"][kind][framework].get("dtypes", {})
    for dtype, run in runs.items():
        known = (kind, framework, dtype) in support.KNOWN
        few_digits = dtype in ("float16", "bfloat16")  # an overflow on the way, or a mask that is open, is soon there
        allowed = {"agree", "unsupported", *(["kink"] if few_digits else []), *(["disagree"] if known else [])}
        assert run["verdict"] in allowed, dtype
        assert run["verdict"] not in ("agree", "unsupported") or not known, dtype
        assert run.get("sigmas", 0) < 8


def test_a_small_network_is_run_in_every_dtype(support: ModuleType) -> None:
    pytest.importorskip("torch")
    result = support.attempt("tanh", cc.Tanh, load_adapter("torch"))
    assert result["support"] == "native"
    assert {dtype: run["verdict"] for dtype, run in result["dtypes"].items()} == dict.fromkeys(support.DTYPES, "agree")


def test_what_a_framework_has_in_its_own_way_is_run_in_that_way(support: ModuleType) -> None:
    pytest.importorskip("torch")
    result = support.attempt("radam", cc.RAdam, load_adapter("torch"))
    assert result["changed"] in ({}, {"epsilon_in": "uncorrected"})  # as the network was drawn
    assert result["refused"] == ["torch.optim.RAdam has the epsilon beside the uncorrected root"]


def test_what_a_framework_lacks_is_said(support: ModuleType) -> None:
    pytest.importorskip("torch")
    assert support.attempt("lion", cc.Lion, load_adapter("torch")) == {
        "support": "unsupported",
        "reason": "torch has no 'lion'",
    }
