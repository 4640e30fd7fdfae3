"""Losses in PyTorch."""

from __future__ import annotations

import torch
from torch import nn

from ....reference.losses import CrossEntropy, MeanSquaredError, SoftmaxCrossEntropy
from .base import LossPart


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


LOSSES: dict[str, LossPart] = {
    "cross_entropy": LossPart("composed", CrossEntropyOfProbabilities),
    "softmax_cross_entropy": LossPart("native", CrossEntropyOfLogits),
    "mean_squared_error": LossPart("native", SquaredError),
}
