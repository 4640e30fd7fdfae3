"""The pytest face: a fixture, a marker, three options. Loading it imports pytest and the standard library alone.

::

    @pytest.mark.crosscheck("article", "mine.toml", against=["torch", "jax"])
    def test_my_model(crosscheck):
        crosscheck.check()

is one test for each case, subject and phase; the case is computed once in each subject. Without a case in the marker
the fixture checks whatever it is given: ``crosscheck.check(case, against=["torch"])``.

A test passes only if every subject that it asks for agrees. A framework that is not installed or cannot express the
case is skipped, with the reason; if it is required and not there it fails. A test that compares nothing fails.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

import pytest

from . import settings

if TYPE_CHECKING:
    from .fixture import Crosscheck
    from .session import Session

MARKER = (
    "crosscheck(*cases, against=None, **options): one test of the `crosscheck` fixture for each case, subject and "
    "phase; cases are built-in names, paths or a crosscheck.Case, `against` and options those of crosscheck.check."
)


def pytest_addoption(parser: pytest.Parser) -> None:
    settings.add(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)
    if settings.configured(config):
        session = session_of(config)
        if session.out:
            from .reports import register

            register(config, session, session.out)


def pytest_report_header(config: pytest.Config) -> str | None:
    return session_of(config).header() if settings.configured(config) else None


def pytest_report_collectionfinish(config: pytest.Config, items: list[pytest.Item]) -> str | None:
    used = any("crosscheck" in getattr(item, "fixturenames", ()) for item in items)
    return session_of(config).header() if used and not settings.configured(config) else None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "crosscheck" not in metafunc.fixturenames:
        if any(mark.name == "crosscheck" for mark in metafunc.definition.own_markers):
            pytest.fail("marked with crosscheck: expected an argument `crosscheck`; received none", pytrace=False)
        return
    cases, options = marked(metafunc.definition)
    if cases:
        parts = session_of(metafunc.config).parts(cases, options, metafunc.definition.path.parent)
        grouped = metafunc.config.pluginmanager.hasplugin("xdist")
        params = []
        for part in parts:
            group = [pytest.mark.xdist_group(f"crosscheck-{part.run.label}")] if grouped else []
            params.append(pytest.param(part, id=f"{part.run.label}-{part.phase}", marks=group))
        metafunc.parametrize("crosscheck", params, indirect=True)


@pytest.fixture
def crosscheck(request: pytest.FixtureRequest) -> Crosscheck:
    """Holds training steps against hand-written backpropagation: ``crosscheck.check()``."""
    from .fixture import Crosscheck

    session, part = session_of(request.config), getattr(request, "param", None)
    if part and (reason := session.absence(part.run.subject)):
        pytest.skip(reason)
    return Crosscheck(session, request.path.parent, marked(request.node)[1], part)


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Generator[None, object, object]:
    result = yield
    used = pyfuncitem.funcargs.get("crosscheck")
    if used is not None and not getattr(used, "compared", True):
        pytest.fail("nothing was compared: crosscheck.check() was not called", pytrace=False)
    return result


def marked(node: pytest.Item) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Cases and options of a test's markers: the nearest that names any, and of each option the nearest."""
    marks = list(node.iter_markers("crosscheck"))
    cases: tuple[Any, ...] = next((mark.args for mark in marks if mark.args), ())
    return cases, {key: value for mark in reversed(marks) for key, value in mark.kwargs.items()}


def session_of(config: pytest.Config) -> Session:
    """What this process of pytest shares, made when it is first needed: a run that uses nothing imports nothing."""
    from .session import SESSION, Session

    if SESSION not in config.stash:
        config.stash[SESSION] = Session(config)
    return config.stash[SESSION]
