"""What a run of the tests is told, and what it has loaded and computed: each case once in each subject."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from .. import __version__
from ..adapters import ADAPTERS, NotInstalled, load_adapter, subject_of, unknown
from ..adapters.own import is_target
from ..api import Agreement, check, load_case, record
from ..comparison.check import FIRST_CHOICE, installed
from ..comparison.compare import wanted
from ..reference import Case, CaseError
from ..reference.trace import patterns, phase_of
from . import settings


@dataclass(eq=False)
class Run:
    """A case in one subject, computed when the first of its phases is looked at."""

    case: Case
    subject: Any
    options: Mapping[str, Any]
    label: str
    """``CASE-SUBJECT``, as the tests are called."""
    record: Callable[[Agreement], None]

    @cached_property
    def agreement(self) -> Agreement:
        """The agreement of the subject with the reference."""
        __tracebackhide__ = True
        found = computed(self.case, [self.subject], self.options)
        self.record(found)
        return found


@dataclass(frozen=True)
class Part:
    """What one test of a marker looks at: a phase of a run."""

    run: Run
    phase: str


class Session:
    """What one process of pytest is told, and what it has loaded and computed.

    Raises:
        UsageError: a setting names an adapter that there is not.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.against = settings.names(config, "against")
        self.require = settings.names(config, "require")
        self.out = settings.folder(config)
        self.cases: dict[Path | str, Case] = {}
        self.names: dict[Case, tuple[str, ...]] = {}  # of the tensors of each
        self.runs: list[Run] = []
        self.recorded: list[Agreement] = []  # what no report has taken along yet
        for setting in ("against", "require"):
            if wrong := unknown(getattr(self, setting)):
                raise pytest.UsageError(f"{settings.spelled(config, setting)}: {wrong}")

    def header(self) -> str:
        """Versions and settings in one line; no framework is imported for it."""
        packages = dict.fromkeys(["numpy", *(name for entry in ADAPTERS.values() for name in entry.requires)])
        parts = [f"crosscheck {__version__}: {', '.join(map(with_version, packages))}"]
        parts += [f"against {', '.join(self.against)}"] if self.against else []
        parts += [f"required {', '.join(self.require)}"] if self.require else []
        parts += [f"reports in {self.out}"] if self.out else []
        return "; ".join(parts)

    def load(self, case: Case | str | os.PathLike[str], folder: Path) -> Case:
        """A case by its name or its path, which is looked for in the folder of the test first."""
        __tracebackhide__ = True
        if not isinstance(case, str | os.PathLike):
            return case
        beside = folder / case
        place = beside if beside.suffix and beside.is_file() else os.fspath(case)
        if place not in self.cases:
            try:
                self.cases[place] = load_case(place)
            except CaseError as error:
                pytest.fail(str(error), pytrace=False)
        return self.cases[place]

    def subjects(self, against: Any) -> list[Any]:
        """What is to be compared, each once: adapters by name, or whatever else ``crosscheck.check`` takes."""
        __tracebackhide__ = True
        if against is None:
            against = self.against or self.usual()
        listed = dict.fromkeys(settings.split(against) if isinstance(against, str) else against)
        if wrong := unknown(one for one in listed if isinstance(one, str) and not is_target(one)):
            pytest.fail(f"against: {wrong}", pytrace=False)
        return list(listed)

    def usual(self) -> Iterable[str]:
        """What is compared where nothing is said: of torch and jax what is installed, and whatever is required."""
        return [*installed(), *self.require] or FIRST_CHOICE

    def absence(self, subject: Any) -> str:
        """Why a subject cannot be run here, empty if it can. The test fails where its framework is required."""
        __tracebackhide__ = True
        if not isinstance(subject, str) or subject not in ADAPTERS:
            return ""
        try:
            problem, required = load_adapter(subject).problem(), subject in self.require
        except NotInstalled as error:
            problem, required = str(error), bool({subject, subject.partition(".")[0]} & {*self.require})
        if problem and required:
            pytest.fail(f"{subject} is required here: {problem}", pytrace=False)
        return f"{subject}: {problem}" if problem else ""

    def parts(self, cases: Iterable[Any], options: Mapping[str, Any], folder: Path) -> Iterable[Part]:
        """The tests that a marker asks for."""
        known = [name for name in inspect.signature(check).parameters if name != "case"]
        for option in options:
            if option not in known:
                message = f"marker crosscheck: expected {', '.join(known)}; received {option!r}"
                pytest.fail(message, pytrace=False)
        options = dict(options)
        subjects = self.subjects(options.pop("against", None))
        if not subjects:
            pytest.fail("against: expected at least one subject; received none", pytrace=False)
        loaded = [self.load(case, folder) for case in cases]
        names = [case.name for case in loaded]
        for case in loaded:
            label = case.name if names.count(case.name) == 1 else f"{case.name}-{case.dtype}"
            phases = self.phases(case, options.get("only", ()))
            for subject in subjects:
                run = self.run(Run(case, subject, options, f"{label}-{name_of(subject)}", self.record))
                yield from (Part(run, phase) for phase in phases)

    def phases(self, case: Case, only: Iterable[str]) -> list[str]:
        """The phases of a case in the order of computation, as far as they have tensors that are wanted."""
        if case not in self.names:
            self.names[case] = tuple(record(case))
        asked = patterns(only)
        found = list(dict.fromkeys(phase_of(name) for name in self.names[case] if wanted(asked, name)))
        if not found:
            pytest.fail(f"only: {case.name} has no tensor like {', '.join(asked)}", pytrace=False)
        return found

    def run(self, wanted: Run) -> Run:
        """The run that is wanted, which may be that of another test already."""
        for run in self.runs:
            if (run.case, run.subject, run.options) == (wanted.case, wanted.subject, wanted.options):
                return run
        self.runs.append(wanted)
        return wanted

    def record(self, agreement: Agreement) -> None:
        """Keep an agreement for the reports, where they are wanted."""
        if self.out:
            self.recorded.append(agreement)


def computed(case: Case, subjects: list[Any], options: Mapping[str, Any]) -> Agreement:
    """What ``crosscheck.check`` finds; the test fails if the case cannot be run as it is written."""
    __tracebackhide__ = True
    try:
        return check(case, subjects, **options)
    except CaseError as error:
        pytest.fail(str(error), pytrace=False)


def name_of(subject: Any) -> str:
    """What a subject is called in the name of a test."""
    return subject if isinstance(subject, str) else subject_of(subject).name


def with_version(package: str) -> str:
    """A package with its version, as its metadata has it."""
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"{package} not installed"


SESSION = pytest.StashKey[Session]()
