"""Two rivals that take a training step beside the reference: HIPS autograd, which is NumPy too, and tinygrad.

Each has a table from the kind of a layer to its forward, of the kinds that the benchmarked networks have and with the
options that they use there; gradients are the framework's own. Cases are of one step. Batch norms keep no running
statistics: the step computes the same without them, in a little less time.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import reduce
from math import pi, sqrt
from operator import add
from typing import Any, TypeAlias

import crosscheck as cc
import numpy
import pytest
from crosscheck.adapters import contract
from crosscheck.reference.step import target_name

# A rival that is missing skips where it is asked for.
with suppress(ImportError):
    import autograd.numpy as np
    from autograd import value_and_grad
    from autograd.tracer import getval
with suppress(ImportError):
    from tinygrad import Context, Device, Tensor, TinyJit, nn

Value: TypeAlias = Any
Forward: TypeAlias = Callable[..., Value]
"""Of a layer, its parameters by name and what it takes: what it gives."""


def network(case: cc.Case, layers: dict[str, Forward], loss: Forward, given: dict[str, Value]) -> Callable[..., Value]:
    """The loss as a function of the weights, where ``given`` are the arrays of the batch as the rival has them."""

    def forward(weights: Any) -> Value:
        return contract.forward(
            case,
            given["input"],
            weights,
            {},
            lambda node, inputs, params: layers[node.layer.kind](node.layer, params, *inputs),
            lambda term, predictions: loss(*predictions, given[target_name(term)]),
        )[1]

    return forward


# ------------------------------------------------------------------------------------------------------------ autograd


def in_autograd(case: cc.Case) -> Callable[[], float]:
    """HIPS autograd, whose gradients the reference's own update takes: what a step costs it at the least.

    Its own optimizers are loops that call back for each gradient, over all weights in one array.
    """
    pytest.importorskip("autograd")
    loss_of = network(case, IN_AUTOGRAD, cross_entropy, contract.data_of(case.batch(0), case))
    differentiated = value_and_grad(loss_of)
    weights = {name: case.weights[name].copy() for name in case.trained}
    slots = {name: case.optimizer.slots(weight) for name, weight in weights.items()}
    (rate,) = case.learning_rates

    def train() -> float:
        value, gradients = differentiated(weights)
        for name, gradient in gradients.items():
            weights[name], slots[name] = case.optimizer.update(weights[name], gradient, slots[name], rate)
        return float(value)

    return train


def below_0(x: Value) -> Value:
    """Less the largest of each row, of which no gradient is taken: a softmax does not depend on it."""
    return x - getval(x).max(axis=-1, keepdims=True)


def cross_entropy(logits: Value, target: Value) -> Value:
    rows = below_0(logits).reshape(-1, logits.shape[-1])
    chosen = rows[numpy.arange(len(rows)), target.ravel()]
    return np.mean(np.log(np.sum(np.exp(rows), axis=-1)) - chosen)


def product(x: Value, weight: Value) -> Value:
    """One product of matrices, and so are its gradients: of ``x @ weight`` they are sums over the batch."""
    return np.dot(x.reshape(-1, x.shape[-1]), weight).reshape(*x.shape[:-1], -1)


def dense(layer: cc.Dense, params: dict[str, Value], x: Value) -> Value:
    weight = params["weight"] if layer.layout == "inputs_outputs" else params["weight"].T
    return product(x, weight) + params.get("bias", 0)


def convolution(layer: cc.Conv2d, params: dict[str, Value], x: Value) -> Value:
    """One product of all windows, put side by side from a slice for each place of the kernel."""
    (top, left), (down, right) = layer.padding, layer.stride
    rows, columns = layer.kernel
    images = np.pad(np.transpose(x, (0, 2, 3, 1)), ((0, 0), (top, top), (left, left), (0, 0)), "constant")
    bottom, end = images.shape[1] - rows + 1, images.shape[2] - columns + 1
    shifts = [(row, column) for row in range(rows) for column in range(columns)]
    windows = [images[:, row : row + bottom : down, column : column + end : right] for row, column in shifts]
    weight = np.transpose(params["weight"], (2, 3, 1, 0)).reshape(-1, layer.outputs)
    return np.transpose(product(np.concatenate(windows, axis=-1), weight) + params.get("bias", 0), (0, 3, 1, 2))


def max_pool(layer: cc.MaxPool2d, params: dict[str, Value], x: Value) -> Value:
    n, c, h, w = x.shape
    rows, columns = layer.kernel
    return np.max(x.reshape(n, c, h // rows, rows, w // columns, columns), axis=(3, 5))


def normalised(x: Value, axes: tuple[int, ...], epsilon: float) -> Value:
    centred = x - np.mean(x, axis=axes, keepdims=True)
    return centred / np.sqrt(np.mean(centred * centred, axis=axes, keepdims=True) + epsilon)


def layer_norm(layer: cc.LayerNorm, params: dict[str, Value], x: Value) -> Value:
    return normalised(x, (-1,), layer.epsilon) * params["weight"] + params["bias"]


def batch_norm(layer: cc.BatchNorm, params: dict[str, Value], x: Value) -> Value:
    weight, bias = (params[name].reshape(-1, 1, 1) for name in ("weight", "bias"))
    return normalised(x, (0, 2, 3), layer.epsilon) * weight + bias


def gelu(layer: cc.Gelu, params: dict[str, Value], x: Value) -> Value:
    return 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x * x * x)))


def attention(layer: cc.ScaledDotProductAttention, params: dict[str, Value], q: Value, k: Value, v: Value) -> Value:
    scores = np.matmul(q, np.swapaxes(k, -1, -2)) / sqrt(q.shape[-1])
    scores = np.where(numpy.tri(q.shape[-2], k.shape[-2], dtype=bool), scores, -numpy.inf)
    parts = np.exp(below_0(scores))
    return np.matmul(parts / np.sum(parts, axis=-1, keepdims=True), v)


def sigmoid(x: Value) -> Value:
    return 0.5 * (np.tanh(0.5 * x) + 1)


def lstm(layer: cc.Lstm, params: dict[str, Value], x: Value) -> Value:
    """The products with the input for all steps at once, and then step by step."""
    products = product(np.swapaxes(x, 0, 1), params["weight_ih_l0"]) + params["bias_ih_l0"] + params["bias_hh_l0"]
    h = c = numpy.zeros((len(x), layer.hidden), "float32")
    outputs = []
    for taken in np.split(products, x.shape[1]):
        i, f, g, o = np.split(taken[0] + np.dot(h, params["weight_hh_l0"]), 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, axis=1)


IN_AUTOGRAD: dict[str, Forward] = {
    "add": lambda layer, params, *values: reduce(add, values),
    "batch_norm": batch_norm,
    "conv2d": convolution,
    "dense": dense,
    "embedding": lambda layer, params, x: params["weight"][x],
    "flatten": lambda layer, params, x: x.reshape(len(x), -1),
    "gelu": gelu,
    "global_avg_pool": lambda layer, params, x: np.mean(x, axis=(2, 3)),
    "layer_norm": layer_norm,
    "lstm": lstm,
    "max_pool2d": max_pool,
    "merge_heads": lambda layer, params, x: np.swapaxes(x, 1, 2).reshape(len(x), x.shape[2], -1),
    "positions": lambda layer, params, x: x + params["weight"][: x.shape[1]],
    "relu": lambda layer, params, x: np.maximum(x, 0),
    "scaled_dot_product_attention": attention,
    "split_heads": lambda layer, params, x: np.swapaxes(x.reshape(*x.shape[:2], layer.heads, -1), 1, 2),
}


# ------------------------------------------------------------------------------------------------------------ tinygrad


def in_tinygrad(case: cc.Case) -> Callable[[], float]:
    """On the processor, with tinygrad's own optimizer, under TinyJit: the second call captures what later ones do."""
    pytest.importorskip("tinygrad")
    try:
        Device["CPU"]
    except (OSError, RuntimeError) as error:
        pytest.skip(f"tinygrad cannot use the processor, for which it needs clang: {error}")
    given = {
        name: Tensor(array if array.dtype == "float32" else array.astype("int32"), device="CPU")
        for name, array in contract.data_of(case.batch(0), case).items()
    }
    weights = {name: Tensor(case.weights[name].copy(), device="CPU").realize() for name in case.trained}
    loss_of = network(case, IN_TINYGRAD, lambda logits, target: logits.sparse_categorical_crossentropy(target), given)
    optimizer = TINYGRAD_OPTIMIZERS[case.optimizer.kind](list(weights.values()), case.optimizer)

    @TinyJit
    def step() -> Value:
        optimizer.zero_grad()
        loss = loss_of(weights).backward()
        return loss.realize(*optimizer.schedule_step())

    def train() -> float:
        with Context(TRAINING=1):
            return float(step().item())

    return train


