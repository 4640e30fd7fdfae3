"""One layer alone: a case whose only operations of interest are its forward and its backward.

The gradient that arrives at its output is random and seeded: with one of all ones the gradients of softmax and of the
normalisations vanish, and the check with them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np

from ..adapters.own.layer import OwnLayer
from ..cases.drawing import draw_batch, draw_weights
from ..reference import SGD, Case, CaseError, Layer, Loss, Node
from ..reference.layers import Array, Parameters, Shape
from ..reference.network import parameter_shapes, resolve
from .agreement import Agreement
from .check import check
from .tolerance import Tolerance

NAME = "layer"
ROWS = 5
PLAIN = 7
"""The size of an axis that no field of a layer says anything about."""


@dataclass(frozen=True)
class Source(Layer):
    """Hands on an array of its own, an input of a layer that takes several: ``y = value``."""

    kind: ClassVar[str] = "source"

    shape: Shape

    def parameters(self) -> dict[str, Shape]:
        return {"value": self.shape}

    def output_shape(self, *shapes: Shape) -> Shape:
        return self.shape

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        return params["value"], x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = value
        return np.zeros_like(x), {"value": dy}


@dataclass(frozen=True)
class Upstream(Loss):
    """Sends back its target, whatever the output is: ``loss = sum(y * target)``."""

    kind: ClassVar[str] = "upstream"

    reduction: Literal["sum"] = "sum"

    def forward(self, y: Array, target: Array) -> tuple[Array, Array]:
        return (y * target).sum(), target

    def backward(self, target: Array) -> Array:
        # forward was: loss = sum(y * target)
        return target


def check_layer(
    mine: Any,
    like: Layer,
    *,
    shape: Shape | Sequence[Shape] | None = None,
    seed: int = 0,
    dtype: str = "float64",
    tolerance: Tolerance | None = None,
) -> Agreement:
    """Hold a layer against one of the reference's: its output, and every gradient of its backward."""
    case = alone(like, shape, seed, dtype)
    node = case.nodes[-1]
    inputs = [] if like.integer_inputs else [f"0/backward/{name}" for name in node.takes]
    only = [f"0/forward/{NAME}", f"0/state/{NAME}.*", *inputs, f"0/gradient/{NAME}.*"]
    return check(case, [OwnLayer(mine)], only=only, tolerance=tolerance)


def alone(like: Layer, shape: Shape | Sequence[Shape] | None, seed: int, dtype: str) -> Case:
    """The layer on random inputs: ``input``, or ``x1``, ``x2`` ... where it takes several.

    Raises:
        CaseError: no inputs of these shapes, or no shapes that could be guessed.
    """
    shapes = shapes_of(like, shape)
    sources = [Node(f"x{number}", Source(one), ("input",)) for number, one in enumerate(shapes, 1)]
    sources = sources if len(shapes) > 1 else []
    takes = tuple(source.name for source in sources) or ("input",)
    nodes = resolve((*sources, Node(NAME, like, takes)), Upstream())
    weights = draw_weights(parameter_shapes(nodes), seed)
    return Case(
        name=like.kind,
        about="A layer alone, with a random gradient at its output",
        nodes=nodes,
        loss=Upstream(),
        optimizer=SGD(1.0),
        weights=weights,
        batches=(draw_batch(nodes, Upstream(), (1,) if sources else shapes[0], seed + 1),),
        frozen=tuple(weights),
        dtype=dtype,
    )


def shapes_of(like: Layer, shape: Shape | Sequence[Shape] | None) -> list[Shape]:
    """The shape of each input: as it is given, one for all of them or one for each, or the first that the layer takes.

    >>> from crosscheck.reference import Add, BatchNorm, Conv2d, Dense
    >>> [shapes_of(layer, None) for layer in (Dense(8, 4), Add(), BatchNorm(6), Conv2d(2, 3, (3, 2)))]
    [[(5, 8)], [(5, 7), (5, 7)], [(5, 6)], [(5, 2, 9, 8)]]
    """
    count = like.arity or 2
    if shape is None:
        for one in guesses(like):
            if fits(like, [one] * count):
                return [one] * count
        raise CaseError("shape=..., the shape of its input, or of each", "none", key="shape")
    alike = all(isinstance(size, int) for size in shape)
    each: list[Any] = [tuple(shape)] * count if alike else [tuple(one) for one in shape]  # type: ignore[arg-type]
    if like.arity not in (None, len(each)):
        raise CaseError(f"{like.arity} shapes", str(len(each)), key="shape")
    if not fits(like, each):
        raise CaseError(f"what {like!r} takes", " and ".join(map(str, each)), key="shape")
    return each


def guesses(like: Layer) -> Iterator[Shape]:
    """Shapes of inputs, of different sizes along every axis, made from the numbers among the fields of a layer."""
    values = [getattr(like, field.name) for field in fields(like)]  # type: ignore[arg-type]
    sizes = [value for value in values if type(value) is int and value > 0]
    for size in (*sizes, PLAIN):
        yield from [(ROWS, size), (ROWS, 3, size), (ROWS, size, 9), (ROWS, size, 9, 8), (ROWS, size, 6, 5, 4)]


def fits(like: Layer, shapes: Sequence[Shape]) -> bool:
    """Whether a layer takes inputs of these shapes."""
    try:
        return all(size > 0 for size in like.output_shape(*shapes))
    except CaseError:
        return False
