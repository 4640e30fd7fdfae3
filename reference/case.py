"""A case: a network as a graph of named nodes, with everything that one training run needs. Pure data, checked once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from .errors import CaseError, listed
from .layers import Array, Shape
from .losses import Loss
from .network import RESERVED, Node, check_name, output_shapes, parameter_shapes, resolve, statistic_values
from .optimizers import Optimizer

DTYPES = ("float16", "float32", "float64", "longdouble")
"""The dtypes that a case can be computed in."""


@dataclass(frozen=True, eq=False)
class Batch:
    """The data of one step: inputs (N, ...) and targets, as the loss wants them."""

    inputs: Array
    targets: Array


@dataclass(frozen=True, eq=False)
class Case:
    """A network, a loss, an optimizer, initial weights, the data of each step and the dtype of all arithmetic.

    ``weights`` holds every parameter and, where they are not to start from their usual values, statistics of layers.
    Nodes are listed in an order in which they can be computed; the loss takes the last one. One batch serves every
    step; otherwise there is one batch a step. Weights, inputs and targets are cast once to ``dtype``, and what
    they are then is everyone's exact input. Parameters in ``frozen`` have a gradient, and are not updated.
    ``symbols`` are names of nodes and parameters as a text writes them.

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
    loss: Loss
    optimizer: Optimizer
    weights: Mapping[str, Array]
    batches: tuple[Batch, ...]
    steps: int = 0
    """Number of training steps; by default one for each batch."""
    dtype: str = "float64"
    about: str = ""
    frozen: tuple[str, ...] = ()
    symbols: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_name(self.name, "name")
        if self.dtype not in DTYPES:
            raise CaseError(f"one of {listed(DTYPES)}", repr(self.dtype), key="dtype")
        resolved = resolve(tuple(self.nodes))
        self._set(nodes=resolved, frozen=tuple(self.frozen), batches=tuple(self.batches))
        self._set(steps=self.steps or len(self.batches))
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
        for name in self.symbols:
            require_known(name, {*self.parameters, *RESERVED, *(node.name for node in self.nodes)}, "symbols", "a name")

    def batch(self, step: int) -> Batch:
        """The data of one step, counted from 0."""
        return self.batches[step] if len(self.batches) > 1 else self.batches[0]

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
        uses.setdefault(self.nodes[-1].name, []).append("loss")
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
        rate = self.optimizer.learning_rate
        rate = rate[:steps] if isinstance(rate, tuple) else rate
        optimizer = replace(self.optimizer, learning_rate=rate)
        return replace(self, steps=steps, batches=self.batches[:steps], optimizer=optimizer)

    def _set(self, **fields: Any) -> None:
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def _batch_key(self, step: int) -> str:
        return f"data.{step}" if len(self.batches) > 1 else "data"

    def _check_steps(self) -> None:
        if self.steps < 1:
            raise CaseError("at least 1 step and a batch", f"{self.steps}", key="steps")
        if len(self.batches) not in (1, self.steps):
            raise CaseError(f"1 batch, or one for each of {self.steps} steps", str(len(self.batches)), key="data")
        if len(self.learning_rates) != self.steps:
            raise CaseError(
                f"one number, or a list of {self.steps}, one for each step",
                f"a list of {len(self.learning_rates)}",
                key="optimizer.learning_rate",
            )

    def _cast(self, batch: Batch, key: str) -> Batch:
        inputs = "int64" if self.integer_inputs else self.dtype
        targets = "int64" if self.loss.integer_targets else self.dtype
        return Batch(exact(inputs, batch.inputs, f"{key}.inputs"), exact(targets, batch.targets, f"{key}.targets"))

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
        try:
            self.loss.check_target(batch.targets, shapes[self.nodes[-1].name])
        except CaseError as error:
            raise error.within("loss" if error.key else f"{key}.targets") from None


def require_known(name: str, known: Collection[str], key: str, what: str) -> None:
    """Raise CaseError, listing what there is, unless the name is known."""
    if name not in known:
        raise CaseError(f"{what} of the case: {listed(known)}", repr(name), key=f"{key}.{name}")


def exact(dtype: str, values: Any, key: str) -> Array:
    """The values as a read-only array of the dtype, every one finite.

    Raises:
        CaseError: values that are not numbers, ragged rows, NaN, an infinity, a number too large for the dtype.
    """
    try:
        given = np.asarray(values)
    except ValueError:
        raise CaseError("rows of equal length", "a ragged array", key=key) from None
    if given.dtype.kind not in ("iu" if dtype == "int64" else "iuf"):
        wanted = "whole numbers" if dtype == "int64" else "numbers"
        raise CaseError(wanted, f"values of type {given.dtype}", key=key)
    with np.errstate(over="ignore"):
        array = given.astype(dtype, order="C")
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise CaseError(f"finite numbers of {dtype}", f"{given[place]} at {list(place)}", key=key)
    array.setflags(write=False)
    return array
