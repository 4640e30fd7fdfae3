"""Mistakes in the training step: every part is right, and the parts are joined wrongly."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import reduce
from operator import add

import numpy as np

from ..reference import Case, Node, Operation, Schedule, Term
from ..reference.layers import Array
from ..reference.optimizers import Rprop, Warmup
from ..reference.optimizers.schedules import Rounded
from ..reference.step import Keep, Named, arrays_by_name
from .base import StepFault, done
from .optimizers import counts


class GradientsNotCleared(StepFault):
    """Gradients are added to those of the step before, which nobody set to 0.

    Frameworks that accumulate leave the clearing to the training loop. The first step is exact, and the second has the
    sum of two gradients, the third that of three.
    """

    number = 12
    wrong = ("backward",)
    question = "What is in the gradients when the second step begins?"
    experiment = "Print the gradients just before the first line of the second step's backward."

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from [""] if case.steps > 1 and case.micro_batches == 1 else []

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        totals = {f"{done(operation).step}/gradient/{name}" for name in case.parameters}
        return done(operation).step > 0 and bool(totals & set(operation.outputs))

    def backward(self, share: float) -> None:
        self.left = {name: self.gradients[name].value for name in self.case.parameters if self.gradients}
        super().backward(share)

    def arrive(self, source: str, kind: str, reads: Sequence[Named], parts: Sequence[tuple[str, str, Array]]) -> None:
        # What is used more than once comes in parts, and gets what is left over with their sum.
        parts = [
            (name, label, part + self.left[name] if name in self.left and len(self.case.uses[name]) == 1 else part)
            for name, label, part in parts
        ]
        super().arrive(source, kind, reads, parts)

    def total(self, name: str, parts: Sequence[Array]) -> Array:
        total = super().total(name, parts)
        return total + self.left[name] if name in self.left else total


class UpdatedTooEarly(StepFault):
    """Each layer's weights are updated as soon as their gradient is there, before it is sent on to the layer below.

    One loop from the last layer to the first does both, and it saves a list of gradients. The last layer's gradients
    are exact; what goes through its weights goes through the new ones, so that the error grows with the learning rate.
    Mazur's worked example does so: the loss of .291027924 that it prints after one step is this mistake's.
    """

    number = 8
    wrong = ("backward",)
    question = "With which weights was the forward done, and with which do you send the gradient back?"
    experiment = "Set the learning rate to 0: if the gradients change, the update is in the wrong place."

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from [""] if any(updated_alone(case, node) for node in case.nodes) else []

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        _, what, of = done(operation)
        return what == "backward" and any(node.name == of and updated_alone(case, node) for node in case.nodes)

    def backward_of(self, node: Node) -> None:
        # A layer is linear in each of its parameters, so that their own gradients do not depend on what they are.
        before = self.weights
        dy, params = self.gradients[node.name].value, arrays_by_name(self.params_of(node))
        _, dparams = node.layer.backward(dy, self.saved[node.name], params)
        after = {name: self.updated(name, dparams[local]) for local, name in updated_alone(self.case, node).items()}
        self.weights = {**before, **after}
        super().backward_of(node)
        self.weights = before

    def updated(self, name: str, gradient: Array) -> Named:
        """A weight after its update, under the name that it has before."""
        weight, slots = self.weights[name], arrays_by_name(self.state[name])
        rate = self.case.learning_rates[self.step]
        return Named(weight.name, self.case.optimizer.update(weight.value, gradient, slots, rate)[0])


def updated_alone(case: Case, node: Node) -> dict[str, str]:
    """The parameters by which a node sends gradients back, as far as they are trained and no other node's."""
    if node.layer.integer_inputs:
        return {}
    return {
        local: name
        for local, name in node.parameters.items()
        if local != "bias" and name in case.trained and len(case.uses[name]) == 1
    }


class LastUseOverwrites(StepFault):
    """The gradient of a value that is used more than once is that of one use: ``=`` is written for ``+=``.

    In a chain of layers each value is used once, and assignment is enough. With the first residual connection the use
    that is differentiated last overwrites the others; only shared values, and what lies before them, are wrong.
    """

    number = 11
    wrong = ("backward",)

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from (name for name in shared(case) if name not in case.parameters)

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        _, what, of = done(operation)
        return (what, of) == ("sum", site)

    def total(self, name: str, parts: Sequence[Array]) -> Array:
        return super().total(name, self.remaining(parts) if name == self.site else parts)

    def remaining(self, parts: Sequence[Array]) -> Sequence[Array]:
        """What is left of the parts, which are in the order of the backward."""
        return parts[-1:]


class FirstUseOnly(LastUseOverwrites):
    """The gradient of a value that is used more than once is that of the use that is differentiated first.

    A node is marked as visited when its gradient first arrives, and what arrives later finds the door closed. In a
    residual network the shortcut's gradient goes through and the blocks below learn from it alone.
    """

    def remaining(self, parts: Sequence[Array]) -> Sequence[Array]:
        return parts[:1]


