"""What a fault is: the reference with one thing wrong, at one site of a case, and a way of running it.

Every mistake is a class whose docstring says what is written wrong, why, and what it shows. Those of a layer, a loss or
an optimizer are mixins: put before the right one they make one that is wrong in this way and in no other. Those of the
training step itself are subclasses of ``Training``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from functools import partial
from inspect import getdoc
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias, TypeVar, cast

from ..reference import LAYERS, LOSSES, OPTIMIZERS, Case, Layer, Loss, Node, Operation, Optimizer, Term, Trace
from ..reference.layers import Shape
from ..reference.step import Start, Training, run

Part: TypeAlias = Literal["forward", "backward", "statistics", "clipping", "update"]
"""What of a layer, a loss or an optimizer can be wrong. Statistics are made by the forward operation."""

T = TypeVar("T", Layer, Loss, Optimizer)


@dataclass(frozen=True)
class Fault:
    """One mistake at one site of a case, or a convention other than the case's: a run that can be started.

    ``site`` is the name of a node, a value or a parameter, or ``loss``; it is empty where it is the step as a whole.
    ``makes`` says of an operation whether the fault makes it wrong. All others are right, given the inputs that they
    have in the faulty run.
    """

    name: str
    site: str
    about: str
    start: Start
    makes: Callable[[Operation], bool]
    number: int | None = None
    """Which of the listed mistakes it is, if any."""
    only_where: str = ""
    """What the data must have for it to show; empty where any data will do."""
    of_the_step: bool = False
    """Whether it is in how the step joins its parts, so that a part alone does not show it."""

    def __str__(self) -> str:
        return f"{self.name} at {self.site}" if self.site else self.name


def record(case: Case, fault: Fault) -> Trace:
    """Run a case with a fault and return everything that it computed: a subject like any other, named after the fault.

    >>> import crosscheck as cc
    >>> from crosscheck.faults import faults_of
    >>> case = cc.load_case("article")
    >>> fault = next(fault for fault in faults_of(case) if fault.name == "diagonal_jacobian")
    >>> trace = record(case, fault)
    >>> trace.source, fault.number
    ('diagonal_jacobian at o.softmax', 5)
    >>> print(cc.record(case)["0/backward/o"].sum().round(8), trace["0/backward/o"].sum().round(8))
    0.0 -0.70771982
    """
    return run(case, fault.start, str(fault))


class Mistake:
    """What every class of mistake says of itself. ``DiagonalJacobian`` goes by the name of ``diagonal_jacobian``."""

    number: ClassVar[int | None] = None
    """Which of the listed mistakes it is, if any."""

    wrong: ClassVar[tuple[Part, ...]] = ()
    """What is wrong. A forward and its own derivative are both, a derivative of another function is ``backward``."""

    only_where: ClassVar[str] = ""
    """What the data must have for it to show; empty where any data will do."""

    question: ClassVar[str] = ""
    """What a teacher asks who has seen it, and does not want to say it."""

    experiment: ClassVar[str] = ""
    """What to try, so that it shows."""

    @classmethod
    def name(cls) -> str:
        """The name that it has in reports."""
        return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()

    @classmethod
    def about(cls) -> str:
        """The first paragraph of its docstring, as one line."""
        return " ".join((getdoc(cls) or "").partition("\n\n")[0].split())

    @classmethod
    def faults(cls, case: Case) -> Iterator[Fault]:
        """The mistake at every site of the case where it can happen and makes a difference."""
        raise NotImplementedError

    @classmethod
    def fault(cls, site: str, start: Start, makes: Callable[[Operation], bool]) -> Fault:
        """The mistake at one site."""
        return Fault(cls.name(), site, cls.about(), start, makes, cls.number, cls.only_where)


class LayerFault(Mistake, Layer):
    """A mistake in a layer: of every kind, or of the kind of the layer that the class has as its second base."""

    question = (
        "Write down this layer's forward. What is its derivative with respect to each thing on the right-hand side, "
        "and what arrives to be multiplied by it?"
    )
    experiment = (
        "Nudge one element of what the layer takes by a little, run the forward twice, and compare the change of the "
        "loss with what your backward says."
    )

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        """Whether it makes a difference to a layer that is given inputs of these shapes."""
        return True

    @classmethod
    def faults(cls, case: Case) -> Iterator[Fault]:
        shapes = [case.shapes(batch.inputs.shape) for batch in case.batches]
        for node in case.nodes:
            if concerns(cls, node.layer) and any(
                cls.possible(node.layer, *(known[name] for name in node.takes)) for known in shapes
            ):
                yield cls.fault(node.name, in_layer(node.name, cls.planted), makes_in(node.name, cls.wrong))

    @classmethod
    def planted(cls, layer: Layer) -> Layer:
        """The layer with the mistake."""
        return mixed(cls, layer)

    def right(self, **changes: Any) -> Layer:
        """The layer without the mistake, and with these of its fields changed."""
        return LAYERS[self.kind](**{**values_of(self), **changes})


class LossFault(Mistake, Loss):
    """A mistake in a loss: in every one, or in the one that the class has as its second base."""

    question = "Write the loss of a single row as one line. What is its derivative with respect to each prediction?"
    experiment = "Nudge one prediction by a little, and compare the change of the loss with the gradient that you have."

    @classmethod
    def possible(cls, loss: Any, *predictions: Shape) -> bool:
        """Whether it makes a difference to a loss that is given predictions of these shapes."""
        return True

    @classmethod
    def faults(cls, case: Case) -> Iterator[Fault]:
        shapes = [case.shapes(batch.inputs.shape) for batch in case.batches]
        for term in case.losses:
            if concerns(cls, term.loss) and any(
                cls.possible(term.loss, *(known[name] for name in term.takes)) for known in shapes
            ):
                yield cls.fault(term.name, in_loss(term.name, cls.planted), makes_in(term.name, cls.wrong))

    @classmethod
    def planted(cls, loss: Loss) -> Loss:
        """The loss with the mistake."""
        return mixed(cls, loss)

    def right(self, **changes: Any) -> Loss:
        """The loss without the mistake, and with these of its fields changed."""
        return LOSSES[self.kind](**{**values_of(self), **changes})


class OptimizerFault(Mistake, Optimizer):
    """A mistake in an optimizer, every one or the one that is its second base: every weight has it."""

    wrong = ("update",)
    question = "Write down the update of one weight. What is remembered from step to step, and at what does it start?"
    experiment = "Do the first step of one single weight on paper, then print every number on the way."

    @classmethod
    def possible(cls, optimizer: Any, rates: tuple[float, ...]) -> bool:
        """Whether it makes a difference to an optimizer with these learning rates."""
        return True

    @classmethod
    def faults(cls, case: Case) -> Iterator[Fault]:
        if case.trained and concerns(cls, case.optimizer) and cls.possible(case.optimizer, case.learning_rates):
            yield cls.fault("", in_optimizer(cls.planted), lambda operation: operation.phase == "update")

    @classmethod
    def planted(cls, optimizer: Optimizer) -> Optimizer:
        """The optimizer with the mistake."""
        return mixed(cls, optimizer)

    def right(self, **changes: Any) -> Optimizer:
        """The optimizer without the mistake, and with these of its fields changed."""
        return OPTIMIZERS[self.kind](**{**values_of(self), **changes})


class StepFault(Mistake, Training):
    """A mistake in how the training step joins its parts."""

    question = "In which order do forward, backward and update use the weights, and what is left from the step before?"
    experiment = "Print what each part of the step takes and makes, in the order in which it happens."

    site: ClassVar[str] = ""

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        """Where it can happen in the case and makes a difference: names, or ``""`` for the whole step."""
        raise NotImplementedError

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        """Whether it makes the operation wrong."""
        raise NotImplementedError

    @classmethod
    def faults(cls, case: Case) -> Iterator[Fault]:
        for site in cls.sites(case):
            start = cast(Start, type(cls.__name__, (cls,), {"site": site}))
            yield replace(cls.fault(site, start, partial(cls.makes, case, site)), of_the_step=True)


# ----------------------------------------------------------------------------------------------- runs with one change


def in_layer(site: str, change: Callable[[Layer], Layer]) -> Start:
    """What starts a run with the layer of one node changed."""

    def changed(node: Node) -> Node:
        return replace(node, layer=change(node.layer)) if node.name == site else node

    return lambda case, keep: Training(replace(case, nodes=tuple(map(changed, case.nodes))), keep)


def in_loss(site: str, change: Callable[[Loss], Loss]) -> Start:
    """What starts a run with one loss changed."""

    def changed(term: Term) -> Term:
        return replace(term, loss=change(term.loss)) if term.name == site else term

    return lambda case, keep: Training(replace(case, loss=tuple(map(changed, case.losses))), keep)


def in_optimizer(change: Callable[[Optimizer], Optimizer]) -> Start:
    """What starts a run with the optimizer changed."""
    return lambda case, keep: Training(replace(case, optimizer=change(case.optimizer)), keep)


def mixed(mixin: type, right: T) -> T:
    """A layer, a loss or an optimizer with a mistake mixed in, or whatever else; it keeps its kind and its fields."""
    return cast(T, type(mixin.__name__, (mixin, type(right)), {})(**values_of(right)))


def values_of(thing: Any) -> dict[str, Any]:
    """The fields of a layer, a loss or an optimizer."""
    return {field.name: getattr(thing, field.name) for field in fields(thing)}


def concerns(mistake: type[Mistake], right: Layer | Loss | Optimizer) -> bool:
    """Whether a right one is of the kind that a class of mistakes is about: an instance of all that it builds on."""
    return all(isinstance(right, base) for base in mistake.__mro__ if not issubclass(base, Mistake))


# ---------------------------------------------------------------------------------------------------- naming operations


class Done(NamedTuple):
    """The name of an operation, ``0/backward(k.tanh)``, taken apart; of a micro-batch, ``0.1/backward(k.tanh)``."""

    step: int
    what: str
    of: str


def done(operation: Operation) -> Done:
    """The name of an operation, taken apart."""
    step, what, of = re.fullmatch(r"(\d+)(?:\.\d+)?/(\w+)\((.*)\)", operation.name).groups()  # type: ignore[union-attr]
    return Done(int(step), what, of)


def makes_in(site: str, wrong: tuple[Part, ...]) -> Callable[[Operation], bool]:
    """Says of an operation whether it is one of these parts of a node or of the loss."""
    phases = {"forward" if part == "statistics" else part for part in wrong}

    def makes(operation: Operation) -> bool:
        _, what, of = done(operation)
        return of == site and what in phases

    return makes
