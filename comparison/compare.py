"""Two traces in, an agreement out."""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

import numpy as np

from ..adapters.contract import Support
from ..reference import Case, Operation, Trace, run
from ..reference.layers import Array
from ..reference.trace import phase_of
from .agreement import SEVERITY, Agreement, Check, SubjectAgreement, TensorAgreement, Verdict
from .figures import Figures, measure
from .tolerance import EpsilonTable, Tolerance


def compare(reference: Trace, subject: Trace, *, tolerance: Tolerance | None = None) -> Agreement:
    """Hold one trace against another, which counts as the reference.

    Raises:
        ValueError: traces of different cases.
    """
    case = reference.case or subject.case
    if reference.case and subject.case and reference.case.name != subject.case.name:
        raise ValueError(f"expected two traces of one case; received {reference.case.name!r} and {subject.case.name!r}")
    if case and not reference.operations:
        reference = Trace(reference.source, case, reference.environment, reference.tensors, reference.given)
        reference.operations = run(case).operations
    evidence: dict[str, Array] = {}
    found = compare_subject(reference, subject, tolerance=tolerance, evidence=evidence)
    return agreement_of(case, {subject.source: found}, evidence, reference)


def agreement_of(
    case: Case | None, subjects: Mapping[str, SubjectAgreement], evidence: Mapping[str, Array], reference: Trace
) -> Agreement:
    """The agreement of some subjects with a reference."""
    return Agreement(
        case=case.name if case else "",
        dtype=case.dtype if case else "",
        steps=case.steps if case else 0,
        about=case.about if case else "",
        environment={
            "python": platform.python_version(),
            "numpy": np.__version__,
            "machine": f"{platform.system()} {platform.machine()}",
            "baseline": reference.source,
        },
        subjects=subjects,
        evidence=evidence,
    )


def compare_subject(
    reference: Trace,
    subject: Trace,
    *,
    kinds: Mapping[str, Support] | None = None,
    only: Sequence[str] = (),
    tolerance: Tolerance | None = None,
    evidence: dict[str, Array] | None = None,
) -> SubjectAgreement:
    """Compare every tensor of the reference, in order of computation, and then what the subject has beyond them.

    ``kinds`` says of each kind of operation whether it is the framework's own; ``only`` are patterns of the names
    to compare, by default all. Tensors that fail are put into ``evidence``.
    """
    rule = tolerance or EpsilonTable()
    makers = {name: operation for operation in reference.operations for name in operation.outputs}
    tensors = []
    for name in filter(partial(wanted, only), in_order(reference, makers)):
        array = np.asarray(reference[name])
        given = np.asarray(subject[name]) if name in subject.tensors else None
        tensors.append(compare_tensor(name, array, given, makers.get(name), kinds, rule))
        if tensors[-1].verdict != "agree" and evidence is not None:
            evidence[f"{reference.source}/{name}"] = array
            if given is not None:
                evidence[f"{subject.source}/{name}"] = given
    tensors += [unexpected(name, np.asarray(subject[name])) for name in subject if name not in reference.tensors]
    diverging = (tensor.name for tensor in tensors if tensor.verdict == "disagree")
    return SubjectAgreement(
        version=str(subject.environment.get("version", "")),
        verdict=worst(tensor.verdict for tensor in tensors),
        first_divergence=next(diverging, None),
        environment={key: value for key, value in subject.environment.items() if key != "version"},
        tensors=tuple(tensors),
    )


def wanted(patterns: Sequence[str], name: str) -> bool:
    """Whether a name matches one of the patterns; without patterns every name does."""
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def in_order(reference: Trace, makers: Mapping[str, Operation]) -> list[str]:
    """The reference's tensors in the order of computation."""
    return [*(name for name in makers if name in reference.tensors), *(n for n in reference if n not in makers)]


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of some verdicts; of none, ``not compared``."""
    return min(verdicts, key=SEVERITY.index, default="not compared")


def compare_tensor(
    name: str,
    reference: Array,
    given: Array | None,
    maker: Operation | None,
    kinds: Mapping[str, Support] | None,
    tolerance: Tolerance,
) -> TensorAgreement:
    """One tensor: present, dtype, exact shape, NaN, signed infinities, values, in that order."""
    native = None if kinds is None or maker is None else kinds.get(maker.kind, "native") == "native"
    common: dict[str, Any] = {
        "name": name,
        "phase": phase_of(name),
        "operation": maker.name if maker else "",
        "kind": maker.kind if maker else "",
        "shape": reference.shape,
        "dtype": str(reference.dtype),
        "native": native,
    }
    if given is None:
        return TensorAgreement(**common, verdict="not given", end_to_end="not given", failed="present")
    if given.dtype != reference.dtype:
        return refused(common, "dtype", str(given.dtype))
    if given.shape != reference.shape:
        return refused(common, "shape", str(given.shape))
    figures = measure(reference, given, tolerance.sigma(name, reference), limit=tolerance.limit)
    failed = None if figures.agrees else failed_check(reference, given, figures)
    verdict: Verdict = "disagree" if failed else "agree"
    values = {key: value for key, value in vars(figures).items() if key != "agrees"}
    return TensorAgreement(**common, **values, verdict=verdict, end_to_end=verdict, failed=failed)


def refused(common: Mapping[str, Any], failed: Check, received: str) -> TensorAgreement:
    """A tensor whose values cannot be compared."""
    return TensorAgreement(**common, verdict="disagree", end_to_end="disagree", failed=failed, received=received)


def failed_check(reference: Array, given: Array, figures: Figures) -> Check:
    """Which of the checks of its elements a tensor did not pass, the first in their order."""
    if figures.nan != (0, 0) and not np.array_equal(np.isnan(reference), np.isnan(given)):
        return "nan"
    expected, found = (np.where(np.isinf(array), np.sign(array), 0) for array in (reference, given))
    return "values" if np.array_equal(expected, found) else "infinity"


def unexpected(name: str, given: Array) -> TensorAgreement:
    """A tensor of the subject that the case does not have."""
    phase = phase_of(name) if name.count("/") > 1 else ""
    common = {
        "name": name,
        "phase": phase,
        "operation": "",
        "kind": "",
        "shape": given.shape,
        "dtype": str(given.dtype),
    }
    return refused(common, "expected", name)
