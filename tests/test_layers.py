"""Every layer alone: forward, input gradients and parameter gradients, for a random upstream gradient.

Held against automatic differentiation of PyTorch and JAX through the adapters' own tables, and, independently of both,
against central differences in long double.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from operator import attrgetter
from types import ModuleType
from typing import Any, Literal

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.adapters import load_adapter
from crosscheck.adapters.contract import perturbations
from crosscheck.cases.drawing import scale
from crosscheck.cases.random import KINKS
from crosscheck.reference import Layer
from crosscheck.reference.elementary import erf, overlaid
from crosscheck.reference.layers import activations, gated, hard, rectifiers
from crosscheck.reference.network import resolve
from crosscheck.reference.registry import kinds
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

Array = NDArray[Any]

# How many epsilons of the largest element of a tensor the frameworks may be away.
EPSILONS = 16

# Widths all differ, the batch is not 1 and equals no width: a transposed or mis-reduced tensor cannot hide.
N, I, O = 7, 3, 5  # noqa: E741 - the letters of the reference


@dataclass(frozen=True)
class Trial:
    """A layer and the shapes of what it takes."""

    layer: Layer
    shapes: tuple[tuple[int, ...], ...]


TRIALS: dict[str, Trial] = {
    "dense": Trial(cc.Dense(I, O), ((N, I),)),
    "dense-narrowing": Trial(cc.Dense(O, 2), ((N, O),)),
    "dense-one row": Trial(cc.Dense(I, O), ((1, I),)),
    "dense-no bias": Trial(cc.Dense(I, O, bias=False), ((N, I),)),
    "dense-outputs first": Trial(cc.Dense(I, O, layout="outputs_inputs"), ((2, N, I),)),
    "dense-outputs first, no bias": Trial(cc.Dense(I, O, bias=False, layout="outputs_inputs"), ((N, I),)),
    "bilinear": Trial(cc.Bilinear(I, 4, O), ((N, I), (N, 4))),
    "bilinear-rank 3": Trial(cc.Bilinear(I, 4, O), ((2, N, I), (2, N, 4))),
    "bilinear-no bias": Trial(cc.Bilinear(4, I, 2, bias=False), ((N, 4), (N, I))),
    "bilinear-one row": Trial(cc.Bilinear(I, 4, 1), ((1, I), (1, 4))),
    "positions": Trial(cc.Positions(N, O), ((2, N, O),)),
    "positions-one sequence": Trial(cc.Positions(9, O), ((N, O),)),
    "positions-some of them": Trial(cc.Positions(9, O), ((2, 3, N, O),)),
    "sinusoidal_positions": Trial(cc.SinusoidalPositions(), ((2, N, 6),)),
    "sinusoidal_positions-one sequence": Trial(cc.SinusoidalPositions(16.0), ((N, 2),)),
    "sinusoidal_positions-halves": Trial(cc.SinusoidalPositions(16.0, "halves"), ((2, 3, N, 4),)),
    "rotary": Trial(cc.Rotary(), ((2, N, 6),)),
    "rotary-one sequence": Trial(cc.Rotary(16.0), ((N, 2),)),
    "rotary-interleaved": Trial(cc.Rotary(order="interleaved"), ((2, N, 6),)),
    "rotary-heads": Trial(cc.Rotary(16.0, "interleaved"), ((2, 3, N, 4),)),
    "relu": Trial(cc.Relu(), ((N, O),)),
    "relu-rank-3": Trial(cc.Relu(), ((2, N, O),)),
    "tanh": Trial(cc.Tanh(), ((N, O),)),
    "sigmoid": Trial(cc.Sigmoid(), ((N, O),)),
    "log_sigmoid": Trial(cc.LogSigmoid(), ((2, N, O),)),
    "softplus": Trial(cc.Softplus(), ((N, O),)),
    # Some inputs are beyond the threshold.
    "softplus-of beta": Trial(cc.Softplus(beta=3.0, threshold=2.0), ((2, N, O),)),
    "softplus-exact": Trial(cc.Softplus(0.7, threshold=0.25, beyond="exact"), ((N, O),)),
    "softsign": Trial(cc.Softsign(), ((2, N, O),)),
    "leaky_relu": Trial(cc.LeakyRelu(), ((N, O),)),
    "leaky_relu-falling": Trial(cc.LeakyRelu(-0.3), ((2, N, O),)),
    "leaky_relu-right": Trial(cc.LeakyRelu(0.3, "right"), ((1, O),)),
    "prelu": Trial(cc.PRelu(), ((N, O),)),
    "prelu-rank-1": Trial(cc.PRelu(), ((N,),)),
    "prelu-channels": Trial(cc.PRelu(O), ((N, O),)),
    "prelu-channels of sequences": Trial(cc.PRelu(I), ((N, I, O),)),
    "prelu-channels of images": Trial(cc.PRelu(I, "right"), ((2, I, 4, O),)),
    "prelu-one row": Trial(cc.PRelu(O), ((1, O),)),
    "elu": Trial(cc.Elu(), ((N, O),)),
    "elu-alpha": Trial(cc.Elu(0.3, "right"), ((2, N, O),)),
    "selu": Trial(cc.Selu(), ((N, O),)),
    "selu-right": Trial(cc.Selu("right"), ((2, N, O),)),
    "celu": Trial(cc.Celu(), ((N, O),)),
    "celu-alpha": Trial(cc.Celu(0.3), ((2, N, O),)),
    "hardtanh": Trial(cc.Hardtanh(), ((2, N, O),)),
    "hardtanh-bounds": Trial(cc.Hardtanh(-0.3, 0.7, "inside"), ((N, O),)),
    "relu6": Trial(cc.Relu6(), ((N, O),)),
    "relu6-inside": Trial(cc.Relu6("inside"), ((2, N, O),)),
    "hard_sigmoid": Trial(cc.HardSigmoid(), ((2, N, O),)),
    "hard_swish": Trial(cc.HardSwish(), ((N, O),)),
    "hard_swish-inside": Trial(cc.HardSwish("inside"), ((2, N, O),)),
    "silu": Trial(cc.Silu(), ((2, N, O),)),
    "mish": Trial(cc.Mish(), ((2, N, O),)),
    "glu": Trial(cc.Glu(), ((N, 2 * O),)),
    "glu-rank-3": Trial(cc.Glu(), ((2, N, 2 * I),)),
    "glu-rank-1": Trial(cc.Glu(), ((2 * I,),)),
    "swiglu": Trial(cc.SwiGlu(), ((N, O), (N, O))),
    "swiglu-rank-3": Trial(cc.SwiGlu(), ((2, N, O), (2, N, O))),
    "log_softmax": Trial(cc.LogSoftmax(), ((N, O),)),
    "log_softmax-rank-3": Trial(cc.LogSoftmax(), ((2, N, O),)),
    "log_softmax-one row": Trial(cc.LogSoftmax(), ((1, O),)),
    "softmax": Trial(cc.Softmax(), ((N, O),)),
    "softmax-rank-1": Trial(cc.Softmax(), ((O,),)),
    "softmax-rank-3": Trial(cc.Softmax(), ((2, N, O),)),
    "add": Trial(cc.Add(), ((N, O), (N, O))),
    "dropout": Trial(cc.Dropout(0.25), ((N, O),)),
    "multiply": Trial(cc.Multiply(), ((N, O), (N, O))),
    "multiply-rank-3": Trial(cc.Multiply(), ((2, N, O), (2, N, O))),
    "concatenate": Trial(cc.Concatenate(), ((N, O), (N, I))),
    "concatenate-three": Trial(cc.Concatenate(axis=-2), ((2, 4, O), (2, 1, O), (2, N, O))),
    "concatenate-channels": Trial(cc.Concatenate(), ((1, I, 4, 5), (1, 2, 4, 5))),
    "flatten": Trial(cc.Flatten(), ((2, I, 4, 5),)),
    "flatten-rank-2": Trial(cc.Flatten(), ((N, O),)),
    "reshape": Trial(cc.Reshape((4, I)), ((N, 2, 6),)),
    "reshape-of a vector": Trial(cc.Reshape((2, I, 5)), ((1, 30),)),
    "dense-rank-3": Trial(cc.Dense(I, O), ((2, N, I),)),
    "dense-rank-4": Trial(cc.Dense(I, O), ((2, 4, N, I),)),
    "gelu": Trial(cc.Gelu(), ((N, O),)),
    "gelu-tanh": Trial(cc.Gelu("tanh"), ((2, N, O),)),
    "layer_norm": Trial(cc.LayerNorm(O), ((N, O),)),
    "layer_norm-rank-3": Trial(cc.LayerNorm(O, epsilon=0.5), ((2, N, O),)),
    "layer_norm-epsilon outside": Trial(cc.LayerNorm(O, epsilon=0.5, epsilon_in="outside"), ((2, N, O),)),
    "layer_norm-one row": Trial(cc.LayerNorm(O), ((1, O),)),
    "rms_norm": Trial(cc.RMSNorm(O), ((N, O),)),
    "rms_norm-rank 1": Trial(cc.RMSNorm(O, epsilon=0.5), ((O,),)),
    "rms_norm-rank 3": Trial(cc.RMSNorm(O, epsilon=0.5), ((2, N, O),)),
    "rms_norm-epsilon outside": Trial(cc.RMSNorm(O, epsilon=0.5, epsilon_in="outside"), ((2, N, O),)),
    "group_norm": Trial(cc.GroupNorm(6, 2, epsilon=0.5), ((N, 6),)),
    "group_norm-sequences": Trial(cc.GroupNorm(6, 3), ((N, 6, 4),)),
    "group_norm-images": Trial(cc.GroupNorm(6, 3), ((2, 6, 3, 4),)),
    "group_norm-volumes": Trial(cc.GroupNorm(4, 2), ((1, 4, 3, 2, 5),)),
    "group_norm-one group": Trial(cc.GroupNorm(O, 1, epsilon=0.5), ((2, O, 3, 4),)),
    "group_norm-plain": Trial(cc.GroupNorm(6, 2, affine=False), ((2, 6, 3, 4),)),
    "group_norm-epsilon outside": Trial(cc.GroupNorm(6, 2, epsilon=0.5, epsilon_in="outside"), ((2, 6, 4),)),
    "instance_norm": Trial(cc.InstanceNorm(O), ((2, O, 3, 4),)),
    "instance_norm-sequences": Trial(cc.InstanceNorm(O, epsilon=0.5), ((N, O, 4),)),
    "instance_norm-volumes": Trial(cc.InstanceNorm(I), ((1, I, 4, 2, 5),)),
    "instance_norm-plain": Trial(cc.InstanceNorm(O, affine=False), ((2, O, 3, 4),)),
    "instance_norm-epsilon outside": Trial(cc.InstanceNorm(O, 0.5, "outside"), ((2, O, 3, 4),)),
    "batch_norm": Trial(cc.BatchNorm(O, epsilon=0.5), ((N, O),)),
    "batch_norm-sequences": Trial(cc.BatchNorm(O, momentum=0.25), ((N, O, 4),)),
    "batch_norm-volumes": Trial(cc.BatchNorm(I, momentum=0.25), ((1, I, 4, 2, 5),)),
    "batch_norm-images": Trial(cc.BatchNorm(O, momentum=0.25), ((2, O, 3, 4),)),
    "batch_norm-old momentum": Trial(cc.BatchNorm(O, momentum=0.75, momentum_of="old"), ((2, O, 3, 4),)),
    "batch_norm-biased": Trial(cc.BatchNorm(O, momentum=0.25, running_variance="biased"), ((N, O),)),
    "batch_norm-evaluation": Trial(cc.BatchNorm(O, training=False), ((N, O),)),
    "batch_norm-images in evaluation": Trial(cc.BatchNorm(O, training=False, epsilon=0.5), ((2, O, 3, 4),)),
    # Indices repeat, and one row is never taken.
    "embedding": Trial(cc.Embedding(4, O), ((N,),)),
    "embedding-rank-2": Trial(cc.Embedding(16, O), ((N, 3),)),
    "rnn": Trial(cc.Rnn(I, O), ((2, 4, I),)),
    "rnn-relu": Trial(cc.Rnn(I, O, activation="relu"), ((2, 4, I),)),
    "rnn-two layers": Trial(cc.Rnn(I, 2, layers=2), ((4, 3, I),)),
    "rnn-both directions": Trial(cc.Rnn(I, 4, bidirectional=True, activation="relu"), ((2, O, I),)),
    "rnn-without bias": Trial(cc.Rnn(I, O, bias=False), ((2, 4, I),)),
    "lstm": Trial(cc.Lstm(I, O), ((2, 4, I),)),
    "lstm-one step": Trial(cc.Lstm(I, O), ((2, 1, I),)),
    "lstm-one sequence": Trial(cc.Lstm(I, 2), ((1, N, I),)),
    "lstm-two layers, both directions": Trial(cc.Lstm(I, 2, 2, bidirectional=True), ((O, 4, I),)),
    "lstm-three layers": Trial(cc.Lstm(I, 4, 3), ((O, 2, I),)),
    "lstm-without bias": Trial(cc.Lstm(I, O, bias=False), ((2, 4, I),)),
    "gru": Trial(cc.Gru(I, O), ((2, 4, I),)),
    "gru-one step": Trial(cc.Gru(I, O), ((2, 1, I),)),
    "gru-two layers, both directions": Trial(cc.Gru(I, 2, 2, bidirectional=True), ((4, O, I),)),
    "gru-without bias": Trial(cc.Gru(I, O, bias=False), ((2, 4, I),)),
    "gru-reset before": Trial(cc.Gru(I, O, reset="before"), ((2, 4, I),)),
    "gru-reset before, without bias": Trial(cc.Gru(I, 2, 2, bias=False, reset="before"), ((4, O, I),)),
    "gru-reset before, both directions": Trial(cc.Gru(I, 2, bidirectional=True, reset="before"), ((4, O, I),)),
    "conv2d": Trial(cc.Conv2d(I, O, (2, 4)), ((2, I, 6, 7),)),
    "conv2d-stride and padding": Trial(cc.Conv2d(I, O, (2, 3), (3, 2), (1, 2)), ((2, I, 6, 7),)),
    "conv2d-pixels left over": Trial(cc.Conv2d(I, O, (2, 3), (3, 3)), ((2, I, 7, 8),)),
    "conv2d-as large as the image": Trial(cc.Conv2d(I, O, (6, 7)), ((2, I, 6, 7),)),
    "conv2d-padding above the kernel": Trial(cc.Conv2d(I, 2, (1, 2), (1, 3), (2, 3)), ((4, I, 3, 5),)),
    "conv2d-dilation": Trial(cc.Conv2d(I, O, (2, 3), (3, 2), (1, 2), dilation=(2, 3)), ((2, I, 6, 7),)),
    "conv2d-stride and dilation with a common factor": Trial(
        cc.Conv2d(I, O, (4, 3), (4, 2), (1, 2), dilation=(2, 2)), ((2, I, 11, 9),)
    ),
    "conv2d-groups": Trial(cc.Conv2d(6, 4, (2, 3), (1, 2), (1, 0), groups=2), ((3, 6, 5, 7),)),
    "conv2d-a group for each channel": Trial(cc.Conv2d(I, 6, (2, 3), groups=I), ((2, I, 5, 7),)),
    "conv2d-without bias": Trial(cc.Conv2d(I, O, (3, 2), (2, 1), bias=False), ((2, I, 6, 7),)),
    "conv2d-one pixel under the kernel": Trial(cc.Conv2d(I, O, (1, 1), (2, 3)), ((2, I, 6, 7),)),
    "conv2d-one row": Trial(cc.Conv2d(I, O, (2, 3)), ((1, I, 6, 7),)),
    "conv1d": Trial(cc.Conv1d(I, O, 4), ((N, I, 9),)),
    "conv1d-everything": Trial(cc.Conv1d(6, 4, 3, 2, 2, dilation=3, groups=2, bias=False), ((3, 6, 11),)),
    "conv1d-one row": Trial(cc.Conv1d(I, O, 2, 3, 1), ((1, I, 8),)),
    "conv_transpose2d": Trial(cc.ConvTranspose2d(I, O, (2, 4)), ((2, I, 4, 3),)),
    "conv_transpose2d-stride and padding": Trial(
        cc.ConvTranspose2d(I, O, (4, 3), (3, 2), (2, 1), output_padding=(2, 0)), ((2, I, 3, 4),)
    ),
    "conv_transpose2d-stride above the kernel": Trial(cc.ConvTranspose2d(I, O, (2, 1), (3, 2)), ((2, I, 3, 4),)),
    "conv_transpose2d-everything": Trial(
        cc.ConvTranspose2d(6, 4, (3, 2), (2, 3), (1, 2), (1, 2), dilation=(2, 3), groups=2, bias=False),
        ((3, 6, 4, 5),),
    ),
    "conv_transpose2d-flipped": Trial(
        cc.ConvTranspose2d(6, 4, (3, 2), (2, 1), (1, 0), groups=2, orientation="flipped"), ((1, 6, 3, 4),)
    ),
    "max_pool2d": Trial(cc.MaxPool2d((2, 3)), ((2, I, 5, 7),)),
    "max_pool2d-overlapping": Trial(cc.MaxPool2d((3, 2), (2, 1), (1, 1)), ((2, I, 6, 5),)),
    "max_pool2d-gaps": Trial(cc.MaxPool2d((2, 1), (3, 2)), ((1, I, 6, 5),)),
    "max_pool2d-ties shared": Trial(cc.MaxPool2d((3, 2), (2, 1), (1, 1), tie="shared"), ((2, I, 6, 5),)),
    "avg_pool2d": Trial(cc.AvgPool2d((2, 3)), ((2, I, 5, 7),)),
    "avg_pool2d-overlapping": Trial(cc.AvgPool2d((3, 2), (2, 1), (1, 1)), ((2, I, 6, 5),)),
    "avg_pool2d-padding not counted": Trial(cc.AvgPool2d((3, 2), (1, 3), (1, 1), count_padding=False), ((1, I, 6, 5),)),
    "adaptive_avg_pool2d": Trial(cc.AdaptiveAvgPool2d((3, 2)), ((2, I, 5, 7),)),
    "adaptive_avg_pool2d-side by side": Trial(cc.AdaptiveAvgPool2d((2, 3)), ((1, I, 4, 9),)),
    "adaptive_avg_pool2d-larger": Trial(cc.AdaptiveAvgPool2d((5, 4)), ((2, I, 3, 7),)),
    "global_avg_pool": Trial(cc.GlobalAvgPool(), ((2, I, 4, 5),)),
    "global_avg_pool-rank 3": Trial(cc.GlobalAvgPool(), ((2, I, 5),)),
    "global_avg_pool-rank 5": Trial(cc.GlobalAvgPool(), ((1, I, 4, 2, 5),)),
    "attention": Trial(cc.ScaledDotProductAttention(), ((2, 4, I), (2, N, I), (2, N, O))),
    "attention-one sequence": Trial(cc.ScaledDotProductAttention(), ((4, I), (N, I), (N, O))),
    "attention-heads": Trial(cc.ScaledDotProductAttention(causal=True), ((2, 3, N, 4), (2, 3, N, 4), (2, 3, N, O))),
    "attention-fewer queries": Trial(cc.ScaledDotProductAttention(causal=True), ((2, 4, I), (2, N, I), (2, N, O))),
    "attention-fewer keys": Trial(cc.ScaledDotProductAttention(causal=True), ((2, N, I), (2, 4, I), (2, 4, O))),
    "attention-unscaled": Trial(cc.ScaledDotProductAttention(scale="none"), ((2, 4, I), (2, N, I), (2, N, O))),
    "attention-boolean mask": Trial(cc.ScaledDotProductAttention(mask="boolean"), ((2, 4, I), (2, N, I), (2, N, O))),
    "attention-boolean and causal": Trial(
        cc.ScaledDotProductAttention(causal=True, mask="boolean"), ((2, 3, N, 4), (2, 3, N, 4), (2, 3, N, O))
    ),
    "attention-additive mask": Trial(cc.ScaledDotProductAttention(mask="additive"), ((4, I), (N, I), (N, O))),
    "attention-additive and causal": Trial(
        cc.ScaledDotProductAttention(causal=True, mask="additive"), ((1, N, I), (1, 4, I), (1, 4, O))
    ),
    "attention-grouped": Trial(cc.ScaledDotProductAttention(), ((2, 6, 4, I), (2, 3, N, I), (2, 3, N, O))),
    "attention-grouped and masked": Trial(
        cc.ScaledDotProductAttention(causal=True, mask="boolean"), ((2, 6, N, 4), (2, 2, N, 4), (2, 2, N, O))
    ),
    "attention-one head of keys": Trial(
        cc.ScaledDotProductAttention(mask="additive"), ((3, 4, I), (1, N, I), (1, N, O))
    ),
    "split_heads": Trial(cc.SplitHeads(3), ((2, N, 6),)),
    "split_heads-one sequence": Trial(cc.SplitHeads(2), ((N, 10),)),
    "split_heads-rank 4": Trial(cc.SplitHeads(2), ((1, 3, N, 8),)),
    "merge_heads": Trial(cc.MergeHeads(), ((2, 3, N, 4),)),
    "merge_heads-one sequence": Trial(cc.MergeHeads(), ((3, N, 4),)),
    "multi_head_attention": Trial(cc.MultiHeadAttention(6, 3), ((2, 4, 6),)),
    "multi_head_attention-causal": Trial(cc.MultiHeadAttention(8, 2, causal=True), ((3, 5, 8),)),
    "multi_head_attention-one sequence": Trial(cc.MultiHeadAttention(6, 2, causal=True), ((N, 6),)),
    "multi_head_attention-rank 4": Trial(cc.MultiHeadAttention(6, 2), ((2, 3, 4, 6),)),
    "multi_head_attention-no bias": Trial(cc.MultiHeadAttention(6, 1, bias=False), ((1, 4, 6),)),
}

OUTSIDE = {f"{kind}-epsilon outside" for kind in ("layer_norm", "rms_norm", "group_norm", "instance_norm")}
RESET_BEFORE = {
    name for name, trial in TRIALS.items() if isinstance(trial.layer, cc.Gru) and trial.layer.reset == "before"
}

LACKING: dict[str, set[str]] = {
    "torch": {
        *OUTSIDE,
        "batch_norm-biased",
        "conv_transpose2d-flipped",
        "max_pool2d-ties shared",
        *RESET_BEFORE,
    },
    "jax": {"max_pool2d-ties shared"},
}
"""Trials that a framework cannot express."""

every_trial = pytest.mark.parametrize("trial", TRIALS.values(), ids=TRIALS)
every_dtype = pytest.mark.parametrize("dtype", ["float64", "float32"])


@dataclass(frozen=True)
class Drawn:
    """What a layer is tried with: inputs, parameters and an upstream gradient, none of which it may change."""

    inputs: list[Array]
    params: dict[str, Array]
    dy: Array
    given: dict[str, Array] = field(default_factory=dict)
    """What comes with the batch: masks."""


@dataclass(frozen=True)
class Result:
    """What a layer made of it, or a framework."""

    y: Array
    dinputs: list[Array]
    """One for each input that is not indices."""
    dparams: dict[str, Array]
    statistics: dict[str, Array]


def draw(trial: Trial, dtype: str) -> Drawn:
    generator = np.random.Generator(np.random.PCG64(20240229))

    def kept(array: Array) -> Array:
        array = array.astype(dtype) if array.dtype.kind == "f" else array
        array.setflags(write=False)
        return array

    return Drawn(
        inputs=[kept(trial.layer.draw_input(generator, shape)) for shape in trial.shapes],
        params={
            # As large as a case draws them: larger ones make an attention so sharp that it magnifies what is rounded.
            **{
                name: kept(scale(shape) * generator.standard_normal(shape))
                for name, shape in trial.layer.parameters().items()
            },
            # A variance is positive.
            **{name: kept(generator.random(shape) + 0.5) for name, (shape, _) in trial.layer.statistics().items()},
        },
        dy=kept(generator.standard_normal(trial.layer.output_shape(*trial.shapes))),
        given={
            name: kept(trial.layer.draw_given(generator, name, trial.layer.given_shape(name, *trial.shapes)))
            for name in trial.layer.given
        },
    )


def by_hand(trial: Trial, drawn: Drawn) -> Result:
    params = {**drawn.params, **drawn.given}
    y, saved = trial.layer.forward(*drawn.inputs, params)
    dx, dparams = trial.layer.backward(drawn.dy, saved, params)
    dinputs = dx if isinstance(dx, tuple) else (dx,)
    assert [dinput is None for dinput in dinputs] == [trial.layer.integer_inputs] * len(dinputs)
    statistics = trial.layer.updated_statistics(saved, drawn.params)
    return Result(y, [dinput for dinput in dinputs if dinput is not None], dparams, statistics)


def by_torch(trial: Trial, drawn: Drawn) -> Result:
    torch = pytest.importorskip("torch")
    from crosscheck.adapters.torch.parts import LAYERS, build_layer

    part = LAYERS[trial.layer.kind]
    transposed, names = part.transposed(trial.layer), part.names
    module = build_layer(trial.layer, dtype=getattr(torch, drawn.dy.dtype.name), device="cpu")
    with torch.no_grad():
        for name, array in drawn.params.items():
            held = attrgetter(names.get(name, name))(module)
            held.copy_(torch.tensor(array.T if name in transposed else array))
    inputs = [torch.tensor(array, requires_grad=array.dtype.kind == "f") for array in drawn.inputs]
    parameters = {name: attrgetter(names.get(name, name))(module) for name in trial.layer.parameters()}
    y = module(*inputs, **{name: torch.tensor(array) for name, array in drawn.given.items()})
    wanted = [tensor for tensor in inputs if tensor.requires_grad]
    gradients = torch.autograd.grad(y, [*wanted, *parameters.values()], grad_outputs=torch.tensor(drawn.dy))
    arrays = [gradient.numpy() for gradient in gradients]
    dparams = dict(zip(parameters, arrays[len(wanted) :], strict=True))
    return Result(
        y.detach().numpy(),
        arrays[: len(wanted)],
        {name: array.T if name in transposed else array for name, array in dparams.items()},
        {name: getattr(module, name).numpy() for name in trial.layer.statistics()},
    )


def by_jax(trial: Trial, drawn: Drawn) -> Result:
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    from crosscheck.adapters.jax.adapter import enable_x64
    from crosscheck.adapters.jax.parts import LAYERS

    part = LAYERS[trial.layer.kind]
    params = {name: drawn.params[name] for name in trial.layer.parameters()}
    statistics = {name: drawn.params[name] for name in trial.layer.statistics()}
    with enable_x64(drawn.dy.dtype == np.float64):

        def forward_and_backward(inputs: Any, params: Any, statistics: Any, dy: Any) -> Any:
            def forward(inputs: Any, params: Any) -> Any:
                params = {**params, **statistics, **drawn.given}
                return part.apply(trial.layer, *inputs, params), part.statistics(trial.layer, *inputs, params)

            y, vjp, updated = jax.vjp(forward, inputs, params, has_aux=True)
            return y, vjp(dy), updated

        y, (dinputs, dparams), updated = jax.jit(forward_and_backward)(drawn.inputs, params, statistics, drawn.dy)
        return Result(
            np.asarray(y),
            [np.asarray(dx) for dx, x in zip(dinputs, drawn.inputs, strict=True) if x.dtype.kind == "f"],
            {name: np.asarray(array) for name, array in dparams.items()},
            {name: np.asarray(array) for name, array in updated.items()},
        )


FRAMEWORKS: dict[str, Callable[[Trial, Drawn], Result]] = {"torch": by_torch, "jax": by_jax}
every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
every_trial_of_a_framework = pytest.mark.parametrize(
    ("framework", "trial"),
    [
        pytest.param(framework, trial, id=f"{framework}-{name}")
        for framework in FRAMEWORKS
        for name, trial in TRIALS.items()
        if name not in LACKING[framework]
    ],
)


def assert_near(what: str, found: Array, expected: Array, allowed: float) -> None:
    """Equal shape and dtype, and every element within ``allowed`` of the largest magnitude."""
    assert found.dtype == expected.dtype, what
    assert found.shape == expected.shape, what
    apart = np.max(np.abs(found - expected), initial=0)
    assert apart <= allowed * np.max(np.abs(expected)), f"{what}: {apart} apart\nby hand:\n{found}\nfor:\n{expected}"


def assert_same(found: Result, expected: Result, allowed: float) -> None:
    assert_near("y", found.y, expected.y, allowed)
    for place, (ours, theirs) in enumerate(zip(found.dinputs, expected.dinputs, strict=True)):
        assert_near(f"dinput {place}", ours, theirs, allowed)
    assert found.dparams.keys() == expected.dparams.keys()
    for name, ours in found.dparams.items():
        assert_near(f"d{name}", ours, expected.dparams[name], allowed)
    assert found.statistics.keys() == expected.statistics.keys()
    for name, ours in found.statistics.items():
        assert_near(name, ours, expected.statistics[name], allowed)


# ------------------------------------------------------------------------------------------------ against frameworks


@pytest.mark.parametrize(
    ("framework", "trial", "dtype"),
    [
        pytest.param(framework, trial, dtype, id=f"{dtype}-{framework}-{name}")
        for framework in FRAMEWORKS
        for place, (name, trial) in enumerate(TRIALS.items())
        for dtype in ("float64", "float32")
        # JAX compiles each: in float32 they take turns there.
        if name not in LACKING[framework] and (framework == "torch" or dtype == "float64" or place % 2)
    ],
)
def test_forward_and_every_gradient_are_the_frameworks(trial: Trial, framework: str, dtype: str) -> None:
    drawn = draw(trial, dtype)
    expected = FRAMEWORKS[framework](trial, drawn)
    assert_same(by_hand(trial, drawn), expected, EPSILONS * float(np.finfo(dtype).eps))


def test_what_torch_lacks_is_what_it_says() -> None:
    pytest.importorskip("torch")
    from crosscheck.adapters.torch.parts import LAYERS

    limits = {name: LAYERS[trial.layer.kind].limits(trial.layer) for name, trial in TRIALS.items()}
    assert {name: limit for name, limit in limits.items() if limit} == {
        "layer_norm-epsilon outside": "torch.nn.LayerNorm has its epsilon inside the root",
        "rms_norm-epsilon outside": "torch.nn.RMSNorm has its epsilon inside the root",
        "group_norm-epsilon outside": "torch.nn.GroupNorm has its epsilon inside the root",
        "instance_norm-epsilon outside": "torch.nn.InstanceNorm1d has its epsilon inside the root",
        "batch_norm-biased": "torch's batch normalisation remembers the unbiased variance",
        **dict.fromkeys(RESET_BEFORE, "torch.nn.GRU applies its reset gate after the product"),
        "conv_transpose2d-flipped": "torch.nn.ConvTranspose2d does not flip its kernel",
        "max_pool2d-ties shared": "torch.nn.MaxPool2d sends the gradient of a tie to the first",
    }
    assert LACKING["torch"] == {name for name, limit in limits.items() if limit}


def test_torch_cannot_share_what_it_keeps_in_two_layouts() -> None:
    """A table of 4 symbols that is also the weight of a dense layer: torch's Linear has it transposed."""
    pytest.importorskip("torch")
    nodes = (
        cc.Node("x", cc.Embedding(4, O)),
        cc.Node("y", cc.Dense(O, 4)),
        cc.Node("z", cc.Dense(4, O), parameters={"weight": "x.weight"}),
    )
    shapes = {"x.weight": (4, O), "y.weight": (O, 4), "y.bias": (4,), "z.bias": (O,)}
    case = cc.Case(
        name="tied",
        nodes=nodes,
        loss=cc.MeanSquaredError(),
        optimizer=cc.SGD(0.1),
        weights={name: np.ones(shape) for name, shape in shapes.items()},
        batches=(cc.Batch(np.array([0, 3, 3]), np.zeros((3, O))),),
    )
    assert load_adapter("torch").unsupported(case) == (
        "torch's modules keep 'x.weight' in two layouts, and cannot share it"
    )
    assert {"input", "input->x"}.isdisjoint(name.partition("/")[2] for name in perturbations(case, (3,)))


