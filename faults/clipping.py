"""Mistakes in clipping."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from operator import add
from typing import ClassVar

import numpy as np

from ..reference import Case, Clip, ClipByGlobalNorm, ClipByValue, Operation
from ..reference.clipping import Gradients
from ..reference.layers import Array
from .base import StepFault


class ClipFault(StepFault):
    """A mistake in the clipping of the kind that ``of`` is: ``wrongly`` takes its place."""

    of: ClassVar[type[Clip]]

    @classmethod
    def sites(cls, case: Case) -> Iterator[str]:
        yield from [""] if isinstance(case.clip, cls.of) else []

    @classmethod
    def makes(cls, case: Case, site: str, operation: Operation) -> bool:
        return operation.phase == "clipped"

    def clip(self, clip: Clip) -> None:
        fault = self

        class Wrong(type(clip)):  # type: ignore[misc]
            def clipped(self, gradients: Gradients) -> dict[str, Array]:
                return fault.wrongly(clip, gradients)

        super().clip(Wrong(**vars(clip)))

    def wrongly(self, clip: Clip, gradients: Gradients) -> dict[str, Array]:
        """The gradients, clipped as they should not be."""
        raise NotImplementedError


class ClippedEachAlone(ClipFault):
    """Every gradient is clipped by its own norm, where the norm of all of them together is meant.

    The loop over the parameters has both in it, the norm and the scaling. Large tensors are made smaller, small ones
    stay, and the direction of the step turns.
    """

    wrong = ("clipping",)
    of = ClipByGlobalNorm

    def wrongly(self, clip: Clip, gradients: Gradients) -> dict[str, Array]:
        return {name: clip.clipped({name: dw})[name] for name, dw in gradients.items()}


class ScaledBelowTheLimit(ClipFault):
    """The gradients are scaled to the limit whether or not their norm is above it.

    ``limit / norm`` is written without its ``min(1, ...)``. Large gradients are clipped as they should be; small ones,
    near a minimum, are blown up, and the weights never come to rest.
    """

    wrong = ("clipping",)
    of = ClipByGlobalNorm

    def wrongly(self, clip: Clip, gradients: Gradients) -> dict[str, Array]:
        norm = np.sqrt(reduce(add, [np.square(dw).sum() for dw in gradients.values()]))
        return {name: dw * (clip.limit / norm) for name, dw in gradients.items()}


class ClippedAboveOnly(ClipFault):
    """Large gradients are made smaller, and large negative ones are not.

    ``minimum(gradient, limit)`` is half of the clipping. What is far below 0 goes through, and the weights drift to one
    side.
    """

    wrong = ("clipping",)
    of = ClipByValue

    def wrongly(self, clip: Clip, gradients: Gradients) -> dict[str, Array]:
        return {name: -np.maximum(-dw, -clip.limit) for name, dw in gradients.items()}


class DroppedBeyondTheLimit(ClipFault):
    """What is beyond the limit becomes 0 instead of the limit.

    A mask of what is small enough is multiplied in, as for an outlier that one wants to be rid of. The largest
    elements, which matter most, are not learned from at all.
    """

    wrong = ("clipping",)
    of = ClipByValue

    def wrongly(self, clip: Clip, gradients: Gradients) -> dict[str, Array]:
        return {name: np.where(np.abs(dw) <= clip.limit, dw, np.zeros_like(dw)) for name, dw in gradients.items()}
