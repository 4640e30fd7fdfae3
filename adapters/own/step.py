"""A user's own training step as a subject: called once a step, its arrays taken as they are.

::

    def train_step(weights, inputs, targets, state, *, step):
        ...
        return {"outputs": {"j": ...}, "loss": ..., "backward": {"j": ...}, "gradients": {"j.weight": ...},
                "weights": {"j.weight": ...}, "optimizer_state": {"j.weight.velocity": ...}, "state": ...}

``weights`` (by name, in the case's layout), ``inputs`` and ``targets`` are copies that it may write to; bfloat16
numbers are held as float32. Of several losses the targets come by name, and ``loss`` may be a mapping. ``state`` is
whatever it returned under that key the last time, None at first. Any key may be left out: what it would have held is
``not given``.

Where a step takes several micro-batches, ``inputs``, ``targets`` and ``step.given`` are lists with one for each, and
what belongs to one of them (outputs, loss, backward, its own gradients, statistics) is returned in a list under
``micro_batches``.

The next step starts from the weights that the step returned; if it returned none, from the mapping that it was handed,
provided that it has changed something in it. If there are no updated weights at all, or one is missing, the following
steps cannot be done: they are ``not given``.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, ClassVar

import numpy as np

from ...reference import Case, Trace
from ...reference.case import Batch
from ...reference.errors import CaseError
from ...reference.layers import Array
from .arrays import kind_of, left_out
from .loading import Target, blaming, file_of, loaded
from .returned import Reader

REQUIRED = re.compile(r"\d+(\.\d+)?/forward/loss|\d+/(gradient|update)/[^>]*")
"""What a step must give unless something else is asked for: the loss, all gradients, all updated weights."""


@dataclass(frozen=True)
class Step:
    """What a training step is told beside its arrays: ``step.number`` counts from 0.

    ``given`` holds what comes with the data for a layer, such as a mask, by ``NODE.NAME``; ``shares`` by how much the
    loss of each micro-batch counts. The ``case`` has everything else, such as the fields of its optimizer.
    """

    number: int
    learning_rate: float
    given: Mapping[str, Array] | list[Mapping[str, Array]]
    shares: tuple[float, ...]
    case: Case = field(repr=False)


class OwnStep:
    """A user's training step: a callable, or the file and the name of one.

    ``require`` are patterns of the names of the tensors that it must give.

    Raises:
        CaseError: a file that is not there, or no callable.
    """

    kinds: ClassVar[None] = None

    def __init__(self, target: str | Target | Callable[..., Any], require: tuple[str, ...] | None = None) -> None:
        self.target = Target.of(target) if isinstance(target, str) else target
        self.require = require
        if not isinstance(self.target, Target) and not callable(self.target):
            raise CaseError("the name of an adapter, FILE.py:CALLABLE or a training step", kind_of(target))

    @property
    def name(self) -> str:
        """The file and the callable, or the name that the callable has."""
        if isinstance(self.target, Target):
            return str(self.target)
        return str(getattr(self.target, "__name__", type(self.target).__name__))

    def environment(self, device: str) -> dict[str, Any]:
        """Nothing is known of it."""
        return {"version": ""}

    def requires(self, tensor: str) -> bool:
        """Whether the tensor is one of those that it must give."""
        if self.require is None:
            return bool(REQUIRED.fullmatch(tensor))
        return any(fnmatchcase(tensor, pattern) for pattern in self.require)

    def record(self, case: Case, device: str = "cpu") -> Trace:
        """Call the step once for each step of the case, and write down what it returns."""
        trace = Trace(source=self.name, case=case, environment=self.environment(device))
        with self.callable() as function, np.errstate(all="ignore"):
            if not takes(function):
                raise self.misused(CaseError("train_step(weights, inputs, targets, state, *, step)", written(function)))
            try:
                follow(function, case, trace)
            except CaseError as error:
                raise self.misused(error) from None
        return trace

    @contextmanager
    def callable(self) -> Iterator[Callable[..., Any]]:
        """The callable itself."""
        if isinstance(self.target, Target):
            with loaded(self.target) as function:
                yield function
        else:
            yield self.target

    def misused(self, error: CaseError) -> CaseError:
        """An error about what the step takes or returns, with its name."""
        return error.in_file(self.name)


def takes(function: Callable[..., Any]) -> bool:
    """Whether a callable takes what a training step is given, as far as its signature says."""
    try:
        inspect.signature(function).bind(None, None, None, None, step=None)
    except TypeError:
        return False
    except ValueError:  # it has no signature that could be read
        pass
    return True


def written(function: Callable[..., Any]) -> str:
    """A callable as its definition has it."""
    return f"{getattr(function, '__name__', type(function).__name__)}{inspect.signature(function)}"


def follow(function: Callable[..., Any], case: Case, trace: Trace) -> None:
    """Every step of a case, each from the weights that the one before came to; what is returned goes into the trace."""
    file, reader = file_of(function), Reader(case, trace)
    weights: Mapping[str, Any] = case.weights
    state: Any = None
    for number in range(case.steps):
        handed = {name: np.array(weight) for name, weight in weights.items()}
        before = dict(handed)
        inputs, targets, given = data_of(case, number)
        step = Step(number, case.learning_rates[number], given, case.shares(number), case)
        with blaming(file):
            returned = function(handed, inputs, targets, state, step=step)
        made = reader.mapping(returned, "what it returns")
        if left_out(made.get("weights")) and changed(handed, before, weights):
            made = {**made, "weights": handed}
        reader.read(made, number, weights)
        if not reader.after.keys() >= set(case.trained):
            if number + 1 < case.steps:
                trace.environment["stopped"] = f"after step {number}, for not all weights were handed back"
            return
        weights, state = {**weights, **reader.after}, made.get("state")


def data_of(case: Case, number: int) -> tuple[Any, Any, Any]:
    """Inputs, targets and what else is given in a step, copied; of several micro-batches a list of each."""
    batches = case.batches_of(number)
    if case.micro_batches == 1:
        return arrays_in(batches[0])
    inputs, targets, given = zip(*map(arrays_in, batches), strict=True)
    return list(inputs), list(targets), list(given)


def arrays_in(batch: Batch) -> tuple[Array, Array | dict[str, Array], dict[str, Array]]:
    """The arrays of a batch, copied."""
    targets = batch.targets
    if isinstance(targets, Mapping):
        copies: Any = {name: np.array(target) for name, target in targets.items()}
    else:
        copies = np.array(targets)
    return np.array(batch.inputs), copies, {name: np.array(array) for name, array in batch.given.items()}


def changed(handed: Mapping[str, Any], before: Mapping[str, Any], weights: Mapping[str, Any]) -> bool:
    """Whether a step wrote into the weights that it was handed, or put others in their place."""
    if handed.keys() != before.keys() or any(handed[name] is not array for name, array in before.items()):
        return True
    return any(array.tobytes() != np.asarray(weights[name]).tobytes() for name, array in before.items())
