"""Layers that are affine in their input. N rows, I inputs, O outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive


@dataclass(frozen=True)
class Dense(Layer):
    """Affine map of every row: ``y = x @ weight + bias``.

    Shapes: x (N, I); weight (I, O); bias (O,); y (N, O). There may be more axes before N: every row counts alike.

    Same layer elsewhere: torch.nn.Linear keeps its weight as (O, I); flax.nnx.Linear and keras.layers.Dense keep it
    as here. JAX itself has none: it is written ``x @ weight + bias``.

    Raises:
        CaseError: a width below 1, or an input that is not (..., N, I).

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", eq. 1.

    >>> import numpy as np
    >>> weight, bias = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]), np.array([0.5, 0.0, 0.0])
    >>> Dense(2, 3).forward(np.array([[1.0, 2.0]]), {"weight": weight, "bias": bias})[0]
    array([[1.5, 2. , 4. ]])
    """

    kind: ClassVar[str] = "dense"

    inputs: int
    outputs: int

    def __post_init__(self) -> None:
        require_positive(self, "inputs", "outputs", what="a width")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.inputs, self.outputs), "bias": (self.outputs,)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise CaseError("an input of rank 2 or more, (..., N, I)", f"shape {x}")
        if x[-1] != self.inputs:
            raise CaseError(f"{x[-1]}, the width of what the node takes", str(self.inputs), key="inputs")
        return *x[:-1], self.outputs

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = x @ params["weight"] + params["bias"]
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = x @ weight + bias, for each of the rows
        dx = dy @ params["weight"].T
        rows, drows = x.reshape(-1, self.inputs), dy.reshape(-1, self.outputs)
        dweight = rows.T @ drows
        dbias = drows.sum(axis=0)
        return dx, {"weight": dweight, "bias": dbias}