@pytest.mark.parametrize("subject", ["torch", "jax"])
def test_a_table_can_be_the_weight_of_the_output_layer(subject: str) -> None:
    """With the weight as (O, I) both have it in one layout, and its gradient is the sum of both uses."""
    pytest.importorskip(subject)
    case = cc.load_case("tied")
    uses = [node.name for node in case.nodes if "x.weight" in node.parameters.values()]
    agreement = cc.check(case, against=[subject])
    compared = {tensor.name: tensor.verdict for tensor in agreement.subjects[subject].tensors}
    assert agreement.ok
    assert len(uses) == 2
    for use in ("", *(f"->{name}" for name in uses)):
        assert compared[f"0/gradient/x.weight{use}"] in ("agree", "exact"), use


def test_the_attention_of_jax_is_of_float32_whatever_it_is_given() -> None:
    """Why the adapter composes it: in float64 it is off by the roundoff of float32, and by no more."""
    jax = pytest.importorskip("jax")
    pytest.importorskip("optax")
    from crosscheck.adapters.jax.adapter import enable_x64

    trial = Trial(cc.ScaledDotProductAttention(causal=True), ((2, 3, N, 4),) * 3)
    for dtype in ("float64", "float32"):
        drawn = draw(trial, dtype)
        with enable_x64(dtype == "float64"):
            heads_last = [jax.numpy.asarray(np.swapaxes(array, 1, 2)) for array in drawn.inputs]
            y = np.swapaxes(np.asarray(jax.nn.dot_product_attention(*heads_last, is_causal=True)), 1, 2)
        assert y.dtype == dtype
        apart = np.max(np.abs(y - by_hand(trial, drawn).y)) / np.max(np.abs(y))
        assert apart < EPSILONS * 2.0**-23
        assert dtype == "float32" or apart > 2.0**-30


