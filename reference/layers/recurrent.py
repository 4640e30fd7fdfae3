"""Layers that read a sequence step by step and remember. N sequences of T steps, I inputs, H the width of a state.

A cell is written as one step in time, its backward directly below. What all cells share stands in ``Recurrent``: the
loop over the steps, both directions, layers on top of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from ..errors import CaseError
from .activations import Sigmoid
from .base import Array, Layer, Parameters, Shape, require_positive, require_rank, zeros_where

__all__ = ["Gru", "Lstm", "Rnn"]

State: TypeAlias = tuple[Array, ...]
"""What a cell hands on from step to step, h first; each (N, H)."""

Kept: TypeAlias = list[tuple[Array, ...]]
"""What the backward of every step needs, in the order in which the steps were done."""

Saved: TypeAlias = tuple[Array, list[Array], list[list[Kept]]]
"""The output; what each layer took; what each step kept, by layer and direction."""


class Weights(NamedTuple):
    """The parameters of one layer in one direction, or their gradients; without biases, zeros stand for them."""

    ih: Array
    hh: Array
    bias_ih: Array
    bias_hh: Array


@dataclass(frozen=True)
class Recurrent(Layer):
    """A cell that is applied to every element of a sequence in turn, each time with the state that it left behind.

    The state is 0 before the first step, and the output is h of every step. With several ``layers`` each takes the
    output of the one below. With ``bidirectional`` a second cell reads the sequence from its end; its states are put
    back in the order of the sequence, and stand behind those of the first.

    Shapes: x (N, T, I); y (N, T, H), in both directions (N, T, 2 H); of layer l, for a cell of G gates, weight_ih_l
    (I, G H), above the first layer (width of the layer below, G H); weight_hh_l (H, G H); bias_ih_l and bias_hh_l
    (G H,); the same once more with ``_reverse`` for the other direction. Without ``bias`` there are none.

    Raises:
        CaseError: a width or a number of layers below 1, an input that is not (N, T, I) with at least one step.
    """

    gates: ClassVar[int] = 1
    """How many blocks of H columns the weights have."""

    states: ClassVar[int] = 1
    """How many arrays a state has."""

    inputs: int
    hidden: int
    layers: int = 1
    bidirectional: bool = False
    bias: bool = True

    def __post_init__(self) -> None:
        require_positive(self, "inputs", "hidden", what="a width")
        require_positive(self, "layers", what="a number of layers")

    @property
    def ways(self) -> tuple[str, ...]:
        """The directions, each by what the names of its parameters end with."""
        return ("", "_reverse") if self.bidirectional else ("",)

    def names(self, layer: int, way: str) -> list[str]:
        """The names of the parameters of one layer in one direction, in the order of ``Weights``."""
        kinds = ("weight_ih", "weight_hh", *(("bias_ih", "bias_hh") if self.bias else ()))
        return [f"{kind}_l{layer}{way}" for kind in kinds]

    def weights(self, params: Parameters, layer: int, way: str) -> Weights:
        """The parameters of one layer in one direction."""
        ih, hh, *biases = (params[name] for name in self.names(layer, way))
        absent = np.zeros_like(ih, shape=ih.shape[1:])
        return Weights(ih, hh, *(biases or (absent, absent)))

    def parameters(self) -> dict[str, Shape]:
        shapes: dict[str, Shape] = {}
        for layer in range(self.layers):
            inputs, columns = len(self.ways) * self.hidden if layer else self.inputs, self.gates * self.hidden
            for way in self.ways:
                each = ((inputs, columns), (self.hidden, columns), (columns,), (columns,))
                shapes |= dict(zip(self.names(layer, way), each, strict=False))
        return shapes

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        require_rank(x, 3, "(N, T, I)")
        if x[1] < 1:
            raise CaseError("a sequence of at least one step", f"shape {x}")
        if x[2] != self.inputs:
            raise CaseError(f"{x[2]}, the width of what the node takes", str(self.inputs), key="inputs")
        return *x[:2], len(self.ways) * self.hidden

    # ------------------------------------------------------------------------------------------ layers and directions

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Saved]:
        # Time first: what belongs to one step is then one block of memory.
        sequence = x.swapaxes(0, 1)
        taken: list[Array] = []
        kept: list[list[Kept]] = []
        for layer in range(self.layers):
            taken.append(sequence)
            kept.append([])
            outputs = []
            for way in self.ways:
                h, steps = self.run(turned(sequence, way), self.weights(params, layer, way))
                outputs.append(self.turned_back(h, way))
                kept[layer].append(steps)
            sequence = np.concatenate(outputs, axis=-1)
        y = sequence.swapaxes(0, 1)
        return y, (y, taken, kept)

    def backward(self, dy: Array, saved: Saved, params: Parameters) -> tuple[Array, dict[str, Array]]:
        y, taken, kept = saved
        # forward was: y = sequence.swapaxes(0, 1), of the last layer
        sequence, dsequence = y.swapaxes(0, 1), dy.swapaxes(0, 1)
        dparams: dict[str, Array] = {}
        for layer in reversed(range(self.layers)):
            parts: list[Array] = []
            for place, way in enumerate(self.ways):
                # forward was: sequence = concatenate(outputs), where each output is h, turned back
                h, dh = (self.turned_back(blocks(both, len(self.ways))[place], way) for both in (sequence, dsequence))
                weights, x = self.weights(params, layer, way), turned(taken[layer], way)
                dx, dweights = self.run_backward(dh, x, h, kept[layer][place], weights)
                dparams |= dict(zip(self.names(layer, way), dweights, strict=False))
                # forward was: both directions take the same sequence, so the two gradients add up
                parts.append(turned(dx, way))
            sequence, dsequence = taken[layer], reduce(add, parts)
        return dsequence.swapaxes(0, 1), dparams

    def turned_back(self, h: Array, way: str) -> Array:
        """The states of one direction in the order of the sequence."""
        return turned(h, way)

    # ------------------------------------------------------------------------------------------------------------ time

    def run(self, x: Array, weights: Weights) -> tuple[Array, Kept]:
        """One layer in one direction: h of every step (T, N, H), and what the steps keep."""
        # What does not depend on the state, for all steps at once.
        products = x @ weights.ih + weights.bias_ih
        state = self.start(products)
        outputs, kept = [], []
        for t in range(x.shape[0]):
            state, step = self.step(products[t], state, weights)
            outputs.append(state[0])
            kept.append(step)
        return np.stack(outputs), kept

    def run_backward(self, dh: Array, x: Array, h: Array, kept: Kept, weights: Weights) -> tuple[Array, Weights]:
        """Back through time: the gradients of x (T, N, I) and of the weights."""
        before = earlier(h)
        dproducts = np.empty_like(h, shape=(*h.shape[:2], self.gates * self.hidden))
        dstate = self.start(dproducts)
        for t in reversed(range(len(kept))):
            # forward was: h is the output of the step and goes into the next one, so the two gradients add up
            dstate = (dstate[0] + dh[t], *dstate[1:])
            # forward was: state, _ = step(products[t], state, weights)
            dstate, dproducts[t] = self.step_backward(dstate, before[t], h[t], kept[t], weights)
        # forward was: products = x @ weight_ih + bias_ih
        dx = dproducts @ weights.ih.T
        return dx, self.weight_gradients(dproducts, x, h, kept)

    def start(self, like: Array) -> State:
        """The state before the first step, or the gradient of the one after the last: 0."""
        return (np.zeros_like(like, shape=(like.shape[1], self.hidden)),) * self.states

    def weight_gradients(self, dproducts: Array, x: Array, h: Array, kept: Kept) -> Weights:
        """The gradients of the weights, each of which is used at every step of every sequence: the sum over them."""
        # forward was: products = x @ weight_ih + bias_ih
        dih, dbias_ih = rows(x).T @ rows(dproducts), rows(dproducts).sum(axis=0)
        # forward was: a = product + (h @ weight_hh + bias_hh), with h of the step before
        return Weights(dih, rows(earlier(h)).T @ rows(dproducts), dbias_ih, dbias_ih)

    def step(self, product: Array, state: State, weights: Weights) -> tuple[State, tuple[Array, ...]]:
        """One step: the new state, and what its backward needs. ``product`` is ``x @ weight_ih + bias_ih``."""
        raise NotImplementedError

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: tuple[Array, ...], weights: Weights
    ) -> tuple[State, Array]:
        """The gradients of the state before a step and of its product, where ``before`` and ``h`` are its states."""
        raise NotImplementedError


@dataclass(frozen=True)
class Rnn(Recurrent):
    """Recurrent network of Elman: ``h = f(x @ weight_ih + bias_ih + h @ weight_hh + bias_hh)`` at every step.

    f is tanh or relu, whose derivative at exactly 0 is 0. Layers, directions, shapes and errors are those of
    ``Recurrent``, with one gate.

    Same layer elsewhere: torch.nn.RNN, which has its weights transposed. flax.nnx.SimpleCell, keras.layers.SimpleRNN
    and equinox have one bias: that is bias_hh of 0, frozen. In JAX itself it is written with jax.lax.scan.

    Source: Elman 1990, "Finding structure in time".

    >>> layer = Rnn(1, 2, bias=False, activation="relu")
    >>> params = {"weight_ih_l0": np.array([[1.0, 10.0]]), "weight_hh_l0": np.array([[0.0, 1.0], [-1.0, 0.0]])}
    >>> layer.forward(np.array([[[1.0], [2.0], [3.0]]]), params)[0]
    array([[[ 1., 10.],
            [ 0., 21.],
            [ 0., 30.]]])
    """

    kind: ClassVar[str] = "rnn"

    activation: Literal["tanh", "relu"] = "tanh"

    def step(self, product: Array, state: State, weights: Weights) -> tuple[State, tuple[Array, ...]]:
        (h,) = state
        a = product + (h @ weights.hh + weights.bias_hh)
        h = np.tanh(a) if self.activation == "tanh" else np.maximum(a, 0)
        return (h,), ()

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: tuple[Array, ...], weights: Weights
    ) -> tuple[State, Array]:
        (dh,) = dstate
        # forward was: h = tanh(a), so dh/da = 1 - h^2; or h = maximum(a, 0), and h is 0 just where a <= 0
        da = dh * (1 - h * h) if self.activation == "tanh" else zeros_where(h <= 0, dh)
        # forward was: a = product + (h @ weight_hh + bias_hh)
        return (da @ weights.hh.T,), da


@dataclass(frozen=True)
class Lstm(Recurrent):
    """Long short-term memory: a cell state c that is added to, and gates that say how much of what.

    ``i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)`` are the four blocks, in this order, of
    ``a = x @ weight_ih + bias_ih + h @ weight_hh + bias_hh``; then ``c = f * c + i * g`` and ``h = o * tanh(c)``.
    Layers, directions, shapes and errors are those of ``Recurrent``, with four gates.

    Same layer elsewhere: torch.nn.LSTM, which has its weights transposed. keras.layers.LSTM and equinox.nn.LSTMCell
    have the same order and one bias: that is bias_hh of 0, frozen. Keras begins with 1 as the bias of f.
    flax.nnx.LSTMCell has a kernel for each gate. ONNX has the order i, o, f, c. In JAX itself it is written with
    jax.lax.scan.

    Source: Hochreiter & Schmidhuber 1997, "Long short-term memory"; with the gate f, Gers, Schmidhuber & Cummins 2000,
    "Learning to forget".

    >>> layer = Lstm(1, 1, bias=False)
    >>> params = {"weight_ih_l0": np.array([[9.0, 9.0, 0.5, 9.0]]), "weight_hh_l0": np.zeros((1, 4))}
    >>> layer.forward(np.array([[[1.0], [1.0]]]), params)[0].round(4)  # nearly tanh(tanh(.5)) and tanh(2 tanh(.5))
    array([[[0.4317],
            [0.7277]]])
    """

    kind: ClassVar[str] = "lstm"
    gates: ClassVar[int] = 4
    states: ClassVar[int] = 2

    def step(self, product: Array, state: State, weights: Weights) -> tuple[State, tuple[Array, ...]]:
        h, before = state
        a_i, a_f, a_g, a_o = blocks(product + (h @ weights.hh + weights.bias_hh), 4)
        i, f, g, o = sigmoid(a_i), sigmoid(a_f), np.tanh(a_g), sigmoid(a_o)
        c = f * before + i * g
        squashed = np.tanh(c)
        return (o * squashed, c), (i, f, g, o, before, squashed)

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: tuple[Array, ...], weights: Weights
    ) -> tuple[State, Array]:
        dh, dc = dstate
        i, f, g, o, cell, squashed = kept
        # forward was: h = o * squashed
        do, dsquashed = dh * squashed, dh * o
        # forward was: squashed = tanh(c), and c goes into the next step as well
        dc = dc + dsquashed * (1 - squashed * squashed)
        # forward was: c = f * before + i * g
        df, dcell = dc * cell, dc * f
        di, dg = dc * g, dc * i
        # forward was: i, f, g, o = sigmoid(a_i), sigmoid(a_f), tanh(a_g), sigmoid(a_o)
        da_i, da_f, da_o = di * (i * (1 - i)), df * (f * (1 - f)), do * (o * (1 - o))
        da = np.concatenate([da_i, da_f, dg * (1 - g * g), da_o], axis=-1)
        # forward was: a = product + (h @ weight_hh + bias_hh)
        return (da @ weights.hh.T, dcell), da


@dataclass(frozen=True)
class Gru(Recurrent):
    """Gated recurrent unit: the new state is a mean of the old one and a candidate, weighted by a gate.

    ``r = sigmoid(p_r + q_r)`` and ``z = sigmoid(p_z + q_z)``, where p and q are the blocks r, z, n, in this order, of
    ``x @ weight_ih + bias_ih`` and ``h @ weight_hh + bias_hh``; the candidate is ``n = tanh(p_n + r * q_n)``, and
    ``h = (1 - z) * n + z * h``. So it is where the gate r is applied ``after`` the product; ``before`` it,
    ``q_n = (r * h) @ weight_hh_n + bias_hh_n`` and ``n = tanh(p_n + q_n)``.
    Layers, directions, shapes and errors are those of ``Recurrent``, with three gates.

    Same layer elsewhere: torch.nn.GRU (after, its weights transposed), flax.nnx.GRUCell (after, a kernel for each
    gate), keras.layers.GRU (after, with ``reset_after=False`` before; order z, r, h). ONNX: before, with
    ``linear_before_reset`` after; order z, r, h. Some texts swap z and 1 - z. In JAX itself it is written with
    jax.lax.scan.

    Source: Cho et al. 2014, "Learning phrase representations using RNN encoder-decoder", eqs. 5 to 8 (before).

    >>> params = {"weight_ih_l0": np.array([[0.0, -9.0, 0.0]]), "weight_hh_l0": np.ones((1, 3)),
    ...           "bias_ih_l0": np.zeros(3), "bias_hh_l0": np.array([0.0, 0.0, 0.5])}
    >>> x = np.array([[[1.0], [1.0]]])
    >>> for reset in ("after", "before"):
    ...     print(Gru(1, 1, reset=reset).forward(x, params)[0].round(4).ravel())
    [0.2449 0.3951]
    [0.4621 0.6547]
    """

    kind: ClassVar[str] = "gru"
    gates: ClassVar[int] = 3

    reset: Literal["after", "before"] = "after"

    def step(self, product: Array, state: State, weights: Weights) -> tuple[State, tuple[Array, ...]]:
        (h,) = state
        p_r, p_z, p_n = blocks(product, 3)
        if self.reset == "after":
            q_r, q_z, q_n = blocks(h @ weights.hh + weights.bias_hh, 3)
            r, z = sigmoid(p_r + q_r), sigmoid(p_z + q_z)
            n = np.tanh(p_n + r * q_n)
        else:
            w_r, w_z, w_n = blocks(weights.hh, 3)
            b_r, b_z, b_n = blocks(weights.bias_hh, 3)
            r, z = sigmoid(p_r + (h @ w_r + b_r)), sigmoid(p_z + (h @ w_z + b_z))
            q_n = (r * h) @ w_n + b_n
            n = np.tanh(p_n + q_n)
        return ((1 - z) * n + z * h,), (r, z, n, q_n)

    def step_backward(
        self, dstate: State, before: Array, h: Array, kept: tuple[Array, ...], weights: Weights
    ) -> tuple[State, Array]:
        (dh,) = dstate
        r, z, n, q_n = kept
        # forward was: h = (1 - z) * n + z * h, where the second h is the state before
        dn, dz, dbefore = dh * (1 - z), dh * (before - n), dh * z
        w_r, w_z, w_n = blocks(weights.hh, 3)
        if self.reset == "after":
            # forward was: n = tanh(p_n + r * q_n)
            dp_n = dn * (1 - n * n)
            dr, dq_n = dp_n * q_n, dp_n * r
            # forward was: q_n = h @ w_n + b_n
            dbefore = dbefore + dq_n @ w_n.T
        else:
            # forward was: n = tanh(p_n + q_n)
            dp_n = dn * (1 - n * n)
            # forward was: q_n = (r * h) @ w_n + b_n
            dproduct = dp_n @ w_n.T
            dr, dbefore = dproduct * before, dbefore + dproduct * r
        # forward was: r, z = sigmoid(p_r + q_r), sigmoid(p_z + q_z)
        dp_r, dp_z = dr * (r * (1 - r)), dz * (z * (1 - z))
        # forward was: q_r = h @ w_r + b_r, q_z = h @ w_z + b_z
        dbefore = dbefore + dp_r @ w_r.T + dp_z @ w_z.T
        return (dbefore,), np.concatenate([dp_r, dp_z, dp_n], axis=-1)

    def weight_gradients(self, dproducts: Array, x: Array, h: Array, kept: Kept) -> Weights:
        dih, _, dbias_ih, _ = super().weight_gradients(dproducts, x, h, kept)
        before, r = earlier(h), np.stack([step[0] for step in kept])
        dp_r, dp_z, dp_n = blocks(dproducts, 3)
        if self.reset == "after":
            # forward was: q = h @ weight_hh + bias_hh, and n = tanh(p_n + r * q_n)
            dq = np.concatenate([dp_r, dp_z, dp_n * r], axis=-1)
            return Weights(dih, rows(before).T @ rows(dq), dbias_ih, rows(dq).sum(axis=0))
        # forward was: h @ w_r + b_r, h @ w_z + b_z, (r * h) @ w_n + b_n
        parts = [rows(state).T @ rows(dq) for state, dq in ((before, dp_r), (before, dp_z), (r * before, dp_n))]
        return Weights(dih, np.concatenate(parts, axis=-1), dbias_ih, dbias_ih)


def sigmoid(x: Array) -> Array:
    """The logistic function, as the layer of that name computes it."""
    return Sigmoid().forward(x, {})[0]


def turned(sequence: Array, way: str) -> Array:
    """A sequence, time first, in the order in which one direction reads it."""
    return sequence[::-1] if way else sequence


def earlier(h: Array) -> Array:
    """The state before each step, from the one after it."""
    return np.concatenate([np.zeros_like(h[:1]), h[:-1]])


def blocks(array: Array, count: int) -> Sequence[Array]:
    """An array in so many blocks of equally many columns."""
    width = array.shape[-1] // count
    return [array[..., place * width : (place + 1) * width] for place in range(count)]


def rows(sequence: Array) -> Array:
    """Every step of every sequence as a row."""
    return sequence.reshape(-1, sequence.shape[-1])
