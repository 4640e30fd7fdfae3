"""Layers that normalise every row by itself: by its mean and deviation, or by its size alone.

N rows, C channels or features, G groups of channels, ... the places of a sequence or of an image, if there are any.

All are one formula, with other values taken together. All variances divide by the number of values. Batch
normalisation, which takes the rows together, is in a module of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from ..errors import CaseError
from .base import Array, Layer, Parameters, Shape, require_positive

__all__ = ["GroupNorm", "InstanceNorm", "LayerNorm", "RMSNorm"]

Place: TypeAlias = Literal["root", "outside"]
"""Where epsilon is added: to the mean square under the root, or to the root."""


class Normalised(NamedTuple):
    """What was normalised along the last axis, what it was divided by, and the root therein."""

    values: Array
    deviation: Array
    root: Array


def normalise(x: Array, epsilon: float, epsilon_in: Place) -> Normalised:
    """``(x - mean) / deviation`` along the last axis."""
    centred = x - x.sum(axis=-1, keepdims=True) / x.shape[-1]
    return divided(centred, epsilon, epsilon_in)


def normalise_backward(dvalues: Array, saved: Normalised) -> Array:
    """The gradient of what was normalised."""
    # forward was: values = centred / deviation, as in divided_backward
    dcentred = divided_backward(dvalues, saved)
    # forward was: centred = x - mean(x); what comes back through the deviation has mean 0 already
    dx: Array = dcentred - (dvalues / saved.deviation).sum(axis=-1, keepdims=True) / dvalues.shape[-1]
    return dx


def divided(x: Array, epsilon: float, epsilon_in: Place) -> Normalised:
    """``x / deviation`` along the last axis: by the root of the mean of its squares, and epsilon."""
    inside, outside = (epsilon, 0) if epsilon_in == "root" else (0, epsilon)
    root = np.sqrt(np.square(x).sum(axis=-1, keepdims=True) / x.shape[-1] + inside)
    deviation = root + outside
    return Normalised(x / deviation, deviation, root)


def divided_backward(dvalues: Array, saved: Normalised) -> Array:
    """The gradient of what was divided."""
    values, deviation, root = saved
    # forward was: values = x / deviation, and d deviation / d x_i = x_i / (n * root), for n values together
    projected = (dvalues * values).sum(axis=-1, keepdims=True) / values.shape[-1]
    dx: Array = dvalues / deviation - values * projected / root
    return dx


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
    epsilon_in: Place = "root"

    def __post_init__(self) -> None:
        require_positive(self, "features", what="a number of features")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.features,), "bias": (self.features,)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_features(x, -1, self.features)
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        saved = normalise(x, self.epsilon, self.epsilon_in)
        y = saved.values * params["weight"] + params["bias"]
        return y, saved

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = values * weight + bias, for each of the rows
        dvalues = dy * params["weight"]
        dweight = (dy * saved.values).reshape(-1, self.features).sum(axis=0)
        dbias = dy.reshape(-1, self.features).sum(axis=0)
        # forward was: values = normalise(x)
        dx = normalise_backward(dvalues, saved)
        return dx, {"weight": dweight, "bias": dbias}


@dataclass(frozen=True)
class RMSNorm(Layer):
    """Division of every row by its size: ``y = x / deviation * weight``, over the last axis. No mean is subtracted.

    ``deviation = sqrt(mean(x^2) + epsilon)``, or ``sqrt(mean(x^2)) + epsilon`` where epsilon is outside the root.

    Shapes: x and y (..., C); weight (C,).

    Same layer elsewhere: torch.nn.RMSNorm (epsilon None, which is ``torch.finfo(x.dtype).eps``: 2^-23 in float32),
    flax.nnx.RMSNorm and keras.layers.RMSNormalization (1e-6), mlx.nn.RMSNorm (1e-5), all with epsilon inside the root.
    JAX itself has none. The paper has no epsilon. In Gemma's the weight is what is added to 1.

    Raises:
        CaseError: fewer than 1 feature, or an input whose last axis is not the features.

    Source: Zhang & Sennrich 2019, "Root mean square layer normalization", eq. 4.

    >>> RMSNorm(2, epsilon=0.0).forward(np.array([[1.0, 7.0]]), {"weight": np.array([1.0, 10.0])})[0]
    array([[ 0.2, 14. ]])
    """

    kind: ClassVar[str] = "rms_norm"

    features: int
    epsilon: float = 1e-6
    epsilon_in: Place = "root"

    def __post_init__(self) -> None:
        require_positive(self, "features", what="a number of features")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.features,)}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_features(x, -1, self.features)
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        saved = divided(x, self.epsilon, self.epsilon_in)
        y = saved.values * params["weight"]
        return y, saved

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: y = values * weight, for each of the rows
        dvalues = dy * params["weight"]
        dweight = (dy * saved.values).reshape(-1, self.features).sum(axis=0)
        # forward was: values = divided(x)
        dx = divided_backward(dvalues, saved)
        return dx, {"weight": dweight}


@dataclass(frozen=True)
class GroupNorm(Layer):
    """Normalisation of every group of channels of every row: ``y = (x - mean) / deviation * weight + bias``.

    Channels that stand side by side are a group, C / G of them; mean and deviation are over them and all places.
    ``deviation = sqrt(variance + epsilon)``, or ``sqrt(variance) + epsilon`` where epsilon is outside the root.
    Weight and bias are of the channels; with ``affine`` false there are none, and y is what was normalised.

    Shapes: x and y (N, C, ...); weight and bias (C,).

    Same layer elsewhere: torch.nn.GroupNorm (groups before channels; epsilon 1e-5), flax.nnx.GroupNorm (1e-6, channels
    last, by default 32 groups and the variance as ``mean(x^2) - mean^2``), keras.layers.GroupNormalization (1e-3,
    channels last, 32 groups). JAX itself has none.

    Raises:
        CaseError: fewer than 1 feature or group, groups that do not divide the features; an input that is not
            (N, C, ...) or has other channels; one value a group, whose gradient is 0.

    Source: Wu & He 2018, "Group normalization", eq. 1 to 7.

    >>> layer, x = GroupNorm(4, groups=2, epsilon=0.0, affine=False), np.array([[1.0, 3.0, 50.0, 10.0]])
    >>> layer.forward(x, {})[0]
    array([[-1.,  1.,  1., -1.]])
    """

    kind: ClassVar[str] = "group_norm"

    features: int
    groups: int
    epsilon: float = 1e-5
    epsilon_in: Place = "root"
    affine: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "features", what="a number of features")
        require_positive(self, "groups", what="a number of groups")
        if self.features % self.groups:
            raise CaseError(f"a number that divides the features, {self.features}", str(self.groups), key="groups")

    def parameters(self) -> dict[str, Shape]:
        return {"weight": (self.features,), "bias": (self.features,)} if self.affine else {}

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise CaseError("an input of rank 2 or more, (N, C, ...)", f"shape {x}")
        require_features(x, 1, self.features)
        if self.features == self.groups and max((1, *x[2:])) == 1:
            raise CaseError("more than one value a group", f"shape {x} with {self.groups} groups", key="groups")
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        saved = normalise(x.reshape(x.shape[0], self.groups, -1), self.epsilon, self.epsilon_in)
        values = saved.values.reshape(x.shape)
        y = values * along(params["weight"], x) + along(params["bias"], x) if self.affine else values
        return y, saved

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> tuple[Array, dict[str, Array]]:
        dvalues, dparams = dy, {}
        if self.affine:
            # forward was: y = values * weight + bias, for each of the rows and places
            values = saved.values.reshape(dy.shape)
            dvalues = dy * along(params["weight"], dy)
            dparams = {"weight": by_channel(dy * values), "bias": by_channel(dy)}
        # forward was: values = normalise(x), group by group
        dx = normalise_backward(dvalues.reshape(saved.values.shape), saved).reshape(dy.shape)
        return dx, dparams


@dataclass(frozen=True)
class InstanceNorm(Layer):
    """Normalisation of every channel of every row: ``y = (x - mean) / deviation * weight + bias``, over all places.

    It is group normalisation with a group for each channel. ``deviation = sqrt(variance + epsilon)``, or
    ``sqrt(variance) + epsilon`` where epsilon is outside the root. With ``affine`` false there is no weight and no
    bias, and y is what was normalised.

    Shapes: x and y (N, C, ...), with at least one axis of places; weight and bias (C,).

    Same layer elsewhere: torch.nn.InstanceNorm1d, InstanceNorm2d and InstanceNorm3d (epsilon 1e-5, affine False; with
    ``track_running_stats`` evaluation normalises by running statistics), flax.nnx.InstanceNorm (1e-6, channels last),
    in Keras GroupNormalization with ``groups=-1``. JAX itself has none.

    Raises:
        CaseError: fewer than 1 feature, an input that is not (N, C, ...) or has other channels; one value a channel,
            whose gradient is 0.

    Source: Ulyanov, Vedaldi & Lempitsky 2016, "Instance normalization: the missing ingredient for fast stylization",
    eq. 3 and 4.

    >>> InstanceNorm(2, epsilon=0.0, affine=False).forward(np.array([[[1.0, 3.0], [50.0, 10.0]]]), {})[0]
    array([[[-1.,  1.],
            [ 1., -1.]]])
    """

    kind: ClassVar[str] = "instance_norm"

    features: int
    epsilon: float = 1e-5
    epsilon_in: Place = "root"
    affine: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "features", what="a number of features")

    @property
    def by_groups(self) -> GroupNorm:
        """The group normalisation that does the same."""
        return GroupNorm(self.features, self.features, self.epsilon, self.epsilon_in, self.affine)

    def parameters(self) -> dict[str, Shape]:
        return self.by_groups.parameters()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 3:
            raise CaseError("an input of rank 3 or more, (N, C, ...)", f"shape {x}")
        require_features(x, 1, self.features)
        if max(x[2:]) == 1:
            raise CaseError("more than one value a channel", f"shape {x}")
        return x

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        return self.by_groups.forward(x, params)

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> tuple[Array, dict[str, Array]]:
        # forward was: that of the group normalisation
        return self.by_groups.backward(dy, saved, params)


def along(parameter: Array, x: Array) -> Array:
    """A parameter of the channels (C,) as it stands beside (N, C, ...)."""
    return parameter.reshape(-1, *(1 for _ in x.shape[2:]))


def by_channel(values: Array) -> Array:
    """The sum of (N, C, ...) over all axes but the channels'."""
    total: Array = values.reshape(*values.shape[:2], -1).sum(axis=(0, 2))
    return total


def require_features(shape: Shape, axis: int, features: int) -> None:
    """Raise CaseError unless an input of this shape has so many features on the axis."""
    if not shape:
        raise CaseError("an input with at least one axis", f"shape {shape}")
    if shape[axis] != features:
        raise CaseError(f"{shape[axis]}, of an input of shape {shape}", str(features), key="features")
