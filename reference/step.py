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

from .case import Batch, Case
from .clipping import Clip
from .errors import CaseError
from .layers import Array
from .network import Node, Term
from .trace import Operation, Trace

Keep: TypeAlias = Callable[[str, Array], Array]
Start: TypeAlias = "Callable[[Case, Keep], Training]"
"""What starts a run of a case, each tensor passing through the hook: ``Training``, or a faulty one."""


def run(
    case: Case,
    start: Start | None = None,
    source: str = "reference",
    hook: Callable[[Trace], Keep] | None = None,
) -> Trace:
    """Compute every step of the case and return everything that was computed.

    NumPy does the arithmetic, unless the ``hook`` made for the trace hands back arrays that do their own.

    Raises:
        CaseError: a case in bfloat16, in which NumPy does not compute, without such a hook.

    >>> import crosscheck as cc
    >>> trace = run(cc.load_case("article"))
    >>> print(trace["0/forward/o.softmax"].round(8))
    [[0.29228018 0.03001013 0.67770969]]
    """
    if case.dtype == "bfloat16" and hook is None:
        raise CaseError("a dtype that NumPy computes in", "'bfloat16' (crosscheck.record computes in it)", key="dtype")
    trace = Trace(source=source, case=case, environment={"version": np.__version__, "device": "cpu"})
    keep = hook(trace) if hook else trace.keep
    # An overflow or a NaN is a result like any other: it is in the trace, and no warning.
    with np.errstate(all="ignore"):
        trace.operations = (start or Training)(case, keep).run()
    return trace


def train(case: Case, keep: Keep) -> list[Operation]:
    """Compute every step of the case, each tensor passing through ``keep``; return the operations in order."""
    return Training(case, keep).run()


class Named(NamedTuple):
    """A tensor under the name that it has in the trace."""

    name: str
    value: Array


