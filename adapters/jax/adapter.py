"""A case in JAX, jitted and eager."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ...reference import Case, Node, Term, Trace
from ...reference.dtypes import held
from ...reference.layers import Array
from ...reference.optimizers import Schedule
from ...reference.step import target_name
from .. import contract
from ..inside import Inside
from .parts import AT_KINKS, CLIPS, LAYERS, LOSSES, OPTIMIZERS, Rate, Tensor, Tensors, build_schedule, schedule_limits

# JAX gave this context its public name in version 0.8; before, it was experimental.
enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else import_module("jax.experimental").enable_x64


class OfBatch(NamedTuple):
    """What the forward and the backward of one batch make."""

    values: Tensors
    statistics: Tensors
    gradients: Tensors
    perturbations: Tensors


class Made(NamedTuple):
    """What one training step makes."""

    batches: list[OfBatch]
    gradients: Tensors
    clipped: Tensors
    weights: Tensors
    state: Any


class Program:
    """The training step of a case as pure functions of its weights, statistics, optimizer state and data."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.clip = CLIPS[case.clip.kind].build(case.clip) if case.clip else None
        self.optimizer = OPTIMIZERS[case.optimizer.kind].build(case.optimizer, schedule(case))

    def loss(
        self, weights: Tensors, zeros: Tensors, statistics: Tensors, data: Tensors, share: float
    ) -> tuple[Tensor, tuple[Tensors, Tensors]]:
        """What is differentiated; beside it the outputs of all nodes and losses, perturbed, and the new statistics."""
        updated: Tensors = {}

        def apply(node: Node, inputs: list[Tensor], params: Tensors) -> Tensor:
            part = LAYERS[node.layer.kind]
            params = {**params, **{local: statistics[name] for local, name in node.statistics.items()}}
            params |= {local: data[name] for local, name in node.given.items()}
            made = part.statistics(node.layer, *inputs, params)
            updated.update({node.statistics[local]: statistic for local, statistic in made.items()})
            return part.apply(node.layer, *inputs, params)

        def criterion(term: Term, predictions: list[Tensor]) -> Tensor:
            return LOSSES[term.loss.kind].apply(term.loss, *predictions, data[target_name(term)])

        values, loss = contract.forward(self.case, data["input"], weights, zeros, apply, criterion)
        return contract.objective(loss, share), (values, updated)

    def trained(self, tensors: Tensors) -> Tensors:
        return {name: tensors[name] for name in self.case.trained}

    def start(self, weights: Tensors) -> Any:
        return self.optimizer.init(self.trained(weights))

    def step(
        self,
        weights: Tensors,
        statistics: Tensors,
        state: Any,
        zeros: Sequence[Tensors],
        data: Sequence[Tensors],
        shares: Sequence[float],
    ) -> Made:
        """One training step, as optax's users write it: the batches one after the other, then the update."""
        differentiate = jax.grad(self.loss, argnums=(0, 1), has_aux=True)
        batches = []
        for zeros_of, data_of, share in zip(zeros, data, shares, strict=True):
            (of_weights, of_zeros), aside = differentiate(weights, zeros_of, statistics, data_of, share)
            values, statistics = aside
            batches.append(OfBatch(values, statistics, of_weights, of_zeros))
        gradients = jax.tree.map(lambda *parts: reduce(jnp.add, parts), *(made.gradients for made in batches))
        used = clipped = self.trained(gradients)
        if self.clip:
            clipped, _ = self.clip.update(used, self.clip.init(used))
        before = self.trained(weights)
        updates, state = self.optimizer.update(clipped, state, before)
        weights = {**weights, **optax.apply_updates(before, updates)}
        return Made(batches, gradients, clipped, weights, state)

    def unperturbed(self, weights: Tensors, statistics: Tensors, data: Tensors, share: float) -> Tensors:
        """The gradients of the weights in a run without perturbations."""

        def loss(weights: Tensors) -> Tensor:
            return self.loss(weights, {}, statistics, data, share)[0]

        gradients: Tensors = jax.grad(loss)(weights)
        return gradients


def schedule(case: Case) -> Rate:
    """The learning rate as optax takes it: a number, or a function of the number of updates before.

    The rates of a schedule are optax's, each computed once and in float64: near the end of a schedule float32 leaves
    few digits of a rate.
    """
    rule = case.optimizer.learning_rate
    rates = schedule_rates(rule, case.steps) if isinstance(rule, Schedule) else case.learning_rates
    return rates[0] if len(set(rates)) == 1 else lambda count: jnp.asarray(rates)[count]


def schedule_rates(rule: Schedule, steps: int) -> tuple[float, ...]:
    """What optax makes of a schedule."""
    with enable_x64(True):
        function = build_schedule(rule)
        return tuple(float(function(jnp.asarray(step))) for step in range(steps))


