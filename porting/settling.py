"""A map tried out on the port itself: where it goes wrong, the other layouts of the same shapes, until one fits."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import numpy as np

from ..reference import Trace
from ..reference.errors import CaseError
from ..reference.layers import Array
from ..reference.trace import Model
from ..traces import load_trace
from .layouts import MOST_BLOCKS, Step, rivals
from .maps import Entry, Map, arrays_of, through
from .recording import recorder_of, rounded, start_of, trace_of, with_weights
from .suggesting import Suggestion

NEAR = 1e-5
"""Outputs that differ by less, of the largest element, are of the same layout: a wrong one moves them by far more."""

Change = tuple[str, dict[int, Entry]]
"""What is changed, in words, and the entries that take the place of others."""


def settle_map(
    module: Any,
    inputs: Any,
    *,
    weights: Trace | str | os.PathLike[str],
    map: Map | str | os.PathLike[str],
    loss: Callable[..., Any],
    targets: Any = None,
    parameters: Any = None,
) -> Suggestion:
    """Try out what shapes leave open; see ``crosscheck.settle_map``."""
    first = weights if isinstance(weights, Trace) else load_trace(weights)
    if first.model is None:
        raise CaseError("a trace that record_module made", "one of a case", key="weights")
    found = map if isinstance(map, Map) else Map.load(map)
    recorder = recorder_of(module, parameters, loss, None)
    start = start_of(recorder, inputs, targets)

    def outputs(tried: Map) -> Trace:
        given = rounded(with_weights(start, first, tried), "float64")
        ran = recorder.run(given, "float64", 1)
        return trace_of(recorder, given, ran, Model(recorder.name, "float64", 1, ran.precision, dict(recorder.kinds)))

    second = outputs(found)
    completed = found.completed(first, second)
    completed.require_fitting(first, second)
    settled = Settling(first, outputs, completed)
    notes: dict[str, list[str]] = {}
    while change := settled.step():
        told, changed = change
        for place in changed:
            notes.setdefault(f"parameters.{place}", []).append(f"found by trying: {told}")
    result = Suggestion(replace(found, parameters=settled.map.parameters), notes)
    if name := settled.first_off(outputs(settled.map)):
        result.remarks.append(f"no layout that was tried makes {name} agree")
    return result


class Settling:
    """A map that is changed as long as the outputs of the port agree further for it."""

    def __init__(self, first: Trace, outputs: Callable[[Map], Trace], map: Map) -> None:
        self.first, self.outputs, self.map = first, outputs, map
        forward = [row for section, _, phase, rows in through(map, first) for row in rows if phase == "0/forward"]
        order = {name: place for place, name in enumerate(first)}
        self.expected = sorted(forward, key=lambda row: order[row[1]])

    def first_off(self, second: Trace) -> str:
        """The first output of the port that does not agree; nothing where all do."""
        off = (name for name, _, right in self.expected if not is_near(right, second.tensors[name]))
        return next(off, "")

    def place_of(self, name: str) -> int:
        """Where an output stands in the order of computation; behind all of them, where there is none."""
        names = [one for one, _, _ in self.expected]
        return names.index(name) if name else len(names)

    def step(self) -> Change | None:
        """Make the change by which the outputs agree furthest, if there is one."""
        second = self.outputs(self.map)
        off = self.first_off(second)
        reached = self.place_of(off)
        best: Change | None = None
        best_map = self.map
        for change in self.changes(off, second) if off else ():
            entries = {**dict(enumerate(self.map.parameters)), **change[1]}
            tried = replace(self.map, parameters=tuple(entries.values()))
            place = self.place_of(self.first_off(self.outputs(tried)))
            if place > reached:
                best, best_map, reached = change, tried, place
        self.map = best_map
        return best

    def changes(self, off: str, second: Trace) -> Iterator[Change]:
        """What could be otherwise where an output is off: the parts of all parameters there, then each one alone."""
        path = off.split("/", 2)[2].partition(":")[0].partition("#")[0]
        shapes = {name: array.shape for name, array in arrays_of(second)["parameters"].items()}
        entries = dict(enumerate(self.map.parameters))
        there = {n: one for n, one in entries.items() if all(name.startswith(f"{path}.") for name in one.second)}
        there = there or {n: one for n, one in entries.items() if all(is_within(one, off, self.expected))} or entries
        for count in range(2, MOST_BLOCKS + 1):
            for order in list(permutations(range(count)))[1:]:
                for size in dict.fromkeys(parts_of(entry, shapes) for entry in there.values()):
                    alike = {place: entry for place, entry in there.items() if parts_of(entry, shapes) == size}
                    moved = {place: in_order(entry, order, shapes) for place, entry in alike.items()}
                    changed = {place: entry for place, entry in moved.items() if entry}
                    if changed:
                        yield f"{count} parts in the order {list(order)}", changed
        for place, entry in there.items():
            for rival in rivals([shapes[name] for name in entry.second]):
                names = [entry.second[number] for number in np.argsort(rival.exchanged)]
                b = names[0] if len(names) == 1 else names
                yield rival.text, {place: Entry(a=entry.a, b=b, layout=[*entry.layout, *rival.layout])}


def is_within(entry: Entry, off: str, expected: Sequence[tuple[str, str, Array]]) -> Iterator[bool]:
    """Of each of an entry's parameters in the first model whether it is of the submodule whose output is off."""
    origin = next(origin for name, origin, _ in expected if name == off)
    path = origin.split("/", 2)[2].partition(":")[0].partition("#")[0]
    yield from (name.startswith(f"{path}.") for name in entry.first)


def parts_of(entry: Entry, shapes: dict[str, tuple[int, ...]]) -> tuple[int, int]:
    """What entries have in common whose parts stand in one order: how many names, or the size of the last axis."""
    shape = shapes[entry.second[0]]
    return len(entry.second), shape[-1] if shape and len(entry.second) == 1 else 0


def in_order(entry: Entry, order: Sequence[int], shapes: dict[str, tuple[int, ...]]) -> Entry | None:
    """An entry with its parts in another order: those that have names of their own, or blocks along the last axis that
    has them; None where it has no such parts.
    """
    if len(entry.second) == len(order):
        return Entry(a=entry.a, b=[entry.second[place] for place in order], layout=list(entry.layout))
    shape = shapes[entry.second[0]]
    if len(entry.second) > 1 or not shape or shape[-1] % len(order):
        return None
    return Entry(a=entry.a, b=entry.b, layout=[*entry.layout, Step(order=list(order), axis=len(shape) - 1)])


def is_near(one: Array, other: Array) -> bool:
    """Whether two outputs are of the same layout."""
    if one.shape != other.shape:
        return False
    with np.errstate(all="ignore"):
        apart, size = np.abs(one - other), np.max(np.abs(one[np.isfinite(one)]), initial=0)
        return bool(np.all((apart <= NEAR * size) | (one == other) | (np.isnan(one) & np.isnan(other))))
