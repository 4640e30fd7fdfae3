"""What records a model of somebody's own: its outputs and gradients as it runs in its framework, under its names."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, NamedTuple, TypeVar

from ..reference.errors import CaseError
from ..reference.layers import Array

DTYPES = ("float32", "float64")
"""The dtypes that a model can be recorded in."""
PRECISIONS = ("bfloat16", "float16", "float32", "float64")
"""Dtypes from the least precise."""
RESERVED = ("input", "output", "loss", "target")
"""Names of the model's own tensors; a submodule that is called so has a dot before its name."""

T = TypeVar("T")


@dataclass(frozen=True)
class Start:
    """What a run starts from: arrays by name."""

    parameters: Mapping[str, Array]
    statistics: Mapping[str, Array]
    """Buffers: what is kept with the model beside its parameters."""
    inputs: Mapping[str, Array]
    targets: Mapping[str, Array]

    @property
    def given(self) -> dict[str, Array]:
        """All of it, under the names that it has in a trace."""
        initial = {f"0/initial/{name}": array for name, array in {**self.parameters, **self.statistics}.items()}
        return {**initial, **{f"0/data/{name}": array for name, array in {**self.inputs, **self.targets}.items()}}

    def changed(self, change: Callable[..., Array], *others: Start) -> Start:
        """The same with each real parameter and input changed, by what others have in its place."""

        def all_of(which: str) -> dict[str, Array]:
            rows = {name: [getattr(other, which)[name] for other in others] for name in getattr(self, which)}
            return {n: change(a, *rows[n]) if a.dtype.kind == "f" else a for n, a in getattr(self, which).items()}

        return replace(self, parameters=all_of("parameters"), inputs=all_of("inputs"))


@dataclass
class Ran:
    """What a run made, ``STEP/PHASE/NAME``, in the order of computation."""

    tensors: dict[str, Array] = field(default_factory=dict)
    precision: str = "float64"
    """The least precise dtype of any operation in it."""
    unseen: tuple[str, ...] = ()


class Recorder(ABC):
    """A model in its framework. It is left as it is found: every run has a copy of its own."""

    source: ClassVar[str]
    """What the framework is called."""
    name: str
    kinds: Mapping[str, str]
    """The class of each submodule by its path."""
    parameters: Mapping[str, Array]
    statistics: Mapping[str, Array]

    @abstractmethod
    def environment(self) -> dict[str, Any]:
        """Versions and settings that may change a result, among them ``version``."""

    @abstractmethod
    def run(self, start: Start, dtype: str, steps: int, *, first: bool = False) -> Ran:
        """Train for some steps from a start, in a dtype; in the first run the precision is looked at too.

        Raises:
            CaseError: the model draws random numbers; its loss is no number.
        """


# ------------------------------------------------------------------------------------------------ arrays as arguments


def named(value: Any, name: str) -> dict[str, Any]:
    """What a model or a loss is given, by name: one array, or a list or a table of them, ``input:0``, ``input:mask``.

    >>> named(1, "input"), named((1, 2), "input"), named({"mask": 1}, "input")
    ({'input': 1}, {'input:0': 1, 'input:1': 2}, {'input:mask': 1})
    """
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return {f"{name}:{key}": one for key, one in value.items()}
    if isinstance(value, tuple | list):
        return {f"{name}:{place}": one for place, one in enumerate(value)}
    return {name: value}


def arguments(given: Mapping[str, T]) -> tuple[list[T], dict[str, T]]:
    """The same as what stands between the parentheses of a call."""
    keys = {name: name.partition(":")[2] for name in given}
    placed = [given[name] for name, key in keys.items() if not key or key.isdigit()]
    return placed, {key: given[name] for name, key in keys.items() if key and not key.isdigit()}


def value_of(given: Mapping[str, T]) -> Any:
    """The same as one value, as a loss takes its targets: an array, a tuple, a table."""
    placed, by_key = arguments(given)
    return by_key or (placed[0] if len(placed) == 1 and ":" not in next(iter(given)) else tuple(placed))


