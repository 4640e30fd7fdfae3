"""A case in JAX, jitted and eager."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from ...reference import Case, Node, Trace
from ...reference.layers import Array
from .. import contract
from .parts import LAYERS, LOSSES, OPTIMIZERS, Rate, Tensor, Tensors

# JAX gave this context its public name in version 0.8; before, it was experimental.
enable_x64 = jax.enable_x64 if hasattr(jax, "enable_x64") else import_module("jax.experimental").enable_x64


class Made(NamedTuple):
    """What one training step makes."""

    values: Tensors
    statistics: Tensors
    loss: Tensor
    gradients: Tensors
    perturbations: Tensors
    weights: Tensors
    state: Any


class Program:
    """The training step of a case as pure functions of its weights, statistics, optimizer state and data."""

    def __init__(self, case: Case) -> None:
        self.case = case
        self.optimizer = OPTIMIZERS[case.optimizer.kind].build(case.optimizer, schedule(case))

    def loss(
        self, weights: Tensors, zeros: Tensors, statistics: Tensors, x: Tensor, target: Tensor
    ) -> tuple[Tensor, tuple[Tensors, Tensors]]:
        """The loss; beside it the output of every node and the new statistics, with the perturbations added."""
        updated: Tensors = {}

        def apply(node: Node, inputs: list[Tensor], params: Tensors) -> Tensor:
            part = LAYERS[node.layer.kind]
            params = {**params, **{local: statistics[name] for local, name in node.statistics.items()}}
            made = part.statistics(node.layer, *inputs, params)
            updated.update({node.statistics[local]: statistic for local, statistic in made.items()})
            return part.apply(node.layer, *inputs, params)

        values, prediction = contract.forward(self.case, x, weights, zeros, apply)
        return LOSSES[self.case.loss.kind].apply(self.case.loss, prediction, target), (values, updated)

    def trained(self, tensors: Tensors) -> Tensors:
        return {name: tensors[name] for name in self.case.trained}

    def start(self, weights: Tensors) -> Any:
        return self.optimizer.init(self.trained(weights))

    def step(
        self, weights: Tensors, statistics: Tensors, state: Any, zeros: Tensors, x: Tensor, target: Tensor
    ) -> Made:
        """One training step, as optax's users write it."""
        differentiate = jax.value_and_grad(self.loss, argnums=(0, 1), has_aux=True)
        (loss, aside), (gradients, perturbations) = differentiate(weights, zeros, statistics, x, target)
        values, statistics = aside
        before = self.trained(weights)
        updates, state = self.optimizer.update(self.trained(gradients), state, before)
        weights = {**weights, **optax.apply_updates(before, updates)}
        return Made(values, statistics, loss, gradients, perturbations, weights, state)

    def unperturbed(self, weights: Tensors, statistics: Tensors, x: Tensor, target: Tensor) -> Tensors:
        """The gradients of the weights in a run without perturbations."""
        gradients: Tensors = jax.grad(lambda weights: self.loss(weights, {}, statistics, x, target)[0])(weights)
        return gradients


def schedule(case: Case) -> Rate:
    """The learning rate as optax takes it: a number, or a function of the number of updates before."""
    rates = case.learning_rates
    return rates[0] if len(set(rates)) == 1 else lambda count: jnp.asarray(rates)[count]


class Jax(contract.Adapter):
    """JAX with the whole training step jitted as one function."""

    name: ClassVar[str] = "jax"
    dtypes: ClassVar[frozenset[str]] = frozenset({"float16", "float32", "float64"})
    parts: ClassVar[Mapping[str, contract.Part]] = {**LAYERS, **LOSSES, **OPTIMIZERS}

    def devices(self) -> tuple[str, ...]:
        platforms = {device.platform for device in jax.devices()}
        return ("cpu", "cuda") if "gpu" in platforms else ("cpu",)

    def environment(self, device: str) -> dict[str, Any]:
        return {
            "version": jax.__version__,
            "optax": optax.__version__,
            "device": jax_device(device).device_kind if device == "cuda" else "cpu",
            "matmul_precision": str(jax.config.values["jax_default_matmul_precision"] or "default"),
        }

    def run(self, case: Case, device: str) -> Trace:
        # 64 bits exist in JAX only where they are enabled; a float32 case runs as it would by default.
        with enable_x64(case.dtype == "float64"), jax.default_device(jax_device(device)):
            return self.train(case)

    def train(self, case: Case) -> Trace:
        """The training loop, every tensor of it kept."""
        program = Program(case)
        step_function, unperturbed = self.compiled(program.step), self.compiled(program.unperturbed)
        given: Tensors = {name: jnp.asarray(weight) for name, weight in case.weights.items()}
        contract.require_read_back(case, lambda name: np.asarray(given[name]), self.name)
        weights = {name: given[name] for name in case.parameters}
        statistics = {name: held for name, held in given.items() if name not in case.parameters}
        state = program.start(weights)
        trace = Trace()
        for step in range(case.steps):
            batch = case.batch(step)
            x, target = jnp.asarray(batch.inputs), jnp.asarray(batch.targets)
            shapes = contract.perturbations(case, batch.inputs.shape)
            zeros = {path: jnp.zeros(shape, dtype=case.dtype) for path, shape in shapes.items()}
            made = step_function(weights, statistics, state, zeros, x, target)
            if step == 0:
                plain = {k: np.asarray(v) for k, v in unperturbed(weights, statistics, x, target).items()}
                scale = contract.largest(plain.values())
                for name, gradient in plain.items():
                    found = np.asarray(made.gradients[name])
                    contract.require_unperturbed(name, gradient, found, self.name, scale=scale)
            weights, statistics, state = made.weights, made.statistics, made.state
            for path, tensor in self.named(case, made).items():
                trace.keep(f"{step}/{path}", np.array(tensor))
        return trace

    def named(self, case: Case, made: Made) -> Mapping[str, Array]:
        """What a step made, by ``PHASE/NAME``."""
        slots = OPTIMIZERS[case.optimizer.kind].slots
        named: dict[str, Any] = {f"forward/{name}": value for name, value in made.values.items()}
        named |= {f"state/{name}": statistic for name, statistic in made.statistics.items()}
        named["forward/loss"] = made.loss
        named |= made.perturbations
        named |= {f"gradient/{name}": gradient for name, gradient in made.gradients.items()}
        for slot, (kind, field) in slots.items():
            for inner in states(made.state, kind):
                held = getattr(inner, field)
                for name in case.trained:
                    value = held[name] if isinstance(held, dict) else held
                    named[f"state/{name}.{slot}"] = np.asarray(value).astype(case.dtype)
        named |= {f"update/{name}": made.weights[name] for name in case.trained}
        return named

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function as this subject runs it."""
        return jax.jit(function)


class JaxEager(Jax):
    """JAX as it runs by itself: operation by operation."""

    name: ClassVar[str] = "jax.eager"

    def compiled(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function


def states(state: Any, kind: type[Any]) -> list[Any]:
    """The states of one kind in optax's nested state."""
    leaves = jax.tree.leaves(state, is_leaf=partial(is_of, kind))
    return [leaf for leaf in leaves if is_of(kind, leaf)]


def is_of(kind: type[Any], value: object) -> bool:
    return isinstance(value, kind)


def jax_device(device: str) -> Any:
    """The first device of JAX under our name for it."""
    return jax.devices("gpu" if device == "cuda" else device)[0]
