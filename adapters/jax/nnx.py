"""A flax nnx module of somebody's own, recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from typing import Any, ClassVar

import flax
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from ...reference.errors import CaseError
from ..modules import Ran, Start, Watcher
from .modules import JaxModel, Tree, leaves_of


class NnxModule(JaxModel):
    """A module in the mode that it is in; every run has a copy of it."""

    source: ClassVar[str] = "flax"

    def __init__(self, module: nnx.Module, loss: Callable[..., Any], optimizer: Any) -> None:
        parts: Any = nnx.split(module, nnx.Param, ...)
        self.definition, parameters, statistics = parts
        super().__init__(parameters, statistics, loss, optimizer)
        self.counts = {name: np.asarray(count) for name, count in leaves_of(nnx.state(module, nnx.RngState))}
        """How many random numbers each of its streams has drawn."""
        self.statistics = {name: one for name, one in self.statistics.items() if name not in self.counts}
        self.name = type(module).__name__
        self.kinds = {path_of(path): type(one).__name__ for path, one in nnx.iter_modules(module) if is_called(one)}

    @staticmethod
    def takes(model: object) -> bool:
        """Whether it can record a model."""
        return isinstance(model, nnx.Module)

    def environment(self) -> dict[str, Any]:
        return {**super().environment(), "version": flax.__version__, "jax": super().environment()["version"]}

    def apply(
        self, parameters: Tree, statistics: Tree, watcher: Watcher, *args: Any, **kwargs: Any
    ) -> tuple[Any, Tree]:
        module = nnx.merge(self.definition, parameters, statistics, copy=True)
        one: Any
        for _, one in nnx.iter_modules(module):
            if hasattr(one, "param_dtype"):  # the parameters have been cast, and a module may compute in their dtype
                if getattr(one, "dtype", None) == one.param_dtype:
                    one.dtype = jnp.result_type(*jax.tree.leaves(parameters))
                one.param_dtype = jnp.result_type(*jax.tree.leaves(parameters))
        with calls_seen(module, watcher):
            output = module(*args, **kwargs)
        return output, nnx.state(module, nnx.Not(nnx.Param))

    def run(self, start: Start, dtype: str, steps: int, *, first: bool = False) -> Ran:
        ran = super().run(start, dtype, steps, first=first)
        if first and self.counts:  # once more, with other random numbers, which must change nothing
            later = {name: count + 1 for name, count in self.counts.items()}
            other = super().run(replace(start, statistics={**start.statistics, **later}), dtype, steps)
            if not all(
                np.array_equal(ran.tensors[n], a, equal_nan=True)
                for n, a in other.tensors.items()
                if not self.counted(n)
            ):
                expected = "a module that draws no random numbers (dropout: module.eval(), or rate = 0)"
                raise CaseError(expected, f"one that does, from {min(self.counts)!r}", key="module")
        ran.tensors = {name: array for name, array in ran.tensors.items() if not self.counted(name)}
        return ran

    def counted(self, name: str) -> bool:
        """Whether a tensor is how many random numbers were drawn."""
        return name.split("/", 2)[1] == "state" and name.split("/", 2)[2] in self.counts


@contextmanager
def calls_seen(module: nnx.Module, watcher: Watcher) -> Iterator[None]:
    """Meanwhile the watcher sees what every submodule gives when it is called; nnx has hooks on classes only."""
    paths = {id(one): path_of(path) for path, one in nnx.iter_modules(module) if is_called(one)}
    classes = {type(one) for _, one in nnx.iter_modules(module) if is_called(one)}
    running: set[int] = set()

    def seen(call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def called(self: Any, *args: Any, **kwargs: Any) -> Any:
            if id(self) not in paths or id(self) in running:  # a copy, in a transformation; or its class calls super's
                return call(self, *args, **kwargs)
            running.add(id(self))
            try:
                output = call(self, *args, **kwargs)
            finally:
                running.discard(id(self))
            return watcher.saw(paths[id(self)], output)

        return called

    wrapped = {one: seen(one.__call__) for one in classes}
    own = {one: vars(one)["__call__"] for one in classes if "__call__" in vars(one)}
    try:
        for one, call in wrapped.items():
            setattr(one, "__call__", call)  # noqa: B010
        yield
    finally:
        for one in classes:
            if one in own:
                setattr(one, "__call__", own[one])  # noqa: B010
            else:
                delattr(one, "__call__")


def is_called(module: Any) -> bool:
    """Whether a module is one that can be called, and not a list of others."""
    return callable(getattr(type(module), "__call__", None))  # noqa: B004


def path_of(parts: tuple[Any, ...]) -> str:
    """The path of a submodule."""
    return ".".join(map(str, parts))
