"""Every layer and every loss, with shapes that hide nothing: what several tests try, each in its own arithmetic.

The file of a small case, parts of which they replace, and what counts as equal in another arithmetic.
"""

from __future__ import annotations

from pathlib import Path

import crosscheck as cc
import numpy as np
from crosscheck.reference import Layer, Loss
from crosscheck.reference.layers import Array

N, I, O = 7, 3, 5  # noqa: E741 - the letters of the reference

LAYERS: dict[str, tuple[Layer, tuple[tuple[int, ...], ...]]] = {
    "dense": (cc.Dense(I, O), ((N, I),)),
    "dense-outputs first": (cc.Dense(I, O, bias=False, layout="outputs_inputs"), ((N, I),)),
    "bilinear": (cc.Bilinear(I, 4, O), ((2, N, I), (2, N, 4))),
    "positions": (cc.Positions(N + 1, O), ((2, N, O),)),
    "sinusoidal_positions": (cc.SinusoidalPositions(), ((2, N, 6),)),
    "sinusoidal_positions-halves": (cc.SinusoidalPositions(16.0, "halves"), ((N, 4),)),
    "rotary": (cc.Rotary(), ((2, N, 6),)),
    "rotary-interleaved": (cc.Rotary(16.0, "interleaved"), ((2, N, 4),)),
    "relu": (cc.Relu(), ((N, O),)),
    "tanh": (cc.Tanh(), ((N, O),)),
    "sigmoid": (cc.Sigmoid(), ((N, O),)),
    "log_sigmoid": (cc.LogSigmoid(), ((N, O),)),
    "softplus": (cc.Softplus(beta=3.0, threshold=2.0), ((N, O),)),
    "softplus-exact": (cc.Softplus(beyond="exact"), ((N, O),)),
    "softsign": (cc.Softsign(), ((N, O),)),
    "leaky_relu": (cc.LeakyRelu(0.3), ((N, O),)),
    "prelu": (cc.PRelu(), ((N, O),)),
    "prelu-channels": (cc.PRelu(I, "right"), ((N, I, O),)),
    "elu": (cc.Elu(0.3), ((N, O),)),
    "elu-right": (cc.Elu(0.3, "right"), ((N, O),)),
    "selu": (cc.Selu(), ((N, O),)),
    "celu": (cc.Celu(0.3), ((N, O),)),
    "hardtanh": (cc.Hardtanh(-0.3, 0.7), ((N, O),)),
    "hardtanh-inside": (cc.Hardtanh(-0.3, 0.7, "inside"), ((N, O),)),
    "relu6": (cc.Relu6(), ((N, O),)),
    "hard_sigmoid": (cc.HardSigmoid(), ((N, O),)),
    "hard_swish": (cc.HardSwish(), ((N, O),)),
    "hard_swish-inside": (cc.HardSwish("inside"), ((N, O),)),
    "silu": (cc.Silu(), ((N, O),)),
    "mish": (cc.Mish(), ((N, O),)),
    "glu": (cc.Glu(), ((2, N, 2 * O),)),
    "swiglu": (cc.SwiGlu(), ((N, O), (N, O))),
    "log_softmax": (cc.LogSoftmax(), ((N, O),)),
    "softmax": (cc.Softmax(), ((N, O),)),
    "add": (cc.Add(), ((N, O), (N, O))),
    "dropout": (cc.Dropout(0.25), ((N, O),)),
    "multiply": (cc.Multiply(), ((N, O), (N, O))),
    "concatenate": (cc.Concatenate(-2), ((2, 4, O), (2, 1, O), (2, N, O))),
    "flatten": (cc.Flatten(), ((2, I, 4),)),
    "reshape": (cc.Reshape((4, I)), ((N, 2, 6),)),
    "dense-rank-3": (cc.Dense(I, O), ((2, N, I),)),
    "gelu": (cc.Gelu(), ((N, O),)),
    "gelu-tanh": (cc.Gelu("tanh"), ((N, O),)),
    "layer_norm": (cc.LayerNorm(O, epsilon=1e-3), ((2, N, O),)),
    "layer_norm-epsilon outside": (cc.LayerNorm(O, epsilon=1e-3, epsilon_in="outside"), ((2, N, O),)),
    "rms_norm": (cc.RMSNorm(O, epsilon=1e-3), ((2, N, O),)),
    "rms_norm-epsilon outside": (cc.RMSNorm(O, epsilon=1e-3, epsilon_in="outside"), ((N, O),)),
    "group_norm": (cc.GroupNorm(6, 3, epsilon=1e-3), ((2, 6, 3, 4),)),
    "group_norm-plain": (cc.GroupNorm(6, 2, epsilon=1e-3, affine=False), ((N, 6),)),
    "instance_norm": (cc.InstanceNorm(O, epsilon=1e-3), ((2, O, 3, 4),)),
    "instance_norm-plain": (cc.InstanceNorm(O, 1e-3, "outside", affine=False), ((2, O, 4),)),
    "batch_norm": (cc.BatchNorm(O, epsilon=1e-3), ((N, O),)),
    "batch_norm-images": (cc.BatchNorm(O, epsilon=1e-3), ((2, O, 3, 4),)),
    "batch_norm-other conventions": (
        cc.BatchNorm(O, momentum=0.9, running_variance="biased", momentum_of="old"),
        ((2, O, 3, 4),),
    ),
    "batch_norm-evaluation": (cc.BatchNorm(O, training=False), ((N, O),)),
    "embedding": (cc.Embedding(4, O), ((N, 3),)),
    "rnn": (cc.Rnn(I, O), ((2, 4, I),)),
    "rnn-relu": (cc.Rnn(I, O, 2, bias=False, activation="relu"), ((2, 4, I),)),
    "lstm": (cc.Lstm(I, O), ((2, 4, I),)),
    "lstm-two layers, both directions": (cc.Lstm(I, 2, 2, bidirectional=True), ((4, O, I),)),
    "gru": (cc.Gru(I, O), ((2, 4, I),)),
    "gru-reset before": (cc.Gru(I, 2, bidirectional=True, bias=False, reset="before"), ((4, O, I),)),
    "conv2d": (cc.Conv2d(I, O, (2, 3), (3, 2), (1, 2)), ((2, I, 6, 7),)),
    "conv2d-dilated groups": (cc.Conv2d(4, 6, (2, 3), (3, 2), (1, 2), (2, 1), 2, bias=False), ((2, 4, 6, 7),)),
    "conv1d": (cc.Conv1d(I, O, 4, 2, 1, dilation=2), ((2, I, 9),)),
    "conv_transpose2d": (cc.ConvTranspose2d(4, 6, (3, 2), (2, 1), (1, 1), (1, 0), groups=2), ((2, 4, 3, 5),)),
    "conv_transpose2d-flipped": (cc.ConvTranspose2d(I, O, (3, 2), orientation="flipped"), ((2, I, 3, 4),)),
    "max_pool2d": (cc.MaxPool2d((3, 2), (2, 1), (1, 1)), ((2, I, 6, 5),)),
    "max_pool2d-ties shared": (cc.MaxPool2d((2, 3), tie="shared"), ((2, I, 4, 7),)),
    "avg_pool2d": (cc.AvgPool2d((3, 2), (2, 1), (1, 1)), ((2, I, 6, 5),)),
    "avg_pool2d-padding not counted": (cc.AvgPool2d((3, 2), None, (1, 1), count_padding=False), ((2, I, 6, 5),)),
    "adaptive_avg_pool2d": (cc.AdaptiveAvgPool2d((3, 2)), ((2, I, 5, 7),)),
    "global_avg_pool": (cc.GlobalAvgPool(), ((2, I, 4, 5),)),
    "attention": (cc.ScaledDotProductAttention(), ((2, 4, I), (2, N, I), (2, N, O))),
    "attention-causal": (cc.ScaledDotProductAttention(causal=True, scale="none"), ((2, N, I), (2, 4, I), (2, 4, O))),
    "attention-grouped": (cc.ScaledDotProductAttention(mask="boolean"), ((6, 4, I), (2, N, I), (2, N, O))),
    "attention-additive": (cc.ScaledDotProductAttention(causal=True, mask="additive"), ((N, I), (4, I), (4, O))),
    "split_heads": (cc.SplitHeads(3), ((2, N, 6),)),
    "merge_heads": (cc.MergeHeads(), ((2, 3, N, 4),)),
    "multi_head_attention": (cc.MultiHeadAttention(6, 3, causal=True), ((2, N, 6),)),
    "multi_head_attention-no bias": (cc.MultiHeadAttention(6, 2, bias=False), ((N, 6),)),
}

