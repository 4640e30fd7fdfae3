"""Layers that are affine in each of their inputs. N rows, I inputs, O outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive

__all__ = ["Bilinear", "Dense"]


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
        # All rows in one product: with more axes NumPy makes as many smaller ones, which take longer.
        y = x.reshape(-1, self.inputs) @ self.laid_out(params["weight"])
        if self.bias:
            y = y + params["bias"]
        return y.reshape(*x.shape[:-1], self.outputs), x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        rows, drows = x.reshape(-1, self.inputs), dy.reshape(-1, self.outputs)
        # forward was: y = x @ weight + bias, for each of the rows
        dx = (drows @ self.laid_out(params["weight"]).T).reshape(x.shape)
        dparams = {"weight": rows.T @ drows if self.layout == "inputs_outputs" else drows.T @ rows}
        if self.bias:
            dparams["bias"] = drows.sum(axis=0)
        return dx, dparams

    def laid_out(self, weight: Array) -> Array:
        """The weight as (I, O) from how it is kept; and back again, for a transpose undoes itself."""
        return weight if self.layout == "inputs_outputs" else weight.T


@dataclass(frozen=True)
class Bilinear(Layer):
    """For every output a matrix between two inputs: ``y[o] = x1 @ weight[o] @ x2 + bias[o]``, for each of the rows.

    Computed as one affine map of all products of a feature of x1 and one of x2. With ``bias`` false none is added.

    Shapes: x1 (N, I1); x2 (N, I2); weight (O, I1, I2); bias (O,); y (N, O). There may be more axes before N.

    Same layer elsewhere: torch.nn.Bilinear; flax, Keras and JAX have none: it is written
    ``einsum("ni,oij,nj->no", x1, weight, x2)``.

    Raises:
        CaseError: a width below 1, inputs that are not (..., N, I1) and (..., N, I2) with the axes before alike.

    Source: Tenenbaum & Freeman 2000, "Separating style and content with bilinear models", eq. 1.

    >>> import numpy as np
    >>> weight = np.array([[[1.0, 0.0, 0.0], [0.0, 0.0, 2.0]]])
    >>> x1, x2 = np.array([[1.0, 10.0]]), np.array([[3.0, 4.0, 5.0]])
    >>> Bilinear(2, 3, 1, bias=False).forward(x1, x2, {"weight": weight})[0].tolist()
    [[103.0]]
    """

    kind: ClassVar[str] = "bilinear"
    arity: ClassVar[int] = 2

    first: int
    second: int
    outputs: int
    bias: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "first", "second", "outputs", what="a width")

    def parameters(self) -> dict[str, Shape]:
        weight = {"weight": (self.outputs, self.first, self.second)}
        return {**weight, "bias": (self.outputs,)} if self.bias else {**weight}

    def output_shape(self, *shapes: Shape) -> Shape:
        x1, x2 = shapes
        if min(len(x1), len(x2)) < 2 or (x1[:-1], x1[-1], x2[-1]) != (x2[:-1], self.first, self.second):
            expected = f"two values (..., N, {self.first}) and (..., N, {self.second})"
            raise CaseError(expected, f"shapes {x1} and {x2}", key="from")
        return *x1[:-1], self.outputs

    def forward(self, x1: Array, x2: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        products = self.products(x1, x2)
        y = products @ params["weight"].reshape(self.outputs, -1).T
        if self.bias:
            y = y + params["bias"]
        return y.reshape(*x1.shape[:-1], self.outputs), (x1, x2)

    def backward(
        self, dy: Array, saved: tuple[Array, Array], params: Parameters
    ) -> tuple[tuple[Array, Array], dict[str, Array]]:
        x1, x2 = saved
        drows = dy.reshape(-1, self.outputs)
        # forward was: y = products @ weight.T + bias, for each of the rows
        dproducts = (drows @ params["weight"].reshape(self.outputs, -1)).reshape(-1, self.first, self.second)
        dparams = {"weight": (drows.T @ self.products(x1, x2)).reshape(params["weight"].shape)}
        if self.bias:
            dparams["bias"] = drows.sum(axis=0)
        # forward was: products[i, j] = x1[i] * x2[j]
        dx1 = (dproducts @ x2.reshape(-1, self.second, 1)).reshape(x1.shape)
        dx2 = (x1.reshape(-1, 1, self.first) @ dproducts).reshape(x2.shape)
        return (dx1, dx2), dparams

    def products(self, x1: Array, x2: Array) -> Array:
        """Every feature of x1 times every one of x2, a row for each of the rows."""
        products: Array = x1.reshape(-1, self.first, 1) * x2.reshape(-1, 1, self.second)
        return products.reshape(-1, self.first * self.second)
