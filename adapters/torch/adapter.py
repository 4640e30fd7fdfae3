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

from ...reference import Case, Node, Trace
from ...reference.layers import Array, Shape
from .. import contract
from .parts import LAYERS, LOSSES, OPTIMIZERS, build_layer, build_loss, recurrent

DTYPES = {"float16": torch.float16, "float32": torch.float32, "float64": torch.float64}

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
        self.loss = build_loss(case.loss)
        self.shared: dict[str, nn.Parameter] = {}
        self.statistics: dict[str, torch.Tensor] = {}
        self.transposed: set[str] = set()
        for node, module in zip(case.nodes, self.layers, strict=True):
            part = LAYERS[node.layer.kind]
            for local, name in node.parameters.items():
                own = part.names.get(local, local)
                setattr(module, own, self.shared.setdefault(name, getattr(module, own)))
                if local in part.transposed:
                    self.transposed.add(name)
            self.statistics |= {name: getattr(module, local) for local, name in node.statistics.items()}
        with torch.no_grad():
            for name, held in self.held.items():
                weight = torch.from_numpy(case.weights[name].copy())
                held.copy_(weight.T if name in self.transposed else weight)

    def forward(
        self, x: torch.Tensor, target: torch.Tensor, zeros: Mapping[str, torch.Tensor]
    ) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """The output of every node and the loss, with the perturbations added."""
        values, prediction = contract.forward(self.case, x, self.shared, zeros, self.apply_node)
        return values, self.loss(prediction, target)

    @property
    def held(self) -> dict[str, torch.Tensor]:
        """Every parameter and every statistic, under its name in the case."""
        return {**self.shared, **self.statistics}

    def apply_node(self, node: Node, inputs: list[torch.Tensor], params: dict[str, torch.Tensor]) -> torch.Tensor:
        module = self.layers[self.index[node.name]]
        names = LAYERS[node.layer.kind].names
        own = {names.get(local, local): value for local, value in params.items()}
        perturbed = {name: value for name, value in own.items() if value is not getattr(module, name)}
        if perturbed:
            return torch.func.functional_call(module, perturbed, tuple(inputs))  # type: ignore[no-any-return]
        return module(*inputs)  # type: ignore[no-any-return]

    def as_case(self, name: str, tensor: torch.Tensor) -> Array:
        """A tensor that belongs to a parameter, in the layout of the case."""
        return to_numpy(tensor.T if name in self.transposed and tensor.ndim == 2 else tensor)

    def as_torch(self, name: str, shape: Shape) -> Shape:
        """The shape, in the layout of the module, of a tensor that belongs to a parameter."""
        return shape[::-1] if name in self.transposed else shape


