"""Recurrent layers in JAX, whose loop is jax.lax.scan. The cells are those of torch and of Keras."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp

from ....reference import layers
from .base import LayerPart, Tensor, Tensors

State: TypeAlias = Any
Step: TypeAlias = Callable[[Any, Tensors, State, Tensor], tuple[State, Tensor]]
"""Of the layer, its parameters, the state before and one element of the sequence: the new state and the output."""


def affine(x: Tensor, params: Tensors, of: str) -> Tensor:
    """The product with one of the two weights, and its bias."""
    product = x @ params[f"weight_{of}"]
    return product + params[f"bias_{of}"] if f"bias_{of}" in params else product


def rnn(layer: layers.Rnn, params: Tensors, h: Tensor, x: Tensor) -> tuple[State, Tensor]:
    a = affine(x, params, "ih") + affine(h, params, "hh")
    h = jnp.tanh(a) if layer.activation == "tanh" else jax.nn.relu(a)
    return h, h


def lstm(layer: layers.Lstm, params: Tensors, state: State, x: Tensor) -> tuple[State, Tensor]:
    h, c = state
    i, f, g, o = jnp.split(affine(x, params, "ih") + affine(h, params, "hh"), 4, axis=-1)
    c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
    h = jax.nn.sigmoid(o) * jnp.tanh(c)
    return (h, c), h


def gru(layer: layers.Gru, params: Tensors, h: Tensor, x: Tensor) -> tuple[State, Tensor]:
    of_x, of_h = (jnp.split(affine(one, params, of), 3, axis=-1) for one, of in ((x, "ih"), (h, "hh")))
    r, z = jax.nn.sigmoid(of_x[0] + of_h[0]), jax.nn.sigmoid(of_x[1] + of_h[1])
    if layer.reset == "after":
        n = jnp.tanh(of_x[2] + r * of_h[2])
    else:
        n = jnp.tanh(of_x[2] + jnp.split(affine(r * h, params, "hh"), 3, axis=-1)[2])
    h = (1 - z) * n + z * h
    return h, h


def recurrent(step: Step, states: int, layer: Any, x: Tensor, params: Tensors) -> Tensor:
    """A cell over sequences, in as many layers and directions as there are."""
    start = jnp.zeros((x.shape[0], layer.hidden), x.dtype)
    sequence = jnp.swapaxes(x, 0, 1)
    for number in range(layer.layers):
        outputs = []
        for way in ("", "_reverse")[: 1 + layer.bidirectional]:
            ending = f"_l{number}{way}"
            own = {name.removesuffix(ending): value for name, value in params.items() if name.endswith(ending)}
            state = (start,) * states if states > 1 else start
            _, h = jax.lax.scan(partial(step, layer, own), state, sequence, reverse=bool(way))
            outputs.append(h)
        sequence = jnp.concatenate(outputs, axis=-1)
    return jnp.swapaxes(sequence, 0, 1)


LAYERS: dict[str, LayerPart] = {
    "rnn": LayerPart("composed", partial(recurrent, rnn, 1)),
    "lstm": LayerPart("composed", partial(recurrent, lstm, 2)),
    "gru": LayerPart("composed", partial(recurrent, gru, 1)),
}
