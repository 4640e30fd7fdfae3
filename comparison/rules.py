"""How others decide whether two tensors agree, to be held beside the computed tolerance on the same traces.

Each rule is the documented default of its function, applied end to end to every tensor of a run; a run is refused
where one tensor is. The formulas are written out, so that no framework need be installed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from ..reference import Trace
from ..reference.layers import Array


@dataclass(frozen=True)
class Rule:
    """One way of comparing a subject's tensor with the reference's: name, formula, and the formula as code."""

    name: str
    about: str
    agrees: Callable[[Array, Array, str], bool]


def close(own: Array, right: Array, rtol: float, atol: float, *, equal_nan: bool = True) -> bool:
    """``|own - right| <= atol + rtol |right|`` everywhere."""
    return bool(np.all(np.isclose(own, right, rtol=rtol, atol=atol, equal_nan=equal_nan)))


def torch_close(own: Array, right: Array, dtype: str) -> bool:
    rtol, atol = TORCH[dtype]
    return close(own, right, rtol, atol, equal_nan=False)


def jax_close(own: Array, right: Array, dtype: str) -> bool:
    tolerance = JAX[dtype] * right.size
    return close(own, right, tolerance, tolerance)


def jax_gradients_close(own: Array, right: Array, dtype: str) -> bool:
    tolerance = JAX_GRADIENTS[dtype] * right.size
    return close(own, right, tolerance, tolerance)


def means_close(own: Array, right: Array, dtype: str) -> bool:
    return bool(abs(np.mean(own, dtype=np.float64) - np.mean(right, dtype=np.float64)) <= MEAN)


TORCH = {"float16": (1e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}
JAX = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 1e-6, "float64": 1e-15}
JAX_GRADIENTS = {"float16": 1e-2, "bfloat16": 1e-1, "float32": 2e-3, "float64": 1e-5}
MEAN = 1e-6
FLAT = 2e-2

RULES: tuple[Rule, ...] = (
    Rule(
        "numpy.testing.assert_allclose",
        "|a - b| <= 1e-7 |b|",
        lambda own, right, dtype: close(own, right, 1e-7, 0.0),
    ),
    Rule(
        "torch.testing.assert_close",
        "|a - b| <= atol + rtol |b|; float32 1e-5 and 1.3e-6, float64 1e-7 and 1e-7",
        torch_close,
    ),
    Rule("JAX, check_close", "|a - b| <= t size (1 + |b|), t = 1e-6 in float32, 1e-15 in float64", jax_close),
    Rule(
        "JAX, gradient check",
        "|a - b| <= t size (1 + |b|), t = 2e-3 in float32, 1e-5 in float64",
        jax_gradients_close,
    ),
    Rule("mean difference", "|mean(a) - mean(b)| <= 1e-6", means_close),
    Rule("flat 2e-2", "|a - b| <= 2e-2", lambda own, right, dtype: close(own, right, 0.0, FLAT)),
)
"""The other rules, the strictest of each author's defaults first."""


def refused(right: Trace, subject: Trace) -> Mapping[str, bool]:
    """By the name of each rule, whether it refuses a subject; a tensor that is missing or misshapen refuses it."""
    with np.errstate(all="ignore"):
        return {rule.name: not all(agrees(rule, name, right, subject) for name in right) for rule in RULES}


def agrees(rule: Rule, name: str, right: Trace, subject: Trace) -> bool:
    """Whether a rule lets a tensor pass."""
    if name not in subject.tensors:
        return False
    own, expected, dtype = np.asarray(subject[name]), np.asarray(right[name]), right.dtype_of(name)
    return own.shape == expected.shape and subject.dtype_of(name) == dtype and rule.agrees(own, expected, dtype)
