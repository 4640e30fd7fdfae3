"""Layers that join values of the graph, or give a value another shape."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Any, ClassVar

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, elements, require_positive

__all__ = ["Add", "Concatenate", "Flatten", "Multiply", "Reshape"]


@dataclass(frozen=True)
class Add(Layer):
    """Sum of two values of equal shape: ``y = a + b``. With one of them the input of a block, a residual connection.

    Shapes: a, b and y alike; nothing is broadcast.

    Same layer elsewhere: ``torch.add``, ``jax.numpy.add``.

    Raises:
        CaseError: shapes that differ.

    Source: He, Zhang, Ren & Sun 2016, "Deep residual learning for image recognition", eq. 1.

    >>> Add().forward(np.array([1.0, 2.0]), np.array([10.0, 20.0]), {})[0]
    array([11., 22.])
    """

    kind: ClassVar[str] = "add"
    arity: ClassVar[int | None] = 2

    def output_shape(self, *shapes: Shape) -> Shape:
        return of_equal_shape(*shapes)

    def forward(self, a: Array, b: Array, params: Parameters) -> tuple[Array, None]:
        return a + b, None

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[tuple[Array, Array], dict[str, Array]]:
        # forward was: y = a + b
        da = dy
        db = dy
        return (da, db), {}


@dataclass(frozen=True)
class Multiply(Layer):
    """Product of two values of equal shape, element by element: ``y = a * b``. A factor between 0 and 1 is a gate.

    Shapes: a, b and y alike; nothing is broadcast.

    Same layer elsewhere: ``torch.mul``, ``jax.numpy.multiply``.

    Raises:
        CaseError: shapes that differ.

    Source: Srivastava, Greff & Schmidhuber 2015, "Highway networks", eq. 2.

    >>> Multiply().forward(np.array([1.0, 2.0]), np.array([10.0, 20.0]), {})[0]
    array([10., 40.])
    """

    kind: ClassVar[str] = "multiply"
    arity: ClassVar[int | None] = 2

    def output_shape(self, *shapes: Shape) -> Shape:
        return of_equal_shape(*shapes)

    def forward(self, a: Array, b: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        return a * b, (a, b)

    def backward(
        self, dy: Array, saved: tuple[Array, Array], params: Parameters
    ) -> tuple[tuple[Array, Array], dict[str, Array]]:
        a, b = saved
        # forward was: y = a * b
        da = dy * b
        db = dy * a
        return (da, db), {}


@dataclass(frozen=True)
class Concatenate(Layer):
    """Two or more values joined along an axis, in the order in which they are taken.

    Shapes: each alike but for the size of the axis; that of y is the sum of theirs. The first axis is the rows, which
    are not joined; a negative axis counts from the last.

    Same layer elsewhere: ``torch.cat`` and ``jax.numpy.concatenate``, along the first axis unless told otherwise;
    keras.layers.Concatenate, along the last.

    Raises:
        CaseError: an axis that is the first or that a value has not; shapes that differ in another axis.

    Source: Szegedy et al. 2015, "Going deeper with convolutions", section 4; Huang, Liu, van der Maaten & Weinberger
    2017, "Densely connected convolutional networks", eq. 2.

    >>> Concatenate().forward(np.array([[1.0, 2.0]]), np.array([[3.0]]), np.array([[4.0, 5.0]]), {})[0]
    array([[1., 2., 3., 4., 5.]])
    """

    kind: ClassVar[str] = "concatenate"
    arity: ClassVar[int | None] = None

    axis: int = 1

    def output_shape(self, *shapes: Shape) -> Shape:
        rank = len(shapes[0])
        if not -rank < self.axis < rank or self.axis == 0:
            raise CaseError(f"an axis of {shapes[0]} that is not the first", str(self.axis), key="axis")
        place = self.axis % rank
        if len({(*shape[:place], *shape[place + 1 :], len(shape)) for shape in shapes}) > 1:
            raise CaseError(
                f"values of equal shape but for axis {self.axis}", " and ".join(map(str, shapes)), key="from"
            )
        return *shapes[0][:place], sum(shape[place] for shape in shapes), *shapes[0][place + 1 :]

    def forward(self, *values_and_params: Any) -> tuple[Array, list[int]]:
        *values, _ = values_and_params
        return np.concatenate(values, axis=self.axis), [value.shape[self.axis] for value in values]

    def backward(self, dy: Array, sizes: list[int], params: Parameters) -> tuple[tuple[Array, ...], dict[str, Array]]:
        # forward was: y = the values one after the other along the axis, so that each has its own part of dy
        ends = list(accumulate(sizes))
        dy = dy.swapaxes(0, self.axis)
        dvalues = (dy[end - size : end].swapaxes(0, self.axis) for end, size in zip(ends, sizes, strict=True))
        return tuple(dvalues), {}


@dataclass(frozen=True)
class Flatten(Layer):
    """Every row as a vector: ``y[n] = x[n]`` with all of its axes made one, the last running fastest.

    Shapes: x (N, ...), with one axis or more behind the rows; y (N, F), with F the number of elements of a row.

    Same layer elsewhere: torch.nn.Flatten, keras.layers.Flatten, ``x.reshape(len(x), -1)``. Where channels are last, as
    in Keras and flax, the elements of an image come in another order, and so do the rows of the weight that follows.

    Raises:
        CaseError: an input of a rank below 2.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition", section
    II.B, whose layer F6 takes all maps of the one before.

    >>> Flatten().forward(np.array([[[1.0, 2.0], [3.0, 4.0]]]), {})[0]
    array([[1., 2., 3., 4.]])
    """

    kind: ClassVar[str] = "flatten"

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise CaseError("an input of rank 2 or more, (N, ...)", f"shape {x}")
        return x[0], elements(x[1:])

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Shape]:
        return x.reshape(x.shape[0], -1), x.shape

    def backward(self, dy: Array, shape: Shape, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = x.reshape(N, F)
        dx = dy.reshape(shape)
        return dx, {}


@dataclass(frozen=True)
class Reshape(Layer):
    """Every row in another shape: ``y[n] = x[n].reshape(shape)``, with the last axis running fastest in both.

    Shapes: x (N, ...); y ``(N, *shape)``, with as many elements.

    Same layer elsewhere: ``torch.reshape`` and ``jax.numpy.reshape``, which take the first axis too;
    keras.layers.Reshape.

    Raises:
        CaseError: a size below 1; another number of elements.

    Source: the reshape of NumPy, in C order.

    >>> Reshape((2, 2)).forward(np.array([[1.0, 2.0, 3.0, 4.0]]), {})[0]
    array([[[1., 2.],
            [3., 4.]]])
    """

    kind: ClassVar[str] = "reshape"

    shape: tuple[int, ...]

    def __post_init__(self) -> None:
        require_positive(self, "shape", what="sizes")

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if elements(x[1:]) != elements(self.shape):
            raise CaseError(f"a shape of {elements(x[1:])} elements, as {x[1:]} has", str(self.shape), key="shape")
        return x[0], *self.shape

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Shape]:
        return x.reshape(x.shape[0], *self.shape), x.shape

    def backward(self, dy: Array, shape: Shape, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = x.reshape(N, *shape)
        dx = dy.reshape(shape)
        return dx, {}


def of_equal_shape(a: Shape, b: Shape) -> Shape:
    """The shape of two values.

    Raises:
        CaseError: they differ.
    """
    if a != b:
        raise CaseError("two values of equal shape", f"{a} and {b}", key="from")
    return a
