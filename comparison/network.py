"""The network of a case as an agreement records it: what there is, and the operations in the order of computation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ..cases.writing import plain
from ..reference import Case, Operation
from .verdicts import HARMLESS

if TYPE_CHECKING:
    from .agreement import SubjectAgreement, TensorAgreement

Blame: TypeAlias = Literal["first", "wrong", "downstream", "agrees", "open"]
"""Whether an operation of a subject is to blame: the first divergence; wrong as well; right for what goes in, which is
not right; without fault; not compared."""


@dataclass(frozen=True)
class Network:
    """What a case computes. Of each node and each loss its kind, what it takes and its fields, by name."""

    nodes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    optimizer: Mapping[str, Any] = field(default_factory=dict)
    operations: tuple[Operation, ...] = ()

    def blame(self, subject: SubjectAgreement) -> dict[str, Blame]:
        """Whether each operation of a subject is to blame, by name.

        A tensor that could be judged by its own operation alone is that operation's fault if it disagrees. One that
        could only be held against the reference's own run may differ because of what went in: it is a fault only
        where nothing wrong did.
        """
        made = {tensor.name: tensor for tensor in subject.tensors}
        tainted: set[str] = set()
        found: dict[str, Blame] = {}
        for operation in self.operations:
            tensors = [made[name] for name in operation.outputs if name in made]
            given_wrong = not tainted.isdisjoint(operation.inputs)
            faulty = any(is_at_fault(tensor, given_wrong) for tensor in tensors)
            differs = any(tensor.verdict not in HARMLESS or tensor.end_to_end != "agree" for tensor in tensors)
            if faulty:
                found[operation.name] = "wrong" if "first" in found.values() else "first"
            elif not tensors or all(tensor.verdict not in (*HARMLESS, "disagree") for tensor in tensors):
                found[operation.name] = "open"
            else:
                found[operation.name] = "downstream" if given_wrong and differs else "agrees"
            if faulty or (given_wrong and (differs or not tensors)):
                tainted.update(operation.outputs)
        return found


def is_at_fault(tensor: TensorAgreement, given_wrong: bool) -> bool:
    """Whether what made a tensor is wrong, as far as can be told."""
    judged_alone = tensor.local != "not compared" or tensor.failed != "values"
    return tensor.verdict == "disagree" and (judged_alone or not given_wrong)


def network_of(case: Case | None, operations: Sequence[Operation]) -> Network:
    """The network of a case; without a case there are only the operations."""
    if case is None:
        return Network(operations=tuple(operations))
    nodes = {node.name: {**described(node.layer), "takes": list(node.takes)} for node in case.nodes}
    losses = {term.name: {**described(term.loss), "takes": list(term.takes)} for term in case.losses}
    return Network({**nodes, **losses}, described(case.optimizer), tuple(operations))


def described(thing: Any) -> dict[str, Any]:
    """The kind of a layer, a loss or an optimizer, and its fields."""
    return {"kind": thing.kind, **{one.name: plain(getattr(thing, one.name)) for one in fields(thing)}}