# --------------------------------------------------------------------------------------------- what a submodule gives


class Place(NamedTuple):
    """One tensor that a submodule gives: whose, in which of its calls, and where in a tuple or a table."""

    path: str
    call: int
    leaf: str


def names_of(places: Iterable[Place]) -> dict[Place, str]:
    """The name of each: the submodule's path, ``#1`` for the second call of several, ``:0`` for the first of a tuple.

    >>> list(names_of([Place("a", 0, ""), Place("b", 0, "0"), Place("b", 1, "0"), Place("loss", 0, "")]).values())
    ['a', 'b#0:0', 'b#1:0', '.loss']
    """
    places = list(places)
    repeated = {place.path for place in places if place.call}
    found = {}
    for place in places:
        path = f".{place.path}" if place.path in RESERVED else place.path or "output"
        call = f"#{place.call}" if place.path in repeated else ""
        found[place] = path + call + (f":{place.leaf}" if place.leaf else "")
    return found


def mapped(tree: Any, change: Callable[[str, Any], Any], leaf: str = "") -> Any:
    """A tree of tuples, lists and tables with every leaf changed, which is told by where it stands: ``1.0``."""
    if isinstance(tree, Mapping):
        changed = {key: mapped(one, change, f"{leaf}.{key}".removeprefix(".")) for key, one in tree.items()}
        return changed if type(tree) is dict else (replaced(tree, changed))
    if isinstance(tree, tuple | list):
        values = [mapped(one, change, f"{leaf}.{place}".removeprefix(".")) for place, one in enumerate(tree)]
        return type(tree)(*values) if hasattr(tree, "_fields") else type(tree)(values)
    return change(leaf, tree)


def replaced(table: Any, values: Mapping[Any, Any]) -> Any:
    """A table of a class of its own with other values, as the outputs of some libraries are."""
    try:
        return type(table)(**values)
    except TypeError:
        return values


class Watcher(ABC):
    """Sees what submodules give, while a model runs, and adds its perturbation to each tensor of it.

    The perturbations are 0; the derivative of the loss with respect to one is the gradient at that place.
    """

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.unseen: set[str] = set()

    def saw(self, path: str, output: Any) -> Any:
        """The output of a submodule, with the perturbations added."""
        if not self.can_see():
            self.unseen.add(path)
            return output
        call = self.calls[path]
        self.calls[path] += 1
        return mapped(output, lambda leaf, value: self.perturbed(Place(path, call, leaf), value))

    def can_see(self) -> bool:
        """Whether what runs now can be seen from outside."""
        return True

    @abstractmethod
    def perturbed(self, place: Place, value: Any) -> Any:
        """One tensor with its perturbation added; what is no tensor as it is."""


WATCHING: ContextVar[Watcher | None] = ContextVar("WATCHING", default=None)


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """What is tapped meanwhile is seen by the watcher."""
    before = WATCHING.set(watcher)
    try:
        yield
    finally:
        WATCHING.reset(before)


def tap(name: str, value: T) -> T:
    """Name a tensor inside a model, so that ``record_module`` records it and the gradient at it; hand the value back.

    Where no model is being recorded it does nothing. A function has no submodules, which this stands in for:

    >>> def f(params, x):
    ...     return tap("hidden", x @ params["weight"]) ** 2
    """
    watcher = WATCHING.get()
    if watcher is None:
        return value
    seen: T = watcher.saw(name, value)
    if name in watcher.unseen:
        raise CaseError("a tensor that can be seen from outside, to tap", f"{name!r} in a loop that is compiled")
    return seen


def least_precise(dtypes: Iterable[str]) -> str:
    """The least precise of some dtypes, of those that are of real numbers."""
    return min((dtype for dtype in dtypes if dtype in PRECISIONS), key=PRECISIONS.index, default="float64")