def affine(layer: cc.Dense, params: dict[str, Value], x: Value) -> Value:
    weight = params["weight"] if layer.layout == "inputs_outputs" else params["weight"].T
    return x.linear(weight, params.get("bias"))


def batch_norm_of_tensors(layer: cc.BatchNorm, params: dict[str, Value], x: Value) -> Value:
    mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), correction=0)
    return x.batchnorm(params["weight"], params["bias"], mean, (variance + layer.epsilon).rsqrt())


def lstm_of_tensors(layer: cc.Lstm, params: dict[str, Value], x: Value) -> Value:
    """As in autograd. Each state is computed on its own: a kernel for one would else compute all before it again."""
    products = x.linear(params["weight_ih_l0"], params["bias_ih_l0"] + params["bias_hh_l0"]).contiguous()
    h = c = Tensor.zeros(x.shape[0], layer.hidden, device=x.device)
    outputs = []
    for t in range(x.shape[1]):
        i, f, g, o = (products[:, t] + h @ params["weight_hh_l0"]).chunk(4, dim=1)
        c = (f.sigmoid() * c + i.sigmoid() * g.tanh()).contiguous().contiguous_backward()
        h = (o.sigmoid() * c.tanh()).contiguous().contiguous_backward()
        outputs.append(h)
    return Tensor.stack(*outputs, dim=1)


