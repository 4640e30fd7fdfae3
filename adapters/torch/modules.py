"""A ``torch.nn.Module`` of somebody's own, recorded."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, ClassVar, TypeAlias

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from ...reference.errors import CaseError
from .. import modules
from ..modules import Place, Ran, Start, Watcher, arguments, least_precise, names_of, value_of, watching
from .adapter import DTYPES, default_dtype, to_numpy, to_torch

Factory: TypeAlias = Callable[[Iterable[nn.Parameter]], torch.optim.Optimizer]


class TorchModule(modules.Recorder):
    """A module in the mode that it is in; every run has a copy of it."""

    source: ClassVar[str] = "torch"

    def __init__(self, module: nn.Module, loss: Callable[..., torch.Tensor], optimizer: Factory | None) -> None:
        self.module, self.loss, self.optimizer = module, loss, optimizer
        self.name = type(module).__name__
        self.kinds = {path: type(child).__name__ for path, child in module.named_modules()}
        self.parameters = {name: to_numpy(one) for name, one in module.named_parameters()}
        self.statistics = {name: to_numpy(one) for name, one in module.named_buffers()}
        self.device = next((one.device for one in module.parameters()), torch.device("cpu"))

    @staticmethod
    def takes(model: object) -> bool:
        """Whether it can record a model."""
        return isinstance(model, nn.Module)

    def environment(self) -> dict[str, Any]:
        return {
            "version": torch.__version__,
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else self.device.type,
            "threads": torch.get_num_threads(),
        }

    def run(self, start: Start, dtype: str, steps: int, *, first: bool = False) -> Ran:
        with torch.inference_mode(False), torch.enable_grad(), default_dtype(dtype), same_random_numbers(self.device):
            module = self.copied(start, dtype)
            optimizer = (
                self.optimizer([one for one in module.parameters() if one.requires_grad]) if self.optimizer else None
            )
            inputs, targets = (
                {n: to_torch(a, dtype, str(self.device)) for n, a in given.items()}
                for given in (start.inputs, start.targets)
            )
            ran, seen = Ran(), Precision()
            with seen if first else nullcontext():
                for step in range(steps):
                    made, ran.unseen = self.step(module, optimizer, inputs, targets)
                    ran.tensors |= {f"{step}/{path}": to_numpy(tensor) for path, tensor in made.items()}
            ran.precision = least_precise(seen.dtypes) if first else dtype
        return ran

    def copied(self, start: Start, dtype: str) -> nn.Module:
        """The module in the dtype, with the parameters and buffers of the start and without gradients."""
        try:
            module = copy.deepcopy(self.module)
        except Exception as error:
            raise CaseError("a module that can be copied", f"{self.name}: {error}", key="module") from None
        module = module.to(DTYPES[dtype])
        with torch.no_grad():
            for name, one in (*module.named_parameters(), *module.named_buffers()):
                one.copy_(torch.from_numpy({**start.parameters, **start.statistics}[name].copy()))
                one.grad = None
        return module

    def step(
        self,
        module: nn.Module,
        optimizer: torch.optim.Optimizer | None,
        inputs: Mapping[str, torch.Tensor],
        targets: Mapping[str, torch.Tensor],
    ) -> tuple[dict[str, torch.Tensor], tuple[str, ...]]:
        """One training step, by ``PHASE/NAME``, and whose outputs were not seen."""
        module.zero_grad()
        inputs = {name: leaf(one) if one.is_floating_point() else one for name, one in inputs.items()}
        watcher = Hooks()
        with watching(watcher), watcher.on(module):
            placed, by_key = arguments(inputs)
            output = module(*placed, **by_key)
        loss = self.loss(output, *([value_of(targets)] if targets else []))
        if not isinstance(loss, torch.Tensor) or loss.numel() != 1 or not loss.requires_grad:
            raise CaseError("a loss that gives one number, which depends on the parameters", shown(loss), key="loss")
        names = names_of(watcher.values)
        made = {f"forward/{names[place]}": value for place, value in watcher.values.items()}
        made["forward/loss"] = loss.detach().reshape(()).clone()
        torch.autograd.backward(loss.sum())
        zeros = {names[place]: zero for place, zero in reversed(watcher.zeros.items())}
        made |= gradients("backward", {**zeros, **inputs})
        parameters = dict(module.named_parameters())
        made |= gradients("gradient", parameters)
        made |= {f"state/{name}": one.detach().clone() for name, one in module.named_buffers()}
        if optimizer is not None:
            optimizer.step()
            made |= {f"update/{name}": one.detach().clone() for name, one in parameters.items()}
        seen = {place.path for place in watcher.values}
        return made, tuple(path for path in self.kinds if path not in seen)


class Hooks(Watcher):
    """Sees outputs by hooks, and adds to each a leaf of zeros."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[Place, torch.Tensor] = {}
        self.zeros: dict[Place, torch.Tensor] = {}

    def perturbed(self, place: Place, value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        self.values[place] = value.detach().clone()  # what comes next may write into it
        if not value.is_floating_point():
            return value
        self.zeros[place] = torch.zeros_like(value, requires_grad=True)
        return value + self.zeros[place]

    @contextmanager
    def on(self, module: nn.Module) -> Iterator[None]:
        """The hooks are on the module and on every submodule meanwhile."""

        def hook(path: str) -> Callable[..., Any]:
            return lambda _, args, output: self.saw(path, output)

        handles = [child.register_forward_hook(hook(path)) for path, child in module.named_modules()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()


class Precision(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sees the dtype of all that any operation makes."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.dtypes: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for one in made if isinstance(made, tuple | list) else (made,):
            if isinstance(one, torch.Tensor):
                self.dtypes.add(str(one.dtype).removeprefix("torch."))
        return made


@contextmanager
def same_random_numbers(device: torch.device) -> Iterator[None]:
    """Raise CaseError if random numbers were drawn; the generator is as before in any case."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        before = torch.random.get_rng_state()
        yield
        if not torch.equal(before, torch.random.get_rng_state()):
            expected = "a module that draws no random numbers (dropout: module.eval(), or p = 0)"
            raise CaseError(expected, "one that does, in the mode that it is in", key="module")


def leaf(tensor: torch.Tensor) -> torch.Tensor:
    """A tensor whose gradient is wanted."""
    return tensor.detach().clone().requires_grad_()


def gradients(phase: str, leaves: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What has accumulated in some leaves; those that the loss does not depend on have none."""
    return {f"{phase}/{name}": one.grad.clone() for name, one in leaves.items() if one.grad is not None}


def shown(loss: Any) -> str:
    """What a loss gave that it should not."""
    return f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, torch.Tensor) else type(loss).__name__
