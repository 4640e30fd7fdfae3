"""An agreement as JSON, schema 1, and back. NaN and infinities, which JSON lacks, are "nan", "inf" and "-inf"."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from ..comparison.agreement import Agreement, SubjectAgreement, verdict_of
from ..reference.errors import CaseError

SCHEMA = 1
OF_THE_DOCUMENT = ("schema", "agrees")
"""Keys that are no fields of the record."""
ELSEWHERE = "arrays"
"""The one field of the record that is not in the document: they are in a file of their own."""
LONGEST = 80
"""How many characters of a received value a message shows."""


def to_json(agreement: Agreement) -> str:
    """The whole agreement as a JSON document."""
    return json.dumps(document(agreement), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def document(agreement: Agreement) -> dict[str, Any]:
    """The whole agreement as what JSON can hold."""
    return {"schema": SCHEMA, "agrees": agreement.ok, **plain(agreement)}


def plain(value: Any) -> Any:
    """A value as what JSON can hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
    if isinstance(value, dict):
        return {str(key): plain(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [plain(held) for held in value]
    if is_dataclass(value):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value) if one.name != ELSEWHERE}
    return value


def from_json(text: str | bytes, file: str = "") -> Agreement:
    """The agreement of a JSON document, which ``file`` holds. Its verdicts must follow from those of its tensors.

    Raises:
        CaseError: no such document, one of another schema, or one that contradicts itself.

    >>> import crosscheck as cc
    >>> trace = cc.record("article")
    >>> from_json(to_json(cc.compare(trace, trace))).ok
    True
    """
    try:
        return read(text)
    except CaseError as error:
        raise error.in_file(file) if file else error from None


def read(text: str | bytes) -> Agreement:
    """The same, of whatever file."""
    from pydantic import ValidationError

    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise CaseError("a JSON document", str(error)) from None
    if not isinstance(given, dict):
        raise CaseError("an agreement, a JSON object", shown(given))
    if (schema := given.get("schema")) != SCHEMA:
        raise CaseError(f"{SCHEMA}, the schema that is known here", shown(schema), key="schema")
    try:
        agreement: Agreement
        (agreement,) = record().validate_python([{key: given[key] for key in given if key not in OF_THE_DOCUMENT}])
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise CaseError(*told(problem), key=".".join(map(str, problem["loc"][1:]))) from None
    if not agreement.limit > 0:
        raise CaseError("a number above 0", shown(agreement.limit), key="limit")
    for name, subject in agreement.subjects.items():
        require_consistent(f"subjects.{name}", subject)
    require(given.get("agrees") is agreement.ok, "agrees", agreement.ok, given.get("agrees"))
    return agreement


@cache
def record() -> Any:
    """What checks an agreement, in a list of one: a dataclass by itself takes no settings."""
    from pydantic import ConfigDict, TypeAdapter

    return TypeAdapter(tuple[Agreement], config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))


def told(problem: Any) -> tuple[str, str]:
    """What was expected and what was received."""
    if problem["type"] == "missing":
        return "a value", "nothing"
    if problem["type"] == "unexpected_keyword_argument":
        return "no key of this name", shown(problem["input"])
    return problem["msg"].removeprefix("Input should be "), shown(problem["input"])


def require_consistent(key: str, subject: SubjectAgreement) -> None:
    """Raise CaseError unless a subject's verdict follows from its tensors, and what it names is there."""
    if subject.tensors or not subject.reason:
        verdict = verdict_of(subject.tensors)
        require(subject.verdict == verdict, f"{key}.verdict", verdict, subject.verdict)
    diverging = next((tensor.name for tensor in subject.tensors if tensor.verdict == "disagree"), None)
    require(subject.first_divergence == diverging, f"{key}.first_divergence", diverging, subject.first_divergence)
    for place, tensor in enumerate(subject.tensors):
        needed = ("max_abs", "tolerance", "worst_index") if tensor.failed == "values" else ()
        for name in needed:
            if getattr(tensor, name) is None:
                raise CaseError("a value, for the values disagree", "null", key=f"{key}.tensors.{place}.{name}")


def require(holds: bool, key: str, expected: object, received: object) -> None:
    """Raise CaseError unless what a document says is what follows from the rest of it."""
    if not holds:
        raise CaseError(f"{shown(expected)}, which follows from the tensors", shown(received), key=key)


def shown(value: Any) -> str:
    """A value as JSON writes it, cut where it is long."""
    text = json.dumps(value, default=str)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
