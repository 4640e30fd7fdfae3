"""How much a run computes: ordinary arrays that count the multiply-adds of their matrix products."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from ..reference import Case, train
from ..reference.layers import Array
from ..reference.trace import is_given
from .base import Rule, raw
from .poison import Poison


def multiply_adds(case: Case) -> int:
    """The multiply-adds of all matrix products of a run of the case, counted by running it.

    >>> from crosscheck.cases import load_case
    >>> multiply_adds(load_case("article"))  # 36 weights; forward, to the weights and to the inputs
    108
    """
    count = 0

    def matmul(cls: type[Poison], a: Any, b: Any) -> Any:
        nonlocal count
        product = np.matmul(raw(a), raw(b))
        count += product.size * raw(a).shape[-1]
        return cls.of(product)

    class Counting(Poison):
        RULES: ClassVar[Mapping[str, Rule]] = {**Poison.RULES, "matmul": matmul}

    def keep(name: str, made: Array) -> Array:
        if is_given(name):
            lifted: Array = Counting.lift(made)
            return lifted
        return made

    with np.errstate(all="ignore"):
        train(case, keep)
    return count
