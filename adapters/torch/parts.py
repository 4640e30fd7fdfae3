"""The parts of a case as PyTorch has them: which module is which layer, which loss, which optimizer.

Adding a layer is one line of ``LAYERS``. A layout that differs from the reference's is declared beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ...reference import layers, optimizers
from ...reference.layers import Layer
from ...reference.losses import CrossEntropy, Loss, MeanSquaredError, SoftmaxCrossEntropy
from ..contract import Support


class Sum(nn.Module):
    """torch.add as a module."""

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return torch.add(a, b)


@dataclass(frozen=True)
class LayerPart:
    """A layer in PyTorch: native or composed, how it is built, which parameters it keeps transposed, what it lacks."""

    support: Support
    build: Callable[..., nn.Module]
    transposed: frozenset[str] = frozenset()
    limits: Callable[[Any], str] = lambda layer: ""


class BatchNorm(nn.BatchNorm1d):
    """BatchNorm1d for rows and BatchNorm2d for images, which in PyTorch differ in the rank that they check alone."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        kind = nn.BatchNorm2d if input.ndim == 4 else nn.BatchNorm1d
        kind._check_input_dim(self, input)  # type: ignore[arg-type]


class Attention(nn.Module):
    """F.scaled_dot_product_attention as a module."""

    def __init__(self, layer: layers.ScaledDotProductAttention) -> None:
        super().__init__()
        self.causal = layer.causal
        self.scale = {"width": None, "none": 1.0}[layer.scale]

    def forward(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=self.causal, scale=self.scale)


def uninitialised(module: type[nn.Module], *sizes: Any, **options: Any) -> nn.Module:
    """A module whose weights are left as they are: no random number is drawn from the user's generator."""
    made: nn.Module = nn.utils.skip_init(module, *sizes, **options)  # type: ignore[no-untyped-call]
    return made


def dense(layer: Any, **like: Any) -> nn.Module:
    return uninitialised(nn.Linear, layer.inputs, layer.outputs, **like)


def embedding(layer: Any, **like: Any) -> nn.Module:
    return uninitialised(nn.Embedding, layer.rows, layer.width, **like)


def conv2d(layer: Any, **like: Any) -> nn.Module:
    sizes = (layer.inputs, layer.outputs, layer.kernel)
    return uninitialised(nn.Conv2d, *sizes, stride=layer.stride, padding=layer.padding, **like)


def layer_norm(layer: Any, **like: Any) -> nn.Module:
    return nn.LayerNorm(layer.features, eps=layer.epsilon, **like)


def layer_norm_limits(layer: layers.LayerNorm) -> str:
    return "" if layer.epsilon_in == "root" else "torch.nn.LayerNorm has its epsilon inside the root"


def batch_norm(layer: Any, **like: Any) -> nn.Module:
    of_new = layer.momentum if layer.momentum_of == "new" else 1 - layer.momentum
    return BatchNorm(layer.features, eps=layer.epsilon, momentum=of_new, **like).train(layer.training)


def batch_norm_limits(layer: layers.BatchNorm) -> str:
    biased = layer.training and layer.running_variance == "biased"
    return "torch's batch normalisation remembers the unbiased variance" if biased else ""


LAYERS: dict[str, LayerPart] = {
    "dense": LayerPart("native", dense, transposed=frozenset({"weight"})),
    "relu": LayerPart("native", lambda layer, **like: nn.ReLU()),
    "tanh": LayerPart("native", lambda layer, **like: nn.Tanh()),
    "sigmoid": LayerPart("native", lambda layer, **like: nn.Sigmoid()),
    "gelu": LayerPart("native", lambda layer, **like: nn.GELU(approximate=layer.approximate)),
    "softmax": LayerPart("native", lambda layer, **like: nn.Softmax(dim=-1)),
    "layer_norm": LayerPart("native", layer_norm, limits=layer_norm_limits),
    "batch_norm": LayerPart("native", batch_norm, limits=batch_norm_limits),
    "embedding": LayerPart("native", embedding),
    "conv2d": LayerPart("native", conv2d),
    "scaled_dot_product_attention": LayerPart("native", lambda layer, **like: Attention(layer)),
    "add": LayerPart("native", lambda layer, **like: Sum()),
}


