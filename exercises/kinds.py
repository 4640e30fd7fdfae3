"""Layers, losses and optimizers as the lines of plain NumPy that a learner writes, a task beside each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import MISSING, dataclass, fields
from keyword import iskeyword
from typing import Any, NamedTuple

from ..reference import Case, CaseError, Node
from ..reference.errors import listed


class Line(NamedTuple):
    """One assignment, and what a learner is told where it is left blank. Names in braces are those of the values."""

    target: str
    code: str
    task: str = ""


@dataclass(frozen=True)
class Kind:
    """The lines of a kind, and those of its fields that they follow: every other must have its usual value."""

    forward: tuple[Line, ...] = ()
    backward: tuple[Line, ...] = ()
    follows: tuple[str, ...] = ()


SOFTMAX = (
    Line("e", "np.exp({x} - {x}.max(axis=-1, keepdims=True))"),
    Line("{y}", "e / e.sum(axis=-1, keepdims=True)"),
)

LAYERS: Mapping[str, Kind] = {
    "dense": Kind(
        (Line("{y}", '{x} @ weights["{weight}"] + weights["{bias}"]'),),
        (
            Line('gradients["{weight}"]', "{x}.T @ {dy}", "what went in, and what arrives; as large as the weight"),
            Line('gradients["{bias}"]', "{dy}.sum(axis=0)", "the bias is added to every row"),
            Line("{dx}", '{dy} @ weights["{weight}"].T', "through the weight, back; as large as what went in"),
        ),
        ("inputs", "outputs"),
    ),
    "relu": Kind(
        (Line("{y}", "np.maximum({x}, 0)"),),
        (Line("{dx}", "{dy} * ({x} > 0)", "what arrives, where relu was open"),),
    ),
    "tanh": Kind(
        (Line("{y}", "np.tanh({x})"),),
        (Line("{dx}", "{dy} * (1 - {y}**2)", "what arrives, times the slope of tanh"),),
    ),
    "sigmoid": Kind(
        (Line("{y}", "1 / (1 + np.exp(-{x}))"),),
        (Line("{dx}", "{dy} * {y} * (1 - {y})", "what arrives, times the slope of the sigmoid"),),
    ),
    "softmax": Kind(
        SOFTMAX,
        (
            Line(
                "{dx}",
                "{y} * ({dy} - ({dy} * {y}).sum(axis=-1, keepdims=True))",
                "every input of softmax moves every output of its row",
            ),
        ),
    ),
}

FUSED = Line("{dx}", "({y} - targets){per_row}", "softmax and loss at once: what is left if both are written out")
"""The backward of a softmax and the cross-entropy of its probabilities, whose targets add up to 1 in each row."""

LOSSES: Mapping[str, Kind] = {
    "cross_entropy": Kind(
        (Line("loss", "-(targets * np.log({x})).sum(){per_row}"),),
        (Line("{dx}", "-targets / {x}{per_row}", "the loss, by each probability"),),
        ("reduction",),
    ),
    "softmax_cross_entropy": Kind(
        (
            *(Line(line.target.replace("{y}", "p"), line.code) for line in SOFTMAX),
            Line("loss", "-np.log(p[np.arange(len(p)), targets]).sum(){per_row}"),
        ),
        (Line("{dx}", "(p - np.eye(p.shape[1], dtype=p.dtype)[targets]){per_row}", "the loss, by each logit"),),
        ("reduction",),
    ),
    "mean_squared_error": Kind(
        (Line("loss", "(({x} - targets) ** 2).sum(){per_element}"),),
        (Line("{dx}", "2 * ({x} - targets){per_element}", "the loss, by each output"),),
        ("reduction",),
    ),
}

DIVISORS = {
    "mean": {"per_row": " / len(inputs)", "per_element": " / targets.size"},
    "sum": {"per_row": "", "per_element": ""},
    "half_sum": {"per_element": " / 2"},
}
"""What follows a sum over the rows, or over all elements, in each reduction."""

OPTIMIZERS: Mapping[str, Kind] = {
    "sgd": Kind(
        backward=(
            Line("new[name]", "weights[name] - step.learning_rate * gradients[name]", "a step down, from where it is"),
        ),
        follows=("learning_rate",),
    ),
    "adam": Kind(
        (
            Line("t", 'memory.get(f"{name}.step", 0) + 1'),
            Line("m", 'memory.get(f"{name}.first_moment", 0)'),
            Line("v", 'memory.get(f"{name}.second_moment", 0)'),
        ),
        (
            Line("m", "{beta1} * m + (1 - {beta1}) * gradients[name]", "the first moment, a mean that forgets"),
            Line("v", "{beta2} * v + (1 - {beta2}) * gradients[name] ** 2", "the second moment, of the squares"),
            Line("m_hat", "m / (1 - {beta1}**t)", "corrected, for it started at 0"),
            Line("v_hat", "v / (1 - {beta2}**t)", "likewise"),
            Line("new[name]", "weights[name] - step.learning_rate * m_hat / (np.sqrt(v_hat) + {epsilon})", "the step"),
        ),
        ("learning_rate", "beta1", "beta2", "epsilon"),
    ),
}


OTHERS = frozenset("np predict train_step weights inputs targets state step loss gradients new memory name".split())
"""What the step calls its other variables."""


class Group(NamedTuple):
    """A layer with parameters and what follows it up to the next: what is learned together."""

    nodes: tuple[Node, ...]

    @property
    def name(self) -> str:
        return self.nodes[0].name


def groups(case: Case) -> list[Group]:
    """The layers of a case that an exercise can be made of.

    Raises:
        CaseError: it has what no lines are known for, or is no plain chain.
    """
    before = "input"
    for node in case.nodes:
        known(node.layer, LAYERS, f"nodes.{node.name}")
    for node in case.nodes:
        if node.takes != (before,) or any(len(case.uses[name]) > 1 for name in (before, *node.parameters.values())):
            raise CaseError("each node to take the one before, and its own parameters", "another graph", key="nodes")
        before = node.name
    if len(case.losses) > 1 or case.micro_batches > 1 or case.clip:
        raise CaseError("one loss, one batch a step and no clipping", "more than that", key="exercise")
    known(case.loss, LOSSES, "loss")
    known(case.optimizer, OPTIMIZERS, "optimizer")
    if case.loss.reduction not in DIVISORS:  # type: ignore[union-attr]
        raise CaseError(f"one of {listed(DIVISORS)}", repr(case.loss.reduction), key="loss.reduction")  # type: ignore[union-attr]
    variables = ["e", "p", *(variable(node.name) for node in case.nodes)]
    for name in variables:
        if variables.count(name) > 1 or f"d{name}" in variables or iskeyword(name) or name in OTHERS:
            raise CaseError("names that are different variables in Python", repr(name), key="nodes")
    starts = [place for place, node in enumerate(case.nodes) if node.layer.parameters()]
    if len(starts) < 2 or starts[0]:
        raise CaseError(
            "two layers with parameters or more, the first of all among them", str(len(starts)), key="nodes"
        )
    return [Group(case.nodes[start:end]) for start, end in zip(starts, [*starts[1:], len(case.nodes)], strict=True)]


def known(thing: Any, kinds: Mapping[str, Kind], key: str) -> None:
    """Raise CaseError unless lines are known for a layer, a loss or an optimizer with these fields."""
    if thing.kind not in kinds:
        raise CaseError(f"what exercises are written for: {listed(kinds)}", repr(thing.kind), key=key)
    for name in unusual(thing, kinds[thing.kind].follows):
        raise CaseError("its usual value, for an exercise", repr(getattr(thing, name)), key=f"{key}.{name}")


def unusual(thing: Any, follows: Collection[str]) -> Iterator[str]:
    """The fields of a layer, a loss or an optimizer that do not have their usual value, but for those that are read."""
    for field in fields(thing):
        if field.name not in follows and field.default is not MISSING and getattr(thing, field.name) != field.default:
            yield field.name


def variable(name: str) -> str:
    """The name of a value as it is written in Python: ``j_relu`` for ``j.relu``.

    >>> variable("j.relu"), variable("input"), variable("2-out")
    ('j_relu', 'inputs', '_2_out')
    """
    if name == "input":
        return "inputs"
    made = "".join(character if character.isalnum() else "_" for character in name)
    return f"_{made}" if made[0].isdigit() else made


def names(node: Node) -> dict[str, str]:
    """What stands for the names in the lines of a node."""
    (taken,) = node.takes
    x, y = variable(taken), variable(node.name)
    return {"x": x, "y": y, "dx": f"d{x}", "dy": f"d{y}", **node.parameters}


def filled(line: Line, values: Mapping[str, Any]) -> Line:
    """A line with its names filled in."""
    return Line(replaced(line.target, values), replaced(line.code, values), line.task)


def replaced(text: str, values: Mapping[str, Any]) -> str:
    """Names in braces replaced by what they stand for; other braces stay."""
    for name, value in values.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text
