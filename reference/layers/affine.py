"""Layers that are affine in each of their inputs. N rows, I inputs, O outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive


@dataclass(frozen=True)
class Dense(Layer):
    """Affine map of every row: ``y = x @ weight + bias``.

    With the layout ``outputs_inputs`` the weight is kept transposed, ``y = x @ weight.T + bias``, so that the table of
    an embedding (V, E) can be the weight of an output layer from E to V. With ``bias`` false none is added.

    Shapes: x (N, I); weight (I, O), or (O, I); bias (O,); y (N, O). There may be more axes before N: every row counts
    alike.

    Same layer elsewhere: torch.nn.Linear keeps its weight as (O, I), and so does MLX; flax.nnx.Linear and
    keras.layers.Dense keep it as (I, O). All have a bias unless told otherwise. JAX itself has none: it is written
    ``x @ weight + bias``.

    Raises:
        CaseError: a width below 1, or an input that is not (..., N, I).

    Source: Rumelhart, Hinton & Williams 1986, "Learning representations by back-propagating errors", eq. 1.

    >>> import numpy as np
    >>> weight, bias = np.array([[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]]), np.array([0.5, 0.0, 0.0])
    >>> Dense(2, 3).forward(np.array([[1.0, 2.0]]), {"weight": weight, "bias": bias})[0]
    array([[1.5, 2. , 4. ]])
    >>> Dense(3, 2, bias=False, layout="outputs_inputs").forward(np.array([[1.0, 2.0, 3.0]]), {"weight": weight})[0]
    array([[7., 5.]])
    """

    kind: ClassVar[str] = "dense"

    inputs: int
    outputs: int
    bias: bool = True
    layout: Literal["inputs_outputs", "outputs_inputs"] = "inputs_outputs"

    def __post_init__(self) -> None:
        require_positive(self, "inputs", "outputs", what="a width")

    def parameters(self) -> dict[str, Shape]:
        shape = (self.inputs, self.outputs)
        weight = shape if self.layout == "inputs_outputs" else shape[::-1]
        return {"weight": weight, "bias": (self.outputs,)} if self.bias else {"weight": weight}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise CaseError("an input of rank 2 or more, (..., N, I)", f"shape {x}")
        if x[-1] != self.inputs:
            raise CaseError(f"{x[-1]}, the width of what the node takes", str(self.inputs), key="inputs")
        return *x[:-1], self.outputs

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = x @ self.laid_out(params["weight"])
        if self.bias:
            y = y + params["bias"]
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = x @ weight + bias, for each of the rows
        dx = dy @ self.laid_out(params["weight"]).T
        rows, drows = x.reshape(-1, self.inputs), dy.reshape(-1, self.outputs)
        dparams = {"weight": self.laid_out(rows.T @ drows)}
        if self.bias:
            dparams["bias"] = drows.sum(axis=0)
        return dx, dparams

    def laid_out(self, weight: Array) -> Array:
        """The weight as (I, O) from how it is kept; and back again, for a transpose undoes itself."""
        return weight if self.layout == "inputs_outputs" else weight.T
