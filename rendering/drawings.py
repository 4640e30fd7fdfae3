"""Drawings of a tensor's elements, as SVG: heat maps, a histogram of the errors, a map of NaN and infinities.

Matplotlib draws them, by its objects alone: no backend is chosen and no setting of the process is changed. What it
draws is the same every time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import matplotlib
import numpy as np
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..reference.layers import Array
from .elements import Elements

SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "crosscheck",
    "svg.image_inline": True,
    "font.size": 9.0,
}
"""Text stays text, in a font of the viewer; the identifiers in a drawing are the same every time."""
SIZE = (3.6, 2.5)
"""Width and height of a drawing in inches."""
FINEST = 96
"""How many cells a heat map has at most in either direction."""
MANY = 40
"""Up to so many elements in a bar, bars are as long as the counts; beyond, as their logarithms."""
INK, PALE, GOOD, OFF, BAD = "#1b1f24", "#d5d9df", "#136c2e", "#0a56b0", "#ab1220"
SIGNED, ERRORS = "RdBu_r", "PuOr_r"
NOT_FINITE = {
    "finite in both": "#eef0f3",
    "NaN in both": "#c9b458",
    "the same infinity in both": "#8fb3d9",
    "NaN in the subject alone": "#ab1220",
    "NaN in the reference alone": "#e07a5f",
    "infinity in one alone": "#5b2a86",
}
"""What an element may be, and how it is drawn."""


@dataclass(frozen=True)
class Drawing:
    """A drawing with its heading, and what it shows in words."""

    heading: str
    svg: bytes
    words: str


def drawings(elements: Elements) -> list[Drawing]:
    """What there is to be seen of a tensor: of one without elements nothing, of one of another shape both sides."""
    settings: Any = {name: value for name, value in matplotlib.rcParamsDefault.items() if name != "backend"}
    settings |= SETTINGS
    if not all(array.size for array in elements.both):
        return []
    with matplotlib.rc_context(settings):
        return list(drawn_of(elements) if elements.arrays.paired else sides_of(elements))


def drawn_of(elements: Elements) -> Iterator[Drawing]:
    """The same, of a tensor that has some, under the settings of here."""
    picked, where = cells(elements.sigmas)
    reference, subject, difference = (
        np.asarray(array, np.float64).ravel()[picked]
        for array in (elements.arrays.reference, elements.arrays.subject, elements.difference)
    )
    off = float(np.nanmax(np.abs(difference), initial=0))
    yield from heat_maps((reference, where), (subject, where))
    yield Drawing(
        "Subject − reference",
        heat_map(difference, off, ERRORS),
        f"Heat map of the difference, {where}; the largest is {off:.3g}.",
    )
    over = int((elements.sigmas > elements.limit).sum())
    yield Drawing(
        "Error in sigma",
        histogram(elements.sigmas.ravel(), elements.limit),
        f"Histogram of the error of each element in sigma: {over} of {elements.sigmas.size} are beyond "
        f"the {elements.limit:g} that are allowed.",
    )
    if elements.patterned:
        kinds = patterns(elements)
        counts = [(int((kinds == place).sum()), kind) for place, kind in enumerate(NOT_FINITE)]
        counted = ", ".join(f"{count} {kind}" for count, kind in counts if count)
        yield Drawing("NaN and infinity", pattern_map(kinds.ravel()[picked]), f"Map of the elements: {counted}.")


def sides_of(elements: Elements) -> Iterator[Drawing]:
    """The same of a tensor whose shape is another than the reference's: nothing stands beside anything."""
    flat = [np.asarray(array, np.float64).ravel() for array in elements.both]
    places = [cells(np.abs(np.asarray(array, np.float64))) for array in elements.both]
    yield from heat_maps(*((array[picked], where) for array, (picked, where) in zip(flat, places, strict=True)))


def heat_maps(reference: tuple[Array, str], subject: tuple[Array, str]) -> Iterator[Drawing]:
    """Both sides with what each cell shows, in the same colours."""
    largest = max(float(np.abs(array[np.isfinite(array)]).max(initial=0)) for array, _ in (reference, subject))
    for heading, (array, where) in (("Reference", reference), ("Subject", subject)):
        yield Drawing(heading, heat_map(array, largest, SIGNED), f"Heat map of the {heading.lower()}, {where}.")


