"""What a trace file says beside its tensors: who computed them, where, of which case, and what each of them is."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from ..cases.strict import Record, checked, json_table
from ..cases.tables import shown
from ..reference import Operation
from ..reference.errors import CaseError
from ..reference.layers import Array
from ..reference.trace import Model

SCHEMA = "1"
KEY = "crosscheck.trace"
"""Under which name the head stands among the texts of a safetensors file."""


TENSOR_NAME = re.compile("[^/]+/[^/]+/.+", re.DOTALL)
ARRAY_NAME = re.compile("[^/]+/[^/]+")
STORED_AS = {"bfloat16": "float32"}
"""In which dtype the file holds numbers of a dtype that NumPy lacks."""


class Entry(Record):
    """What is known of a tensor."""

    name: str
    dtype: str
    """Its own, which is not always the file's: see ``STORED_AS``."""
    shape: list[int]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    """Of its bytes as they lie in the file."""

    @classmethod
    def of(cls, name: str, array: Array, sha256: str, dtype: str = "") -> Entry:
        """What is known of an array as it lies in the file; ``dtype`` where that is not its own."""
        return cls(name=name, dtype=dtype or array.dtype.name, shape=list(array.shape), sha256=sha256)


class Made(Record):
    """An operation of the reference's."""

    name: str
    phase: str
    kind: str
    inputs: list[str]
    outputs: list[str]

    @classmethod
    def of(cls, operation: Operation) -> Made:
        """An operation as the head has it."""
        inputs, outputs = list(operation.inputs), list(operation.outputs)
        return cls(name=operation.name, phase=operation.phase, kind=operation.kind, inputs=inputs, outputs=outputs)

    def operation(self) -> Operation:
        """The operation."""
        return Operation(self.name, self.phase, self.kind, tuple(self.inputs), tuple(self.outputs))


class Ran(Record):
    """A model of somebody's own, which ran where no case did."""

    name: Annotated[str, Field(min_length=1)]
    dtype: Literal["float32", "float64"]
    steps: Annotated[int, Field(ge=1, le=1_000_000)]
    precision: Literal["float16", "bfloat16", "float32", "float64"]
    kinds: dict[str, str]
    rounding: dict[str, Annotated[float, Field(ge=0, allow_inf_nan=False)]]
    unseen: list[str]

    @classmethod
    def of(cls, model: Model) -> Ran:
        """A model as the head has it."""
        return cls.model_validate({**vars(model), "unseen": list(model.unseen)})

    def model(self) -> Model:
        """The model."""
        return Model(**{**dict(self), "unseen": tuple(self.unseen)})


class Head(Record):
    """All that a file says of its tensors, which it lists in the order of computation."""

    source: str
    environment: dict[str, str | int | float | bool]
    case: str = ""
    """The case as a TOML file says it. What would stand in files beside that is among the tensors, ``FILE/NAME``."""
    model: Ran | None = None
    """What ran instead of a case."""
    tensors: list[Entry]
    operations: list[Made]


def as_metadata(head: Head) -> dict[str, str]:
    """The head as a text of a safetensors file, behind the schema and its own hash."""
    text = head.model_dump_json(exclude_none=True)
    return {KEY: f"{SCHEMA} {hashlib.sha256(text.encode()).hexdigest()} {text}"}


def head_in(metadata: Mapping[str, str]) -> Head:
    """The head that a safetensors file has.

    Raises:
        CaseError: the file is no trace, or one of another schema, or its head is not what was written.
    """
    if KEY not in metadata:
        raise CaseError("a trace, as crosscheck records it", "a safetensors file of something else")
    schema, sha256, text = (*metadata[KEY].split(" ", 2), "", "")[:3]
    if schema != SCHEMA:
        raise CaseError(f"a trace of schema {SCHEMA}, the one that this version reads", shown(schema))
    data = text.encode("utf-8", "surrogatepass")
    if hashlib.sha256(data).hexdigest() != sha256:
        raise CaseError("a head that is as it was recorded", "one with another hash")
    return checked(Head, json_table(data), "head")


def is_tensor_name(name: str) -> bool:
    """Whether a name is that of a tensor of the run, ``STEP/PHASE/NAME``; otherwise it is one of the case's."""
    return TENSOR_NAME.fullmatch(name) is not None


def require_described(head: Head, tensors: Mapping[str, Array]) -> None:
    """Raise CaseError unless the head lists every tensor of the file, each once and as it is, of a case or a model."""
    if bool(head.case) == (head.model is not None):
        raise CaseError("a case or a model that was run", "both" if head.case else "neither", key="head")
    listed = {entry.name: entry for entry in head.tensors}
    odd = listed.keys() ^ tensors.keys()
    if odd or len(listed) < len(head.tensors):
        where = "one of both only" if odd else "twice"
        twice = (entry.name for entry in head.tensors if listed[entry.name] is not entry)
        raise CaseError("each tensor once in the head and in the file", where, key=min(odd) if odd else next(twice))
    for name, entry in listed.items():
        if not is_tensor_name(name) and not (head.case and ARRAY_NAME.fullmatch(name)):
            raise CaseError("a name 'STEP/PHASE/NAME', or 'FILE/NAME' of the case", repr(name), key="head.tensors")
        array, dtype = tensors[name], STORED_AS.get(entry.dtype, entry.dtype)
        if array.dtype.name != dtype or list(array.shape) != entry.shape:
            expected = f"{dtype} of shape {tuple(entry.shape)}, as the head says"
            raise CaseError(expected, f"{array.dtype} of shape {array.shape}", key=name)
    if head.model and (strange := head.model.rounding.keys() - listed.keys()):
        raise CaseError("the rounding of tensors that are there", repr(min(strange)), key="head.model.rounding")