class TiedWeightOverwritten(LastUseOverwrites):
    """The gradient of a weight that two layers share is that of the layer differentiated last.

    Each layer assigns to the one array of gradients that it knows. The other layers' part is lost, and only the tied
    tensor is wrong; the network trains, a little worse.
    """

    number = 25

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from (name for name in shared(case) if name in case.parameters)


class TiedWeightUseForgotten(TiedWeightOverwritten):
    """The gradient of a weight that several layers share lacks that of its first use in the forward.

    The output layer borrows the embedding's table and has the gradient; the embedding, in another process or another
    list of parameters, is left out of the sum. Only the tied tensor is wrong.
    """

    def remaining(self, parts: Sequence[Array]) -> Sequence[Array]:
        return parts[:-1]


def shared(case: Case) -> Iterator[str]:
    """The values and parameters that have a gradient from more than one use."""
    for name, uses in case.uses.items():
        if len(uses) > 1 and not (name == "input" and case.integer_inputs):
            yield name


class AccumulationNotDivided(StepFault):
    """The gradients of the micro-batches are added up, and nobody divides by their number.

    With one micro-batch a step the loop is right. With K of them each gradient is K times as large, in the same
    direction, and the learning rate seems to have been set too high; Adam's weights hardly show it.
    """

    number = 1
    wrong = ("backward",)

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from [""] if case.micro_batches > 1 and case.accumulation != "sum" else []

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        _, what, of = done(operation)
        return what == "backward" and of in {term.name for term in case.losses}

    def backward(self, share: float) -> None:
        super().backward(1.0)


class MeanOfMeans(AccumulationNotDivided):
    """Micro-batches of different sizes count alike: the mean of their means is not the mean over all rows.

    Each loss is a mean over its own rows, and the step averages the losses. Where sequences or last batches are shorter
    their rows count for more than the others; outputs and losses are right, and every gradient is a mixture that no
    factor explains.
    """

    number = 2

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        uneven = any(len({len(batch.inputs) for batch in case.batches_of(step)}) > 1 for step in range(case.steps))
        yield from [""] if case.accumulation == "rows" and uneven else []

    def backward(self, share: float) -> None:
        StepFault.backward(self, 1 / self.case.micro_batches)


class LossWeightForgotten(StepFault):
    """A loss goes into the sum with its weight, and its gradient goes back without.

    The total is logged and looks right; the gradient starts at each loss by hand, from 1. The heads' own parameters are
    off by the weight, what they share by a mixture.
    """

    wrong = ("backward",)

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from (term.name for term in case.losses if term.weight != 1)

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        _, what, of = done(operation)
        return (what, of) == ("backward", site)

    def backward_of_loss(self, term: Term, weight: float) -> None:
        super().backward_of_loss(term, weight / term.weight if term.name == self.site else weight)


class LossWeightsLeftOut(StepFault):
    """The loss is the plain sum of the losses, and their weights are only in the gradient.

    The weights were put where they matter, into the backward, and the number that is logged was forgotten. It cannot be
    compared with that of another weighting, and a schedule that watches it is misled.
    """

    wrong = ("forward",)

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from ["loss"] if any(term.weight != 1 for term in case.losses) else []

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        return operation.kind == "weighted_sum"

    def weighted(self, losses: Sequence[Array]) -> Array:
        return reduce(add, [loss.sum() for loss in losses])


class LossesAveraged(LossWeightsLeftOut):
    """The loss is the mean of the weighted losses, where their sum is meant.

    ``mean`` over a list of losses is one word for another. The gradient, which is computed from each, is right, and the
    number beside it is too small by the number of losses.
    """

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from ["loss"] if len(case.losses) > 1 else []

    def weighted(self, losses: Sequence[Array]) -> Array:
        return StepFault.weighted(self, losses) / len(losses)


class UpdateOneStepLate(StepFault):
    """Every step applies the gradients of the step before; the first applies none.

    Forward, backward and update are spread over devices or a queue, and the update takes what is at hand. Each gradient
    is right for the weights that it was made from; at one learning rate, the weights after the second step are those
    that should have been there after the first.
    """

    number = 28
    wrong = ("update",)
    question = "From which step are the gradients that you apply?"
    experiment = "Compare the weights before and after the first step: should they be the same?"

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from [""] if case.steps > 1 else []

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        return operation.phase == "update"

    def __init__(self, case: Case, keep: Keep) -> None:
        super().__init__(case, keep)
        self.late: dict[str, Named] = {}

    def update(self) -> None:
        now = self.gradients
        self.gradients = self.late or {name: Named(g.name, np.zeros_like(g.value)) for name, g in now.items()}
        super().update()
        self.gradients = self.late = now


