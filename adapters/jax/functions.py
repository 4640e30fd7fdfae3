"""A user's ``jax.custom_vjp`` function alone: its forward, and its backward through ``jax.vjp``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from ...reference.layers import Array
from .adapter import enable_x64


def differentiated(
    function: Callable[..., Any], takes: Sequence[Array], dy: Array, dtype: str
) -> tuple[Any, list[Any | None]]:
    """What the function makes of its arguments, and the gradient with respect to each of them, if it has one."""
    with enable_x64(dtype == "float64"):
        arrays = [jnp.asarray(array, dtype if array.dtype.kind == "f" else None) for array in takes]
        y, pull_back = jax.vjp(function, *arrays)
        gradients = pull_back(jnp.asarray(dy, dtype))
        return y, [made if array.dtype.kind == "f" else None for made, array in zip(gradients, takes, strict=True)]
