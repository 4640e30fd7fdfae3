"""The layers, each with its forward directly above its backward."""

from __future__ import annotations

from .activations import Relu, Sigmoid, Softmax, Tanh
from .affine import Dense
from .base import Array, Layer, Parameters, Shape
from .structure import Add

LAYERS: dict[str, type[Layer]] = {layer.kind: layer for layer in (Dense, Relu, Tanh, Sigmoid, Softmax, Add)}
"""Every layer by its kind."""

__all__ = [
    "LAYERS",
    "Add",
    "Array",
    "Dense",
    "Layer",
    "Parameters",
    "Relu",
    "Shape",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