WEIGHTS = (0.3, 2.0, 1.0, 0.7, 1.6, 0.1)[:O]

LOSSES: dict[str, Loss] = {
    **{f"cross_entropy-{reduction}": cc.CrossEntropy(reduction) for reduction in ("mean", "sum", "mean_over_outputs")},
    **{
        f"softmax_cross_entropy-{reduction}-{targets}": cc.SoftmaxCrossEntropy(reduction, targets)
        for reduction in ("mean", "sum", "mean_over_outputs")
        for targets in ("indices", "distributions")
    },
    **{f"mean_squared_error-{reduction}": cc.MeanSquaredError(reduction) for reduction in ("mean", "sum", "half_sum")},
    "nll": cc.NegativeLogLikelihood(ignore_index=1),
    "softmax_cross_entropy-smoothed": cc.SoftmaxCrossEntropy("none", label_smoothing=0.1, ignore_index=1),
    "mean_absolute_error": cc.MeanAbsoluteError(slope_at_zero="one"),
    "huber": cc.Huber(delta=0.3),
    "smooth_l1": cc.SmoothL1("none", beta=0.3),
    "binary_cross_entropy": cc.BinaryCrossEntropy(),
    "binary_cross_entropy-clipped": cc.BinaryCrossEntropy(extremes="clipped"),
    "binary_cross_entropy-unbounded": cc.BinaryCrossEntropy("sum", "unbounded"),
    "binary_cross_entropy_with_logits": cc.BinaryCrossEntropyWithLogits(pos_weight=(0.3,)),
    "kl_div": cc.KLDivergence("batchmean"),
    "kl_div-logarithms": cc.KLDivergence(targets="logarithms"),
    "poisson_nll": cc.PoissonNLL(full=True),
    "poisson_nll-rates": cc.PoissonNLL("none", "rates"),
    "hinge": cc.Hinge(slope_at_margin="half"),
    "squared_hinge": cc.SquaredHinge(),
}

