"""Mistakes in layers that give what they see mean 0 and variance 1."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..reference.layers import Array, BatchNorm, GroupNorm, InstanceNorm, Layer, LayerNorm, Parameters, RMSNorm, Shape
from ..reference.layers.batch_normalisation import Rows, as_rows, from_rows
from ..reference.layers.normalisation import Normalised, along, by_channel, normalise, normalise_backward
from .base import LayerFault, values_of

Gradients: TypeAlias = tuple[Array, dict[str, Array]]


class NormalisationFault(LayerFault):
    """What the mistakes have in common: a normalisation that subtracts a mean; batch normalisation in training."""

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        by_rows = isinstance(layer, LayerNorm | GroupNorm | InstanceNorm)
        return by_rows or (isinstance(layer, BatchNorm) and layer.training)

    def through_values(self, dy: Array, saved: Any, params: Parameters) -> Array:
        """What is sent back if mean and deviation are constants, ``dy * weight / deviation``."""
        if self.kind == BatchNorm.kind:
            return self.right(training=False).backward(dy, saved, params)[0]  # type: ignore[no-any-return]
        dvalues = dy
        if "weight" in params:
            by_rows = self.kind in (LayerNorm.kind, RMSNorm.kind)
            dvalues = dy * (params["weight"] if by_rows else along(params["weight"], dy))
        sent: Array = (dvalues.reshape(saved.values.shape) / saved.deviation).reshape(dy.shape)
        return sent

    def mean(self, values: Array) -> Array:
        """The mean of what is normalised together, as an array of the same shape."""
        if self.kind == BatchNorm.kind:
            rows = as_rows(values)
            return from_rows(np.broadcast_to(rows.sum(axis=0) / rows.shape[0], rows.shape), values.shape)
        n = values_together(self, values.shape)
        groups = values.reshape(-1, n)
        return np.broadcast_to(groups.sum(axis=-1, keepdims=True) / n, groups.shape).reshape(values.shape)


class StatisticsTakenAsConstants(NormalisationFault):
    """Mean and variance are treated as constants: ``dx = dy * weight / deviation``.

    In evaluation they are constants, and the forward's last line is all that is differentiated. The gradients of weight
    and bias are exact; what is sent back does not add up to 0 over what was normalised, as it must, since adding a
    number to all of it changes nothing.
    """

    number = 14
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, RMSNorm) or super().possible(layer, *inputs)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        _, dparams = super().backward(dy, saved, params)
        return self.through_values(dy, saved, params), dparams


class MeanTermForgotten(NormalisationFault):
    """The mean is treated as a constant, the deviation is not.

    Of the three paths from an input to an output, through itself, the mean and the deviation, the second is left out.
    What is sent back is off by one number for all that was normalised together: it should add up to 0 and does not.
    """

    number = 14
    wrong = ("backward",)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, params)
        return dx + self.mean(self.through_values(dy, saved, params)), dparams


class VarianceTermForgotten(NormalisationFault):
    """The deviation is treated as a constant, the mean is not.

    Of the three paths from an input to an output, through itself, the mean and the deviation, the third is left out.
    What is sent back adds up to 0, which is often all that is tested; but it says that larger inputs give larger
    outputs, and they give the same.
    """

    number = 14
    wrong = ("backward",)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        _, dparams = super().backward(dy, saved, params)
        dx = self.through_values(dy, saved, params)
        return dx - self.mean(dx), dparams


class ScaleForgotten(NormalisationFault):
    """The gradient goes back past the weight: it is not multiplied by it.

    The normalisation is differentiated with great care, and the simple line behind it is forgotten. At the start every
    weight is 1 and nothing shows; it comes with training.
    """

    wrong = ("backward",)
    only_where = "a weight that is not 1"

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return "weight" in layer.parameters() and (isinstance(layer, RMSNorm) or super().possible(layer, *inputs))

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, {**params, "weight": np.ones_like(params["weight"])})
        return dx, dparams


class VarianceDividedByOneLess(NormalisationFault):
    """The variance that normalises is divided by n - 1, as ``std`` and ``var`` do by default in some libraries.

    The two conventions meet inside this layer: what is remembered for evaluation is often unbiased, what normalises
    never is. Outputs are smaller by the root of ``(n - 1) / n``, which the weight can make up for: it trains, and no
    longer fits weights from elsewhere.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return super().possible(layer, *inputs) and values_together(layer, *inputs) > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Any]:
        layer, narrow = self.narrowed(x.shape)
        if "weight" not in params:
            y, saved = layer.forward(x, params)
            return narrow * y, saved
        return layer.forward(x, {**params, "weight": narrow * params["weight"]})

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        layer, narrow = self.narrowed(dy.shape)
        if "weight" not in params:
            return layer.backward(narrow * dy, saved, params)
        dx, dparams = layer.backward(dy, saved, {**params, "weight": narrow * params["weight"]})
        return dx, {**dparams, "weight": narrow * dparams["weight"]}

    def narrowed(self, shape: Shape) -> tuple[Layer, float]:
        """A right layer, and the factor of its weight with which it does the same."""
        n, fields = values_together(self, shape), values_of(self)
        narrow = ((n - 1) / n) ** 0.5
        outside = fields.get("epsilon_in") == "outside"
        return self.right(epsilon=fields["epsilon"] * (narrow if outside else narrow * narrow)), narrow


