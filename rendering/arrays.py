"""The elements of the tensors that failed or were asked for, as a safetensors file, and back.

A tensor's arrays are under ``ROLE/SUBJECT/STEP/PHASE/NAME``, the role being ``reference`` (what was expected),
``subject`` or ``sigma``; a ``/`` in the name of a subject is written ``%2F``. bfloat16 is held as float32; of a
longdouble, which safetensors lacks, ``ROLE.low`` has what its nearest float64 leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace

import numpy as np

from ..cases.tensors import identical, tensors_in
from ..comparison.agreement import Agreement, Arrays, SubjectAgreement
from ..comparison.verdicts import HARMLESS
from ..reference.errors import CaseError
from ..reference.layers import Array

ROLES = tuple(one.name for one in fields(Arrays))
KINDS = "fiub"
"""The kinds of numbers that the file may have: those of NumPy's types that are no complex ones."""
LOW = ".low"
MOST_BYTES = 32 * 2**20
"""How much is kept of an agreement."""


def fitting(agreement: Agreement) -> tuple[Agreement, dict[str, Array]]:
    """The agreement with the arrays that there is room for, and these as they are stored.

    Those that fail go first, the others follow in the order of computation; what does not fit is named.
    """
    wanted = [
        (tensor.verdict in HARMLESS, name, tensor.name)
        for name, subject in agreement.subjects.items()
        for tensor in subject.tensors
        if tensor.name in subject.arrays
    ]
    room = MOST_BYTES
    kept: dict[str, Array] = {}
    left_out: dict[str, list[str]] = {name: [] for name in agreement.subjects}
    for _, name, tensor in sorted(wanted, key=lambda one: one[0]):
        stored = dict(entries(name, tensor, agreement.subjects[name].arrays[tensor]))
        size = sum(array.nbytes for array in stored.values())
        if stored and size <= room:
            kept |= stored
            room -= size
        else:
            left_out[name].append(tensor)
    subjects = {name: without(subject, left_out[name]) for name, subject in agreement.subjects.items()}
    return replace(agreement, subjects=subjects), kept


def without(subject: SubjectAgreement, names: list[str]) -> SubjectAgreement:
    """A subject without the arrays of these tensors."""
    arrays = {name: array for name, array in subject.arrays.items() if name not in names}
    return replace(subject, arrays=arrays, not_kept=(*subject.not_kept, *names))


def entries(subject: str, tensor: str, arrays: Arrays) -> Iterator[tuple[str, Array]]:
    """The arrays of a tensor under their names in the file; none where one cannot be stored exactly."""
    stored = {role: stored_parts(np.asarray(getattr(arrays, role))) for role in ROLES}
    if all(stored.values()):
        for role, parts in stored.items():
            for part, array in parts.items():
                yield key(role + part, subject, tensor), array


def key(role: str, subject: str, tensor: str) -> str:
    """The name of an array in the file."""
    return f"{role}/{subject.replace('%', '%25').replace('/', '%2F')}/{tensor}"


def stored_parts(array: Array) -> dict[str, Array]:
    """An array as the arrays that stand for it; none where that would lose something."""
    if array.dtype.kind not in KINDS:
        return {}
    if array.dtype.itemsize <= 8:
        return {"": array}
    with np.errstate(all="ignore"):
        high = array.astype(np.float64)
        parts = {"": high, LOW: np.where(np.isfinite(array), array - high, 0).astype(np.float64)}
    return parts if identical(joined(parts), array) else {}


def joined(parts: Mapping[str, Array]) -> Array:
    """The array that some stand for."""
    if LOW not in parts:
        return parts[""]
    with np.errstate(all="ignore"):
        wide: Array = parts[""].astype(np.longdouble) + parts[LOW]
    return wide


def with_arrays(agreement: Agreement, data: bytes) -> Agreement:
    """The agreement with the arrays of a file.

    Raises:
        CaseError: no safetensors file, or an array of another shape than its tensor has and was refused for.
    """
    stored = tensors_in(data)
    subjects = {
        name: replace(one, arrays=dict(arrays_in(stored, name, one))) for name, one in agreement.subjects.items()
    }
    return replace(agreement, subjects=subjects)


def arrays_in(stored: Mapping[str, Array], name: str, subject: SubjectAgreement) -> Iterator[tuple[str, Arrays]]:
    """Of each tensor of a subject that the file has, the arrays."""
    for tensor in subject.tensors:
        found = {role: parts_in(stored, role, name, tensor.name) for role in ROLES}
        if all(found.values()):
            arrays = {role: joined(parts) for role, parts in found.items()}
            for role, array in arrays.items():
                expected = [tensor.shape, ()] if role == "sigma" else [tensor.shape]
                free = role == "subject" and tensor.failed in ("dtype", "shape")
                if not (free or array.shape in expected) or array.dtype.kind not in KINDS:
                    received = f"shape {array.shape}, {array.dtype}"
                    raise CaseError(f"numbers of shape {tensor.shape}", received, key=key(role, name, tensor.name))
            yield tensor.name, Arrays(**arrays)


def parts_in(stored: Mapping[str, Array], role: str, subject: str, tensor: str) -> dict[str, Array]:
    """What the file has of an array."""
    keys = {part: key(role + part, subject, tensor) for part in ("", LOW)}
    return {part: stored[name] for part, name in keys.items() if name in stored}
