"""What JAX does inside a backward: the equations of the jaxpr, each under the node that it belongs to.

Every layer is computed under a ``jax.named_scope`` of its name. An equation carries the scopes that it comes from in
its name stack, ``jvp(k)`` in the forward and ``transpose(jvp(k))`` in the backward. The stack is internal to JAX; a
test sees to it that it is still there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from ...reference import Case, Node, Term
from ...reference.step import target_name
from .. import contract
from ..inside import Inside, Passed
from .adapter import enable_x64, to_jax, to_numpy
from .parts import LAYERS, LOSSES, OPTIMIZERS, Tensor, Tensors

CALLS = frozenset({"jit", "pjit", "closed_call"})
"""Equations that call another jaxpr, whose own equations are shown in their place."""


class Done(NamedTuple):
    """An equation that was evaluated."""

    stack: str
    primitive: str
    takes: list[Any]
    gives: list[Any]


def inside(case: Case) -> Inside:
    """The equations that compute the first batch and its gradients, and those of the optimizer."""
    with enable_x64(case.dtype == "float64"), jax.default_device(jax.devices("cpu")[0]):
        weights = {name: to_jax(weight, case.dtype) for name, weight in case.weights.items()}
        leaves = {name: weights[name] for name in sorted(case.parameters)}  # as jax.tree orders them
        closed = jax.make_jaxpr(jax.grad(objective_of(case)))(leaves)
        names = {node.name for node in case.nodes} | {term.name for term in case.losses}
        done: dict[bool, dict[str, list[Passed]]] = {False: {}, True: {}}
        from_forward = {id(array) for array in (*weights.values(), *closed.consts)}
        for stack, primitive, takes, gives in evaluated(closed.jaxpr, closed.consts, list(leaves.values())):
            owner = next((found for found in re.findall(r"[\w.-]+(?![\w.-]*\()", stack) if found in names), "")
            backward = "transpose(" in stack
            if not backward:
                from_forward |= set(map(id, gives))
            arrives = [array for array in takes if not backward or id(array) not in from_forward]
            keeps = [array for array in takes if backward and id(array) in from_forward]
            passed = Passed(primitive, *(tuple(map(to_numpy, arrays)) for arrays in (arrives, gives, keeps)))
            done[backward].setdefault(owner, []).append(passed)
        forward, backward_of = ({owner: tuple(all_of) for owner, all_of in done[way].items()} for way in (False, True))
        optimizer, update = update_of(case, weights)
        return Inside(forward, backward_of, update, optimizer, "transpose(jvp({}))")


def objective_of(case: Case) -> Any:
    """The loss of the first batch as a function of the parameters, every layer in a scope of its name."""
    batch, share = case.batches_of(0)[0], case.shares(0)[0]
    data = {name: to_jax(array, case.dtype) for name, array in contract.data_of(batch, case).items()}

    def apply(node: Node, inputs: list[Tensor], params: Tensors) -> Tensor:
        held = {local: to_jax(case.weights[name], case.dtype) for local, name in node.statistics.items()}
        held |= {local: data[name] for local, name in node.given.items()}
        with jax.named_scope(node.name):
            return LAYERS[node.layer.kind].apply(node.layer, *inputs, {**params, **held})

    def criterion(term: Term, predictions: list[Tensor]) -> Tensor:
        with jax.named_scope(term.name):
            return LOSSES[term.loss.kind].apply(term.loss, *predictions, data[target_name(term)])

    def objective(weights: Tensors) -> Tensor:
        _, loss = contract.forward(case, data["input"], weights, {}, apply, criterion)
        made: Tensor = contract.objective(loss, share)
        return made

    return objective


def evaluated(jaxpr: Any, consts: Sequence[Any], given: Sequence[Any], outer: str = "") -> Iterator[Done]:
    """Every equation of a jaxpr in order, with what it took and gave when the jaxpr is given these arrays.

    Numbers that are written into an equation are no arrays that it takes.
    """
    made = [variable for equation in jaxpr.eqns for variable in equation.outvars if is_used(variable)]
    everything = jax.jit(jaxpr_as_fun(ClosedJaxpr(jaxpr.replace(outvars=made), consts)))
    values = dict(zip([*jaxpr.constvars, *jaxpr.invars], [*consts, *given], strict=True))
    values |= dict(zip(made, everything(*given), strict=True))
    for equation in jaxpr.eqns:
        stack = f"{outer}/{equation.source_info.name_stack}"
        called = called_by(equation)
        if called is not None:
            arguments = [v.val if isinstance(v, Literal) else values[v] for v in equation.invars]
            yield from evaluated(called.jaxpr, called.consts, arguments, stack)
            continue
        takes = [values[variable] for variable in equation.invars if not isinstance(variable, Literal)]
        gives = [values[variable] for variable in equation.outvars if variable in values]
        yield Done(stack, equation.primitive.name, takes, gives)


def is_used(variable: Any) -> bool:
    """Whether what an equation gives has a name; what nobody reads has none."""
    return type(variable).__name__ != "DropVar"


def called_by(equation: Any) -> Any:
    """The jaxpr that an equation calls, if it does nothing else."""
    return equation.params.get("jaxpr") if equation.primitive.name in CALLS else None


def update_of(case: Case, weights: Tensors) -> tuple[str, tuple[str, ...]]:
    """The optimizer, and the equations by which it updates the first weight that is trained."""
    if not case.trained:
        return "", ()
    name = case.trained[0]
    transformation = OPTIMIZERS[case.optimizer.kind].build(case.optimizer, case.learning_rates[0])
    weight = {name: weights[name]}

    def update(gradient: Tensors, state: Any) -> Tensors:
        updates, _ = transformation.update(gradient, state, weight)
        updated: Tensors = optax.apply_updates(weight, updates)
        return updated

    closed = jax.make_jaxpr(update)(weight, transformation.init(weight))
    return f"optax, {case.optimizer.kind}", tuple(equations(closed.jaxpr))


def equations(jaxpr: Any) -> Iterator[str]:
    """The equations of a jaxpr as lines, those of the jaxprs that it calls among them."""
    for equation in jaxpr.eqns:
        called = called_by(equation)
        if called is not None:
            yield from equations(called.jaxpr)
        else:
            takes, gives = (" ".join(map(written, some)) for some in (equation.invars, equation.outvars))
            yield f"{gives} = {equation.primitive.name} {takes}"


def written(variable: Any) -> str:
    """What an equation takes or gives: a number as it is, an array by its dtype and shape."""
    number = isinstance(variable, Literal) and np.ndim(variable.val) == 0
    return f"{variable.val:.8g}" if number else str(variable.aval.str_short())
