"""Learning rates that change from step to step by a rule. Rates are Python's numbers, and steps count from 0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from ..errors import require

__all__ = ["Constant", "Cosine", "Exponential", "Linear", "StepDecay", "Warmup"]

ROUNDOFF = 2.0**-53


class Rate(float):
    """A learning rate that was computed, and not given: with how far rounding may have moved it.

    Frameworks make each rate from the one before it, or from the number of the step; near the end of a schedule little
    is left of the rate it began with, but for the error. A tracked array takes it for a number with that error. (An
    ordinary one takes it for a float64, and not for Python's number.)
    """

    error: float
    """A bound of the rounding error, in float64."""

    def __new__(cls, value: float, error: float) -> Rate:
        rate = super().__new__(cls, value)
        rate.error = error
        return rate


@dataclass(frozen=True)
class Schedule:
    """A rule for the learning rate, as a frozen dataclass.

    ``rate(step)`` is the learning rate of a step; ``peak`` the one that all others are fractions of, which is what the
    frameworks call the initial or base rate.

    Raises:
        CaseError: a rate below 0, a length below 1.
    """

    kind: ClassVar[str]
    """The name of the schedule in a case file."""

    @property
    def peak(self) -> float:
        """The rate that the others are fractions of."""
        raise NotImplementedError

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        raise NotImplementedError

    def rates(self, steps: int) -> tuple[float, ...]:
        """The learning rate of each of so many steps."""
        return tuple(self.rate(step) for step in range(steps))

    def require_rate(self, *names: str) -> None:
        """Raise CaseError unless each of these fields can be a learning rate."""
        for name in names:
            require(0 <= getattr(self, name) < np.inf, name, "a number of at least 0", getattr(self, name))

    def require_length(self, name: str) -> None:
        """Raise CaseError unless the field is a number of steps."""
        require(getattr(self, name) >= 1, name, "a whole number of at least 1", getattr(self, name))


@dataclass(frozen=True)
class FromRate(Schedule):
    """A schedule that starts at a rate of its own."""

    start: float

    def __post_init__(self) -> None:
        self.require_rate("start")

    @property
    def peak(self) -> float:
        return self.start


@dataclass(frozen=True)
class Constant(FromRate):
    """The same learning rate at every step: ``start``. What a warm-up may lead to.

    Same schedule elsewhere: torch.optim.lr_scheduler.ConstantLR with the factor 1; optax.constant_schedule.

    >>> Constant(0.5).rates(3)
    (0.5, 0.5, 0.5)
    """

    kind: ClassVar[str] = "constant"

    def rate(self, step: int) -> float:
        return self.start


@dataclass(frozen=True)
class StepDecay(FromRate):
    """The rate is multiplied by a factor after every so many steps: ``start * factor^floor(step / every)``.

    Same schedule elsewhere: torch.optim.lr_scheduler.StepLR; optax.exponential_decay with ``staircase``. Keras has
    ExponentialDecay with ``staircase``.

    >>> StepDecay(1.0, factor=0.5, every=2).rates(5)
    (1.0, 1.0, 0.5, 0.5, 0.25)
    """

    kind: ClassVar[str] = "step"

    factor: float = 0.1
    every: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor < np.inf, "factor", "a number above 0", self.factor)
        self.require_length("every")

    def rate(self, step: int) -> float:
        return self.start * self.factor ** (step // self.every)


@dataclass(frozen=True)
class Exponential(FromRate):
    """The rate is multiplied by a factor after every step: ``start * factor^step``.

    Same schedule elsewhere: torch.optim.lr_scheduler.ExponentialLR; optax.exponential_decay; Keras' ExponentialDecay.

    >>> Exponential(1.0, factor=0.5).rates(3)
    (1.0, 0.5, 0.25)
    """

    kind: ClassVar[str] = "exponential"

    factor: float = 0.9

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.factor < np.inf, "factor", "a number above 0", self.factor)

    def rate(self, step: int) -> float:
        return self.start * self.factor**step


@dataclass(frozen=True)
class Linear(FromRate):
    """From ``start`` to ``end`` on a line, over so many steps; then ``end``.

    ::

        rate = start + (end - start) * min(step / steps, 1)

    Same schedule elsewhere: torch.optim.lr_scheduler.LinearLR, which cannot rise above its base rate;
    optax.linear_schedule; Keras' PolynomialDecay.

    >>> Linear(1.0, steps=4).rates(6)
    (1.0, 0.75, 0.5, 0.25, 0.0, 0.0)
    """

    kind: ClassVar[str] = "linear"

    steps: int
    end: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_length("steps")
        self.require_rate("end")

    def rate(self, step: int) -> float:
        return self.start + (self.end - self.start) * min(step / self.steps, 1)


@dataclass(frozen=True)
class Cosine(FromRate):
    """From ``start`` to ``end`` along half a wave of the cosine, over so many steps.

    ::

        rate = end + (start - end) * (1 + cos(pi * step / steps)) / 2

    After that the rate ``stays`` at the end, or ``rises`` again along the wave, which has no end.

    Same schedule elsewhere: torch.optim.lr_scheduler.CosineAnnealingLR, which rises again, as Paddle's does;
    optax.cosine_decay_schedule, with ``alpha = end / start``, which stays, as in Keras and MLX.

    Source: Loshchilov & Hutter 2017, "SGDR: stochastic gradient descent with warm restarts", eq. 5, without restarts.

    >>> Cosine(1.0, steps=2).rates(4), Cosine(1.0, steps=2, after="rises").rate(4)
    ((1.0, 0.5, 0.0, 0.0), 1.0)
    """

    kind: ClassVar[str] = "cosine"

    steps: int
    end: float = 0.0
    after: Literal["stays", "rises"] = "stays"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_length("steps")
        self.require_rate("end")

    def rate(self, step: int) -> float:
        along = min(step, self.steps) if self.after == "stays" else step
        return self.end + (self.start - self.end) * (1 + float(np.cos(np.pi * along / self.steps))) / 2


@dataclass(frozen=True)
class Warmup(Schedule):
    """A rise on a line from ``start`` over so many steps, and then another schedule from its own first step on.

    ::

        rate = start + (then.peak - start) * step / steps     (step < steps)
        rate = then.rate(step - steps)                        (from there on)

    Same schedule elsewhere: torch.optim.lr_scheduler.SequentialLR of LinearLR, which cannot start at 0, and the other;
    optax.join_schedules of linear_schedule and the other, also as optax.warmup_cosine_decay_schedule, whose
    ``decay_steps`` count the warm-up's. Others warm up with ``(step + 1) / steps``, and never have a rate of 0.

    >>> Warmup(steps=2, then=Cosine(1.0, steps=2)).rates(5)
    (0.0, 0.5, 1.0, 0.5, 0.0)
    """

    kind: ClassVar[str] = "warmup"

    steps: int
    then: Schedule
    start: float = 0.0

    def __post_init__(self) -> None:
        self.require_length("steps")
        self.require_rate("start")

    @property
    def peak(self) -> float:
        return self.then.peak

    def rate(self, step: int) -> float:
        if step >= self.steps:
            return self.then.rate(step - self.steps)
        return self.start + (self.peak - self.start) * step / self.steps


@dataclass(frozen=True)
class Rounded(Schedule):
    """A schedule whose rates carry their rounding: each is some roundings of the peak off."""

    rule: Schedule

    @property
    def peak(self) -> float:
        return self.rule.peak

    def rate(self, step: int) -> float:
        return Rate(self.rule.rate(step), (step + 2) * ROUNDOFF * self.peak)
