"""Clipping: gradients made smaller between the backward and the update, before one throws the weights far off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import ClassVar, TypeAlias

import numpy as np

from .errors import CaseError
from .layers import Array

__all__ = ["ClipByValue", "ClipByGlobalNorm"]  # noqa: RUF022 (in the order of the file)

Gradients: TypeAlias = Mapping[str, Array]
"""The gradients of all weights that are trained, by name."""


@dataclass(frozen=True)
class Clip:
    """A way of clipping, as a frozen dataclass whose fields are its hyperparameters.

    ``clipped(gradients) -> gradients``
        takes the gradients of all weights that are trained and gives as many new ones.

    Raises:
        CaseError: a limit that is not above 0.
    """

    kind: ClassVar[str]
    """The name of the clipping in a case file."""

    limit: float

    clipped: ClassVar[Callable[..., dict[str, Array]]]

    def __post_init__(self) -> None:
        if not 0 < self.limit < np.inf:
            raise CaseError("a number above 0", repr(self.limit), key="limit")


@dataclass(frozen=True)
class ClipByValue(Clip):
    """Every element on its own: ``clipped = max(-limit, min(gradient, limit))``.

    It turns the gradient, for large elements lose and small ones do not.

    Same clipping elsewhere: ``torch.nn.utils.clip_grad_value_``, optax.clip; ``clipvalue`` of Keras.

    Raises:
        CaseError: a limit that is not above 0.

    Source: Mikolov 2012, "Statistical language models based on neural networks", section 3.2.2.

    >>> ClipByValue(1.0).clipped({"w": np.array([-3.0, 0.5, 2.0])})["w"]
    array([-1. ,  0.5,  1. ])
    """

    kind: ClassVar[str] = "clip_by_value"

    def clipped(self, gradients: Gradients) -> dict[str, Array]:
        # min(a, b) is -max(-a, -b)
        return {name: np.maximum(-np.maximum(-dw, -self.limit), -self.limit) for name, dw in gradients.items()}


@dataclass(frozen=True)
class ClipByGlobalNorm(Clip):
    """All gradients together: ``clipped = gradient * limit / (norm + epsilon)`` where the norm is above the limit.

    ``norm = sqrt(sum of the squares of all elements of all gradients)``. The direction stays what it is.

    Same clipping elsewhere: ``torch.nn.utils.clip_grad_norm_``, which has the epsilon of 1e-6;
    optax.clip_by_global_norm, which has none, as tf.clip_by_global_norm. ``clipnorm`` of Keras takes the norm of each
    variable alone.

    Raises:
        CaseError: a limit that is not above 0, a negative epsilon.

    Source: Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks", algorithm 1.

    >>> clip = ClipByGlobalNorm(1.0, epsilon=0.0)
    >>> clip.clipped({"w": np.array([3.0, 0.0]), "b": np.array([4.0])})
    {'w': array([0.6, 0. ]), 'b': array([0.8])}
    """

    kind: ClassVar[str] = "clip_by_global_norm"

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.epsilon < np.inf:
            raise CaseError("a number of at least 0", repr(self.epsilon), key="epsilon")

    def clipped(self, gradients: Gradients) -> dict[str, Array]:
        norm = np.sqrt(reduce(add, [np.square(dw).sum() for dw in gradients.values()]))
        factor = self.limit / (norm + self.epsilon)
        factor = np.where(factor >= 1, np.ones_like(factor), factor)  # NaN stays NaN, and all gradients become it
        return {name: dw * factor for name, dw in gradients.items()}
