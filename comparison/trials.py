"""The checker checked: known faults are planted and correct runs made, and what the comparison says of them is kept.

A trial is one fault or one convention at one site of a case, in one dtype. *Visible*: in float64 some tensor differs
from the right one by more than rounding, whatever any tolerance says. *Detected*: the verdict is ``disagree``.
*Localised*: what fails is made by the fault, and nothing else. *Named*: the diagnosis of every operation that fails
lists the fault. A convention must be called one, and never a fault.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from multiprocessing import get_context, parent_process
from typing import Any, Literal, TypeAlias, TypeVar

import numpy as np

from ..adapters import Adapter, load_adapter
from ..cases.random import mixed_case
from ..faults import Fault, conventions_of, faults_of
from ..reference import Case, Trace
from .compare import Comparison
from .coverage import Coverage, Watched
from .rules import refused
from .running import run
from .tolerance import Computed
from .verdicts import HARMLESS

FLOAT64_ROUNDINGS = 1e-12, 1e-13
"""Of the largest element, and at least: by how much two correct float64 runs of a small network may differ."""

DETECTED_IN_FLOAT32, NAMED = 0.95, 0.95
"""The share of visible faults that must be found in float32, and of those found that must be named."""


Kind: TypeAlias = Literal["fault", "convention"]
Progress: TypeAlias = Callable[[str], None]
R = TypeVar("R")


@dataclass(frozen=True)
class Trial:
    """One fault, or one convention other than the case's, and what was said of it."""

    kind: Kind
    name: str
    site: str
    number: int | None
    case: str
    dtype: str
    visible: bool
    detected: bool
    localised: bool
    named: bool
    said: tuple[str, ...]
    """The causes that were given, as ``KIND: CAUSE``, each once."""
    refused: Mapping[str, bool] = field(default_factory=dict)
    """Whether each of the other rules refuses it."""


@dataclass(frozen=True)
class CorrectRun:
    """One case in a framework, where nothing is wrong, and what was said of it."""

    case: str
    subject: str
    dtype: str
    verdict: str
    about: str
    """The tensor at which it first diverges, or why nothing could be compared."""
    sigmas: float
    """The largest distance of a tensor from what its operation should make of the subject's own inputs."""
    refused: Mapping[str, bool] = field(default_factory=dict)

    @property
    def compared(self) -> bool:
        """Whether every tensor was there to compare, and could be."""
        return self.verdict not in ("unsupported", "not compared")

    @property
    def alarm(self) -> bool:
        """Whether a fault was seen where there is none."""
        return self.compared and self.verdict not in HARMLESS


@dataclass
class Trials:
    """Everything that was tried."""

    trials: list[Trial] = field(default_factory=list)
    correct: list[CorrectRun] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)

    def of(self, kind: str, dtype: str | None = None) -> list[Trial]:
        """The trials of faults or of conventions, in one dtype or in all."""
        return [trial for trial in self.trials if trial.kind == kind and dtype in (None, trial.dtype)]

    @property
    def dtypes(self) -> list[str]:
        """The dtypes that faults were planted in."""
        return list(dict.fromkeys(trial.dtype for trial in self.trials))

    def visible_in(self) -> dict[str, dict[str, bool]]:
        """Which built-in case can reveal which fault: by the fault's name and the case's, where it can happen."""
        matrix: dict[str, dict[str, bool]] = {}
        for trial in self.of("fault"):
            row = matrix.setdefault(trial.name, {})
            row[trial.case] = row.get(trial.case, False) or trial.visible
        return matrix

    def gates(self) -> list[tuple[str, bool]]:
        """What must hold, and whether it does."""
        gates = []
        for dtype in self.dtypes:
            visible = [trial for trial in self.of("fault", dtype) if trial.visible]
            found = [trial for trial in visible if trial.detected]
            least = 1.0 if dtype == "float64" else DETECTED_IN_FLOAT32 if dtype == "float32" else 0.0
            gates += [
                (f"{dtype}: {len(found)} of {len(visible)} visible faults detected", share(found, visible) >= least),
                tally(f"{dtype}: %d of %d detected faults localised", found, "localised", 1.0),
                tally(f"{dtype}: %d of %d detected faults named", found, "named", NAMED),
            ]
            conventions = [trial for trial in self.of("convention", dtype) if trial.detected]
            called = [trial for trial in conventions if any(said.startswith("fault") for said in trial.said)]
            gates.append((f"{dtype}: {len(called)} of {len(conventions)} conventions called a fault", not called))
        compared = [one for one in self.correct if one.compared]
        alarms = [one for one in compared if one.alarm]
        if self.correct:
            gates.append((f"{len(alarms)} false alarms in {len(compared)} correct runs", not alarms and bool(compared)))
        return gates

    @property
    def ok(self) -> bool:
        """Whether everything holds that must."""
        return all(holds for _, holds in self.gates())


