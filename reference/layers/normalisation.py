"""Layers that give what they see mean 0 and variance 1. N rows, C channels or features, H and W height and width.

Both are one formula, over the features of each row or over the rows of each channel. All variances divide by the
number of values, as they do everywhere; only what batch normalisation remembers may divide by one less.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive


@dataclass(frozen=True)
class LayerNorm(Layer):
    """Normalisation of every row: ``y = (x - mean) / deviation * weight + bias``, over the last axis.

    ``deviation = sqrt(variance + epsilon)``, or ``sqrt(variance) + epsilon`` where epsilon is outside the root.

    Shapes: x and y (..., C); weight and bias (C,).

    Same layer elsewhere: torch.nn.LayerNorm (epsilon 1e-5), flax.nnx.LayerNorm (1e-6; by default with the variance as
    ``mean(x^2) - mean^2``, which cancels), keras.layers.LayerNormalization (1e-3), all with epsilon inside the root.
    JAX itself has none. Outside the root is where some ports of the Transformer put it.

    Raises:
        CaseError: fewer than 1 feature, or an input whose last axis is not the features.

    Source: Ba, Kiros & Hinton 2016, "Layer normalization", eq. 3 and 4.

    >>> params = {"weight": np.array([1.0, 1.0]), "bias": np.array([0.0, 10.0])}
    >>> LayerNorm(2, epsilon=9.0).forward(np.array([[1.0, 9.0]]), params)[0]
    array([[-0.8, 10.8]])
    """

    kind: ClassVar[str] = "layer_norm"

    features: int
    epsilon: float = 1e-5
    epsilon_in: Literal["root", "outside"] = "root"

    def __post_init__(self) -> None:
        require_positive(self, "features", what="a number of features")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.features,), "bias": (self.features,)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_features(x, -1, self.features)
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array, Array]]:
        centred = x - x.sum(axis=-1, keepdims=True) / self.features
        variance = np.square(centred).sum(axis=-1, keepdims=True) / self.features
        inside, outside = (self.epsilon, 0) if self.epsilon_in == "root" else (0, self.epsilon)
        root = np.sqrt(variance + inside)
        deviation = root + outside
        normalised = centred / deviation
        y = normalised * params["weight"] + params["bias"]
        return y, (normalised, deviation, root)

    def backward(
        self, dy: Array, saved: tuple[Array, Array, Array], params: Parameters
    ) -> tuple[Array, dict[str, Array]]:
        normalised, deviation, root = saved
        # forward was: y = normalised * weight + bias, for each of the rows
        dnormalised = dy * params["weight"]
        dweight = (dy * normalised).reshape(-1, self.features).sum(axis=0)
        dbias = dy.reshape(-1, self.features).sum(axis=0)
        # forward was: normalised = centred / deviation, and d deviation / d centred_i = centred_i / (features * root)
        projected = (dnormalised * normalised).sum(axis=-1, keepdims=True) / self.features
        dcentred = dnormalised / deviation - normalised * projected / root
        # forward was: centred = x - mean(x); what comes back through the deviation has mean 0 already
        dx = dcentred - (dnormalised / deviation).sum(axis=-1, keepdims=True) / self.features
        return dx, {"weight": dweight, "bias": dbias}


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

    Shapes: x and y (N, C) or (N, C, H, W); weight, bias, running_mean and running_var (C,).

    Same layer elsewhere: torch.nn.BatchNorm1d and BatchNorm2d (unbiased, momentum 0.1 of the new; torch refuses a
    batch of one value a channel); flax.nnx.BatchNorm and keras.layers.BatchNormalization (biased, momentum 0.99 of the
    old, channels last; epsilon 1e-5 and 1e-3). JAX itself has none.

    Raises:
        CaseError: fewer than 1 feature; an input that is neither (N, C) nor (N, C, H, W), or of other channels; one
            value a channel in training, whose gradient is 0 everywhere and whose unbiased variance does not exist.

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
        if len(x) not in (2, 4):
            raise CaseError("an input of rank 2 or 4, (N, C) or (N, C, H, W)", f"shape {x}")
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
    return x if x.ndim == 2 else x.transpose(0, 2, 3, 1).reshape(-1, x.shape[1])


def from_rows(rows: Array, shape: Shape) -> Array:
    """The rows in the shape that they came from."""
    if len(shape) == 2:
        return rows
    n, channels, height, width = shape
    return rows.reshape(n, height, width, channels).transpose(0, 3, 1, 2)


def require_features(shape: Shape, axis: int, features: int) -> None:
    """Raise CaseError unless an input of this shape has so many features on the axis."""
    if not shape:
        raise CaseError("an input with at least one axis", f"shape {shape}")
    if shape[axis] != features:
        raise CaseError(f"{shape[axis]}, of an input of shape {shape}", str(features), key="features")