@pytest.mark.parametrize(
    ("module", "layer"), [("CELU", cc.Celu(0.3)), ("Hardsigmoid", cc.HardSigmoid())], ids=["celu", "hard_sigmoid"]
)
def test_a_derivative_of_torch_is_of_float32_whatever_it_is_given(module: str, layer: Any) -> None:
    """Why the adapter composes these: in float64 a constant of the backward has the precision of float32."""
    torch = pytest.importorskip("torch")
    trial = Trial(layer, ((N, O),))
    drawn = draw(trial, "float64")
    x = torch.tensor(drawn.inputs[0], requires_grad=True)
    y = getattr(torch.nn, module)(*vars(layer).values())(x)
    (dx,) = torch.autograd.grad(y, x, torch.tensor(drawn.dy))
    found = by_hand(trial, drawn)
    assert_near("y", found.y, y.detach().numpy(), EPSILONS * 2.0**-52)
    apart = np.max(np.abs(dx.numpy() - found.dinputs[0])) / np.max(np.abs(found.dinputs[0]))
    assert 2.0**-40 < apart < 2.0**-23


@every_framework
@every_dtype
def test_the_derivative_of_relu_at_zero_is_zero_in_frameworks_too(framework: str, dtype: str) -> None:
    trial = Trial(cc.Relu(), ((2, 3),))
    x = np.array([[0.0, -0.0, 1.0], [-1.0, 2.0, 0.0]], dtype)
    drawn = Drawn([x], {}, draw(trial, dtype).dy)
    np.testing.assert_array_equal(FRAMEWORKS[framework](trial, drawn).dinputs[0], np.where(x > 0, drawn.dy, 0))


def kinks_of(layer: Any) -> tuple[float, ...]:
    """Where the derivative of a layer jumps, or the layer itself."""
    if layer.kind == "softplus":
        return (layer.threshold / layer.beta,) if layer.beyond == "linear" else ()
    return KINKS.get(layer.kind, lambda layer: ())(layer)


AT_KINKS: dict[str, tuple[Layer, dict[float, float], dict[str, bool]]] = {
    "leaky_relu left": (cc.LeakyRelu(0.25, "left"), {0.0: 0.25}, {"torch": True, "jax": False}),
    "leaky_relu right": (cc.LeakyRelu(0.25, "right"), {0.0: 1.0}, {"torch": False, "jax": True}),
    "prelu left": (cc.PRelu(1, "left"), {0.0: 0.5}, {"torch": True, "jax": True}),
    "prelu right": (cc.PRelu(1, "right"), {0.0: 1.0}, {"torch": False, "jax": True}),
    "elu left": (cc.Elu(0.5, "left"), {0.0: 0.5}, {"torch": True, "jax": True}),
    "elu right": (cc.Elu(0.5, "right"), {0.0: 1.0}, {"torch": False, "jax": False}),
    "selu left": (cc.Selu("left"), {0.0: 1.7580993408473768}, {"torch": True, "jax": True}),
    "selu right": (cc.Selu("right"), {0.0: 1.0507009873554805}, {"torch": False, "jax": False}),
    "celu": (cc.Celu(0.5), {0.0: 1.0}, {"torch": True, "jax": True}),
    "hardtanh outside": (cc.Hardtanh(), {-1.0: 0.0, 1.0: 0.0}, {"torch": True, "jax": False}),
    "hardtanh inside": (cc.Hardtanh(at_bounds="inside"), {-1.0: 1.0, 1.0: 1.0}, {"torch": False, "jax": True}),
    "hardtanh outside other bounds": (cc.Hardtanh(-2, 3), {-2.0: 0.0, 3.0: 0.0}, {"torch": True, "jax": True}),
    "relu6 outside": (cc.Relu6(), {0.0: 0.0, 6.0: 0.0}, {"torch": True, "jax": True}),
    "relu6 inside": (cc.Relu6("inside"), {0.0: 0.0, 6.0: 1.0}, {"torch": False, "jax": False}),
    "hard_sigmoid": (cc.HardSigmoid(), {-3.0: 0.0, 3.0: 0.0}, {"torch": True, "jax": True}),
    "hard_swish outside": (cc.HardSwish("outside"), {-3.0: 0.0, 3.0: 1.0}, {"torch": True, "jax": True}),
    "hard_swish inside": (cc.HardSwish("inside"), {-3.0: -0.5, 3.0: 1.5}, {"torch": False, "jax": False}),
    "softsign": (cc.Softsign(), {0.0: 1.0}, {"torch": True, "jax": True}),
}
"""A layer, its derivative where pieces of it meet, and whether that is the derivative in a framework too."""


def at_kinks(layer: Layer, dtype: str) -> tuple[Trial, Drawn, Array]:
    """A layer at its kinks, and the gradients that it should have there."""
    _, slopes, _ = next(entry for entry in AT_KINKS.values() if entry[0] == layer)
    x = np.array([list(slopes)] * 2, dtype)
    dy = np.array([[1.5] * len(slopes), [-2.5] * len(slopes)], dtype)
    params = {name: np.full(shape, 0.5, dtype) for name, shape in layer.parameters().items()}
    return Trial(layer, (x.shape,)), Drawn([x], params, dy), dy * np.array(list(slopes.values()), dtype)


