"""What an adapter is: it runs a case in one framework, with the framework's own parts, and hands back a trace.

The framework is the thing under test. An adapter therefore builds the case from the framework's own layers, losses
and optimizers and lets its automatic differentiation do the backward: no backward or update formula is written in
an adapter. Each kind is *native* (the framework's own operation) or *composed* (the forward formula in the
framework's primitives, as its users write it, where it has no such operation).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import reduce
from operator import add
from typing import Any, ClassVar, Literal, Protocol, TypeAlias, TypeVar, runtime_checkable

import numpy as np

from ..reference import Case, Clip, Layer, Loss, Node, Optimizer, Term, Trace
from ..reference.case import Batch
from ..reference.dtypes import limits
from ..reference.layers import Array, Shape
from ..reference.step import target_name
from .inside import Inside

ROUNDINGS = 64
"""By how many units of rounding of the largest gradient two compilations may differ."""

Support: TypeAlias = Literal["native", "composed"]
T = TypeVar("T")


class NotInstalled(Exception):
    """The framework of an adapter cannot be imported here; the message says how to install it."""


class Unsupported(Exception):
    """The framework cannot run this case as it is meant; the message says why."""


class Crashed(Exception):
    """A user's own code raised an error or tried to end the process; the message says where and what."""


def reason_of(error: Exception) -> str:
    """In one line why a subject failed, as its verdict says it."""
    text = str(error) if isinstance(error, Crashed) else f"{type(error).__name__}: {error}"
    return text.strip().splitlines()[0]


class Altered(Exception):
    """The framework did not compute with what it was given: weights that do not read back, or changed gradients."""


class Part(Protocol):
    """A layer, a loss, a clipping or an optimizer as a framework has it."""

    @property
    def support(self) -> Support:
        """Native or composed."""

    @property
    def limits(self) -> Callable[[Any], str]:
        """Why the framework cannot express one with these hyperparameters and conventions; empty if it can."""


@runtime_checkable
class Subject(Protocol):
    """Whatever can record a case, to be held against the reference: an adapter, or a user's own code."""

    @property
    def name(self) -> str:
        """What it is called in every report."""

    @property
    def kinds(self) -> Mapping[str, Support] | None:
        """Of each kind of operation whether it is a framework's own; None where nobody can tell."""

    def environment(self, device: str) -> dict[str, Any]:
        """Versions and settings that may change a result, among them ``version``."""

    def requires(self, tensor: str) -> bool:
        """Whether it fails if it does not give the tensor of this name."""

    def record(self, case: Case, device: str = "cpu") -> Trace:
        """Run the case and return every tensor under its name.

        Raises:
            Unsupported: it cannot, with the reason.
            Crashed: it is a user's code, and failed.
            CaseError: it is a user's code, and handed back what the case does not have.
        """


class Adapter(ABC):
    """One way of running a case in one framework: a subject of its own in every report.

    An adapter is made only when its framework can be imported, and holds no state between runs.
    """

    name: ClassVar[str]
    """The subject's name, ``torch.compile``."""

    dtypes: ClassVar[frozenset[str]]
    """The dtypes that the framework computes in."""

    parts: ClassVar[Mapping[str, Part]]
    """Every layer, loss, clipping and optimizer that the framework can express, by its kind."""

    compiles: ClassVar[bool] = False
    """Whether a compiler fuses operations, so that numbers may be rounded only when they are handed back."""

    at_kinks: ClassVar[Mapping[str, Callable[[Any], Mapping[str, str]]]] = {}
    """By the kind of a layer, which conventions at kinks the framework has, whatever those of the layer are."""

    @abstractmethod
    def environment(self, device: str) -> dict[str, Any]:
        """Versions and settings that may change a result, among them ``version`` and ``device``."""

    @abstractmethod
    def devices(self) -> tuple[str, ...]:
        """The devices that the framework can use here, ``cpu`` and perhaps ``cuda``."""

    @abstractmethod
    def run(self, case: Case, device: str) -> Trace:
        """Run the case, which is supported on the device, and return every tensor under its name.

        Settings that it chose for this run are in the trace's environment; ``record`` adds the others.

        The process is left as it was found: seeds, threads, default dtype and precision.

        Raises:
            Altered: the framework's weights or gradients are not those of the case.
        """

    def inside(self, case: Case) -> Inside:
        """What the framework does inside the first batch of a case that it can express; nothing where it hides it."""
        return Inside()

    @property
    def kinds(self) -> dict[str, Support]:
        """Every kind that the framework can express, native or composed."""
        return {kind: part.support for kind, part in self.parts.items()}

    def requires(self, tensor: str) -> bool:
        """A framework must give every tensor of a case."""
        return True

    def problem(self) -> str:
        """Why this adapter cannot run anything here, though its framework is installed; empty if it can."""
        return ""

    def limits(self, case: Case) -> str:
        """Why this adapter cannot run the case as it is meant, beyond its parts, dtype and device; empty if it can."""
        return ""

    def followed(self, case: Case) -> Case:
        """The case with the framework's own derivatives at kinks, which its run has whatever the case says."""
        return replace(case, nodes=tuple(replace(node, layer=self.own_at_kinks(node.layer)) for node in case.nodes))

    def own_at_kinks(self, layer: Layer) -> Layer:
        """A layer with the framework's conventions at kinks."""
        own: Layer = replace(layer, **self.at_kinks[layer.kind](layer)) if layer.kind in self.at_kinks else layer  # type: ignore[type-var]
        return own

    def record(self, case: Case, device: str = "cpu") -> Trace:
        """Run the case if the framework can express it.

        Raises:
            Unsupported: it cannot, with the reason.
            Altered: see ``run``.
        """
        if reason := self.unsupported(case, device):
            raise Unsupported(reason)
        trace = self.run(case, device)
        trace.source, trace.case = self.name, case
        compiled = {"compiled": True} if self.compiles else {}
        trace.environment = {**self.environment(device), **compiled, **trace.environment}
        return trace

    def unsupported(self, case: Case, device: str = "cpu") -> str:
        """Why the framework cannot run the case; empty if it can."""
        if problem := self.problem():
            return problem
        if case.dtype not in self.dtypes:
            return f"{self.name} does not compute in {case.dtype}"
        if device not in self.devices():
            return f"{self.name} has no device {device!r} here; it has {', '.join(self.devices())}"
        things: list[Layer | Loss | Clip | Optimizer] = [node.layer for node in case.nodes]
        things += [*(term.loss for term in case.losses), *([case.clip] if case.clip else []), case.optimizer]
        for thing in things:
            if thing.kind not in self.parts:
                return f"{self.name} has no {thing.kind!r}"
            if reason := self.parts[thing.kind].limits(thing):
                return reason
        return self.limits(case)


