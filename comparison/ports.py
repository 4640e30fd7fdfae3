"""Two recordings of a model, the second a port of the first: each tensor through the map, and what the map is worth."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..cases.tensors import identical
from ..porting.layouts import is_sum, rivals
from ..porting.maps import Entry, Map, arrays_of, through
from ..reference import CaseError, Operation, Trace
from ..reference.layers import Array
from ..reference.trace import Model, phase_of
from .agreement import Agreement, Diagnosis, Placed, SubjectAgreement, TensorAgreement, verdict_of
from .compare import Comparison, agreement_of, wanted
from .tolerance import Expected, Tolerance


@dataclass(frozen=True)
class Recorded:
    """A tolerance that two traces carry: how far rounding moved a tensor in each of them, by its name in the second."""

    ours: Mapping[str, float]
    theirs: Mapping[str, float]
    limit: float = 8.0

    def expect(self, trace: Trace, *, undecided: bool = False) -> dict[str, Expected]:
        return {name: Expected(np.asarray(trace[name]), self.sigma(name)) for name in trace}

    def sigma(self, name: str) -> float:
        """The rounding of both; what a run starts from has none, and what has no bound an infinite one."""
        if phase_of(name) == "initial":
            return 0.0
        return math.hypot(self.ours.get(name, math.inf), self.theirs.get(name, math.inf))

    def local(self, *args: Any, **options: Any) -> bool:
        return False


@dataclass(frozen=True)
class Laid:
    """The first model's tensors as the second has them, in the order in which the first made them."""

    tensors: Mapping[str, Array]
    origins: Mapping[str, str]
    """The name that each has in the first."""

    @classmethod
    def of(cls, map: Map, first: Trace) -> Laid:
        """All of them."""
        rows = [row for *_, rows in through(map, first) for row in rows]
        place = {name: number for number, name in enumerate([*first.given, *first.tensors])}
        rows.sort(key=lambda row: place[row[1].split(" + ")[0]])
        return cls({name: array for name, _, array in rows}, {name: origin for name, origin, _ in rows})


def compare_models(
    first: Trace,
    second: Trace,
    *,
    map: Map | None = None,
    only: Sequence[str] = (),
    show: Sequence[str] = (),
    tolerance: Tolerance | None = None,
) -> Agreement:
    """Hold a port against what it is a port of, tensor by tensor, through the map; without one the names are the same.

    Raises:
        CaseError: one of them is of a case; the map does not fit them; they did not start from the same inputs.
    """
    models = required(first, second)
    map = (map or same_names(first, second)).completed(first, second)
    map.require_fitting(first, second)
    require_same_inputs(map, first, second)
    laid = Laid.of(map, first)
    own = {name: array for name, array in {**second.given, **second.tensors}.items() if name in laid.tensors}
    operations = [
        Operation(f"{origin} of {first.source}", phase_of(name), own_name(origin), (), (name,))
        for name, origin in laid.origins.items()
    ]
    baseline = replace(first, tensors=dict(laid.tensors), operations=operations)
    found = tolerance or Recorded(
        {name: max_of(models[0].rounding, origin) for name, origin in laid.origins.items()}, models[1].rounding
    )
    comparison = Comparison(baseline, found, only, show)
    subject = comparison.of(replace(second, tensors=own))
    lacking = [one for one in not_given(map, laid, first, second) if wanted(only, one.name)]
    tensors = (*subject.tensors, *lacking)
    proofs = Proofs(map, laid, second, comparison)
    subject = replace(subject, tensors=tensors, verdict=verdict_of(tensors), diagnosis=tuple(proofs.diagnoses(subject)))
    agreement = agreement_of(None, {second.source: subject}, comparison)
    return replace(
        agreement,
        case=models[0].name,
        dtype=models[0].dtype,
        steps=models[0].steps,
        placed=tuple(proofs.placed()),
        alone={trace.source: tuple(names) for trace, names in alone(map, first, second) if names},
    )


def same_names(first: Trace, second: Trace) -> Map:
    """The map of two recordings of one model, which have names in common.

    Raises:
        CaseError: they have none.
    """
    found = Map.of_same_names(first, second)
    if trained(first) and not found.parameters:
        expected = (
            f"parameters of the names that {first.source} has, or a map (crosscheck compare --suggest writes one)"
        )
        raise CaseError(expected, "none of them, and no map", key="map", file=second.source)
    return found