every_kink = pytest.mark.parametrize("name", AT_KINKS)


@every_kink
@every_dtype
def test_the_derivative_at_a_kink_is_that_of_the_convention(name: str, dtype: str) -> None:
    trial, drawn, expected = at_kinks(AT_KINKS[name][0], dtype)
    found = by_hand(trial, drawn)
    np.testing.assert_allclose(found.dinputs[0], expected, rtol=4 * np.finfo(dtype).eps, atol=0)
    assert not any(dparam.any() for dparam in found.dparams.values())


@every_kink
@every_framework
def test_which_convention_a_framework_has_at_a_kink(name: str, framework: str) -> None:
    """Measured. Where a framework has another derivative only inputs at exactly the kink tell."""
    layer, _, same = AT_KINKS[name]
    trial, drawn, expected = at_kinks(layer, "float64")
    found = FRAMEWORKS[framework](trial, drawn).dinputs[0]
    assert np.all(np.isclose(found, expected, rtol=1e-14, atol=0)) == same[framework]


@every_kink
@every_framework
def test_an_adapter_declares_which_convention_its_framework_has(name: str, framework: str) -> None:
    """A layer that follows it has the framework's derivative, whatever its own convention was."""
    trial, drawn, _ = at_kinks(AT_KINKS[name][0], "float64")
    found = FRAMEWORKS[framework](trial, drawn).dinputs[0]
    own = Trial(load_adapter(framework).own_at_kinks(trial.layer), trial.shapes)
    np.testing.assert_allclose(found, by_hand(own, drawn).dinputs[0], rtol=1e-14)


ACTIVATIONS = {
    name
    for module in (activations, rectifiers, hard, gated)
    for name in module.__all__
    if name not in ("Glu", "SwiGlu")
}
# Far below 0 the 1 + erf of gelu cancels, and JAX's erfc does not.
ELEMENTWISE = [name for name, trial in TRIALS.items() if type(trial.layer).__name__ in ACTIVATIONS - {"Gelu"}]


@pytest.mark.parametrize("name", ELEMENTWISE)
@every_framework
@every_dtype
def test_far_out_and_near_nothing_activations_are_the_frameworks(name: str, framework: str, dtype: str) -> None:
    """Element by element, and without a warning. At kinks conventions differ: another test has those."""
    layer, limits = TRIALS[name].layer, np.finfo(dtype)
    # XLA takes subnormal numbers for 0.
    least = float(limits.smallest_subnormal if framework == "torch" else limits.smallest_normal) * 64
    far = [-1e4, -800.0, -90.0, -31.0, 31.0, 90.0, 800.0, 1e4]
    near = [sign * size for size in (least, 2.0**-60, 2.0**-20) for sign in (-1, 1)]
    zero = [] if 0.0 in kinks_of(layer) else [0.0, -0.0]
    channels = layer.parameters().get("weight", (1,))[0]
    x = np.repeat(np.array([*far, *near, *zero], dtype)[:, None], channels, axis=1)
    drawn = Drawn([x], draw(TRIALS[name], dtype).params, np.full_like(x, 1.5))
    trial = Trial(layer, (x.shape,))
    found, expected = by_hand(trial, drawn), FRAMEWORKS[framework](trial, drawn)
    subnormal = 1024 * float(limits.smallest_normal)  # of which few bits are left
    np.testing.assert_allclose(found.y, expected.y, rtol=64 * limits.eps, atol=subnormal)
    # A derivative that is what is left of 1 is as exact as 1 is.
    np.testing.assert_allclose(found.dinputs[0], expected.dinputs[0], rtol=64 * limits.eps, atol=4 * limits.eps)


@every_framework
@every_dtype
def test_the_gradient_of_a_tie_goes_to_the_first_in_frameworks_too(framework: str, dtype: str) -> None:
    """In each window some are alike: by twos, all of them, and zeros of either sign."""
    trial = Trial(cc.MaxPool2d((2, 3), (1, 2), (1, 0)), ((1, 2, 3, 5),))
    x = np.array([[[[1, 1, 0, 2, 2], [1, 1, 0, 2, 2], [0, 0, 0, 0, 0]], [[-1] * 5, [-0.0, 0, -0.0, 0, 0], [-1] * 5]]])
    drawn = Drawn([x.astype(dtype)], {}, draw(trial, dtype).dy)
    assert_same(by_hand(trial, drawn), FRAMEWORKS[framework](trial, drawn), EPSILONS * float(np.finfo(dtype).eps))


def test_a_tie_is_shared_by_all_that_are_alike() -> None:
    layer = cc.MaxPool2d((2, 3), tie="shared")
    _, saved = layer.forward(np.array([[[[3.0, 1.0, 3.0], [2.0, 3.0, 0.0]]]]), {})
    dx, _ = layer.backward(np.array([[[[12.0]]]]), saved, {})
    assert dx.tolist() == [[[[4, 0, 4], [0, 4, 0]]]]


OUT_OF_THE_ORDINARY = {"large": 1e4, "denormal": 2.0**-1040, "zero": 0.0}


@pytest.mark.parametrize(
    ("framework", "scale"),
    [
        pytest.param(framework, scale, id=f"{framework}-{name}")
        for framework in FRAMEWORKS
        for name, scale in OUT_OF_THE_ORDINARY.items()
        if (framework, name) != ("jax", "denormal")  # which XLA takes for 0
    ],
)
@pytest.mark.parametrize(
    "name",
    [
        "conv2d-dilation",
        "conv_transpose2d-everything",
        "max_pool2d-overlapping",
        "avg_pool2d-padding not counted",
        "adaptive_avg_pool2d",
        "multiply",
    ],
)
def test_large_denormal_and_zero_inputs_are_the_frameworks(framework: str, name: str, scale: float) -> None:
    trial = TRIALS[name]
    drawn = draw(trial, "float64")
    scaled = Drawn([scale * x for x in drawn.inputs], drawn.params, drawn.dy)
    found, expected = by_hand(trial, scaled), FRAMEWORKS[framework](trial, scaled)
    # A number of 2^-1040 has 34 bits.
    assert_same(found, expected, EPSILONS * (2.0**-34 if 0 < scale < 1 else 2.0**-52))


@every_framework
def test_softmax_of_large_logits_is_the_frameworks(framework: str) -> None:
    trial = Trial(cc.Softmax(), ((N, O),))
    drawn = draw(trial, "float64")
    large = Drawn([1e4 * drawn.inputs[0]], {}, drawn.dy)
    assert_same(by_hand(trial, large), FRAMEWORKS[framework](trial, large), EPSILONS * 2.0**-52)


@every_framework
@every_dtype
@pytest.mark.parametrize("scale", [1e4, "smallest", 0.0])
@pytest.mark.parametrize("name", ["layer_norm", "rms_norm", "group_norm-images", "instance_norm", "batch_norm-images"])
def test_a_normalisation_of_large_tiny_and_no_values_is_the_frameworks(
    name: str, scale: Any, dtype: str, framework: str
) -> None:
    """Where squares are 0, of tiny numbers or of none, epsilon is all that is divided by."""
    trial, drawn = TRIALS[name], draw(TRIALS[name], dtype)
    # Not subnormal themselves: XLA takes such for 0.
    factor = np.finfo(dtype).smallest_normal ** 0.75 if scale == "smallest" else scale
    x = (drawn.inputs[0].astype(dtype) * np.asarray(factor, dtype)).astype(dtype)
    scaled = Drawn([x], drawn.params, drawn.dy)
    found, expected = by_hand(trial, scaled), FRAMEWORKS[framework](trial, scaled)
    assert np.all(np.isfinite(found.dinputs[0]))
    assert_near("y", found.y, expected.y, EPSILONS * float(np.finfo(dtype).eps))
    assert_near("dinput", found.dinputs[0], expected.dinputs[0], EPSILONS * float(np.finfo(dtype).eps))


# --------------------------------------------------------------------------------------- against central differences


def central_differences(function: Callable[[Array], Any], at: Array) -> Array:
    """The derivative of a number by every element of an array: ``(f(x + h) - f(x - h)) / 2 h``."""
    h = np.finfo(at.dtype).eps ** (np.ones((), at.dtype) / 3)
    slopes = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        nudge = np.zeros_like(at)
        nudge[place] = h
        slopes[place] = (function(at + nudge) - function(at - nudge)) / (2 * h)
    return slopes


@every_trial
def test_every_gradient_is_the_slope_of_the_forward(trial: Trial) -> None:
    drawn = draw(trial, "longdouble")
    assert all(np.min(np.abs(drawn.inputs[0] - kink)) > 1e-3 for kink in kinks_of(trial.layer)), "a kink within reach"
    if trial.layer.kind == "max_pool2d":
        apart = np.abs(drawn.inputs[0].ravel() - drawn.inputs[0].ravel()[:, None])
        assert np.min(apart[apart > 0]) > 1e-5, "a tie within reach"
    found = by_hand(trial, drawn)

    def pulled(inputs: list[Array], params: dict[str, Array]) -> Any:
        return (drawn.dy * trial.layer.forward(*inputs, {**params, **drawn.given})[0]).sum()

    # Truncation and rounding are both of the order of eps^(2/3), times a third derivative, which grows with the depth.
    allowed = 1000 * float(np.finfo(np.longdouble).eps) ** (2 / 3)
    for place, dinput in enumerate(found.dinputs):
        x, before, after = drawn.inputs[place], drawn.inputs[:place], drawn.inputs[place + 1 :]
        slopes = central_differences(lambda x, a=before, b=after: pulled([*a, x, *b], drawn.params), x)
        assert_near(f"dinput {place}", dinput, slopes, allowed)
    for name in found.dparams:
        weight = drawn.params[name]
        slopes = central_differences(lambda w, n=name: pulled(drawn.inputs, {**drawn.params, n: w}), weight)
        assert_near(f"d{name}", found.dparams[name], slopes, allowed)


# --------------------------------------------------------------------------------------------- what the layers promise


@every_trial
def test_shapes_are_the_declared_ones(trial: Trial) -> None:
    drawn = draw(trial, "float64")
    found = by_hand(trial, drawn)
    arity = trial.layer.arity
    assert len(trial.shapes) >= 2 if arity is None else len(trial.shapes) == arity
    assert found.y.shape == trial.layer.output_shape(*trial.shapes)
    assert tuple(dx.shape for dx in found.dinputs) == (() if trial.layer.integer_inputs else trial.shapes)
    assert {name: dparam.shape for name, dparam in found.dparams.items()} == trial.layer.parameters()
    shapes = {name: statistic.shape for name, statistic in found.statistics.items()}
    assert shapes == {name: shape for name, (shape, _) in trial.layer.statistics().items()}


def test_the_derivative_of_relu_at_zero_is_zero() -> None:
    x = np.array([0.0, -0.0, 3.0, -3.0])
    y, saved = cc.Relu().forward(x, {})
    dx, _ = cc.Relu().backward(np.array([5.0, 7.0, 11.0, 13.0]), saved, {})
    assert y.tolist() == [0, 0, 3, 0]
    assert dx.tolist() == [0, 0, 11, 0]


def test_relu_lets_nothing_back_where_it_is_closed_not_even_nan() -> None:
    _, saved = cc.Relu().forward(np.array([-1.0, 1.0, -2.0]), {})
    dx, _ = cc.Relu().backward(np.array([np.nan, 1.0, np.inf]), saved, {})
    assert dx.tolist() == [0, 1, 0]


def test_tanh_and_its_derivative() -> None:
    x = np.linspace(-3, 3, 11)
    y, saved = cc.Tanh().forward(x, {})
    dx, _ = cc.Tanh().backward(np.ones_like(x), saved, {})
    np.testing.assert_allclose(dx, 1 / np.cosh(x) ** 2, rtol=1e-13)
    np.testing.assert_allclose(dx, 1 - y**2, rtol=1e-15)


