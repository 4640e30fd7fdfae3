"""What the tests share: which frameworks there are, and agreements that several tests look at."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import crosscheck as cc
import pytest
from agreements import agreement_with
from crosscheck.adapters import load_adapter

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest_plugins = ["pytester"]

os.environ.setdefault("CROSSCHECK_IN_PROCESS", "1")
"""A framework takes seconds to import. Tests of what runs in a process of its own take this away."""

REQUIRED = frozenset(filter(None, os.environ.get("CROSSCHECK_REQUIRE", "").split(",")))
"""Adapters whose absence is an error, and ``browser``: CI names them."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)
"""With these a browser asks nobody for anything by itself, and runs as root too."""


def pytest_report_header() -> str:
    return f"crosscheck: required here: {', '.join(sorted(REQUIRED)) or 'none'}"


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


@pytest.fixture
def agreeing() -> cc.Agreement:
    """The article against a copy of itself."""
    return agreement_with()


@pytest.fixture
def failing() -> cc.Agreement:
    """The same with the gradient of one weight negated."""
    return agreement_with(lambda array: -array)


@dataclass
class Visit:
    """A page in a browser, and what it did beyond showing itself."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    """Errors and warnings on the console, exceptions, and whatever the policy stopped."""
    requests: list[str] = field(default_factory=list)
    """What was asked for beside the file itself, or the folder that it may take from."""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, without a window; where there is none the test is skipped."""
    sync_api = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if found is None:
        absent("browser", f"needs a browser: none of {', '.join(CHROMIUM)} is installed")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=[*QUIET])
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser) -> Callable[..., Any]:
    """A way to open a file in it, which sees that nothing leaves the file, or a folder: no complaint, no request."""

    @contextmanager
    def opened(
        path: Path, *, folder: Path | None = None, width: int = 1280, dark: bool = False, script: bool = True
    ) -> Iterator[Visit]:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            java_script_enabled=script,
            reduced_motion="reduce",
        )
        seen = Visit(context.new_page())
        seen.page.on("console", lambda said: seen.complaints.append(f"{said.type}: {said.text}"))
        seen.page.on("pageerror", lambda error: seen.complaints.append(str(error)))
        allowed = ((folder or path).resolve().as_uri(), "data:")
        seen.page.on(
            "request",
            lambda request: None if request.url.startswith(allowed) else seen.requests.append(request.url),
        )
        seen.page.goto(path.resolve().as_uri())
        yield seen
        context.close()
        assert not seen.complaints
        assert not seen.requests

    return opened