def values_together(layer: Any, shape: Shape) -> int:
    """How many values are normalised together."""
    features: int = layer.features
    if layer.kind in (LayerNorm.kind, RMSNorm.kind):
        return features
    if layer.kind == BatchNorm.kind:
        return prod(shape) // features
    return prod(shape[1:]) // (features if layer.kind == InstanceNorm.kind else layer.groups)


class AnotherEpsilon(LayerFault):
    """What the mistakes of another epsilon have in common."""

    epsilon_of_others: ClassVar[float]

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        known = isinstance(layer, LayerNorm | RMSNorm | GroupNorm | InstanceNorm | BatchNorm)
        return known and layer.epsilon != cls.epsilon_of_others

    @classmethod
    def planted(cls, layer: Layer) -> Layer:
        return type(layer)(**{**values_of(layer), "epsilon": cls.epsilon_of_others})


class EpsilonOfKeras(AnotherEpsilon):
    """The epsilon is 1e-3, the default of Keras.

    A default that is never written down is not ported. The difference shrinks as the inputs grow, and is largest for
    channels that are nearly constant.
    """

    number = 16
    wrong = ("forward", "backward")
    epsilon_of_others = 1e-3


class EpsilonOfTorch(AnotherEpsilon):
    """The epsilon is 1e-5, the default of PyTorch.

    A default that is never written down is not ported. In float32 and for inputs of ordinary size this one and
    smaller ones can hardly be told apart.
    """

    number = 16
    wrong = ("forward", "backward")
    epsilon_of_others = 1e-5


class EpsilonOfFlax(AnotherEpsilon):
    """The epsilon is 1e-6, the default of Flax's layer normalisation.

    The same library's batch normalisation has 1e-5, so that one constant for both is wrong in one place. Only inputs
    with a small variance tell.
    """

    number = 16
    wrong = ("forward", "backward")
    epsilon_of_others = 1e-6


class EpsilonOfBert(AnotherEpsilon):
    """The epsilon is 1e-12, as in BERT's configuration.

    Weights are published with a configuration that a port may not read. It is so small that in float32 it is the same
    as none, and in float16 it is 0: a row of equal numbers is then divided by 0.
    """

    number = 16
    wrong = ("forward", "backward")
    epsilon_of_others = 1e-12


class EpsilonOfTheDtype(AnotherEpsilon, RMSNorm):
    """The epsilon is that of the dtype, 2^-23 in float32, as in PyTorch where none is given.

    A default of None reads as no epsilon, or as the paper's; it is the distance of 1 from the next number. The same
    code in another dtype is another function, and a port that fixes one of them is off for small inputs.
    """

    number = 16
    wrong = ("forward", "backward")
    epsilon_of_others = 2.0**-23


