"""The tables of a case file: which keys each may have, of which types, and how a mistake is told.

What a kind of layer, loss or optimizer may have follows from its dataclass in the reference: nothing is listed twice.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields
from difflib import get_close_matches
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from ..reference.errors import CaseError, listed
from ..reference.optimizers import Schedule

Kind = TypeVar("Kind")

Name = Annotated[str, Field(description="a name in quotes")]
Count = Annotated[int, Field(ge=1, description="a whole number of at least 1")]
Steps = Annotated[int, Field(ge=1, le=1_000_000, description="a whole number of at least 1, and at most a million")]
Seed = Annotated[int, Field(ge=0, description="a whole number of at least 0")]
Numbers = Annotated[Any, Field(description="an array of numbers")]
AnyTable = dict[str, Any]

LONGEST = 64
"""How many characters of a received value a message shows."""


class Table(BaseModel):
    """A table that has the keys it declares and no others, each of exactly its type."""

    model_config = ConfigDict(strict=True, extra="forbid")


class CaseTable(Table):
    """The whole file."""

    name: Name
    about: str = ""
    dtype: str = "float64"
    steps: Steps = 0  # as in Case: one for each batch
    frozen: tuple[str, ...] = Field((), description="a list of parameters' names")
    nodes: tuple[AnyTable, ...] = Field(description="tables [[nodes]]")
    loss: AnyTable = Field({}, description="a table [loss]")
    losses: tuple[AnyTable, ...] = Field((), description="tables [[losses]]")
    optimizer: AnyTable = Field(description="a table [optimizer]")
    clip: AnyTable = Field({}, description="a table [clip]")
    micro_batches: Count = 1
    accumulation: Literal["mean", "rows", "sum"] = "mean"
    data: AnyTable | tuple[AnyTable, ...] = Field(description="a table [data], or tables [[data]], one for each step")
    weights: AnyTable = Field({}, description="a table [weights]")
    symbols: dict[str, str] = Field({}, description='a table of texts (a name with a dot in quotes: "j.weight")')


class KindTable(Table):
    """A clipping or an optimizer; the fields of its kind come on top."""

    kind: str


class ScheduleTable(Table):
    """A learning rate by a rule; the fields of its kind come on top."""

    schedule: str


class NodeTable(KindTable):
    """A node; the fields of its layer come on top."""

    name: Name
    takes: tuple[str, ...] = Field((), alias="from", description="a list of nodes' names")
    parameters: dict[str, str] = Field({}, description='a table of names, such as {weight = "a.weight"}')


class LossTable(KindTable):
    """The loss, or one of several; the fields of its kind come on top."""

    takes: tuple[str, ...] = Field((), alias="from", description="a list of nodes' names")


class TermTable(LossTable):
    """One loss of several."""

    name: Name
    weight: float = 1.0


class ArraysTable(Table):
    """The data of a step, written out."""

    inputs: Numbers
    targets: Numbers
    given: dict[str, Numbers] = Field({}, description='a table of arrays, such as {"drop.mask" = [[1.0, 0.0]]}')


class DrawnTable(Table):
    """The data of a step, drawn."""

    seed: Seed
    batch: Count
    shape: tuple[Count, ...] = Field((), description="the shape of one row, a list of whole numbers of at least 1")


class SeedTable(Table):
    """Weights, drawn."""

    seed: Seed


class FileTable(Table):
    """Arrays in a file of their own."""

    file: str = Field(description="the name of a safetensors file")


def validated(table: type[Table], given: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """The fields that were given, checked against the table that they belong in.

    Raises:
        CaseError: a key that the table has not, one that is missing, a value of another type.
    """
    try:
        checked = table.model_validate(with_tuples(given))
    except ValidationError as error:
        problem = first_problem(error, table, given)
        raise (problem.within(key) if key else problem) from None
    return {name: getattr(checked, name) for name in checked.model_fields_set}


def first_problem(error: ValidationError, table: type[Table], given: Mapping[str, Any]) -> CaseError:
    """The first thing that is wrong; an unknown key goes first, for it is often a missing one, misspelt."""
    problems = error.errors(include_url=False)
    problem = next((problem for problem in problems if problem["type"] == "extra_forbidden"), problems[0])
    name = str(problem["loc"][0])
    keys = {field.alias or own: field for own, field in table.model_fields.items()}
    if name not in keys:
        return CaseError(f"one of the keys {listed(keys)}", with_nearest(name, keys), key=name)
    expected = keys[name].description or in_words(keys[name].annotation)
    return CaseError(expected, shown(given[name]) if name in given else "nothing", key=name)


def of_kind(
    given: Mapping[str, Any], kinds: Mapping[str, type[Kind]], what: str, key: str, named_by: str = "kind"
) -> type[Kind]:
    """The class of the kind that the table names, by its key ``named_by``.

    Raises:
        CaseError: no kind, or one that there is not.
    """
    kind = given.get(named_by)
    if not isinstance(kind, str) or kind not in kinds:
        received = with_nearest(kind, kinds) if named_by in given else "nothing"
        raise CaseError(f"a kind of {what}: {listed(kinds)}", received, key=f"{key}.{named_by}")
    return kinds[kind]


@cache
def table_of(kind: type, base: type[Table]) -> type[Table]:
    """``base`` with the fields of a frozen dataclass of the reference, of the types that are annotated there."""
    hints = get_type_hints(kind)
    own: dict[str, Any] = {
        field.name: (hints[field.name], ... if field.default is MISSING and field.default_factory is MISSING else None)
        for field in fields(kind)
        if field.init
    }
    return create_model(kind.__name__, __base__=base, **own)


def with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with a tuple for each list: the classes are frozen and say ``tuple``, of which TOML knows nothing."""
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}


def in_words(annotation: Any) -> str:
    """What a type wants, as an error message says it.

    >>> in_words(float | tuple[float, ...]), in_words(Literal["mean", "sum"])
    ('a number or a list of numbers', "one of 'mean', 'sum'")
    """
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(in_words(argument) for argument in arguments if argument is not type(None))
    if origin is Literal:
        return f"one of {listed(arguments)}"
    if origin in (tuple, list):
        length = "" if Ellipsis in arguments or origin is list else f"{len(arguments)} "
        return f"a list of {length}{in_words(arguments[0]).removeprefix('a ')}s"
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text in quotes"}
    return {**words, Schedule: "a schedule, a table such as {schedule = 'constant', start = 0.5}"}[annotation]


def shown(value: Any) -> str:
    """A value as a case file writes it, on one line, cut where it is long.

    >>> shown({"rate": [0.5, True], "name": "x" * 99})
    "{rate = [0.5, true], name = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    return shown_text(written(value))


def written(value: Any) -> str:
    """A value as a case file writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key} = {written(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(written(part) for part in value) + "]"
    return repr(value) if isinstance(value, str) else str(value)


def shown_keys(table: Mapping[str, Any]) -> str:
    """The keys of a table, for a message."""
    return shown_text(listed(table))


def shown_text(text: str) -> str:
    """A text, cut where it is long."""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 3]}..."


def with_nearest(name: object, known: Iterable[str]) -> str:
    """A name that is not known, with the one that may have been meant."""
    nearest = get_close_matches(str(name), list(known), n=1)
    return f"{shown(name)} (did you mean {nearest[0]!r}?)" if nearest else shown(name)
