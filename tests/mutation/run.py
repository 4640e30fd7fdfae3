"""``make mutants``: every mutant of ``reference/`` against the tests. Those that survive must be known as equivalent.

The tests are collected once. A first run finds which test reaches which statement, and how long each takes. Then every
mutant is planted in a copy of the process (``fork``), which runs the tests that reach the changed statement, the
quickest first, until one fails. What survives must stand in ``survivors.toml`` with the reason why no test can tell it
from the original; and what stands there must exist and survive.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import signal
import sys
import tempfile
import time
import tomllib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import import_module
from math import ceil
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

import pytest
from mutating import Mutant, mutants_of
from planting import PROBE, plant, probed

HERE = Path(__file__).parent

TESTS = """
defaults layers losses optimizers schedules step training article article_digits subset dtypes bfloat16 balls cases
examples
""".split()
"""What specifies the reference: ``tests/test_NAME.py``."""

LEFT_OUT = " and ".join(
    f"not {name}" for name in "jax readme crosscheck.api isolation lesson survives_saving whatever_a_file_says".split()
)
"""Not these: JAX takes seconds to compile and may not be forked; the others take seconds, and test other things."""

Verdict = Literal["killed", "timed out", "survived"]
Line = tuple[str, int]


@dataclass
class Reach:
    """What every test does where nothing is changed."""

    seconds: dict[str, float] = field(default_factory=dict)
    lines: dict[str, set[Line]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    imported: list[str] = field(default_factory=list)

    def tests_of(self, mutant: Mutant) -> list[str]:
        """The tests that can tell a mutant from the original, the quickest first.

        Those that reach the changed statement; for a constant, those that reach its module. What a class holds, the
        default of a field, can be read without a statement of the module: for it, all.
        """

        def can_tell(lines: set[Line]) -> bool:
            match mutant.scope:
                case "function":
                    return (mutant.file, mutant.line) in lines
                case "module":
                    return any(file == mutant.file for file, _ in lines)
            return True

        return sorted((test for test, lines in self.lines.items() if can_tell(lines)), key=self.seconds.__getitem__)


# ----------------------------------------------------------------------------------------------------------- the tests


class Tests:
    """The collected tests. A plugin of pytest, whose run is whatever is to be done with them."""

    def __init__(self, run: Callable[[Tests], None]) -> None:
        self.run = run
        self.items: dict[str, pytest.Item] = {}
        self.failed = False
        self.reached: set[Line] = set()
        self.shared: defaultdict[str, set[Line]] = defaultdict(set)

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self.run(self)
        return True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.failed |= report.failed

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef: pytest.FixtureDef[Any]) -> Any:
        """What is set up once for many tests is reached by all of them, and not by the first alone."""
        before, self.reached = self.reached, set()
        try:
            return (yield)
        finally:
            if fixturedef.scope != "function":
                self.shared[fixturedef.argname] |= self.reached
            self.reached |= before

    def each(self, tests: Sequence[str]) -> Iterator[tuple[str, bool]]:
        """Run the tests one after the other; for each, whether it passed."""
        for test, after in zip(tests, [*tests, None][1:], strict=True):
            item, self.failed = self.items[test], False
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=self.items[after] if after else None)
            yield test, not self.failed

    def first_failure(self, tests: Sequence[str]) -> str:
        """The first test that fails, or nothing."""
        return next((test for test, passed in self.each(tests) if not passed), "")

    def reach(self, modules: Iterable[Module]) -> Reach:
        """Run all tests with probes in the modules. This is also the proof that planting alone breaks nothing."""
        for module in modules:
            vars(module.imported)[PROBE] = lambda line: self.reached.add(line)
            plant(module.imported, probed(module.source, module.file))
        found, before, began = Reach(), set(sys.modules), time.process_time()
        for test, passed in self.each([*self.items]):
            fixtures = getattr(self.items[test], "fixturenames", ())
            found.lines[test] = self.reached.union(*(self.shared[name] for name in fixtures))
            found.seconds[test] = time.process_time() - began
            found.failed += [] if passed else [test]
            self.reached, began = set(), time.process_time()
        found.imported = [name for name in sys.modules if name not in before]
        return found


# ------------------------------------------------------------------------------------------------------- the processes


class Fork:
    """A copy of this process that does one thing, in silence, and sends back what came out."""

    def __init__(self, work: Callable[[], object], limit: float | None = None) -> None:
        fork = get_context("fork")
        self.receiver, sender = fork.Pipe(duplex=False)
        self.process = fork.Process(target=self.work, args=(work, sender, limit))
        self.process.start()
        sender.close()

    def work(self, work: Callable[[], object], sender: Connection, limit: float | None) -> None:
        os.setpgrp()  # whatever it starts dies with it
        if limit is not None:
            # Seconds of computing, so that what else the machine does has no part in the verdict; the alarm is for
            # what only waits.
            resource.setrlimit(resource.RLIMIT_CPU, (ceil(limit), ceil(limit)))
            signal.alarm(ceil(20 * limit))
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        sender.send(work())

    def result(self) -> Any:
        """What it sent.

        Raises:
            TimeoutError: it took longer than it may.
            ChildProcessError: it died.
        """
        try:
            return self.receiver.recv()
        except EOFError:
            self.process.join()
            late = -(self.process.exitcode or 0) in (signal.SIGXCPU, signal.SIGKILL, signal.SIGALRM)
            raise (TimeoutError if late else ChildProcessError) from None
        finally:
            self.end()

    def end(self) -> None:
        """No more of it, nor of what it started."""
        self.receiver.close()
        self.process.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)
        self.process.join()


@dataclass
class Outcome:
    """What became of a mutant."""

    mutant: Mutant
    verdict: Verdict
    by: str = ""
    """What failed."""


def outcomes(
    mutants: Iterable[Mutant], tests: Tests, reach: Reach, modules: Mapping[str, Module], *, jobs: int, grace: float
) -> Iterator[Outcome]:
    """The outcome of every mutant, so many at a time, as they come."""
    # A test that killed a mutant of a function is likely to kill the next one of it.
    kills: defaultdict[str, Counter[str]] = defaultdict(Counter)
    running: dict[Connection, tuple[Fork, Mutant]] = {}

    def start(mutant: Mutant, chosen: list[str]) -> None:
        def work() -> str:
            plant(modules[mutant.file].imported, mutant.source)
            return tests.first_failure(chosen)

        fork = Fork(work, grace + 3 * sum(map(reach.seconds.__getitem__, chosen)))
        running[fork.receiver] = fork, mutant

    def finished() -> Iterator[Outcome]:
        for receiver in wait([*running]):
            fork, mutant = running.pop(receiver)  # type: ignore[index]
            try:
                by = fork.result()
            except TimeoutError:
                yield Outcome(mutant, "timed out")
                continue
            except ChildProcessError:
                by = "the death of the process"
            kills[function_of(mutant)][by] += 1
            yield Outcome(mutant, "killed" if by else "survived", by)

    try:
        for mutant in mutants:  # without a test too: a change may already break the module
            known = kills[function_of(mutant)]
            chosen = sorted(reach.tests_of(mutant), key=known.__getitem__, reverse=True)
            start(mutant, chosen)
            if len(running) == jobs:
                yield from finished()
        while running:
            yield from finished()
    finally:
        for fork, _ in running.values():
            fork.end()


def function_of(mutant: Mutant) -> str:
    return f"{mutant.file} {mutant.name.partition(':')[0]}"


# ---------------------------------------------------------------------------------------------------------- the report


@dataclass
class Report:
    """What came out, against what is known."""

    known: dict[str, dict[str, str]]
    """By file and mutant, the reason why it is equivalent."""
    outcomes: list[Outcome] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """What is known and does not exist."""

    def is_known(self, mutant: Mutant) -> bool:
        return mutant.name in self.known.get(mutant.file, {})

    @property
    def new(self) -> list[Mutant]:
        """Survivors without a reason."""
        found = (outcome.mutant for outcome in self.outcomes if outcome.verdict == "survived")
        return [mutant for mutant in found if not self.is_known(mutant)]

    @property
    def dead(self) -> list[Outcome]:
        """What is known to be equivalent, and was killed."""
        return [found for found in self.outcomes if found.verdict != "survived" and self.is_known(found.mutant)]

    @property
    def passed(self) -> bool:
        return not (self.new or self.dead or self.gone)

    def lines(self) -> Iterator[str]:
        """The table, and below it what is wrong."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for outcome in self.outcomes:
            for file in (outcome.mutant.file, "all"):
                counts[file]["mutants"] += 1
                counts[file][outcome.verdict] += 1
                counts[file]["equivalent"] += outcome.verdict == "survived" and self.is_known(outcome.mutant)
        columns = ("mutants", "killed", "timed out", "survived", "equivalent")
        width = max(map(len, [*counts, "file"]))
        yield "  ".join(["file".ljust(width), *columns])
        for file in sorted(counts, key=lambda file: (file == "all", file)):
            numbers = (str(counts[file][column]).rjust(len(column)) for column in columns)
            yield "  ".join([file.ljust(width), *numbers])
        for mutant in self.new:
            yield f"\nsurvived: {mutant.file}:{mutant.line}\n  {mutant.name}\n  was: {mutant.before}"
        for outcome in self.dead:
            yield f"\nlisted as equivalent, but {outcome.verdict}: {outcome.mutant.file}\n  {outcome.mutant.name}"
            yield f"  by {outcome.by}" if outcome.by else "  by no test"
        for name in self.gone:
            yield f"\nlisted as equivalent, but there is no such mutant: {name}"


