"""Known mistakes of hand-written backpropagation, updates and ports, as the reference with one thing wrong.

They are planted in tests, replayed to find the cause of a disagreement, and shown. ``faults_of`` has every one at
every site of a case where it can happen; ``record`` runs the case with it.
"""

from __future__ import annotations

from ..reference import Case
from ..reference.step import Start
from . import (
    activations,
    affine,
    attention,
    classes,
    clipping,
    convolution,
    dropout,
    gated,
    hard,
    layers,
    losses,
    matrices,
    moments,
    momentum,
    normalisation,
    optimizers,
    pairs,
    pooling,
    positions,
    rectifiers,
    recurrent,
    signs,
    softmax,
    squares,
    steps,
    structure,
)
from .base import Fault, Mistake, record
from .conventions import conventions_of

FAMILIES = (
    *(layers, affine, convolution, pooling, structure, attention, positions, recurrent, normalisation, dropout),
    *(activations, rectifiers, hard, gated, softmax),
    *(losses, classes, pairs, clipping),
    *(optimizers, momentum, squares, moments, signs, matrices, steps),
)

FAULTS: dict[str, type[Mistake]] = {
    mistake.name(): mistake
    for module in FAMILIES
    for mistake in vars(module).values()
    if isinstance(mistake, type) and issubclass(mistake, Mistake) and mistake.__module__ == module.__name__
    if mistake.wrong
}
"""Every mistake by its name. The class has its number, its docstring says what it is."""


def faults_of(case: Case) -> list[Fault]:
    """Every mistake at every site of the case where it can happen and makes a difference.

    >>> import crosscheck as cc
    >>> [str(fault) for fault in faults_of(cc.load_case("article")) if fault.site == "j.relu"]
    ['upstream_forgotten at j.relu', 'input_gradient_negated at j.relu', 'path_cut at j.relu', \
'relu_mask_includes_zero at j.relu', 'relu_mask_of_the_output at j.relu', 'relu_mask_of_the_gradient at j.relu']
    """
    return [fault for mistake in FAULTS.values() for fault in mistake.faults(case)]


__all__ = [
    "FAULTS",
    "Fault",
    "Mistake",
    "Start",
    "conventions_of",
    "faults_of",
    "record",
]
