"""From a trace to a file that reads back as the same trace, bit for bit."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ..cases import same_case
from ..cases.files import replacing
from ..cases.tensors import TYPES, in_rows
from ..cases.writing import as_toml, told
from ..reference import Trace
from ..reference.dtypes import held
from ..reference.errors import CaseError
from ..reference.layers import Array
from ..reference.trace import is_given
from .environment import here, plain
from .hashes import sha256_of
from .head import Entry, Head, Made, Ran, as_metadata, is_tensor_name
from .loading import load_trace


def save_trace(trace: Trace, path: str | os.PathLike[str]) -> None:
    """Write a trace, with its case or model, into one file, which is moved to its name once it has been read back.

    It is a safetensors file, so that other programs see its tensors too. Whatever fails, what stood there before stays
    as it was. What the trace says of its environment is completed by the machine and the versions of this process.

    Raises:
        CaseError: a trace without its case or model, or of one that no file can say; a tensor whose name is not
            ``STEP/PHASE/NAME``, or of a dtype that safetensors lacks, as longdouble is; a path that cannot be written.
    """
    path = Path(path)
    ran = trace.case or trace.model
    if ran is None:
        raise CaseError("a trace that holds the case that was run, or the model", "one without", key="case")
    require_names(trace)
    table, beside = told(trace.case) if trace.case else ({}, {})
    arrays = {f"{file}/{name}": array for file, named in beside.items() for name, array in named.items()}
    stored = {name: storable(array, name) for name, array in {**arrays, **trace.given, **trace.tensors}.items()}
    head = Head(
        source=trace.source,
        environment=plain({**here(), **trace.environment}),
        case=as_toml(table).decode(),
        model=Ran.of(trace.model) if trace.model else None,
        tensors=[
            Entry.of(name, array, sha256, trace.dtypes.get(name, ""))
            for (name, array), sha256 in zip(stored.items(), sha256_of(stored.values()), strict=True)
        ],
        operations=[Made.of(operation) for operation in trace.operations],
    )
    try:
        with replacing(path) as temporary:
            save_file(stored, temporary, as_metadata(head))
            back = load_trace(temporary)
            same = same_case(back.case, trace.case) if back.case and trace.case else back.model == trace.model
            if not same:
                raise RuntimeError(f"{ran.name!r} did not read back as it was written; nothing was kept")
    except (OSError, SafetensorError) as error:
        received = getattr(error, "strerror", None) or str(error)
        raise CaseError("a path that can be written", received, file=str(path)) from None


def require_names(trace: Trace) -> None:
    """Raise CaseError unless the names of all tensors say what they are, and stand where they belong."""
    for key, names in (("given", trace.given), ("tensors", trace.tensors)):
        for name in names:
            if not is_tensor_name(name):
                raise CaseError("a name 'STEP/PHASE/NAME'", repr(name), key=key)
            if is_given(name) != (key == "given"):
                raise CaseError(f"names of phases that belong to the {key}", repr(name), key=key)


def storable(array: Array, name: str) -> Array:
    """A tensor as it lies in the file.

    Raises:
        CaseError: it is of a type that safetensors lacks.
    """
    array = in_rows(held(np.asarray(array)))
    if array.dtype not in TYPES.values():
        raise CaseError("tensors of a type that safetensors has", str(array.dtype), key=name)
    return array