def perturbations(case: Case, inputs: Shape) -> dict[str, Shape]:
    """``PHASE/NAME`` and shape of every gradient that a framework is asked for by a perturbation.

    A tensor of zeros is added to the input, to every node's output and, where a value or a parameter is used more
    than once, to each use; with micro-batches to every parameter, whose own gradient is that of all of them. The
    derivative of the loss with respect to those zeros is the gradient wanted.
    Automatic differentiation offers this everywhere, compiled or not, and the sums change no value.
    An input of indices has no gradient, and nothing is added to it.
    """
    shapes = case.shapes(inputs)
    if case.integer_inputs:
        del shapes["input"]
    wanted = {case.gradient(name): shape for name, shape in shapes.items()}
    for name, shape in {**shapes, **case.parameters}.items():
        if len(case.uses[name]) > 1:
            wanted |= {case.gradient(name, label): shape for label in case.uses[name]}
    if case.micro_batches > 1:
        wanted |= {case.gradient(name): shape for name, shape in case.parameters.items()}
    return wanted


def forward(
    case: Case,
    x: T,
    parameters: Mapping[str, T],
    zeros: Mapping[str, T],
    apply: Callable[[Node, list[T], dict[str, T]], T],
    criterion: Callable[[Term, list[T]], T],
) -> tuple[dict[str, T], T]:
    """Walk the graph in a framework: the output of every node and of every loss by name, and the loss itself.

    ``apply(node, inputs, params)`` computes one node, ``criterion(term, predictions)`` one loss. ``zeros`` are the
    perturbations by name; with none, the walk is the network as anyone would write it.
    """

    def use(value: T, name: str, label: str = "") -> T:
        path = case.gradient(name, label)
        return value + zeros[path] if path in zeros else value  # type: ignore[operator]

    def shared(value: T, name: str, label: str) -> T:
        return use(value, name, label) if len(case.uses[name]) > 1 else value

    values = {"input": use(x, "input")}
    parameters = {name: use(parameter, name) for name, parameter in parameters.items()}
    for node in case.nodes:
        inputs = [shared(values[name], name, label) for name, label in zip(node.takes, node.labels, strict=True)]
        params = {local: shared(parameters[name], name, node.name) for local, name in node.parameters.items()}
        values[node.name] = use(apply(node, inputs, params), node.name)
    losses = {
        term.name: criterion(term, [shared(values[name], name, term.name) for name in term.takes])
        for term in case.losses
    }
    if len(losses) > 1:
        weighted = [term.weight * losses[term.name].sum() for term in case.losses]  # type: ignore[attr-defined]
        losses["loss"] = reduce(add, weighted)
    del values["input"]
    return {**values, **losses}, losses["loss"]


def objective(loss: Any, share: float) -> Any:
    """What a framework differentiates: the loss, added up where it is not reduced, times the share of its batch."""
    total = loss.sum() if loss.ndim else loss
    return total if share == 1 else total * share


def data_of(batch: Batch, case: Case) -> dict[str, Array]:
    """Every array of a batch by the name that it has in the trace."""
    targets = {target_name(term): batch.target(term.name) for term in case.losses}
    return {"input": batch.inputs, **targets, **batch.given}


def require_read_back(case: Case, read: Callable[[str], Array], subject: str) -> None:
    """Raise Altered unless every weight reads back from the framework bit for bit as the case has it."""
    for name, weight in case.weights.items():
        found = read(name)
        if found.dtype != weight.dtype or found.shape != weight.shape or found.tobytes() != weight.tobytes():
            raise Altered(f"{subject}: weight {name!r} does not read back as it was given")


def largest(gradients: Iterable[Array]) -> float:
    """The magnitude of the largest of all elements, leaving out what is not finite."""
    return max((float(np.max(np.abs(array[np.isfinite(array)]), initial=0)) for array in gradients), default=0.0)


def require_unperturbed(
    name: str, plain: Array, perturbed: Array, subject: str, *, dtype: str, scale: float = 0.0
) -> None:
    """Raise Altered unless a run without perturbations has the same gradient of a parameter.

    The same but for rounding: a compiler fuses the two programs differently. ``scale`` is the size of what rounds,
    the largest of all gradients: one that is 0 but for rounding, as of the bias of an attention's keys, differs by
    more than its own size.
    """
    allowed = ROUNDINGS * 2 * limits(dtype)[0] * max(scale, largest([plain]))
    with np.errstate(invalid="ignore"):  # infinity less infinity
        near = np.abs(plain - perturbed) <= allowed
    same = np.all(near | (plain == perturbed) | (np.isnan(plain) & np.isnan(perturbed)))
    if not same:
        raise Altered(f"{subject}: the perturbations change the gradient of {name!r}")
