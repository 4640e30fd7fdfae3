"""The Python face: load a case, check it, explain it, record a run, save it, compare two."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .adapters import Against
from .adapters.modules import tap
from .cases import load_case, save_case
from .comparison import agreement, traces
from .comparison.alone import check_layer as check_alone
from .comparison.check import check as check_case
from .comparison.running import run
from .comparison.tolerance import Tolerance
from .isolation import opened
from .lesson import lesson
from .porting import Map
from .porting import record_module as record_model
from .porting import settle_map as settle
from .porting import suggest_map as suggest
from .porting.suggesting import Suggestion
from .reference import Case, Layer, trace
from .reference.layers import Shape
from .reference.trace import patterns
from .traces import load_trace as load_recorded
from .traces import save_trace


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
    against: Iterable[Against] | None = None,
    *,
    device: str = "cpu",
    only: Iterable[str] = (),
    show: Iterable[str] = (),
    require: Iterable[str] | None = None,
    truth: bool = False,
    tolerance: Tolerance | None = None,
) -> Agreement:
    """Compute a case by hand and by others, from identical weights, and compare every tensor of every step.

    ``case`` is a case, the name of a built-in one or a path. ``against`` names adapters, by default those of torch
    and jax that are installed, and has training steps of your own: functions, or ``"FILE.py:CALLABLE"``. They run in
    this process; ``"torch@env/bin/python"`` runs in another interpreter, and for what may crash or hang there is
    ``Isolated``. ``only`` are
    patterns of tensor names, ``*/gradient/*``; ``show`` the same, of tensors whose elements the report shows though
    they agree; ``require`` those of the tensors that a step of your own must give, which are the loss, all gradients
    and all updated weights otherwise; ``truth`` adds how far each party is from the true values.

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
    found = check_case(
        loaded,
        against,
        device=device,
        only=only,
        show=show,
        require=require,
        truth=truth,
        tolerance=tolerance,
    )
    return Agreement(**vars(found))


@dataclass(frozen=True)
class Lesson(lesson.Lesson):
    """A lesson that writes itself."""

    def write(self, folder: str | Path) -> Path:
        """Write ``lesson.html`` into a folder and return its path."""
        from .rendering.folder import write_lesson

        return write_lesson(self, Path(folder))


def explain(case: Case | str | Path, against: Iterable[str] | None = None) -> Lesson:
    """Take a case's training step apart: each operation with its formula, code and numbers, here and in frameworks.

    ``case`` is a case, the name of a built-in one or a path; ``against`` names adapters, by default torch and jax.
    One that is not installed, or cannot express the case, is in the lesson with the reason.

    Raises:
        CaseError: a case that cannot be run as it is written.
        KeyError: no adapter of a name.

    >>> import crosscheck as cc
    >>> lesson = cc.explain("mazur", against=[])
    >>> print(lesson.followed.name, round(lesson.followed.gradient, 9))
    w1 0.000438568
    """
    from .lesson.explain import explain as explain_case

    loaded = case if isinstance(case, Case) else load_case(case)
    return Lesson(**vars(explain_case(loaded, against)))


def check_layer(
    mine: Any,
    like: Layer,
    *,
    shape: Shape | Sequence[Shape] | None = None,
    seed: int = 0,
    dtype: str = "float64",
    tolerance: Tolerance | None = None,
) -> Agreement:
    """Hold a layer of your own against one here: its output, and every gradient of its backward.

    Inputs, parameters and the gradient that arrives at the output are random, drawn from the ``seed``. ``shape`` is
    that of the input, or a list with one for each input; unless it is given, one that fits is chosen.

    ``mine`` is an object with ``forward`` and ``backward``, a subclass of ``torch.autograd.Function``, or a
    ``jax.custom_vjp`` function, both of the inputs and then the parameters. An object may be written as the layers here
    are, ``forward(x, params) -> (y, saved)`` and ``backward(dy, saved, params) -> (dx, gradients)``, or simpler:
    without ``params`` its parameters are set as attributes (``weight``, ``bias``), and their gradients are read from
    the attributes ``dweight``, ``dbias``. What it leaves out is ``not given``, and only statistics may be.

    Raises:
        CaseError: it has none of these forms; an input of this shape does not fit; a gradient of what is no parameter.

    >>> import crosscheck as cc
    >>> class Affine:
    ...     def forward(self, x):
    ...         self.x = x
    ...         return x @ self.weight + self.bias
    ...     def backward(self, dy):
    ...         self.dweight = self.x.T @ dy
    ...         self.dbias = dy.mean(axis=0)
    ...         return dy @ self.weight.T
    >>> agreement = cc.check_layer(Affine(), like=cc.Dense(8, 4))
    >>> agreement.ok, agreement.subjects["Affine"].diagnosis[0].cause
    (False, 'bias_gradient_averaged')
    """
    return Agreement(**vars(check_alone(mine, like, shape=shape, seed=seed, dtype=dtype, tolerance=tolerance)))


def record(case: Case | str | Path, subject: Against = "reference", *, device: str = "cpu") -> Trace:
    """Run a case once, in the reference, the framework of an adapter or a step of your own, and return what it made.

    Raises:
        CaseError: a case that cannot be run as it is written.
        KeyError: no adapter of the name.
        NotInstalled: the framework is not installed.
        Unsupported: the framework cannot express the case.
        Crashed: a step of your own failed, or a process that was to have a subject.
        TimedOut: such a process did not end in its time.
    """
    loaded = case if isinstance(case, Case) else load_case(case)
    if subject == "reference":
        return Trace(**vars(run(loaded)))
    with opened([subject]) as (one,):
        return Trace(**vars(one.record(loaded, device)))


def record_module(
    module: Any,
    inputs: Any,
    *,
    loss: Callable[..., Any],
    targets: Any = None,
    optimizer: Any = None,
    parameters: Any = None,
    dtype: str = "float64",
    steps: int = 1,
    probe: int | None = None,
    weights: trace.Trace | str | Path | None = None,
    map: Map | str | Path | None = None,
) -> Trace:
    """Record a model of your own as it trains: every submodule's output, every gradient, every updated weight.

    ``module`` is a ``torch.nn.Module``, a flax nnx ``Module``, or a function ``f(parameters, *inputs)`` of JAX whose
    tree of ``parameters`` is given; it is left as it is found. ``inputs`` is an array, or a list or a table of them,
    as between the parentheses of a call. ``loss`` takes the output, and the ``targets`` where there are any, and gives
    one number. ``optimizer`` is a transformation of optax, or a function that makes one of ``torch.optim`` of the
    parameters; without it nothing is updated. All of ``steps`` are made with the same inputs.

    Tensors are named as the framework names them: ``0/forward/encoder.layers.0``, ``0/backward/`` (the gradient at
    that output), ``0/gradient/encoder.layers.0.linear1.weight``, ``0/update/``. Of several calls of a submodule the
    second is ``NAME#1``, of a tuple the first is ``NAME:0``. The model's own output is ``output``. What a function
    taps, ``cc.tap(NAME, value)``, is named so too.

    It runs in float64 unless ``dtype`` is float32: the one decides about logic, the other about precision. It is run
    several times, so that the trace says how far rounding alone moves each tensor.

    With ``probe``, a seed, the parameters are drawn anew, so that no layout can be taken for another. With ``weights``
    they are those of another trace, through a ``map``; see ``suggest_map``.

    Raises:
        CaseError: the module cannot be recorded, or draws random numbers; a map that does not fit.
        NotInstalled: a framework is not here.

    >>> import crosscheck as cc
    >>> import torch
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Tanh())
    >>> trace = cc.record_module(model, [[0.5, -1.0, 2.0]], loss=lambda y: (y**2).sum(), probe=0)
    >>> [name for name in trace if name.startswith(("0/forward", "0/gradient"))]
    ['0/forward/0', '0/forward/1', '0/forward/output', '0/forward/loss', '0/gradient/0.weight', '0/gradient/0.bias']
    """
    options: dict[str, Any] = {"targets": targets, "optimizer": optimizer, "parameters": parameters, "dtype": dtype}
    options |= {"steps": steps, "probe": probe, "weights": weights, "map": map}
    return Trace(**vars(record_model(module, inputs, loss=loss, **options)))


def suggest_map(first: trace.Trace | str | Path, second: trace.Trace | str | Path) -> Suggestion:
    """Suggest what of one recorded model is what of another, from shapes, order and names.

    The suggestion has the ``map``, to be saved with ``map.save(PATH)``, the ``text`` of its file with remarks, and
    the ``lines`` that are to be looked at.

    Raises:
        CaseError: a file that cannot be read; a trace of a case.
    """
    loaded = (one if isinstance(one, trace.Trace) else load_trace(one) for one in (first, second))
    return suggest(*loaded)


def settle_map(
    module: Any,
    inputs: Any,
    *,
    weights: trace.Trace | str | Path,
    map: Map | str | Path,
    loss: Callable[..., Any],
    targets: Any = None,
    parameters: Any = None,
) -> Suggestion:
    """Try a map out on the port, and where it goes wrong, other layouts of the same shapes.

    What no shape tells (in which order the gates of an LSTM stand, or queries, keys and values; whether a square matrix
    is transposed) shows in what comes out. The port is run with the ``weights`` of the other model, which should be
    those of a ``probe``. At the first output that is not the other's, every order of the parts, and every other layout
    of the parameters there, is tried, and the one is kept with which the outputs agree furthest. The other arguments
    are those of ``record_module``. The result is a suggestion, whose ``lines`` say what was found.

    Raises:
        CaseError: a map that does not fit; a module that cannot be recorded.
    """
    options: dict[str, Any] = {"weights": weights, "map": map, "targets": targets, "parameters": parameters}
    return settle(module, inputs, loss=loss, **options)


def compare(
    first: trace.Trace | str | Path,
    second: trace.Trace | str | Path,
    *,
    only: Iterable[str] = (),
    show: Iterable[str] = (),
    local: bool | None = None,
    tolerance: Tolerance | None = None,
    map: Map | str | Path | None = None,
) -> Agreement:
    """Compare two traces, or two trace files, of one case; ``only`` and ``show`` are those of ``check``.

    Each is held against the reference, which is computed again from their case, locally and end to end; the first is
    left out where it is the reference's own. With ``local=False`` the second is held against the first alone, which
    counts as right, end to end. So it is, too, where the traces are so large that nothing is computed again, unless
    ``local=True``.

    Two recordings of models, of which the second is a port of the first, are compared through a ``map`` that says what
    is what; without one, names are the same in both. The weights must be equal through it, bit for bit.

    Raises:
        CaseError: a file that cannot be read or is not as it was recorded; runs that started from other inputs; a map
            that does not fit.

    >>> import crosscheck as cc
    >>> cc.compare(cc.record("article"), cc.record("article", "torch")).ok
    True
    """
    options: dict[str, Any] = {"only": patterns(only), "show": patterns(show), "local": local, "tolerance": tolerance}
    options["map"] = map if isinstance(map, Map | None) else Map.load(map)
    if isinstance(first, trace.Trace) or isinstance(second, trace.Trace):
        loaded = (one if isinstance(one, trace.Trace) else load_trace(one) for one in (first, second))
        return Agreement(**vars(traces.compare(*loaded, **options)))
    return Agreement(**vars(traces.compare_files(first, second, **options)))


def load_trace(path: str | Path) -> Trace:
    """Load a trace that was recorded, verified by its hashes.

    Its tensors lie in the file, mapped into memory: they cannot be written to. Nothing in the file is executed.

    Raises:
        CaseError: the file cannot be read, is not a whole trace, or not as it was recorded.
    """
    return Trace(**vars(load_recorded(path)))


__all__ = [
    "Agreement",
    "Lesson",
    "Map",
    "Suggestion",
    "Trace",
    "check",
    "check_layer",
    "compare",
    "explain",
    "load_case",
    "load_trace",
    "record",
    "record_module",
    "save_case",
    "save_trace",
    "settle_map",
    "suggest_map",
    "tap",
]
