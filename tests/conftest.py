"""What the tests share: which frameworks there are, and agreements that several tests look at."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache

import crosscheck as cc
import pytest
from crosscheck.adapters import load_adapter

REQUIRED = frozenset(filter(None, os.environ.get("CROSSCHECK_REQUIRE", "").split(",")))
"""Adapters whose absence is an error: CI names them."""


def pytest_report_header() -> str:
    return f"crosscheck: required adapters: {', '.join(sorted(REQUIRED)) or 'none'}"


def absent(adapter: str, reason: str) -> None:
    """Skip a test that cannot be run here, visibly; fail it where the adapter is required."""
    if adapter in REQUIRED:
        pytest.fail(f"{adapter} is required here: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def adapter_of() -> Callable[[str], cc.adapters.Adapter]:
    """An adapter by its name; a test whose adapter is not here is skipped."""

    def find(name: str) -> cc.adapters.Adapter:
        try:
            return load_adapter(name)
        except cc.NotInstalled as error:
            absent(name, str(error))
            raise AssertionError from error

    return find


@pytest.fixture(scope="session")
def agreement_of(adapter_of: Callable[[str], cc.adapters.Adapter]) -> Callable[..., cc.SubjectAgreement]:
    """A built-in case against one adapter, computed once; a test whose adapter cannot run is skipped."""

    @cache
    def check(case: str, adapter: str, dtype: str) -> cc.SubjectAgreement:
        adapter_of(adapter)
        return cc.check(cc.load_case(case, dtype=dtype), [adapter]).subjects[adapter]

    def find(case: str, adapter: str, dtype: str = "float64") -> cc.SubjectAgreement:
        found = check(case, adapter, dtype)
        if found.verdict == "unsupported":
            absent(adapter, found.reason)
        return found

    return find
