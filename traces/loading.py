"""From a trace file to a trace, and from every damage to the file to one line that says where and what."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..cases.reading import case_in, parsed, telling
from ..cases.tables import CaseTable, shown, validated
from ..cases.tensors import contents_of
from ..reference import Case, Trace
from ..reference.dtypes import LOST_BITS
from ..reference.errors import CaseError, printable
from ..reference.layers import Array
from ..reference.network import check_name
from ..reference.trace import is_given
from .hashes import sha256_of
from .head import Head, head_in, is_tensor_name, require_described
from .inputs import Inputs
from .mapping import mapped, windows


def load_trace(path: str | os.PathLike[str]) -> Trace:
    """Load a trace that was recorded, verified by its hashes.

    Its tensors lie in the file, mapped into memory: they cannot be written to. Nothing in the file is executed.

    Raises:
        CaseError: the file cannot be read, is not a whole trace, or not as it was recorded. The text is one line with
            the file, the place in it, what is expected and what was received.
    """
    (recorded,) = open_traces(path)
    return recorded.trace()


def open_traces(*paths: str | os.PathLike[str]) -> list[Recorded]:
    """Open some trace files and verify all of their tensors.

    Raises:
        CaseError: see ``load_trace``.
    """
    opened = [Recorded.open(Path(path)) for path in paths]
    hashes = sha256_of(recorded.tensors[entry.name] for recorded in opened for entry in recorded.head.tensors)
    for recorded in opened:
        with telling(recorded.called):
            for entry in recorded.head.tensors:
                if next(hashes) != entry.sha256:
                    raise CaseError("a tensor that is as it was recorded", "one with another hash", key=entry.name)
                if entry.dtype == "bfloat16" and not are_bfloat16(recorded.tensors[entry.name]):
                    raise CaseError("bfloat16 numbers", "others", key=entry.name)
    return opened


def are_bfloat16(array: Array) -> bool:
    """Whether each of some float32 numbers is one of bfloat16, and so has nothing in its lower half."""
    lower = np.uint32(2**LOST_BITS - 1)
    return not any((window.view(np.uint32) & lower).any() for _, (window,) in windows(array))


@dataclass(frozen=True)
class Recorded:
    """A trace file that is open: what it says, and its tensors, where they lie."""

    called: str
    head: Head
    tensors: Mapping[str, Array]

    @classmethod
    def open(cls, path: Path) -> Recorded:
        """Open a file. Its head is verified, its tensors are not.

        Raises:
            CaseError: it cannot be read, or is not a whole trace.
        """
        called = printable(path)
        with telling(called):
            metadata, tensors = contents_of(mapped(path))
            head = head_in(metadata)
            require_described(head, tensors)
        return cls(called, head, tensors)

    @property
    def size(self) -> int:
        """How many bytes the tensors of the run have."""
        return sum(array.nbytes for name, array in self.tensors.items() if is_tensor_name(name))

    def inputs(self, whole: bool) -> Inputs:
        """What the run started from: by the case, as a file says it now, or by the words and hashes of the file."""
        if whole:
            return Inputs.of(self.case)
        arrays = {entry.name: entry for entry in self.head.tensors if not is_tensor_name(entry.name)}
        return Inputs(parsed(self.head.case.encode()), arrays)

    def described(self) -> dict[str, Any]:
        """Of the case what an agreement says of it, without its arrays.

        Raises:
            CaseError: the file does not say it.
        """
        with telling(self.called):
            table = {"about": "", "dtype": "", "steps": 0, **validated(CaseTable, parsed(self.head.case.encode()))}
            check_name(table["name"], "name")
            return {"case": table["name"], **{name: table[name] for name in ("about", "dtype", "steps")}}

    @cached_property
    def case(self) -> Case:
        """The case that was run.

        Raises:
            CaseError: it is not one.
        """
        with telling(self.called):
            return case_in(self.head.case.encode(), self.beside)

    def beside(self, file: str) -> dict[str, Array]:
        """The arrays of the case that would stand in a file of their own."""
        named = {name.partition("/"): array for name, array in self.tensors.items() if not is_tensor_name(name)}
        arrays = {name: array for (folder, _, name), array in named.items() if folder == file}
        if not arrays:
            raise CaseError("a file whose arrays were recorded with the case", shown(file))
        return arrays

    def trace(self, *, with_case: bool = True) -> Trace:
        """What was computed, with the case or without, which is not mapped but copied."""
        head, named = self.head, [(entry.name, self.tensors[entry.name]) for entry in self.head.tensors]
        named = [(name, array) for name, array in named if is_tensor_name(name)]
        return Trace(
            source=head.source,
            case=self.case if with_case and head.case else None,
            model=head.model.model() if head.model else None,
            environment=dict(head.environment),
            tensors={name: array for name, array in named if not is_given(name)},
            given={name: array for name, array in named if is_given(name)},
            operations=[made.operation() for made in head.operations],
            dtypes={entry.name: entry.dtype for entry in head.tensors if entry.dtype == "bfloat16"},
        )