def share(some: Sequence[Any], of: Sequence[Any]) -> float:
    """The share of some things among others; of nothing, all."""
    return len(some) / len(of) if of else 1.0


def tally(text: str, trials: Sequence[Trial], what: str, least: float) -> tuple[str, bool]:
    """A gate: for how many of the trials it is so, and whether that is enough."""
    so = [trial for trial in trials if getattr(trial, what)]
    return text % (len(so), len(trials)), share(so, trials) >= least


# --------------------------------------------------------------------------------------------------------------- faults


def planted(case: Case, dtype: str, *, sites: int = 0, progress: Progress = lambda what: None) -> Iterator[Trial]:
    """Plant every fault and every other convention of a case in a dtype, at every site or at so many of each."""
    bench = Bench(replace(case, dtype=dtype))
    for fault in first(faults_of(bench.case), sites):
        progress(f"{case.name}, {dtype}: {fault}")
        yield bench.plant(fault)
    for convention in first(conventions_of(bench.case), sites):
        progress(f"{case.name}, {dtype}: {convention}")
        yield bench.plant(convention, "convention")


@dataclass
class Bench:
    """A case to plant faults in; what all of its trials need is computed once."""

    case: Case

    @cached_property
    def comparison(self) -> Comparison:
        """What holds a faulty run against the right one."""
        return Comparison(run(self.case), Computed())

    @cached_property
    def wide(self) -> Trace:
        """The right run in float64."""
        return run(replace(self.case, dtype="float64"))

    def visible(self, fault: Fault) -> bool:
        """Whether a float64 run with the fault differs from the right one by more than rounding."""
        assert self.wide.case is not None
        faulty = run(self.wide.case, fault.start, str(fault))
        return any(apart(self.wide[name], faulty.tensors.get(name)) for name in self.wide)

    def plant(self, fault: Fault, kind: Kind = "fault") -> Trial:
        """Run the case with a fault, or with another convention, and compare."""
        right, faulty = self.comparison.baseline, run(self.case, fault.start, str(fault))
        found = self.comparison.of(faulty)
        # What the right run does not have, as a slot of another name, is made by an operation of the faulty one.
        makers = {name: operation.name for operation in faulty.operations for name in operation.outputs}
        disagree = [tensor for tensor in found.tensors if tensor.verdict == "disagree"]
        failing = {tensor.operation or makers[tensor.name] for tensor in disagree}
        makes = {operation.name for operation in right.operations if fault.makes(operation)}
        naming = {one.operation for one in found.diagnosis if (one.kind, one.cause) == (kind, fault.name)}
        return Trial(
            kind=kind,
            name=fault.name,
            site=fault.site,
            number=fault.number,
            case=self.case.name,
            dtype=self.case.dtype,
            visible=self.visible(fault),
            detected=found.verdict == "disagree",
            localised=bool(failing) and failing <= makes,
            named=bool(failing) and failing <= naming,
            said=tuple(dict.fromkeys(f"{one.kind}: {one.cause}" for one in found.diagnosis)),
            refused=refused(right, faulty),
        )


def first(faults: Iterable[Fault], sites: int) -> list[Fault]:
    """The faults at the first so many sites of each; at all, where it is 0."""
    kept: dict[str, list[Fault]] = {}
    for fault in faults:
        kept.setdefault(fault.name, []).append(fault)
    return [fault for found in kept.values() for fault in found[: sites or None]]


def apart(right: Any, other: Any) -> bool:
    """Whether a tensor is missing, misshapen or another one."""
    if other is None or np.shape(other) != np.shape(right):
        return True
    relative, least = FLOAT64_ROUNDINGS
    allowed = max(relative * float(np.abs(right).max(initial=0)), least)
    return not np.all(np.isclose(other, right, rtol=0, atol=allowed, equal_nan=True))