class EpsilonBesideTheRoot(LayerFault, BatchNorm):
    """The epsilon is added to the deviation, ``sqrt(variance) + epsilon``, not to the variance under the root.

    It is there lest the division be by 0, and in either place it does that. Beside the root the same number counts for
    more where the variance is small, and the backward, exact for this forward, divides by 0 where it is 0.
    """

    number = 16
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: BatchNorm, *inputs: Shape) -> bool:
        return layer.training and layer.epsilon > 0

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Rows]:
        _, saved = super().forward(x, params)
        deviation = np.sqrt(saved.variance) + self.epsilon
        normalised = (as_rows(x) - saved.mean) / deviation
        y = normalised * params["weight"] + params["bias"]
        return from_rows(y, x.shape), Rows(normalised, deviation, saved.mean, saved.variance)

    def backward(self, dy: Array, saved: Rows, params: Parameters) -> Gradients:
        _, dparams = super().backward(dy, saved, params)
        normalised, deviation, _, variance = saved
        direct = as_rows(dy) * params["weight"] / deviation
        n = direct.shape[0]
        projected = (direct * normalised).sum(axis=0) / n
        dx = direct - direct.sum(axis=0) / n - normalised * projected * (deviation / np.sqrt(variance))
        return from_rows(dx, dy.shape), dparams


class EpsilonBesideTheRootInTheForward(EpsilonBesideTheRoot):
    """The epsilon is added to the deviation, and the backward is that of an epsilon under the root.

    The well-known formula of the backward is used with the deviation that the forward made. It is not quite the
    derivative of this forward: the part through the variance is too small by the ratio of the root and the deviation,
    which hardly any check by finite differences can see.
    """

    def backward(self, dy: Array, saved: Rows, params: Parameters) -> Gradients:
        dx, dparams = self.right().backward(dy, saved, params)
        return dx, dparams


class StatisticsNotUpdated(LayerFault, BatchNorm):
    """The running mean and variance stay what they were.

    Training does not use them and goes on as it should, down to the last digit. In evaluation the network normalises by
    the mean 0 and the variance 1 of the very start.
    """

    wrong = ("statistics",)

    @classmethod
    def possible(cls, layer: BatchNorm, *inputs: Shape) -> bool:
        return layer.training

    def updated_statistics(self, saved: Any, params: Parameters) -> dict[str, Array]:
        return {name: params[name] for name in self.statistics()}


class RunningDeviation(LayerFault, BatchNorm):
    """The running variance takes up the deviation, the root of the variance.

    The forward has divided by the deviation a line before, and the slot's name is short enough for either. Outputs in
    training and all gradients are right; evaluation divides by the root of a root.
    """

    wrong = ("statistics",)

    @classmethod
    def possible(cls, layer: BatchNorm, *inputs: Shape) -> bool:
        return layer.training

    def updated_statistics(self, saved: Any, params: Parameters) -> dict[str, Array]:
        return super().updated_statistics(saved._replace(variance=saved.deviation), params)


class MeanSubtracted(LayerFault, RMSNorm):
    """The mean is subtracted first: a layer normalisation without a bias.

    The newer layer is read as another name of the older one. Means are often small, so that outputs look alike, and a
    network that is trained so works as well; weights from elsewhere do not fit.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: RMSNorm, *inputs: Shape) -> bool:
        return layer.features > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        saved = normalise(x, self.epsilon, self.epsilon_in)
        return saved.values * params["weight"], saved

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> Gradients:
        _, dparams = super().backward(dy, saved, params)
        return normalise_backward(dy * params["weight"], saved), dparams


class WeightFromOne(LayerFault, RMSNorm):
    """The weight is what is added to 1: ``y = x / deviation * (1 + weight)``.

    Gemma's weights are kept so, which starts them at 0 and lets weight decay draw the factor to 1. Code for one of the
    two kinds of weights runs with the other, whose factors are all off by 1.
    """

    wrong = ("forward", "backward")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        return super().forward(x, {**params, "weight": 1 + params["weight"]})

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> Gradients:
        return super().backward(dy, saved, {**params, "weight": 1 + params["weight"]})


class DividedByTheNorm(LayerFault, RMSNorm):
    """Rows are divided by their length, the root of the sum of their squares, not of the mean.

    Root mean square and norm are both called the size of a vector. Outputs are too small by the root of the number of
    features, a constant that the next layer can learn to make up for.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: RMSNorm, *inputs: Shape) -> bool:
        return layer.features > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        y, saved = self.of_mean().forward(x, params)
        return y / self.root(y), saved

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> Gradients:
        return self.of_mean().backward(dy / self.root(dy), saved, params)

    def of_mean(self) -> Layer:
        """The right layer whose outputs are as many times larger, at another epsilon, as the root of the features."""
        n = self.features
        return self.right(epsilon=self.epsilon / (n if self.epsilon_in == "root" else n**0.5))

    def root(self, like: Array) -> Array:
        """The root of the number of features."""
        root: Array = np.sqrt(np.full_like(like, self.features, shape=()))
        return root


