"""Adapters without a framework: the reference's own tensors, right or with a mistake. Imported, they are registered."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from crosscheck.adapters import ADAPTERS, Adapter, Entry
from crosscheck.comparison.running import run
from crosscheck.faults import faults_of
from crosscheck.faults import record as planted
from crosscheck.reference import Case, Trace
from crosscheck.reference.dtypes import DTYPES

FAULT = "diagonal_jacobian"


class Right(Adapter):
    """The reference's tensors as a framework would hand them back. It writes down what it runs."""

    name = "right"
    dtypes = frozenset(DTYPES)
    parts = {}  # noqa: RUF012 - as the adapters have it

    def environment(self, device: str) -> dict[str, Any]:
        return {"version": "1.0", "device": device}

    def devices(self) -> tuple[str, ...]:
        return ("cpu",)

    def unsupported(self, case: Case, device: str = "cpu") -> str:
        return self.problem()

    def run(self, case: Case, device: str) -> Trace:
        with Path("runs.txt").open("a") as file:
            file.write(f"{case.name} {case.dtype} {self.name} {os.getpid()}\n")
        made = self.made(case)
        return Trace(tensors=made.tensors, dtypes=made.dtypes)

    def made(self, case: Case) -> Trace:
        return run(case)


class Wrong(Right):
    """The backward of softmax without what is off the diagonal of its Jacobian."""

    name = "wrong"

    def made(self, case: Case) -> Trace:
        return planted(case, next(fault for fault in faults_of(case) if fault.name == FAULT))


class Limited(Right):
    """A framework that lacks something."""

    name = "limited"

    def unsupported(self, case: Case, device: str = "cpu") -> str:
        return f"limited has no {case.nodes[0].layer.kind!r}"


class Broken(Right):
    """A framework that fails."""

    name = "broken"

    def made(self, case: Case) -> Trace:
        raise RuntimeError("out of luck")


class Unusable(Right):
    """One that is installed and cannot run anything."""

    name = "unusable"

    def problem(self) -> str:
        return "unusable needs a compiler"


class Compiled(Unusable):
    """Another way of running something, which has a name of its own."""

    name = "right.compiled"


for double in (Right, Wrong, Limited, Broken, Unusable, Compiled):
    ADAPTERS[double.name] = Entry("doubles", double.__name__, (), "")
for name in ("absent", "absent.compiled"):
    ADAPTERS[name] = Entry("doubles", "", ("not_to_be_found",), "absent")
