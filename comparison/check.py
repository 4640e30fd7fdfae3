"""Run a case in the reference and in some subjects, and say whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import chain, count

from ..adapters import ADAPTERS, Against, NotInstalled, Unsupported, missing
from ..adapters.contract import reason_of
from ..isolation import TimedOut, opened, recordings
from ..reference import Case, CaseError, Trace
from ..reference.trace import patterns
from .agreement import Agreement, SubjectAgreement
from .compare import Comparison, agreement_of, standing
from .running import run
from .tolerance import Computed, Tolerance
from .verdicts import Verdict

FIRST_CHOICE = ("torch", "jax")
"""What a case is checked against unless it is said: those of these that are installed."""


def check(
    case: Case,
    against: Iterable[Against] | None = None,
    *,
    device: str = "cpu",
    only: Iterable[str] = (),
    show: Iterable[str] = (),
    require: Iterable[str] | None = None,
    truth: bool = False,
    tolerance: Tolerance | None = None,
    progress: Callable[[str], None] = lambda subject: None,
) -> Agreement:
    """Compute the case by hand and in each subject of ``against``, and compare every tensor of every step.

    A framework that cannot express the case is ``unsupported``, a subject that fails is ``crashed``, one that takes
    longer than it may ``timed out``, each with the reason; none counts as agreement, and the others go on. Subjects in
    processes of their own (see ``Isolated``) run side by side. ``only`` are patterns of tensor names,
    ``*/gradient/*``, ``show`` of those whose elements are wanted though they agree, and ``require`` of what a user's
    own step must give; ``truth`` adds how far each party is
    from the true values; ``progress`` is told each name before its run.

    Raises:
        KeyError: no adapter of a name.
        NotInstalled: a framework that was asked for is not installed.
        CaseError: a user's own step that cannot be found, or that returns what the case does not have.
    """
    named = dict.fromkeys(against) if against is not None else installed()
    with opened(named, require) as asked, recordings(asked, case, device) as recorded:
        progress("reference")
        comparison = Comparison(run(case), tolerance or Computed(), patterns(only), patterns(show))
        if truth:
            from .truth import truth_of

            progress("truth")
            comparison.truth = truth_of(case)
        traces = []
        subjects: dict[str, SubjectAgreement] = {}
        for subject, record in zip(asked, recorded, strict=True):
            name = another(subject.name, subjects)
            progress(name)
            trace = attempted(record)
            version = str(subject.environment("cpu")["version"])
            if isinstance(trace, Trace):
                trace.source = name
                subjects[name] = comparison.of(trace, subject.kinds, subject.requires)
                traces.append(trace)
            else:
                verdict, reason = trace
                subjects[name] = SubjectAgreement(version, verdict, reason=reason)
        return agreement_of(case, subjects, comparison, standing(comparison, traces))


def attempted(record: Callable[[], Trace]) -> Trace | tuple[Verdict, str]:
    """The trace that a subject records; otherwise its verdict, and why."""
    try:
        return record()
    except (CaseError, NotInstalled):
        raise
    except Unsupported as reason:
        return "unsupported", str(reason)
    except TimedOut as reason:
        return "timed out", str(reason)
    except Exception as error:
        return "crashed", reason_of(error)


def another(name: str, taken: Collection[str]) -> str:
    """The name of a subject, numbered where there is one of that name before it."""
    numbered = (f"{name} ({number})" for number in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)


def installed() -> tuple[str, ...]:
    """The frameworks of the first choice that are installed; nothing is imported to find out."""
    return tuple(name for name in FIRST_CHOICE if name in ADAPTERS and not missing(name))
