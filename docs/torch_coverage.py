"""``make torch-coverage``: what of torch.nn and torch.optim the catalogue has, and why it lacks the rest.

Writes torch-coverage.md. What is covered is declared here, by the kind that it is; ``tests/test_torch_coverage.py``
holds that against what the adapter uses, and everything that the installed torch has against both lists.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path

import crosscheck
import torch
from torch import nn

HERE = Path(__file__).parent
PAGE = HERE / "torch-coverage.md"
PARTS = Path(crosscheck.__file__).parent / "adapters" / "torch" / "parts"

COVERED: dict[str, str] = {
    "AdaptiveAvgPool2d": "adaptive_avg_pool2d",
    "AvgPool2d": "avg_pool2d",
    "BCELoss": "binary_cross_entropy",
    "BCEWithLogitsLoss": "binary_cross_entropy_with_logits",
    "BatchNorm1d": "batch_norm",
    "Bilinear": "bilinear",
    "Conv1d": "conv1d",
    "Conv2d": "conv2d",
    "ConvTranspose2d": "conv_transpose2d",
    "CosineEmbeddingLoss": "cosine_embedding",
    "CrossEntropyLoss": "softmax_cross_entropy",
    "ELU": "elu",
    "Embedding": "embedding",
    "Flatten": "flatten",
    "GELU": "gelu",
    "GLU": "glu",
    "GRU": "gru",
    "GaussianNLLLoss": "gaussian_nll",
    "GroupNorm": "group_norm",
    "Hardswish": "hard_swish",
    "Hardtanh": "hardtanh",
    "HuberLoss": "huber",
    "InstanceNorm1d": "instance_norm",
    "KLDivLoss": "kl_div",
    "L1Loss": "mean_absolute_error",
    "LSTM": "lstm",
    "LayerNorm": "layer_norm",
    "LeakyReLU": "leaky_relu",
    "Linear": "dense",
    "LogSigmoid": "log_sigmoid",
    "LogSoftmax": "log_softmax",
    "MSELoss": "mean_squared_error",
    "MaxPool2d": "max_pool2d",
    "Mish": "mish",
    "MultiheadAttention": "multi_head_attention",
    "NLLLoss": "nll",
    "PReLU": "prelu",
    "PoissonNLLLoss": "poisson_nll",
    "RMSNorm": "rms_norm",
    "RNN": "rnn",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SELU": "selu",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "SmoothL1Loss": "smooth_l1",
    "Softmax": "softmax",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "Tanh": "tanh",
    "TripletMarginLoss": "triplet_margin",
}
"""The modules of torch.nn that the adapter uses, or whose function it calls, by the kind that they are."""

ALIKE: dict[str, str] = {
    "BatchNorm2d": "BatchNorm1d",
    "BatchNorm3d": "BatchNorm1d",
    "InstanceNorm2d": "InstanceNorm1d",
    "InstanceNorm3d": "InstanceNorm1d",
}
"""Modules that compute as another one does, and differ in the rank of the input that they accept alone."""

REASONS: dict[str, tuple[str, ...]] = {
    "Holds other modules or parameters and computes nothing: the graph is that of the case's nodes.": (
        *("Container", "Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"),
    ),
    "A base class, which computes nothing itself.": ("RNNBase", "RNNCellBase"),
    "Gives what it takes: there is nothing to check.": ("Identity",),
    "The same layer as without Lazy, which takes its sizes from its first input; a case gives them.": (
        *("LazyBatchNorm1d", "LazyBatchNorm2d", "LazyBatchNorm3d", "LazyConv1d", "LazyConv2d", "LazyConv3d"),
        *("LazyConvTranspose1d", "LazyConvTranspose2d", "LazyConvTranspose3d", "LazyLinear"),
        *("LazyInstanceNorm1d", "LazyInstanceNorm2d", "LazyInstanceNorm3d"),
    ),
    "Computes on several devices or in several processes; a case runs in one.": ("DataParallel", "SyncBatchNorm"),
    "Draws random numbers of its own, which no other framework draws too. `dropout` is given its mask, and composed.": (
        *("AlphaDropout", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d", "FeatureAlphaDropout"),
        *("FractionalMaxPool2d", "FractionalMaxPool3d", "RReLU"),
    ),
    "`celu` and `hard_sigmoid` are composed: the modules differentiate with a float32 constant, whatever the dtype.": (
        *("CELU", "Hardsigmoid"),
    ),
    "One step of `rnn`, `lstm` or `gru`: the layer on a sequence of one place.": ("GRUCell", "LSTMCell", "RNNCell"),
    "The same formula over another number of axes than those that the catalogue has.": (
        *("AdaptiveAvgPool1d", "AdaptiveAvgPool3d", "AvgPool1d", "AvgPool3d", "Conv3d", "ConvTranspose1d"),
        *("ConvTranspose3d", "MaxPool1d", "MaxPool3d"),
    ),
    "A pool that the catalogue lacks; its largest and mean pools are `max_pool2d`, `avg_pool2d` and two more.": (
        *("AdaptiveMaxPool1d", "AdaptiveMaxPool2d", "AdaptiveMaxPool3d", "LPPool1d", "LPPool2d", "LPPool3d"),
        *("MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"),
    ),
    "The catalogue pads with zeros, within the convolution or the pool.": (
        *("CircularPad1d", "CircularPad2d", "CircularPad3d", "ConstantPad1d", "ConstantPad2d", "ConstantPad3d"),
        *("ReflectionPad1d", "ReflectionPad2d", "ReflectionPad3d", "ReplicationPad1d", "ReplicationPad2d"),
        *("ReplicationPad3d", "ZeroPad1d", "ZeroPad2d", "ZeroPad3d"),
    ),
    "Moves values and computes nothing else; of these the catalogue has `reshape`, `flatten` and heads.": (
        *("ChannelShuffle", "Fold", "PixelShuffle", "PixelUnshuffle", "Unflatten", "Unfold"),
    ),
    "Images in another size: the catalogue resizes none but by pools and transposed convolutions.": (
        *("Upsample", "UpsamplingBilinear2d", "UpsamplingNearest2d"),
    ),
    "Normalisation across neighbouring channels, which batch normalisation has replaced.": (
        *("CrossMapLRN2d", "LocalResponseNorm"),
    ),
    "A network of `multi_head_attention`, `layer_norm`, `dense`, an activation and `add`, which are nodes of a case.": (
        *("Transformer", "TransformerDecoder", "TransformerDecoderLayer", "TransformerEncoder"),
        "TransformerEncoderLayer",
    ),
    "Rows of an embedding, added up: a reduction of `embedding`, which the catalogue lacks.": ("EmbeddingBag",),
    "`softmax` and `log_softmax` are over the last axis, of the value itself.": ("Softmax2d", "Softmin"),
    "Activations that hardly a network has.": ("Hardshrink", "Softshrink", "Tanhshrink", "Threshold"),
    "A distance or a likeness alone; `cosine_embedding` and `triplet_margin` have them inside.": (
        *("CosineSimilarity", "PairwiseDistance"),
    ),
    "A loss with weights of its own.": ("AdaptiveLogSoftmaxWithLoss",),
    "`dense` and `softmax_cross_entropy` in one, to save memory.": ("LinearCrossEntropyLoss",),
    "The former name of NLLLoss.": ("NLLLoss2d",),
    "Distances of one's own choice, which a case file cannot hold.": ("TripletMarginWithDistanceLoss",),
    "A loss over all alignments of a sequence: a program of its own, and no formula of elements or rows.": ("CTCLoss",),
    "Another loss with a margin than `hinge`, `squared_hinge`, `cosine_embedding` and `triplet_margin`.": (
        *("HingeEmbeddingLoss", "MarginRankingLoss", "MultiLabelMarginLoss", "MultiMarginLoss", "SoftMarginLoss"),
    ),
    "The mean over classes of `binary_cross_entropy_with_logits`.": ("MultiLabelSoftMarginLoss",),
}
"""Why the catalogue lacks the other modules."""

OPTIMIZERS: dict[str, str] = {
    "SGD": "sgd",
    "Adagrad": "adagrad",
    "RMSprop": "rmsprop",
    "Adadelta": "adadelta",
    "Adam": "adam",
    "AdamW": "adamw",
    "Adamax": "adamax",
    "NAdam": "nadam",
    "RAdam": "radam",
    "Rprop": "rprop",
    "Adafactor": "adafactor",
    "Muon": "muon",
}
"""The optimizers of torch.optim, by the kind that they are; `amsgrad` is Adam with an option."""

OPTIMIZER_REASONS: dict[str, tuple[str, ...]] = {
    "The base class.": ("Optimizer",),
    "Averages the weights beside the steps, which are those of gradient descent.": ("ASGD",),
    "Asks for the loss several times a step, and as often as its line search likes.": ("LBFGS",),
    "Adam for sparse gradients; those of a case are dense.": ("SparseAdam",),
}
"""Why the catalogue lacks the other optimizers."""


INTRODUCTION = """\
The catalogue is no copy of torch.nn: it has what networks are made of, each kind with its conventions. Below stands
every module of `torch.nn` and every optimizer of `torch.optim`. Left out are quantised modules (`torch.ao`) and those
of `torch.nn.parallel` and `torch.nn.utils`, which compute what they hold."""


MUON = """\
Adam with its option `amsgrad` is the kind `amsgrad`. `muon` is refused in every case: torch.optim.Muon iterates in
bfloat16, whatever the dtype."""


def modules() -> dict[str, type]:
    """Every public class of torch.nn that is a module."""
    return {name: kind for name, kind in sorted(vars(nn).items()) if subclass(kind, nn.Module)}


def optimizers() -> dict[str, type]:
    """Every public class of torch.optim that is an optimizer."""
    return {name: kind for name, kind in sorted(vars(torch.optim).items()) if subclass(kind, torch.optim.Optimizer)}


def installed() -> str:
    """The version of torch, without the name of its build."""
    return version("torch").partition("+")[0]


def subclass(kind: object, base: type) -> bool:
    return isinstance(kind, type) and issubclass(kind, base)


@cache
def used() -> frozenset[str]:
    """``nn.Linear``, ``functional.mish``, ``optim.Adam``: every such attribute in the code of the adapter's parts."""
    found = set()
    for path in PARTS.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute):
                of = ast.unparse(node.value).rpartition(".")[2]
                found.add(f"{'functional' if of == 'F' else of}.{node.attr}")
    return frozenset(found)


