"""The Python face: load a case, check it, record a run, compare two."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .adapters import Against, subject_of
from .cases import load_case, save_case
from .comparison import agreement
from .comparison.check import check as check_case
from .comparison.compare import compare as compare_traces
from .comparison.running import run
from .comparison.tolerance import Tolerance
from .reference import Case, Trace


@dataclass(frozen=True)
class Agreement(agreement.Agreement):
    """An agreement that shows and writes itself."""

    def table(self, top: int | None = None) -> str:
        """The agreement as text, with the ``top`` worst tensors of each subject, or all of them."""
        from .rendering.terminal import to_text

        return to_text(self, top)

    def write(self, folder: str | Path) -> Path:
        """Write ``agreement.json``, ``agreement.md`` and the tensors that failed into a folder."""
        from .rendering.folder import write

        return write(self, Path(folder))


def check(
    case: Case | str | Path,
    against: Iterable[Against] | None = None,
    *,
    device: str = "cpu",
    only: Iterable[str] = (),
    require: Iterable[str] | None = None,
    truth: bool = False,
    tolerance: Tolerance | None = None,
) -> Agreement:
    """Compute a case by hand and by others, from identical weights, and compare every tensor of every step.

    ``case`` is a case, the name of a built-in one or a path. ``against`` names adapters, by default those of torch
    and jax that are installed, and has training steps of your own: functions, or ``"FILE.py:CALLABLE"``. ``only`` are
    patterns of tensor names, ``*/gradient/*``; ``require`` those of the tensors that a step of your own must give,
    which are the loss, all gradients and all updated weights otherwise; ``truth`` adds how far each party is from the
    true values.

    A step of your own is called once for each step of the case, and returns by name whatever it has computed. What it
    leaves out is ``not given``.

    Raises:
        CaseError: a case that cannot be run as it is written; a step of your own that cannot be called, or that
            returns what the case does not have.
        KeyError: no adapter of a name.
        NotInstalled: a framework that was asked for is not installed.

    >>> import crosscheck as cc
    >>> agreement = cc.check("article", against=["torch", "jax"])
    >>> agreement.ok
    True
    >>> agreement.raise_if_failed()

    A line through three points; its author forgot the 2 of the squared error's derivative:

    >>> line = cc.Case("line", [cc.Node("y", cc.Dense(1, 1))], cc.MeanSquaredError("sum"), cc.SGD(0.125),
    ...     weights={"y.weight": [[2.0]], "y.bias": [0.5]},
    ...     batches=[cc.Batch([[1.0], [3.0], [4.0]], [[2.0], [6.5], [9.0]])])
    >>> def train_step(weights, inputs, targets, state, *, step):
    ...     y = inputs @ weights["y.weight"] + weights["y.bias"]
    ...     dy = y - targets
    ...     gradients = {"y.weight": inputs.T @ dy, "y.bias": dy.sum(axis=0)}
    ...     updated = {name: weights[name] - step.learning_rate * gradients[name] for name in weights}
    ...     return {"loss": ((y - targets) ** 2).sum(), "gradients": gradients, "weights": updated}
    >>> agreement = cc.check(line, against=[train_step])
    >>> agreement.ok, agreement.subjects["train_step"].diagnosis[0].cause
    (False, 'power_rule_forgotten')
    """
    loaded = case if isinstance(case, Case) else load_case(case)
    found = check_case(loaded, against, device=device, only=only, require=require, truth=truth, tolerance=tolerance)
    return Agreement(**vars(found))


def record(case: Case | str | Path, subject: Against = "reference", *, device: str = "cpu") -> Trace:
    """Run a case once, in the reference, the framework of an adapter or a step of your own, and return what it made.

    Raises:
        CaseError: a case that cannot be run as it is written.
        KeyError: no adapter of the name.
        NotInstalled: the framework is not installed.
        Unsupported: the framework cannot express the case.
        Crashed: a step of your own failed.
    """
    loaded = case if isinstance(case, Case) else load_case(case)
    return run(loaded) if subject == "reference" else subject_of(subject).record(loaded, device)


def compare(reference: Trace, subject: Trace, *, tolerance: Tolerance | None = None) -> Agreement:
    """Hold one trace against another, which counts as the reference.

    Raises:
        ValueError: traces of different cases.

    >>> import crosscheck as cc
    >>> cc.compare(cc.record("article"), cc.record("article", "torch")).ok
    True
    """
    return Agreement(**vars(compare_traces(reference, subject, tolerance=tolerance)))


__all__ = ["Agreement", "check", "compare", "load_case", "record", "save_case"]
