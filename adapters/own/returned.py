"""Reads what a user's training step returns into a trace, and refuses what the case does not have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np

from ...reference import Case, Trace
from ...reference.errors import CaseError, listed
from ...reference.layers import Array
from ...reference.step import run
from .arrays import keep, kind_of, left_out

PHASES = {
    "outputs": "forward",
    "loss": "forward",
    "statistics": "state",
    "backward": "backward",
    "gradients": "gradient",
    "clipped": "clipped",
    "optimizer_state": "state",
    "weights": "update",
}
"""The keys of what a step returns, and the phase of the tensors under each."""

KEYS = (*PHASES, "micro_batches", "state")


class Reader:
    """Reads one step after the other. ``after`` holds the weights and statistics that the last one came to.

    Raises:
        CaseError: a key or a name that there is not, or what is no array.
    """

    def __init__(self, case: Case, trace: Trace) -> None:
        self.case = case
        self.trace = trace
        self.names = names_of(case)
        self.after: dict[str, Array] = {}

    def read(self, made: Mapping[str, Any], number: int, weights: Mapping[str, Any]) -> None:
        """What a step returned, that started from these weights."""
        self.after = {}
        self.read_keys(made, str(number), "")
        parts = made.get("micro_batches")
        if not left_out(parts):
            self.read_parts(parts, number)
        updated = made.get("weights")
        if not left_out(updated):
            self.read_weights(self.mapping(updated, "weights"), number, weights)

    def read_parts(self, parts: Any, number: int) -> None:
        """What it returned of each micro-batch."""
        places = self.case.places(number) if self.case.micro_batches > 1 else ()
        if not isinstance(parts, list | tuple) or len(parts) != len(places):
            size = f" of {len(parts)}" if isinstance(parts, list | tuple) else ""
            wanted = f"a list of {len(places)} mappings" if places else "nothing, for the case has no micro-batches"
            raise CaseError(wanted, f"{kind_of(parts)}{size}", key="micro_batches")
        for index, (place, part) in enumerate(zip(places, parts, strict=True)):
            where = f"micro_batches.{index}"
            self.read_keys(self.mapping(part, where), place, f"{where}.")

    def read_keys(self, made: Mapping[str, Any], place: str, where: str) -> None:
        """Everything but the weights."""
        for key, value in made.items():
            if key not in KEYS:
                raise CaseError(f"one of the keys {', '.join(KEYS)}", repr(key), key=where.removesuffix("."))
            if key in PHASES and key != "weights" and not left_out(value):
                named = {"loss": value} if key == "loss" and not isinstance(value, Mapping) else value
                for name, array in self.mapping(named, where + key).items():
                    self.check_name(name, self.names.get(place.partition(".")[2], {}).get(key, ()), where + key)
                    self.keep(f"{place}/{PHASES[key]}/{name}", array, f"{where}{key}.{name}")
                    if key == "statistics" and not left_out(array):
                        self.after[name] = array

    def read_weights(self, updated: Mapping[str, Any], number: int, before: Mapping[str, Any]) -> None:
        """The weights after a step. One that is not trained only matters if it is no longer what it was."""
        for name, value in updated.items():
            self.check_name(name, self.case.weights, "weights")
            if left_out(value):
                continue
            self.after[name] = value
            trained, parameter = name in self.case.trained, name in self.case.parameters
            if trained or not same(value, before[name]):
                phase = "update" if parameter else "state"
                self.keep(f"{number}/{phase}/{name}", value, f"weights.{name}")

    def keep(self, name: str, value: Any, where: str) -> None:
        """One tensor, unless it was left out."""
        if not left_out(value):
            keep(self.trace, name, value, self.case.dtype, where)

    def check_name(self, name: object, known: Collection[str], where: str) -> None:
        """Raise CaseError unless a name is one of those that the case has there."""
        if name not in known:
            raise CaseError(f"one of the names that the case has there: {listed(known)}", repr(name), key=where)

    def mapping(self, value: Any, where: str) -> Mapping[str, Any]:
        """The value, which must be a mapping."""
        if not isinstance(value, Mapping):
            what = "nothing (is a return missing?)" if value is None else kind_of(value)
            raise CaseError("a mapping", what, key=where)
        return value


def same(value: Any, before: Any) -> bool:
    """Whether an array is what it was, bit for bit."""
    return value is before or np.asarray(value).tobytes() == np.asarray(before).tobytes()


def names_of(case: Case) -> dict[str, dict[str, set[str]]]:
    """The names that a case has under each key: of a micro-batch, by its number, and under ``""`` of the step."""
    names: dict[str, dict[str, set[str]]] = {}
    losses = {"loss", *(term.name for term in case.losses)}
    for operation in run(case.with_steps(1), hook=lambda trace: trace.keep).operations:
        for tensor in operation.outputs:
            place, phase, name = tensor.split("/", 2)
            if phase == "forward":
                key = "loss" if name in losses else "outputs"
            elif phase == "state":
                key = "optimizer_state" if operation.phase == "update" else "statistics"
            else:
                key = next(key for key, of in PHASES.items() if of == phase)
            names.setdefault(place.partition(".")[2], {}).setdefault(key, set()).add(name)
    return names