def cells(sigmas: Array) -> tuple[Array, str]:
    """Which element each cell of a heat map shows, and that in words.

    The last axis runs to the right, all others downwards. Of a tensor with too many elements each cell shows the worst
    of a block.
    """
    columns = sigmas.shape[-1] if sigmas.ndim > 1 else sigmas.size
    rows = sigmas.size // columns
    flat = np.arange(sigmas.size).reshape(rows, columns)
    high, wide = -(-rows // FINEST), -(-columns // FINEST)
    if high == wide == 1:
        return flat, f"{rows} × {columns}"
    down, right = -(-rows // high), -(-columns // wide)
    padded = np.full((down * high, right * wide), -1)
    padded[:rows, :columns] = flat
    blocks = padded.reshape(down, high, right, wide).transpose(0, 2, 1, 3).reshape(down, right, high * wide)
    badness = np.where(blocks < 0, -1, sigmas.ravel()[blocks])
    picked = np.take_along_axis(blocks, badness.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    return picked, f"{rows} × {columns}, of which each cell shows the worst of {high} × {wide} elements"


def heat_map(array: Array, largest: float, colours: str) -> bytes:
    """A heat map whose colours go from minus the largest magnitude to plus; what is not finite is hatched out."""
    figure = Figure(figsize=SIZE)
    axes = figure.add_axes((0.11, 0.1, 0.68, 0.86), facecolor=PALE)
    scale = largest or 1.0
    shown = np.ma.masked_invalid(array)
    with np.errstate(all="ignore"):
        axes.imshow(shown / scale, cmap=colours, vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    few_ticks(axes, array.shape)
    bar = figure.add_axes((0.82, 0.1, 0.035, 0.86))
    bar.imshow(np.linspace(1, -1, 64)[:, None], cmap=colours, aspect="auto", extent=(0, 1, -1, 1))
    bar.set_axis_off()
    for height, text in ((0.1, f"{-largest:.2g}"), (0.53, "0"), (0.96, f"{largest:.2g}")):
        figure.text(0.865, height, text, verticalalignment="center")
    return drawn(figure)


def pattern_map(kinds: Array) -> bytes:
    """A map of which elements are NaN or infinite, and on which side."""
    figure = Figure(figsize=SIZE)
    axes = figure.add_axes((0.11, 0.36, 0.86, 0.6))
    colours = list(NOT_FINITE.values())
    axes.imshow(
        kinds, cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, aspect="auto", interpolation="nearest"
    )
    few_ticks(axes, kinds.shape)
    for place, (kind, colour) in enumerate(NOT_FINITE.items()):
        left, low = 0.02 + 0.47 * (place % 2), 0.2 - 0.08 * (place // 2)
        figure.add_artist(Rectangle((left, low), 0.03, 0.045, facecolor=colour, edgecolor=INK, lw=0.5))
        figure.text(left + 0.04, low + 0.005, kind, fontsize=7.5)
    return drawn(figure)


def patterns(elements: Elements) -> Array:
    """Of each element, which of ``NOT_FINITE`` it is."""
    reference, subject = np.asarray(elements.arrays.reference), np.asarray(elements.arrays.subject)
    nan = np.isnan(reference), np.isnan(subject)
    same = np.isinf(reference) & (reference == subject)
    infinite = np.isinf(reference) | np.isinf(subject)
    conditions = [nan[0] & nan[1], same, nan[1] & ~nan[0], nan[0] & ~nan[1], infinite & ~same]
    return np.select(conditions, range(1, 6), 0)


def histogram(sigmas: Array, limit: float) -> bytes:
    """How many elements are off by how many sigmas; those that are exact and those that are infinitely off apart."""
    figure = Figure(figsize=SIZE)
    axes = figure.add_axes((0.15, 0.19, 0.82, 0.76))
    finite = sigmas[np.isfinite(sigmas) & (sigmas > 0)]
    low = min(-2, int(np.floor(np.log10(finite.min(initial=1)))))
    high = max(2, int(np.ceil(np.log10(finite.max(initial=1)))))
    bins = np.linspace(low, high, 25)
    width = float(bins[1] - bins[0])
    counts, _ = np.histogram(np.log10(finite), bins)
    beyond = bins[:-1] >= np.log10(limit)
    axes.bar(bins[:-1], counts, width, align="edge", color=np.where(beyond, BAD, OFF).tolist())
    ends, apart = (low - 3 * width, high + 3 * width), [int((sigmas == 0).sum()), int(np.isinf(sigmas).sum())]
    axes.bar(ends, apart, 2 * width, color=[GOOD, BAD])
    axes.axvline(float(np.log10(limit)), color=INK, linestyle="--", linewidth=1)
    spread = [power for power in range(low + 1, high) if power % max(1, (high - low) // 4) == 0]
    axes.set_xticks([ends[0], *spread, ends[1]], ["0", *(f"1e{power}" for power in spread), "∞"])
    most = max(*counts, *apart)
    if most > MANY:
        axes.set_yscale("symlog", linthresh=1)
        powers = [10**power for power in range(int(np.log10(most)) + 1)]
        axes.set_yticks([0, *powers], ["0", *map(str, powers)], minor=False)
        axes.minorticks_off()
    else:
        axes.set_yticks(range(0, most + 1, max(1, most // 4)))
    axes.set_xlabel(f"sigma; {limit:g} are allowed (dashed)")
    axes.set_ylabel("elements")
    axes.spines[["top", "right"]].set_visible(False)
    return drawn(figure)


def few_ticks(axes: Any, shape: tuple[int, ...]) -> None:
    """The first and the last place of each axis, and those between where they are few."""
    for axis, size in ((axes.yaxis, shape[0]), (axes.xaxis, shape[1])):
        axis.set_ticks(list(range(size)) if size <= 8 else [0, size - 1])
    axes.tick_params(length=2)


def drawn(figure: Figure) -> bytes:
    """A figure as SVG."""
    figure.patch.set_facecolor("white")
    file = BytesIO()
    figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    return file.getvalue()
