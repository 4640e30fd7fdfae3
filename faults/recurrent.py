"""Mistakes in layers that read a sequence step by step. T steps, H the width of a state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, TypeAlias

import numpy as np

from ..reference.layers import Array, Gru, Lstm, Parameters, Rnn, Shape
from ..reference.layers.recurrent import Kept, Recurrent, Saved, State, Weights, blocks, rows
from .base import LayerFault

Gradients: TypeAlias = tuple[Array, dict[str, Array]]
Step: TypeAlias = tuple[Array, ...]


class RecurrentFault(LayerFault, Recurrent):
    """What most of these mistakes have in common: they make a difference from the second step of a sequence on."""

    @classmethod
    def possible(cls, layer: Recurrent, *inputs: Shape) -> bool:
        return inputs[0][1] > 1


class TruncatedThroughTime(RecurrentFault):
    """Each step is differentiated by itself: nothing is sent back to the state before it.

    The state was detached between the steps, as one does between batches to end the graph there. The last step has its
    right gradient, and the network learns whatever needs no memory: what came early is never held responsible.
    """

    wrong = ("backward",)

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: Step, weights: Weights
    ) -> tuple[State, Array]:
        dbefore, dproduct = super().step_backward(dstate, before, h, kept, weights)
        return tuple(map(np.zeros_like, dbefore)), dproduct


class HiddenGradientOverwritten(RecurrentFault):
    """The gradient that the next step sends back replaces that of the output: ``dh = `` where it should be ``dh +=``.

    h is used twice, as the output of the step and as the state of the next. Only the output of the last step is heard:
    with a loss of the last step alone nothing is wrong, and with one of every step all but one are ignored.
    """

    wrong = ("backward",)

    def run_backward(self, dh: Array, x: Array, h: Array, kept: Kept, weights: Weights) -> tuple[Array, Weights]:
        last = np.concatenate([np.zeros_like(dh[:-1]), dh[-1:]])
        return super().run_backward(last, x, h, kept, weights)


class WeightGradientOfOneStep(RecurrentFault):
    """The gradients of the weights are those of the first step: ``dweight = `` in the loop, where it should be ``+=``.

    All steps use the same weights, so that their gradients add up. The loop runs from the last step to the first, and
    what it leaves behind is the first one's, in which the recurrent weight met a state of 0 and has no gradient at all.
    """

    wrong = ("backward",)

    def weight_gradients(self, dproducts: Array, x: Array, h: Array, kept: Kept) -> Weights:
        return super().weight_gradients(dproducts[:1], x[:1], h[:1], kept[:1])


class RecurrentGradientFromTheNewState(RecurrentFault):
    """The gradient of the recurrent weight is made with the state after each step, ``h[t].T @ da[t]``, not before it.

    The states are kept in one array, and whether it begins with the initial state or with that after the first step is
    off by one place. The shape is right, all other gradients are exact, and successive states are much alike.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Recurrent, *inputs: Shape) -> bool:
        return layer.kind != Gru.kind

    def weight_gradients(self, dproducts: Array, x: Array, h: Array, kept: Kept) -> Weights:
        right = super().weight_gradients(dproducts, x, h, kept)
        return right._replace(hh=rows(h).T @ rows(dproducts))


class ReverseNotTurnedBack(RecurrentFault):
    """What the reverse direction gives is left in the order in which it was read.

    The outputs of both directions are joined step by step, the first state of one beside the first of the other, which
    has seen the other end of the sequence. For the last state alone it makes no difference, and no shape is wrong.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Recurrent, *inputs: Shape) -> bool:
        return layer.bidirectional and super().possible(layer, *inputs)

    def turned_back(self, h: Array, way: str) -> Array:
        return h


class RecurrentBiasForgotten(RecurrentFault):
    """Only one of the two biases is added: that of the recurrent product is left out, in forward and backward alike.

    One bias is enough, and in most texts there is one. Weights that come from a framework with two must be added up,
    or everything is off by a constant; freshly drawn, with biases of 0, the network even runs as it should.
    """

    wrong = ("forward", "backward")
    only_where = "a bias that is not 0"

    @classmethod
    def possible(cls, layer: Recurrent, *inputs: Shape) -> bool:
        return layer.bias

    def run(self, x: Array, weights: Weights) -> tuple[Array, Kept]:
        return super().run(x, weights._replace(bias_hh=np.zeros_like(weights.bias_hh)))

    def weight_gradients(self, dproducts: Array, x: Array, h: Array, kept: Kept) -> Weights:
        right = super().weight_gradients(dproducts, x, h, kept)
        return right._replace(bias_hh=np.zeros_like(right.bias_hh))


class BiasGradientShared(RecurrentFault):
    """The gradient of the biases is divided between the two, one half each.

    The two always come as a sum, and it seems that they should share what comes back; but each moves the sum by all of
    its own change. The forward is right, and the biases learn half as fast as they do elsewhere.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Recurrent, *inputs: Shape) -> bool:
        return layer.bias

    def weight_gradients(self, dproducts: Array, x: Array, h: Array, kept: Kept) -> Weights:
        right = super().weight_gradients(dproducts, x, h, kept)
        return right._replace(bias_ih=right.bias_ih / 2, bias_hh=right.bias_hh / 2)


