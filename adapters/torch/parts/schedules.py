"""Learning rates by a rule, in PyTorch: a scheduler that changes the rate of an optimizer after every step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch.optim import lr_scheduler
from torch.optim.lr_scheduler import LRScheduler

from ....reference.optimizers import schedules

Optimizer: TypeAlias = torch.optim.Optimizer


@dataclass(frozen=True)
class SchedulePart:
    """A schedule in PyTorch: how it is built, and why it cannot be for a run of so many steps."""

    build: Callable[[Optimizer, Any], LRScheduler]
    limits: Callable[[Any, int], str] = lambda schedule, steps: ""


def build_schedule(optimizer: Optimizer, schedule: schedules.Schedule) -> LRScheduler:
    """The scheduler of an optimizer, whose rate is from now on that of the first step."""
    for group in optimizer.param_groups:
        group["lr"] = schedule.peak
    return SCHEDULES[schedule.kind].build(optimizer, schedule)


def schedule_limits(schedule: schedules.Schedule, steps: int) -> str:
    """Why PyTorch cannot express a schedule over so many steps; empty if it can."""
    return SCHEDULES[schedule.kind].limits(schedule, steps)


def linear(optimizer: Optimizer, schedule: schedules.Linear) -> LRScheduler:
    return lr_scheduler.LinearLR(optimizer, 1.0, schedule.end / schedule.start, schedule.steps)


def linear_limits(schedule: schedules.Linear, steps: int) -> str:
    rises = not 0 <= schedule.end <= schedule.start or not schedule.start
    return "torch's LinearLR cannot rise above its base rate" if rises else ""


def cosine(optimizer: Optimizer, schedule: schedules.Cosine) -> LRScheduler:
    return lr_scheduler.CosineAnnealingLR(optimizer, schedule.steps, schedule.end)


def cosine_limits(schedule: schedules.Cosine, steps: int) -> str:
    beyond = schedule.after == "stays" and steps > schedule.steps + 1
    return "torch's CosineAnnealingLR rises again after its end" if beyond else ""


def warmup(optimizer: Optimizer, schedule: schedules.Warmup) -> LRScheduler:
    rising = lr_scheduler.LinearLR(optimizer, schedule.start / schedule.peak, 1.0, schedule.steps)
    then = SCHEDULES[schedule.then.kind].build(optimizer, schedule.then)
    return lr_scheduler.SequentialLR(optimizer, [rising, then], [schedule.steps])


def warmup_limits(schedule: schedules.Warmup, steps: int) -> str:
    if not 0 < schedule.start <= schedule.peak:
        return "torch's LinearLR starts above 0 and not above its base rate"
    if isinstance(schedule.then, schedules.Warmup):
        return "torch's SequentialLR cannot be warmed up by another"
    return schedule_limits(schedule.then, max(1, steps - schedule.steps))


SCHEDULES: dict[str, SchedulePart] = {
    "constant": SchedulePart(lambda optimizer, schedule: lr_scheduler.ConstantLR(optimizer, 1.0, 1)),
    "step": SchedulePart(lambda optimizer, schedule: lr_scheduler.StepLR(optimizer, schedule.every, schedule.factor)),
    "exponential": SchedulePart(lambda optimizer, schedule: lr_scheduler.ExponentialLR(optimizer, schedule.factor)),
    "linear": SchedulePart(linear, linear_limits),
    "cosine": SchedulePart(cosine, cosine_limits),
    "warmup": SchedulePart(warmup, warmup_limits),
}
