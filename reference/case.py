"""A case: a network as a graph of named nodes, with everything that one training run needs. Pure data, checked once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from .clipping import Clip
from .dtypes import DTYPES, cast, held
from .errors import CaseError, listed
from .layers import Array, Shape
from .losses import Loss
from .network import (
    RESERVED,
    Node,
    Term,
    check_name,
    output_shapes,
    parameter_shapes,
    resolve,
    statistic_values,
    terms,
)
from .optimizers import Optimizer


@dataclass(frozen=True, eq=False)
class Batch:
    """The data of one forward: inputs (N, ...), targets as the loss wants them, and what layers are given beside.

    Where there are several losses, ``targets`` holds an array for each by its name. ``given`` holds what comes with
    the data for a layer, such as the mask of a dropout, by ``NODE.NAME``.
    """

    inputs: Array
    targets: Array | Mapping[str, Array]
    given: Mapping[str, Array] = field(default_factory=dict)

    def target(self, loss: str) -> Array:
        """The target of a loss, by its name."""
        return self.targets[loss] if isinstance(self.targets, Mapping) else self.targets


@dataclass(frozen=True, eq=False)
class Case:
    """A network, a loss, an optimizer, initial weights, the data of each step and the dtype of all arithmetic.

    ``weights`` holds every parameter and, where they are not to start from their usual values, statistics of layers.
    Nodes are listed in an order in which they can be computed; the loss takes the last one. Several losses are listed
    as terms, whose weighted sum is the loss. One batch serves every step; otherwise there is one batch a step; or, with
    ``micro_batches`` of more than 1, so many batches a step, whose gradients are accumulated. Weights, inputs and
    targets are cast once to ``dtype``, and what they are then is everyone's exact input; bfloat16 numbers are held as
    float32. Parameters in ``frozen`` have a gradient, and are not updated. ``symbols`` are names of nodes and
    parameters as a text writes them.

    Raises:
        CaseError: anything that does not fit together, with its place, what is expected and what was received.

    >>> from crosscheck.reference import MeanSquaredError, SGD, Dense
    >>> case = Case(
    ...     name="line", nodes=[Node("y", Dense(1, 1))], loss=MeanSquaredError(), optimizer=SGD(0.5),
    ...     weights={"y.weight": [[2.0]], "y.bias": [0.0]}, batches=[Batch([[1.0], [3.0]], [[2.0], [6.0]])],
    ... )
    >>> case.nodes[0].takes, case.parameters
    (('input',), {'y.weight': (1, 1), 'y.bias': (1,)})
    """

    name: str
    nodes: tuple[Node, ...]
    loss: Loss | Sequence[Term]
    optimizer: Optimizer
    weights: Mapping[str, Array]
    batches: tuple[Batch, ...]
    steps: int = 0
    """Number of training steps; by default one for each batch."""
    dtype: str = "float64"
    about: str = ""
    clip: Clip | None = None
    """What is done to the gradients before the update."""
    micro_batches: int = 1
    """Batches that a step takes, one after the other, before it updates the weights."""
    accumulation: Literal["mean", "rows", "sum"] = "mean"
    """How their losses are weighted: 1 over their number, their share of the step's rows, or 1."""
    frozen: tuple[str, ...] = ()
    symbols: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        if self.dtype not in DTYPES:
            raise CaseError(f"one of {listed(DTYPES)}", repr(self.dtype), key="dtype")
        resolved = resolve(tuple(self.nodes), self.loss)
        self._set(nodes=resolved, frozen=tuple(self.frozen), batches=tuple(self.batches))
        self._set(loss=plain(terms(self.loss, resolved), resolved))
        if self.micro_batches < 1:
            raise CaseError("at least 1", str(self.micro_batches), key="micro_batches")
        self._set(steps=self.steps or len(self.batches) // self.micro_batches)
        self._check_steps()
        self._set(
            batches=tuple(self._cast(batch, self._batch_key(step)) for step, batch in enumerate(self.batches)),
            weights={name: exact(self.dtype, array, f"weights.{name}") for name, array in self.weights.items()},
        )
        for step, batch in enumerate(self.batches):
            self._check_batch(batch, self._batch_key(step))
        self._check_weights()
        self._set(weights=self._in_order())
        self._check_names()
        for name in self.frozen:
            require_known(name, self.parameters, "frozen", "a parameter")
        for name in self.trained:
            try:
                self.optimizer.check_weight(self.parameters[name])
            except CaseError as error:
                raise error.within(f"weights.{name}") from None
        for name in self.symbols:
            require_known(name, {*self.parameters, *RESERVED, *(node.name for node in self.nodes)}, "symbols", "a name")

    @cached_property
    def losses(self) -> tuple[Term, ...]:
        """Every loss with its name, the names of the nodes that it takes, and its weight."""
        return terms(self.loss, self.nodes)

    def batch(self, step: int) -> Batch:
        """The data of one step, counted from 0; of several micro-batches the first."""
        return self.batches_of(step)[0]

    def batches_of(self, step: int) -> tuple[Batch, ...]:
        """The batches of one step: one, unless there are micro-batches."""
        first = 0 if len(self.batches) == self.micro_batches else step * self.micro_batches
        return self.batches[first : first + self.micro_batches]

    def shares(self, step: int) -> tuple[float, ...]:
        """By how much the loss of each of these batches counts in the gradients of the step."""
        rows = [len(batch.inputs) for batch in self.batches_of(step)]
        total = {"mean": self.micro_batches, "rows": sum(rows), "sum": 1}[self.accumulation]
        return tuple((number if self.accumulation == "rows" else 1) / total for number in rows)

    def places(self, step: int) -> tuple[str, ...]:
        """How the names of what is computed of each of these batches begin: ``0``, or ``0.0``, ``0.1``, ..."""
        several = self.micro_batches > 1
        return tuple(f"{step}.{number}" for number in range(self.micro_batches)) if several else (f"{step}",)

    @property
    def learning_rates(self) -> tuple[float, ...]:
        """The learning rate of each step."""
        return self.optimizer.learning_rates(self.steps)

    @cached_property
    def parameters(self) -> dict[str, Shape]:
        """Full name and shape of every parameter, in the order of the nodes, a shared one at its first use."""
        return parameter_shapes(self.nodes)

    @property
    def integer_inputs(self) -> bool:
        """Whether the input is indices, which have no gradient."""
        return any(node.layer.integer_inputs for node in self.nodes if "input" in node.takes)

    @property
    def trained(self) -> tuple[str, ...]:
        """The parameters that the optimizer updates."""
        return tuple(name for name in self.parameters if name not in self.frozen)

    @cached_property
    def uses(self) -> dict[str, list[str]]:
        """Where each value and each parameter is used: the labels of the nodes, and ``loss``."""
        uses: dict[str, list[str]] = {}
        for node in self.nodes:
            for name, label in zip(node.takes, node.labels, strict=True):
                uses.setdefault(name, []).append(label)
            for name in node.parameters.values():
                uses.setdefault(name, []).append(node.name)
        for term in self.losses:
            for name in term.takes:
                uses.setdefault(name, []).append(term.name)
        return uses

    def gradient(self, name: str, label: str = "") -> str:
        """``PHASE/NAME`` of the gradient with respect to a value or a parameter.

        With a label: of the part of it that comes back from that use, ``backward/a->b``; where there is but one use
        the part is the gradient itself.
        """
        phase = "gradient" if name in self.parameters else "backward"
        return f"{phase}/{name}->{label}" if label and len(self.uses[name]) > 1 else f"{phase}/{name}"

    def shapes(self, inputs: Shape) -> dict[str, Shape]:
        """Shape of the input and of every node's output, for inputs of this shape.

        Raises:
            CaseError: a node that does not fit what it takes.
        """
        return output_shapes(self.nodes, inputs)

    def with_steps(self, steps: int) -> Case:
        """The same case over another number of steps.

        Raises:
            CaseError: more steps than the case has batches or learning rates for.
        """
        if steps < 1:
            raise CaseError("at least 1", str(steps), key="steps")
        batches = self.batches[: steps * self.micro_batches]
        rate = self.optimizer.learning_rate
        rate = rate[:steps] if isinstance(rate, tuple) else rate
        optimizer = replace(self.optimizer, learning_rate=rate)
        return replace(self, steps=steps, batches=batches, optimizer=optimizer)

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _batch_key(self, step: int) -> str:
        return f"data.{step}" if len(self.batches) > 1 else "data"

    def _check_steps(self) -> None:
        if self.steps < 1:
            raise CaseError("at least 1 step and a batch", f"{self.steps}", key="steps")
        if len(self.batches) not in (self.micro_batches, self.steps * self.micro_batches):
            few = f"{self.micro_batches} batch{'es' if self.micro_batches > 1 else ''}"
            each = "one" if self.micro_batches == 1 else "as many"
            raise CaseError(f"{few}, or {each} for each of {self.steps} steps", str(len(self.batches)), key="data")
        if len(self.learning_rates) != self.steps:
            raise CaseError(
                f"one number, or a list of {self.steps}, one for each step",
                f"a list of {len(self.learning_rates)}",
                key="optimizer.learning_rate",
            )

    def _cast(self, batch: Batch, key: str) -> Batch:
        inputs = "int64" if self.integer_inputs else self.dtype
        dtypes = {term.name: "int64" if term.loss.integer_targets else self.dtype for term in self.losses}
        targets: Array | dict[str, Array]
        if isinstance(batch.targets, Mapping):
            for name in (*batch.targets, *dtypes):
                require_known(name, dtypes, f"{key}.targets", "a loss")
                if name not in batch.targets:
                    raise CaseError("the targets of this loss", "nothing", key=f"{key}.targets.{name}")
            targets = {name: exact(d, batch.targets[name], f"{key}.targets.{name}") for name, d in dtypes.items()}
            targets = targets if len(targets) > 1 else targets["loss"]
        elif len(dtypes) > 1:
            raise CaseError(f"the targets of each loss: {listed(dtypes)}", "one array", key=f"{key}.targets")
        else:
            targets = exact(dtypes["loss"], batch.targets, f"{key}.targets")
        given = {name: exact(self.dtype, array, f"{key}.given.{name}") for name, array in batch.given.items()}
        return Batch(exact(inputs, batch.inputs, f"{key}.inputs"), targets, given)

    def _check_weights(self) -> None:
        statistics = statistic_values(self.nodes)
        for name in self.weights:
            require_known(name, {**self.parameters, **statistics}, "weights", "a parameter")
        for node in self.nodes:
            shapes = {node.statistics[local]: shape for local, (shape, _) in node.layer.statistics().items()}
            shapes |= {node.parameters[local]: shape for local, shape in node.layer.parameters().items()}
            for name, shape in shapes.items():
                key = f"weights.{name}"
                if name not in self.weights:
                    if name in statistics:
                        continue
                    raise CaseError(f"an array of shape {shape}", "nothing", key=key)
                if self.weights[name].shape != shape:
                    raise CaseError(
                        f"shape {shape}, for node {node.name!r}", f"shape {self.weights[name].shape}", key=key
                    )

    def _check_names(self) -> None:
        """What an optimizer remembers of ``w`` is called ``w.SLOT``: no other name may continue a parameter's."""
        held = [*self.parameters, *statistic_values(self.nodes)]
        held += [name for node in self.nodes for name in node.given.values()]
        for name in self.parameters:
            for other in held:
                if other.startswith(f"{name}."):
                    expected = f"a name that does not continue that of the parameter {name!r}"
                    raise CaseError(expected, repr(other), key="nodes")

    def _in_order(self) -> dict[str, Array]:
        """The weights in the order of the nodes, and after them the statistics, their initial values filled in."""
        statistics = {
            name: self.weights[name] if name in self.weights else exact(self.dtype, np.full(shape, value), name)
            for name, (shape, value) in statistic_values(self.nodes).items()
        }
        return {**{name: self.weights[name] for name in self.parameters}, **statistics}

    def _check_batch(self, batch: Batch, key: str) -> None:
        if batch.inputs.ndim < 1 or len(batch.inputs) < 1:
            raise CaseError("at least one row", f"shape {batch.inputs.shape}", key=f"{key}.inputs")
        shapes = self.shapes(batch.inputs.shape)
        for node in self.nodes:
            if "input" in node.takes:
                try:
                    node.layer.check_input(batch.inputs)
                except CaseError as error:
                    raise error.within(f"{key}.inputs") from None
        for term in self.losses:
            alone = term.name == "loss"
            try:
                term.loss.check_target(batch.target(term.name), *(shapes[name] for name in term.takes))
            except CaseError as error:
                place = ("loss" if alone else f"losses.{term.name}") if error.key else f"{key}.targets"
                raise error.within(place if error.key or alone else f"{place}.{term.name}") from None
        self._check_given(batch, shapes, key)

    def _check_given(self, batch: Batch, shapes: Mapping[str, Shape], key: str) -> None:
        known = {full: (node, local) for node in self.nodes for local, full in node.given.items()}
        for name in batch.given:
            require_known(name, known, f"{key}.given", "what a layer is given")
        for name, (node, local) in known.items():
            shape = node.layer.given_shape(local, *(shapes[taken] for taken in node.takes))
            if name not in batch.given:
                raise CaseError(f"an array of shape {shape}", "nothing", key=f"{key}.given.{name}")
            if batch.given[name].shape != shape:
                raise CaseError(f"shape {shape}", f"shape {batch.given[name].shape}", key=f"{key}.given.{name}")
            try:
                node.layer.check_given(local, batch.given[name])
            except CaseError as error:
                raise error.within(f"{key}.given.{name}") from None


def plain(losses: tuple[Term, ...], nodes: Sequence[Node]) -> Loss | tuple[Term, ...]:
    """The losses as short as they can be said: one that takes the last node is that loss."""
    (*others, last) = losses
    return last.loss if not others and last.takes == (nodes[-1].name,) else losses


def require_known(name: str, known: Collection[str], key: str, what: str) -> None:
    """Raise CaseError, listing what there is, unless the name is known."""
    if name not in known:
        raise CaseError(f"{what} of the case: {listed(known)}", repr(name), key=f"{key}.{name}")


def exact(dtype: str, values: Any, key: str) -> Array:
    """The values as a read-only array of the dtype, every one finite; bfloat16 numbers as float32.

    Raises:
        CaseError: values that are not numbers, ragged rows, NaN, an infinity, a number too large for the dtype.
    """
    try:
        given = held(np.asarray(values))
    except ValueError:
        raise CaseError("rows of equal length", "a ragged array", key=key) from None
    if given.dtype.kind not in ("iu" if dtype == "int64" else "iuf"):
        wanted = "whole numbers" if dtype == "int64" else "numbers"
        raise CaseError(wanted, f"values of type {given.dtype}", key=key)
    with np.errstate(over="ignore"):
        array = cast(given, dtype)
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise CaseError(f"finite numbers of {dtype}", f"{given[place]} at {list(place)}", key=key)
    array.setflags(write=False)
    return array