def test_softmax_of_large_logits_is_finite() -> None:
    y, saved = cc.Softmax().forward(np.array([[1e4, 0.0, -1e4], [1e4, 1e4, -1e4]]), {})
    assert y.tolist() == [[1, 0, 0], [0.5, 0.5, 0]]
    dx, _ = cc.Softmax().backward(np.array([[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]), saved, {})
    assert dx.tolist() == [[0, 0, 0], [-0.25, 0.25, 0]]


def softmax_jacobian(x: Array) -> tuple[Array, Array]:
    """Softmax of a vector and its Jacobian, row i the output: one backward for each row."""
    y, saved = cc.Softmax().forward(x, {})
    return y, np.stack([cc.Softmax().backward(row, saved, {})[0] for row in np.eye(len(x))])


def test_softmax_jacobian_is_full() -> None:
    y, jacobian = softmax_jacobian(np.array([0.3, -1.2, 0.7, 2.0, -0.4]))
    np.testing.assert_allclose(jacobian, y[:, None] * (np.eye(5) - y[None, :]), rtol=1e-13, atol=0)


@given(hnp.arrays(np.float64, st.integers(2, 6), elements=st.floats(-50, 50)))
def test_rows_of_the_softmax_jacobian_add_up_to_nothing(x: Array) -> None:
    y, jacobian = softmax_jacobian(x)
    assert np.abs(y.sum() - 1) <= 4 * 2.0**-52
    assert np.abs(jacobian @ np.ones_like(x)).max() <= 8 * 2.0**-52
    assert np.abs(np.ones_like(x) @ jacobian).max() <= 8 * 2.0**-52


def test_an_upstream_gradient_of_ones_sees_nothing_of_softmax() -> None:
    """Why every test here draws its upstream gradient at random."""
    _, saved = cc.Softmax().forward(draw(TRIALS["softmax"], "float64").inputs[0], {})
    assert np.abs(cc.Softmax().backward(np.ones((N, O)), saved, {})[0]).max() <= 2.0**-52


EXACT_NEAR_NOTHING: dict[str, tuple[Layer, float, float]] = {
    "softplus": (cc.Softplus(), -40.0, 4.248354255291589e-18),
    "log_sigmoid": (cc.LogSigmoid(), 40.0, -4.248354255291589e-18),
    "elu": (cc.Elu(0.5), -1e-20, -5e-21),
    "celu": (cc.Celu(0.5), -1e-20, -1e-20),
    "selu": (cc.Selu(), -1e-20, -1.7580993408473766e-20),
    "silu": (cc.Silu(), -40.0, -1.6993417021166355e-16),
    "mish": (cc.Mish(), -40.0, -1.6993417021166355e-16),
}


@pytest.mark.parametrize(("layer", "x", "y"), EXACT_NEAR_NOTHING.values(), ids=EXACT_NEAR_NOTHING)
def test_what_is_nearly_nothing_is_exact(layer: Layer, x: float, y: float) -> None:
    """``log(1 + exp(-40))`` and ``exp(-1e-20) - 1``, written so, are 0."""
    found, _ = layer.forward(np.array([x]), {})
    assert found[0] == pytest.approx(y, rel=1e-15)


def test_log_softmax_of_large_logits_is_finite() -> None:
    y, saved = cc.LogSoftmax().forward(np.array([[1e4, 0.0, -1e4]]), {})
    dx, _ = cc.LogSoftmax().backward(np.array([[1.0, 2.0, 4.0]]), saved, {})
    assert y.tolist() == [[0, -1e4, -2e4]]
    assert dx.tolist() == [[-6, 2, 4]]


def test_a_softplus_with_a_threshold_jumps_there() -> None:
    x = np.array([20.0, np.nextafter(20.0, 21.0)])
    y, saved = cc.Softplus().forward(x, {})
    dx, _ = cc.Softplus().backward(np.ones(2), saved, {})
    assert y[1] == x[1]
    assert y[0] - x[0] == pytest.approx(np.exp(-20), rel=1e-5)
    assert dx[0] == pytest.approx(1 / (1 + np.exp(-20.0)), rel=1e-14)
    assert dx[1] == 1
    assert cc.Softplus(beyond="exact").forward(x, {})[0][1] > y[1]


@pytest.mark.parametrize("name", ["prelu", "prelu-channels of sequences", "prelu-channels of images"])
def test_a_learned_slope_learns_from_negative_inputs_of_its_channel(name: str) -> None:
    trial, drawn = TRIALS[name], draw(TRIALS[name], "float64")
    (x,), channels = drawn.inputs, trial.layer.parameters()["weight"][0]
    expected = [
        sum(drawn.dy[place] * x[place] for place in np.ndindex(x.shape) if x[place] < 0 and place[1] % channels == c)
        for c in range(channels)
    ]
    if channels == 1:
        expected = [np.where(x < 0, drawn.dy * x, 0).sum()]
    np.testing.assert_allclose(by_hand(trial, drawn).dparams["weight"], expected, rtol=1e-13)


def test_the_halves_of_glu_are_value_and_gate() -> None:
    y, saved = cc.Glu().forward(np.array([[2.0, 3.0, 1000.0, -1000.0]]), {})
    dx, _ = cc.Glu().backward(np.array([[5.0, 7.0]]), saved, {})
    assert y.tolist() == [[2, 0]]
    assert dx.tolist() == [[5, 0, 0, 0]]


def test_sigmoid_far_out_is_exact_and_silent() -> None:
    y, saved = cc.Sigmoid().forward(np.array([-1000.0, 0.0, 1000.0]), {})
    dx, _ = cc.Sigmoid().backward(np.array([3.0, 3.0, 3.0]), saved, {})
    assert y.tolist() == [0, 0.5, 1]
    assert dx.tolist() == [0, 0.75, 0]


@given(st.floats(-700, 700))
def test_sigmoid_is_symmetric_and_as_exact_below_zero_as_above(x: float) -> None:
    (low, high), _ = cc.Sigmoid().forward(np.array([-abs(x), abs(x)]), {})
    assert abs(low + high - 1) <= 2.0**-52
    assert low == pytest.approx(np.exp(-abs(x)) * high, rel=2.0**-50)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_erf_is_right_to_two_roundoffs(dtype: str) -> None:
    mpmath = pytest.importorskip("mpmath")
    generator = np.random.Generator(np.random.PCG64(20240306))
    drawn = [4 * generator.standard_normal(500), generator.uniform(-1.5, 1.5, 500), 10 ** generator.uniform(-4, 1, 200)]
    x = np.concatenate(drawn).astype(dtype)
    y = erf(x)
    assert y.dtype == x.dtype
    with mpmath.workprec(200):

        def exact(value: Any) -> Any:
            high = np.float64(value)
            return mpmath.mpf(float(high)) + mpmath.mpf(float(value - high))

        wrong = [abs(exact(found) / mpmath.erf(exact(at)) - 1) for at, found in zip(x, y, strict=True)]
        assert max(wrong) <= mpmath.mpf(float(np.finfo(dtype).eps))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_erf_far_out_and_at_zero_is_exact_and_silent(dtype: str) -> None:
    y = erf(np.array([-np.inf, -6e4, -0.0, 0.0, 7.5, np.inf, np.nan], dtype))
    np.testing.assert_array_equal(y, np.array([-1, -1, -0.0, 0.0, 1, 1, np.nan], dtype))
    assert np.signbit(y[2])
    assert not np.signbit(y[3])
    assert erf(np.zeros((), dtype)).shape == ()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_erf_is_odd_also_where_one_formula_ends_and_the_other_begins(dtype: str) -> None:
    edges = np.array([0.0, 1.0, 7.0], dtype)
    x = np.concatenate([edges, np.nextafter(edges, edges - 1), np.nextafter(edges, edges + 1)])
    np.testing.assert_array_equal(erf(-x), -erf(x))
    below, at, above = erf(np.sort(x[np.abs(x - 1) < 0.5]))
    assert below <= at <= above <= below + 4 * np.finfo(dtype).eps


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "longdouble"])
def test_what_is_overlaid_adds_up_place_by_place(dtype: str) -> None:
    """Whole numbers, which every dtype adds exactly: as numpy.add.at does with the places written out."""
    generator = np.random.Generator(np.random.PCG64(20240312))
    parts = [generator.integers(-9, 9, (2, 3)).astype(dtype) for _ in range(4)]
    places = [
        (slice(down, down + 2), slice(across, across + 5, 2)) for down, across in ((0, 0), (1, 1), (1, 2), (0, 1))
    ]
    expected = np.zeros((4, 8), dtype)
    for part, place in zip(parts, places, strict=True):
        np.add.at(expected, place, part)
    found = overlaid(parts, places, (4, 8))
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, expected)


def test_erf_and_overlaid_ask_another_class_for_its_rule() -> None:
    asked: list[Any] = []

    class Other(np.ndarray[Any, Any]):
        def __array_function__(self, *arguments: Any) -> Any:
            asked.append(arguments)
            return "its own"

    x = np.zeros(3).view(Other)
    assert erf(x) == overlaid([x], [(slice(0, 3),)], (3,)) == "its own"
    assert asked == [(erf, (Other,), (x,), {}), (overlaid, (Other,), ([x], [(slice(0, 3),)], (3,)), {})]


def test_the_approximate_gelu_is_near_the_exact_one_and_is_another() -> None:
    x = np.linspace(-6, 6, 1001)
    apart = np.abs(cc.Gelu().forward(x, {})[0] - cc.Gelu("tanh").forward(x, {})[0])
    assert 4e-4 < apart.max() < 5e-4


def test_places_of_one_index_add_up_and_a_row_that_is_not_taken_has_no_gradient() -> None:
    layer, weight = cc.Embedding(4, 2), np.arange(8.0).reshape(4, 2)
    y, saved = layer.forward(np.array([[3, 0], [3, 3]]), {"weight": weight})
    assert y.tolist() == [[[6, 7], [0, 1]], [[6, 7], [6, 7]]]
    dx, dparams = layer.backward(np.array([[[1.0, 2], [3, 4]], [[5, 6], [7, 8]]]), saved, {"weight": weight})
    assert dx is None
    assert dparams["weight"].tolist() == [[3, 4], [0, 0], [0, 0], [13, 16]]


@pytest.mark.parametrize(
    ("running_variance", "momentum_of", "mean", "variance"),
    [
        ("unbiased", "new", 0.9 * 5 + 0.1 * 7 / 3, 0.9 * 2 + 0.1 * 7 / 3),
        ("biased", "new", 0.9 * 5 + 0.1 * 7 / 3, 0.9 * 2 + 0.1 * 14 / 9),
        ("unbiased", "old", 0.1 * 5 + 0.9 * 7 / 3, 0.1 * 2 + 0.9 * 7 / 3),
        ("biased", "old", 0.1 * 5 + 0.9 * 7 / 3, 0.1 * 2 + 0.9 * 14 / 9),
    ],
)
def test_what_batch_normalisation_remembers(
    running_variance: Any, momentum_of: Any, mean: float, variance: float
) -> None:
    """Of 1, 2 and 4: the mean is 7/3, the variance 7/3 where it is divided by n - 1 and 14/9 where it is by n."""
    layer = cc.BatchNorm(1, momentum=0.1, running_variance=running_variance, momentum_of=momentum_of)
    names = ("weight", "bias", "running_mean", "running_var")
    params = dict(zip(names, map(np.array, ([1.0], [0.0], [5.0], [2.0])), strict=True))
    _, saved = layer.forward(np.array([[1.0], [2.0], [4.0]]), params)
    found = layer.updated_statistics(saved, params)
    assert found["running_mean"] == pytest.approx(mean, rel=1e-15)
    assert found["running_var"] == pytest.approx(variance, rel=1e-15)


def test_the_epsilon_of_a_layer_norm_stands_where_it_is_said_to() -> None:
    x, params = np.array([[1.0, 9.0]]), {"weight": np.array([1.0, 1.0]), "bias": np.array([0.0, 0.0])}
    y, _ = cc.LayerNorm(2, epsilon=9.0).forward(x, params)
    assert y.tolist() == [[-4 / 5, 4 / 5]]  # the variance is 16: the root of 16 + 9
    y, _ = cc.LayerNorm(2, epsilon=4.0, epsilon_in="outside").forward(x, params)
    assert y.tolist() == [[-4 / 8, 4 / 8]]  # the root of 16, and 4


def test_statistics_start_as_those_of_normal_numbers() -> None:
    assert cc.BatchNorm(3).statistics() == {"running_mean": ((3,), 0.0), "running_var": ((3,), 1.0)}


@pytest.mark.parametrize("shape", [(2, 3), (2, 3, 1, 1), (1, 3, 2, 1), (1, 3, 1, 2)])
def test_two_values_a_channel_are_enough_to_train_with(shape: tuple[int, ...]) -> None:
    assert cc.BatchNorm(3).output_shape(shape) == shape


def test_one_value_a_channel_is_enough_in_evaluation() -> None:
    assert cc.BatchNorm(3, training=False).output_shape((1, 3)) == (1, 3)


OF_MEANS = ["layer_norm", "group_norm-images", "instance_norm", "batch_norm", "batch_norm-images"]


@pytest.mark.parametrize("name", OF_MEANS)
def test_an_upstream_gradient_of_ones_sees_nothing_of_a_normalisation(name: str) -> None:
    trial, drawn = TRIALS[name], draw(TRIALS[name], "float64")
    same = {**drawn.params, "weight": np.ones_like(drawn.params["weight"])}
    found = by_hand(trial, Drawn(drawn.inputs, same, np.ones_like(drawn.dy)))
    assert np.abs(found.dinputs[0]).max() <= 1e-15


@pytest.mark.parametrize("order", ["halves", "interleaved"])
def test_products_of_what_was_turned_depend_on_how_far_apart_it_is(order: Any) -> None:
    q, k = (np.broadcast_to(vector, (N, 6)) for vector in draw(Trial(cc.Rotary(), ((2, 6),)), "float64").inputs[0])
    turned = [cc.Rotary(order=order).forward(x, {})[0] for x in (q, k)]
    products = turned[0] @ turned[1].T
    np.testing.assert_allclose(products[1:, 1:], products[:-1, :-1], rtol=1e-12)
    assert np.abs(products[0, 1:] - products[0, :-1]).min() > 1e-3


