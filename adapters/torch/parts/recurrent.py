"""Recurrent layers in PyTorch."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ....reference import Layer, layers
from .base import LayerPart


class Output(nn.RNNBase):
    """What the three modules of PyTorch lack to be used as one layer of others.

    They return their last state beside the output, and keep a list of their parameters, which
    ``torch.func.functional_call`` goes past.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self._flat_weights = [getattr(self, name) for name in self._flat_weights_names]
        y: torch.Tensor = super().forward(x)[0]
        return y


class Rnn(Output, nn.RNN):  # type: ignore[misc]  # its forward gives one tensor, not two
    """nn.RNN as a layer."""


class Lstm(Output, nn.LSTM):  # type: ignore[misc]  # its forward gives one tensor, not two
    """nn.LSTM as a layer."""


class Gru(Output, nn.GRU):  # type: ignore[misc]  # its forward gives one tensor, not two
    """nn.GRU as a layer."""


def weights(layer: Layer) -> frozenset[str]:
    """The names of all weights, of however many layers."""
    return frozenset(name for name in layer.parameters() if name.startswith("weight_"))


def recurrent(module: type[nn.RNNBase], layer: Any, *, device: str, **options: Any) -> nn.Module:
    # As nn.utils.skip_init does, which wants to see the argument device in the signature.
    made = module(
        layer.inputs,
        layer.hidden,
        num_layers=layer.layers,
        bidirectional=layer.bidirectional,
        bias=layer.bias,
        batch_first=True,
        device="meta",
        **options,
    )
    return made.to_empty(device=device)


def rnn(layer: Any, **like: Any) -> nn.Module:
    return recurrent(Rnn, layer, nonlinearity=layer.activation, **like)


def lstm(layer: Any, **like: Any) -> nn.Module:
    return recurrent(Lstm, layer, **like)


def gru(layer: Any, **like: Any) -> nn.Module:
    return recurrent(Gru, layer, **like)


def gru_limits(layer: layers.Gru) -> str:
    return "" if layer.reset == "after" else "torch.nn.GRU applies its reset gate after the product"


LAYERS: dict[str, LayerPart] = {
    "rnn": LayerPart("native", rnn, transposed=weights),
    "lstm": LayerPart("native", lstm, transposed=weights),
    "gru": LayerPart("native", gru, transposed=weights, limits=gru_limits),
}
