"""The functions of a text's first part by themselves: their values and derivatives, by hand and in frameworks.

Each is the one function of a small network, so that what computes networks computes it: the reference, and every
framework with its own operation and its own autodiff.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..adapters import load_adapter
from ..comparison.compare import Comparison
from ..comparison.running import run
from ..comparison.tolerance import Computed
from ..reference import SGD, Batch, Case, Dense, Layer, MeanAbsoluteError, MeanSquaredError, Node
from ..reference.layers import Array
from .lesson import Theirs, called_in_print

VALUE, DERIVATIVE = "0/forward/y", "0/backward/x"


@dataclass(frozen=True)
class Function:
    """What a function makes of some rows, and of a gradient at each: by hand, and by framework."""

    value: Array
    derivative: Array
    theirs: Mapping[str, tuple[Theirs, Theirs]] = field(default_factory=dict)
    """The value and the derivative, of each framework that has them."""

    def rows(self, place: int, name: str, back: bool) -> list[tuple[str, tuple[float, ...]]]:
        """One row of the value, or of what comes back: by hand, and below it each framework's."""
        own = self.derivative if back else self.value
        held = {framework: (both[1] if back else both[0]).values for framework, both in self.theirs.items()}
        found = {"": own, **{called: array for called, array in held.items() if array is not None}}
        return [
            (f"{name}, {called_in_print(called)}" if called else name, tuple(map(float, array[place])))
            for called, array in found.items()
        ]


def function(layer: Layer, x: Array, frameworks: Sequence[str]) -> Function:
    """A function of a vector, and its derivative in each place, of which each output has its own."""
    x = np.atleast_2d(x)
    y, _ = layer.forward(x, {})
    return of_case(alone(layer, x, Batch(x, y - 1), MeanAbsoluteError("sum")), frameworks)


def jacobian(layer: Layer, x: Array, frameworks: Sequence[str]) -> Function:
    """The same of one whose outputs depend on all of the vector: row ``i`` comes back from a 1 at output ``i``."""
    every = np.stack([x] * x.size)
    y, _ = layer.forward(every, {})
    return of_case(alone(layer, every, Batch(every, y - np.eye(x.size)), MeanSquaredError("half_sum")), frameworks)


def alone(layer: Layer, x: Array, batch: Batch, loss: MeanAbsoluteError | MeanSquaredError) -> Case:
    """A network that hands on what it is given, and then has the function."""
    width = x.shape[1]
    return Case(
        name=layer.kind,
        nodes=(Node("x", Dense(width, width, bias=False)), Node("y", layer)),
        loss=loss,
        optimizer=SGD(1.0),
        weights={"x.weight": np.eye(width)},
        batches=(batch,),
    )


def of_case(case: Case, frameworks: Sequence[str]) -> Function:
    """Run it everywhere."""
    trace = run(case)
    comparison = Comparison(trace, Computed(), only=(VALUE, DERIVATIVE))
    theirs = {}
    for name in frameworks:
        subject = load_adapter(name).record(case)
        verdicts = {tensor.name: tensor for tensor in comparison.of(subject).tensors}
        value, derivative = (
            Theirs(
                np.asarray(subject[tensor]),
                verdicts[tensor].verdict,
                verdicts[tensor].end_to_end_sigmas,
                np.array_equal(subject[tensor], trace[tensor]),
            )
            for tensor in (VALUE, DERIVATIVE)
        )
        theirs[name] = value, derivative
    return Function(trace[VALUE], trace[DERIVATIVE], theirs)