class Jax(contract.Adapter):
    """JAX with the whole training step jitted as one function."""

    name: ClassVar[str] = "jax"
    dtypes: ClassVar[frozenset[str]] = frozenset({"float16", "bfloat16", "float32", "float64"})
    parts: ClassVar[Mapping[str, contract.Part]] = {**LAYERS, **LOSSES, **CLIPS, **OPTIMIZERS}
    compiles: ClassVar[bool] = True
    at_kinks = AT_KINKS

    def devices(self) -> tuple[str, ...]:
        platforms = {device.platform for device in jax.devices()}
        return ("cpu", "cuda") if "gpu" in platforms else ("cpu",)

    def environment(self, device: str) -> dict[str, Any]:
        return {
            "version": jax.__version__,
            "optax": optax.__version__,
            "device": jax_device(device).device_kind if device == "cuda" else "cpu",
            "threads": threads(),
            "matmul_precision": str(jax.config.values["jax_default_matmul_precision"] or "default"),
        }

    def limits(self, case: Case) -> str:
        rule = case.optimizer.learning_rate
        scheduled = schedule_limits(rule, case.steps) if isinstance(rule, Schedule) else ""
        return scheduled or OPTIMIZERS[case.optimizer.kind].limits_in(case)

    def run(self, case: Case, device: str) -> Trace:
        # 64 bits exist in JAX only where they are enabled; a float32 case runs as it would by default.
        with enable_x64(case.dtype == "float64"), jax.default_device(jax_device(device)):
            trace = self.train(case)
        trace.environment["x64"] = case.dtype == "float64"
        return trace

    def inside(self, case: Case) -> Inside:
        from .inside import inside

        return inside(case)

    def train(self, case: Case) -> Trace:
        """The training loop, every tensor of it kept."""
        program = Program(case)
        step_function, unperturbed = self.compiled(program.step, 5), self.compiled(program.unperturbed, 3)
        given: Tensors = {name: to_jax(weight, case.dtype) for name, weight in case.weights.items()}
        contract.require_read_back(case, lambda name: to_numpy(given[name]), self.name)
        weights = {name: given[name] for name in case.parameters}
        statistics = {name: held for name, held in given.items() if name not in case.parameters}
        state = program.start(weights)
        trace = Trace()
        for step in range(case.steps):
            batches, shares = case.batches_of(step), case.shares(step)
            data = [
                {name: to_jax(array, case.dtype) for name, array in contract.data_of(batch, case).items()}
                for batch in batches
            ]
            shapes = [contract.perturbations(case, batch.inputs.shape) for batch in batches]
            zeros = [{path: jnp.zeros(shape, dtype=case.dtype) for path, shape in one.items()} for one in shapes]
            made = step_function(weights, statistics, state, zeros, data, shares)
            if step == 0:
                self.require_unperturbed(case, unperturbed(weights, statistics, data[0], shares[0]), made.batches[0])
            weights, statistics, state = made.weights, made.batches[-1].statistics, made.state
            for place, of_batch in zip(case.places(step), made.batches, strict=True):
                for path, tensor in self.named_of_batch(of_batch).items():
                    trace.keep(f"{place}/{path}", np.array(tensor))
            for path, tensor in self.named(case, made).items():
                trace.keep(f"{step}/{path}", np.array(tensor))
        return trace

    def require_unperturbed(self, case: Case, gradients: Tensors, perturbed: OfBatch) -> None:
        """Raise Altered unless these are the gradients of the run with perturbations."""
        plain = {name: to_numpy(gradient) for name, gradient in gradients.items()}
        scale = contract.largest(plain.values())
        for name, gradient in plain.items():
            found = to_numpy(perturbed.gradients[name])
            contract.require_unperturbed(name, gradient, found, self.name, dtype=case.dtype, scale=scale)

    def named_of_batch(self, made: OfBatch) -> Mapping[str, Array]:
        """What a batch made, by ``PHASE/NAME``."""
        named: dict[str, Any] = {f"forward/{name}": value for name, value in made.values.items()}
        named |= {f"state/{name}": statistic for name, statistic in made.statistics.items()}
        return named | made.perturbations

    def named(self, case: Case, made: Made) -> Mapping[str, Array]:
        """What the end of a step made, by ``PHASE/NAME``."""
        part = OPTIMIZERS[case.optimizer.kind]
        named: dict[str, Any] = {f"gradient/{name}": gradient for name, gradient in made.gradients.items()}
        if case.clip:
            named |= {f"clipped/{name}": gradient for name, gradient in made.clipped.items()}
        for name in case.trained:
            for slot, value in part.held(made.state, name, case.parameters[name]).items():
                named[f"state/{name}.{slot}"] = jnp.asarray(value, dtype=case.dtype)
        named |= {f"update/{name}": made.weights[name] for name in case.trained}
        return named

    def compiled(self, function: Callable[..., Any], fixed: int) -> Callable[..., Any]:
        """The function as this subject runs it; the argument at place ``fixed`` is no array."""
        return jax.jit(function, static_argnums=fixed)


class JaxEager(Jax):
    """JAX as it runs by itself: operation by operation."""

    name: ClassVar[str] = "jax.eager"
    compiles: ClassVar[bool] = False

    def compiled(self, function: Callable[..., Any], fixed: int) -> Callable[..., Any]:
        return function


def to_jax(array: Array, dtype: str) -> Tensor:
    """An array of a case as JAX has it: numbers in the dtype, indices as they are."""
    return jnp.asarray(array, dtype=dtype if array.dtype.kind == "f" else None)


def to_numpy(tensor: Tensor) -> Array:
    """A tensor's values; bfloat16 numbers as float32."""
    return held(np.asarray(tensor))


def threads() -> int:
    """How many threads JAX computes with on the CPU, which it does not say: XLA takes as many as it may run on.

    The variable NPROC, where it is set, is its own way to have another number.
    """
    if (given := os.environ.get("NPROC", "")).isdecimal():
        return int(given)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def jax_device(device: str) -> Any:
    """The first device of JAX under our name for it."""
    return jax.devices("gpu" if device == "cuda" else device)[0]
