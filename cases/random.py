"""Small random networks, each from a seed: blocks of layers with whatever loss and optimizer, over a few steps.

They are made to hide nothing: all widths differ, the number of rows equals none of them, learning rates change from
step to step, and a batch norm never follows a layer with a bias directly, whose gradient would be nothing but rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from ..reference import CLIPS, LAYERS, LOSSES, OPTIMIZERS
from ..reference.case import Case
from ..reference.clipping import Clip
from ..reference.errors import CaseError, listed
from ..reference.layers import (
    Add,
    BatchNorm,
    Bilinear,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Dropout,
    Embedding,
    Glu,
    Layer,
    MergeHeads,
    MultiHeadAttention,
    ScaledDotProductAttention,
    Shape,
    Sigmoid,
    Softplus,
    SplitHeads,
    SwiGlu,
    Tanh,
)
from ..reference.losses import Loss, MeanSquaredError
from ..reference.network import Node, Term, parameter_shapes, resolve
from ..reference.optimizers import Cosine, Linear, Optimizer, Schedule, StepDecay, Warmup
from .drawing import draw_batch, draw_weights

T = TypeVar("T")
P = TypeVar("P", Layer, Optimizer)

WIDTHS = (3, 5, 7, 9, 11, 13)
ACTIVATIONS = (
    *("relu", "tanh", "sigmoid", "log_sigmoid", "softplus", "softsign"),
    *("leaky_relu", "prelu", "elu", "selu", "celu", "hardtanh", "relu6", "hard_sigmoid", "hard_swish"),
    *("gelu", "silu", "mish"),
)
OF_ROWS = ("softmax", "log_softmax")
"""Activations too, half as often as the others."""
KINKS: dict[str, Callable[[Any], tuple[float, ...]]] = {
    **dict.fromkeys(("relu", "leaky_relu", "prelu", "elu", "selu"), lambda layer: (0.0,)),
    **dict.fromkeys(("hard_sigmoid", "hard_swish"), lambda layer: (-3.0, 3.0)),
    "relu6": lambda layer: (0.0, 6.0),
    "hardtanh": lambda layer: (layer.low, layer.high),
}
"""The inputs at which the derivative of an activation is a matter of convention."""
FLAT = frozenset({"dropout", "relu", "gelu", "hardtanh", "relu6", "hard_sigmoid", "hard_swish"})
"""Activations that give exactly the same for many inputs; gelu does far below 0."""
POOLS = ("max_pool2d", "avg_pool2d", "adaptive_avg_pool2d")
FLATTENING = ("flatten", "global_avg_pool", "reshape")
JOINS = ("add", "multiply", "concatenate")
NORMALISATIONS = ("layer_norm", "rms_norm", "batch_norm", "group_norm", "instance_norm")
POSITIONS = ("positions", "sinusoidal_positions", "rotary")
ATTENTION = ("scaled_dot_product_attention", "multi_head_attention", "split_heads", "merge_heads")
RECURRENT = ("rnn", "lstm", "gru")
ROUND = frozenset({"dropout", *ACTIVATIONS, *OF_ROWS, "embedding"})
"""Layers whose outputs may be a round number exactly: where they are flat, or a weight that float16 rounded."""
GATES = ("glu", "swiglu")
OF_EACH_FORM: dict[str, frozenset[str]] = {
    "rows": frozenset({"embedding", "batch_norm", "group_norm", "glu", "muon"}),
    "sequences": frozenset({"embedding", "glu", "muon", "conv1d", *ATTENTION, *RECURRENT, *POSITIONS}),
    "images": frozenset(
        {"conv2d", "conv_transpose2d", "batch_norm", "group_norm", "instance_norm", *POOLS, *FLATTENING}
    ),
}
"""The kinds that stand in networks of some forms of data only."""

FOLLOWED: dict[str, tuple[dict[str, Any], ...]] = {
    "adagrad": ({}, {"epsilon_in": "root"}),
    "rmsprop": ({}, {"epsilon_in": "root"}),
    "amsgrad": ({}, {"maximum_of": "corrected"}),
    "nadam": ({}, {"momentum_schedule": "constant"}),
    "radam": ({}, {"epsilon_in": "uncorrected"}),
    "rprop": ({}, {"applies": "last"}),
    "adafactor": ({}, {"epsilon_in": "squares", "rate": "plain"}),
}
"""Conventions of optimizers: those of one framework or of another, for none has both."""

BETAS = {"beta1": (0.875,), "beta2": (0.984375,), "epsilon": (2.0**-10, 2.0**-7)}
VALUES: dict[str, dict[str, tuple[Any, ...]]] = {
    "adagrad": {"epsilon": (2.0**-10,), "initial_accumulator": (0.0, 0.125)},
    "rmsprop": {"rho": (0.875,), "epsilon": (2.0**-10,), "centred": (False, True)},
    "adadelta": {"rho": (0.875,), "epsilon": (2.0**-10, 2.0**-7)},
    **dict.fromkeys(("adam", "adamw", "amsgrad", "adamax", "nadam", "radam", "lamb"), BETAS),
    "lion": {"beta1": (0.875,), "beta2": (0.984375,)},
    "rprop": {"grow": (1.25,), "largest": (0.0703125, 50.0)},
    "adafactor": {"epsilon": (2.0**-10,), "clip": (1.0, 2.0)},
    "muon": {"momentum": (0.875,), "iterations": (2, 3), "epsilon": (2.0**-10,), "nesterov": (False, True)},
}
"""Values of the options of optimizers, where they are not those that each has everywhere."""

DECOUPLED = frozenset({"adam", "adamw", "nadam", "radam", "lion"})
"""Optimizers whose weight decay is decoupled in some framework's own version."""

