"""A case in PyTorch, eager and compiled."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import nn

from ...reference import Case, Node, Term, Trace
from ...reference.case import Batch
from ...reference.layers import Array, Shape
from ...reference.optimizers import Schedule
from ...reference.step import target_name
from .. import contract
from ..inside import Inside
from .parts import (
    AT_KINKS,
    CLIPS,
    LAYERS,
    LOSSES,
    OPTIMIZERS,
    build_layer,
    build_loss,
    build_schedule,
    recurrent,
    schedule_limits,
)

DTYPES = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
    "float64": torch.float64,
}

Forward: TypeAlias = Callable[..., tuple[dict[str, torch.Tensor], torch.Tensor]]


class Network(nn.Module):
    """The graph of a case as a module of torch.nn modules; a parameter that two nodes share is one Parameter."""

    def __init__(self, case: Case, device: str) -> None:
        super().__init__()
        self.case = case
        # Names of nodes may hold dots, which torch refuses in the names of modules.
        self.layers = nn.ModuleList(
            build_layer(node.layer, dtype=DTYPES[case.dtype], device=device) for node in case.nodes
        )
        self.index = {node.name: place for place, node in enumerate(case.nodes)}
        self.losses = {term.name: build_loss(term.loss) for term in case.losses}
        self.shared: dict[str, nn.Parameter] = {}
        self.statistics: dict[str, torch.Tensor] = {}
        self.transposed: set[str] = set()
        for node, module in zip(case.nodes, self.layers, strict=True):
            part = LAYERS[node.layer.kind]
            for local, name in node.parameters.items():
                own = part.names.get(local, local)
                inside, _, last = own.rpartition(".")
                setattr(module.get_submodule(inside), last, self.shared.setdefault(name, module.get_parameter(own)))
                if local in part.transposed(node.layer):
                    self.transposed.add(name)
            self.statistics |= {name: getattr(module, local) for local, name in node.statistics.items()}
        with torch.no_grad():
            for name, held in self.held.items():
                weight = torch.from_numpy(case.weights[name].copy())
                held.copy_(weight.T if name in self.transposed else weight)

    def forward(
        self, data: Mapping[str, torch.Tensor], zeros: Mapping[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The output of every node and of every loss, and the loss, with the perturbations added."""

        def apply(node: Node, inputs: list[torch.Tensor], params: dict[str, torch.Tensor]) -> torch.Tensor:
            return self.apply_node(node, inputs, params, {local: data[name] for local, name in node.given.items()})

        def criterion(term: Term, predictions: list[torch.Tensor]) -> torch.Tensor:
            return self.losses[term.name](*predictions, data[target_name(term)])  # type: ignore[no-any-return]

        return contract.forward(self.case, data["input"], self.shared, zeros, apply, criterion)

    @property
    def held(self) -> dict[str, torch.Tensor]:
        """Every parameter and every statistic, under its name in the case."""
        return {**self.shared, **self.statistics}

    def apply_node(
        self,
        node: Node,
        inputs: list[torch.Tensor],
        params: dict[str, torch.Tensor],
        given: dict[str, torch.Tensor],
    ) -> torch.Tensor:
        """One node; what its layer is given goes to the module by name."""
        module = self.layers[self.index[node.name]]
        names = LAYERS[node.layer.kind].names
        own = {names.get(local, local): value for local, value in params.items()}
        perturbed = {name: value for name, value in own.items() if value is not module.get_parameter(name)}
        if perturbed:
            return torch.func.functional_call(module, perturbed, tuple(inputs), given)  # type: ignore[no-any-return]
        return module(*inputs, **given)  # type: ignore[no-any-return]

    def as_case(self, name: str, tensor: torch.Tensor) -> torch.Tensor:
        """A tensor that belongs to a parameter, in the layout of the case."""
        return tensor.T if name in self.transposed and tensor.ndim == 2 else tensor

    def gradients(self, phase: str, parameters: Mapping[str, nn.Parameter]) -> dict[str, torch.Tensor]:
        """What has accumulated in some parameters, by ``PHASE/NAME``."""
        return {f"{phase}/{name}": self.as_case(name, gradient_of(held)) for name, held in parameters.items()}

    def as_torch(self, name: str, shape: Shape) -> Shape:
        """The shape, in the layout of the module, of a tensor that belongs to a parameter."""
        return shape[::-1] if name in self.transposed else shape


