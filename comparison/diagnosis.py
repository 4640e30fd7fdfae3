"""Why an operation fails: conventions and known faults, replayed on the subject's own inputs to it.

A cause is named only if its replay agrees with what the subject made of an operation, where the right operation does
not. What fits a convention that the operation declares is called a convention, not a fault. If several causes fit, all
are listed: on this data they cannot be told apart. If none does, a few algebraic signatures are tried, and otherwise
the cause is unknown.

What a subject did not give is computed, so that an operation that takes it is judged together with those that made it:
its extent. The mistake may be in any of them, and shows in every tensor behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from ..faults.base import Fault
from ..reference import Case, Operation
from ..reference.dtypes import limits
from ..reference.layers import Array
from .agreement import Diagnosis
from .replaying import FitsTensor, reduced, replay
from .tolerance import Expected

Kind: TypeAlias = Literal["fault", "convention", "signature", "unknown"]

FEW_ROUNDINGS = 64
"""Within how many roundings of its largest element a tensor shows a signature."""


@dataclass(frozen=True)
class Failure:
    """An operation that fails, and of each tensor that does not agree what was expected and what the subject has."""

    operation: Operation
    expected: Mapping[str, Expected]
    given: Mapping[str, Array]
    dtypes: Mapping[str, str]
    """In which dtype the subject made it."""


def diagnose(
    case: Case,
    operations: Sequence[Operation],
    own: Mapping[str, Array],
    given: Mapping[str, Array],
    failures: Sequence[Failure],
    fits: FitsTensor,
) -> list[Diagnosis]:
    """The causes of each failure, in the order of computation.

    ``own`` holds the subject's tensors that can stand in for the reference's, ``given`` all of them.
    """
    extent = extents(operations, own)
    causes = replayed(case, operations, own, given, failures, fits, extent)
    found: list[Diagnosis] = []
    with np.errstate(all="ignore"):  # NaN and infinities show no signature
        for failure in failures:
            fitting = causes[failure.operation.name]
            found += fitting or [signature(case, own, failure) or unknown(failure, extent[failure.operation.name])]
    return found


def extents(operations: Sequence[Operation], own: Mapping[str, Array]) -> dict[str, list[Operation]]:
    """Of each operation, by name, what is judged with it: those whose tensors it takes without having them given.

    >>> import crosscheck as cc
    >>> trace = cc.record("article")
    >>> own = {name: trace[name] for name in trace if not name.startswith("0/backward/")}
    >>> [operation.name for operation in extents(trace.operations, own)["0/backward(o)"]]
    ['0/backward(loss)', '0/backward(o.softmax)', '0/backward(o)']
    """
    makers = {name: operation for operation in operations for name in operation.outputs}
    found: dict[str, dict[str, Operation]] = {}
    for operation in operations:
        found[operation.name] = {}
        for name in operation.inputs:
            if name in makers and name not in own:
                found[operation.name] |= found[makers[name].name]
        found[operation.name][operation.name] = operation
    return {name: list(judged.values()) for name, judged in found.items()}


def replayed(
    case: Case,
    operations: Sequence[Operation],
    own: Mapping[str, Array],
    given: Mapping[str, Array],
    failures: Sequence[Failure],
    fits: FitsTensor,
    extent: Mapping[str, Sequence[Operation]],
) -> dict[str, list[Diagnosis]]:
    """The conventions and faults whose replay agrees, by the name of the failing operation.

    A convention must fit every operation that it concerns, those that agree among them: who takes it takes it
    throughout. A mistake is made in one place, and shows where the data let it. Where it shows in operations that are
    judged with others, those mistakes are kept that explain most of what fails.
    """
    causes: dict[str, list[tuple[int, Diagnosis]]] = {failure.operation.name: [] for failure in failures}
    suspects = {one.name: one for name in causes for one in extent[name]}.values()
    for kind, candidate in candidates(case, suspects):
        concerned = [operation for operation in operations if any(map(candidate.makes, extent[operation.name]))]
        if kind == "fault":
            concerned = [operation for operation in concerned if operation.name in causes]
        # What is wrong with the step itself may take from any operation more than its tensors.
        whole = candidate.of_the_step
        replayed_case = case if whole else reduced(case, operations, own, concerned, candidate.site)
        sigmas = replay(replayed_case, own, given, candidate, concerned, fits, throughout=kind == "convention")
        explained = sigmas.keys() & causes.keys()
        for operation in concerned:
            if operation.name in explained:
                evidence = evidence_of(candidate, kind, sigmas[operation.name], operation)
                cause = Diagnosis(operation.name, candidate.name, evidence, kind)
                causes[operation.name].append((len(explained), cause))
    best = {name: max((count for count, _ in found), default=0) for name, found in causes.items()}
    return {
        name: preferred([cause for count, cause in found if count == best[name] or len(extent[name]) == 1])
        for name, found in causes.items()
    }


def candidates(case: Case, suspects: Collection[Operation]) -> Iterator[tuple[Kind, Fault]]:
    """Every convention and every fault that could be made in one of the operations."""
    from ..faults import conventions_of, faults_of

    kinds: tuple[tuple[Kind, Iterable[Fault]], ...] = (
        ("convention", conventions_of(case)),
        ("fault", faults_of(case)),
    )
    for kind, all_of_them in kinds:
        for candidate in all_of_them:
            if any(map(candidate.makes, suspects)):
                yield kind, candidate


def preferred(causes: list[Diagnosis]) -> list[Diagnosis]:
    """Conventions, if any fits; otherwise the faults. Several are said to be indistinguishable."""
    conventions = [cause for cause in causes if cause.kind == "convention"]
    chosen = conventions or causes
    if len(chosen) < 2:
        return chosen
    others = "; indistinguishable on this data from the others named here"
    return [Diagnosis(cause.operation, cause.cause, cause.evidence + others, cause.kind) for cause in chosen]


def evidence_of(candidate: Fault, kind: Kind, sigmas: float, operation: Operation) -> str:
    """What speaks for a cause, and where it is if it is not in the operation itself."""
    once = "this convention is taken" if kind == "convention" else "this mistake is made"
    where = f" at {candidate.site}" if candidate.site and not candidate.makes(operation) else ""
    return f"agrees to {sigmas:.1f} sigma once {once}{where}: {candidate.about}"


def unknown(failure: Failure, extent: Sequence[Operation]) -> Diagnosis:
    """No cause: said so."""
    names = ", ".join(sorted(failure.given))
    others = [operation.name for operation in extent if operation is not failure.operation]
    judged = f"; judged with it, for not all that they make is given: {', '.join(others)}" if others else ""
    return Diagnosis(
        failure.operation.name,
        f"unknown, in {failure.operation.name}",
        f"no convention, fault or signature tried agrees with {names}{judged}",
        "unknown",
    )


def signature(case: Case, own: Mapping[str, Array], failure: Failure) -> Diagnosis | None:
    """A relation that holds between every failing tensor and what was expected of it."""
    tests: list[Callable[[str], str | None]] = [
        lambda name: another_dtype(failure.dtypes[name], case),
        lambda name: not_summed(case, failure.given[name], failure.expected[name]),
        lambda name: transposed(case, failure.given[name], failure.expected[name]),
        lambda name: one_step_late(case, name, own),
        lambda name: constant_ratio(case, failure.given[name], failure.expected[name]),
    ]
    names = sorted(failure.given)
    for test in tests:
        found = {test(name) for name in names}
        if len(found) == 1 and None not in found:
            (what,) = found
            return Diagnosis(
                failure.operation.name, str(what), f"holds for {', '.join(names)}, element by element", "signature"
            )
    return None


def another_dtype(dtype: str, case: Case) -> str | None:
    """Made in another dtype than the case's."""
    same = dtype == case.dtype or (case.dtype == "longdouble" and dtype == str(np.dtype("longdouble")))
    return None if same else f"made in {dtype}, not in {case.dtype}"


