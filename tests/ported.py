"""Models in PyTorch and their ports, which several tests share; and recordings that no framework made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import crosscheck as cc
import numpy as np
from crosscheck.reference.trace import Model
from numpy.typing import NDArray

Arrays = Mapping[str, NDArray[Any]]


def random(*shape: int, seed: int = 0) -> NDArray[Any]:
    return np.random.default_rng([seed, *shape]).normal(size=shape)


def recording(
    source: str,
    parameters: Arrays,
    outputs: Arrays | None = None,
    gradients: Arrays | None = None,
    *,
    inputs: Arrays | None = None,
    kinds: Mapping[str, str] | None = None,
    rounding: float = 1e-15,
    updates: Arrays | None = None,
    statistics: Arrays | None = None,
    **changes: Any,
) -> cc.Trace:
    """What ``record_module`` makes, of these arrays; gradients are random, and 0 bits off, unless they are given."""
    gradients = (
        {name: random(*array.shape, seed=9) for name, array in parameters.items()} if gradients is None else gradients
    )
    tensors = {f"0/forward/{name}": array for name, array in {**(outputs or {}), "loss": np.array(0.5)}.items()}
    tensors |= {f"0/gradient/{name}": array for name, array in gradients.items()}
    tensors |= {f"0/state/{name}": array for name, array in (statistics or {}).items()}
    tensors |= {f"0/update/{name}": array for name, array in (updates or {}).items()}
    given = {f"0/initial/{name}": array for name, array in {**parameters, **(statistics or {})}.items()}
    given |= {f"0/data/{name}": array for name, array in (inputs or {"input": np.arange(3.0)}).items()}
    model = Model("Net", "float64", 1, "float64", kinds or {}, dict.fromkeys(tensors, rounding))
    return cc.Trace(source, model=replace(model, **changes), tensors=tensors, given=given)