# --------------------------------------------------------------------------------------------------------- correct runs


def correct_runs(
    seeds: Iterable[int], subject: str, dtype: str, *, progress: Progress = lambda what: None
) -> tuple[list[CorrectRun], Coverage]:
    """Random networks in a framework, in every dtype the same ones, and how far they stray.

    Where an input lies at a kink exactly, as it soon does where few digits are left, the framework's convention counts.

    Raises:
        NotInstalled: the framework is not there.
    """
    adapter, coverage, runs = load_adapter(subject), Coverage(), []
    for seed in seeds:
        case = adapter.followed(mixed_case(seed, dtype=dtype))
        progress(f"{case.name}, {dtype}: {subject}")
        if reason := adapter.unsupported(case):
            runs.append(CorrectRun(case.name, subject, dtype, "unsupported", reason, 0.0))
            continue
        baseline = run(case)
        watched = Watched(coverage, baseline.operations, subject)
        runs.append(correct_run(case, Comparison(baseline, watched), adapter))
    return runs, coverage


def correct_run(case: Case, comparison: Comparison, adapter: Adapter) -> CorrectRun:
    """One of them."""
    try:
        trace = adapter.record(case)
    except Exception as error:
        return CorrectRun(case.name, adapter.name, case.dtype, "crashed", f"{type(error).__name__}: {error}", 0.0)
    found = comparison.of(trace)
    local = [tensor.local_sigmas for tensor in found.tensors if tensor.local_sigmas is not None]
    worst, others = max(local, default=0.0), refused(comparison.baseline, trace)
    return CorrectRun(case.name, adapter.name, case.dtype, found.verdict, found.first_divergence or "", worst, others)


# ------------------------------------------------------------------------------------------------------------ the whole


def everything(
    cases: Sequence[Case],
    dtypes: Sequence[str],
    networks: Mapping[str, int],
    *,
    correct_in: Sequence[str] = (),
    sites: int = 0,
    jobs: int = 1,
    progress: Progress = lambda what: None,
) -> Trials:
    """Every fault of the cases, and of each framework so many correct runs, in each dtype; in so many processes.

    Correct runs are made in the dtypes of ``correct_in``, if it names any.
    """
    trials = Trials()
    portions = [
        (subject, dtype, range(start, min(start + PORTION, number)))
        for subject, number in networks.items()
        for dtype in correct_in or dtypes
        for start in range(0, number, PORTION)
    ]
    with ExitStack() as stack:
        workers = partial(ProcessPoolExecutor, jobs, get_context("spawn"), initializer=end_with_parent)
        pool = stack.enter_context(workers()) if jobs > 1 else None

        def told(what: str, function: Callable[..., R], *arguments: Any) -> Callable[[], R]:
            return done_by(pool, partial(progress, what), function, *arguments)

        # What takes longest first.
        correct = [
            told(f"{subject}, {dtype}, random networks from {seeds.start}", correct_runs, seeds, subject, dtype)
            for subject, dtype, seeds in portions
        ]
        faulty = [told(f"{case.name}, {dtype}", all_planted, case, dtype, sites) for dtype in dtypes for case in cases]
        for planted_ones in faulty:
            trials.trials += planted_ones()
        for result in correct:
            runs, coverage = result()
            trials.correct += runs
            trials.coverage.merge(coverage)
    return trials


PORTION = 20
"""How many random networks a process takes at a time."""


def end_with_parent() -> None:
    """Have this process end when the one that started it does, were it killed: nobody would tell it otherwise."""
    parent = parent_process()

    def wait() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def all_planted(case: Case, dtype: str, sites: int) -> list[Trial]:
    """What ``planted`` yields, as a list."""
    return list(planted(case, dtype, sites=sites))


def done_by(
    pool: ProcessPoolExecutor | None, tell: Callable[[], None], function: Callable[..., R], *arguments: Any
) -> Callable[[], R]:
    """The result of a call, when it is asked for; in another process, where there is a pool, which tells at its end."""
    if pool:
        future = pool.submit(function, *arguments)
        future.add_done_callback(lambda _: tell())
        return future.result

    def here() -> R:
        tell()
        return function(*arguments)

    return here
