"""Mistakes in dropout."""

from __future__ import annotations

from ..reference.layers import Array, Dropout, Parameters
from .base import LayerFault


class DropoutGradientNotMasked(LayerFault, Dropout):
    """The gradient goes back to all elements, also to those that were dropped.

    The backward knows the scale and has lost the mask, or draws a new one. Weights that had no part in the output are
    moved; with another mask each time the error looks like noise.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[Array, dict[str, Array]]:
        return dy / (1 - self.rate), {}


class DropoutNotScaled(LayerFault, Dropout):
    """What is kept is not divided by ``1 - rate``, neither forward nor backward.

    The first paper scaled the weights in evaluation; code that scales in training, as all does now, and text that
    scales in evaluation are mixed. Outputs are off by the factor ``1 - rate``, the same everywhere.
    """

    wrong = ("forward", "backward")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, None]:
        return x * params["mask"], None

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[Array, dict[str, Array]]:
        return dy * params["mask"], {}


class DropoutScaledForwardOnly(LayerFault, Dropout):
    """The gradient is masked and not divided by ``1 - rate``.

    The scale was put into the forward in a second line, which the backward does not have. Every gradient below is too
    small by the same factor.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: None, params: Parameters) -> tuple[Array, dict[str, Array]]:
        return dy * params["mask"], {}
