"""A trace as one process hands it to another: every array bit for bit, and nothing that could be executed.

Unlike a trace file, which is kept and may come from anywhere, it holds whatever dtype NumPy has: a user's step may
return complex or extended numbers, and the verdict on that is for the comparison to find.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..cases.reading import case_in
from ..cases.strict import Record, checked, json_table
from ..cases.writing import as_toml, told
from ..reference import Trace
from ..reference.layers import Array
from ..reference.trace import is_given
from ..traces.environment import plain


class Contents(Record):
    """What a parcel says beside its arrays, which follow in this order."""

    source: str
    environment: dict[str, str | int | float | bool]
    case: str
    beside: list[str]
    """The arrays of the case, ``FILE/NAME`` for the file that each would stand in."""
    tensors: list[str]
    dtypes: dict[str, str]


def pack(trace: Trace, path: Path) -> None:
    """Write a trace and its case into a file.

    Raises:
        CaseError: a case that no file can say, as of a layer that is not the package's own.
    """
    assert trace.case is not None
    table, files = told(trace.case)
    beside = {f"{file}/{name}": array for file, named in files.items() for name, array in named.items()}
    tensors = {**trace.given, **trace.tensors}
    contents = Contents(
        source=trace.source,
        environment=plain(trace.environment),
        case=as_toml(table).decode(),
        beside=list(beside),
        tensors=list(tensors),
        dtypes=trace.dtypes,
    )
    text = np.frombuffer(contents.model_dump_json().encode(), np.uint8)
    with path.open("wb") as file:
        np.savez(file, text, *beside.values(), *tensors.values())


def unpack(path: Path) -> Trace:
    """The trace in a file, with its case.

    Raises:
        CaseError: the file holds something else.
    """
    with np.load(path, allow_pickle=False) as stored:
        contents = checked(Contents, json_table(stored["arr_0"].tobytes()), "contents")
        count = len(contents.beside) + len(contents.tensors)
        numbered = [stored[f"arr_{number}"] for number in range(1, count + 1)]
    beside = dict(zip(contents.beside, numbered, strict=False))
    tensors = dict(zip(contents.tensors, numbered[len(beside) :], strict=True))

    def named(file: str) -> dict[str, Array]:
        return {key.removeprefix(f"{file}/"): array for key, array in beside.items() if key.startswith(f"{file}/")}

    return Trace(
        source=contents.source,
        case=case_in(contents.case.encode(), named),
        environment=dict(contents.environment),
        tensors={name: array for name, array in tensors.items() if not is_given(name)},
        given={name: array for name, array in tensors.items() if is_given(name)},
        dtypes=dict(contents.dtypes),
    )