def test_the_table_of_waves_is_that_of_the_paper() -> None:
    """PE(pos, 2i) = sin(pos / 10000^(2i / d)) and PE(pos, 2i + 1) = cos(pos / 10000^(2i / d)), number by number."""
    table = cc.SinusoidalPositions().forward(np.zeros((N, 6)), {})[0]
    halves = cc.SinusoidalPositions(order="halves").forward(np.zeros((N, 6)), {})[0]
    for place, i in np.ndindex(N, 3):
        angle = place / 10000 ** (2 * i / 6)
        assert table[place, 2 * i : 2 * i + 2] == pytest.approx([np.sin(angle), np.cos(angle)], abs=1e-14)
        assert [halves[place, i], halves[place, i + 3]] == table[place, 2 * i : 2 * i + 2].tolist()


def test_a_query_sees_no_later_key() -> None:
    trial = TRIALS["attention-heads"]
    q, k, v = draw(trial, "float64").inputs
    later = [np.concatenate([x[..., :3, :], 1e3 * x[..., 3:, :]], axis=-2) for x in (k, v)]
    y, changed = (trial.layer.forward(q, *kv, {})[0] for kv in ((k, v), later))
    np.testing.assert_array_equal(y[..., :3, :], changed[..., :3, :])
    assert np.abs(y[..., 3:, :] - changed[..., 3:, :]).min() > 0
    np.testing.assert_array_equal(y[..., 0, :], v[..., 0, :])


@pytest.mark.parametrize("mask", ["boolean", "additive"])
def test_masks_are_drawn_that_show_and_hide(mask: Literal["boolean", "additive"]) -> None:
    layer, generator = cc.ScaledDotProductAttention(mask=mask), np.random.Generator(np.random.PCG64(7))
    for shape in ((4000, 1, 3), (4000, 2), (1, 9000, 2), (1, 3, 3000, 3)):
        drawn = layer.draw_given(generator, "mask", shape)
        assert drawn.shape == shape
        seen = drawn == 1 if mask == "boolean" else drawn > -1e3
        assert seen[..., 0].all()
        assert not seen.all(axis=-1).any()
        # Three of four, but for the one that no query sees; a standard deviation is below 0.007.
        assert abs(seen[..., 1:].mean() - 0.75 * (1 - 1 / (shape[-1] - 1))) < 0.04
        others = np.unique(drawn[~seen])
        np.testing.assert_array_equal(others, [0 if mask == "boolean" else -1e4])
        assert mask == "boolean" or abs(drawn[seen].std() - 1) < 0.1
    assert (layer.draw_given(generator, "mask", (5, 1)) > -1e3).all()


def test_what_a_layer_is_given_is_0_or_1_unless_it_says_otherwise() -> None:
    drawn = cc.Relu().draw_given(np.random.Generator(np.random.PCG64(8)), "open", (1000,))
    assert drawn.dtype == np.float64
    assert set(np.unique(drawn)) == {0, 1}
    assert 400 < drawn.sum() < 600


def test_what_is_dropped_is_drawn() -> None:
    drawn = cc.Dropout(0.25).draw_given(np.random.Generator(np.random.PCG64(8)), "mask", (1000,))
    assert set(drawn) == {0, 1}
    assert abs(drawn.mean() - 0.75) < 0.05


def test_sizes_at_the_ends_of_their_ranges() -> None:
    assert cc.Dropout(0.0).rate == 0
    assert cc.Rotary(base=0.5).base == 0.5
    assert cc.ConvTranspose2d(3, 4, (1, 1)).output_shape((2, 3, 1, 1)) == (2, 4, 1, 1)
    assert cc.GroupNorm(3, 3).output_shape((2, 3, 5)) == (2, 3, 5)
    assert cc.InstanceNorm(3).output_shape((2, 3, 1, 5)) == (2, 3, 1, 5)


def test_a_flipped_kernel_is_turned_by_both_axes() -> None:
    generator = np.random.Generator(np.random.PCG64(11))
    upright, flipped = cc.ConvTranspose2d(3, 2, (2, 3)), cc.ConvTranspose2d(3, 2, (2, 3), orientation="flipped")
    x, weight = generator.standard_normal((4, 3, 5, 6)), generator.standard_normal((3, 2, 2, 3))
    params = {"weight": weight, "bias": np.zeros(2)}
    turned = {**params, "weight": weight[:, :, ::-1, ::-1]}
    (y, saved), (expected, other) = flipped.forward(x, params), upright.forward(x, turned)
    np.testing.assert_array_equal(y, expected)
    dy = generator.standard_normal(y.shape)
    (dx, dparams), (dx_expected, expected_params) = (
        flipped.backward(dy, saved, params),
        upright.backward(dy, other, turned),
    )
    np.testing.assert_array_equal(dx, dx_expected)
    np.testing.assert_array_equal(dparams["weight"], expected_params["weight"][:, :, ::-1, ::-1])


def test_a_largest_of_nothing_is_shared() -> None:
    layer = cc.MaxPool2d((2, 2), tie="shared")
    y, saved = layer.forward(np.zeros((1, 1, 2, 2)), {})
    np.testing.assert_array_equal(layer.backward(np.ones_like(y), saved, {})[0], np.full((1, 1, 2, 2), 0.25))


def test_the_gradient_of_a_mean_is_an_array_of_its_own() -> None:
    layer = cc.GlobalAvgPool()
    y, saved = layer.forward(np.ones((2, 3, 4)), {})
    assert layer.backward(np.ones_like(y), saved, {})[0].flags.writeable


def test_rotary_turns_every_sequence_alike() -> None:
    generator = np.random.Generator(np.random.PCG64(12))
    x = generator.standard_normal((2, 3, 5, 8))
    for order in ("halves", "interleaved"):
        whole, alone = cc.Rotary(order=order).forward(x, {})[0], cc.Rotary(order=order).forward(x[1, 2], {})[0]
        np.testing.assert_array_equal(whole[1, 2], alone)


def test_prelu_of_two_channels() -> None:
    x = -np.arange(1.0, 13.0).reshape(3, 2, 2)
    _, saved = cc.PRelu(2).forward(x, {"weight": np.ones(2)})
    _, dparams = cc.PRelu(2).backward(np.ones_like(x), saved, {"weight": np.ones(2)})
    np.testing.assert_array_equal(dparams["weight"], x.sum(axis=(0, 2)))


def test_attention_may_have_no_sequence() -> None:
    assert cc.ScaledDotProductAttention().output_shape((0, 3, 4), (0, 5, 4), (0, 5, 2)) == (0, 3, 2)


def test_a_key_that_a_mask_hides_has_no_influence_and_no_gradient() -> None:
    trial = TRIALS["attention-grouped and masked"]
    drawn = draw(trial, "float64")
    mask = drawn.given["mask"].copy()
    mask[..., 3] = 0
    hidden = Drawn(drawn.inputs, {}, drawn.dy, {"mask": mask})
    q, k, v = drawn.inputs
    other = [np.where(np.arange(N)[:, None] == 3, 1e3, x) for x in (k, v)]
    found = by_hand(trial, hidden)
    np.testing.assert_array_equal(found.y, by_hand(trial, Drawn([q, *other], {}, drawn.dy, {"mask": mask})).y)
    assert not found.dinputs[1][..., 3, :].any()
    assert not found.dinputs[2][..., 3, :].any()


def test_a_shared_head_is_as_good_as_its_copies() -> None:
    """Repeated for every query of its group, in turn, and its gradient the sum of theirs."""
    trial = TRIALS["attention-grouped"]
    drawn = draw(trial, "float64")
    q, k, v = drawn.inputs
    copies = Drawn([q, *(np.repeat(x, 2, axis=1) for x in (k, v))], {}, drawn.dy)
    shared, apart = by_hand(trial, drawn), by_hand(trial, copies)
    summed = [dx.reshape(2, 3, 2, *dx.shape[2:]).sum(axis=2) for dx in apart.dinputs[1:]]
    assert_same(shared, Result(apart.y, [apart.dinputs[0], *summed], {}, {}), EPSILONS * 2.0**-52)


@pytest.mark.parametrize("causal", [False, True])
def test_the_layer_with_its_projections_is_the_layers_one_after_the_other(causal: bool) -> None:
    layer = cc.MultiHeadAttention(6, 3, causal=causal)
    drawn = draw(Trial(layer, ((2, 4, 6),)), "float64")
    split, params = cc.SplitHeads(3), drawn.params
    projected, _ = cc.Dense(6, 18).forward(drawn.inputs[0], {"weight": params["in_weight"], "bias": params["in_bias"]})
    q, k, v = (split.forward(projected[..., at : at + 6], {})[0] for at in (0, 6, 12))
    seen, _ = cc.ScaledDotProductAttention(causal=causal).forward(q, k, v, {})
    merged, _ = cc.MergeHeads().forward(seen, {})
    y, _ = cc.Dense(6, 6).forward(merged, {"weight": params["out_weight"], "bias": params["out_bias"]})
    np.testing.assert_array_equal(layer.forward(*drawn.inputs, params)[0], y)


def test_heads_that_are_merged_again_are_what_they_were() -> None:
    x = np.arange(48.0).reshape(2, 4, 6)
    y, _ = cc.SplitHeads(3).forward(x, {})
    assert y[1, 2, 3].tolist() == x[1, 3, 4:6].tolist()
    np.testing.assert_array_equal(cc.MergeHeads().forward(y, {})[0], x)


def test_the_scores_may_be_large_denormal_or_0() -> None:
    trial = TRIALS["attention-boolean mask"]
    drawn = draw(trial, "float64")
    q, k, v = drawn.inputs
    # Numbers of 1e-310 have about a dozen digits, and their gradients no more.
    for size, allowed in ((1e4, EPSILONS * 2.0**-52), (1e-310, 1e-12), (0.0, EPSILONS * 2.0**-52)):
        sized = Drawn([size * q, size * k, v], {}, drawn.dy, drawn.given)
        assert_same(by_hand(trial, sized), by_torch(trial, sized), allowed)


DEFAULTS: dict[str, tuple[Callable[[], Layer], dict[str, Any]]] = {
    "gelu": (cc.Gelu, {"approximate": "none"}),
    "layer_norm": (lambda: cc.LayerNorm(3), {"epsilon": 1e-5, "epsilon_in": "root"}),
    "batch_norm": (
        lambda: cc.BatchNorm(3),
        {
            "epsilon": 1e-5,
            "momentum": 0.1,
            "training": True,
            "running_variance": "unbiased",
            "momentum_of": "new",
        },
    ),
    "conv2d": (lambda: cc.Conv2d(2, 3, (4, 5)), {"stride": (1, 1), "padding": (0, 0)}),
    "attention": (cc.ScaledDotProductAttention, {"causal": False, "scale": "width"}),
}


@pytest.mark.parametrize(("made", "expected"), DEFAULTS.values(), ids=DEFAULTS)
def test_what_is_not_said_is_this(made: Callable[[], Layer], expected: dict[str, Any]) -> None:
    assert {name: getattr(made(), name) for name in expected} == expected