class RateOneStepEarly(StepFault):
    """The learning rate is that of the next step: the schedule moves on before the optimizer does.

    The two are one line each, in either order. Wherever the rate changes the update is off by the ratio of the two
    rates, and the first rate of all is never used.
    """

    number = 28
    wrong = ("update",)
    question = "Which learning rate belongs to the step at hand?"
    experiment = "Print the number of the step and its rate side by side, from the first step on."

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        changes = len(set(case.learning_rates)) > 1 and not isinstance(case.optimizer, Rprop)
        yield from [""] if changes else []

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        here, after = next_rates(case)[done(operation).step]
        return operation.phase == "update" and here != after

    def update_of(self, name: str, learning_rate: float) -> None:
        super().update_of(name, next_rates(self.case)[self.step][1])


def next_rates(case: Case) -> list[tuple[float, float]]:
    """The learning rate of every step, and of the step after it; after the last it stays."""
    rates = case.learning_rates
    return list(zip(rates, (*rates[1:], rates[-1]), strict=True))


class AnotherSchedule(StepFault):
    """Learning rates other than those that the schedule of the case gives."""

    @classmethod
    def rates(cls, schedule: Schedule, steps: int) -> tuple[float, ...]:
        """The wrong rates of so many steps."""
        raise NotImplementedError

    @classmethod
    def of(cls, case: Case) -> tuple[float, ...]:
        rule = case.optimizer.learning_rate
        if isinstance(rule, Rounded):
            rule = rule.rule
        fits = isinstance(rule, Schedule) and not isinstance(case.optimizer, Rprop)
        return cls.rates(rule, case.steps) if fits else case.learning_rates  # type: ignore[arg-type]

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from [""] if cls.of(case) != case.learning_rates else []

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        step = done(operation).step
        return operation.phase == "update" and cls.of(case)[step] != case.learning_rates[step]

    def update_of(self, name: str, learning_rate: float) -> None:
        super().update_of(name, self.of(self.case)[self.step])


class ScheduleNotStepped(AnotherSchedule):
    """The learning rate stays that of the first step: the schedule is made and never moves on.

    One line of the training loop is missing, and nothing fails. With a warm-up the training stays at a rate that was
    meant for the start.
    """

    wrong = ("update",)

    @classmethod
    def rates(cls, schedule: Schedule, steps: int) -> tuple[float, ...]:
        return (schedule.rate(0),) * steps


class WarmupCountedFromOne(AnotherSchedule):
    """The warm-up rises by ``(step + 1) / steps``, so that it is one step ahead.

    A rate of 0 at the first step looks like a step that is lost. Many programs do it so, and the rate of every step of
    the warm-up differs between the two.
    """

    number = 28
    wrong = ("update",)

    @classmethod
    def rates(cls, schedule: Schedule, steps: int) -> tuple[float, ...]:
        if not isinstance(schedule, Warmup):
            return schedule.rates(steps)
        ahead = schedule.rates(schedule.steps + 1)[1:]
        return (*ahead, *schedule.rates(max(steps, schedule.steps))[schedule.steps :])[:steps]


class DecayCountedFromTheStart(AnotherSchedule):
    """The schedule behind the warm-up counts the steps of the warm-up too, and starts somewhere in its middle.

    Both count the same steps, and it is left open whether the length of the decay includes that of the warm-up. The
    rate jumps where the one gives way to the other.
    """

    wrong = ("update",)

    @classmethod
    def rates(cls, schedule: Schedule, steps: int) -> tuple[float, ...]:
        if not isinstance(schedule, Warmup):
            return schedule.rates(steps)
        return (*schedule.rates(schedule.steps), *schedule.then.rates(max(steps, schedule.steps))[schedule.steps :])[
            :steps
        ]


class StepCountedForEveryWeight(StepFault):
    """Adam's counter is increased for every weight, not for every step.

    One counter serves all weights, and the line that increases it stands inside the loop over them. The first weight's
    first update is right, and the bias of all others is corrected as if they were many steps on.
    """

    number = 28
    wrong = ("update",)
    question = "How often is the counter increased in one step?"
    experiment = "Print the counter beside the name of each weight."

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from [""] if counts(case.optimizer) and len(case.trained) > 1 else []

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        step, _, of = done(operation)
        return operation.phase == "update" and (step, of) != (0, case.trained[0])

    def __init__(self, case: Case, keep: Keep) -> None:
        super().__init__(case, keep)
        self.counter: Array | None = None

    def update_of(self, name: str, learning_rate: float) -> None:
        slots = self.state[name]
        if self.counter is not None:
            slots["step"] = Named(slots["step"].name, self.counter)
        super().update_of(name, learning_rate)
        self.counter = self.state[name]["step"].value
