"""The reports: what all tests have computed, brought together over every process and written at the end."""

from __future__ import annotations

import os
import pickle
from collections.abc import Generator
from pathlib import Path

import pytest

from ..api import Agreement
from ..comparison.merging import baseline_of, merged
from ..comparison.verdicts import HARMLESS
from ..rendering.folder import write
from ..rendering.words import subject_line, title
from . import settings
from .session import Session


def register(config: pytest.Config, session: Session, out: Path) -> None:
    """Record in every process, and write in the one where all results come together."""
    config.pluginmanager.register(Recorder(session), "crosscheck-recorder")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reports(config, out), "crosscheck-reports")


class Recorder:
    """Sends what a test has computed along with its report, which pytest-xdist carries from process to process."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if self.session.recorded:
            report.__dict__["crosscheck"] = pickle.dumps(self.session.recorded)
            self.session.recorded.clear()
        return report


class Reports:
    """Collects what all tests have computed, writes a folder for each case at the end, and says so."""

    def __init__(self, config: pytest.Config, out: Path) -> None:
        self.out = out
        self.agreements: list[Agreement] = []
        self.written: dict[Path, Agreement] = {}
        self.error = ""
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise pytest.UsageError(f"{settings.spelled(config, 'out')}: {error}") from None

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        sent = report.__dict__.pop("crosscheck", None)
        if sent:
            self.agreements += pickle.loads(sent)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        for agreement in merged(self.agreements):
            try:
                self.written[write(agreement, self.out / folder_name(agreement))] = agreement
            except OSError as error:
                self.error = str(error)
                session.exitstatus = pytest.ExitCode.USAGE_ERROR

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("crosscheck")
        for folder, agreement in self.written.items():
            terminalreporter.line(f"{title(agreement)}: written to {shown(folder)}")
            for name, subject in agreement.subjects.items():
                if subject.verdict not in HARMLESS:
                    terminalreporter.line(f"  {subject_line(name, subject)}", red=subject.verdict != "unsupported")
        if self.error:
            terminalreporter.line(f"not everything could be written: {self.error}", red=True)
        elif not self.written:
            terminalreporter.line(f"nothing was compared; nothing is written to {shown(self.out)}", yellow=True)


def folder_name(agreement: Agreement) -> str:
    """The folder of an agreement: ``article-float64-1-step``, and what it was held against if not the reference."""
    baseline = baseline_of(agreement)
    against = [] if baseline == "reference" else [f"against {baseline}"]
    return "-".join(", ".join([title(agreement), *against]).replace(",", "").split())


def shown(path: Path) -> str:
    """A path as short as it can be said."""
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)
