"""A table whose rows stand for words, symbols or positions: V rows of width E. N sequences of T places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive

__all__ = ["Embedding"]


@dataclass(frozen=True)
class Embedding(Layer):
    """The row of a table for every index: ``y[n, t] = weight[x[n, t]]``.

    The gradient of a row is the sum over all places where it was taken; of a row that was not taken it is 0. Indices
    have no gradient.

    Shapes: x (N,) or (N, T) or more, whole numbers from 0; weight (V, E); y (N, E) or (N, T, E).

    Same layer elsewhere: torch.nn.Embedding (an index out of range raises; with ``padding_idx`` a row has no gradient,
    with ``max_norm`` the forward changes the weight), flax.nnx.Embed. In JAX it is written ``weight[x]``, where an
    index out of range is that of the last row and has no gradient.

    Raises:
        CaseError: fewer than 1 row or a width below 1, an input without an axis, an index that is not a row's.

    Source: Bengio, Ducharme, Vincent & Jauvin 2003, "A neural probabilistic language model", section 2.

    >>> layer, weight = Embedding(3, 2), np.array([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]])
    >>> y, saved = layer.forward(np.array([2, 0, 2]), {"weight": weight})
    >>> y.tolist()
    [[4.0, 5.0], [0.0, 1.0], [4.0, 5.0]]
    >>> layer.backward(np.ones((3, 2)), saved, {"weight": weight})[1]["weight"].tolist()
    [[1.0, 1.0], [0.0, 0.0], [2.0, 2.0]]
    """

    kind: ClassVar[str] = "embedding"
    integer_inputs: ClassVar[bool] = True

    rows: int
    width: int

    def __post_init__(self) -> None:
        require_positive(self, "rows", what="a number of rows")
        require_positive(self, "width", what="a width")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.rows, self.width)}

    def check_input(self, values: Array) -> None:
        if values.size and (values.min() < 0 or values.max() >= self.rows):
            raise CaseError(f"indices from 0 to {self.rows - 1}", f"indices from {values.min()} to {values.max()}")

    def draw_input(self, generator: np.random.Generator, shape: Shape) -> Array:
        return generator.integers(self.rows, size=shape)

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if not x:
            raise CaseError("an input with at least one axis", f"shape {x}")
        return *x, self.width

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = params["weight"][x]
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[None, dict[str, Array]]:
        # forward was: y = weight[x]; assigning to dweight[x] would keep only the last place of a repeated index
        dweight = np.zeros_like(params["weight"])
        np.add.at(dweight, x, dy)
        return None, {"weight": dweight}