def required(first: Trace, second: Trace) -> tuple[Model, Model]:
    """The models of two traces, recorded alike.

    Raises:
        CaseError: one has none, or they were recorded in other ways.
    """
    if first.model is None or second.model is None:
        bare = first if first.model is None else second
        raise CaseError("two traces that record_module made", "one of a case", key="model", file=bare.source)
    for key in ("dtype", "steps"):
        if (one := getattr(first.model, key)) != (other := getattr(second.model, key)):
            raise CaseError(f"what {first.source} was recorded with, {one!r}", repr(other), key=key, file=second.source)
    return first.model, second.model


def require_same_inputs(map: Map, first: Trace, second: Trace) -> None:
    """Raise CaseError, naming the first input that differs, unless both models had the same inputs and targets."""
    ours, theirs = arrays_of(first)["inputs"], arrays_of(second)["inputs"]
    had: dict[str, Array] = {}
    for entry in map.inputs:
        had |= zip(entry.second, entry.of([ours[name] for name in entry.first]), strict=True)
    placed = {name for entry in map.inputs for name in entry.first}
    for name in [*(name for name in ours if name not in placed), *(name for name in theirs if name not in had)]:
        expected = f"the inputs of {first.source}, and a map that has each of them"
        raise CaseError(expected, f"{name!r} in one of both only", key=f"0/data/{name}", file=second.source)
    for name, array in had.items():
        if not identical(np.ascontiguousarray(array), theirs[name]):
            expected = f"the array that {first.source} started from"
            raise CaseError(expected, "another", key=f"0/data/{name}", file=second.source)


def max_of(rounding: Mapping[str, float], origin: str) -> float:
    """The rounding of what was made of some tensors: the largest of theirs."""
    return max(rounding.get(name, math.inf) for name in origin.split(" + "))


def own_name(origin: str) -> str:
    """What was made of which tensors, without their step and phase: ``conv.weight``."""
    return " + ".join(name.split("/", 2)[2] for name in origin.split(" + "))


def alone(map: Map, first: Trace, second: Trace) -> Iterator[tuple[Trace, list[str]]]:
    """Outputs and buffers that one of both has and the map does not: frameworks part models as they like."""
    for trace, side in ((first, "first"), (second, "second")):
        told = {name for entry in (*map.outputs, *map.parameters) for name in getattr(entry, side)}
        arrays = arrays_of(trace)
        buffers = [name for name in arrays["parameters"] if name not in trained(trace)]
        yield trace, [name for name in (*arrays["outputs"], *buffers) if name not in told]


def trained(trace: Trace) -> set[str]:
    """The parameters of a model: what is initial and no buffer, which has a state."""
    return {name for name in arrays_of(trace)["parameters"] if f"0/state/{name}" not in trace.tensors}


def not_given(map: Map, laid: Laid, first: Trace, second: Trace) -> Iterator[TensorAgreement]:
    """What one of both lacks: a parameter that is not in the map, or a gradient that a framework did not give."""
    sums = {name for entry in map.parameters if is_sum(entry.layout) for name in (*entry.first, *entry.second)}
    used = {name for origin in laid.origins.values() for name in origin.split(" + ")}
    for trace, side, known in ((first, "first", used), (second, "second", {*laid.tensors})):
        entries = (*map.inputs, *map.outputs, *map.parameters)
        expected = trained(trace) | {name for entry in entries for name in getattr(entry, side)}
        for name, array in {**trace.given, **trace.tensors}.items():
            phase, own = name.split("/", 2)[1:]
            if name in known or phase == "data" or own not in expected:
                continue
            of_two = own in sums and phase == "update"
            yield TensorAgreement(
                name,
                phase,
                "",
                "sum of two" if of_two else f"in {trace.source} alone",
                array.shape,
                trace.dtype_of(name),
                verdict="not given",
                required=not of_two,
                failed="present",
            )


# -------------------------------------------------------------------------------------------------------------- proofs


