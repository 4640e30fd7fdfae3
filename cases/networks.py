"""Whole networks of any size as cases, each from a function: published ones, and small ones of the same layout.

N rows of the batch; V symbols of a vocabulary, T places of a sequence, E features of a place; C channels, H and W
height and width of an image. Weights and data come from a seed, as ``drawing`` says, and are exact in every dtype.

>>> case = gpt2(layers=2, width=8, heads=2, vocabulary=11, places=6, length=5, batch=3)
>>> case.shapes(case.batch(0).inputs.shape)["logits"]
(3, 5, 11)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TypedDict, Unpack

from ..reference.case import Batch, Case
from ..reference.errors import CaseError
from ..reference.layers import (
    Add,
    BatchNorm,
    Conv2d,
    ConvTranspose2d,
    Dense,
    Embedding,
    Flatten,
    Gelu,
    GlobalAvgPool,
    Layer,
    LayerNorm,
    Lstm,
    MaxPool2d,
    MergeHeads,
    Positions,
    Relu,
    Reshape,
    RMSNorm,
    Rotary,
    ScaledDotProductAttention,
    Shape,
    Sigmoid,
    SplitHeads,
    SwiGlu,
)
from ..reference.losses import Loss, MeanSquaredError, SoftmaxCrossEntropy
from ..reference.network import Node, output_shapes, parameter_shapes, resolve
from ..reference.optimizers import SGD, Adam, AdamW, Optimizer
from .drawing import draw_batch, draw_weights

__all__ = ["autoencoder", "character_lstm", "gpt2", "lenet", "llama", "resnet", "vit"]


class Run(TypedDict, total=False):
    """How a network is trained: what every function here takes beside the sizes of its network."""

    optimizer: Optimizer
    """By default one that is usual for the network."""
    steps: int
    """Number of training steps, all on the same batch; 1 unless it is given."""
    dtype: str
    """``float32`` unless it is given."""
    seed: int
    """Of the data; weights have the next one. 0 unless it is given."""
    name: str
    """By default that of the function, with hyphens."""
    about: str


# ------------------------------------------------------------------------------------------------------------ language


def gpt2(
    *,
    layers: int = 12,
    width: int = 768,
    heads: int = 12,
    hidden: int | None = None,
    vocabulary: int = 50257,
    places: int = 1024,
    length: int = 128,
    batch: int = 4,
    **run: Unpack[Run],
) -> Case:
    """GPT-2: embedded symbols and learned positions, pre-norm blocks of causal attention and a GELU network, AdamW.

    The table of the symbols is the weight of the output layer too, which has no bias. The network of a block is
    ``hidden`` wide, by default 4 times the width. The defaults are the smallest of the published models, on sequences
    of 128 places.

    Shapes: inputs and targets (N, T) indices, T up to ``places``; tokens.weight (V, E); logits (N, T, V).

    Same network elsewhere: GPT2LMHeadModel of Hugging Face and nanoGPT compute queries, keys and values with one
    weight (E, 3 E), which is these three side by side; dropout is left out here.

    Raises:
        CaseError: sizes that do not fit together, such as a width that is no multiple of the heads.

    Source: Radford, Wu, Child, Luan, Amodei & Sutskever 2019, "Language models are unsupervised multitask learners",
    section 2.3.

    >>> case = gpt2(layers=1, width=6, heads=3, hidden=10, vocabulary=9, places=7, length=5, batch=2)
    >>> case.uses["tokens.weight"], case.name
    (['tokens', 'logits'], 'gpt2')
    """
    graph = Graph()
    graph.add("tokens", Embedding(vocabulary, width))
    graph.add("x", Positions(places, width))
    for block in range(layers):
        seen = ScaledDotProductAttention(causal=True)
        transformer_block(graph, f"b{block}", width, heads, hidden or 4 * width, seen, Gelu("tanh"))
    graph.add("norm", LayerNorm(width))
    output = Dense(width, vocabulary, bias=False, layout="outputs_inputs")
    graph.add("logits", output, parameters={"weight": "tokens.weight"})
    return finished("gpt2", graph, SoftmaxCrossEntropy(), AdamW(2.0**-11), (batch, length), run)


def llama(
    *,
    layers: int = 32,
    width: int = 4096,
    heads: int = 32,
    key_heads: int = 8,
    head_width: int | None = None,
    hidden: int = 14336,
    vocabulary: int = 128256,
    length: int = 128,
    batch: int = 4,
    **run: Unpack[Run],
) -> Case:
    """Llama: pre-norm blocks with RMS norms, rotary positions, grouped queries and a SwiGLU network, AdamW. No biases.

    Each of the ``key_heads`` heads of keys and values serves as many heads of queries. A head is ``head_width`` wide,
    by default the width divided by the heads. The defaults are Llama 3's of 8 billion weights: give smaller ones.

    Shapes: inputs and targets (N, T) indices; tokens.weight (V, E); logits.weight (E, V); logits (N, T, V).

    Same network elsewhere: LlamaForCausalLM of Hugging Face, whose rotary turns features half a head apart as here;
    Meta's own code turns neighbours, with weights that are permuted for it. Llama 3 has a base of 500,000.

    Raises:
        CaseError: sizes that do not fit together, such as heads that are no multiple of the heads of keys.

    Source: Touvron et al. 2023, "LLaMA: open and efficient foundation language models", section 2.2; grouped queries,
    Touvron et al. 2023, "Llama 2: open foundation and fine-tuned chat models", section 2.2.

    >>> sizes = dict(layers=1, width=6, heads=4, key_heads=2, head_width=2, hidden=9, vocabulary=11)
    >>> case = llama(**sizes, length=5, batch=3)
    >>> [case.parameters[f"b0.{name}.weight"] for name in ("q", "k", "v")]
    [(6, 8), (6, 4), (6, 4)]
    """
    each = head_width or width // heads
    graph = Graph()
    x = graph.add("tokens", Embedding(vocabulary, width))
    for block in range(layers):
        at = f"b{block}"
        norm = graph.add(f"{at}.norm", RMSNorm(width))
        for part, count in (("q", heads), ("k", key_heads), ("v", key_heads)):
            graph.add(f"{at}.{part}", Dense(width, count * each, bias=False), norm)
            graph.add(f"{at}.{part}.heads", SplitHeads(count))
        turned = [graph.add(f"{at}.{part}.turned", Rotary(), f"{at}.{part}.heads") for part in "qk"]
        graph.add(f"{at}.seen", ScaledDotProductAttention(causal=True), *turned, f"{at}.v.heads")
        graph.add(f"{at}.merged", MergeHeads())
        graph.add(f"{at}.mixed", Dense(heads * each, width, bias=False))
        x = graph.add(f"{at}.attended", Add(), f"{at}.mixed", x)
        norm = graph.add(f"{at}.norm2", RMSNorm(width))
        gate, up = (graph.add(f"{at}.{part}", Dense(width, hidden, bias=False), norm) for part in ("gate", "up"))
        graph.add(f"{at}.swiglu", SwiGlu(), gate, up)
        graph.add(f"{at}.down", Dense(hidden, width, bias=False))
        x = graph.add(f"{at}.out", Add(), f"{at}.down", x)
    graph.add("norm", RMSNorm(width))
    graph.add("logits", Dense(width, vocabulary, bias=False))
    return finished("llama", graph, SoftmaxCrossEntropy(), AdamW(2.0**-11), (batch, length), run)


def character_lstm(
    *,
    vocabulary: int = 96,
    width: int = 64,
    hidden: int = 256,
    layers: int = 1,
    length: int = 64,
    batch: int = 16,
    **run: Unpack[Run],
) -> Case:
    """Long short-term memory on embedded characters, which tells the class of the next one at every place. Adam.

    Shapes: inputs and targets (N, T) indices; characters.weight (V, E); lstm (N, T, H) with H ``hidden``; logits
    (N, T, V).

    Same network elsewhere: char-rnn; most begin with one-hot rows, which is the embedding's table without a layer of
    its own.

    Raises:
        CaseError: a size below 1.

    Source: Graves 2013, "Generating sequences with recurrent neural networks", section 3.

    >>> case = character_lstm(vocabulary=7, width=3, hidden=5, length=4, batch=2)
    >>> case.parameters["lstm.weight_ih_l0"], case.parameters["logits.weight"]
    ((3, 20), (5, 7))
    """
    graph = Graph()
    graph.add("characters", Embedding(vocabulary, width))
    graph.add("lstm", Lstm(width, hidden, layers))
    graph.add("logits", Dense(hidden, vocabulary))
    return finished("character-lstm", graph, SoftmaxCrossEntropy(), Adam(2.0**-9), (batch, length), run)


# -------------------------------------------------------------------------------------------------------------- images


def lenet(
    *,
    channels: int = 1,
    size: tuple[int, int] = (28, 28),
    maps: tuple[int, int] = (6, 16),
    kernel: tuple[int, int] = (5, 5),
    padding: tuple[int, int] = (2, 2),
    hidden: tuple[int, int] = (120, 84),
    classes: int = 10,
    batch: int = 64,
    **run: Unpack[Run],
) -> Case:
    """LeNet-5 as it is built today: two convolutions with relu and pools, three dense layers, momentum.

    The first convolution is padded. The original has tanh where this has relu, and means with a weight of their own
    where this has maxima; its second convolution does not see every map, and its last layer is of radial functions.

    Shapes: inputs (N, C, H, W); targets (N,) indices; o (N, classes).

    Raises:
        CaseError: an image that is smaller than the kernels and pools need.

    Source: LeCun, Bottou, Bengio & Haffner 1998, "Gradient-based learning applied to document recognition", section
    II.B.

    >>> case = lenet(batch=2)
    >>> [case.shapes((2, 1, 28, 28))[name] for name in ("a.pool", "b.pool", "flat", "o")]
    [(2, 6, 14, 14), (2, 16, 5, 5), (2, 400), (2, 10)]
    """
    graph = Graph()
    inputs = channels
    for name, outputs, cut in zip("ab", maps, (padding, (0, 0)), strict=True):
        graph.add(name, Conv2d(inputs, outputs, kernel, padding=cut))
        graph.add(f"{name}.relu", Relu())
        graph.add(f"{name}.pool", MaxPool2d((2, 2)))
        inputs = outputs
    graph.add("flat", Flatten())
    inputs = graph.shape((batch, channels, *size))[-1]
    for name, outputs in zip("cd", hidden, strict=True):
        graph.add(name, Dense(inputs, outputs))
        graph.add(f"{name}.relu", Relu())
        inputs = outputs
    graph.add("o", Dense(inputs, classes))
    return finished("lenet", graph, SoftmaxCrossEntropy(), SGD(2.0**-5, 0.875), (batch, channels, *size), run)


def resnet(
    *,
    depth: int = 20,
    channels: int = 3,
    size: tuple[int, int] = (32, 32),
    widths: Sequence[int] = (16, 32, 64),
    classes: int = 10,
    batch: int = 16,
    **run: Unpack[Run],
) -> Case:
    """Residual network for small images: a convolution, stages of blocks, the mean of each channel, momentum.

    A block is two convolutions of 3 x 3 without biases, each with a batch norm, past which its input is added. Each
    stage has one of the ``widths``, and all have as many blocks: ``depth = 2 * blocks * stages + 2`` layers with
    weights, of which the three stages of the source make 8, 14, 20 and so on. A stage but the first begins with a
    stride of 2; where the shape changes, what is added goes through a convolution of 1 x 1 and a batch norm of its own.

    Shapes: inputs (N, C, H, W); targets (N,) indices; o (N, classes).

    Same network elsewhere: torchvision's are the larger ones of the source, for ImageNet, with the same blocks. The
    source's for small images fill up with zeros instead of the convolution of 1 x 1.

    Raises:
        CaseError: a depth that the stages do not divide, no stage.

    Source: He, Zhang, Ren & Sun 2016, "Deep residual learning for image recognition", section 4.2, with option B of
    its section 4.1.

    >>> case = resnet(depth=8, batch=2)
    >>> [case.shapes((2, 3, 32, 32))[name] for name in ("first.relu", "s1b0.out", "s2b0.out", "o")]
    [(2, 16, 32, 32), (2, 32, 16, 16), (2, 64, 8, 8), (2, 10)]
    """
    if not widths:
        raise CaseError("at least one stage", "none", key="widths")
    blocks, rest = divmod(depth - 2, 2 * len(widths))
    if rest or blocks < 1:
        raise CaseError(f"2 more than a multiple of {2 * len(widths)}", str(depth), key="depth")
    graph = Graph()
    normalised_convolution(graph, "first", channels, widths[0])
    x = graph.add("first.relu", Relu())
    before = widths[0]
    for stage, width in enumerate(widths):
        for block in range(blocks):
            at, stride = f"s{stage}b{block}", 2 if stage and not block else 1
            past = x
            if stride > 1 or width != before:
                past = normalised_convolution(graph, f"{at}.past", before, width, 1, stride, takes=x)
            normalised_convolution(graph, f"{at}.a", before, width, stride=stride, takes=x)
            graph.add(f"{at}.a.relu", Relu())
            normalised_convolution(graph, f"{at}.b", width, width)
            graph.add(f"{at}.sum", Add(), f"{at}.b.norm", past)
            x = graph.add(f"{at}.out", Relu())
            before = width
    graph.add("mean", GlobalAvgPool())
    graph.add("o", Dense(before, classes))
    return finished("resnet", graph, SoftmaxCrossEntropy(), SGD(2.0**-4, 0.875), (batch, channels, *size), run)


def vit(
    *,
    layers: int = 12,
    width: int = 768,
    heads: int = 12,
    hidden: int | None = None,
    channels: int = 3,
    size: tuple[int, int] = (224, 224),
    patch: tuple[int, int] = (16, 16),
    classes: int = 1000,
    batch: int = 4,
    **run: Unpack[Run],
) -> Case:
    """Vision transformer: patches of an image as places, pre-norm blocks of attention and a GELU network, AdamW.

    A convolution whose windows lie side by side makes a place of every patch, row by row. Positions are learned, and
    the mean of all places is what the classes are told from. The network of a block is ``hidden`` wide, by default 4
    times the width. The defaults are those of the model that the source calls B/16.

    Shapes: inputs (N, C, H, W); targets (N,) indices; places (N, T, E), where T is how many patches an image has; o
    (N, classes).

    Same network elsewhere: timm's vit_base_patch16_224 with ``global_pool="avg"``, torchvision's vit_b_16. Both, as
    the source, have by default a place more, whose symbol is learned and that alone tells the class; and all have the
    exact GELU, as here.

    Raises:
        CaseError: a width that is no multiple of the heads, an image smaller than a patch.

    Source: Dosovitskiy et al. 2021, "An image is worth 16x16 words", section 3.1, with the mean of its appendix D.3.

    >>> case = vit(layers=1, width=6, heads=3, hidden=10, channels=2, size=(4, 9), patch=(2, 3), classes=5, batch=4)
    >>> [case.shapes((4, 2, 4, 9))[name] for name in ("patches", "places", "mean", "o")]
    [(4, 6, 2, 3), (4, 6, 6), (4, 6), (4, 5)]
    """
    graph = Graph()
    graph.add("patches", Conv2d(channels, width, patch, stride=patch))
    places = prod(graph.shape((batch, channels, *size))[2:])
    # Features become heads of width 1, which are put side by side behind the places.
    graph.add("columns", Reshape((width, places, 1)))
    graph.add("places", MergeHeads())
    graph.add("x", Positions(places, width))
    for block in range(layers):
        transformer_block(graph, f"b{block}", width, heads, hidden or 4 * width, ScaledDotProductAttention(), Gelu())
    graph.add("norm", LayerNorm(width))
    graph.add("norm.columns", SplitHeads(width))
    graph.add("mean", GlobalAvgPool())
    graph.add("o", Dense(width, classes))
    return finished("vit", graph, SoftmaxCrossEntropy(), AdamW(2.0**-10), (batch, channels, *size), run)


def autoencoder(
    *,
    channels: int = 1,
    size: tuple[int, int] = (28, 28),
    maps: tuple[int, int] = (16, 32),
    kernel: tuple[int, int] = (4, 4),
    padding: tuple[int, int] = (1, 1),
    code: int = 10,
    batch: int = 64,
    **run: Unpack[Run],
) -> Case:
    """Autoencoder of images: two convolutions to a code of a few numbers, two transposed ones back. Adam.

    The convolutions have a stride of 2, the transposed ones too, with the output padding that brings back the sizes.
    The last is followed by a sigmoid; the target is the input itself, drawn from 0 to 1 as pixels are.

    Shapes: inputs, targets and y (N, C, H, W); code (N, code).

    Raises:
        CaseError: an image that is smaller than the kernels need.

    Source: Masci, Meier, Ciresan & Schmidhuber 2011, "Stacked convolutional auto-encoders for hierarchical feature
    extraction", with the transposed convolutions of Zeiler, Krishnan, Taylor & Fergus 2010, "Deconvolutional networks".

    >>> case = autoencoder(size=(9, 7), kernel=(3, 2), code=5, batch=3)
    >>> shapes = case.shapes((3, 1, 9, 7))
    >>> [shapes[name] for name in ("a", "b", "code", "c", "y")]
    [(3, 16, 5, 4), (3, 32, 3, 3), (3, 5), (3, 16, 5, 4), (3, 1, 9, 7)]
    """
    images = (batch, channels, *size)
    graph, stride = Graph(), (2, 2)
    graph.add("a", Conv2d(channels, maps[0], kernel, stride, padding))
    between = graph.shape(images)
    graph.add("a.relu", Relu())
    graph.add("b", Conv2d(*maps, kernel, stride, padding))
    smallest = graph.shape(images)
    graph.add("b.relu", Relu())
    graph.add("flat", Flatten())
    graph.add("code", Dense(prod(smallest[1:]), code))
    graph.add("back", Dense(code, prod(smallest[1:])))
    graph.add("back.relu", Relu())
    graph.add("maps", Reshape(smallest[1:]))
    for name, small, large in (("c", smallest, between), ("y.logits", between, images)):
        back = ConvTranspose2d(small[1], large[1], kernel, stride, padding)
        height, width = (w - made for w, made in zip(large[2:], back.output_sizes(small[2:]), strict=True))
        graph.add(name, replace(back, output_padding=(height, width)))
        graph.add("c.relu" if name == "c" else "y", Relu() if name == "c" else Sigmoid())
    case = finished("autoencoder", graph, MeanSquaredError(), Adam(2.0**-10), images, run)
    pixels = Sigmoid().forward(case.batch(0).inputs, {})[0].astype("float16")
    return replace(case, batches=(Batch(pixels, pixels),))


# --------------------------------------------------------------------------------------------------------------- parts


class Graph:
    """The nodes of a network that is being put together."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def add(self, name: str, layer: Layer, *takes: str, parameters: Mapping[str, str] | None = None) -> str:
        """Add a node, which takes the one before it unless it is told otherwise; its name."""
        self.nodes.append(Node(name, layer, takes, parameters or {}))
        return name

    @property
    def last(self) -> str:
        """The name of the last node."""
        return self.nodes[-1].name

    def shape(self, inputs: Shape) -> Shape:
        """The shape of what the last node gives."""
        return output_shapes(resolve(tuple(self.nodes)), inputs)[self.last]


