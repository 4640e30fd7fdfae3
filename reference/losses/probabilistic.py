"""Losses that are minus the logarithm of a probability, or a distance of distributions, element by element."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..elementary import pi
from ..errors import CaseError
from ..layers import Array, Shape
from .base import (
    Loss,
    divisor,
    draw_distributions,
    numbers,
    reduced,
    require_above,
    require_between,
    require_classes,
)

__all__ = ["BinaryCrossEntropy", "BinaryCrossEntropyWithLogits", "GaussianNLL", "KLDivergence", "PoissonNLL"]

LOG_FLOOR = -100
"""The least logarithm of a probability, in torch and Paddle."""
DENOMINATOR_FLOOR = 9.999999960041972e-13
"""The least ``p (1 - p)`` by which they divide: 1e-12, in float32 whatever the dtype."""
CLIPPED_AT = 1e-7
"""How near to 0 and 1 Keras lets a probability come."""


class YesOrNo(Loss):
    """A loss whose targets are the probabilities of a yes, one for each output."""

    def check_target(self, target: Array, *predictions: Shape) -> None:
        super().check_target(target, *predictions)
        require_between(target, 0, 1)

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        """Eighths from 0 to 1; two of three are certain, 0 or 1."""
        shape = self.target_shape(*predictions)
        eighths = generator.integers(9, size=shape) / 8
        return np.where(generator.integers(3, size=shape) > 0, (eighths > 0.5).astype(float), eighths)


@dataclass(frozen=True)
class BinaryCrossEntropy(YesOrNo):
    """Cross-entropy of a yes: ``loss = -sum(target log(p) + (1 - target) log(1 - p)) / divisor``.

    The divisor is the number of all elements for ``mean`` and 1 for ``sum``. ``extremes`` says what happens to a p of 0
    or 1 that was wanted otherwise: ``floored``, no logarithm is below -100 and the gradient
    ``(p - target) / (p (1 - p))`` divides by 1e-12 at least, so that it is not that of the loss there; ``clipped``,
    p is brought into 1e-7 to 1 - 1e-7, and has the gradient 0 outside; ``unbounded``, the loss is infinite.

    Shapes: p and target alike, p from 0 to 1 as a sigmoid gives it, and so the target; loss (), or that of p for
    ``none``.

    Same loss elsewhere: torch.nn.BCELoss and Paddle's are floored, Keras's is clipped. optax expects logits; with
    jax.numpy it is written out, unbounded, or clipped by hand.

    Raises:
        CaseError: targets of another shape than the prediction, or not from 0 to 1.

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.90.

    >>> import numpy as np
    >>> loss, _ = BinaryCrossEntropy("none").forward(np.array([0.25, 1e-50]), np.array([0.0, 1.0]))
    >>> print(loss.round(6))
    [  0.287682 100.      ]
    """

    kind: ClassVar[str] = "binary_cross_entropy"

    reduction: Literal["mean", "sum", "none"] = "mean"
    extremes: Literal["floored", "clipped", "unbounded"] = "floored"

    def forward(self, p: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        if self.extremes == "clipped":
            p = np.maximum(p, CLIPPED_AT)
            p = np.where(p > 1 - CLIPPED_AT, np.full_like(p, 1 - CLIPPED_AT), p)
        yes, no = np.log(p), np.log(1 - p)
        if self.extremes == "floored":
            yes, no = np.maximum(yes, LOG_FLOOR), np.maximum(no, LOG_FLOOR)
        losses = -(target * yes) - (1 - target) * no
        return reduced(self.reduction, losses), (p, target)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        p, target = saved
        if self.extremes == "floored":
            # forward was: losses = -target log(p) - (1 - target) log(1 - p), floored
            dlosses: Array = (p - target) / np.maximum(p * (1 - p), DENOMINATOR_FLOOR)
        else:
            # forward was: losses = -target log(p) - (1 - target) log(1 - p)
            dlosses = (1 - target) / (1 - p) - target / p
        if self.extremes == "clipped":
            # forward was: p = 1e-7 where it was below, 1 - 1e-7 where it was above
            inside = (p > CLIPPED_AT) * (p < 1 - CLIPPED_AT)
            dlosses = np.where(inside, dlosses, np.zeros_like(p))
        # forward was: loss = sum(losses) / divisor
        return dlosses / divisor(self.reduction, p)


@dataclass(frozen=True)
class BinaryCrossEntropyWithLogits(YesOrNo):
    """Sigmoid and binary cross-entropy in one: ``loss = sum((1 - target) z + weight softplus(-z)) / divisor``.

    ``softplus(-z) = log(1 + exp(-z))`` is minus the logarithm of ``sigmoid(z)``; its derivative is ``sigmoid(z) - 1``.
    It is computed as ``max(-z, 0) + log(1 + exp(-|z|))``, which cannot overflow. ``weight = 1 + (pos_weight - 1)
    target``: where the target is 1, the loss counts ``pos_weight`` times. Without one the gradient is
    ``(sigmoid(z) - target) / divisor``. The divisor is the number of all elements for ``mean``, whatever they weigh,
    and 1 for ``sum``.

    Shapes: z and target alike, the target from 0 to 1; pos_weight one number for all outputs, or one for each; loss (),
    or that of z for ``none``.

    Same loss elsewhere: torch.nn.BCEWithLogitsLoss; optax.losses.sigmoid_binary_cross_entropy (per element, without
    pos_weight).

    Raises:
        CaseError: targets of another shape than the prediction, or not from 0 to 1; another number of weights.

    Source: Bishop 2006, "Pattern Recognition and Machine Learning", eq. 4.90 and 4.91.

    >>> import numpy as np
    >>> loss, _ = BinaryCrossEntropyWithLogits("none").forward(np.array([0.0, -1e4]), np.array([1.0, 1.0]))
    >>> print(loss.round(6))
    [6.93147e-01 1.00000e+04]
    """

    kind: ClassVar[str] = "binary_cross_entropy_with_logits"

    reduction: Literal["mean", "sum", "none"] = "mean"
    pos_weight: tuple[float, ...] = ()

    def target_shape(self, *predictions: Shape) -> Shape:
        shape = super().target_shape(*predictions)
        outputs = shape[-1] if shape else 1
        if len(self.pos_weight) not in (0, 1, outputs):
            raise CaseError(
                f"no weight, 1 or {outputs}, one for each output", str(len(self.pos_weight)), key="pos_weight"
            )
        return shape

    def forward(self, z: Array, target: Array) -> tuple[Array, tuple[Array, Array, Array]]:
        weight = np.ones_like(z)
        if self.pos_weight:
            weight = 1 + (numbers(self.pos_weight, z) - 1) * target
        e = np.exp(-np.abs(z))
        softplus = np.maximum(-z, 0) + np.log(1 + e)
        p = np.where(z >= 0, np.ones_like(e), e) / (1 + e)
        losses = (1 - target) * z + weight * softplus
        return reduced(self.reduction, losses), (p, target, weight)

    def backward(self, saved: tuple[Array, Array, Array]) -> Array:
        p, target, weight = saved
        # forward was: losses = (1 - target) * z + weight * softplus(-z), and d softplus(-z) / dz = sigmoid(z) - 1
        dlosses: Array = (1 - target) - weight * (1 - p)
        # forward was: loss = sum(losses) / divisor
        return dlosses / divisor(self.reduction, dlosses)


@dataclass(frozen=True)
class KLDivergence(Loss):
    """Kullback-Leibler divergence from log-probabilities: ``loss = sum(target (log(target) - log_q)) / divisor``.

    The prediction is ``log_q``, and the gradient ``-target / divisor``. A target of 0 adds nothing. The divisor is the
    number of all elements for ``mean``, which is not the divergence of a row; the size of the first axis for
    ``batchmean``, which is, if the prediction is (N, C); and 1 for ``sum``. With ``targets`` of ``logarithms`` the
    target is given as its logarithm.

    Shapes: log_q (..., N, C); target alike; loss (), or that of log_q for ``none``.

    Same loss elsewhere: torch.nn.KLDivLoss, whose default is that mean; optax.losses.kl_divergence and
    kl_divergence_with_log_targets add up the last axis. Keras takes the target first, and probabilities for both.

    Raises:
        CaseError: a prediction without rows of outputs, targets of another shape, or below 0 where they are no
            logarithms.

    Source: Kullback & Leibler 1951, "On information and sufficiency", eq. 2.4.

    >>> import numpy as np
    >>> loss, _ = KLDivergence("batchmean").forward(np.log(np.array([[0.25, 0.5, 0.25]])), np.array([[0.5, 0.5, 0.0]]))
    >>> print(round(float(loss / np.log(2)), 12))
    0.5
    """

    kind: ClassVar[str] = "kl_div"

    reduction: Literal["mean", "sum", "batchmean", "none"] = "mean"
    targets: Literal["probabilities", "logarithms"] = "probabilities"

    def target_shape(self, *predictions: Shape) -> Shape:
        shape = super().target_shape(*predictions)
        require_classes(shape)
        return shape

    def check_target(self, target: Array, *predictions: Shape) -> None:
        super().check_target(target, *predictions)
        if self.targets == "probabilities" and target.size and target.min() < 0:
            raise CaseError("probabilities, of at least 0", str(target.min()))

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        shape = self.target_shape(*predictions)
        if self.targets == "probabilities":
            return draw_distributions(generator, shape)
        z = generator.standard_normal(shape)
        log_p: Array = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
        return log_p

    def forward(self, log_q: Array, target: Array) -> tuple[Array, Array]:
        if self.targets == "logarithms":
            p, log_p = np.exp(target), target
        else:
            p, log_p = target, np.log(np.where(target > 0, target, np.ones_like(target)))
        return reduced(self.reduction, p * (log_p - log_q)), p

    def backward(self, p: Array) -> Array:
        # forward was: loss = sum(p * (log_p - log_q)) / divisor
        return -p / divisor(self.reduction, p)


@dataclass(frozen=True)
class PoissonNLL(Loss):
    """Minus the logarithm of a Poisson distribution's probability of a count: ``loss = sum(rate - target log(rate))``.

    Over the divisor: the number of all elements for ``mean``, 1 for ``sum``. With ``predictions`` of ``logarithms`` the
    prediction x is the logarithm of the rate, each term is ``exp(x) - target x``, and its gradient
    ``exp(x) - target``; with ``rates`` x is the rate itself, above 0, and ``epsilon`` is added to it within the
    logarithm. The term ``log(target!)`` is left out; with ``full``, Stirling's approximation of it is there where the
    target is above 1, ``target log(target) - target + log(2 pi target) / 2``, and has no gradient.

    Shapes: x and target alike; loss (), or that of x for ``none``.

    Same loss elsewhere: torch.nn.PoissonNLLLoss (``log_input``). keras.losses.Poisson takes rates, with an epsilon of
    1e-7. optax has none; it is written out.

    Raises:
        CaseError: targets of another shape than the prediction, or below 0; an epsilon below 0.

    Source: Cameron & Trivedi 1998, "Regression Analysis of Count Data", eq. 3.6.

    >>> import numpy as np
    >>> print(PoissonNLL("none").forward(np.array([0.0, 0.0]), np.array([0.0, 3.0]))[0])
    [1. 1.]
    >>> print(PoissonNLL("none", "rates", full=True).forward(np.array([3.0]), np.array([3.0]))[0].round(6))
    [1.468245]
    """

    kind: ClassVar[str] = "poisson_nll"

    reduction: Literal["mean", "sum", "none"] = "mean"
    predictions: Literal["logarithms", "rates"] = "logarithms"
    full: bool = False
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        require_above(self, "epsilon", or_equal=True)

    def check_target(self, target: Array, *predictions: Shape) -> None:
        super().check_target(target, *predictions)
        if target.size and target.min() < 0:
            raise CaseError("counts, of at least 0", str(target.min()))

    def draw_target(self, generator: np.random.Generator, *predictions: Shape) -> Array:
        return generator.poisson(2, self.target_shape(*predictions)).astype(float)

    def forward(self, x: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        if self.predictions == "logarithms":
            rate = np.exp(x)
            losses = rate - target * x
        else:
            rate = x
            losses = rate - target * np.log(rate + self.epsilon)
        if self.full:
            losses = losses + stirling(target)
        return reduced(self.reduction, losses), (rate, target)

    def backward(self, saved: tuple[Array, Array]) -> Array:
        rate, target = saved
        if self.predictions == "logarithms":
            # forward was: loss = sum(rate - target * x) / divisor, rate = exp(x)
            return (rate - target) / divisor(self.reduction, rate)
        # forward was: loss = sum(x - target * log(x + epsilon)) / divisor
        return (1 - target / (rate + self.epsilon)) / divisor(self.reduction, rate)


@dataclass(frozen=True)
class GaussianNLL(Loss):
    """Minus the logarithm of a normal density: ``loss = sum(log(v) + (mean - target)^2 / v) / 2 / divisor``.

    Two predictions, the mean and the variance; ``v = max(variance, epsilon)``. The maximum is no part of what is
    differentiated: a variance below epsilon has the gradient that v has, ``(1 / v - (mean - target)^2 / v^2) / 2``.
    With ``full``, ``log(2 pi) / 2`` is added to each term. The divisor is the number of all elements for ``mean`` and 1
    for ``sum``.

    Shapes: mean, variance and target alike, the variance not below 0; loss (), or that of mean for ``none``.

    Same loss elsewhere: torch.nn.GaussianNLLLoss, called with the target between the two, where one variance may also
    stand for a whole row. optax has none; written with a maximum, the gradient is 0 below epsilon.

    Raises:
        CaseError: predictions or targets of different shapes, or an epsilon that is not above 0.

    Source: Nix & Weigend 1994, "Estimating the mean and variance of the target probability distribution", eq. 5.

    >>> import numpy as np
    >>> mean, variance, target = np.zeros((1, 2)), np.array([[1.0, 4.0]]), np.array([[2.0, 2.0]])
    >>> print(GaussianNLL("none").forward(mean, variance, target)[0].round(6))
    [[2.       1.193147]]
    """

    kind: ClassVar[str] = "gaussian_nll"
    arity: ClassVar[int] = 2

    reduction: Literal["mean", "sum", "none"] = "mean"
    full: bool = False
    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        require_above(self, "epsilon")

    def forward(self, mean: Array, variance: Array, target: Array) -> tuple[Array, tuple[Array, Array]]:
        error, v = mean - target, np.maximum(variance, self.epsilon)
        losses = (np.log(v) + error * error / v) / 2
        if self.full:
            losses = losses + np.log(2 * pi(mean)) / 2
        return reduced(self.reduction, losses), (error, v)

    def backward(self, saved: tuple[Array, Array]) -> tuple[Array, Array]:
        error, v = saved
        count = divisor(self.reduction, error)
        # forward was: losses = (log(v) + error^2 / v) / 2, error = mean - target
        dmean = error / v / count
        # forward was: losses = (log(v) + error^2 / v) / 2, v = variance, or epsilon where that is larger
        dvariance = (1 / v - error * error / (v * v)) / 2 / count
        return dmean, dvariance


def stirling(count: Array) -> Array:
    """The logarithm of the factorial, approximately, where the count is above 1; 0 elsewhere."""
    safe = np.where(count > 1, count, np.ones_like(count))
    value = safe * np.log(safe) - safe + np.log(2 * pi(count) * safe) / 2
    return np.where(count > 1, value, np.zeros_like(count))
