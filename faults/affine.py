"""Mistakes in layers that are linear in their weight: dense and embedding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..reference import Case, Operation
from ..reference.layers import Array, Bilinear, Dense, Embedding, Parameters, Shape
from .base import Fault, LayerFault, done

Gradients: TypeAlias = tuple[Array, dict[str, Array]]


class WeightGradientTransposed(LayerFault, Dense):
    """The weight gradient is ``dy.T @ x``, the transpose of what it should be.

    Half of all libraries keep weights as (O, I), and formulas are copied from one half to the other. Where a layer is
    as wide as the one before, nothing complains of the shape.
    """

    number = 9
    wrong = ("backward",)
    question = "Which index of the weight belongs to the layer's input, and which to its output?"
    experiment = (
        "Let the layer be wider than the one before it, and compare the shapes of the weight and of its gradient."
    )

    @classmethod
    def possible(cls, layer: Dense, *inputs: Shape) -> bool:
        return layer.inputs == layer.outputs > 1

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, x, params)
        return dx, {**dparams, "weight": dparams["weight"].T}


class WeightNotTransposed(LayerFault, Dense):
    """The gradient is sent back through the weight as it stands, ``dx = dy @ weight``, not through its transpose.

    The forward's product is repeated with dy for x. Only between layers of equal width do the shapes allow it, and the
    layer's own gradients are right: those of all layers before it are not.
    """

    number = 9
    wrong = ("backward",)
    question = "The forward sums over one index of the weight. Over which does the way back?"
    experiment = "Let the layer be wider than the one before it: does the product still fit?"

    @classmethod
    def possible(cls, layer: Dense, *inputs: Shape) -> bool:
        return layer.inputs == layer.outputs > 1

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        return super().backward(dy, x, {**params, "weight": params["weight"].T})


class BiasAlongTheRows(LayerFault, Dense):
    """The bias is added as a column, one number for each row of the batch: ``y = x @ weight + bias[:, None]``.

    A bias kept as (O, 1), as for column vectors, is broadcast the wrong way over a batch of rows. Only a batch with as
    many rows as the layer has outputs goes through, and there it is silent.
    """

    wrong = ("forward", "backward")
    question = "How many numbers has the bias, and along which axis does it lie?"
    experiment = "Set the weights to 0 and look at the output of two rows: what should be alike?"

    @classmethod
    def possible(cls, layer: Dense, *inputs: Shape) -> bool:
        return layer.bias and inputs[0][-2] == layer.outputs > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        return x @ self.laid_out(params["weight"]) + params["bias"][:, None], x

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, x, params)
        by_row = dy.reshape(-1, *dy.shape[-2:]).sum(axis=0)
        return dx, {**dparams, "bias": by_row.sum(axis=-1)}


class BiasGradientNotSummed(LayerFault, Dense):
    """The bias gradient keeps a row for each example: ``dbias = dy``, not summed over them.

    The bias was broadcast over the rows, and its gradient is what each of them sends back, added up. Where nothing
    checks shapes the update is broadcast as well: the bias becomes a matrix with a row for each example, every
    forward with a batch of that size goes on working, and each example learns an offset of its own.
    """

    number = 4
    wrong = ("backward", "update", "forward")
    question = "The bias is added to every row. What becomes of the gradients of all these uses?"
    experiment = "Print the shape of the gradient beside that of the bias, for one row and for three."

    @classmethod
    def possible(cls, layer: Dense, *inputs: Shape) -> bool:
        # With more axes the next forward, which takes all rows at once, could not add a matrix.
        return layer.bias and len(inputs[0]) == 2

    @classmethod
    def faults(cls, case: Case) -> Iterator[Fault]:
        biases = {node.name: node.parameters["bias"] for node in case.nodes if "bias" in node.parameters}
        # With a batch of another size the next forward, with its matrix for a bias, would not be possible.
        # And a gradient of another shape would make the clipping wrong too.
        if len({batch.inputs.shape for batch in case.batches}) == 1 and case.clip is None:
            for fault in super().faults(case):
                if len(case.uses[biases[fault.site]]) == 1:
                    yield replace(fault, makes=partial(cls.makes, fault.site, biases[fault.site]))

    @staticmethod
    def makes(site: str, bias: str, operation: Operation) -> bool:
        """Whether it makes the operation wrong: the backward, the update, and the next forward with what came of it."""
        step, what, of = done(operation)
        return (what, of) in (("backward", site), ("update", bias)) or (step > 0 and (what, of) == ("forward", site))

    def backward(self, dy: Array, x: Array, params: Parameters) -> Gradients:
        dx, dparams = super().backward(dy, x, params)
        return dx, {**dparams, "bias": dy}


class BilinearWeightTransposed(LayerFault, Bilinear):
    """The inputs have changed places: ``y[o] = x2 @ weight[o] @ x1``.

    A weight that was kept as (O, I2, I1) elsewhere is read as it stands. Forward and backward fit each other, and where
    both inputs are equally wide nothing complains; only weights from elsewhere give something else.
    """

    number = 9
    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Bilinear, *inputs: Shape) -> bool:
        return layer.first == layer.second > 1

    def forward(self, x1: Array, x2: Array, params: Parameters) -> tuple[Array, Any]:
        return super().forward(x1, x2, with_transposed(params))

    def backward(self, dy: Array, saved: Any, params: Parameters) -> tuple[Any, dict[str, Array]]:
        dx, dparams = super().backward(dy, saved, with_transposed(params))
        return dx, with_transposed(dparams)


class BilinearWeightNotTransposed(LayerFault, Bilinear):
    """Both gradients go back through the weight as it stands, where one of them needs its transpose.

    ``weight[o] @ x2`` is what x1 receives, and ``weight[o] @ x1`` is written for x2 by analogy. Only where both inputs
    are equally wide do the shapes allow it; the parameters' gradients and that of x1 are right.
    """

    number = 9
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Bilinear, *inputs: Shape) -> bool:
        return layer.first == layer.second > 1

    def backward(self, dy: Array, saved: Any, params: Parameters) -> tuple[Any, dict[str, Array]]:
        (dx1, _), dparams = super().backward(dy, saved, params)
        (_, dx2), _ = super().backward(dy, saved, with_transposed(params))
        return (dx1, dx2), dparams


class SecondInputTakenAsConstant(LayerFault, Bilinear):
    """The second input gets no gradient: the layer is differentiated as a dense one whose weight depends on x2.

    With x2 at hand it is an affine map of x1, and that is what the backward is written for. The layer learns, and so
    does what lies before x1; what lies before x2 stands still.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> tuple[Any, dict[str, Array]]:
        (dx1, dx2), dparams = super().backward(dy, saved, params)
        return (dx1, np.zeros_like(dx2)), dparams


