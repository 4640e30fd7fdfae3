"""Losses in PyTorch."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from ....reference import losses
from ....reference.losses.pairs import EPSILON
from .base import LossPart

HINGES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "zero": torch.relu,
    "half": lambda x: torch.maximum(x, torch.zeros_like(x)),
    "one": lambda x: torch.where(x >= 0, x, torch.zeros_like(x)),
}
"""``max(x, 0)`` in the forms that differ in their derivative at 0."""


def reduced(values: torch.Tensor, reduction: str) -> torch.Tensor:
    """The losses of elements or rows, reduced."""
    if reduction == "none":
        return values
    return values.mean() if reduction == "mean" else values.sum()


class CrossEntropyOfProbabilities(nn.Module):
    """Cross-entropy of probabilities, composed: PyTorch has it for logits only."""

    def __init__(self, loss: losses.CrossEntropy) -> None:
        super().__init__()
        self.reduction = loss.reduction

    def forward(self, p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        rows = -(target * torch.log(p)).sum(dim=-1)
        return rows.sum() / p.numel() if self.reduction == "mean_over_outputs" else reduced(rows, self.reduction)


class ClassLoss(nn.Module):
    """nn.CrossEntropyLoss or nn.NLLLoss over rows.

    Where the reference divides by something else than these do, it is their sum divided by that.
    """

    def __init__(self, loss: losses.SoftmaxCrossEntropy | losses.NegativeLogLikelihood) -> None:
        super().__init__()
        self.case_loss = loss
        of_indices = loss.integer_targets
        self.own_mean = loss.reduction == "mean" and (
            (not loss.class_weights or (loss.weighted_mean == "weights") == of_indices)
            and (loss.ignore_index is None or loss.ignored_rows == "left_out")
        )
        self.ignored = -100 if loss.ignore_index is None else loss.ignore_index
        own = loss.reduction == "none" or self.own_mean
        self.reduction = loss.reduction if own else "sum"

    def weights(self, like: torch.Tensor) -> torch.Tensor | None:
        """The weights of the classes, if any."""
        return like.new_tensor(self.case_loss.class_weights) if self.case_loss.class_weights else None

    def of_rows(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """PyTorch's loss of a matrix."""
        weights, loss = self.weights(x), self.case_loss
        if isinstance(loss, losses.NegativeLogLikelihood):
            return functional.nll_loss(x, rows, weights, ignore_index=self.ignored, reduction=self.reduction)
        return functional.cross_entropy(
            x,
            rows,
            weights,
            ignore_index=self.ignored,
            reduction=self.reduction,
            label_smoothing=loss.label_smoothing,
        )

    def count(self, x: torch.Tensor, rows: torch.Tensor) -> torch.Tensor | int:
        """By what the reference's mean divides."""
        weights, of_indices = self.weights(x), self.case_loss.integer_targets
        kept = rows != self.ignored if of_indices else torch.ones_like(rows[:, 0], dtype=torch.bool)
        if weights is not None and self.case_loss.weighted_mean == "weights":
            return (weights[rows * kept] * kept).sum() if of_indices else (rows * weights).sum()
        return len(rows) if self.case_loss.ignored_rows == "counted" else kept.sum()

    def forward(self, x: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        classes, reduction = x.shape[-1], self.case_loss.reduction
        rows = target.reshape(-1) if self.case_loss.integer_targets else target.reshape(-1, classes)
        value = self.of_rows(x.reshape(-1, classes), rows)
        if reduction == "none":
            return value.reshape(x.shape[:-1])
        if reduction == "sum" or self.own_mean:
            return value
        return value / (self.count(x, rows) * (classes if reduction == "mean_over_outputs" else 1))


class SquaredError(nn.Module):
    """nn.MSELoss; the half-sum is half its sum."""

    def __init__(self, loss: losses.MeanSquaredError) -> None:
        super().__init__()
        self.halved = loss.reduction == "half_sum"
        self.loss = nn.MSELoss(reduction="sum" if loss.reduction == "half_sum" else loss.reduction)

    def forward(self, y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.loss(y, target)
        return value / 2 if self.halved else value


class AbsoluteError(nn.Module):
    """nn.L1Loss, whose slope at 0 is 0; the other slope is that of a choice between the error and its negative."""

    def __init__(self, loss: losses.MeanAbsoluteError) -> None:
        super().__init__()
        self.reduction, self.slope = loss.reduction, loss.slope_at_zero

    def forward(self, y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self.slope == "zero":
            return functional.l1_loss(y, target, reduction=self.reduction)
        return reduced(torch.where(y >= target, y - target, target - y), self.reduction)


class BinaryCrossEntropy(nn.Module):
    """nn.BCELoss, which floors the logarithm; on clipped probabilities; or written out without a bound."""

    def __init__(self, loss: losses.BinaryCrossEntropy) -> None:
        super().__init__()
        self.reduction, self.extremes = loss.reduction, loss.extremes

    def forward(self, p: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if self.extremes == "floored":
            return functional.binary_cross_entropy(p, target, reduction=self.reduction)
        p = p.clamp(1e-7, 1 - 1e-7) if self.extremes == "clipped" else p
        return reduced(-(target * torch.log(p) + (1 - target) * torch.log(1 - p)), self.reduction)


class BinaryCrossEntropyWithLogits(nn.Module):
    """nn.BCEWithLogitsLoss."""

    def __init__(self, loss: losses.BinaryCrossEntropyWithLogits) -> None:
        super().__init__()
        self.reduction, self.pos_weight = loss.reduction, loss.pos_weight

    def forward(self, z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        weight = z.new_tensor(self.pos_weight) if self.pos_weight else None
        return functional.binary_cross_entropy_with_logits(z, target, reduction=self.reduction, pos_weight=weight)


class KLDivergence(nn.Module):
    """nn.KLDivLoss; its own mean, which is to become that over rows, is taken of its elements."""

    def __init__(self, loss: losses.KLDivergence) -> None:
        super().__init__()
        self.mean = loss.reduction == "mean"
        reduction = "none" if self.mean else loss.reduction
        self.loss = nn.KLDivLoss(reduction=reduction, log_target=loss.targets == "logarithms")

    def forward(self, log_q: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.loss(log_q, target)
        return value.mean() if self.mean else value


class HingeOfScores(nn.Module):
    """Composed: nn.HingeEmbeddingLoss is another loss."""

    def __init__(self, loss: losses.Hinge) -> None:
        super().__init__()
        self.reduction, self.hinge = loss.reduction, HINGES[loss.slope_at_margin]

    def forward(self, y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return reduced(self.hinge(1 - target * y), self.reduction)


class SquaredHingeOfScores(nn.Module):
    """Composed."""

    def __init__(self, loss: losses.SquaredHinge) -> None:
        super().__init__()
        self.reduction = loss.reduction

    def forward(self, y: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return reduced(torch.relu(1 - target * y) ** 2, self.reduction)


class GaussianNLL(nn.Module):
    """nn.GaussianNLLLoss, which has the target between its two predictions."""

    def __init__(self, loss: losses.GaussianNLL) -> None:
        super().__init__()
        self.loss = nn.GaussianNLLLoss(full=loss.full, eps=loss.epsilon, reduction=loss.reduction)

    def forward(self, mean: torch.Tensor, variance: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        value: torch.Tensor = self.loss(mean, target, variance)
        return value


class CosineEmbedding(nn.Module):
    """nn.CosineEmbeddingLoss over rows; with another slope at the margin than clamp has, written out."""

    def __init__(self, loss: losses.CosineEmbedding) -> None:
        super().__init__()
        self.reduction, self.margin, self.slope = loss.reduction, loss.margin, loss.slope_at_margin

    def forward(self, x1: torch.Tensor, x2: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        a, b, signs = x1.reshape(-1, x1.shape[-1]), x2.reshape(-1, x2.shape[-1]), target.reshape(-1)
        if self.slope == "one":
            rows = functional.cosine_embedding_loss(a, b, signs, self.margin, reduction="none")
        else:
            cos = (a * b).sum(-1) / torch.sqrt(((a * a).sum(-1) + EPSILON) * ((b * b).sum(-1) + EPSILON))
            rows = torch.where(signs > 0, 1 - cos, HINGES[self.slope](cos - self.margin))
        return reduced(rows.reshape(target.shape), self.reduction)


class TripletMargin(nn.Module):
    """nn.TripletMarginLoss; with another epsilon or another slope at the margin than it has, written out."""

    def __init__(self, loss: losses.TripletMargin) -> None:
        super().__init__()
        self.case_loss = loss
        self.loss = nn.TripletMarginLoss(loss.margin, eps=loss.epsilon, reduction=loss.reduction)

    def distance(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """The length of the difference of two rows."""
        if self.case_loss.epsilon_in == "difference":
            return functional.pairwise_distance(x, y, eps=self.case_loss.epsilon)
        return torch.sqrt(((x - y) ** 2).sum(-1) + self.case_loss.epsilon)

    def forward(
        self, anchor: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor, target: torch.Tensor
    ) -> torch.Tensor:
        loss = self.case_loss
        if (loss.epsilon_in, loss.slope_at_margin) == ("difference", "one"):
            value: torch.Tensor = self.loss(anchor, positive, negative)
            return value
        short = self.distance(anchor, positive) - self.distance(anchor, negative) + loss.margin
        return reduced(HINGES[loss.slope_at_margin](short), loss.reduction)


LOSSES: dict[str, LossPart] = {
    "cross_entropy": LossPart("composed", CrossEntropyOfProbabilities),
    "softmax_cross_entropy": LossPart("native", ClassLoss),
    "nll": LossPart("native", ClassLoss),
    "mean_squared_error": LossPart("native", SquaredError),
    "mean_absolute_error": LossPart("native", AbsoluteError),
    "huber": LossPart("native", lambda loss: nn.HuberLoss(loss.reduction, loss.delta)),
    "smooth_l1": LossPart("native", lambda loss: nn.SmoothL1Loss(reduction=loss.reduction, beta=loss.beta)),
    "binary_cross_entropy": LossPart("native", BinaryCrossEntropy),
    "binary_cross_entropy_with_logits": LossPart("native", BinaryCrossEntropyWithLogits),
    "kl_div": LossPart("native", KLDivergence),
    "poisson_nll": LossPart(
        "native",
        lambda loss: nn.PoissonNLLLoss(
            loss.predictions == "logarithms", loss.full, eps=loss.epsilon, reduction=loss.reduction
        ),
    ),
    "gaussian_nll": LossPart("native", GaussianNLL),
    "hinge": LossPart("composed", HingeOfScores),
    "squared_hinge": LossPart("composed", SquaredHingeOfScores),
    "cosine_embedding": LossPart("native", CosineEmbedding),
    "triplet_margin": LossPart("native", TripletMargin),
}
