"""Mistakes in layers that give what they see mean 0 and variance 1."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar, TypeAlias

import numpy as np

from ..reference.layers import Array, BatchNorm, Layer, LayerNorm, Parameters, Shape
from ..reference.layers.normalisation import Rows, as_rows, from_rows
from .base import LayerFault, values_of

Gradients: TypeAlias = tuple[Array, dict[str, Array]]


class NormalisationFault(LayerFault):
    """What the mistakes have in common: layer normalisation, or batch normalisation that is in training."""

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, LayerNorm) or (isinstance(layer, BatchNorm) and layer.training)

    def through_values(self, dy: Array, saved: Any, params: Parameters) -> Array:
        """What is sent back if mean and deviation are constants, ``dy * weight / deviation``."""
        if self.kind == LayerNorm.kind:
            _, deviation, _ = saved
            dx: Array = dy * params["weight"] / deviation
        else:
            dx = self.right(training=False).backward(dy, saved, params)[0]
        return dx

    def mean(self, values: Array) -> Array:
        """The mean of what is normalised together: over the features of a row, or over the rows of a channel."""
        axes = (-1,) if self.kind == LayerNorm.kind else (0, *range(2, values.ndim))
        total: Array = values.sum(axis=axes, keepdims=True)
        return total * (total.size / values.size)


class StatisticsTakenAsConstants(NormalisationFault):
    """Mean and variance are treated as constants: ``dx = dy * weight / deviation``.

    In evaluation they are constants, and the forward's last line is all that is differentiated. The gradients of weight
    and bias are exact; what is sent back does not add up to 0 over what was normalised, as it must, since adding a
    number to all of it changes nothing.
    """

    number = 14
    wrong = ("backward",)

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
        y, saved = layer.forward(x, {**params, "weight": narrow * params["weight"]})
        return y, saved

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        layer, narrow = self.narrowed(dy.shape)
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
    return features if layer.kind == LayerNorm.kind else prod(shape) // features


class AnotherEpsilon(LayerFault):
    """What the mistakes of another epsilon have in common."""

    epsilon_of_others: ClassVar[float]

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, LayerNorm | BatchNorm) and layer.epsilon != cls.epsilon_of_others

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
