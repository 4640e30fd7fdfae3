"""Mistakes that can happen to a layer of any kind."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from ..reference.layers import Array, Layer, Parameters, Shape
from .base import LayerFault

Gradients = tuple[Any, dict[str, Array]]


class UpstreamForgotten(LayerFault):
    """The layer's own derivative is sent back, without the gradient that came in: ``dx = f'(x)``.

    The chain rule multiplies the two, and a derivative copied from a table has only one of them. Everything before the
    layer learns as if the loss were the sum of the layer's outputs, whatever the targets are.
    """

    wrong = ("backward",)
    question = "By what does the chain rule multiply the layer's own derivative?"
    experiment = "Double the loss: what should happen to the number that you send back here?"

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        return super().backward(np.ones_like(dy), saved, params)


class InputGradientNegated(LayerFault):
    """The gradient of the input has the wrong sign: ``dx = -(dy f'(x))``.

    A minus is lost or written twice where the difference of two terms is differentiated. Lengths are right and the
    cosine is -1: all layers before this one climb the loss that those behind it descend.
    """

    wrong = ("backward",)
    question = "If the output should become larger, must this input become larger or smaller?"
    experiment = "Nudge one element of the layer's input and see whether the loss rises or falls."

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return not layer.integer_inputs

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, params)
        return tuple(-part for part in dx) if isinstance(dx, tuple) else -dx, dparams


class PathCut(LayerFault):
    """Nothing is sent back: the gradient of the input is 0, as if the input were a constant.

    The values left the graph on the way, by a detour through another library, a cast to whole numbers or a ``detach``
    that was left over. The layer itself learns; what lies before it stands still, and nothing complains.
    """

    wrong = ("backward",)
    question = "Which earlier values does the loss depend on through this layer?"
    experiment = "Nudge one element of the layer's input: if the loss changes, the gradient there is not 0."

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return not layer.integer_inputs

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, params)
        return tuple(map(np.zeros_like, dx)) if isinstance(dx, tuple) else np.zeros_like(dx), dparams


class AveragedTwice(LayerFault):
    """The layer divides the gradients of its parameters by N, though the loss is a mean already.

    Courses write ``dW = x.T @ dz / m`` beside a loss whose own gradient they leave undivided; put together with a loss
    that divides, each weight gradient is N times too small. What is sent back to the layer before is right.
    """

    wrong = ("backward",)
    question = "Which part of the network takes the mean over the rows, and how often must that be done?"
    experiment = "Give the same row twice: with a mean over the rows no gradient may change."

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return bool(layer.parameters()) and inputs[0][0] > 1

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, params)
        return dx, {name: gradient / dy.shape[0] for name, gradient in dparams.items()}


class BiasForgotten(LayerFault):
    """The bias is not added in the forward, though it has a gradient and is trained.

    It hides as long as biases start at 0, which they usually do: the first forward is right, its gradients are right,
    and the outputs part from the second step on.
    """

    wrong = ("forward",)
    only_where = "a bias that is not 0"
    question = "On what does the output depend if the input is 0?"
    experiment = "Give the layer an input of zeros: what comes out should be the bias."

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return "bias" in layer.parameters()

    def forward(self, *inputs_and_params: Any) -> tuple[Array, Any]:
        *inputs, params = inputs_and_params
        return super().forward(*inputs, {**params, "bias": np.zeros_like(params["bias"])})


class BiasGradientAveraged(LayerFault):
    """The bias gradient is the mean over the rows, ``dy.mean(axis=0)``, and not their sum.

    The mean over the batch belongs to the loss, which has done it. The bias gradient alone is too small, by the number
    of rows, so that the bias learns slowly and nothing else looks wrong.
    """

    number = 3
    wrong = ("backward",)
    only_where = "a bias with a gradient, which it has not where a normalisation follows"
    question = "The loss is an average already. Who else divides here?"
    experiment = (
        "Repeat every row of the batch: a gradient of a mean must stay as it is. Then compare with a single row."
    )

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        if "bias" not in layer.parameters():
            return False
        return prod(layer.output_shape(*inputs)) > prod(layer.parameters()["bias"])

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, params)
        rows = dy.size // dparams["bias"].size
        return dx, {**dparams, "bias": dparams["bias"] / rows}


class BiasGradientOfTheLastRow(LayerFault):
    """The bias gradient is that of one row: ``dbias = dy[n]`` inside a loop over the batch, without the ``+``.

    With one row a step it is right, which is how a network is tried out first. With more, the last row of the batch
    overwrites all others.
    """

    number = 4
    wrong = ("backward",)
    only_where = "a bias with a gradient, which it has not where a normalisation follows"
    row: ClassVar[int] = -1
    question = "A loop over the rows runs here. What is left of the rows before the last one?"
    experiment = "Put the rows of the batch in another order: should the gradient of the bias change?"

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return "bias" in layer.parameters() and inputs[0][0] > 1

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, params)
        alone = np.zeros_like(dy)
        alone[self.row] = dy[self.row]
        return dx, {**dparams, "bias": super().backward(alone, saved, params)[1]["bias"]}


class BiasGradientOfTheFirstRow(BiasGradientOfTheLastRow):
    """The bias gradient is that of the first row alone: ``dbias = dy[0]``.

    An axis too many is got rid of by an index, so that the shape is right, where it should have been summed over. All
    rows but one are ignored, by the bias alone; in a batch of similar rows it even learns.
    """

    row = 0
