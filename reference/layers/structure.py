"""Layers that join values of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape


@dataclass(frozen=True)
class Add(Layer):
    """Sum of two values of equal shape: ``y = a + b``. With one of them the input of a block, a residual connection.

    Shapes: a, b and y alike; nothing is broadcast.

    Same layer elsewhere: ``torch.add``, ``jax.numpy.add``.

    Raises:
        CaseError: shapes that differ.

    Source: He, Zhang, Ren & Sun 2016, "Deep residual learning for image recognition", eq. 1.

    >>> import numpy as np
    >>> Add().forward(np.array([1.0, 2.0]), np.array([10.0, 20.0]), {})[0]
    array([11., 22.])
    """

    kind: ClassVar[str] = "add"
    arity: ClassVar[int] = 2

    def output_shape(self, *shapes: Shape) -> Shape:
        a, b = shapes
        if a != b:
            raise CaseError("two values of equal shape", f"{a} and {b}", key="from")
        return a

    def forward(self, a: Array, b: Array, params: Parameters) -> tuple[Array, None]:
        return a + b, None

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[tuple[Array, Array], dict[str, Array]]:
        # forward was: y = a + b
        da = dy
        db = dy
        return (da, db), {}
