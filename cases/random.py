"""Small random networks, each from a seed: blocks of layers with whatever loss and optimizer, over a few steps.

They are made to hide nothing: all widths differ, the number of rows equals none of them, learning rates change from
step to step, and a batch norm never follows a layer with a bias directly, whose gradient would be nothing but rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from ..reference import LAYERS, LOSSES, OPTIMIZERS, SCHEDULES
from ..reference.case import Case
from ..reference.errors import CaseError, listed
from ..reference.layers import Layer, Shape
from ..reference.losses import Loss
from ..reference.network import Node, parameter_shapes, resolve
from ..reference.optimizers import Optimizer, Schedule
from .drawing import draw_batch, draw_weights

T = TypeVar("T")

WIDTHS = (3, 5, 7, 9, 11, 13)
ACTIVATIONS = ("relu", "tanh", "sigmoid", "gelu", "softmax")
OF_EACH_FORM: dict[str, frozenset[str]] = {
    "rows": frozenset({"embedding", "batch_norm", "muon"}),
    "sequences": frozenset({"embedding", "scaled_dot_product_attention", "muon"}),
    "images": frozenset({"conv2d", "batch_norm"}),
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

    One to four blocks with 3 to 13 features, 2 to 7 rows, 1 to 3 steps; every number is exact in float16. All draws
    come from ``numpy.random.Generator(numpy.random.PCG64(seed))``.

    Raises:
        CaseError: there is no such kind, or no such dtype.

    >>> case = random_case(3, kind="layer_norm", dtype="float32")
    >>> case.name, case.dtype, any(node.layer.kind == "layer_norm" for node in case.nodes)
    ('random-layer_norm-3', 'float32', True)
    """
    known = (*LAYERS, *LOSSES, *OPTIMIZERS)
    if kind is not None and kind not in known:
        raise CaseError(f"a layer, a loss or an optimizer: {listed(known)}", repr(kind), key="kind")
    network = Drawn(np.random.Generator(np.random.PCG64(seed)), kind)
    steps = network.whole(1, 3)
    seeds = [int(number) for number in network.generator.integers(2**31, size=1 + steps)]
    loss = network.loss()
    nodes = resolve(tuple(network.nodes))
    optimizer = network.optimizer(steps, getattr(loss, "reduction", "mean"))
    shapes = parameter_shapes(nodes)
    return Case(
        name="-".join(filter(None, ("random", kind, str(seed)))),
        about=f"A random network: {', '.join(dict.fromkeys(node.layer.kind for node in network.nodes))}",
        nodes=nodes,
        loss=loss,
        optimizer=optimizer,
        weights=draw_weights(shapes, seeds[0]),
        batches=tuple(draw_batch(nodes, loss, network.inputs, one) for one in seeds[1:]),
        dtype=dtype,
        frozen=tuple(name for name, shape in shapes.items() if not trainable(optimizer.kind, shape)),
    )


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
        if not any(node.layer.parameters() for node in self.nodes[-2:]):
            self.affine()

    # ------------------------------------------------------------------------------------------------------- the graph

    def begin(self) -> Shape:
        """The first node, which takes the input; returns the shape of the input."""
        inputs: Shape
        if self.form == "images":
            inputs = (self.rows, self.width(), self.whole(4, 6), self.whole(5, 8))
        elif self.form == "sequences":
            heads = (self.whole(2, 4),) if self.chance(0.3) else ()
            inputs = (self.rows, *heads, self.width())
        else:
            inputs = (self.rows,)
        embedded = self.form != "images" and (self.wanted == "embedding" or self.chance(0.3))
        if not embedded and self.form != "images":
            inputs = (*inputs, self.width())
        self.shapes["input"] = inputs
        if embedded:
            self.add(LAYERS["embedding"](self.whole(4, 8), self.width()))  # type: ignore[call-arg]
        else:
            self.affine()
        return inputs

    def block(self) -> None:
        """One block of layers behind the last node."""
        blocks: list[Callable[[], None]] = [self.plain, self.plain, self.normalised, self.branched]
        if self.form != "images":
            blocks += [self.residual, self.shared]
        if self.form == "sequences":
            blocks += [self.attention] * 4
        blocks[self.whole(0, len(blocks) - 1)]()

    def plain(self) -> None:
        """An activation, and something with weights."""
        self.activation()
        self.affine()

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
        self.add(LAYERS["dense"](self.shape[-1], width))  # type: ignore[call-arg]
        self.add(LAYERS["add"](), self.last, before)

    def shared(self) -> None:
        """One weight in two places, with a way back between them."""
        before = self.shape[-1]
        self.affine()
        first, width = self.last, self.shape[-1]
        self.activation()
        self.add(LAYERS["dense"](width, before))  # type: ignore[call-arg]
        self.add(LAYERS["dense"](before, width))  # type: ignore[call-arg]
        self.nodes[-1] = replace(self.nodes[-1], parameters={p: f"{first}.{p}" for p in ("weight", "bias")})

    def branched(self) -> None:
        """One value used twice: by two activations, or twice by the sum."""
        before = self.last
        if self.chance(0.3):
            self.add(LAYERS["add"](), before, before)
            return
        one, other = self.generator.permutation(self.activations())[:2]
        self.add(LAYERS[one](), before)
        first = self.last
        self.add(LAYERS[other](), before)
        self.add(LAYERS["add"](), first, self.last)

    def attention(self) -> None:
        """Queries, keys and values of one value, and the attention over them."""
        before, width = self.last, self.shape[-1]
        of_keys, of_values = self.width(), self.width()
        names = []
        for outputs in (of_keys, of_keys, of_values):
            self.add(LAYERS["dense"](width, outputs), before)  # type: ignore[call-arg]
            names.append(self.last)
        options: dict[str, Any] = {"causal": self.chance(0.5), "scale": "none" if self.chance(0.2) else "width"}
        self.add(LAYERS["scaled_dot_product_attention"](**options), *names)

    def layer(self, kind: str) -> None:
        """A layer of a kind behind the last node, with what it needs around it."""
        if kind == "dense":
            self.add(LAYERS["dense"](self.shape[-1], self.width()))  # type: ignore[call-arg]
        elif kind == "add":
            self.branched()
        elif kind == "scaled_dot_product_attention":
            self.attention()
        elif kind in ("layer_norm", "batch_norm"):
            self.activation()
            self.normalisation(kind)
        elif kind == "softmax" or kind in ACTIVATIONS:
            self.activation(kind)
        else:
            raise AssertionError(f"no rule for {kind}")

    # ---------------------------------------------------------------------------------------------------- single layers

    def affine(self) -> None:
        """Something with a weight and a bias, to another width."""
        if self.form == "images" and min(self.shape[2:]) > 2:
            kernel = (2, 2) if self.chance(0.2) else (self.whole(1, 2), self.whole(2, 3))
            padding = (self.whole(0, 1), self.whole(0, 1))
            stride = (self.whole(1, 2), 1) if self.chance(0.4) else (1, self.whole(1, 2))
            self.add(LAYERS["conv2d"](self.shape[1], self.width(), kernel, stride, padding))  # type: ignore[call-arg]
        else:
            self.add(LAYERS["dense"](self.shape[-1], self.width()))  # type: ignore[call-arg]

    def activation(self, kind: str | None = None) -> None:
        """An activation; before a relu something with weights, where it needs that."""
        kinds = self.activations()
        chosen = kind or self.one_of(*kinds, *kinds[:-1])  # softmax half as often as the others
        if chosen == "relu" and chosen not in kinds:
            self.affine()
        tanh = chosen == "gelu" and self.chance(0.4)
        self.add(LAYERS[chosen](**({"approximate": "tanh"} if tanh else {})))

    def activations(self) -> list[str]:
        """Those that may follow: no relu of what may be exactly 0, where its derivative is a matter of convention."""
        return [kind for kind in ACTIVATIONS if kind != "relu" or not self.may_be_zero(self.last)]

    def normalisation(self, kind: str | None = None) -> None:
        """Layer norm or, where it can stand, batch norm."""
        fits = self.form != "sequences" and np.prod(self.shape) / self.shape[1] > 2
        chosen = kind or ("batch_norm" if fits and self.chance(0.6) else "layer_norm")
        epsilon = self.one_of(1e-5, 2.0**-10, 2.0**-6)
        if chosen == "layer_norm":
            # A row of equal values has no deviation, and outside the root nothing keeps its derivative finite.
            flat = self.form == "images" or self.may_be_zero(self.last)
            place: dict[str, Any] = {"epsilon_in": "outside"} if not flat and self.chance(0.15) else {}
            self.add(LAYERS["layer_norm"](self.shape[-1], epsilon, **place))  # type: ignore[call-arg]
            return
        options: dict[str, Any] = {
            "training": self.chance(0.85),
            "running_variance": self.one_of(*["unbiased"] * 4, "biased"),
        }
        options |= {"momentum": 0.875, "momentum_of": "old"} if self.chance(0.3) else {"momentum": 0.125}
        self.add(LAYERS["batch_norm"](self.shape[1], epsilon, **options))  # type: ignore[call-arg]

    def may_be_zero(self, name: str) -> bool:
        """Whether a value may be exactly 0 in places: a relu does that, gelu far below 0, and a sum of such values."""
        node = next((node for node in self.nodes if node.name == name), None)
        if node is None or node.layer.kind not in ("relu", "gelu", "add"):
            return False
        return node.layer.kind != "add" or all(map(self.may_be_zero, node.takes))

    # ------------------------------------------------------------------------------------------- loss, optimizer, data

    def loss(self) -> Loss:
        """A loss; cross-entropy of probabilities gets the softmax that it needs."""
        kind = self.wanted if self.wanted in LOSSES else self.one_of(*LOSSES)
        assert kind is not None
        if kind == "cross_entropy" and self.nodes[-1].layer.kind != "softmax":
            self.add(LAYERS["softmax"]())
        if kind == "mean_squared_error" and self.chance(0.2):
            self.add(LAYERS["dense"](self.shape[-1], 1))  # type: ignore[call-arg]
        options: dict[str, str] = {}
        if kind == "softmax_cross_entropy":
            options["targets"] = self.one_of("indices", "distributions")
        third = "half_sum" if kind == "mean_squared_error" else "mean_over_outputs"
        return LOSSES[kind](reduction=self.one_of("mean", "sum", third), **options)  # type: ignore[call-arg]

    def optimizer(self, steps: int, reduction: str) -> Optimizer:
        """An optimizer with some of its options, and another learning rate at each step."""
        kind = self.wanted if self.wanted in OPTIMIZERS else self.one_of(*(k for k in OPTIMIZERS if self.can_train(k)))
        assert kind is not None
        # A loss that is a sum has gradients as many times larger as there are rows: such steps must not diverge.
        small = 1.0 if kind != "sgd" or reduction == "mean" else 2.0**-4
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
        step = SCHEDULES["step"](start, factor=0.5, every=self.whole(1, 2))  # type: ignore[call-arg]
        rules = (
            step,
            SCHEDULES["linear"](start, steps=4),  # type: ignore[call-arg]
            SCHEDULES["cosine"](start, steps=2),  # type: ignore[call-arg]
            SCHEDULES["warmup"](steps=2, start=start / 4, then=step),  # type: ignore[call-arg]
        )
        return self.one_of(*rules)

    def can_train(self, kind: str) -> bool:
        """Whether there is something for an optimizer to update."""
        return any(trainable(kind, shape) for node in self.nodes for shape in node.layer.parameters().values())

    # ------------------------------------------------------------------------------------------------------------ tools

    def add(self, layer: Layer, *takes: str) -> None:
        """A node with a layer, by default behind the last one."""
        name = f"{'abcdefghijklmnopqrstuvwxyz'[len(self.nodes)]}.{layer.kind}"
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

    def whole(self, low: int, high: int) -> int:
        """A whole number, both ends included."""
        return int(self.generator.integers(low, high + 1))

    def chance(self, probability: float) -> bool:
        return bool(self.generator.random() < probability)

    def one_of(self, *choices: T) -> T:
        return choices[self.whole(0, len(choices) - 1)]