class Torch(contract.Adapter):
    """PyTorch as it runs by itself: operation by operation."""

    name: ClassVar[str] = "torch"
    dtypes: ClassVar[frozenset[str]] = frozenset(DTYPES)
    parts: ClassVar[Mapping[str, contract.Part]] = {**LAYERS, **LOSSES, **OPTIMIZERS}

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
                layouts.setdefault(name, set()).add(local in LAYERS[node.layer.kind].transposed)
        both = [name for name, layout in layouts.items() if len(layout) > 1]
        return f"torch's modules keep {both[0]!r} in two layouts, and cannot share it" if both else ""

    def run(self, case: Case, device: str) -> Trace:
        with torch.inference_mode(False), torch.enable_grad(), self.settings():
            return self.train(case, device)

    def train(self, case: Case, device: str) -> Trace:
        """The ordinary training loop of PyTorch, every tensor of it kept."""
        network = Network(case, device)
        contract.require_read_back(case, lambda name: network.as_case(name, network.held[name]), self.name)
        part = OPTIMIZERS[case.optimizer.kind]
        optimizer = part.build([network.shared[name] for name in case.trained], case.optimizer)
        forward = self.forward(network)
        trace = Trace()
        for step, rate in enumerate(case.learning_rates):
            batch = case.batch(step)
            x = torch.from_numpy(batch.inputs.copy()).to(device)
            target = torch.from_numpy(batch.targets.copy()).to(device)
            zeros = {
                path: torch.zeros(
                    network.as_torch(owner(path), shape), dtype=DTYPES[case.dtype], device=device, requires_grad=True
                )
                for path, shape in contract.perturbations(case, batch.inputs.shape).items()
            }
            for group in optimizer.param_groups:
                group["lr"] = rate
            network.zero_grad()
            values, loss = forward(x, target, zeros)
            statistics = {name: to_numpy(statistic) for name, statistic in network.statistics.items()}
            loss.backward()  # type: ignore[no-untyped-call]
            if step == 0:
                self.require_unperturbed(network, forward, x, target)
            optimizer.step()

            def keep(path: str, array: Array, step: int = step) -> None:
                trace.keep(f"{step}/{path}", array)

            for name, value in values.items():
                keep(f"forward/{name}", to_numpy(value))
            for name, statistic in statistics.items():
                keep(f"state/{name}", statistic)
            keep("forward/loss", to_numpy(loss))
            for path, zero in zeros.items():
                keep(path, network.as_case(owner(path), gradient_of(zero)))
            for name, parameter in network.shared.items():
                keep(f"gradient/{name}", network.as_case(name, gradient_of(parameter)))
            for name in case.trained:
                parameter = network.shared[name]
                for slot, key in part.slots.items():
                    held = optimizer.state[parameter].get(key)
                    if held is not None:
                        keep(f"state/{name}.{slot}", network.as_case(name, held.to(parameter.dtype)))
                keep(f"update/{name}", network.as_case(name, parameter))
        return trace

    def forward(self, network: Network) -> Forward:
        """What computes the outputs and the loss."""
        return network

    @contextmanager
    def settings(self) -> Iterator[None]:
        """Settings of the process that a run needs, undone at its end."""
        yield

    def require_unperturbed(self, network: Network, forward: Forward, x: torch.Tensor, target: torch.Tensor) -> None:
        """Raise Altered unless a run without perturbations has the same gradients. Statistics are put back."""
        before = {name: statistic.clone() for name, statistic in network.statistics.items()}
        _, loss = forward(x, target, {})
        plain = torch.autograd.grad(loss, list(network.shared.values()))
        for name, statistic in network.statistics.items():
            statistic.copy_(before[name])
        gradients = dict(zip(network.shared, map(to_numpy, plain), strict=True))
        scale = contract.largest(gradients.values())
        for name, gradient in gradients.items():
            found = to_numpy(gradient_of(network.shared[name]))
            contract.require_unperturbed(name, gradient, found, self.name, scale=scale)


class TorchCompile(Torch):
    """PyTorch compiled as one graph: ``torch.compile(module, fullgraph=True)``."""

    name: ClassVar[str] = "torch.compile"

    def problem(self) -> str:
        compiler = os.environ.get("CXX")
        found = any(map(shutil.which, [compiler] if compiler else ["g++", "clang++"]))
        return "" if found else "torch.compile needs a C++ compiler (g++ or clang++, or the one that CXX names)"

    def limits(self, case: Case) -> str:
        for node in case.nodes:
            if node.layer.kind in recurrent.LAYERS:
                return f"torch.compile takes no recurrent module into its graph, as {node.name!r} is"
        return super().limits(case)

    def forward(self, network: Network) -> Forward:
        return torch.compile(network, fullgraph=True)

    @contextmanager
    def settings(self) -> Iterator[None]:
        # Every case compiles the code of Network.forward anew; the limit is meant for one model that keeps changing.
        limits = torch._dynamo.config.patch(recompile_limit=10_000, accumulated_recompile_limit=10_000)
        with warnings.catch_warnings(), limits:
            # torch's compiler imports parts of torch that torch has deprecated.
            warnings.filterwarnings("ignore", category=DeprecationWarning, module="torch")
            yield


def owner(path: str) -> str:
    """Whose gradient a path names: ``j.weight`` of ``gradient/j.weight->j``."""
    return path.partition("/")[2].partition("->")[0]


def to_numpy(tensor: torch.Tensor) -> Array:
    """A tensor's values, copied, in C order."""
    return np.array(tensor.detach().cpu().numpy(), order="C")


def gradient_of(leaf: torch.Tensor) -> torch.Tensor:
    """The gradient that has accumulated in a leaf."""
    if leaf.grad is None:
        raise contract.Altered("torch returned no gradient for a tensor that the loss depends on")
    return leaf.grad