def with_transposed(params: Parameters) -> dict[str, Array]:
    """The parameters of a bilinear layer, or their gradients, with the inputs' axes of the weight exchanged."""
    return {**params, "weight": params["weight"].swapaxes(1, 2)}


class RepeatedRowsOverwritten(LayerFault, Embedding):
    """The embedding's gradient is assigned, ``dweight[x] = dy``, so that of a repeated index one place remains.

    ``dweight[x] += dy`` looks like a sum and is none: NumPy reads, adds and writes once for each row. Only rows that
    occur more than once are wrong, which in a text are the frequent words.
    """

    number = 26
    wrong = ("backward",)
    only_where = "an index that occurs twice"

    def backward(self, dy: Array, x: Array, params: Parameters) -> tuple[None, dict[str, Array]]:
        dweight = np.zeros_like(params["weight"])
        dweight[x] = dy
        return None, {"weight": dweight}


class IndicesFromOne(LayerFault, Embedding):
    """Indices are read as if they began at 1: the row before the wanted one is taken.

    It comes with vocabularies from a language that counts from 1. Index 0 wraps around to the last row, so that nothing
    is ever out of range; and what is trained so works, until its weights meet another tokenizer.
    """

    wrong = ("forward", "backward")

    @classmethod
    def possible(cls, layer: Embedding, *inputs: Shape) -> bool:
        return layer.rows > 1

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Array]:
        return super().forward(x - 1, params)
