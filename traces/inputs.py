"""What a run started from, in such words that two can be told to have started from the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..cases.tables import shown
from ..cases.tensors import identical, in_rows
from ..cases.writing import arrays_of, told
from ..reference import Case
from ..reference.errors import CaseError
from .hashes import sha256_of
from .head import Entry

WORDS = ("about", "symbols")
"""What a case says that no result depends on."""


@dataclass(frozen=True)
class Inputs:
    """A case as a file says it, and what is known of the arrays that stand beside it, by ``FILE/NAME``."""

    table: Mapping[str, Any]
    arrays: Mapping[str, Entry]

    @classmethod
    def of(cls, case: Case) -> Inputs:
        """The inputs of a case.

        Raises:
            CaseError: no file can say it.
        """
        table, beside = told(case)
        arrays = {f"{file}/{name}": in_rows(array) for file, named in beside.items() for name, array in named.items()}
        hashes = zip(arrays.items(), sha256_of(arrays.values()), strict=True)
        return cls(table, {name: Entry.of(name, array, sha256) for (name, array), sha256 in hashes})

    def require_same(self, other: Inputs, called: str, others: str) -> None:
        """Raise CaseError, naming the first input that differs, unless both runs started from the same."""
        for key, ours, theirs in differences(self.table, other.table):
            if key.split(".")[0] not in WORDS:
                raise CaseError(f"what {called} started from, {ours}", theirs, key=key, file=others)
        for name in {**self.arrays, **other.arrays}:
            if self.arrays.get(name) != other.arrays.get(name):
                raise CaseError(f"the array that {called} started from", "another", key=name, file=others)


def differences(ours: Any, theirs: Any, key: str = "") -> Iterator[tuple[str, str, str]]:
    """Every place where two tables differ, with what stands there, as a case file writes it."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in {**ours, **theirs}:
            yield from differences(ours.get(name), theirs.get(name), f"{key}.{name}".removeprefix("."))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, both in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*both, f"{key}.{number}")
    elif repr(ours) != repr(theirs):  # unlike ==, which takes 0.0 and -0.0 for one, and 1 and 1.0
        yield key, said(ours), said(theirs)


def said(value: Any) -> str:
    """What stands in a place of a table, if anything."""
    return "nothing" if value is None else shown(value)


def require_same_start(ours: Case, theirs: Case, called: str, others: str) -> None:
    """Raise CaseError unless two cases have the same data and weights; their layers may be of one's own."""
    for key in ("name", "dtype", "steps"):
        if (one := getattr(ours, key)) != (other := getattr(theirs, key)):
            raise CaseError(f"what {called} started from, {one!r}", repr(other), key=key, file=others)
    arrays, other_arrays = arrays_of(ours), arrays_of(theirs)
    for key in {**arrays, **other_arrays}:
        if key not in arrays or key not in other_arrays or not identical(arrays[key], other_arrays[key]):
            raise CaseError(f"the array that {called} started from", "another", key=key, file=others)