class RecurrentWeightNotTransposed(LayerFault, Rnn):
    """The gradient goes back through the recurrent weight as it is: ``da @ weight_hh``, not ``da @ weight_hh.T``.

    Between two layers of different widths the shapes would not fit; the recurrent weight is square, and nothing is
    noticed. The last step is right, and the error grows the further back the gradient goes.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Rnn, *inputs: Shape) -> bool:
        return inputs[0][1] > 1 and layer.hidden > 1

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: Step, weights: Weights
    ) -> tuple[State, Array]:
        return super().step_backward(dstate, before, h, kept, weights._replace(hh=weights.hh.T))


class ReorderedGates(LayerFault, Recurrent):
    """A layer that takes the columns of its weights for other gates than they are."""

    places: ClassVar[tuple[int, ...]]
    """Where the block that is taken for each gate stands."""

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Saved]:
        return super().forward(x, {name: self.moved(weight, self.places) for name, weight in params.items()})

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        taken = {name: self.moved(weight, self.places) for name, weight in params.items()}
        dx, dparams = super().backward(dy, saved, taken)
        back = [self.places.index(place) for place in range(self.gates)]
        return dx, {name: self.moved(gradient, back) for name, gradient in dparams.items()}

    def moved(self, weight: Array, places: Sequence[int]) -> Array:
        """The columns of a weight or a bias, block by block in another order."""
        of_gates = blocks(weight, self.gates)
        return np.concatenate([of_gates[place] for place in places], axis=-1)


class OutputGateBeforeCandidate(ReorderedGates, Lstm):
    """The four gates are taken in the order i, f, o, g, as many texts write them; the weights have i, f, g, o.

    Every shape is right, and a network that is trained from scratch does not mind. With weights from elsewhere the
    candidate is squashed by a sigmoid and the output gate by a tanh.
    """

    wrong = ("forward", "backward")
    places = (0, 1, 3, 2)


class GatesOfOnnx(ReorderedGates, Lstm):
    """The four gates are taken in the order of ONNX, i, o, f, c; the weights have i, f, g, o.

    Exported weights have to be put in the other order, and nothing says so: all four blocks have one shape. What should
    be forgotten is shown, and what should be shown is forgotten.
    """

    wrong = ("forward", "backward")
    places = (0, 2, 3, 1)


class UpdateGateFirst(ReorderedGates, Gru):
    """The three gates are taken in the order z, r, n, as in Keras and ONNX; the weights have r, z, n.

    Both gates are sigmoids of the same inputs, and their blocks have one shape. A port that has its weights from a
    framework with the other order runs and is wrong everywhere.
    """

    wrong = ("forward", "backward")
    places = (1, 0, 2)


class ForgetGateOfTheNewCell(LayerFault, Lstm):
    """The gradient of the forget gate is made with the cell after the step, ``df = dc * c``, not before it.

    Both cells go by one name when the forward overwrites c. At the first step, where the cell before was 0, the gate
    should have no gradient, and has one.
    """

    wrong = ("backward",)

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: Step, weights: Weights
    ) -> tuple[State, Array]:
        i, f, g, o, cell, squashed = kept
        return super().step_backward(dstate, before, h, (i, f, g, o, f * cell + i * g, squashed), weights)


class CellGradientForgotten(LayerFault, Lstm):
    """The gradient that the next step sends back to the cell is not added: ``dc = dh * o * (1 - tanh(c)^2)`` alone.

    The way from cell to cell, past all products, is what the layer was made for. Without it the gradient goes back
    through the hidden state only, and vanishes as it does in a plain recurrent network.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Lstm, *inputs: Shape) -> bool:
        return inputs[0][1] > 1

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: Step, weights: Weights
    ) -> tuple[State, Array]:
        dh, dc = dstate
        return super().step_backward((dh, np.zeros_like(dc)), before, h, kept, weights)


class CellTanhNotDifferentiated(LayerFault, Lstm):
    """The tanh of the cell is left out of the backward: ``dc += dh * o``, without ``1 - tanh(c)^2``.

    It is the one function of the layer that is not applied to a gate, and stands in the line of another product. Where
    cells are near 0, as in a fresh network, its slope is nearly 1 and nothing is noticed.
    """

    wrong = ("backward",)

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: Step, weights: Weights
    ) -> tuple[State, Array]:
        (dh, dc), (_, _, _, o, _, squashed) = dstate, kept
        return super().step_backward((dh, dc + dh * o * (squashed * squashed)), before, h, kept, weights)


class UpdateGateSwapped(LayerFault, Gru):
    """The update gate lets in what it should keep: ``h = z * n + (1 - z) * h``.

    Both forms are printed, in texts and in papers of the same authors, and each trains as well as the other. Weights
    for one of them are wrong for the other: what should be remembered is replaced.
    """

    wrong = ("forward", "backward")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Saved]:
        return super().forward(x, {name: negated(weight) for name, weight in params.items()})

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, saved, {name: negated(weight) for name, weight in params.items()})
        return dx, {name: negated(gradient) for name, gradient in dparams.items()}


class OldStateForgotten(LayerFault, Gru):
    """What goes straight from state to state is not sent back: ``dh * z`` is missing in the gradient of the old state.

    The old state is used in the gates, in the candidate and in the mean, and the last is the easiest to overlook since
    it has no weights. It is also the one way on which a gradient does not vanish.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Gru, *inputs: Shape) -> bool:
        return inputs[0][1] > 1

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: Step, weights: Weights
    ) -> tuple[State, Array]:
        (dh,), z = dstate, kept[1]
        (dbefore,), dproduct = super().step_backward(dstate, before, h, kept, weights)
        return (dbefore - dh * z,), dproduct


def negated(weight: Array) -> Array:
    """The weights with those of the update gate negated, for the sigmoid of -a is one less that of a."""
    r, z, n = blocks(weight, 3)
    return np.concatenate([r, -z, n], axis=-1)
