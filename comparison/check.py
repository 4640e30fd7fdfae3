"""Run a case in the reference and in some subjects, and say whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from itertools import chain, count

from ..adapters import ADAPTERS, Against, Crashed, Unsupported, missing, subject_of
from ..reference import Case, CaseError
from ..reference.trace import patterns
from .agreement import Agreement, SubjectAgreement
from .compare import Comparison, agreement_of, standing
from .running import run
from .tolerance import Computed, Tolerance

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

    A framework that cannot express the case is ``unsupported``, a subject that fails is ``crashed``, each with the
    reason; neither counts as agreement, and the others go on. ``only`` are patterns of tensor names,
    ``*/gradient/*``, ``show`` of those whose elements are wanted though they agree, and ``require`` of what a user's
    own step must give; ``truth`` adds how far each party is
    from the true values; ``progress`` is told each name before its run.

    Raises:
        KeyError: no adapter of a name.
        NotInstalled: a framework that was asked for is not installed.
        CaseError: a user's own step that cannot be found, or that returns what the case does not have.
    """
    named = dict.fromkeys(against) if against is not None else installed()
    asked = [subject_of(one, require) for one in named]
    progress("reference")
    comparison = Comparison(run(case), tolerance or Computed(), patterns(only), patterns(show))
    traces = []
    if truth:
        from .truth import truth_of

        progress("truth")
        comparison.truth = truth_of(case)
    subjects: dict[str, SubjectAgreement] = {}
    for subject in asked:
        name = another(subject.name, subjects)
        progress(name)
        version = str(subject.environment("cpu")["version"])
        try:
            trace = subject.record(case, device)
        except CaseError:
            raise
        except Unsupported as reason:
            subjects[name] = SubjectAgreement(version, "unsupported", reason=str(reason))
        except Exception as error:
            text = str(error) if isinstance(error, Crashed) else f"{type(error).__name__}: {error}"
            subjects[name] = SubjectAgreement(version, "crashed", reason=text.strip().splitlines()[0])
        else:
            trace.source = name
            subjects[name] = comparison.of(trace, subject.kinds, subject.requires)
            traces.append(trace)
    return agreement_of(case, subjects, comparison, standing(comparison, traces))


def another(name: str, taken: Collection[str]) -> str:
    """The name of a subject, numbered where there is one of that name before it."""
    numbered = (f"{name} ({number})" for number in count(2))
    return next(one for one in chain([name], numbered) if one not in taken)


def installed() -> tuple[str, ...]:
    """The frameworks of the first choice that are installed; nothing is imported to find out."""
    return tuple(name for name in FIRST_CHOICE if name in ADAPTERS and not missing(name))
