"""Normalisation of every channel over the rows. N rows, C channels or features, ... the places of a sequence or image.

The variance that normalises divides by the number of values, as it does everywhere; only what is remembered may divide
by one less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive
from .normalisation import require_features

__all__ = ["BatchNorm"]


class Rows(NamedTuple):
    """What batch normalisation saves, with a column for every channel and a row for every value of one."""

    normalised: Array
    deviation: Array
    mean: Array
    variance: Array


@dataclass(frozen=True)
class BatchNorm(Layer):
    """Normalisation of every channel: ``y = (x - mean) / sqrt(variance + epsilon) * weight + bias``.

    In training, mean and variance are those of the batch, over all axes but the channels', and what is remembered of
    them moves towards them: ``running = (1 - momentum) * running + momentum * new``; where the momentum is that of the
    ``old``, ``running = momentum * running + (1 - momentum) * new``. The running variance takes the batch's divided
    by n - 1 (``unbiased``) or by n (``biased``), for n values a channel. In evaluation the running ones are used, and
    stay what they are.

    Shapes: x and y (N, C, ...); weight, bias, running_mean and running_var (C,).

    Same layer elsewhere: torch.nn.BatchNorm1d, BatchNorm2d and BatchNorm3d (unbiased, momentum 0.1 of the new; torch
    refuses a batch of one value a channel); flax.nnx.BatchNorm and keras.layers.BatchNormalization (biased, momentum
    0.99 of the old, channels last; epsilon 1e-5 and 1e-3). JAX itself has none.

    Raises:
        CaseError: fewer than 1 feature; an input that is not (N, C, ...) or has other channels; one value a channel in
            training, whose gradient is 0 everywhere and whose unbiased variance does not exist.

    Source: Ioffe & Szegedy 2015, "Batch normalization", algorithms 1 and 2.

    >>> params = {"weight": np.array([1.0]), "bias": np.array([10.0]),
    ...           "running_mean": np.array([0.0]), "running_var": np.array([1.0])}
    >>> layer = BatchNorm(1, epsilon=9.0, momentum=0.5)
    >>> y, saved = layer.forward(np.array([[1.0], [9.0]]), params)
    >>> y.T, layer.updated_statistics(saved, params)
    (array([[ 9.2, 10.8]]), {'running_mean': array([2.5]), 'running_var': array([16.5])})
    """

    kind: ClassVar[str] = "batch_norm"

    features: int
    epsilon: float = 1e-5
    momentum: float = 0.1
    training: bool = True
    running_variance: Literal["unbiased", "biased"] = "unbiased"
    momentum_of: Literal["new", "old"] = "new"

    def __post_init__(self) -> None:
        require_positive(self, "features", what="a number of features")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.features,), "bias": (self.features,)}

    def statistics(self) -> dict[str, tuple[Shape, float]]:
        return {"running_mean": ((self.features,), 0.0), "running_var": ((self.features,), 1.0)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise CaseError("an input of rank 2 or more, (N, C, ...)", f"shape {x}")
        require_features(x, 1, self.features)
        if self.training and max((x[0], *x[2:])) == 1:
            raise CaseError("more than one value a channel to train with", f"shape {x}")
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Rows]:
        rows = as_rows(x)
        mean = rows.sum(axis=0) / rows.shape[0] if self.training else params["running_mean"]
        centred = rows - mean
        variance = np.square(centred).sum(axis=0) / rows.shape[0] if self.training else params["running_var"]
        deviation = np.sqrt(variance + self.epsilon)
        normalised = centred / deviation
        y = normalised * params["weight"] + params["bias"]
        return from_rows(y, x.shape), Rows(normalised, deviation, mean, variance)

    def backward(self, dy: Array, saved: Rows, params: Parameters) -> tuple[Array, dict[str, Array]]:
        normalised, deviation, _, _ = saved
        drows = as_rows(dy)
        # forward was: y = normalised * weight + bias
        dnormalised = drows * params["weight"]
        dweight = (drows * normalised).sum(axis=0)
        dbias = drows.sum(axis=0)
        if self.training:
            # forward was: centred = x - mean(x), and deviation = sqrt(mean(centred^2) + epsilon): both depend on x
            n = drows.shape[0]
            projected = (dnormalised * normalised).sum(axis=0) / n
            dnormalised = dnormalised - dnormalised.sum(axis=0) / n - normalised * projected
        # forward was: normalised = centred / deviation
        dx = from_rows(dnormalised / deviation, dy.shape)
        return dx, {"weight": dweight, "bias": dbias}

    def updated_statistics(self, saved: Rows, params: Parameters) -> dict[str, Array]:
        running = {name: params[name] for name in ("running_mean", "running_var")}
        if not self.training:
            return running
        n = saved.normalised.shape[0]
        variance = saved.variance * n / (n - 1) if self.running_variance == "unbiased" else saved.variance
        of_new = self.momentum if self.momentum_of == "new" else 1 - self.momentum
        of_old = 1 - self.momentum if self.momentum_of == "new" else self.momentum
        new = {"running_mean": saved.mean, "running_var": variance}
        return {name: of_old * running[name] + of_new * new[name] for name in running}


def as_rows(x: Array) -> Array:
    """Every channel as a column: (N, C) as it is, (N, C, H, W) as (N H W, C)."""
    return x.reshape(*x.shape[:2], -1).swapaxes(1, 2).reshape(-1, x.shape[1])


def from_rows(rows: Array, shape: Shape) -> Array:
    """The rows in the shape that they came from."""
    return rows.reshape(shape[0], -1, shape[1]).swapaxes(1, 2).reshape(shape)