# -------------------------------------------------------------------------------------------------------------- the run


@dataclass
class Module:
    """A module that is changed."""

    file: str
    source: str
    imported: Any


def modules_of(root: Path, package: str, paths: Iterable[str]) -> dict[str, Module]:
    """The modules of files and folders of a package, by their paths from its root."""
    chosen = [(root / path).resolve() for path in paths]
    files = sorted(file for path in chosen for file in (path.rglob("*.py") if path.is_dir() else [path]))
    modules = {}
    for file in files:
        path = file.relative_to(root)
        name = ".".join([package, *path.with_suffix("").parts]).removesuffix(".__init__")
        modules[path.as_posix()] = Module(path.as_posix(), file.read_text("utf-8"), import_module(name))
    return modules


@dataclass
class Run:
    """One run of the tool, and its exit status."""

    options: argparse.Namespace
    report: Report
    status: int = 2

    def __call__(self, tests: Tests) -> None:
        began = time.monotonic()
        without_shrinking()
        modules = modules_of(self.options.root, self.options.package, self.options.paths)
        mutants = [mutant for module in modules.values() for mutant in mutants_of(module.file, module.source)]
        self.report.gone = self.gone(modules, mutants)
        if self.options.sample:
            mutants = random.Random(self.options.seed).sample(mutants, min(self.options.sample, len(mutants)))
        say(f"{len(mutants)} mutants of {len(modules)} modules; {len(tests.items)} tests, run once as they are")
        reach: Reach = Fork(lambda: tests.reach(modules.values())).result()
        if reach.failed:
            say("These fail where nothing is changed:", *reach.failed, sep="\n  ")
            return
        for name in reach.imported:  # here once, and not in every copy
            with suppress(Exception):
                import_module(name)
        jobs, grace = self.options.jobs, self.options.grace
        for outcome in outcomes(mutants, tests, reach, modules, jobs=jobs, grace=grace):
            self.report.outcomes.append(outcome)
            done, mutant = len(self.report.outcomes), outcome.mutant
            if self.options.verbose or (outcome.verdict == "survived" and not self.report.is_known(mutant)):
                by = f", by {outcome.by}" if outcome.by else ""
                say(f"{outcome.verdict}: {mutant.file}:{mutant.line} {mutant.name}{by}")
            if done % 100 == 0 or done == len(mutants):
                say(f"{done} of {len(mutants)} after {time.monotonic() - began:.0f} s")
        say("", *self.report.lines(), sep="\n")
        self.status = 0 if self.report.passed else 1

    def gone(self, modules: Mapping[str, Module], mutants: Iterable[Mutant]) -> list[str]:
        """What is listed for these modules, or for a file that is no more, and is no mutant."""
        names = {(mutant.file, mutant.name) for mutant in mutants}
        known = [(file, name) for file, listed in self.report.known.items() for name in listed]
        looked_at = {file for file, _ in known if file in modules or not (self.options.root / file).exists()}
        return [f"{file}\n  {name}" for file, name in known if file in looked_at and (file, name) not in names]


