"""The losses: what the network gave, against what was wanted, as one number."""

from __future__ import annotations

from .base import Loss
from .classification import CrossEntropy, NegativeLogLikelihood, SoftmaxCrossEntropy
from .margin import Hinge, SquaredHinge
from .pairs import CosineEmbedding, TripletMargin
from .probabilistic import BinaryCrossEntropy, BinaryCrossEntropyWithLogits, GaussianNLL, KLDivergence, PoissonNLL
from .regression import Huber, MeanAbsoluteError, MeanSquaredError, SmoothL1

LOSSES: dict[str, type[Loss]] = {
    loss.kind: loss
    for loss in (
        *(CrossEntropy, SoftmaxCrossEntropy, NegativeLogLikelihood),
        *(MeanSquaredError, MeanAbsoluteError, Huber, SmoothL1),
        *(BinaryCrossEntropy, BinaryCrossEntropyWithLogits, KLDivergence, PoissonNLL, GaussianNLL),
        *(Hinge, SquaredHinge),
        *(CosineEmbedding, TripletMargin),
    )
}
"""Every loss by its kind."""

__all__ = [
    "LOSSES",
    "BinaryCrossEntropy",
    "BinaryCrossEntropyWithLogits",
    "CosineEmbedding",
    "CrossEntropy",
    "GaussianNLL",
    "Hinge",
    "Huber",
    "KLDivergence",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "NegativeLogLikelihood",
    "PoissonNLL",
    "SmoothL1",
    "SoftmaxCrossEntropy",
    "SquaredHinge",
    "TripletMargin",
]