ALONE: dict[str, Loss] = {
    "softmax_cross_entropy-weighted": cc.SoftmaxCrossEntropy(class_weights=WEIGHTS, label_smoothing=0.1),
    "softmax_cross_entropy-weighted distributions": cc.SoftmaxCrossEntropy("mean", "distributions", 0.1, WEIGHTS),
    "nll-weighted": cc.NegativeLogLikelihood("mean_over_outputs", WEIGHTS, 1),
    "binary_cross_entropy_with_logits-weighted": cc.BinaryCrossEntropyWithLogits("none", WEIGHTS),
    "gaussian_nll": cc.GaussianNLL(full=True),
    "cosine_embedding": cc.CosineEmbedding(margin=0.1),
    "triplet_margin": cc.TripletMargin(),
    "triplet_margin-root": cc.TripletMargin("none", "root", "half"),
}
"""Losses of several predictions, or with weights for as many classes as there are."""

CASE_FILE = """
name = "small"
{top}
[[nodes]]
name = "a"
kind = "dense"
inputs = {inputs}
outputs = {outputs}
{nodes}
[loss]
kind = "mean_squared_error"
[optimizer]
kind = "sgd"
learning_rate = 0.5
[data]
{data}
[weights]
{weights}
"""
PARTS = {"top": "", "inputs": 3, "outputs": 2, "nodes": "", "data": "seed = 1\nbatch = 4", "weights": "seed = 2"}


def case_file(folder: Path, **parts: object) -> Path:
    """The file of a small case in a folder, with some of its parts replaced."""
    (folder / "mine.toml").write_text(CASE_FILE.format(**{**PARTS, **parts}))
    return folder / "mine.toml"


def require_alike(found: Array, expected: Array) -> None:
    """Two arrays are equal but for the last digits: a power of a number alone, ``beta**step``, and of that number in an
    array come from two routines of NumPy, which on some processors round differently.
    """
    roundoff = 64 * np.finfo(expected.dtype).eps if expected.dtype.kind == "f" else 0
    np.testing.assert_allclose(found, expected, rtol=roundoff, atol=roundoff)