OF_ONE = {kind: loss for kind, loss in LOSSES.items() if loss.arity == 1}
"""The losses of one prediction: the last node is all that a random network is judged by."""

FOURTH_REDUCTIONS = {
    **dict.fromkeys(("cross_entropy", "softmax_cross_entropy", "nll"), "mean_over_outputs"),
    "mean_squared_error": "half_sum",
    "kl_div": "batchmean",
}
"""The reduction that a kind has beside ``mean``, ``sum`` and ``none``."""

RATES = (2.0**-4, 2.0**-5, 2.0**-6, 2.0**-7)


def trainable(kind: str, shape: Shape) -> bool:
    """Whether an optimizer can update weights of a shape."""
    try:
        OPTIMIZERS[kind](RATES[0]).check_weight(shape)
    except CaseError:
        return False
    return True


def random_case(seed: int, *, kind: str | None = None, dtype: str = "float64") -> Case:
    """The small network of a seed, in any dtype the same one; with ``kind`` that layer, loss or optimizer is in it.

    Only an epsilon that float16 has no room for is another there. One to four blocks with 3 to 13 features, 2
    to 7 rows, 1 to 3 steps; every number is exact in float16. All draws come from
    ``numpy.random.Generator(numpy.random.PCG64(seed))``.

    Raises:
        CaseError: there is no such kind, or no such dtype.

    >>> case = random_case(3, kind="layer_norm", dtype="float32")
    >>> case.name, case.dtype, any(node.layer.kind == "layer_norm" for node in case.nodes)
    ('random-layer_norm-3', 'float32', True)
    """
    known = (*LAYERS, *LOSSES, *CLIPS, *OPTIMIZERS)
    if kind is not None and kind not in known:
        raise CaseError(f"a layer, a loss, a clipping or an optimizer: {listed(known)}", repr(kind), key="kind")
    network = Drawn(np.random.Generator(np.random.PCG64(seed)), kind)
    steps, micro_batches = network.whole(1, 3), 2 if network.chance(0.1) else 1
    seeds = [int(number) for number in network.generator.integers(2**31, size=1 + steps * micro_batches)]
    losses = network.losses()
    nodes = resolve(tuple(network.nodes), losses)
    shapes = parameter_shapes(nodes)
    rows = [network.rows + place % micro_batches for place in range(steps * micro_batches)]
    optimizer = network.optimizer(steps, losses)
    return Case(
        name="-".join(filter(None, ("random", kind, str(seed)))),
        about=f"A random network: {', '.join(dict.fromkeys(node.layer.kind for node in network.nodes))}",
        nodes=tuple(replace(node, layer=held_in(dtype, node.layer)) for node in nodes),
        loss=losses,
        optimizer=held_in(dtype, optimizer),
        weights=draw_weights(shapes, seeds[0]),
        batches=tuple(
            draw_batch(nodes, losses, (number, *network.inputs[1:]), one)
            for number, one in zip(rows, seeds[1:], strict=True)
        ),
        dtype=dtype,
        clip=network.clip(),
        micro_batches=micro_batches,
        accumulation=network.one_of("mean", "rows", "sum"),
        frozen=tuple(name for name, shape in shapes.items() if not trainable(optimizer.kind, shape)),
    )


def mixed_case(number: int, *, dtype: str = "float64") -> Case:
    """One of many random networks: the kinds of layers, the rare ones too, take turns to be in it.

    >>> any(node.layer.kind == list(LAYERS)[5] for node in mixed_case(5).nodes)
    True
    """
    return random_case(number, kind=list(LAYERS)[number % len(LAYERS)], dtype=dtype)


def held_in(dtype: str, part: P) -> P:
    """The optimizer or the layer with an epsilon that the dtype has room for.

    With an optimizer's 1e-8, which is 0 in float16, weights are soon infinite. Of a normalisation's 1e-5 the derivative
    of ``(variance + epsilon)^(-1/2)`` is beyond the largest number: where a row is nearly flat, a framework that
    differentiates that has no gradient at all.
    """
    least = 2.0**-10 if isinstance(part, Layer) else 2.0**-25
    small = dtype == "float16" and 0 < getattr(part, "epsilon", 1.0) <= least
    return replace(part, epsilon=2.0**-10) if small else part  # type: ignore[call-arg, type-var]


