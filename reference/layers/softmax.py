"""Softmax and its logarithm, over the last axis. Any shape with at least one axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape

__all__ = ["LogSoftmax", "Softmax"]


@dataclass(frozen=True)
class Softmax(Layer):
    """Softmax of every row: ``y_i = exp(x_i) / sum_j exp(x_j)`` over the last axis.

    The row's maximum is subtracted first, which changes nothing but the size of the exponentials.
    Its Jacobian is full, ``dy_i/dx_j = y_i (1{i = j} - y_j)``: the diagonal alone is a common mistake.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Softmax(dim=-1), jax.nn.softmax(axis=-1).

    Raises:
        CaseError: an input without an axis to normalise.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs", eq. 2.

    >>> import numpy as np
    >>> Softmax().forward(np.log(np.array([[1.0, 2.0, 5.0]])), {})[0].round(12)
    array([[0.125, 0.25 , 0.625]])
    """

    kind: ClassVar[str] = "softmax"

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_axis(x)
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        y = e / e.sum(axis=-1, keepdims=True)
        return y, y

    def backward(self, dy: Array, y: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = exp(x) / sum exp(x), so dx_j = sum_i dy_i y_i (1{i = j} - y_j)
        dx = y * (dy - (dy * y).sum(axis=-1, keepdims=True))
        return dx, {}


@dataclass(frozen=True)
class LogSoftmax(Layer):
    """Logarithm of the softmax of every row: ``y_i = x_i - log(sum_j exp(x_j))`` over the last axis.

    The row's maximum is subtracted first, so that no exponential overflows. Unlike the logarithm of a softmax it is
    finite where a probability is too small for the dtype.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.LogSoftmax(dim=-1), jax.nn.log_softmax(axis=-1).

    Raises:
        CaseError: an input without an axis to normalise.

    Source: Bridle 1990, "Probabilistic interpretation of feedforward classification network outputs", eq. 2, for the
    softmax.

    >>> import numpy as np
    >>> np.exp(LogSoftmax().forward(np.log(np.array([[1.0, 2.0, 5.0]])), {})[0]).round(12)
    array([[0.125, 0.25 , 0.625]])
    """

    kind: ClassVar[str] = "log_softmax"

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_axis(x)
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        shifted = x - x.max(axis=-1, keepdims=True)
        logarithm = np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
        y = shifted - logarithm
        return y, (shifted, logarithm)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> tuple[Array, dict[str, Array]]:
        shifted, logarithm = saved
        # forward was: y = shifted - logarithm
        dlogarithm = -dy.sum(axis=-1, keepdims=True)
        # forward was: logarithm = log(sum exp(shifted)), so d logarithm / d shifted is the softmax
        softmax = np.exp(shifted - logarithm)
        # forward was: shifted = x - max(x), which nothing depends on but through x
        dx = dy + dlogarithm * softmax
        return dx, {}


def require_axis(shape: Shape) -> None:
    """Raise CaseError unless an input of this shape has an axis to normalise."""
    if not shape:
        raise CaseError("an input with at least one axis", f"shape {shape}")
