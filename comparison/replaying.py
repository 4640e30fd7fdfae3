"""A candidate for the cause of a failure, replayed: the step with it in place, on the subject's own tensors.

Only the operations that are judged are computed. What every other one would make is the subject's own anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from ..faults.base import Fault, done, mixed
from ..reference import Case, Layer, Node, Operation, Optimizer
from ..reference.layers import Array, Shape
from ..reference.optimizers import Slots
from .figures import Figures
from .tolerance import Expected, expectation, follow

FitsTensor: TypeAlias = Callable[[Expected, Array], Figures | None]
"""Compares a tensor with what is expected of it; None where that has no bound, and nothing can be told."""


class Judged(Exception):
    """All that a replay was run for has been seen."""


def replay(
    case: Case,
    own: Mapping[str, Array],
    given: Mapping[str, Array],
    candidate: Fault,
    concerned: Sequence[Operation],
    fits: FitsTensor,
    *,
    throughout: bool,
) -> dict[str, float]:
    """Of the operations that agree with a candidate, by name, the subject's worst distance from it in sigmas.

    The step runs with the candidate in place, every operation on the subject's ``own`` inputs. Judged is all that
    was ``given``, of whatever shape. With ``throughout`` all must agree: otherwise none does.
    """
    maker = {name: operation.name for operation in concerned for name in operation.outputs}
    waiting = {name for name in maker if name in given}
    worst = dict.fromkeys((maker[name] for name in waiting), 0.0)

    def see(name: str, made: Array) -> None:
        if name not in waiting:
            return
        operation, expected = maker[name], expectation(made, case.dtype)
        fitting = fits(expected, given[name]) if expected.value.shape == given[name].shape else None
        if fitting and fitting.agrees:
            worst[operation] = max(worst[operation], fitting.sigmas)
            waiting.remove(name)
        else:
            refuted = set(worst) if throughout else {operation}
            for other in refuted:
                del worst[other]
            waiting.difference_update([name for name in waiting if maker[name] in refuted])
        if not waiting:
            raise Judged

    try:
        follow(case, own, see, start=candidate.start)
    except Judged:
        pass
    except (ValueError, IndexError, TypeError, ArithmeticError):
        return {}  # it cannot even be computed on these tensors
    unmade = {maker[name] for name in waiting}
    return {operation: sigmas for operation, sigmas in worst.items() if operation not in unmade}


def reduced(
    case: Case, operations: Sequence[Operation], own: Mapping[str, Array], judged: Sequence[Operation], *sites: str
) -> Case:
    """The case with idle layers, and an idle optimizer, where nothing is judged and the subject has every tensor.

    The layers of the ``sites`` are computed too.
    """
    missing = [operation for operation in operations if not own.keys() >= set(operation.outputs)]
    needed = {*sites, *(done(operation).of for operation in (*judged, *missing) if operation.phase != "update")}

    def reduced_node(node: Node) -> Node:
        return node if node.name in needed else replace(node, layer=mixed(IdleLayer, node.layer))

    updates = any(operation.phase == "update" for operation in (*judged, *missing))
    optimizer = case.optimizer if updates else mixed(IdleOptimizer, case.optimizer)
    return replace(case, nodes=tuple(map(reduced_node, case.nodes)), optimizer=optimizer)


class IdleLayer(Layer):
    """Makes zeros of the right shapes, for which the subject's own tensors stand in."""

    def forward(self, *inputs: Any) -> tuple[Array, list[Shape]]:
        shapes = [x.shape for x in inputs[:-1]]
        return np.zeros(self.output_shape(*shapes)), shapes

    def updated_statistics(self, saved: list[Shape], params: Mapping[str, Array]) -> dict[str, Array]:
        return {name: np.zeros(shape) for name, (shape, _) in self.statistics().items()}

    def backward(self, dy: Array, saved: list[Shape], params: Mapping[str, Array]) -> tuple[Any, dict[str, Array]]:
        dinputs = tuple(None if self.integer_inputs else np.zeros(shape) for shape in saved)
        return dinputs, {name: np.zeros(shape) for name, shape in self.parameters().items()}


class IdleOptimizer(Optimizer):
    """Leaves everything as it is, for which the subject's own tensors stand in."""

    def update(
        self, weight: Array, dweight: Array, slots: Slots, learning_rate: float
    ) -> tuple[Array, dict[str, Array]]:
        return weight, dict(slots)
