"""The training step: forward, loss, backward, update, in the order in which they are computed.

Every tensor that has a name passes through one hook, ``keep(name, made)``, and the step goes on with what the hook
hands back. A plain run stores the tensor; a hook that hands back another judges or replaces it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from .case import Case
from .layers import Array
from .trace import Operation, Trace

Keep: TypeAlias = Callable[[str, Array], Array]


class Named(NamedTuple):
    """A tensor under the name that it has in the trace."""

    name: str
    value: Array


Weights: TypeAlias = Mapping[str, Named]
State: TypeAlias = Mapping[str, Mapping[str, Named]]


def run(case: Case) -> Trace:
    """Compute every step of the case and return everything that was computed.

    >>> import crosscheck as cc
    >>> trace = run(cc.load_case("article"))
    >>> print(trace["0/forward/o.softmax"].round(8))
    [[0.29228018 0.03001013 0.67770969]]
    """
    trace = Trace(case=case, environment={"version": np.__version__, "device": "cpu"})
    # An overflow or a NaN is a result like any other: it is in the trace, and no warning.
    with np.errstate(all="ignore"):
        trace.operations = train(case, trace.keep)
    return trace


def train(case: Case, keep: Keep) -> list[Operation]:
    """Compute every step of the case, each tensor passing through ``keep``; return the operations in order."""
    recorder = Recorder(keep)
    weights: Weights = {name: recorder.given("initial", name, case.weights[name]) for name in case.parameters}
    state: State = {
        name: {
            slot: recorder.given("initial", f"{name}.{slot}", value)
            for slot, value in case.optimizer.slots(weights[name].value).items()
        }
        for name in case.trained
    }
    for step in range(case.steps):
        recorder.step = step
        weights, state = training_step(case, weights, state, recorder)
    return recorder.operations


def training_step(case: Case, weights: Weights, state: State, recorder: Recorder) -> tuple[Weights, State]:
    """One training step: all gradients first, from the weights of before, then every weight."""
    values, saved = forward(case, weights, recorder)
    gradients = backward(case, weights, values, saved, recorder)
    return update(case, weights, gradients, state, recorder)


def forward(case: Case, weights: Weights, recorder: Recorder) -> tuple[dict[str, Named], dict[str, Any]]:
    """The output of every node and the loss; beside them what each backward will need."""
    batch = case.batch(recorder.step)
    values = {"input": recorder.given("data", "input", batch.inputs)}
    target = recorder.given("data", "target", batch.targets)
    saved = {}
    for node in case.nodes:
        inputs = [values[name] for name in node.takes]
        params = {local: weights[name] for local, name in node.parameters.items()}
        y, needed = node.layer.forward(*plain(inputs), plain_by_name(params))
        (values[node.name],) = recorder.operation(
            "forward", node.name, node.layer.kind, [*inputs, *params.values()], {f"forward/{node.name}": y}
        )
        saved[node.name] = replaced(needed, y, values[node.name].value)
    prediction = values[case.nodes[-1].name]
    loss, saved["loss"] = case.loss.forward(prediction.value, target.value)
    recorder.operation("forward", "loss", case.loss.kind, [prediction, target], {"forward/loss": loss})
    return {**values, "target": target}, saved


def backward(
    case: Case, weights: Weights, values: Mapping[str, Named], saved: Mapping[str, Any], recorder: Recorder
) -> Mapping[str, Named]:
    """The gradient of the loss at every node's output, at the input and at every parameter, from last to first."""
    gradients = Gradients(case, recorder)
    last = case.nodes[-1].name
    dprediction = case.loss.backward(saved["loss"])
    gradients.arrive("loss", case.loss.kind, [values[last], values["target"]], [(last, "loss", dprediction)])
    for node in reversed(case.nodes):
        dy = gradients.total[node.name]
        params = {local: weights[name] for local, name in node.parameters.items()}
        dx, dparams = node.layer.backward(dy.value, saved[node.name], plain_by_name(params))
        dinputs = dx if isinstance(dx, tuple) else (dx,)
        reads = [dy, *(values[name] for name in node.takes), values[node.name], *params.values()]
        parts = [
            *zip(node.takes, node.labels, dinputs, strict=True),
            *((name, node.name, dparams[local]) for local, name in node.parameters.items()),
        ]
        gradients.arrive(node.name, node.layer.kind, reads, parts)
    return gradients.total


