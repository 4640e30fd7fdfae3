"""Every convention of a case the other way: not a mistake, but a difference that diagnosis must be able to name.

A convention is a field of a layer, a loss or an optimizer whose type is a ``Literal``, or a field that is on or off.
Each alternative is a run of the same case with that one field changed, and has the same form as a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import partial
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ..reference import Case, CaseError, Layer, Loss, Operation, Optimizer
from ..reference.step import Start
from .base import Fault, in_layer, in_loss, in_optimizer, makes_in

T = TypeVar("T", Layer, Loss, Optimizer)


def conventions_of(case: Case) -> list[Fault]:
    """Every alternative to every convention of the case that the case can be run with.

    >>> import crosscheck as cc
    >>> [str(other) for other in conventions_of(cc.load_case("article"))]
    ['layout = outputs_inputs at k', 'reduction = mean at loss', 'reduction = mean_over_outputs at loss', \
'reduction = none at loss']
    """
    return [alternative for alternative in alternatives(case) if runs(case, alternative.start)]


def alternatives(case: Case) -> Iterator[Fault]:
    """Every alternative, in the order of the step, whether or not the case fits together with it."""
    for node in case.nodes:
        yield from changed(
            node.layer, node.name, partial(in_layer, node.name), makes_in(node.name, ("forward", "backward"))
        )
    for term in case.losses:
        makes = makes_in(term.name, ("forward", "backward"))
        for other in changed(term.loss, term.name, partial(in_loss, term.name), makes):
            # Of several losses, the weighted sum takes all elements of each: how many, the reduction says.
            yield replace(other, makes=partial(or_weighs, makes)) if other.name.startswith("reduction") else other
    yield from changed(case.optimizer, "", in_optimizer, lambda operation: operation.phase == "update")


def or_weighs(makes: Callable[[Operation], bool], operation: Operation) -> bool:
    """Whether an operation is one of those, or the weighted sum of several losses."""
    return operation.kind == "weighted_sum" or makes(operation)


def changed(
    right: T, site: str, start_with: Callable[[Callable[[T], T]], Start], makes: Callable[[Operation], bool]
) -> Iterator[Fault]:
    """The alternatives to the conventions of one layer, loss or optimizer."""
    for field, values in convention_fields(type(right)).items():
        for value in values:
            if value != getattr(right, field):
                name = f"{field} = {str(value).lower() if isinstance(value, bool) else value}"
                about = f"The {right.kind} follows another convention: {name}, not {getattr(right, field)}."
                yield Fault(name, site, about, start_with(partial(with_field, field, value)), makes)


def with_field(field: str, value: Any, right: T) -> T:
    """A layer, a loss or an optimizer with one field changed."""
    other: T = replace(right, **{field: value})  # type: ignore[type-var]
    return other


def convention_fields(kind: type) -> dict[str, tuple[Any, ...]]:
    """The fields of a class that are conventions, with all of their values.

    >>> from crosscheck.reference import Gelu
    >>> convention_fields(Gelu)
    {'approximate': ('none', 'tanh')}
    """
    hints = get_type_hints(kind)
    types = {field.name: hints[field.name] for field in fields(kind)}
    return {
        name: (False, True) if hint is bool else get_args(hint)
        for name, hint in types.items()
        if hint is bool or get_origin(hint) is Literal
    }


def runs(case: Case, start: Start) -> bool:
    """Whether the case still fits together: a convention may ask for other data."""
    try:
        start(case, lambda name, made: made)
    except CaseError:
        return False
    return True
