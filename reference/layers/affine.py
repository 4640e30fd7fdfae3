"""Layers that are affine in their input. N rows, I inputs, O outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_rank


@dataclass(frozen=True)
class Dense(Layer):
    """Affine map of every row: ``y = x @ weight + bias``.

    Shapes: x (N, I); weight (I, O); bias (O,); y (N, O).

    Same layer elsewhere: torch.nn.Linear keeps its weight as (O, I); flax.nnx.Linear and keras.layers.Dense keep it
    as here. JAX itself has none: it is written ``x @ weight + bias``.

    Raises:
        CaseError: a width below 1, or an input that is not (N, I).

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
        for field in ("inputs", "outputs"):
            if getattr(self, field) < 1:
                raise CaseError("a width of at least 1", str(getattr(self, field)), key=field)

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.inputs, self.outputs), "bias": (self.outputs,)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_rank(x, 2, "(N, I)")
        if x[1] != self.inputs:
            raise CaseError(f"{x[1]}, the width of what the node takes", str(self.inputs), key="inputs")
        return x[0], self.outputs

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = x @ params["weight"] + params["bias"]
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = x @ weight + bias
        dx = dy @ params["weight"].T
        dweight = x.T @ dy
        dbias = dy.sum(axis=0)
        return dx, {"weight": dweight, "bias": dbias}