IN_TINYGRAD: dict[str, Forward] = {
    "add": IN_AUTOGRAD["add"],
    "batch_norm": batch_norm_of_tensors,
    "conv2d": lambda layer, params, x: x.conv2d(
        params["weight"], params.get("bias"), stride=layer.stride, padding=layer.padding
    ),
    "dense": affine,
    "embedding": lambda layer, params, x: params["weight"][x],
    "flatten": lambda layer, params, x: x.flatten(1),
    "gelu": lambda layer, params, x: x.gelu(),
    "global_avg_pool": lambda layer, params, x: x.mean((2, 3)),
    "layer_norm": lambda layer, params, x: x.layernorm(eps=layer.epsilon) * params["weight"] + params["bias"],
    "lstm": lstm_of_tensors,
    "max_pool2d": lambda layer, params, x: x.max_pool2d(layer.kernel),
    "merge_heads": lambda layer, params, x: x.transpose(1, 2).flatten(2),
    "positions": lambda layer, params, x: x + params["weight"][: x.shape[1]],
    "relu": lambda layer, params, x: x.relu(),
    "scaled_dot_product_attention": lambda layer, params, q, *kv: q.scaled_dot_product_attention(*kv, is_causal=True),
    "split_heads": lambda layer, params, x: x.reshape(*x.shape[:2], layer.heads, -1).transpose(1, 2),
}
TINYGRAD_OPTIMIZERS: dict[str, Callable[..., Any]] = {
    "sgd": lambda weights, o: nn.optim.SGD(weights, o.learning_rate, o.momentum, o.weight_decay, o.nesterov),
    "adam": lambda weights, o: nn.optim.Adam(weights, o.learning_rate, o.beta1, o.beta2, o.epsilon),
    "adamw": lambda weights, o: nn.optim.AdamW(weights, o.learning_rate, o.beta1, o.beta2, o.epsilon, o.weight_decay),
}
