"""Seeded draws of weights and data: the same numbers on every machine and in every dtype.

All draws come from ``numpy.random.Generator(numpy.random.PCG64(seed))``, in the order that each function states, and
are rounded to float16: what is drawn is exact in float16, float32, float64 and longdouble alike.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..reference.case import Batch
from ..reference.errors import CaseError
from ..reference.layers import Array, Shape
from ..reference.losses import Loss
from ..reference.network import Node, Term, output_shapes, terms

RANK_1_SCALE = 0.5
MOST_NUMBERS = 2**29
"""How many numbers may be drawn at once, or computed by the nodes of a case in one forward."""


def draw_weights(shapes: Mapping[str, Shape], seed: int) -> dict[str, Array]:
    """Weights by name, drawn in the order of the mapping, which for a case is that of ``case.parameters``.

    Standard normal, divided by the root of the fan-in: the product of all axes but the last. What has a single axis,
    such as a bias, is standard normal times one half.

    Raises:
        CaseError: too many of them.

    >>> draw_weights({"a.weight": (1, 2), "a.bias": (2,)}, seed=7)["a.bias"].dtype
    dtype('float16')
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    weights = {}
    for name, shape in shapes.items():
        drawn = generator.standard_normal(shape)
        drawn *= scale(shape)  # in place: some are a third of a gigabyte
        weights[name] = rounded(drawn)
    return weights


def require_room(shapes: Mapping[str, Shape], table: str) -> None:
    """Raise CaseError, naming the largest, where arrays of these shapes are more than anyone computes by hand."""
    numbers = {name: math.prod(shape) for name, shape in shapes.items()}
    if sum(numbers.values()) > MOST_NUMBERS:
        largest = max(numbers, key=lambda name: numbers[name])
        received = f"{sum(numbers.values()):,}, most of them in shape {shapes[largest]}"
        raise CaseError(f"arrays of {MOST_NUMBERS:,} numbers in all", received, key=f"{table}.{largest}")


def scale(shape: Shape) -> float:
    """Standard deviation of the weights of a parameter of this shape."""
    return RANK_1_SCALE if len(shape) < 2 else 1 / math.sqrt(math.prod(shape[:-1]))


def draw_batch(nodes: Sequence[Node], loss: Loss | Sequence[Term], inputs: Shape, seed: int) -> Batch:
    """The data of one step: the inputs, of the given shape; the targets of each loss; what each node is given.

    Inputs are what the layer of the first node draws: standard normal, or for an embedding any of its indices, all
    equally likely. Targets are what the loss draws for the shapes of what it takes, masks what the layer draws.

    Raises:
        CaseError: inputs of this shape do not fit the nodes, or their output does not fit the loss.
    """
    shapes = output_shapes(nodes, inputs)
    generator = np.random.Generator(np.random.PCG64(seed))
    drawn = rounded(nodes[0].layer.draw_input(generator, inputs))
    targets = {}
    for term in terms(loss, nodes):
        try:
            target = term.loss.draw_target(generator, *(shapes[name] for name in term.takes))
        except CaseError as error:
            raise error.within("loss" if term.name == "loss" else f"losses.{term.name}") from None
        targets[term.name] = rounded(target)
    given = {
        name: rounded(node.layer.draw_given(generator, local, node.layer.given_shape(local, *taken)))
        for node in nodes
        for taken in [[shapes[one] for one in node.takes]]
        for local, name in node.given.items()
    }
    return Batch(drawn, targets if len(targets) > 1 else targets["loss"], given)


def rounded(drawn: Array) -> Array:
    """Numbers rounded to float16; class indices as they are."""
    return drawn.astype(np.float16) if drawn.dtype.kind == "f" else drawn
