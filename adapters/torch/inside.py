"""What PyTorch does inside a backward: the nodes of its autograd graph, with a hook on each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.autograd.graph import Node as GradFn
from torch.utils._python_dispatch import TorchDispatchMode

from ...reference import Case
from ...reference.layers import Array
from .. import contract
from ..inside import Inside, Passed
from .adapter import Network, default_dtype, to_numpy, to_torch
from .parts import OPTIMIZERS


def inside(case: Case) -> Inside:
    """The autograd nodes that the first batch passes on its way back, and what the optimizer calls.

    No perturbation is added: the graph is the one that anyone has who writes this network.
    """
    with torch.inference_mode(False), torch.enable_grad(), default_dtype(case.dtype):
        network = Network(case, "cpu")
        batch, share = case.batches_of(0)[0], case.shares(0)[0]
        data = {name: to_torch(a, case.dtype, "cpu") for name, a in contract.data_of(batch, case).items()}
        values, loss = network(data, {})
        owners = owners_of(case, values)
        kept = {fn: tuple(map(to_numpy, saved_by(fn))) for fn in owners}
        passed: dict[str, list[Passed]] = {}

        def watch(fn: GradFn, owner: str) -> None:
            def hook(gives: tuple[Any, ...], takes: tuple[Any, ...]) -> None:
                name = fn.name().rpartition("::")[2]
                passed.setdefault(owner, []).append(Passed(name, given(takes), given(gives), kept[fn]))

            fn.register_hook(hook)

        for fn, owner in owners.items():
            watch(fn, owner)
        contract.objective(loss, share).backward()
        backward = {owner: tuple(nodes) for owner, nodes in passed.items()}
        optimizer, update = update_of(case, network)
        return Inside(backward=backward, update=update, optimizer=optimizer)


def owners_of(case: Case, values: Mapping[str, torch.Tensor]) -> dict[GradFn, str]:
    """Which node of the case, or which loss, each node of the autograd graph belongs to.

    A node's own are those between its output and the outputs of the others.
    """
    ends = {name: value.grad_fn for name, value in values.items() if value.grad_fn is not None}
    owners: dict[GradFn, str] = {}
    for name in [*(node.name for node in case.nodes), *(term.name for term in case.losses), "loss"]:
        others = {fn for other, fn in ends.items() if other != name}
        waiting = [ends[name]] if name in ends else []
        while waiting:
            fn = waiting.pop()
            if fn in owners or fn in others:
                continue
            owners[fn] = name
            waiting += [before for before, _ in fn.next_functions if before is not None]
    return owners


def saved_by(fn: GradFn) -> Iterator[torch.Tensor]:
    """The tensors that an autograd node has kept for its backward."""
    for name in sorted(dir(fn)):
        if name.startswith("_saved_"):
            saved = getattr(fn, name)
            several = saved if isinstance(saved, tuple | list) else (saved,)
            yield from (tensor for tensor in several if isinstance(tensor, torch.Tensor))


def given(gradients: tuple[Any, ...]) -> tuple[Array, ...]:
    """The gradients among some arguments, as arrays."""
    return tuple(to_numpy(gradient) for gradient in gradients if isinstance(gradient, torch.Tensor))


class Called(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes down every operation on tensors that is called while it is entered, with the numbers it is given."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.lines: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        shown = [written(value) for value in args]
        shown += [f"{name}={written(value)}" for name, value in (kwargs or {}).items()]
        if str(func).startswith("aten."):
            self.lines.append(f"{func}({', '.join(shown)})")
        return func(*args, **(kwargs or {}))


def written(value: Any) -> str:
    """An argument: a tensor by its shape, anything else as it is."""
    if isinstance(value, torch.Tensor):
        return f"tensor[{', '.join(map(str, value.shape))}]"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(written, value))}]"
    return f"{value:.8g}" if isinstance(value, float) else str(value)


def update_of(case: Case, network: Network) -> tuple[str, tuple[str, ...]]:
    """The optimizer, and what it calls to update the first weight that is trained."""
    if not case.trained:
        return "", ()
    weight = network.shared[case.trained[0]]
    optimizer = OPTIMIZERS[case.optimizer.kind].build([weight], case.optimizer)
    for group in optimizer.param_groups:
        group["lr"] = case.learning_rates[0]
    with Called() as called:
        optimizer.step()
    kind = type(optimizer)
    options = ", ".join(
        f"{name}={value!r}" for name, value in optimizer.param_groups[0].items() if telling(name, value)
    )
    return f"torch.optim.{kind.__name__}({options})", tuple(called.lines)


def telling(name: str, value: object) -> bool:
    """Whether an option of an optimizer says something: not that it is off, and not how it is run."""
    return name not in ("params", "foreach", "maximize", "capturable", "differentiable", "fused") and bool(value)
