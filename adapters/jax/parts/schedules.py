"""Learning rates by a rule, in optax: a function of the number of updates before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optax

from ....reference.optimizers import schedules


@dataclass(frozen=True)
class SchedulePart:
    """A schedule in optax: how it is built, and why it cannot be for a run of so many steps."""

    build: Callable[[Any], optax.Schedule]
    limits: Callable[[Any, int], str] = lambda schedule, steps: ""


def build_schedule(schedule: schedules.Schedule) -> optax.Schedule:
    return SCHEDULES[schedule.kind].build(schedule)


def schedule_limits(schedule: schedules.Schedule, steps: int) -> str:
    """Why optax cannot express a schedule over so many steps; empty if it can."""
    return SCHEDULES[schedule.kind].limits(schedule, steps)


def step(schedule: schedules.StepDecay) -> optax.Schedule:
    return optax.exponential_decay(schedule.start, schedule.every, schedule.factor, staircase=True)


def cosine(schedule: schedules.Cosine) -> optax.Schedule:
    alpha = schedule.end / schedule.start if schedule.end else 0.0
    return optax.cosine_decay_schedule(schedule.start, schedule.steps, alpha)


def cosine_limits(schedule: schedules.Cosine, steps: int) -> str:
    if schedule.end and not schedule.start:
        return "optax.cosine_decay_schedule has its end as a fraction of its start"
    beyond = schedule.after == "rises" and steps > schedule.steps + 1
    return "optax.cosine_decay_schedule stays at its end" if beyond else ""


def warmup(schedule: schedules.Warmup) -> optax.Schedule:
    rising = optax.linear_schedule(schedule.start, schedule.peak, schedule.steps)
    return optax.join_schedules([rising, build_schedule(schedule.then)], [schedule.steps])


def warmup_limits(schedule: schedules.Warmup, steps: int) -> str:
    return schedule_limits(schedule.then, max(1, steps - schedule.steps))


SCHEDULES: dict[str, SchedulePart] = {
    "constant": SchedulePart(lambda schedule: optax.constant_schedule(schedule.start)),
    "step": SchedulePart(step),
    "exponential": SchedulePart(lambda schedule: optax.exponential_decay(schedule.start, 1, schedule.factor)),
    "linear": SchedulePart(lambda schedule: optax.linear_schedule(schedule.start, schedule.end, schedule.steps)),
    "cosine": SchedulePart(cosine, cosine_limits),
    "warmup": SchedulePart(warmup, warmup_limits),
}