# ------------------------------------------------------------------------------------------------------------ refusals

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "no inputs": (lambda: cc.Dense(0, 3), "inputs: expected a width of at least 1; received 0"),
    "no outputs": (lambda: cc.Dense(3, -1), "outputs: expected a width of at least 1; received -1"),
    "dense rank": (
        lambda: cc.Dense(3, 4).output_shape((3,)),
        "expected an input of rank 2 or more, (..., N, I); received shape (3,)",
    ),
    "dense width": (
        lambda: cc.Dense(3, 4).output_shape((7, 5)),
        "inputs: expected 5, the width of what the node takes; received 3",
    ),
    "bilinear width": (lambda: cc.Bilinear(3, 0, 2), "second: expected a width of at least 1; received 0"),
    "bilinear of other widths": (
        lambda: cc.Bilinear(3, 4, 2).output_shape((7, 4), (7, 3)),
        "from: expected two values (..., N, 3) and (..., N, 4); received shapes (7, 4) and (7, 3)",
    ),
    "bilinear of vectors": (
        lambda: cc.Bilinear(3, 4, 2).output_shape((3,), (4,)),
        "from: expected two values (..., N, 3) and (..., N, 4); received shapes (3,) and (4,)",
    ),
    "bilinear of a number": (
        lambda: cc.Bilinear(3, 4, 2).output_shape((7, 3), ()),
        "from: expected two values (..., N, 3) and (..., N, 4); received shapes (7, 3) and ()",
    ),
    "bilinear of other rows": (
        lambda: cc.Bilinear(3, 4, 2).output_shape((7, 3), (2, 7, 4)),
        "from: expected two values (..., N, 3) and (..., N, 4); received shapes (7, 3) and (2, 7, 4)",
    ),
    "no places": (lambda: cc.Positions(0, 3), "places: expected a number of places of at least 1; received 0"),
    "places without a width": (lambda: cc.Positions(3, 0), "width: expected a width of at least 1; received 0"),
    "more places than there are": (
        lambda: cc.Positions(4, 3).output_shape((2, 5, 3)),
        "places: expected at least 5, of an input of shape (2, 5, 3); received 4",
    ),
    "places of another width": (
        lambda: cc.Positions(4, 3).output_shape((2, 4, 5)),
        "width: expected 5, the width of what the node takes; received 3",
    ),
    "an axis without places": (
        lambda: cc.Rotary().output_shape((4,)),
        "expected an input of rank 2 or more, (..., T, E); received shape (4,)",
    ),
    "half a pair": (
        lambda: cc.SinusoidalPositions().output_shape((2, 4, 5)),
        "expected an even number of features; received 5, of an input of shape (2, 4, 5)",
    ),
    "no base": (lambda: cc.Rotary(0.0), "base: expected a number above 0; received 0.0"),
    "dense width of rank 3": (
        lambda: cc.Dense(3, 4).output_shape((2, 7, 5)),
        "inputs: expected 5, the width of what the node takes; received 3",
    ),
    "softmax of a number": (
        lambda: cc.Softmax().output_shape(()),
        "expected an input with at least one axis; received shape ()",
    ),
    "log_softmax of a number": (
        lambda: cc.LogSoftmax().output_shape(()),
        "expected an input with at least one axis; received shape ()",
    ),
    "softplus without a beta": (lambda: cc.Softplus(0.0), "beta: expected a number above 0; received 0.0"),
    "celu without an alpha": (lambda: cc.Celu(-1.0), "alpha: expected a number above 0; received -1.0"),
    "celu of nothing": (lambda: cc.Celu(float("nan")), "alpha: expected a number above 0; received nan"),
    "bounds that fall": (
        lambda: cc.Hardtanh(1.0, -1.0),
        "high: expected a bound above 1.0, the lower one; received -1.0",
    ),
    "no slopes": (lambda: cc.PRelu(0), "channels: expected a number of channels of at least 1; received 0"),
    "prelu of a number": (
        lambda: cc.PRelu().output_shape(()),
        "expected an input with at least one axis; received shape ()",
    ),
    "slopes of other channels": (
        lambda: cc.PRelu(3).output_shape((7, 5, 3)),
        "channels: expected 1, or the size of axis 1 of an input of shape (7, 5, 3); received 3",
    ),
    "slopes without channels": (
        lambda: cc.PRelu(3).output_shape((3,)),
        "channels: expected 1, or the size of axis 1 of an input of shape (3,); received 3",
    ),
    "glu without halves": (
        lambda: cc.Glu().output_shape((6, 5)),
        "expected an input whose last axis has two halves; received shape (6, 5)",
    ),
    "glu of a number": (
        lambda: cc.Glu().output_shape(()),
        "expected an input whose last axis has two halves; received shape ()",
    ),
    "swiglu of two shapes": (
        lambda: cc.SwiGlu().output_shape((7, 5), (7, 1)),
        "from: expected a gate and a value of equal shape; received (7, 5) and (7, 1)",
    ),
    "add of two shapes": (
        lambda: cc.Add().output_shape((7, 5), (7, 1)),
        "from: expected two values of equal shape; received (7, 5) and (7, 1)",
    ),
    "no features": (lambda: cc.LayerNorm(0), "features: expected a number of features of at least 1; received 0"),
    "layer_norm of other features": (
        lambda: cc.LayerNorm(3).output_shape((7, 5)),
        "features: expected 5, of an input of shape (7, 5); received 3",
    ),
    "layer_norm of a number": (
        lambda: cc.LayerNorm(3).output_shape(()),
        "expected an input with at least one axis; received shape ()",
    ),
    "no features of rms_norm": (
        lambda: cc.RMSNorm(0),
        "features: expected a number of features of at least 1; received 0",
    ),
    "rms_norm of other features": (
        lambda: cc.RMSNorm(3).output_shape((7, 5)),
        "features: expected 5, of an input of shape (7, 5); received 3",
    ),
    "no groups": (lambda: cc.GroupNorm(6, 0), "groups: expected a number of groups of at least 1; received 0"),
    "groups that do not divide": (
        lambda: cc.GroupNorm(6, 4),
        "groups: expected a number that divides the features, 6; received 4",
    ),
    "group_norm rank": (
        lambda: cc.GroupNorm(3, 1).output_shape((3,)),
        "expected an input of rank 2 or more, (N, C, ...); received shape (3,)",
    ),
    "group_norm of other channels": (
        lambda: cc.GroupNorm(6, 2).output_shape((7, 2, 6)),
        "features: expected 2, of an input of shape (7, 2, 6); received 6",
    ),
    "group_norm of one value": (
        lambda: cc.GroupNorm(6, 6).output_shape((7, 6, 1)),
        "groups: expected more than one value a group; received shape (7, 6, 1) with 6 groups",
    ),
    "instance_norm rank": (
        lambda: cc.InstanceNorm(3).output_shape((7, 3)),
        "expected an input of rank 3 or more, (N, C, ...); received shape (7, 3)",
    ),
    "instance_norm of other channels": (
        lambda: cc.InstanceNorm(6).output_shape((7, 2, 6)),
        "features: expected 2, of an input of shape (7, 2, 6); received 6",
    ),
    "instance_norm of one value": (
        lambda: cc.InstanceNorm(6).output_shape((7, 6, 1, 1)),
        "expected more than one value a channel; received shape (7, 6, 1, 1)",
    ),
    "no channels of a batch": (
        lambda: cc.BatchNorm(0),
        "features: expected a number of features of at least 1; received 0",
    ),
    "batch_norm rank": (
        lambda: cc.BatchNorm(3).output_shape((3,)),
        "expected an input of rank 2 or more, (N, C, ...); received shape (3,)",
    ),
    "batch_norm of other channels": (
        lambda: cc.BatchNorm(3).output_shape((7, 2, 3, 3)),
        "features: expected 2, of an input of shape (7, 2, 3, 3); received 3",
    ),
    "batch_norm of one row": (
        lambda: cc.BatchNorm(3).output_shape((1, 3)),
        "expected more than one value a channel to train with; received shape (1, 3)",
    ),
    "batch_norm of one pixel": (
        lambda: cc.BatchNorm(3).output_shape((1, 3, 1, 1)),
        "expected more than one value a channel to train with; received shape (1, 3, 1, 1)",
    ),
    "no rows of a table": (lambda: cc.Embedding(0, 3), "rows: expected a number of rows of at least 1; received 0"),
    "no width of a table": (lambda: cc.Embedding(3, 0), "width: expected a width of at least 1; received 0"),
    "embedding of a number": (
        lambda: cc.Embedding(3, 2).output_shape(()),
        "expected an input with at least one axis; received shape ()",
    ),
    "index above the table": (
        lambda: embedded([[0, 3]]),
        "data.inputs: expected indices from 0 to 2; received indices from 0 to 3",
    ),
    "index below the table": (
        lambda: embedded([[-1, 2]]),
        "data.inputs: expected indices from 0 to 2; received indices from -1 to 2",
    ),
    "numbers for indices": (
        lambda: embedded([[0.0, 2.0]]),
        "data.inputs: expected whole numbers; received values of type float64",
    ),
    "embedding of numbers": (
        lambda: embedded([[0, 2]], cc.Node("again", cc.Embedding(3, 2))),
        "nodes.again.from: expected 'input', for 'embedding' takes indices; received 'x'",
    ),
    "indices for numbers": (
        lambda: embedded([[0, 2]], cc.Node("y", cc.Add(), takes=("x", "input"))),
        "nodes.y.from: expected no 'input', which is indices for 'x'; received 'input', 'x'",
    ),
    "no hidden width": (lambda: cc.Rnn(3, 0), "hidden: expected a width of at least 1; received 0"),
    "no recurrent inputs": (lambda: cc.Gru(0, 3), "inputs: expected a width of at least 1; received 0"),
    "no layers": (lambda: cc.Lstm(3, 2, 0), "layers: expected a number of layers of at least 1; received 0"),
    "lstm rank": (
        lambda: cc.Lstm(3, 2).output_shape((7, 3)),
        "expected an input of rank 3, (N, T, I); received shape (7, 3)",
    ),
    "lstm width": (
        lambda: cc.Lstm(3, 2).output_shape((7, 4, 5)),
        "inputs: expected 5, the width of what the node takes; received 3",
    ),
    "no steps in time": (
        lambda: cc.Lstm(3, 2).output_shape((7, 0, 3)),
        "expected a sequence of at least one step; received shape (7, 0, 3)",
    ),
    "indices for numbers, beside two that take them": (
        lambda: embedded(
            [[0, 2]],
            cc.Node("z", cc.Embedding(3, 2), takes=("input",)),
            cc.Node("both", cc.Add(), takes=("x", "z")),
            cc.Node("y", cc.Add(), takes=("both", "input")),
        ),
        "nodes.y.from: expected no 'input', which is indices for 'x'; received 'both', 'input'",
    ),
    "no kernel": (
        lambda: cc.Conv2d(2, 3, (0, 2)),
        "kernel: expected height and width of at least 1; received (0, 2)",
    ),
    "no stride": (
        lambda: cc.Conv2d(2, 3, (2, 2), (1, 0)),
        "stride: expected height and width of at least 1; received (1, 0)",
    ),
    "negative padding": (
        lambda: cc.Conv2d(2, 3, (2, 2), (1, 1), (0, -1)),
        "padding: expected height and width of at least 0; received (0, -1)",
    ),
    "no channels": (
        lambda: cc.Conv2d(0, 3, (2, 2)),
        "inputs: expected a number of channels of at least 1; received 0",
    ),
    "conv2d rank": (
        lambda: cc.Conv2d(2, 3, (2, 2)).output_shape((7, 2)),
        "expected an input of rank 4, (N, I, H, W); received shape (7, 2)",
    ),
    "conv2d of other channels": (
        lambda: cc.Conv2d(2, 3, (2, 2)).output_shape((7, 3, 4, 4)),
        "inputs: expected 3, the channels of what the node takes; received 2",
    ),
    "kernel larger than the image": (
        lambda: cc.Conv2d(2, 3, (5, 2), (1, 1), (1, 0)).output_shape((7, 2, 2, 4)),
        "kernel: expected at most (4, 4), the padded image; received (5, 2)",
    ),
    "queries without places": (
        lambda: cc.ScaledDotProductAttention().output_shape((3,), (7, 3), (7, 5)),
        "from: expected queries (..., Lq, E), keys (..., Lk, E) and values (..., Lk, Ev); "
        "received shapes (3,), (7, 3) and (7, 5)",
    ),
    "kernel wider than the image": (
        lambda: cc.Conv2d(2, 3, (2, 5)).output_shape((7, 2, 3, 4)),
        "kernel: expected at most (3, 4), the padded image; received (2, 5)",
    ),
    "kernel larger than the image, dilated": (
        lambda: cc.Conv2d(2, 3, (3, 2), dilation=(2, 1)).output_shape((7, 2, 4, 4)),
        "kernel: expected at most (4, 4), the padded image; received (3, 2), which covers (5, 2)",
    ),
    "no dilation": (
        lambda: cc.Conv2d(2, 3, (2, 2), dilation=(1, 0)),
        "dilation: expected height and width of at least 1; received (1, 0)",
    ),
    "no groups of channels": (
        lambda: cc.Conv2d(2, 3, (2, 2), groups=0),
        "groups: expected a number of groups of at least 1; received 0",
    ),
    "groups that do not divide the channels": (
        lambda: cc.Conv2d(4, 6, (2, 2), groups=4),
        "groups: expected a number that divides 4 inputs and 6 outputs; received 4",
    ),
    "conv1d kernel": (lambda: cc.Conv1d(2, 3, 0), "kernel: expected a length of at least 1; received 0"),
    "conv1d padding": (
        lambda: cc.Conv1d(2, 3, 2, padding=-1),
        "padding: expected a length of at least 0; received -1",
    ),
    "conv1d rank": (
        lambda: cc.Conv1d(2, 3, 2).output_shape((7, 2, 4, 4)),
        "expected an input of rank 3, (N, I, L); received shape (7, 2, 4, 4)",
    ),
    "output padding of a stride": (
        lambda: cc.ConvTranspose2d(2, 3, (2, 2), (2, 3), output_padding=(2, 0)),
        "output_padding: expected height and width from 0 to below the stride, (2, 3); received (2, 0)",
    ),
    "nothing but padding": (
        lambda: cc.ConvTranspose2d(2, 3, (1, 2), padding=(2, 0)).output_shape((7, 2, 4, 4)),
        "padding: expected less padding than the output has pixels; received (2, 0)",
    ),
    "conv_transpose2d of other channels": (
        lambda: cc.ConvTranspose2d(2, 3, (2, 2)).output_shape((7, 3, 4, 4)),
        "inputs: expected 3, the channels of what the node takes; received 2",
    ),
    "no kernel of a pool": (
        lambda: cc.MaxPool2d((2, 0)),
        "kernel: expected height and width of at least 1; received (2, 0)",
    ),
    "no stride of a pool": (
        lambda: cc.AvgPool2d((2, 2), (0, 1)),
        "stride: expected height and width of at least 1; received (0, 1)",
    ),
    "padding of more than half": (
        lambda: cc.AvgPool2d((3, 2), padding=(1, 2)),
        "padding: expected from 0 to half of the kernel, (3, 2); received (1, 2)",
    ),
    "pool larger than the image": (
        lambda: cc.MaxPool2d((2, 5), padding=(1, 0)).output_shape((7, 2, 2, 4)),
        "kernel: expected at most (4, 4), the padded image; received (2, 5)",
    ),
    "pool rank": (
        lambda: cc.MaxPool2d((2, 2)).output_shape((7, 2, 4)),
        "expected an input of rank 4, (N, C, H, W); received shape (7, 2, 4)",
    ),
    "no outputs of a pool": (
        lambda: cc.AdaptiveAvgPool2d((2, 0)),
        "outputs: expected height and width of at least 1; received (2, 0)",
    ),
    "adaptive pool rank": (
        lambda: cc.AdaptiveAvgPool2d((2, 2)).output_shape((7, 2)),
        "expected an input of rank 4, (N, C, H, W); received shape (7, 2)",
    ),
    "global pool of rows": (
        lambda: cc.GlobalAvgPool().output_shape((7, 2)),
        "expected an input of rank 3 or more, (N, C, ...); received shape (7, 2)",
    ),
    "product of two shapes": (
        lambda: cc.Multiply().output_shape((7, 5), (7, 1)),
        "from: expected two values of equal shape; received (7, 5) and (7, 1)",
    ),
    "concatenation of rows": (
        lambda: cc.Concatenate(axis=0).output_shape((7, 5), (7, 5)),
        "axis: expected an axis of (7, 5) that is not the first; received 0",
    ),
    "concatenation of rows, from behind": (
        lambda: cc.Concatenate(axis=-2).output_shape((7, 5), (7, 5)),
        "axis: expected an axis of (7, 5) that is not the first; received -2",
    ),
    "concatenation along no axis": (
        lambda: cc.Concatenate(axis=2).output_shape((7, 5), (7, 5)),
        "axis: expected an axis of (7, 5) that is not the first; received 2",
    ),
    "concatenation of other rows": (
        lambda: cc.Concatenate().output_shape((7, 5), (6, 5), (7, 5)),
        "from: expected values of equal shape but for axis 1; received (7, 5) and (6, 5) and (7, 5)",
    ),
    "concatenation of one": (
        lambda: joined("x"),
        "nodes.y.from: expected two or more for 'concatenate'; received 1: 'x'",
    ),
    "flatten of a vector": (
        lambda: cc.Flatten().output_shape((7,)),
        "expected an input of rank 2 or more, (N, ...); received shape (7,)",
    ),
    "no size": (lambda: cc.Reshape((2, 0)), "shape: expected sizes of at least 1; received (2, 0)"),
    "reshape to other elements": (
        lambda: cc.Reshape((2, 4)).output_shape((7, 3, 2)),
        "shape: expected a shape of 6 elements, as (3, 2) has; received (2, 4)",
    ),
    "keys of another width": (
        lambda: cc.ScaledDotProductAttention().output_shape((2, 4, 3), (2, 7, 5), (2, 7, 5)),
        "from: expected queries (..., Lq, E), keys (..., Lk, E) and values (..., Lk, Ev); "
        "received shapes (2, 4, 3), (2, 7, 5) and (2, 7, 5)",
    ),
    "heads of keys that do not divide": (
        lambda: cc.ScaledDotProductAttention().output_shape((2, 6, 4, 3), (2, 4, 7, 3), (2, 4, 7, 5)),
        "from: expected queries (..., Lq, E), keys (..., Lk, E) and values (..., Lk, Ev); "
        "received shapes (2, 6, 4, 3), (2, 4, 7, 3) and (2, 4, 7, 5)",
    ),
    "a query that sees nothing": (
        lambda: cc.ScaledDotProductAttention(mask="boolean").check_given("mask", np.array([[1.0, 0], [0, 0]])),
        "expected a mask by which every query sees a key; received none for the query at [1]",
    ),
    "two queries of several heads that see nothing": (
        lambda: cc.ScaledDotProductAttention(mask="boolean").check_given(
            "mask", np.array([[[1.0, 1, 1], [0, 0, 1]], [[0, 0, 0], [0, 0, 0]]])
        ),
        "expected a mask by which every query sees a key; received none for the query at [1, 0]",
    ),
    "conv_transpose2d without inputs": (
        lambda: cc.ConvTranspose2d(0, 4, (2, 2)),
        "inputs: expected a number of channels of at least 1; received 0",
    ),
    "conv_transpose2d with less output padding than none": (
        lambda: cc.ConvTranspose2d(3, 4, (2, 2), output_padding=(0, -1)),
        "output_padding: expected height and width from 0 to below the stride, (1, 1); received (0, -1)",
    ),
    "dropout of less than none": (lambda: cc.Dropout(-5e-324), "rate: expected a number in [0, 1); received -5e-324"),
    "dropout of all": (lambda: cc.Dropout(1.0), "rate: expected a number in [0, 1); received 1.0"),
    "dropout by another mask": (
        lambda: cc.Dropout(0.5).check_given("mask", np.array([1.0, 0.5, 0.0, 2.0])),
        "expected a mask of 0 and 1; received 0.5",
    ),
    "hardtanh of one bound": (
        lambda: cc.Hardtanh(1.0, 1.0),
        "high: expected a bound above 1.0, the lower one; received 1.0",
    ),
    "group_norm without features": (
        lambda: cc.GroupNorm(0, 1),
        "features: expected a number of features of at least 1; received 0",
    ),
    "group_norm of one value a group": (
        lambda: cc.GroupNorm(3, 3).output_shape((2, 3)),
        "groups: expected more than one value a group; received shape (2, 3) with 3 groups",
    ),
    "instance_norm without features": (
        lambda: cc.InstanceNorm(0),
        "features: expected a number of features of at least 1; received 0",
    ),
    "a pool with less padding than none": (
        lambda: cc.MaxPool2d((2, 2), padding=(-1, 0)),
        "padding: expected from 0 to half of the kernel, (2, 2); received (-1, 0)",
    ),
    "positions of a row": (
        lambda: cc.Positions(3, 6).output_shape((6,)),
        "expected an input of rank 2 or more, (..., T, E); received shape (6,)",
    ),
    "prelu of two other channels": (
        lambda: cc.PRelu(2).output_shape((4, 3)),
        "channels: expected 1, or the size of axis 1 of an input of shape (4, 3); received 2",
    ),
    "an axis that the first lacks": (
        lambda: cc.Concatenate(2).output_shape((2, 3), (2, 3, 4)),
        "axis: expected an axis of (2, 3) that is not the first; received 2",
    ),
    "other sizes behind the axis": (
        lambda: cc.Concatenate(1).output_shape((2, 3, 4), (2, 3, 5)),
        "from: expected values of equal shape but for axis 1; received (2, 3, 4) and (2, 3, 5)",
    ),
    "queries, keys and values of one axis": (
        lambda: cc.ScaledDotProductAttention().output_shape((3,), (3,), (3,)),
        "from: expected queries (..., Lq, E), keys (..., Lk, E) and values (..., Lk, Ev); "
        "received shapes (3,), (3,) and (3,)",
    ),
    "heads that do not divide, of several sequences": (
        lambda: cc.SplitHeads(4).output_shape((2, 7, 6)),
        "heads: expected a divisor of 6, the width of what the node takes; received 4",
    ),
    "multi_head_attention of several sequences of another width": (
        lambda: cc.MultiHeadAttention(4, 2).output_shape((2, 7, 6)),
        "width: expected 6, the width of what the node takes; received 4",
    ),
    "a query that sees later keys alone": (
        lambda: cc.ScaledDotProductAttention(True, mask="boolean").check_given("mask", np.array([[0.0, 1], [0, 1]])),
        "expected a mask by which every query sees a key; received none for the query at [0]",
    ),
    "a boolean mask of other numbers": (
        lambda: cc.ScaledDotProductAttention(mask="boolean").check_given("mask", np.array([[1.0, 0.5]])),
        "expected a mask of 0 and 1; received 0.5",
    ),
    "no heads": (lambda: cc.SplitHeads(0), "heads: expected a number of heads of at least 1; received 0"),
    "heads of a row": (
        lambda: cc.SplitHeads(2).output_shape((6,)),
        "expected an input of rank 2 or more, (..., T, H * E); received shape (6,)",
    ),
    "heads that do not divide": (
        lambda: cc.SplitHeads(4).output_shape((7, 6)),
        "heads: expected a divisor of 6, the width of what the node takes; received 4",
    ),
    "nothing to merge": (
        lambda: cc.MergeHeads().output_shape((7, 6)),
        "expected an input of rank 3 or more, (..., H, T, E); received shape (7, 6)",
    ),
    "multi_head_attention without width": (
        lambda: cc.MultiHeadAttention(0, 1),
        "width: expected a width of at least 1; received 0",
    ),
    "multi_head_attention without heads": (
        lambda: cc.MultiHeadAttention(6, 0),
        "heads: expected a number of heads of at least 1; received 0",
    ),
    "multi_head_attention of odd heads": (
        lambda: cc.MultiHeadAttention(6, 4),
        "heads: expected a divisor of 6, the width; received 4",
    ),
    "multi_head_attention of a row": (
        lambda: cc.MultiHeadAttention(6, 3).output_shape((6,)),
        "expected an input of rank 2 or more, (..., T, E); received shape (6,)",
    ),
    "multi_head_attention of another width": (
        lambda: cc.MultiHeadAttention(6, 3).output_shape((4, 5)),
        "width: expected 5, the width of what the node takes; received 6",
    ),
}


