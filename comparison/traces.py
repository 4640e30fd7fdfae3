"""Two traces in, an agreement out: each held against the reference, or the second against the first alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from ..cases.tensors import identical
from ..porting.maps import Map
from ..reference import CaseError, Trace
from ..traces.inputs import require_same_start
from ..traces.loading import open_traces
from .agreement import Agreement
from .compare import Comparison, agreement_of
from .ports import compare_models
from .running import run
from .tolerance import Computed, Tolerance

RECOMPUTED_BYTES = 2**26
"""Up to this size of a trace the reference is computed again from its case, unless it is said."""


def compare(
    first: Trace,
    second: Trace,
    *,
    called: tuple[str, str] | None = None,
    only: Sequence[str] = (),
    show: Sequence[str] = (),
    local: bool | None = None,
    tolerance: Tolerance | None = None,
    map: Map | None = None,
) -> Agreement:
    """Compare two traces of one case, which is the first's, or of two models, through a map.

    With ``local`` the reference is computed again from the case, and each of the two is held against it, locally and
    end to end; the first is left out where it is, bit for bit, what the reference makes here. Without, the second is
    held against the first, which counts as right, end to end alone. Unless it is said, the size of the traces decides.
    ``only`` and ``show`` are those of ``Comparison``.

    Raises:
        CaseError: they did not start from the same inputs and weights; ``local``, and neither holds the case; a map,
            and they are of no models.
    """
    first, second = named(first, second, called)
    if first.model or second.model or map:
        if local:
            raise CaseError("a trace that holds the case that was run, to compare locally", "a model", key="case")
        agreement = compare_models(first, second, map=map, only=only, show=show, tolerance=tolerance)
        return replace(agreement, differing=differing(first, second))
    case = first.case or second.case
    if first.case and second.case:
        require_same_start(first.case, second.case, first.source, second.source)
    small = max(size(first), size(second)) <= RECOMPUTED_BYTES
    if local and not case:
        raise CaseError("a trace that holds the case that was run, to compare locally", "two without", key="case")
    if case and (small if local is None else local):
        comparison = Comparison(run(case), tolerance or Computed(), only, show)
        subjects = [second] if same_tensors(first, comparison.baseline) else [first, second]
    else:
        # Without its case nothing is computed, for which there may be no room. And its own values are to count.
        source = "reference (first)" if first.source == "reference" else first.source
        baseline = replace(first, source=source, case=first.case if small else None)
        comparison = Comparison(baseline, tolerance or Computed(), only, show)
        subjects = [second]
    found = {subject.source: comparison.of(subject) for subject in subjects}
    return replace(agreement_of(case, found, comparison), differing=differing(first, second))


def compare_files(
    first: str | os.PathLike[str],
    second: str | os.PathLike[str],
    *,
    only: Sequence[str] = (),
    show: Sequence[str] = (),
    local: bool | None = None,
    tolerance: Tolerance | None = None,
    map: Map | None = None,
) -> Agreement:
    """Compare two trace files, in bounded memory where they are not held against the reference.

    Raises:
        CaseError: one of them cannot be read, or is not as it was recorded; see ``compare`` too.
    """
    one, other = open_traces(first, second)
    called = (one.called, other.called)
    if one.head.model or other.head.model or map:
        traces = [recorded.trace() for recorded in (one, other)]
        return compare(*traces, called=called, only=only, show=show, local=local, tolerance=tolerance, map=map)
    whole = local or max(one.size, other.size) <= RECOMPUTED_BYTES
    one.inputs(whole).require_same(other.inputs(whole), *called)
    traces = [recorded.trace(with_case=whole) for recorded in (one, other)]
    agreement = compare(*traces, called=called, only=only, show=show, local=local, tolerance=tolerance)
    return agreement if whole else replace(agreement, **one.described())


def named(first: Trace, second: Trace, called: tuple[str, str] | None) -> tuple[Trace, Trace]:
    """The traces under the names that they have in the agreement: those of their files, or of who computed them."""
    names = called or (first.source, second.source)
    if names[0] == names[1]:
        names = (f"{names[0]} (first)", f"{names[1]} (second)")
    return under(first, names[0]), under(second, names[1])


def under(trace: Trace, name: str) -> Trace:
    """The trace under a name; where that is another, its version says who computed it."""
    if name == trace.source:
        return trace
    version = f"{trace.source} {trace.environment.get('version', '')}".strip()
    return replace(trace, source=name, environment={**trace.environment, "version": version})


def size(trace: Trace) -> int:
    """How many bytes the tensors of a trace have."""
    return sum(array.nbytes for array in trace.tensors.values())


def same_tensors(first: Trace, second: Trace) -> bool:
    """Whether two traces have the same tensors, bit for bit."""
    return list(first) == list(second) and all(identical(first[name], second[name]) for name in first)


def differing(first: Trace, second: Trace) -> dict[str, tuple[str, str]]:
    """What the environments of two traces do not have in common; empty where one does not say."""
    keys = {**first.environment, **second.environment}
    values = {key: (str(first.environment.get(key, "")), str(second.environment.get(key, ""))) for key in keys}
    return {key: both for key, both in values.items() if both[0] != both[1]}