def not_summed(case: Case, given: Array, expected: Expected) -> str | None:
    """The expected tensor, but for a sum over the rows that was not taken."""
    value = expected.value
    if given.ndim != value.ndim + 1 or given.shape[1:] != value.shape:
        return None
    return "right once it is summed over axis 0" if near(case, given.sum(axis=0), value) else None


def transposed(case: Case, own: Array, expected: Expected) -> str | None:
    """The square matrix turned."""
    if own.ndim != 2 or own.shape[::-1] != expected.value.shape:
        return None
    return "the transpose of what is expected" if near(case, own.T, expected.value) else None


def one_step_late(case: Case, name: str, own: Mapping[str, Array]) -> str | None:
    """The subject's own tensor of the step before."""
    place, _, rest = name.partition("/")
    step, *micro_batch = place.split(".")
    before = own.get(f"{'.'.join([str(int(step) - 1), *micro_batch])}/{rest}")
    late = before is not None and name in own and near(case, own[name], before)
    return "the tensor of the step before: one step late" if late else None


def constant_ratio(case: Case, own: Array, expected: Expected) -> str | None:
    """The expected tensor times one number, and which number of the case that is."""
    value = np.asarray(expected.value, np.float64)
    mine = own.astype(np.float64)
    square = float((value * value).sum())
    if own.size < 2 or own.shape != value.shape or not np.isfinite(square) or not square:
        return None
    ratio = float((mine * value).sum()) / square
    if not ratio or not near(case, own, value * ratio):
        return None
    for meaning, number in numbers(case).items():
        if abs(ratio - number) <= few_roundings(case) * abs(number):
            return f"{meaning} times what is expected"
    return f"{ratio:.6g} times what is expected"


def numbers(case: Case) -> dict[str, float]:
    """Numbers of a case that a forgotten or repeated factor may be."""
    inputs = case.batch(0).inputs
    rows = float(len(inputs))
    outputs = float(case.shapes(inputs.shape)[case.nodes[-1].name][-1])
    counts = {"N": rows, "N - 1": rows - 1, "the number of outputs": outputs}
    found = {"-1": -1.0, "2": 2.0, "1/2": 0.5}
    rate = case.learning_rates[0]
    found |= {name: count for name, count in counts.items() if count > 1}
    found |= {f"1/({name})" if " " in name else f"1/{name}": 1 / count for name, count in counts.items() if count > 1}
    return found | {"the learning rate": rate, "minus the learning rate": -rate}


def few_roundings(case: Case) -> float:
    """Relative to its largest element, by how much rounding may have changed a tensor that shows a signature."""
    return FEW_ROUNDINGS * 2 * limits(case.dtype)[0]


def near(case: Case, own: Array, value: Array) -> bool:
    """Whether two tensors are the same but for rounding."""
    largest = np.abs(value).max(initial=0)
    apart = np.abs(own.astype(np.float64) - value)
    return bool(np.all(apart <= few_roundings(case) * largest))
