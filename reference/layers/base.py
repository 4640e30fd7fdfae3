"""What a layer is: its hyperparameters, its parameters' shapes, a forward and the backward that undoes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from operator import mul
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..errors import CaseError

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, ...]
Parameters: TypeAlias = Mapping[str, Array]


class Layer:
    """One kind of operation of a network, as a frozen dataclass whose fields are its hyperparameters and conventions.

    A field whose type is a ``Literal`` is a convention: its alternatives are the ones in use elsewhere.

    ``forward(*inputs, params) -> (y, saved)``
        takes one array per input and the layer's parameters by name; ``saved`` is whatever the backward needs.
        A layer that needs its own output saves the very array it returns.
    ``backward(dy, saved, params) -> (dx, dparams)``
        takes the gradient of the loss with respect to ``y`` and returns it with respect to the input (a tuple,
        one for each, where a layer takes several) and, by name, with respect to each parameter.

    Both are pure: nothing that was passed in is changed.
    """

    kind: ClassVar[str]
    """The name of the layer in a case file."""

    arity: ClassVar[int | None] = 1
    """How many inputs the layer takes; None is any number from two on."""

    integer_inputs: ClassVar[bool] = False
    """True where the input is indices, which have no gradient: the backward returns None for it."""

    forward: Callable[..., tuple[Array, Any]]
    backward: Callable[..., tuple[Any, dict[str, Array]]]

    def parameters(self) -> dict[str, Shape]:
        """Name and shape of each parameter, in the order in which seeded weights are drawn."""
        return {}

    def statistics(self) -> dict[str, tuple[Shape, float]]:
        """Name, shape and initial value of each statistic that the layer keeps of what it has seen.

        A statistic is among ``params`` in forward and backward. It is not trained and has no gradient.
        """
        return {}

    def updated_statistics(self, saved: Any, params: Parameters) -> dict[str, Array]:
        """Every statistic after a forward, from what it saved."""
        return {}

    @property
    def given(self) -> tuple[str, ...]:
        """Names of what comes with every batch beside the layer's inputs, neither learned nor computed: a mask.

        What is given is among ``params`` in forward and backward, in the dtype of the case. It has no gradient.
        """
        return ()

    def given_shape(self, name: str, *shapes: Shape) -> Shape:
        """Shape of what is given under this name, for input shapes."""
        return shapes[0]

    def check_given(self, name: str, values: Array) -> None:
        """Raise CaseError unless the layer can take these values under this name."""

    def draw_given(self, generator: np.random.Generator, name: str, shape: Shape) -> Array:
        """What is given under this name, drawn at random: 0 or 1, unless the layer wants something else."""
        return generator.integers(2, size=shape).astype(float)

    def check_input(self, values: Array) -> None:
        """Raise CaseError unless the layer can take these values, the input of the network."""

    def draw_input(self, generator: np.random.Generator, shape: Shape) -> Array:
        """An input of the network drawn at random: standard normal unless the layer wants something else."""
        return generator.standard_normal(shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        """Shape of the output for these input shapes.

        Raises:
            CaseError: the shapes do not fit the layer.
        """
        (x,) = shapes
        return x


def require_rank(shape: Shape, rank: int, layout: str) -> None:
    """Raise CaseError unless an input of this shape has the rank that ``layout`` writes out."""
    if len(shape) != rank:
        raise CaseError(f"an input of rank {rank}, {layout}", f"shape {shape}")


def require_positive(layer: Layer, *fields: str, what: str) -> None:
    """Raise CaseError unless each of these fields, a number or a tuple of numbers, is at least 1."""
    for field in fields:
        value = getattr(layer, field)
        if min(value if isinstance(value, tuple) else (value,)) < 1:
            raise CaseError(f"{what} of at least 1", str(value), key=field)


def require_above_zero(layer: Layer, *fields: str) -> None:
    """Raise CaseError unless each of these fields is a number above 0."""
    for field in fields:
        value = getattr(layer, field)
        if not value > 0:
            raise CaseError("a number above 0", str(value), key=field)


def elements(shape: Shape) -> int:
    """How many elements an array of this shape has."""
    return reduce(mul, shape, 1)


def zeros_where(mask: Array, value: Array) -> Array:
    """``value`` where the mask is false, 0 where it is true, whatever stands under the mask (even NaN)."""
    return np.where(mask, np.zeros_like(value), value)
