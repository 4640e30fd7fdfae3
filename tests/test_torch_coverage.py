"""Every module and optimizer of the installed torch is one of the catalogue's kinds, or it is said why it is not."""

from __future__ import annotations

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from crosscheck.adapters import load_adapter

pytest.importorskip("torch")

DOCS = Path(__file__).parent.parent / "docs"


@pytest.fixture(scope="module")
def coverage() -> ModuleType:
    spec = spec_from_file_location("torch_coverage", DOCS / "torch_coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_module_is_covered_or_explained(coverage: ModuleType) -> None:
    told = [*coverage.COVERED, *coverage.ALIKE, *(name for names in coverage.REASONS.values() for name in names)]
    assert len(told) == len(set(told))
    assert set(coverage.modules()) - set(told) == set()


def test_every_optimizer_is_covered_or_explained(coverage: ModuleType) -> None:
    told = [*coverage.OPTIMIZERS, *(name for names in coverage.OPTIMIZER_REASONS.values() for name in names)]
    assert len(told) == len(set(told))
    assert set(coverage.optimizers()) - set(told) == set()


def test_what_is_covered_is_used_by_the_adapter(coverage: ModuleType) -> None:
    adapter = load_adapter("torch")
    for name, kind in coverage.COVERED.items():
        assert adapter.kinds[kind] == "native", kind
        assert coverage.uses(coverage.modules()[name]), name
    for name, kind in coverage.OPTIMIZERS.items():
        assert adapter.kinds[kind] == "native", kind
        assert f"optim.{name}" in coverage.used(), name


def test_what_the_adapter_uses_is_covered(coverage: ModuleType) -> None:
    """A layer that is added to the catalogue is not left among the reasons."""
    used = {name for name in coverage.modules() if f"nn.{name}" in coverage.used()} - {"Module", "RNNBase"}
    assert used - set(coverage.COVERED) == set()
    optimizers = {name for name in coverage.optimizers() if f"optim.{name}" in coverage.used()} - {"Optimizer"}
    assert optimizers == set(coverage.OPTIMIZERS) & set(coverage.optimizers())


def test_what_is_alike_is_the_same_computation(coverage: ModuleType) -> None:
    """They share every method of computation with the module that the adapter uses."""
    for name, other in coverage.ALIKE.items():
        assert coverage.modules()[name].forward is coverage.modules()[other].forward


def test_the_page_is_up_to_date(coverage: ModuleType) -> None:
    written = (DOCS / "torch-coverage.md").read_text()
    if f"with torch {coverage.installed()}." not in written:
        pytest.skip(f"the page is of another version than torch {coverage.installed()}")
    assert written == coverage.page(), "run make torch-coverage"