def joined(*names: str) -> tuple[cc.Node, ...]:
    """A graph that joins values of the node x."""
    return resolve((cc.Node("x", cc.Dense(3, 2)), cc.Node("y", cc.Concatenate(), takes=names)))


def embedded(inputs: Any, *nodes: cc.Node) -> cc.Case:
    """A case that embeds two indices from 0 to 2."""
    return cc.Case(
        name="embedded",
        nodes=(cc.Node("x", cc.Embedding(3, 2)), *nodes),
        loss=cc.MeanSquaredError(),
        optimizer=cc.SGD(0.1),
        weights={"x.weight": np.zeros((3, 2))},
        batches=(cc.Batch(inputs, np.zeros((1, 2, 2))),),
    )


@pytest.mark.parametrize(("refused", "message"), REFUSED.values(), ids=REFUSED)
def test_what_does_not_fit_is_refused(refused: Callable[[], object], message: str) -> None:
    with pytest.raises(cc.CaseError) as caught:
        refused()
    assert str(caught.value) == message


# ------------------------------------------------------------------------------------------------- the suite, checked


def require_covered(kinds: Iterable[str]) -> None:
    """Complain of every kind of layer that no trial is about."""
    tried = {trial.layer.kind for trial in TRIALS.values()}
    assert set(kinds) == tried, f"layers without a trial in {__file__}: {sorted(set(kinds) - tried)}"


def test_every_layer_is_tried() -> None:
    require_covered(cc.LAYERS)


def test_a_layer_is_known_if_its_module_lists_it() -> None:
    """In the order of the list, and whatever else is listed beside it."""

    class Second(Layer):
        kind = "second"

    class First(Second):
        kind = "first"

    class Unlisted(Layer):
        kind = "unlisted"

    class NoLayer:
        kind = "none"

    family = ModuleType("family")
    listed = {"First": First, "NoLayer": NoLayer, "helper": str.upper, "Second": Second}
    vars(family).update(listed, __all__=[*listed], Unlisted=Unlisted)
    assert [*kinds(Layer, family).items()] == [("first", First), ("second", Second)]


def test_a_layer_without_a_trial_is_complained_of() -> None:
    with pytest.raises(AssertionError, match="invented"):
        require_covered([*cc.LAYERS, "invented"])


@dataclass(frozen=True)
class DiagonalSoftmax(cc.Softmax):
    """The common mistake: the diagonal of the Jacobian alone."""

    def backward(self, dy: Array, y: Array, params: Any) -> tuple[Array, dict[str, Array]]:
        return dy * y * (1 - y), {}


@dataclass(frozen=True)
class UnreducedDense(cc.Dense):
    """The gradient of the bias as a mean over rows."""

    def backward(self, dy: Array, x: Array, params: Any) -> tuple[Array, dict[str, Array]]:
        dx, dparams = super().backward(dy, x, params)
        return dx, {**dparams, "bias": dy.mean(axis=0)}


@every_framework
@pytest.mark.parametrize("wrong", [DiagonalSoftmax(), UnreducedDense(I, O)], ids=["diagonal softmax", "mean bias"])
def test_a_wrong_backward_is_caught(wrong: Any, framework: str) -> None:
    trial = Trial(wrong, ((N, I if isinstance(wrong, cc.Dense) else O),))
    drawn = draw(trial, "float32")
    expected = FRAMEWORKS[framework](trial, drawn)
    with pytest.raises(AssertionError, match="apart"):
        assert_same(by_hand(trial, drawn), expected, EPSILONS * 2.0**-23)