@dataclass(frozen=True)
class Proofs:
    """What there is for and against each entry of the map that is of parameters.

    Its weights must be equal, element by element, and its gradients agree. And no other layout of that shape, and no
    other parameter, may fit as well: then the numbers are too symmetric to tell.
    """

    map: Map
    laid: Laid
    second: Trace
    comparison: Comparison

    def placed(self) -> Iterator[Placed]:
        """Each entry with what is known of it."""
        for entry in self.map.parameters:
            why = self.unproven(entry)
            yield Placed(entry.text, not why, why)

    def unproven(self, entry: Entry) -> str:
        """Why an entry is not proven; nothing where it is."""
        if not self.fits("initial", entry, self.expected("initial", entry)):
            return "the weights are not equal"
        witness = "gradient" if self.has("gradient", entry) else "state"
        if not self.has(witness, entry):
            return "it has no gradient in both, so nothing shows how it is used"
        expected = self.expected(witness, entry)
        if not self.fits(witness, entry, expected):
            return f"its {witness} disagrees"
        if witness == "gradient" and self.fits(witness, entry, [np.zeros_like(array) for array in expected]):
            return "its gradient is 0, so nothing shows how it is used"
        if other := next(self.others(entry, witness), ""):
            return f"{other} fits as well"
        return ""

    def others(self, entry: Entry, witness: str) -> Iterator[str]:
        """The layouts, and the parameters, that fit as well as those of the entry."""
        weights, witnesses = self.expected("initial", entry), self.expected(witness, entry)
        for other in self.map.parameters:
            if other is not entry and len(other.second) == len(entry.second) and self.has(witness, other):
                same = self.fits("initial", entry, self.expected("initial", other))
                if same and self.fits(witness, entry, self.expected(witness, other)):
                    yield " + ".join(other.first)
        if are_distinct(weights):
            return
        for rival in rivals([array.shape for array in weights]):
            if self.fits("initial", entry, rival.applied(weights)) and self.fits(
                witness, entry, rival.applied(witnesses)
            ):
                yield rival.text

    def diagnoses(self, subject: SubjectAgreement) -> Iterator[Diagnosis]:
        """Of each entry whose weights are not equal, how they would be, if in any of the known ways."""
        judged = {tensor.name for tensor in subject.tensors if tensor.verdict == "disagree"}
        for entry in self.map.parameters:
            names = [f"0/initial/{name}" for name in entry.second]
            if judged.isdisjoint(names):
                continue
            weights = self.expected("initial", entry)
            others = (other for other in self.map.parameters if other is not entry)
            swapped = (
                " + ".join(other.first)
                for other in others
                if len(other.second) == len(entry.second)
                and self.fits("initial", entry, self.expected("initial", other))
            )
            fitting = (
                r.text for r in rivals([a.shape for a in weights]) if self.fits("initial", entry, r.applied(weights))
            )
            if cause := next(swapped, ""):
                evidence = f"these are the weights of {cause}, bit for bit, and not those that the map says"
                yield Diagnosis(entry.text, "another parameter", evidence, "signature")
            elif cause := next(fitting, ""):
                evidence = f"the weights are equal, bit for bit, after {cause} on top of what the map says"
                yield Diagnosis(entry.text, "another layout", evidence, "signature")
            else:
                yield Diagnosis(entry.text, "unknown", "the weights are equal in no layout that was tried", "unknown")

    def has(self, phase: str, entry: Entry) -> bool:
        """Whether both have a tensor of this phase for the whole entry."""
        names = [f"0/{phase}/{name}" for name in entry.second]
        return all(name in self.laid.tensors and name in self.all for name in names)

    @property
    def all(self) -> Mapping[str, Array]:
        """Every tensor of the second."""
        return {**self.second.given, **self.second.tensors}

    def expected(self, phase: str, entry: Entry) -> list[Array]:
        """What the map says of this phase."""
        return [self.laid.tensors[f"0/{phase}/{name}"] for name in entry.second]

    def fits(self, phase: str, entry: Entry, expected: Sequence[Array]) -> bool:
        """Whether the second has these numbers, but for rounding."""
        for name, array in zip(entry.second, expected, strict=True):
            full = f"0/{phase}/{name}"
            given = self.all[full]
            if array.shape != given.shape:
                return False
            sigma = 0.0 if phase == "initial" else self.comparison.expected[full].sigma
            with np.errstate(all="ignore"):
                near = np.abs(array - given) <= self.comparison.tolerance.limit * np.asarray(sigma)
            if not np.all(near | (array == given)):
                return False
        return True


def are_distinct(arrays: Sequence[Array]) -> bool:
    """Whether each element is another number: then no other order of them is equal."""
    flat = np.concatenate([array.reshape(-1) for array in arrays])
    return bool(np.unique(flat).size == flat.size)