def uses(module: type) -> bool:
    """Whether the adapter uses a module, or each function that its forward calls."""
    functions = re.findall(r"\bF\.(\w+)\(", inspect.getsource(module.forward))  # type: ignore[attr-defined]
    return f"nn.{module.__name__}" in used() or (
        bool(functions) and all(f"functional.{f}" in used() for f in functions)
    )


def page() -> str:
    """What is covered, and what is not and why, as Markdown."""
    return (
        "\n\n".join(
            [
                "# What of PyTorch is covered",
                f"Written by `make torch-coverage`, with torch {installed()}.",
                INTRODUCTION,
                f"## Modules: {len(COVERED) + len(ALIKE)} of {len(modules())}",
                covered({**COVERED, **{name: COVERED[other] for name, other in ALIKE.items()}}),
                reasons(REASONS, modules()),
                f"## Optimizers: {len(OPTIMIZERS)} of {len(optimizers())}",
                covered(OPTIMIZERS),
                MUON,
                reasons(OPTIMIZER_REASONS, optimizers()),
            ]
        )
        + "\n"
    )


def covered(kinds: Mapping[str, str]) -> str:
    """A table of what is covered."""
    return "\n".join(
        ["| in PyTorch | kind |", "|---|---|", *(f"| {name} | `{kinds[name]}` |" for name in sorted(kinds))]
    )


def reasons(listed: Mapping[str, Iterable[str]], existing: Mapping[str, type]) -> str:
    """A table of what is not covered; another version may lack some of it."""
    lines = ["| not covered | why |", "|---|---|"]
    for reason, names in listed.items():
        if here := [name for name in names if name in existing]:
            lines.append(f"| {', '.join(here)} | {reason} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