def without_shrinking() -> None:
    """Hypothesis draws the same for every mutant, keeps nothing, is content with the first failure and has time."""
    from hypothesis import HealthCheck, Phase, settings  # pytest wants to be there first

    settings.register_profile(
        "mutants",
        database=None,
        derandomize=True,
        deadline=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=[HealthCheck.too_slow],
    )
    settings.load_profile("mutants")


def say(*lines: str, sep: str = " ") -> None:
    print(*lines, sep=sep, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("paths", nargs="*", default=["reference"], help="files or folders to change, from the root")
    parser.add_argument("--jobs", type=int, default=2, help="how many mutants are tried at a time (2)")
    parser.add_argument("--sample", type=int, metavar="N", help="N mutants at random instead of all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--verbose", action="store_true", help="say of every mutant what became of it")
    parser.add_argument(
        "--grace", type=float, default=10.0, help="seconds a mutant may take beside 3 times its tests (10)"
    )
    parser.add_argument("--root", type=Path, default=HERE.parents[1], help=argparse.SUPPRESS)
    parser.add_argument("--package", default="crosscheck", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.root = options.root.resolve()
    for path in options.paths:
        if not (options.root / path).exists():
            parser.error(f"expected files or folders in {options.root}; received {path}")
    survivors = options.root / "tests" / "mutation" / "survivors.toml"
    run = Run(options, Report(tomllib.loads(survivors.read_text("utf-8"))))
    tests = [f"tests/test_{name}.py" for name in TESTS] if options.package == "crosscheck" else ["tests"]
    os.chdir(options.root)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["PYTEST_DEBUG_TEMPROOT"] = folder
        status = pytest.main(
            ["-qq", "-s", "--tb=no", "-p", "no:cacheprovider", "-k", LEFT_OUT, *tests], plugins=[Tests(run)]
        )
    return run.status if status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) else 2


if __name__ == "__main__":
    sys.exit(main())
