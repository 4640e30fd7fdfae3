"""JSON that may come from anywhere: nothing in it is guessed, repaired or left out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from ..reference.errors import CaseError
from .tables import shown


class Record(BaseModel):
    """A table that has the keys it declares and no others, each of exactly its type."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Kind = TypeVar("Kind", bound=Record)


def json_table(text: bytes) -> dict[str, Any]:
    """The table that a JSON text is, no key of which stands there twice.

    Raises:
        CaseError: it is not such a table, or is nested too deeply.
    """
    try:
        table = json.loads(text.decode(), object_pairs_hook=without_duplicates, parse_constant=no_number)
    except RecursionError:
        raise CaseError("JSON that is nested less deeply", "too many levels") from None
    except CaseError:
        raise
    except ValueError as error:
        raise CaseError("JSON", str(error)) from None
    if not isinstance(table, dict):
        raise CaseError("a JSON table", shown(table))
    return table


def without_duplicates(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The table of some pairs; an error where a key stands twice, of which every reader takes another."""
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in table if keys.count(key) > 1)
        raise CaseError("each key once", f"{shown(twice)} twice")
    return table


def no_number(constant: str) -> NoReturn:
    raise CaseError("JSON, which has finite numbers only", constant)


def checked(kind: type[Kind], table: Any, key: str) -> Kind:
    """A record of what a table holds.

    Raises:
        CaseError: a key that it has not, one that is missing, or a value of another type.
    """
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(map(str, (key, *problem["loc"])))
        received = "nothing" if problem["type"] == "missing" else shown(problem["input"])
        raise CaseError(f"what fits: {problem['msg']}", received, key=place) from None
