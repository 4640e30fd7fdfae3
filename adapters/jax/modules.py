"""A model of somebody's own in JAX, recorded: a function of a tree of parameters, and what an nnx module has in common
with one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, ClassVar, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import get_opaque_trace_state

from ...reference.errors import CaseError
from ...reference.layers import Array
from .. import modules
from ..modules import Place, Ran, Start, Watcher, arguments, least_precise, names_of, value_of, watching
from .adapter import enable_x64, to_jax, to_numpy

Tree: TypeAlias = Any
Tensors: TypeAlias = dict[str, Any]

QUICKLY = {"xla_backend_optimization_level": "0"}
"""A model is compiled to be run a few times."""


class Program(NamedTuple):
    """A training step in one dtype, compiled, and the shapes and the order of what submodules give in it."""

    places: dict[Place, Any]
    unseen: tuple[str, ...]
    start: Callable[..., Any]
    step: Callable[..., Any]
    precision: str


class JaxModel(modules.Recorder):
    """A model whose parameters and statistics are trees of arrays, which are named by their paths in them."""

    source: ClassVar[str] = "jax"

    def __init__(self, parameters: Tree, statistics: Tree, loss: Callable[..., Any], optimizer: Any) -> None:
        self.trees = (parameters, statistics)
        self.loss, self.optimizer = loss, optimizer
        self.parameters, self.statistics = (arrays_of(tree) for tree in self.trees)
        self.programs: dict[str, Program] = {}

    @abstractmethod
    def apply(
        self, parameters: Tree, statistics: Tree, watcher: Watcher, *args: Any, **kwargs: Any
    ) -> tuple[Any, Tree]:
        """The output, watched, and the new statistics."""

    def environment(self) -> dict[str, Any]:
        return {
            "version": jax.__version__,
            "device": jax.default_backend(),
            "matmul_precision": str(jax.config.values["jax_default_matmul_precision"] or "default"),
        }

    def run(self, start: Start, dtype: str, steps: int, *, first: bool = False) -> Ran:
        with enable_x64(dtype == "float64"):
            parameters, statistics = (
                filled(tree, given, dtype)
                for tree, given in zip(self.trees, (start.parameters, start.statistics), strict=True)
            )
            given = [{n: to_jax(a, dtype) for n, a in some.items()} for some in (start.inputs, start.targets)]
            if dtype not in self.programs:
                self.programs[dtype] = self.program(parameters, statistics, *given)
            program, ran = self.programs[dtype], Ran()
            ran.precision, ran.unseen = program.precision, program.unseen
            state = program.start(parameters)
            for step in range(steps):
                made, parameters, statistics, state = self.step(program, parameters, statistics, state, *given)
                ran.tensors |= {
                    f"{step}/{path}": np.array(to_numpy(tensor), order="C") for path, tensor in made.items()
                }
        return ran

    def program(self, parameters: Tree, statistics: Tree, inputs: Tensors, targets: Tensors) -> Program:
        """What is compiled: the model is looked at once, to see what its submodules give, and in which order."""
        watchers: list[Adding] = []

        def objective(
            parameters: Tree, zeros: Tree, real: Tensors, rest: Tensors, statistics: Tree, targets: Tensors
        ) -> Any:
            watchers.append(Adding(zeros))
            placed, by_key = arguments({name: {**real, **rest}[name] for name in inputs})
            with watching(watchers[-1]):
                output, after = self.apply(parameters, statistics, watchers[-1], *placed, **by_key)
            loss = jnp.asarray(self.loss(output, *([value_of(targets)] if targets else [])))
            if loss.size != 1:
                raise CaseError("a loss that gives one number", f"an array of shape {loss.shape}", key="loss")
            return loss.reshape(()), (loss.reshape(()), watchers[-1].values, after)

        parts = (*parted(inputs), statistics, targets)
        shapes = jax.eval_shape(objective, parameters, {}, *parts)[1][1]
        order, unseen = [*watchers[0].values], tuple(sorted(watchers[0].unseen))
        places = {place: shapes[place] for place in order}
        seen = {place.path for place in places}
        unseen += tuple(path for path in self.kinds if path not in seen and path not in unseen)
        equations = jax.make_jaxpr(objective)(parameters, {}, *parts)
        differentiate = jax.grad(objective, argnums=(0, 1, 2), has_aux=True)
        return Program(
            places,
            unseen,
            jax.jit(self.optimizer.init) if self.optimizer else lambda parameters: None,
            jax.jit(partial(self.trained, differentiate), compiler_options=QUICKLY),
            least_precise(dtypes_in(equations.jaxpr)),
        )

    def trained(self, differentiate: Callable[..., Any], state: Any, parameters: Tree, *rest: Any) -> Any:
        """The gradients, what was seen, the parameters after the step, and what optax keeps."""
        gradients, aside = differentiate(parameters, *rest)
        if self.optimizer:
            updates, state = self.optimizer.update(gradients[0], state, parameters)
            parameters = jax.tree.map(jnp.add, parameters, updates)
        return gradients, aside, parameters, state

    def step(
        self, program: Program, parameters: Tree, statistics: Tree, state: Any, inputs: Tensors, targets: Tensors
    ) -> tuple[Tensors, Tree, Tree, Any]:
        """One training step, by ``PHASE/NAME``, and what the next starts from."""
        zeros = {p: jnp.asarray(np.zeros(one.shape, one.dtype)) for p, one in program.places.items() if is_real(one)}
        parts = (*parted(inputs), statistics, targets)
        gradients, aside, updated, state = program.step(state, parameters, zeros, *parts)
        of_parameters, of_zeros, of_inputs = gradients
        loss, values, statistics = aside
        names = names_of(program.places)
        made = {f"forward/{name}": values[place] for place, name in names.items()}
        made["forward/loss"] = loss
        made |= {f"backward/{names[place]}": of_zeros[place] for place in reversed(names) if place in zeros}
        made |= {f"backward/{name}": gradient for name, gradient in of_inputs.items()}
        made |= {f"gradient/{name}": gradient for name, gradient in leaves_of(of_parameters)}
        made |= {f"state/{name}": one for name, one in leaves_of(statistics)}
        if self.optimizer:
            made |= {f"update/{name}": one for name, one in leaves_of(updated)}
        return made, updated, statistics, state


class JaxFunction(JaxModel):
    """A function ``f(parameters, *inputs)``; what it taps stands in for the submodules that it has not."""

    def __init__(
        self, function: Callable[..., Any], parameters: Tree, loss: Callable[..., Any], optimizer: Any
    ) -> None:
        super().__init__(parameters, {}, loss, optimizer)
        self.function = function
        self.name = getattr(function, "__name__", type(function).__name__)
        self.kinds = {"": "function"}

    def apply(
        self, parameters: Tree, statistics: Tree, watcher: Watcher, *args: Any, **kwargs: Any
    ) -> tuple[Any, Tree]:
        return watcher.saw("", self.function(parameters, *args, **kwargs)), statistics


class Adding(Watcher):
    """Sees what is traced now, and no transformation inside: what is traced there cannot be handed out."""

    def __init__(self, zeros: Mapping[Place, Any]) -> None:
        super().__init__()
        self.zeros = zeros
        self.values: dict[Place, Any] = {}
        self.outer = trace_state()

    def can_see(self) -> bool:
        return bool(trace_state() == self.outer)

    def perturbed(self, place: Place, value: Any) -> Any:
        if not isinstance(value, jax.Array | np.ndarray):
            return value
        value = jnp.asarray(value)
        self.values[place] = value
        return value + self.zeros[place] if place in self.zeros else value


def trace_state() -> Any:
    """What is being traced: inside a transformation, another."""
    return get_opaque_trace_state(convention="nnx")  # type: ignore[no-untyped-call]


def is_real(value: Any) -> bool:
    """Whether an array is of real numbers, which have gradients."""
    return bool(jnp.issubdtype(value.dtype, jnp.floating))


def parted(inputs: Tensors) -> tuple[Tensors, Tensors]:
    """The inputs of real numbers, and the others."""
    return {n: x for n, x in inputs.items() if is_real(x)}, {n: x for n, x in inputs.items() if not is_real(x)}


def leaves_of(tree: Tree) -> Iterator[tuple[str, Any]]:
    """The arrays in a tree by their paths, ``layers.0.kernel``; what holds an array as its ``value`` adds no part.

    Keys of random numbers are none.
    """
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        if not (isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)):
            yield name_of(path), leaf


def name_of(path: tuple[Any, ...]) -> str:
    """The name of a place in a tree."""
    held = isinstance(path[-1], jax.tree_util.GetAttrKey) and path[-1].name == "value" if path else False
    return jax.tree_util.keystr(path[:-1] if held else path, simple=True, separator=".")


def arrays_of(tree: Tree) -> dict[str, Array]:
    """The same as NumPy's arrays.

    Raises:
        CaseError: two have one name.
    """
    leaves = [*leaves_of(tree)]
    found = {name: to_numpy(leaf) for name, leaf in leaves}
    if len(found) < len(leaves):
        names = [name for name, _ in leaves]
        raise CaseError("names that differ", repr(next(n for n in names if names.count(n) > 1)), key="parameters")
    return found


def filled(tree: Tree, given: Mapping[str, Array], dtype: str) -> Tree:
    """A tree with given arrays in it, numbers in the dtype; keys of random numbers as they are."""

    def fill(path: tuple[Any, ...], leaf: Any) -> Any:
        return to_jax(given[name_of(path)], dtype) if name_of(path) in given else leaf

    return jax.tree_util.tree_map_with_path(fill, tree)


def dtypes_in(jaxpr: Any) -> Iterator[str]:
    """The dtype of all that any equation makes, and of what is in it."""
    for equation in jaxpr.eqns:
        yield from (str(getattr(made.aval, "dtype", "")) for made in equation.outvars)
        for inner in jax.tree.leaves(
            [*equation.params.values()], is_leaf=lambda one: hasattr(one, "eqns") or hasattr(one, "jaxpr")
        ):
            inner = getattr(inner, "jaxpr", inner)
            if hasattr(inner, "eqns"):
                yield from dtypes_in(inner)
