"""What starts quickly imports little: each command imports only what it uses."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from agreements import agreement_with
from crosscheck.adapters import Adapter

FRAMEWORKS = frozenset({"flax", "jax", "optax", "torch"})
HEAVY = FRAMEWORKS | {"numpy", "pydantic", "rich", "safetensors", "typer"}


def imported(*arguments: str) -> set[str]:
    """Every module that a fresh interpreter imports when it is run with these arguments."""
    command = [sys.executable, "-X", "importtime", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    names = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "encodings" in names, done.stderr
    return names


@pytest.mark.parametrize(
    "arguments",
    [("list", "cases"), ("list", "adapters"), ("--help",), ("--version",), ("run", "--help"), ("explain", "--help")],
    ids=" ".join,
)
def test_commands_that_compute_nothing_import_no_framework(arguments: tuple[str, ...]) -> None:
    assert not imported("-m", "crosscheck", *arguments) & FRAMEWORKS


@pytest.mark.parametrize("arguments", [("list", "cases"), ("--help",), ("--version",)], ids=" ".join)
def test_commands_that_compute_nothing_import_no_numpy(arguments: tuple[str, ...]) -> None:
    assert "numpy" not in imported("-m", "crosscheck", *arguments)


@pytest.mark.parametrize(
    "code", ["import crosscheck", "import crosscheck; crosscheck.__version__; dir(crosscheck)", "import crosscheck.cli"]
)
def test_the_package_is_lazy(code: str) -> None:
    assert not imported("-c", code) & {*FRAMEWORKS, "numpy", "pydantic", "safetensors"}


def test_the_built_in_cases_are_listed_by_the_standard_library_alone() -> None:
    """Typer imports pydantic by itself to read an argument; the listing must not add to that."""
    ours = imported("-c", "from crosscheck.cases import built_in; assert built_in()")
    assert not ours & {*FRAMEWORKS, "numpy", "pydantic", "safetensors", "tomli_w", "crosscheck.cases.reading"}


@pytest.mark.parametrize("change", [lambda array: array, lambda array: -array], ids=["agreeing", "failing"])
def test_a_report_is_made_without_any_framework(change: Callable[[Any], Any], tmp_path: Path) -> None:
    """Matplotlib is imported only where there is something to draw, and chooses no way of showing it."""
    found = agreement_with(change)
    found.write(tmp_path)
    names = imported("-W", "ignore", "-m", "crosscheck", "report", str(tmp_path))
    assert not names & {*FRAMEWORKS, "matplotlib.pyplot"}
    assert ("matplotlib" in names) == (not found.ok)


def test_the_pytest_plugin_imports_next_to_nothing() -> None:
    ours = imported("-c", "import pytest, crosscheck.pytest_plugin") - imported("-c", "import pytest")
    assert ours == {"crosscheck", "crosscheck.pytest_plugin", "crosscheck.pytest_plugin.settings"}


def test_a_run_of_pytest_that_does_not_use_the_plugin_pays_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_other(): pass")
    names = imported("-m", "pytest", "--capture=no", str(tmp_path))
    assert "crosscheck.pytest_plugin.settings" in names
    assert not names & {*HEAVY, "crosscheck.pytest_plugin.session"}


def test_the_header_of_the_pytest_plugin_imports_no_framework(tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text("def test_other(): pass")
    names = imported("-m", "pytest", "--capture=no", "--crosscheck-against=torch,jax", str(tmp_path))
    assert "crosscheck.pytest_plugin.session" in names
    assert not names & FRAMEWORKS


@pytest.mark.parametrize(("adapter", "others"), [("torch", {"flax", "jax", "optax"}), ("jax", {"flax", "torch"})])
def test_an_adapter_imports_only_its_own_framework(
    adapter: str, others: set[str], adapter_of: Callable[[str], Adapter]
) -> None:
    adapter_of(adapter)
    names = imported("-W", "ignore", "-c", f"import crosscheck as cc; cc.record('article', {adapter!r})")
    assert adapter in names
    assert not names & others


def test_what_is_imported_is_seen() -> None:
    assert "numpy" in imported("-c", "import crosscheck; crosscheck.Case")