class CrossEntropyOfProbabilities(nn.Module):
    """Cross-entropy of probabilities, composed: PyTorch has it for logits only."""

    def __init__(self, loss: CrossEntropy) -> None:
        super().__init__()
        self.reduction = loss.reduction

    def forward(self, p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        rows = -(target * torch.log(p)).sum(dim=-1)
        if self.reduction == "mean":
            return rows.mean()
        return rows.sum() if self.reduction == "sum" else rows.sum() / p.numel()


class CrossEntropyOfLogits(nn.Module):
    """nn.CrossEntropyLoss over rows; the mean over outputs is its sum divided by their number."""

    def __init__(self, loss: SoftmaxCrossEntropy) -> None:
        super().__init__()
        self.over_outputs = loss.reduction == "mean_over_outputs"
        self.loss = nn.CrossEntropyLoss(reduction="sum" if self.over_outputs else loss.reduction)

    def forward(self, z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        classes = z.shape[-1]
        rows = target.reshape(-1, classes) if target.is_floating_point() else target.reshape(-1)
        value: torch.Tensor = self.loss(z.reshape(-1, classes), rows)
        return value / z.numel() if self.over_outputs else value


class SquaredError(nn.Module):
    """nn.MSELoss; the half-sum is half its sum."""

    def __init__(self, loss: MeanSquaredError) -> None:
        super().__init__()
        self.halved = loss.reduction == "half_sum"
        self.loss = nn.MSELoss(reduction="mean" if loss.reduction == "mean" else "sum")

    def forward(self, y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.loss(y, target)
        return value / 2 if self.halved else value


LOSSES: dict[str, tuple[Support, Callable[[Any], nn.Module]]] = {
    "cross_entropy": ("composed", CrossEntropyOfProbabilities),
    "softmax_cross_entropy": ("native", CrossEntropyOfLogits),
    "mean_squared_error": ("native", SquaredError),
}


@dataclass(frozen=True)
class OptimizerPart:
    """An optimizer in PyTorch, and where it keeps what the reference calls a slot."""

    support: Support
    build: Callable[[Iterable[nn.Parameter], Any], torch.optim.Optimizer]
    slots: dict[str, str]


def sgd(parameters: Iterable[nn.Parameter], optimizer: optimizers.SGD) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        lr=optimizer.learning_rates(1)[0],
        momentum=optimizer.momentum,
        dampening=optimizer.dampening,
        nesterov=optimizer.nesterov,
        weight_decay=optimizer.weight_decay,
    )


def adam(parameters: Iterable[nn.Parameter], optimizer: optimizers.Adam) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        parameters,
        lr=optimizer.learning_rates(1)[0],
        betas=(optimizer.beta1, optimizer.beta2),
        eps=optimizer.epsilon,
        weight_decay=optimizer.weight_decay,
    )


OPTIMIZERS: dict[str, OptimizerPart] = {
    "sgd": OptimizerPart("native", sgd, {"velocity": "momentum_buffer"}),
    "adam": OptimizerPart("native", adam, {"step": "step", "first_moment": "exp_avg", "second_moment": "exp_avg_sq"}),
}

KINDS: dict[str, Support] = {
    **{kind: part.support for kind, part in LAYERS.items()},
    **{kind: support for kind, (support, _) in LOSSES.items()},
    **{kind: part.support for kind, part in OPTIMIZERS.items()},
}


def build_layer(layer: Layer, **like: Any) -> nn.Module:
    return LAYERS[layer.kind].build(layer, **like)


def build_loss(loss: Loss) -> nn.Module:
    return LOSSES[loss.kind][1](loss)
