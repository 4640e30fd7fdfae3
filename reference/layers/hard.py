"""Functions cut off at bounds: made of lines, cheap where no exponential is at hand. Any shape.

At exactly a bound the derivative is a convention: that of the flat piece ``outside`` or that of the piece ``inside``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, zeros_where

__all__ = ["HardSigmoid", "HardSwish", "Hardtanh", "Relu6"]

Piece: TypeAlias = Literal["outside", "inside"]


def cut(x: Array, low: float, high: float) -> Array:
    """X where it lies between the bounds, the nearest of them elsewhere."""
    not_above = np.where(x > high, np.full_like(x, high), x)
    y: Array = np.where(x < low, np.full_like(x, low), not_above)
    return y


def between(value: Array, x: Array, low: float, high: float, at_bounds: Piece) -> Array:
    """The value where x lies between the bounds, 0 elsewhere, and at the bounds by convention."""
    if at_bounds == "outside":
        return zeros_where(x <= low, zeros_where(x >= high, value))
    return zeros_where(x < low, zeros_where(x > high, value))


@dataclass(frozen=True)
class Hardtanh(Layer):
    """Identity between two bounds: ``y = low`` where ``x < low``, ``high`` where ``x > high``, x between them.

    Its derivative at exactly a bound is 0 (``outside``) or 1 (``inside``).

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Hardtanh (-1 and 1; at the bounds 0); jax.nn.hard_tanh (-1 and 1 always; at the
    bounds 1); jax.lax.clamp (at the bounds 0); torch.clamp, numpy.clip: their gradients at a bound are 0, 1/2 or 1, by
    framework and version.

    Raises:
        CaseError: bounds that do not rise.

    Source: Collobert 2004, "Large scale machine learning", thesis, Université de Paris VI.

    >>> Hardtanh(-1.0, 2.0).forward(np.array([-3.0, 0.5, 3.0]), {})[0]
    array([-1. ,  0.5,  2. ])
    """

    kind: ClassVar[str] = "hardtanh"

    low: float = -1.0
    high: float = 1.0
    at_bounds: Piece = "outside"

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise CaseError(f"a bound above {self.low}, the lower one", str(self.high), key="high")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = cut(x, self.low, self.high)
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = low where x < low, high where x > high, x elsewhere
        dx = between(dy, x, self.low, self.high, self.at_bounds)
        return dx, {}


@dataclass(frozen=True)
class Relu6(Layer):
    """Rectified linear unit that saturates: ``y = min(max(x, 0), 6)``.

    Its derivative at exactly 6 is 0 (``outside``) or 1 (``inside``); at exactly 0 it is 0, as that of relu.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.ReLU6, jax.nn.relu6, both with 0 at 6; tinygrad has 1 there.

    Source: Krizhevsky 2010, "Convolutional deep belief networks on CIFAR-10".

    >>> Relu6().forward(np.array([-3.0, 0.5, 7.0]), {})[0]
    array([0. , 0.5, 6. ])
    """

    kind: ClassVar[str] = "relu6"

    at_six: Piece = "outside"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        y = cut(x, 0, 6)
        return y, x

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = 0 where x < 0, 6 where x > 6, x elsewhere
        dx = zeros_where(x <= 0, between(dy, x, 0, 6, self.at_six))
        return dx, {}


@dataclass(frozen=True)
class HardSigmoid(Layer):
    """Line in place of the logistic function: ``y = min(max(x + 3, 0), 6) / 6``.

    Its derivative is 1/6 between -3 and 3; at exactly these it is 0.

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Hardsigmoid, whose derivative is 1/6 as a float32 number in float64 too;
    jax.nn.hard_sigmoid; keras.activations.hard_sigmoid of Keras 3. In Keras 2, and by default in ONNX, it is
    ``0.2 x + 0.5`` between -2.5 and 2.5.

    Source: Howard et al. 2019, "Searching for MobileNetV3", section 5.2.

    >>> HardSigmoid().forward(np.array([-4.0, 0.0, 1.5]), {})[0]
    array([0.  , 0.5 , 0.75])
    """

    kind: ClassVar[str] = "hard_sigmoid"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        shifted = x + 3
        y = cut(shifted, 0, 6) / 6
        return y, shifted

    def backward(self, dy: Array, shifted: Array, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = shifted / 6 where 0 < shifted < 6, a constant elsewhere, and shifted = x + 3
        dx = between(dy / 6, shifted, 0, 6, "outside")
        return dx, {}


@dataclass(frozen=True)
class HardSwish(Layer):
    """Silu with a gate made of lines: ``y = x gate`` with ``gate = min(max(x + 3, 0), 6) / 6``.

    Its derivative is ``gate + x / 6`` between -3 and 3, 0 below and 1 above. At exactly -3 and 3 it is 0 and 1
    (``outside``), or -1/2 and 3/2 (``inside``).

    Shapes: x and y alike.

    Same layer elsewhere: torch.nn.Hardswish (at the bounds outside; up to version 2.6 inside), jax.nn.hard_swish
    (outside).

    Source: Howard et al. 2019, "Searching for MobileNetV3", section 5.2.

    >>> HardSwish().forward(np.array([-4.0, 1.5, 5.0]), {})[0]
    array([-0.   ,  1.125,  5.   ])
    """

    kind: ClassVar[str] = "hard_swish"

    at_bounds: Piece = "outside"

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array, Array]]:
        shifted = x + 3
        gate = cut(shifted, 0, 6) / 6
        y = x * gate
        return y, (x, shifted, gate)

    def backward(
        self, dy: Array, saved: tuple[Array, Array, Array], params: Parameters
    ) -> tuple[Array, dict[str, Array]]:
        x, shifted, gate = saved
        # forward was: y = x * gate
        dgate = dy * x
        # forward was: gate = shifted / 6 where 0 < shifted < 6, a constant elsewhere, and shifted = x + 3
        dx = dy * gate + between(dgate / 6, shifted, 0, 6, self.at_bounds)
        return dx, {}
