"""Run a case in the reference and in some frameworks, and say whether they agree."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..adapters import ADAPTERS, Unsupported, load_adapter, missing
from ..reference import Case
from .agreement import Agreement, SubjectAgreement
from .compare import Comparison, agreement_of, standing
from .running import run
from .tolerance import Computed, Tolerance

FIRST_CHOICE = ("torch", "jax")
"""What a case is checked against unless it is said: those of these that are installed."""


def check(
    case: Case,
    against: Iterable[str] | None = None,
    *,
    device: str = "cpu",
    only: Iterable[str] = (),
    show: Iterable[str] = (),
    truth: bool = False,
    tolerance: Tolerance | None = None,
    progress: Callable[[str], None] = lambda subject: None,
) -> Agreement:
    """Compute the case by hand and in each framework of ``against``, and compare every tensor of every step.

    A framework that cannot express the case is ``unsupported``, one that fails is ``crashed``, each with the reason;
    neither counts as agreement, and the others go on. ``only`` are patterns of tensor names, ``*/gradient/*``;
    ``show`` the same, of tensors whose elements are wanted though they agree; ``truth`` adds how far each party is
    from the true values; ``progress`` is told each name before its run.

    Raises:
        KeyError: no adapter of a name.
        NotInstalled: a framework that was asked for is not installed.
    """
    names = tuple(against) if against is not None else installed()
    adapters = [load_adapter(name) for name in dict.fromkeys(names)]
    progress("reference")
    comparison = Comparison(run(case), tolerance or Computed(), tuple(only), tuple(show))
    traces = []
    if truth:
        from .truth import truth_of

        progress("truth")
        comparison.truth = truth_of(case)
    subjects = {}
    for adapter in adapters:
        progress(adapter.name)
        version = str(adapter.environment("cpu")["version"])
        try:
            trace = adapter.record(case, device)
        except Unsupported as reason:
            subjects[adapter.name] = SubjectAgreement(version, "unsupported", reason=str(reason))
        except Exception as error:
            text = f"{type(error).__name__}: {error}".strip().splitlines()[0]
            subjects[adapter.name] = SubjectAgreement(version, "crashed", reason=text)
        else:
            subjects[adapter.name] = comparison.of(trace, adapter.kinds)
            traces.append(trace)
    return agreement_of(case, subjects, comparison, standing(comparison, traces))


def installed() -> tuple[str, ...]:
    """The frameworks of the first choice that are installed; nothing is imported to find out."""
    return tuple(name for name in FIRST_CHOICE if name in ADAPTERS and not missing(name))