class GroupsInterleaved(LayerFault, GroupNorm):
    """Channel c belongs to group ``c mod G``: channels are dealt out to the groups in turn.

    A reshape to (C / G, G) where (G, C / G) is meant gives it, and both have the right shape. Groups are made of other
    channels than those that were trained together.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: GroupNorm, *inputs: Shape) -> bool:
        return 1 < layer.groups < layer.features

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        right, inner = self.right(affine=False), self.features // self.groups
        values, saved = right.forward(dealt(x, inner, self.groups), {})
        values = dealt(values, self.groups, inner)
        y = values * along(params["weight"], x) + along(params["bias"], x) if self.affine else values
        return y, saved

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> Gradients:
        right, inner = self.right(affine=False), self.features // self.groups
        dvalues = dy * along(params["weight"], dy) if self.affine else dy
        dx, _ = right.backward(dealt(dvalues, inner, self.groups), saved, {})
        values = dealt(saved.values.reshape(dy.shape), self.groups, inner)
        dparams = {"weight": by_channel(dy * values), "bias": by_channel(dy)} if self.affine else {}
        return dealt(dx, self.groups, inner), dparams


def dealt(x: Array, rows: int, columns: int) -> Array:
    """The channels, laid out in so many rows and columns, in the order of the columns."""
    table = x.reshape(x.shape[0], rows, columns, *x.shape[2:])
    return table.swapaxes(1, 2).reshape(x.shape)


class EveryPlaceByItself(LayerFault, GroupNorm):
    """Mean and deviation are over the channels of a group at one place, not over its places too.

    As a layer normalisation over the channels has it, which is what one knows from sequences. Bright and dark places of
    an image become alike, and contours get lost.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: GroupNorm, *inputs: Shape) -> bool:
        return len(inputs[0]) > 2 and prod(inputs[0][2:]) > 1 and layer.groups < layer.features

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        y, saved = self.right().forward(as_rows(x), params)
        return from_rows(y, x.shape), saved

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> Gradients:
        dx, dparams = self.right().backward(as_rows(dy), saved, params)
        return from_rows(dx, dy.shape), dparams


class InstancesTakenTogether(LayerFault, InstanceNorm):
    """Mean and deviation are over the rows of the batch too: a batch normalisation.

    One axis too many stands in the list of those that are averaged over. With one image at a time it is right; with
    more, what comes out for one depends on the others.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: InstanceNorm, *inputs: Shape) -> bool:
        return inputs[0][0] > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Normalised]:
        y, saved = super().forward(together(x), params)
        return together(y, x.shape), saved

    def backward(self, dy: Array, saved: Normalised, params: Parameters) -> Gradients:
        dx, dparams = super().backward(together(dy), saved, params)
        return together(dx, dy.shape), dparams


def together(x: Array, shape: Shape = ()) -> Array:
    """The rows of a batch (N, C, ...) as places of one row (1, C, N ...), or back where a shape is given."""
    if shape:
        return x.reshape(shape[1], shape[0], *shape[2:]).swapaxes(0, 1)
    return x.swapaxes(0, 1).reshape(1, x.shape[1], -1)