class Torch(contract.Adapter):
    """PyTorch as it runs by itself: operation by operation."""

    name: ClassVar[str] = "torch"
    dtypes: ClassVar[frozenset[str]] = frozenset(DTYPES)
    parts: ClassVar[Mapping[str, contract.Part]] = {**LAYERS, **LOSSES, **CLIPS, **OPTIMIZERS}
    at_kinks = AT_KINKS

    def devices(self) -> tuple[str, ...]:
        return ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)

    def environment(self, device: str) -> dict[str, Any]:
        on_gpu = device == "cuda"
        return {
            "version": torch.__version__,
            "device": torch.cuda.get_device_name() if on_gpu else "cpu",
            "threads": torch.get_num_threads(),
            **({"tf32": torch.backends.cuda.matmul.allow_tf32} if on_gpu else {}),
        }

    def limits(self, case: Case) -> str:
        layouts: dict[str, set[bool]] = {}
        for node in case.nodes:
            for local, name in node.parameters.items():
                layouts.setdefault(name, set()).add(local in LAYERS[node.layer.kind].transposed(node.layer))
        both = [name for name, layout in layouts.items() if len(layout) > 1]
        if both:
            return f"torch's modules keep {both[0]!r} in two layouts, and cannot share it"
        schedule = case.optimizer.learning_rate
        return schedule_limits(schedule, case.steps) if isinstance(schedule, Schedule) else ""

    def run(self, case: Case, device: str) -> Trace:
        with torch.inference_mode(False), torch.enable_grad(), default_dtype(case.dtype), self.settings():
            return self.train(case, device)

    def inside(self, case: Case) -> Inside:
        from .inside import inside

        return inside(case)

    def train(self, case: Case, device: str) -> Trace:
        """The ordinary training loop of PyTorch, every tensor of it kept."""
        network = Network(case, device)
        contract.require_read_back(case, lambda name: to_numpy(network.as_case(name, network.held[name])), self.name)
        part = OPTIMIZERS[case.optimizer.kind]
        optimizer = part.build([network.shared[name] for name in case.trained], case.optimizer)
        schedule = case.optimizer.learning_rate
        scheduler = build_schedule(optimizer, schedule) if isinstance(schedule, Schedule) else None
        forward = self.forward(network)
        trace = Trace()
        for step, rate in enumerate(case.learning_rates):
            if scheduler is None:
                for group in optimizer.param_groups:
                    group["lr"] = rate
            network.zero_grad()
            for place, batch, share in zip(case.places(step), case.batches_of(step), case.shares(step), strict=True):
                data = {name: to_torch(a, case.dtype, device) for name, a in contract.data_of(batch, case).items()}
                made = self.differentiated(network, forward, batch, data, share)
                if not trace:
                    self.require_unperturbed(network, forward, data, share)
                keep(trace, place, made)
            trained = {name: network.shared[name] for name in case.trained}
            keep(trace, step, network.gradients("gradient", network.shared))
            if case.clip:
                CLIPS[case.clip.kind].clip(list(trained.values()), case.clip)
                keep(trace, step, network.gradients("clipped", trained))
            optimizer.step()
            if scheduler is not None:
                scheduler.step()
            for name, parameter in trained.items():
                slots = part.held(optimizer.state[parameter], transposed=name in network.transposed)
                for slot, held in slots.items():
                    keep(trace, step, {f"state/{name}.{slot}": network.as_case(name, held.to(parameter.dtype))})
                keep(trace, step, {f"update/{name}": network.as_case(name, parameter)})
        return trace

    def differentiated(
        self, network: Network, forward: Forward, batch: Batch, data: Mapping[str, torch.Tensor], share: float
    ) -> dict[str, torch.Tensor]:
        """Forward and backward of one batch, by ``PHASE/NAME``; the parameters' gradients add up in the parameters."""
        case = network.case
        like: dict[str, Any] = {"dtype": DTYPES[case.dtype], "device": data["input"].device, "requires_grad": True}
        zeros = {
            path: torch.zeros(network.as_torch(owner(path), shape), **like)
            for path, shape in contract.perturbations(case, batch.inputs.shape).items()
        }
        values, loss = forward(data, zeros)
        made = {f"state/{name}": statistic.clone() for name, statistic in network.statistics.items()}
        contract.objective(loss, share).backward()
        made |= {f"forward/{name}": value for name, value in values.items()}
        return made | {path: network.as_case(owner(path), gradient_of(zero)) for path, zero in zeros.items()}

    def forward(self, network: Network) -> Forward:
        """What computes the outputs and the loss."""
        return network

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Settings of the process that a run needs, undone at its end."""
        yield

    def require_unperturbed(
        self, network: Network, forward: Forward, data: Mapping[str, torch.Tensor], share: float
    ) -> None:
        """Raise Altered unless a run without perturbations has the same gradients. Statistics are put back."""
        before = {name: statistic.clone() for name, statistic in network.statistics.items()}
        _, loss = forward(data, {})
        plain = torch.autograd.grad(contract.objective(loss, share), list(network.shared.values()))
        for name, statistic in network.statistics.items():
            statistic.copy_(before[name])
        gradients = dict(zip(network.shared, map(to_numpy, plain), strict=True))
        scale = contract.largest(gradients.values())
        for name, gradient in gradients.items():
            found = to_numpy(gradient_of(network.shared[name]))
            contract.require_unperturbed(name, gradient, found, self.name, dtype=network.case.dtype, scale=scale)


class TorchCompile(Torch):
    """PyTorch compiled as one graph: ``torch.compile(module, fullgraph=True)``."""

    name: ClassVar[str] = "torch.compile"
    compiles: ClassVar[bool] = True

    def problem(self) -> str:
        compiler = os.environ.get("CXX")
        found = any(map(shutil.which, [compiler] if compiler else ["g++", "clang++"]))
        return "" if found else "torch.compile needs a C++ compiler (g++ or clang++, or the one that CXX names)"

    def limits(self, case: Case) -> str:
        for node in case.nodes:
            if node.layer.kind in recurrent.LAYERS:
                return f"torch.compile takes no recurrent module into its graph, as {node.name!r} is"
        return super().limits(case)

    def inside(self, case: Case) -> Inside:
        return Inside()  # one compiled function, whose graph has one node

    def forward(self, network: Network) -> Forward:
        # Otherwise the shapes of one case after another would become symbols, which some operations cannot take.
        return torch.compile(network, fullgraph=True, dynamic=False)

    @contextmanager
    def settings(self) -> Iterator[None]:
        # Every case compiles the code of Network.forward anew; the limit is meant for one model that keeps changing.
        limits = torch._dynamo.config.patch(recompile_limit=10_000, accumulated_recompile_limit=10_000)
        with warnings.catch_warnings(), limits:
            # torch's compiler imports parts of torch that torch has deprecated.
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
            yield


def keep(trace: Trace, place: object, tensors: Mapping[str, torch.Tensor]) -> None:
    """Store tensors under their full names."""
    for path, tensor in tensors.items():
        lacking = "bfloat16" if tensor.dtype == torch.bfloat16 else ""  # in NumPy
        trace.keep(f"{place}/{path}", to_numpy(tensor), lacking)


@contextmanager
def default_dtype(dtype: str) -> Iterator[None]:
    """The default dtype of somebody who computes in float64: what optimizers count and multiply up is kept in it."""
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(torch.float64 if dtype == "float64" else torch.float32)
        yield
    finally:
        torch.set_default_dtype(before)


def owner(path: str) -> str:
    """Whose gradient a path names: ``j.weight`` of ``gradient/j.weight->j``."""
    return path.partition("/")[2].partition("->")[0]


def to_torch(array: Array, dtype: str, device: str) -> torch.Tensor:
    """An array of a case as a tensor: numbers in the dtype, indices as they are."""
    tensor = torch.from_numpy(array.copy())
    return tensor.to(device, DTYPES[dtype]) if tensor.is_floating_point() else tensor.to(device)


def to_numpy(tensor: torch.Tensor) -> Array:
    """A tensor's values, copied, in C order; bfloat16 numbers as float32."""
    tensor = tensor.detach().cpu()
    return np.array((tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy(), order="C")


def gradient_of(leaf: torch.Tensor) -> torch.Tensor:
    """The gradient that has accumulated in a leaf."""
    if leaf.grad is None:
        raise contract.Altered("torch returned no gradient for a tensor that the loss depends on")
    return leaf.grad