def transformer_block(
    graph: Graph, at: str, width: int, heads: int, hidden: int, attention: ScaledDotProductAttention, gelu: Gelu
) -> None:
    """A pre-norm block: attention in heads is added to what it takes, and then a network of two dense layers."""
    x = graph.last
    norm = graph.add(f"{at}.norm", LayerNorm(width))
    for part in "qkv":
        graph.add(f"{at}.{part}", Dense(width, width), norm)
        graph.add(f"{at}.{part}.heads", SplitHeads(heads))
    graph.add(f"{at}.seen", attention, *(f"{at}.{part}.heads" for part in "qkv"))
    graph.add(f"{at}.merged", MergeHeads())
    graph.add(f"{at}.mixed", Dense(width, width))
    x = graph.add(f"{at}.attended", Add(), f"{at}.mixed", x)
    graph.add(f"{at}.norm2", LayerNorm(width))
    graph.add(f"{at}.wide", Dense(width, hidden))
    graph.add(f"{at}.gelu", gelu)
    graph.add(f"{at}.narrow", Dense(hidden, width))
    graph.add(f"{at}.out", Add(), f"{at}.narrow", x)


def normalised_convolution(
    graph: Graph, name: str, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, *, takes: str = ""
) -> str:
    """A square convolution that keeps the size of an image but for its stride, and a batch norm instead of a bias."""
    layer = Conv2d(inputs, outputs, (kernel, kernel), (stride, stride), (kernel // 2, kernel // 2), bias=False)
    graph.add(name, layer, *filter(None, [takes]))
    return graph.add(f"{name}.norm", BatchNorm(outputs))


def finished(name: str, graph: Graph, loss: Loss, optimizer: Optimizer, inputs: Shape, run: Run) -> Case:
    """The case of a network, with weights and data from its seed."""
    nodes, seed = resolve(tuple(graph.nodes)), run.get("seed", 0)
    return Case(
        name=run.get("name", name),
        about=run.get("about", f"{name}, {sum(map(prod, parameter_shapes(nodes).values())):,} weights"),
        nodes=nodes,
        loss=loss,
        optimizer=run.get("optimizer", optimizer),
        weights=draw_weights(parameter_shapes(nodes), seed + 1),
        batches=(draw_batch(nodes, loss, inputs, seed),),
        steps=run.get("steps", 1),
        dtype=run.get("dtype", "float32"),
    )
