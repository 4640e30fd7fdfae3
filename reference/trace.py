"""What one run computed, in the order in which it was computed: named tensors, and the operations that made them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from .case import Case
from .dtypes import held
from .layers import Array

GIVEN = frozenset({"data", "initial"})
"""Phases of what a run starts from: data, initial weights and initial optimizer slots."""


@dataclass(frozen=True)
class Operation:
    """One operation of a training step, with the names of the tensors that went in and came out.

    ``name`` is what was done to what, ``0/backward(k.tanh)``; ``kind`` that of the layer, loss or optimizer, or
    ``sum`` where the parts of a gradient add up because a value or a parameter is used more than once.
    """

    name: str
    phase: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


@dataclass(frozen=True)
class Model:
    """What ran where no case did: a module or a function of somebody's own."""

    name: str
    dtype: str
    steps: int
    precision: str
    """The least precise dtype that it computes in, which may be below its own."""
    kinds: Mapping[str, str] = field(default_factory=dict)
    """The class of each submodule by its path; the model's own by ``""``."""
    rounding: Mapping[str, float] = field(default_factory=dict)
    """By tensor, how far rounding moved any of its elements; a tensor whose rounding has no bound is not there."""
    unseen: tuple[str, ...] = ()
    """Submodules that ran where no output can be seen, as in a loop that is compiled, or not at all."""


@dataclass
class Trace:
    """The tensors of one run by their names ``STEP/PHASE/NAME``, and the operations between them.

    ``tensors`` is what was computed and ``given`` what the run started from, each in order.
    A subject's trace has tensors alone: names mean the same everywhere, so the operations are the reference's.
    """

    source: str = "reference"
    """Who computed it: the reference, or the name of a subject."""
    case: Case | None = None
    """The case that was run, where it is known."""
    environment: dict[str, Any] = field(default_factory=dict)
    """Versions, device and settings that may change a result."""
    tensors: dict[str, Array] = field(default_factory=dict)
    given: dict[str, Array] = field(default_factory=dict)
    operations: list[Operation] = field(default_factory=list)
    dtypes: dict[str, str] = field(default_factory=dict)
    """Of each tensor whose dtype NumPy lacks, which it is: ``bfloat16``, whose numbers are held as float32."""
    model: Model | None = None
    """What was run instead of a case."""

    def keep(self, name: str, made: Array, dtype: str = "") -> Array:
        """Store a tensor under its name and hand it back: the hook of a plain run.

        ``dtype`` is for numbers that NumPy cannot say the dtype of.
        """
        if dtype or held(made) is not made:
            self.dtypes[name] = dtype or str(made.dtype)
        store = self.given if is_given(name) else self.tensors
        store[name] = held(made)
        return made

    def dtype_of(self, name: str) -> str:
        """The dtype of a tensor."""
        return self.dtypes.get(name) or self[name].dtype.name

    def __getitem__(self, name: str) -> Array:
        return self.tensors[name] if name in self.tensors else self.given[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def phase_of(name: str) -> str:
    """The phase in a tensor's name: ``gradient`` of ``0/gradient/j.weight``."""
    return name.split("/", 2)[1]


def is_given(name: str) -> bool:
    """Whether a tensor is one that a run starts from, by its name."""
    return phase_of(name) in GIVEN


def patterns(given: Iterable[str]) -> tuple[str, ...]:
    """Patterns of tensors' names; a text alone is one of them, and not its letters."""
    return (given,) if isinstance(given, str) else tuple(given)
