"""Figures of arrays that may be larger than memory: window by window, and what they come to together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from .figures import Figures


def joined(parts: Sequence[tuple[int, Figures]], shape: tuple[int, ...]) -> Figures:
    """The figures of an array, from those of its windows and the positions at which they begin.

    The worst element is that of the window whose worst is the worst.
    """
    if len(parts) == 1:
        return parts[0][1]
    every = [figures for _, figures in parts]
    start, worst = max(parts, key=lambda part: (part[1].sigmas, part[1].would_pass))
    (position,) = worst.worst_index or (0,)
    return replace(
        worst,
        elements=sum(figures.elements for figures in every),
        agrees=all(figures.agrees for figures in every),
        max_abs=max(figures.max_abs for figures in every),
        max_rel=max(figures.max_rel for figures in every),
        max_ulp=max(figures.max_ulp for figures in every),
        mismatched=sum(figures.mismatched for figures in every),
        nan=(sum(figures.nan[0] for figures in every), sum(figures.nan[1] for figures in every)),
        inf=(sum(figures.inf[0] for figures in every), sum(figures.inf[1] for figures in every)),
        worst_index=tuple(int(at) for at in np.unravel_index(start + position, shape)),
    )