class Drawn:
    """A network that is being drawn: its nodes so far, and the shape of what the last of them gives."""

    def __init__(self, generator: np.random.Generator, kind: str | None) -> None:
        self.generator = generator
        self.wanted = kind
        self.rows = self.whole(3, 7) if kind == "batch_norm" else self.whole(2, 7)
        self.unused = [int(width) for width in generator.permutation(WIDTHS) if width != self.rows]
        forms = [form for form, kinds in OF_EACH_FORM.items() if kind in kinds] or list(OF_EACH_FORM)
        self.form = self.one_of(*forms)
        self.nodes: list[Node] = []
        self.shapes: dict[str, Shape] = {}
        self.inputs = self.begin()
        for _ in range(self.whole(1, 4)):
            self.block()
        # A node may be taken only by those after it, and what nothing takes is no part of a network.
        if self.wanted in LAYERS and not self.holds(self.wanted):
            self.layer(self.wanted)
        if self.form == "images" and self.chance(0.8):
            self.flattened(self.one_of(*FLATTENING))
        if not any(node.layer.parameters() for node in self.nodes[-2:]):
            self.affine()

    # ------------------------------------------------------------------------------------------------------- the graph

    def begin(self) -> Shape:
        """The first node, which takes the input; returns the shape of the input."""
        inputs: Shape
        if self.form == "images":
            inputs = (self.rows, self.width(), self.whole(4, 6), self.whole(5, 8))
        elif self.form == "sequences":
            heads = (self.whole(2, 4),) if self.chance(0.3) and self.wanted not in ("conv1d", *RECURRENT) else ()
            inputs = (self.rows, *heads, self.width())
        else:
            inputs = (self.rows,)
        embedded = self.form != "images" and (self.wanted == "embedding" or self.chance(0.3))
        if not embedded and self.form != "images":
            inputs = (*inputs, self.width())
        self.shapes["input"] = inputs
        if embedded:
            self.add(Embedding(self.whole(4, 8), self.width()))
        else:
            self.affine()
        return inputs

    def block(self) -> None:
        """One block of layers behind the last node."""
        blocks: list[Callable[[], None]] = [self.plain, self.plain, self.normalised, self.branched, self.gated]
        if self.form != "images":
            blocks += [self.residual, self.shared, self.bilinear]
        else:
            blocks += [self.pooled] * 6 + [self.enlarged] * 2
        if self.nodes[0].layer.kind == "embedding":
            blocks += [self.tied]
        if self.form == "sequences":
            blocks += [*[self.attention] * 4, self.heads, self.self_attention, self.placed]
        if len(self.shape) == 3 and self.form == "sequences":
            blocks += [self.recurrent] * 2 + [self.along] * 2
        blocks[self.whole(0, len(blocks) - 1)]()

    def plain(self) -> None:
        """An activation, sometimes a dropout, and something with weights."""
        self.activation()
        if self.chance(0.15):
            self.dropout()
        self.affine()

    def dropout(self) -> None:
        """A dropout, whose mask comes with the data."""
        self.add(Dropout(self.one_of(0.25, 0.5)))

    def normalised(self) -> None:
        """An activation, a normalisation, and something with weights."""
        self.activation()
        self.normalisation()
        if self.chance(0.5):
            self.affine()

    def residual(self) -> None:
        """Two affine layers with an activation between them, past which the value is added."""
        before, width = self.last, self.shape[-1]
        self.affine()
        self.activation()
        self.add(Dense(self.shape[-1], width))
        self.add(Add(), self.last, before)

    def shared(self) -> None:
        """One weight in two places, with a way back between them."""
        before = self.shape[-1]
        self.affine()
        first = self.nodes[-1]
        self.activation()
        self.dense(before)
        self.add(first.layer)
        self.nodes[-1] = replace(self.nodes[-1], parameters={p: f"{first.name}.{p}" for p in first.layer.parameters()})

    def tied(self) -> None:
        """The table of the embedding once more, as the weight from its width to its rows."""
        table = self.nodes[0]
        rows, width = table.layer.parameters()["weight"]
        self.dense(width)
        self.activation()
        self.add(Dense(width, rows, bias=False, layout="outputs_inputs"))
        self.nodes[-1] = replace(self.nodes[-1], parameters={"weight": f"{table.name}.weight"})

    def branched(self, kind: str | None = None) -> None:
        """One value used twice: by two activations that are joined again, or twice by the sum."""
        before = self.last
        if self.chance(0.3) and kind is None:
            self.add(Add(), before, before)
            return
        one, other = map(str, self.generator.permutation([*self.activations(), *OF_ROWS])[:2])
        self.add(LAYERS[one](**self.options(one)), before)
        first = self.last
        self.add(LAYERS[other](**self.options(other)), before)
        joined = kind or self.one_of(*JOINS)
        values = [first, self.last, *([before] if joined == "concatenate" and self.chance(0.5) else [])]
        axis = {"axis": self.one_of(1, -1)} if joined == "concatenate" else {}
        self.add(LAYERS[joined](**axis), *values)

    def pooled(self) -> None:
        """An activation, and a pool."""
        self.activation()
        self.pool(self.one_of(*POOLS))

    def enlarged(self) -> None:
        """An activation, and a transposed convolution, unless the images are large already."""
        self.activation()
        if self.shape[2] * self.shape[3] < 40:
            self.transposed()
        else:
            self.affine()

    def along(self) -> None:
        """An activation, and a convolution along the sequence, whose places are its channels."""
        self.activation()
        self.conv1d()

    def flattened(self, kind: str) -> None:
        """Images as rows, or as sequences, and something with weights behind them."""
        _, channels, height, width = self.shape
        options: dict[str, Any] = {"shape": (channels * height, width)} if kind == "reshape" else {}
        self.add(LAYERS[kind](**options))
        self.form = "sequences" if kind == "reshape" else "rows"
        if kind == "reshape" and self.chance(0.7):
            self.conv1d()
        else:
            self.affine()

    def gated(self, kind: str | None = None) -> None:
        """One value as a gate of another, both made of the last one: in one piece or in two.

        Before it a normalisation, as in most networks that have gates: products of products would grow without end.
        """
        self.activation()
        self.normalisation()
        if (kind or self.one_of(*GATES)) == "glu" and self.form != "images":
            self.add(Dense(self.shape[-1], 2 * self.width()))
            self.add(Glu())
        else:
            before = self.last
            self.affine()
            gate = self.last
            self.add(self.nodes[-1].layer, before)
            self.add(SwiGlu(), gate, self.last)
        if self.chance(0.5):
            self.affine()

    def bilinear(self) -> None:
        """Two values of one, and a matrix between them for every output."""
        before = self.last
        self.dense(self.width())
        first = self.last
        self.activation()
        self.dense(self.width())
        widths = self.shapes[before][-1], self.shape[-1]
        takes = before, self.last
        if self.chance(0.5):
            widths, takes = (self.shapes[first][-1], self.shape[-1]), (first, self.last)
        outputs, bias = self.width(), self.chance(0.85)
        self.add(Bilinear(*widths, outputs, bias=bias), *takes)

    def placed(self, kind: str | None = None) -> None:
        """Something with weights to an even width, and places told apart."""
        chosen = kind or self.one_of(*POSITIONS)
        self.dense(self.even_width())
        places, width = self.shape[-2:]
        if chosen == "positions":
            self.add(LAYERS[chosen](places + self.whole(0, 2), width))  # type: ignore[call-arg]
            return
        order = self.one_of("halves", "interleaved")
        self.add(LAYERS[chosen](self.one_of(10000.0, 16.0), order))  # type: ignore[call-arg]

    def attention(self) -> None:
        """Queries, keys and values of one value, its places often told apart, and the attention over them."""
        if self.chance(0.5):
            self.placed()
        before, width = self.last, self.shape[-1]
        of_keys, of_values = self.width(), self.width()
        names = []
        for outputs in (of_keys, of_keys, of_values):
            self.add(Dense(width, outputs), before)
            names.append(self.last)
        self.seen(*names)

    def heads(self) -> None:
        """The same in heads, of which there may be fewer of keys and values than of queries."""
        before, width = self.last, self.shape[-1]
        shared, group = self.one_of((1, 3), (2, 1), (2, 2), (3, 2))
        of_keys, of_values = (int(one) for one in self.generator.permutation((2, 3, 4, 5))[:2])
        names = []
        for heads, each in ((shared * group, of_keys), (shared, of_keys), (shared, of_values)):
            self.add(Dense(width, heads * each), before)
            self.add(SplitHeads(heads))
            names.append(self.last)
        self.seen(*names)
        self.add(MergeHeads())

    def seen(self, *names: str) -> None:
        """Attention over queries, keys and values of these names."""
        options: dict[str, Any] = {"causal": self.chance(0.5), "scale": "none" if self.chance(0.2) else "width"}
        if self.chance(0.5):
            options["mask"] = self.one_of("boolean", "additive")
        self.add(ScaledDotProductAttention(**options), *names)

    def recurrent(self, kind: str | None = None) -> None:
        """A recurrent layer, with its conventions and often with more than one layer or direction."""
        chosen = kind or self.one_of(*RECURRENT)
        options: dict[str, Any] = {
            "layers": 2 if self.chance(0.2) else 1,
            "bidirectional": self.chance(0.3),
            "bias": self.chance(0.8),
        }
        if chosen == "rnn" and self.chance(0.3):
            options["activation"] = "relu"
        if chosen == "gru" and self.chance(0.3):
            options["reset"] = "before"
        self.add(LAYERS[chosen](self.shape[-1], self.width(), **options))  # type: ignore[call-arg]

    def self_attention(self) -> None:
        """Something with weights, to a width that can be cut into heads, and the layer that does it all."""
        heads, each = self.one_of((2, 4), (2, 5), (3, 4), (2, 7))
        self.add(Dense(self.shape[-1], heads * each))
        options: dict[str, Any] = {"causal": self.chance(0.5), "bias": self.chance(0.7)}
        self.add(MultiHeadAttention(heads * each, heads, **options))

    def layer(self, kind: str) -> None:
        """A layer of a kind behind the last node, with what it needs around it."""
        if kind == "dense":
            self.dense(self.width())
        elif kind in JOINS:
            self.branched(kind)
        elif kind in POOLS:
            self.pool(kind)
        elif kind in FLATTENING:
            self.flattened(kind)
        elif kind == "conv1d":
            self.conv1d()
        elif kind == "conv_transpose2d":
            self.transposed()
        elif kind == "scaled_dot_product_attention":
            self.one_of(self.attention, self.heads)()
        elif kind in ("split_heads", "merge_heads"):
            self.heads()
        elif kind == "multi_head_attention":
            self.self_attention()
        elif kind in RECURRENT:
            self.recurrent(kind)
        elif kind == "bilinear":
            self.bilinear()
        elif kind in POSITIONS:
            self.placed(kind)
        elif kind in NORMALISATIONS:
            self.activation()
            self.normalisation(kind)
        elif kind in GATES:
            self.gated(kind)
        elif kind == "dropout":
            self.dropout()
            self.affine()
        elif kind in (*ACTIVATIONS, *OF_ROWS):
            self.activation(kind)
        else:
            raise AssertionError(f"no rule for {kind}")

    # ---------------------------------------------------------------------------------------------------- single layers

    def affine(self, width: int | None = None) -> None:
        """Something with a weight and a bias, to another width."""
        width = width or self.width()
        if self.form == "images" and min(self.shape[2:]) > 2:
            kernel = (2, 2) if self.chance(0.2) else (self.whole(1, 2), self.whole(2, 3))
            padding = (self.whole(0, 1), self.whole(0, 1))
            stride = (self.whole(1, 2), 1) if self.chance(0.4) else (1, self.whole(1, 2))
            options: dict[str, Any] = {"bias": False} if self.chance(0.15) else {}
            if min(self.shape[2:]) > 3 and self.chance(0.3):
                dilation = self.one_of((1, 2), (3, 1), (2, 1))
                if dilation[1] * (kernel[1] - 1) < self.shape[3] + 2 * padding[1]:
                    options["dilation"] = dilation
            inputs, outputs = self.shape[1], self.width()
            if inputs < 10 and self.chance(0.2):  # a group for each channel
                outputs, options["groups"] = 2 * inputs, inputs
            self.add(Conv2d(inputs, outputs, kernel, stride, padding, **options))
        else:
            self.dense(width)

    def dense(self, outputs: int) -> None:
        """A dense layer to so many outputs, with or without a bias and its weight either way round."""
        outputs_first: dict[str, Any] = {"layout": "outputs_inputs"} if self.chance(0.2) else {}
        self.add(Dense(self.shape[-1], outputs, bias=self.chance(0.85), **outputs_first))

    def conv1d(self) -> None:
        """A convolution of sequences, with a kernel that they have room for."""
        _, inputs, length = self.shape
        kernel, stride, padding = self.whole(1, min(length, 4)), self.whole(1, 2), self.whole(0, 2)
        options: dict[str, Any] = {"dilation": 2} if 2 * kernel <= length and self.chance(0.4) else {}
        self.add(Conv1d(inputs, self.width(), kernel, stride, padding, **options))

    def transposed(self) -> None:
        """A transposed convolution, whose output is larger than its padding."""
        kernel, stride = (self.whole(2, 3), self.whole(1, 2)), (self.whole(1, 2), self.whole(1, 3))
        padding = self.one_of((0, 0), *([(1, 0)] if self.shape[2] > 1 else []))
        extra = (self.whole(0, stride[0] - 1), self.whole(0, stride[1] - 1))
        options: dict[str, Any] = {"orientation": "flipped"} if self.chance(0.1) else {}
        inputs, outputs = self.shape[1], self.width()
        if inputs < 10 and self.chance(0.2):
            outputs, options["groups"] = 2 * inputs, inputs
        self.add(ConvTranspose2d(inputs, outputs, kernel, stride, padding, extra, **options))

    def pool(self, kind: str) -> None:
        """A pool, of windows that the images have room for."""
        height, width = self.shape[2:]
        if kind == "adaptive_avg_pool2d":
            self.add(LAYERS[kind]((self.whole(1, height), self.whole(1, width))))  # type: ignore[call-arg]
            return
        kernel = self.whole(1, min(3, height)), self.whole(min(2, width), min(3, width))
        stride = None if self.chance(0.3) else (self.whole(1, 2), self.whole(1, 2))
        padding = self.whole(0, kernel[0] // 2), self.whole(0, kernel[1] // 2)
        options: dict[str, Any] = {"count_padding": self.chance(0.5)} if kind == "avg_pool2d" else {}
        if kind == "max_pool2d" and self.chance(0.1):
            options["tie"] = "shared"
        self.add(LAYERS[kind](kernel, stride, padding, **options))  # type: ignore[call-arg]

    def activation(self, kind: str | None = None) -> None:
        """An activation; before one with a kink something with weights, where it needs that."""
        kinds = self.activations()
        chosen = kind or self.one_of(*kinds, *kinds, *OF_ROWS)
        if chosen in KINKS and chosen not in kinds:
            self.affine()
        self.add(LAYERS[chosen](**self.options(chosen)))

    def activations(self) -> list[str]:
        """Those that may follow: none with a kink after what may lie at the kink exactly."""
        return [kind for kind in ACTIVATIONS if kind not in KINKS or not self.all_of(self.last, ROUND)]

    def options(self, kind: str) -> dict[str, Any]:
        """Fields of an activation, some of them other than what it has everywhere."""
        if kind == "gelu":
            return {"approximate": "tanh"} if self.chance(0.4) else {}
        if kind == "leaky_relu":
            return {"slope": self.one_of(0.25, 2.0**-6)}
        if kind == "prelu":
            return {"channels": self.shape[1]} if self.chance(0.6) else {}
        if kind in ("elu", "celu"):
            return {"alpha": self.one_of(0.5, 1.0, 1.75)}
        if kind == "softplus":
            beyond = self.one_of("linear", "exact")
            return {"beyond": beyond, "beta": self.one_of(0.75, 1.0, 2.0)}
        if kind == "hardtanh":
            return {"low": -0.75, "high": 1.25} if self.chance(0.5) else {}
        return {}

    def normalisation(self, kind: str | None = None) -> None:
        """One of those that can stand here."""
        wanted = {kind} if kind else set(NORMALISATIONS)
        while self.form == "images" and wanted.isdisjoint(self.normalisations()):
            self.transposed()  # to images that are large enough
        if self.form != "images" and self.shape[-1] == 1 and wanted.isdisjoint(self.normalisations()):
            self.dense(self.width())
        chosen = kind or self.one_of(*self.normalisations())
        epsilon = self.one_of(1e-5, 2.0**-10, 2.0**-6)
        if chosen == "group_norm" and self.chance(0.7):
            self.affine(self.even_width())
        if chosen != "batch_norm":
            # A row of equal values has no deviation, and outside the root nothing keeps its derivative finite.
            flat = self.form == "images" or self.all_of(self.last, FLAT)
            place: dict[str, Any] = {"epsilon_in": "outside"} if not flat and self.chance(0.15) else {}
            if chosen in ("layer_norm", "rms_norm"):
                self.add(LAYERS[chosen](self.shape[-1], epsilon, **place))  # type: ignore[call-arg]
                return
            place["affine"] = self.chance(0.85)
            channels = self.shape[1]
            groups = [self.one_of(*self.group_numbers())] if chosen == "group_norm" else []
            self.add(LAYERS[chosen](channels, *groups, epsilon, **place))  # type: ignore[call-arg]
            return
        options: dict[str, Any] = {
            "training": self.chance(0.85),
            "running_variance": self.one_of(*["unbiased"] * 4, "biased"),
        }
        options |= {"momentum": 0.875, "momentum_of": "old"} if self.chance(0.3) else {"momentum": 0.125}
        self.add(BatchNorm(self.shape[1], epsilon, **options))

    def normalisations(self) -> list[str]:
        """Those that may follow: what is normalised together should be more than two values."""
        kinds = ["layer_norm", "layer_norm", "rms_norm"] if self.shape[-1] > 1 else []
        if self.form != "sequences" and np.prod(self.shape) / self.shape[1] > 2:
            kinds += ["batch_norm"] * 4
        if self.form != "sequences" and self.group_numbers():
            kinds += ["group_norm"] * 2
        if self.form == "images" and np.prod(self.shape[2:]) > 2:
            kinds += ["instance_norm"] * 2
        return kinds

    def group_numbers(self) -> list[int]:
        """Into how many groups the channels can be divided, with more than two values in each."""
        channels, values = self.shape[1], int(np.prod(self.shape[1:]))
        return [groups for groups in range(1, channels) if channels % groups == 0 and values // groups > 2]

    def all_of(self, name: str, kinds: Container[str]) -> bool:
        """Whether a value is given by layers of these kinds, or is made of such values by others that keep them.

        A convolution without a bias gives 0 of nothing but padding.
        """
        node = next((node for node in self.nodes if node.name == name), None)
        if node is None:
            return False
        if node.layer.kind == "rnn":
            return getattr(node.layer, "activation", "") in kinds
        if node.layer.kind in kinds or getattr(node.layer, "bias", True) is False:
            return True
        if node.layer.kind not in ("tanh", *JOINS, *POOLS, *FLATTENING):
            return False
        together = all if node.layer.kind == "add" else any
        return together(self.all_of(taken, kinds) for taken in node.takes)

    # ------------------------------------------------------------------------------------------- loss, optimizer, data

    def losses(self) -> tuple[Term, ...]:
        """One loss; sometimes one more, of another node, each with a weight."""
        if self.wanted in LOSSES and self.wanted not in OF_ONE:
            alone = self.of_heads(self.wanted)
        elif self.wanted not in LOSSES and self.chance(0.15):
            alone = self.of_heads(self.one_of(*(kind for kind in LOSSES if kind not in OF_ONE)))
        else:
            alone = Term("loss", self.loss())
        if not self.chance(0.12):
            return (alone,)
        first = replace(alone, name="first", takes=alone.takes or (self.last,), weight=0.75)
        branch = self.one_of(*(node.name for node in self.nodes[:-1])) if len(self.nodes) > 1 else self.last
        self.add(Dense(self.shapes[branch][-1], self.width()), branch)
        return first, Term("second", MeanSquaredError(), (self.last,), self.one_of(0.5, 2.0))

    def of_heads(self, kind: str) -> Term:
        """A loss of several predictions, each of a head of its own on the last node."""
        trunk, width, names = self.last, self.width(), []
        for _ in range(LOSSES[kind].arity):
            self.add(Dense(self.shapes[trunk][-1], width), trunk)
            names.append(self.last)
        if kind == "gaussian_nll":  # a variance is above 0
            self.add(Softplus())
            names[-1] = self.last
        options: dict[str, Any] = {"reduction": self.one_of("mean", "sum", "none")}
        if kind == "cosine_embedding":
            options["margin"] = self.one_of(0.0, 0.25)
        if kind == "triplet_margin":
            options["epsilon_in"] = self.one_of("difference", "root")
        return Term("loss", LOSSES[kind](**options), tuple(names))

    def clip(self) -> Clip | None:
        """Sometimes one, with a limit that some gradients are beyond."""
        kind = self.wanted if self.wanted in CLIPS else self.one_of(*CLIPS) if self.chance(0.2) else None
        if kind is None:
            return None
        options = {"epsilon": self.one_of(0.0, 1e-6)} if kind == "clip_by_global_norm" else {}
        return CLIPS[kind](self.one_of(2.0**-5, 2.0**-3, 0.5), **options)

    def loss(self) -> Loss:
        """A loss of one prediction; one of probabilities gets the softmax or the sigmoid that it needs."""
        kind = self.wanted if self.wanted in OF_ONE else self.one_of(*OF_ONE)
        assert kind is not None
        before = {"cross_entropy": "softmax", "binary_cross_entropy": "sigmoid"}.get(kind)
        if before and self.nodes[-1].layer.kind != before:
            self.add(LAYERS[before]())
        if kind == "mean_squared_error" and self.chance(0.2):
            self.add(Dense(self.shape[-1], 1))
        reductions = ("mean", "sum", "none", FOURTH_REDUCTIONS.get(kind, "mean"))
        options = {"reduction": self.one_of(*reductions), **self.loss_options(kind)}
        if options.get("predictions") == "rates":
            self.add(Sigmoid())
        elif kind == "poisson_nll":
            self.add(Tanh())  # its exponential grows with every step
        return LOSSES[kind](**options)

    def loss_options(self, kind: str) -> dict[str, Any]:
        """Some of the options that a kind of loss has beside its reduction."""
        if kind in ("softmax_cross_entropy", "nll"):
            return self.class_options(kind)
        if kind == "mean_absolute_error":
            return {"slope_at_zero": self.one_of("zero", "one")}
        if kind in ("huber", "smooth_l1"):
            return {"delta" if kind == "huber" else "beta": self.one_of(0.5, 0.75, 1.0)}
        if kind == "binary_cross_entropy":
            return {"extremes": self.one_of("floored", "clipped", "unbounded")}
        if kind == "binary_cross_entropy_with_logits" and self.chance(0.5):
            return {"pos_weight": self.numbers(self.one_of(1, self.shape[-1]))}
        if kind == "kl_div":
            return {"targets": self.one_of("probabilities", "logarithms")}
        if kind == "poisson_nll":
            return {"predictions": self.one_of("logarithms", "rates"), "full": self.chance(0.5), "epsilon": 2.0**-10}
        if kind == "hinge":
            return {"slope_at_margin": self.one_of("zero", "half", "one")}
        return {}

    def class_options(self, kind: str) -> dict[str, Any]:
        """Form of target, weights of classes, rows to be ignored, smoothing; often none of them."""
        options: dict[str, Any] = {}
        if kind == "softmax_cross_entropy":
            options["targets"] = self.one_of("indices", "distributions")
            options["label_smoothing"] = self.one_of(0.0, 0.0, 0.125)
        if self.chance(0.4):
            options["class_weights"] = self.numbers(self.shape[-1])
            options["weighted_mean"] = self.one_of("weights", "rows")
        if options.get("targets") != "distributions" and self.chance(0.4):
            options["ignore_index"] = self.one_of(-100, -1, 1)
            options["ignored_rows"] = self.one_of("left_out", "counted")
        return options

    def optimizer(self, steps: int, losses: Sequence[Term]) -> Optimizer:
        """An optimizer with some of its options, and another learning rate at each step."""
        kind = self.wanted if self.wanted in OPTIMIZERS else self.one_of(*(k for k in OPTIMIZERS if self.can_train(k)))
        assert kind is not None
        # A loss that is a sum has gradients as many times larger as there are rows: such steps must not diverge.
        means = all(getattr(term.loss, "reduction", "mean") == "mean" for term in losses)
        small = 1.0 if kind != "sgd" or means else 2.0**-4
        rates: Any = tuple(small * float(rate) for rate in self.generator.permutation(RATES)[:steps])
        if self.chance(0.2):
            rates = self.schedule(small * RATES[0])
        options = self.one_of(*FOLLOWED.get(kind, ({},))) | {
            name: self.one_of(*values) for name, values in VALUES.get(kind, {}).items() if self.chance(0.7)
        }
        known = OPTIMIZERS[kind].__dataclass_fields__
        if "weight_decay" in known and options.get("epsilon_in") != "squares" and self.chance(0.3):
            options["weight_decay"] = 0.125
            if "decay" in known and kind in DECOUPLED:
                options["decay"] = self.one_of("coupled", "decoupled")
        if kind in ("sgd", "rmsprop") and self.chance(0.7):
            options |= {"momentum": self.one_of(0.5, 0.875, 0.9)}
            plain: dict[str, Any] = {}
            if kind == "sgd":
                options |= self.one_of(plain, plain, {"nesterov": True}, {"dampening": 0.25})
            elif options.get("epsilon_in") == "root":
                options["rate_in"] = "velocity"
        return OPTIMIZERS[kind](rates, **options)

    def schedule(self, start: float) -> Schedule:
        """A learning rate by a rule, all of whose rates are exact."""
        step = StepDecay(start, factor=0.5, every=self.whole(1, 2))
        rules = (
            step,
            Linear(start, steps=4),
            Cosine(start, steps=2),
            Warmup(steps=2, start=start / 4, then=step),
        )
        return self.one_of(*rules)

    def can_train(self, kind: str) -> bool:
        """Whether there is something for an optimizer to update."""
        return any(trainable(kind, shape) for node in self.nodes for shape in node.layer.parameters().values())

    # ------------------------------------------------------------------------------------------------------------ tools

    def add(self, layer: Layer, *takes: str) -> None:
        """A node with a layer, by default behind the last one."""
        rounds, place = divmod(len(self.nodes), 26)
        name = f"{'abcdefghijklmnopqrstuvwxyz'[place] * (rounds + 1)}.{layer.kind}"
        taken = takes or (self.last,)
        self.shapes[name] = layer.output_shape(*(self.shapes[one] for one in taken))
        self.nodes.append(Node(name, layer, taken))

    @property
    def last(self) -> str:
        """The name of the last node; at first, of the input."""
        return self.nodes[-1].name if self.nodes else "input"

    @property
    def shape(self) -> Shape:
        """The shape of what the last node gives."""
        return self.shapes[self.last]

    def holds(self, kind: str) -> bool:
        """Whether a layer of the kind is there."""
        return any(node.layer.kind == kind for node in self.nodes)

    def width(self) -> int:
        """A width that no other part of the network has, as long as there are any."""
        if not self.unused:
            self.unused = [int(width) for width in self.generator.permutation(WIDTHS) if width != self.rows]
        return self.unused.pop()

    def numbers(self, count: int) -> tuple[float, ...]:
        """Quarters from 1/4 to 2."""
        return tuple(float(quarters) / 4 for quarters in self.generator.integers(1, 9, size=count))

    def even_width(self) -> int:
        """A width that can be halved."""
        return self.one_of(*(width for width in (4, 6, 8) if width != self.rows))

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.generator.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def one_of(self, *choices: T) -> T:
        return choices[self.whole(0, len(choices) - 1)]