def update(
    case: Case, weights: Weights, gradients: Mapping[str, Named], state: State, recorder: Recorder
) -> tuple[Weights, State]:
    """Every weight and what the optimizer remembers of it, after the step; a frozen weight as it was."""
    rate = case.learning_rates[recorder.step]
    new_weights, new_state = dict(weights), dict(state)
    for name in case.trained:
        reads = [weights[name], gradients[name], *state[name].values()]
        updated, slots = case.optimizer.update(*plain(reads[:2]), plain_by_name(state[name]), rate)
        makes = {**{f"state/{name}.{slot}": value for slot, value in slots.items()}, f"update/{name}": updated}
        *kept, new_weights[name] = recorder.operation("update", name, case.optimizer.kind, reads, makes)
        new_state[name] = dict(zip(slots, kept, strict=True))
    return new_weights, new_state


class Gradients:
    """Gradients on their way back to the values and parameters that they belong to.

    What is used once has its gradient from that use. What is used more often has the sum of its parts, one from
    each use: an operation of its own, done as soon as the last part is there.
    """

    def __init__(self, case: Case, recorder: Recorder) -> None:
        self.case = case
        self.recorder = recorder
        self.total: dict[str, Named] = {}
        self.arrived: dict[str, list[Named]] = {}

    def arrive(self, source: str, kind: str, reads: Sequence[Named], parts: Sequence[tuple[str, str, Array]]) -> None:
        """Record the backward of ``source``: for each part, what it belongs to, the label of the use, the array."""
        makes = {self.case.gradient(name, label): part for name, label, part in parts}
        kept = self.recorder.operation("backward", source, kind, reads, makes)
        for (name, _, _), part in zip(parts, kept, strict=True):
            arrived = self.arrived.setdefault(name, [])
            arrived.append(part)
            if len(arrived) == len(self.case.uses[name]):
                self.total[name] = self.summed(name, arrived)

    def summed(self, name: str, parts: Sequence[Named]) -> Named:
        """The one part, or the sum of several."""
        if len(parts) == 1:
            return parts[0]
        total = reduce(add, plain(parts))
        return self.recorder.operation("backward", name, "sum", parts, {self.case.gradient(name): total})[0]


class Recorder:
    """Gives the tensors of a run their names, passes them through the hook and lists the operations."""

    def __init__(self, keep: Keep) -> None:
        self.keep = keep
        self.step = 0
        self.operations: list[Operation] = []

    def given(self, phase: str, name: str, value: Array) -> Named:
        """A tensor that the run starts from."""
        return self._named(f"{phase}/{name}", value)

    def operation(
        self, phase: str, name: str, kind: str, reads: Sequence[Named], makes: Mapping[str, Array]
    ) -> list[Named]:
        """One operation with the tensors it read and, by ``PHASE/NAME``, the arrays it made."""
        kept = [self._named(path, made) for path, made in makes.items()]
        done = "sum" if kind == "sum" else phase
        self.operations.append(
            Operation(
                name=f"{self.step}/{done}({name})",
                phase=phase,
                kind=kind,
                inputs=tuple(tensor.name for tensor in reads),
                outputs=tuple(tensor.name for tensor in kept),
            )
        )
        return kept

    def _named(self, path: str, value: Array) -> Named:
        name = f"{self.step}/{path}"
        return Named(name, self.keep(name, value))


def plain(tensors: Sequence[Named]) -> list[Array]:
    """The arrays of named tensors."""
    return [tensor.value for tensor in tensors]


def plain_by_name(tensors: Mapping[str, Named]) -> dict[str, Array]:
    """The arrays of named tensors, under the names that the layer or the optimizer gives them."""
    return {name: tensor.value for name, tensor in tensors.items()}


def replaced(saved: Any, made: Array, kept: Array) -> Any:
    """What a layer saved for its backward, with its own output replaced by the one that the hook handed back."""
    if isinstance(saved, tuple):
        return tuple(kept if part is made else part for part in saved)
    return kept if saved is made else saved