class Training:
    """One run of a case. Its methods are the parts of a training step, in the order in which they are done.

    ``weights`` are the parameters of the step at hand, and ``state`` what the optimizer remembers of each. ``place`` is
    how the names of tensors begin: the number of the step and, where there are several, of the micro-batch.
    """

    def __init__(self, case: Case, keep: Keep) -> None:
        self.case = case
        self.keep = keep
        self.place = "0"
        self.operations: list[Operation] = []
        self.weights = {name: self.given("initial", name, weight) for name, weight in case.weights.items()}
        self.state: dict[str, dict[str, Named]] = {
            name: {
                slot: self.given("initial", f"{name}.{slot}", value)
                for slot, value in case.optimizer.slots(self.weights[name].value).items()
            }
            for name in case.trained
        }
        self.values: dict[str, Named] = {}
        self.data: dict[str, Named] = {}
        self.saved: dict[str, Any] = {}
        self.gradients: dict[str, Named] = {}
        self.parts: dict[str, list[Named]] = {}

    def run(self) -> list[Operation]:
        """All steps; the operations that were done."""
        for step in range(self.case.steps):
            self.step = step
            self.training_step()
        return self.operations

    def training_step(self) -> None:
        """One step: all gradients first, from the weights of before, then every weight."""
        case, step = self.case, self.step
        gradients = []
        for self.place, batch, share in zip(case.places(step), case.batches_of(step), case.shares(step), strict=True):
            self.forward(batch)
            self.backward(share)
            gradients.append({name: self.gradients[name] for name in case.parameters})
        self.place = str(step)
        if len(gradients) > 1:
            self.accumulate(gradients)
        if case.clip:
            self.clip(case.clip)
        self.update()

    def forward(self, batch: Batch) -> None:
        """The output of every node and the loss; beside them what each backward will need."""
        self.values = {"input": self.given("data", "input", batch.inputs)}
        self.data = {name: self.given("data", name, mask) for name, mask in batch.given.items()}
        for node in self.case.nodes:
            self.forward_of(node)
        for term in self.case.losses:
            self.loss_of(term, batch)
        if len(self.case.losses) > 1:
            losses = [self.values[term.name] for term in self.case.losses]
            self.operation("forward", "loss", "weighted_sum", losses, {"forward/loss": self.weighted(arrays(losses))})

    def loss_of(self, term: Term, batch: Batch) -> None:
        """One loss, of what it takes and its target."""
        predictions, target = self.predictions_of(term), self.given("data", target_name(term), batch.target(term.name))
        self.values[target_name(term)] = target
        loss, self.saved[term.name] = term.loss.forward(*arrays(predictions), target.value)
        makes = {f"forward/{term.name}": loss}
        (self.values[term.name],) = self.operation("forward", term.name, term.loss.kind, [*predictions, target], makes)

    def weighted(self, losses: Sequence[Array]) -> Array:
        """The loss, where there are several: each times its weight, added up."""
        weights = [term.weight for term in self.case.losses]
        return reduce(add, [weight * loss.sum() for weight, loss in zip(weights, losses, strict=True)])

    def forward_of(self, node: Node) -> None:
        """The output of one node, and the statistics that its layer keeps of what it has seen."""
        inputs, params = self.inputs_of(node), self.params_of(node)
        y, saved = node.layer.forward(*arrays(inputs), arrays_by_name(params))
        statistics = node.layer.updated_statistics(saved, arrays_by_name(params))
        makes = {
            f"forward/{node.name}": y,
            **{f"state/{node.statistics[local]}": value for local, value in statistics.items()},
        }
        kept, *new = self.operation("forward", node.name, node.layer.kind, [*inputs, *params.values()], makes)
        self.values[node.name] = kept
        self.saved[node.name] = replaced(saved, y, kept.value)
        for local, value in zip(statistics, new, strict=True):
            self.weights[node.statistics[local]] = value

    def backward(self, share: float) -> None:
        """The gradient of the loss at every node's output, at the input and at every parameter, from last to first.

        ``share`` is by how much the loss counts: 1, unless it is that of one micro-batch of several.
        """
        self.gradients, self.parts = {}, {}
        for term in reversed(self.case.losses):
            self.backward_of_loss(term, term.weight * share)
        for node in reversed(self.case.nodes):
            self.backward_of(node)

    def backward_of_loss(self, term: Term, weight: float) -> None:
        """What one loss sends back to each value that it takes."""
        made = term.loss.backward(self.saved[term.name])
        dpredictions: tuple[Array, ...] = made if isinstance(made, tuple) else (made,)
        if weight != 1:  # otherwise one more pass over what may be the largest array of a step
            dpredictions = tuple(dprediction * weight for dprediction in dpredictions)
        reads = [*self.predictions_of(term), self.values[target_name(term)]]
        parts = [(name, term.name, part) for name, part in zip(term.takes, dpredictions, strict=True)]
        self.arrive(term.name, term.loss.kind, reads, parts)

    def backward_of(self, node: Node) -> None:
        """What one node sends back: to each value that it took, and to each of its parameters."""
        dy = self.gradients[node.name]
        inputs, params = self.inputs_of(node), self.params_of(node)
        dx, dparams = node.layer.backward(dy.value, self.saved[node.name], arrays_by_name(params))
        dinputs = dx if isinstance(dx, tuple) else (dx,)
        parts = [
            *zip(node.takes, node.labels, dinputs, strict=True),
            *((name, node.name, dparams[local]) for local, name in node.parameters.items()),
        ]
        reads = [dy, *inputs, self.values[node.name], *params.values()]
        self.arrive(node.name, node.layer.kind, reads, [part for part in parts if part[2] is not None])

    def arrive(self, source: str, kind: str, reads: Sequence[Named], parts: Sequence[tuple[str, str, Array]]) -> None:
        """Record the backward of ``source``: for each part, what it belongs to, the label of the use, the array.

        What is used once has its gradient from that use. What is used more often has the sum of its parts, done as
        soon as the last of them is there.
        """
        makes = {self.case.gradient(name, label): part for name, label, part in parts}
        kept = self.operation("backward", source, kind, reads, makes)
        for (name, _, _), part in zip(parts, kept, strict=True):
            arrived = self.parts.setdefault(name, [])
            arrived.append(part)
            uses = len(self.case.uses[name])
            if uses == 1:
                self.gradients[name] = part
            elif len(arrived) == uses:
                total = {self.case.gradient(name): self.total(name, arrays(arrived))}
                (self.gradients[name],) = self.operation("backward", name, "sum", arrived, total)

    def total(self, name: str, parts: Sequence[Array]) -> Array:
        """The gradient of what is used more than once: the sum over its uses."""
        return reduce(add, parts)

    def accumulate(self, gradients: Sequence[Mapping[str, Named]]) -> None:
        """The gradient of every parameter: the sum of those of the micro-batches."""
        for name in self.case.parameters:
            parts = [one[name] for one in gradients]
            total = {self.case.gradient(name): reduce(add, arrays(parts))}
            (self.gradients[name],) = self.operation("backward", name, "sum", parts, total)

    def clip(self, clip: Clip) -> None:
        """The gradients of all weights that are trained, clipped; the update takes them."""
        reads = {name: self.gradients[name] for name in self.case.trained}
        makes = {f"clipped/{name}": dw for name, dw in clip.clipped(arrays_by_name(reads)).items()}
        kept = self.operation("clipped", "gradients", clip.kind, list(reads.values()), makes)
        self.gradients |= dict(zip(reads, kept, strict=True))

    def update(self) -> None:
        """Every weight that is trained and what the optimizer remembers of it, after the step."""
        for name in self.case.trained:
            self.update_of(name, self.case.learning_rates[self.step])

    def update_of(self, name: str, learning_rate: float) -> None:
        """One weight after the step."""
        weight, gradient, slots = self.weights[name], self.gradients[name], self.state[name]
        updated, new = self.case.optimizer.update(weight.value, gradient.value, arrays_by_name(slots), learning_rate)
        makes = {**{f"state/{name}.{slot}": value for slot, value in new.items()}, f"update/{name}": updated}
        reads = [weight, gradient, *slots.values()]
        *kept, self.weights[name] = self.operation("update", name, self.case.optimizer.kind, reads, makes)
        self.state[name] = dict(zip(new, kept, strict=True))

    def inputs_of(self, node: Node) -> list[Named]:
        """What a node takes."""
        return [self.values[name] for name in node.takes]

    def params_of(self, node: Node) -> dict[str, Named]:
        """A node's parameters, its statistics and what it is given, under the names that its layer gives them."""
        held = {local: self.weights[name] for local, name in {**node.parameters, **node.statistics}.items()}
        return held | {local: self.data[name] for local, name in node.given.items()}

    def predictions_of(self, term: Term) -> list[Named]:
        """What a loss takes, but for the target."""
        return [self.values[name] for name in term.takes]

    def given(self, phase: str, name: str, value: Array) -> Named:
        """A tensor that the run starts from."""
        return self.named(f"{phase}/{name}", value)

    def operation(
        self, phase: str, name: str, kind: str, reads: Sequence[Named], makes: Mapping[str, Array]
    ) -> list[Named]:
        """One operation with the tensors it read and, by ``PHASE/NAME``, the arrays it made."""
        kept = [self.named(path, made) for path, made in makes.items()]
        done = "sum" if kind == "sum" else phase
        self.operations.append(
            Operation(
                name=f"{self.place}/{done}({name})",
                phase=phase,
                kind=kind,
                inputs=tuple(tensor.name for tensor in reads),
                outputs=tuple(tensor.name for tensor in kept),
            )
        )
        return kept

    def named(self, path: str, value: Array) -> Named:
        """A tensor under its full name, as the hook hands it back."""
        name = f"{self.place}/{path}"
        return Named(name, self.keep(name, value))


def target_name(term: Term) -> str:
    """What the target of a loss is called."""
    return "target" if term.name == "loss" else f"{term.name}.target"


def arrays(tensors: Sequence[Named]) -> list[Array]:
    """The arrays of named tensors."""
    return [tensor.value for tensor in tensors]


def arrays_by_name(tensors: Mapping[str, Named]) -> dict[str, Array]:
    """The arrays of named tensors, under the names that the layer or the optimizer gives them."""
    return {name: tensor.value for name, tensor in tensors.items()}


def replaced(saved: Any, made: Array, kept: Array) -> Any:
    """What a layer saved for its backward, with its own output replaced by the one that the hook handed back."""
    if isinstance(saved, tuple):
        parts = (kept if part is made else part for part in saved)
        return saved._make(parts) if hasattr(saved, "_make") else tuple(parts)  # one with names keeps them
    return kept if saved is made else saved
