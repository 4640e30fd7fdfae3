"""The Python face: load a case, check it, record a run, compare two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .adapters import load_adapter
from .cases import load_case, save_case
from .comparison import agreement
from .comparison.check import check as check_case
from .comparison.compare import compare as compare_traces
from .comparison.running import run
from .comparison.tolerance import Tolerance
from .reference import Case, trace


@dataclass
class Trace(trace.Trace):
    """A trace that shows itself."""

    def _repr_html_(self) -> str:
        from .rendering.notebook import trace_to_html

        return trace_to_html(self)


@dataclass(frozen=True)
class Agreement(agreement.Agreement):
    """An agreement that shows and writes itself."""

    def table(self, top: int | None = None) -> str:
        """The agreement as text, with the ``top`` worst tensors of each subject, or all of them."""
        from .rendering.terminal import to_text

        return to_text(self, top)

    def write(self, folder: str | Path) -> Path:
        """Write ``report.html``, the record it is made of, and the same for other programs into a folder."""
        from .rendering.folder import write

        return write(self, Path(folder))

    def _repr_html_(self) -> str:
        from .rendering.notebook import agreement_to_html

        return agreement_to_html(self)


def check(
    case: Case | str | Path,
    against: Iterable[str] | None = None,
    *,
    device: str = "cpu",
    only: Iterable[str] = (),
    show: Iterable[str] = (),
    truth: bool = False,
    tolerance: Tolerance | None = None,
) -> Agreement:
    """Compute a case by hand and in frameworks, from identical weights, and compare every tensor of every step.

    ``case`` is a case, the name of a built-in one or a path. ``against`` names adapters, by default those of torch
    and jax that are installed. ``only`` are patterns of tensor names, ``*/gradient/*``; ``show`` the same, of tensors
    whose elements the report shows though they agree; ``truth`` adds how far each party is from the true values.

    Raises:
        CaseError: a case that cannot be run as it is written.
        KeyError: no adapter of a name.
        NotInstalled: a framework that was asked for is not installed.

    >>> import crosscheck as cc
    >>> agreement = cc.check("article", against=["torch", "jax"])
    >>> agreement.ok
    True
    >>> agreement.raise_if_failed()
    """
    loaded = case if isinstance(case, Case) else load_case(case)
    found = check_case(loaded, against, device=device, only=only, show=show, truth=truth, tolerance=tolerance)
    return Agreement(**vars(found))


def record(case: Case | str | Path, subject: str = "reference", *, device: str = "cpu") -> Trace:
    """Run a case once, in the reference or in the framework of an adapter, and return everything that it computed.

    Raises:
        CaseError: a case that cannot be run as it is written.
        KeyError: no adapter of the name.
        NotInstalled: the framework is not installed.
        Unsupported: the framework cannot express the case.
    """
    loaded = case if isinstance(case, Case) else load_case(case)
    made = run(loaded) if subject == "reference" else load_adapter(subject).record(loaded, device)
    return Trace(**vars(made))


def compare(
    reference: trace.Trace, subject: trace.Trace, *, show: Iterable[str] = (), tolerance: Tolerance | None = None
) -> Agreement:
    """Hold one trace against another, which counts as the reference; ``show`` is that of ``check``.

    Raises:
        ValueError: traces of different cases.

    >>> import crosscheck as cc
    >>> cc.compare(cc.record("article"), cc.record("article", "torch")).ok
    True
    """
    return Agreement(**vars(compare_traces(reference, subject, show=tuple(show), tolerance=tolerance)))


__all__ = ["Agreement", "Trace", "check", "compare", "load_case", "record", "save_case"]
