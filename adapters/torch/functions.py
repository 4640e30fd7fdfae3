"""A user's ``torch.autograd.Function`` alone: its forward, and its backward through automatic differentiation."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...reference.layers import Array
from .adapter import to_torch


def differentiated(
    function: type[torch.autograd.Function], takes: Sequence[Array], dy: Array, dtype: str
) -> tuple[torch.Tensor, list[torch.Tensor | None]]:
    """What the function makes of its arguments, and the gradient with respect to each of them, if it has one."""
    tensors = [to_torch(array, dtype, "cpu") for array in takes]
    floating = [tensor.requires_grad_() for tensor in tensors if tensor.is_floating_point()]
    y: torch.Tensor = function.apply(*tensors)  # type: ignore[no-untyped-call]
    gradients = iter(torch.autograd.grad(y, floating, to_torch(dy, dtype, "cpu"), allow_unused=True))
    return y, [next(gradients) if tensor.is_floating_point() else None for tensor in tensors]
