"""Training steps on plain torch tensors, every gradient and every update by hand, and mistakes to plant.

Nothing here comes from the reference: a case is read for its numbers alone, and a trace is written under its names.
``mistake`` makes one of the mistakes in ``PLANTED``, at the line where a person makes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import crosscheck as cc
import torch
from numpy.typing import NDArray
from torch import Tensor

Named = dict[str, Tensor]


def run(case: cc.Case, network: str, mistake: str | None = None) -> cc.Trace:
    """Every step of a case that has this network."""
    tensors: dict[str, NDArray[Any]] = {}
    train_step, update = NETWORKS[network]
    weights = {name: torch.tensor(weight) for name, weight in case.weights.items()}
    state: dict[str, Any] = {}
    for step, rate in enumerate(case.learning_rates):
        batch = case.batch(step)
        x, target = torch.tensor(batch.inputs), torch.tensor(batch.targets)
        made = train_step(case, weights, x, target, state, mistake)
        update(case, weights, {name: made[f"gradient/{name}"] for name in case.parameters}, state, rate, mistake)
        made |= {f"state/{name}": value for name, value in state.items() if name not in PRIVATE}
        made |= {f"update/{name}": weights[name] for name in case.parameters}
        for name, value in made.items():
            tensors[f"{step}/{name}"] = value.numpy().copy()  # some are changed in place
    return cc.Trace(source="plain torch", case=case, tensors=tensors)


PRIVATE = {"gradients of before", "sums"}
"""What a mistaken step carries from one step to the next, and no trace has."""


def phase(name: str, values: Named) -> Named:
    """The values under their names in a trace."""
    return {f"{name}/{key}": value for key, value in values.items()}


# ---------------------------------------------------------------------------------------------------------- optimizers


def descend(
    case: cc.Case, weights: Named, grads: Named, state: dict[str, Any], rate: float, mistake: str | None
) -> None:
    """Gradient descent, in place."""
    if mistake == "the gradients of the step before":
        grads, state["gradients of before"] = state.get("gradients of before", grads), grads
    if mistake == "layers updated as soon as their gradients are there":
        grads = {name: gradient for name, gradient in grads.items() if not name.endswith("weight")}  # the others are
    for name, gradient in grads.items():
        weights[name].sub_(gradient, alpha=rate)


def momentum(
    case: cc.Case, weights: Named, grads: Named, state: dict[str, Any], rate: float, mistake: str | None
) -> None:
    """Momentum, with Nesterov's look ahead and weight decay where the case has them."""
    optimizer: Any = case.optimizer
    mu, decay = optimizer.momentum, optimizer.weight_decay
    for name, gradient in grads.items():
        weight, slot = weights[name], f"{name}.velocity"
        before = state.get(slot, torch.zeros_like(weight))
        if mistake == "the weights shrunk first, and no decay in the gradient":
            weight = weight * (1 - rate * decay)
        else:
            gradient = gradient + decay * weight
        if mistake == "the velocity in units of the weights":
            state[slot] = mu * before - rate * gradient
            weights[name] = weight + state[slot]
            continue
        state[slot] = mu * before + gradient
        step = state[slot]
        if optimizer.nesterov:
            step = gradient + mu * state[slot]
            if mistake == "Nesterov's look ahead from the velocity":
                step = state[slot] + mu * state[slot]
            if mistake == "Nesterov left out":
                step = state[slot]
        weights[name] = weight - rate * step


def adam(case: cc.Case, weights: Named, grads: Named, state: dict[str, Any], rate: float, mistake: str | None) -> None:
    """Adam."""
    optimizer: Any = case.optimizer
    beta1, beta2, epsilon = optimizer.beta1, optimizer.beta2, optimizer.epsilon
    for name, gradient in grads.items():
        first = state.get(f"{name}.first_moment", torch.zeros_like(gradient))
        second = state.get(f"{name}.second_moment", torch.zeros_like(gradient))
        count = state.get(f"{name}.step", torch.zeros((), dtype=gradient.dtype)) + 1
        first = first.lerp(gradient, 1 - beta1)
        second = second * beta2 + gradient.square() * (1 - beta2)
        state[f"{name}.step"], state[f"{name}.first_moment"], state[f"{name}.second_moment"] = count, first, second
        exponent = int(count)
        if mistake == "the exponent of the corrections one too high":
            exponent += 1
        correction1, correction2 = 1 - beta1**exponent, 1 - beta2**exponent
        if mistake == "moments not corrected":
            correction1 = correction2 = 1
        denominator = (second / correction2).sqrt() + epsilon
        if mistake == "the square root of the sum with epsilon":
            denominator = (second / correction2 + epsilon).sqrt()
        if mistake == "epsilon corrected as well":
            denominator = (second.sqrt() + epsilon) / math.sqrt(correction2)
        weights[name] = weights[name] - rate * (first / correction1) / denominator


# ------------------------------------------------------------------------------------------------------------- article


def article(
    case: cc.Case, weights: Named, x: Tensor, target: Tensor, state: dict[str, Any], mistake: str | None
) -> Named:
    """Dense, relu, dense, tanh, dense, softmax; cross-entropy of probabilities."""
    criterion: Any = case.loss
    j = x.mm(weights["j.weight"]) + weights["j.bias"]
    j_relu = j.clamp(min=0)
    k = j_relu.mm(weights["k.weight"]) + weights["k.bias"]
    k_tanh = k.tanh()
    o = k_tanh.mm(weights["o.weight"]) + weights["o.bias"]
    o_softmax = o.softmax(dim=1)
    loss = -(target * o_softmax.log()).sum()
    if criterion.reduction == "mean":
        loss = loss / len(x)
    outputs = {"j": j, "j.relu": j_relu, "k": k, "k.tanh": k_tanh, "o": o, "o.softmax": o_softmax, "loss": loss}

    d = {"o.softmax": -target / o_softmax}
    if criterion.reduction == "mean":
        d["o.softmax"] = d["o.softmax"] / len(x)
    weighted = (d["o.softmax"] * o_softmax).sum(dim=1, keepdim=True)
    if mistake == "the softmax's derivative taken for a sigmoid's":
        d["o"] = d["o.softmax"] * o_softmax * (1 - o_softmax)
    else:
        d["o"] = o_softmax * (d["o.softmax"] - weighted)
    grads = {"o.weight": k_tanh.t().mm(d["o"]), "o.bias": d["o"].sum(dim=0)}
    if mistake == "layers updated as soon as their gradients are there":
        weights["o.weight"] -= case.learning_rates[0] * grads["o.weight"]
    d["k.tanh"] = d["o"].mm(weights["o.weight"].t())
    d["k"] = d["k.tanh"] * (1 - k_tanh.square())
    if mistake == "tanh taken of what is a tanh already":
        d["k"] = d["k.tanh"] * (1 - k_tanh.tanh().square())
    grads |= {"k.weight": j_relu.t().mm(d["k"]), "k.bias": d["k"].sum(dim=0)}
    if mistake == "inputs and errors in the other order":
        grads["k.weight"] = torch.outer(d["k"][0], j_relu[0])
    if mistake == "the mean of the errors for the bias":
        grads["k.bias"] = d["k"].mean(dim=0)
    if mistake == "layers updated as soon as their gradients are there":
        weights["k.weight"] -= case.learning_rates[0] * grads["k.weight"]
    d["j.relu"] = d["k"].mm(weights["k.weight"].t())
    d["j"] = d["j.relu"].clone()
    if mistake == "relu closed below 0 only":
        d["j"][j < 0] = 0
    else:
        d["j"][j <= 0] = 0
    grads |= {"j.weight": x.t().mm(d["j"]), "j.bias": d["j"].sum(dim=0)}
    if mistake == "layers updated as soon as their gradients are there":
        weights["j.weight"] -= case.learning_rates[0] * grads["j.weight"]
    d["input"] = d["j"].mm(weights["j.weight"].t())
    return phase("forward", outputs) | phase("backward", d) | phase("gradient", grads)


# ----------------------------------------------------------------------------------------------------------------- mlp


def mlp(case: cc.Case, weights: Named, x: Tensor, labels: Tensor, state: dict[str, Any], mistake: str | None) -> Named:
    """Dense, relu, dense, sigmoid, dense; cross-entropy of logits and class numbers."""
    a = torch.addmm(weights["a.bias"], x, weights["a.weight"])
    a_relu = torch.relu(a)
    b = torch.addmm(weights["b.bias"], a_relu, weights["b.weight"])
    b_sigmoid = torch.sigmoid(b)
    c = torch.addmm(weights["c.bias"], b_sigmoid, weights["c.weight"])
    scores = c.softmax(dim=1) if mistake == "probabilities given to a loss that wants logits" else c
    log_p = scores.log_softmax(dim=1)
    loss = -log_p.gather(1, labels[:, None]).mean()
    outputs = {"a": a, "a.relu": a_relu, "b": b, "b.sigmoid": b_sigmoid, "c": c, "loss": loss}

    one_hot = torch.zeros_like(c).scatter(1, labels[:, None], 1)
    dscores = log_p.exp() - one_hot
    if mistake != "the sum over the batch for the mean":
        dscores = dscores / len(x)
    d = {"c": dscores}
    if mistake == "probabilities given to a loss that wants logits":
        d["c"] = scores * (dscores - (dscores * scores).sum(dim=1, keepdim=True))
    d["b.sigmoid"] = d["c"] @ weights["c.weight"].T
    d["b"] = d["b.sigmoid"] * b_sigmoid * (1 - b_sigmoid)
    d["a.relu"] = d["b"] @ weights["b.weight"].T
    d["a"] = torch.where(a > 0, d["a.relu"], 0)
    d["input"] = d["a"] @ weights["a.weight"].T
    grads = {}
    for layer, taken in (("a", x), ("b", a_relu), ("c", b_sigmoid)):
        grads[f"{layer}.weight"] = taken.T @ d[layer]
        if mistake == "every bias averaged":
            grads[f"{layer}.bias"] = d[layer].mean(dim=0)
        else:
            grads[f"{layer}.bias"] = d[layer].sum(dim=0)
    if mistake == "zero_grad forgotten":
        sums = state.setdefault("sums", {})
        for name, gradient in grads.items():
            grads[name] = sums[name] = sums.get(name, 0) + gradient
    return phase("forward", outputs) | phase("backward", d) | phase("gradient", grads)


# ---------------------------------------------------------------------------------------------------------- regression


def regression(
    case: cc.Case, weights: Named, x: Tensor, target: Tensor, state: dict[str, Any], mistake: str | None
) -> Named:
    """Dense, tanh, dense; mean squared error."""
    a = x @ weights["a.weight"] + weights["a.bias"]
    a_tanh = torch.tanh(a)
    b = a_tanh @ weights["b.weight"] + weights["b.bias"]
    if mistake == "targets squeezed":
        target = target.squeeze(1)
    error = b - target
    loss = error.square().mean()
    outputs = {"a": a, "a.tanh": a_tanh, "b": b, "loss": loss}

    d = {"b": (2 / error.numel()) * error}
    if mistake == "targets squeezed":
        d["b"] = d["b"].sum(dim=1, keepdim=True)  # what was broadcast is summed
    d["a.tanh"] = d["b"] @ weights["b.weight"].T
    d["a"] = d["a.tanh"] / a.cosh().square()
    if mistake == "the hyperbolic cosine of the output":
        d["a"] = d["a.tanh"] / a_tanh.cosh().square()
    d["input"] = d["a"] @ weights["a.weight"].T
    grads = {
        "a.weight": x.T @ d["a"],
        "a.bias": d["a"].sum(dim=0),
        "b.weight": a_tanh.T @ d["b"],
        "b.bias": torch.ones(len(x), dtype=x.dtype) @ d["b"],
    }
    if mistake == "the first example's bias alone":
        grads["b.bias"] = d["b"][0]
    return phase("forward", outputs) | phase("backward", d) | phase("gradient", grads)


# ------------------------------------------------------------------------------------------------------------ residual


def residual(
    case: cc.Case, weights: Named, x: Tensor, target: Tensor, state: dict[str, Any], mistake: str | None
) -> Named:
    """Two residual additions and a weight used twice; cross-entropy of logits and distributions."""
    shared = weights["u.weight"]
    u = x @ shared + weights["u.bias"]
    u_tanh = torch.tanh(u)
    first = u_tanh + x
    v = first @ shared + weights["v.bias"]
    v_relu = torch.relu(v)
    second = v_relu + first
    o = second @ weights["o.weight"] + weights["o.bias"]
    log_p = torch.log_softmax(o, dim=1)
    loss = -(target * log_p).sum() / len(x)
    outputs = {"u": u, "u.tanh": u_tanh, "first": first, "v": v, "v.relu": v_relu, "second": second, "o": o}
    outputs["loss"] = loss

    d = {"o": (log_p.exp() * target.sum(dim=1, keepdim=True) - target) / len(x)}
    d["second"] = d["o"] @ weights["o.weight"].T
    d["v.relu"] = d["first->second"] = d["second"]
    d["v"] = d["v.relu"] * (v > 0)
    d["first->v"] = d["v"] @ shared.T
    d["first"] = d["first->second"] + d["first->v"]
    d["u.tanh"] = d["input->first"] = d["first"]
    d["u"] = d["u.tanh"] * (1 - u_tanh * u_tanh)
    d["input->u"] = d["u"] @ shared.T
    d["input"] = d["input->first"] + d["input->u"]
    if mistake == "the way around u forgotten":
        d["input"] = d["input->u"]
    grads = {
        "u.weight->v": first.T @ d["v"],
        "u.weight->u": x.T @ d["u"],
        "u.bias": d["u"].sum(dim=0),
        "v.bias": d["v"].sum(dim=0),
        "o.weight": second.T @ d["o"],
        "o.bias": d["o"].sum(dim=0),
    }
    grads["u.weight"] = grads["u.weight->u"] + grads["u.weight->v"]
    if mistake == "the tied weight's gradient from the last use only":
        grads["u.weight"] = grads["u.weight->v"]
    if mistake == "the tied weight's gradient at u turned":
        grads["u.weight->u"] = d["u"].T @ x
        grads["u.weight"] = grads["u.weight->u"] + grads["u.weight->v"]
    return phase("forward", outputs) | phase("backward", d) | phase("gradient", grads)


# ------------------------------------------------------------------------------------------------------- convolutional


def columns(x: Tensor, layer: Any) -> Tensor:
    """The patches under the kernel as columns: (N, channels * height * width of the kernel, places)."""
    return torch.nn.functional.unfold(x, layer.kernel, padding=layer.padding, stride=layer.stride)


def convolve(x: Tensor, weight: Tensor, bias: Tensor, layer: Any, mistake: str | None) -> Tensor:
    """Convolution as one matrix product for each image."""
    (kh, kw), (sh, sw), (ph, pw) = layer.kernel, layer.stride, layer.padding
    height, width = (x.shape[2] + 2 * ph - kh) // sh + 1, (x.shape[3] + 2 * pw - kw) // sw + 1
    if mistake == "kernels read column by column":
        weight = weight.reshape(*weight.shape[:2], kw, kh).transpose(2, 3)
    if mistake == "kernels upside down":
        weight = weight.flip(2)
    y = weight.reshape(len(weight), -1) @ columns(x, layer) + bias[:, None]
    return y.reshape(len(x), len(weight), height, width)


def convolve_backward(dy: Tensor, x: Tensor, weight: Tensor, layer: Any, mistake: str | None) -> tuple[Tensor, Tensor]:
    """The gradients of the input and of the weight."""
    (kh, kw), rows = layer.kernel, dy.flatten(2)
    used = weight
    if mistake == "kernels read column by column":
        used = weight.reshape(*weight.shape[:2], kw, kh).transpose(2, 3)
    if mistake == "kernels upside down":
        used = weight.flip(2)
    dcolumns = used.reshape(len(used), -1).T @ rows
    dx = torch.nn.functional.fold(dcolumns, x.shape[2:], layer.kernel, padding=layer.padding, stride=layer.stride)
    dweight = (rows @ columns(x, layer).transpose(1, 2)).sum(dim=0).reshape(weight.shape)
    if mistake == "kernels read column by column":
        dweight = dweight.transpose(2, 3).reshape(weight.shape)
    if mistake == "kernels upside down":
        dweight = dweight.flip(2)
    if mistake == "the kernel's gradient flipped":
        dweight = dweight.flip(2, 3)
    return dx, dweight


def convolutional(
    case: cc.Case, weights: Named, x: Tensor, target: Tensor, state: dict[str, Any], mistake: str | None
) -> Named:
    """Convolution, batch norm, relu, convolution; mean squared error."""
    layers: dict[str, Any] = {node.name: node.layer for node in case.nodes}
    norm, over = layers["a.norm"], (0, 2, 3)
    gamma, beta = (weights[f"a.norm.{name}"][:, None, None] for name in ("weight", "bias"))
    a = convolve(x, weights["a.weight"], weights["a.bias"], layers["a"], mistake)
    count = a.numel() // a.shape[1]
    mean = a.mean(dim=over, keepdim=True)
    centred = a - mean
    var = centred.square().mean(dim=over, keepdim=True)
    if mistake == "epsilon added to batch norm's deviation":
        inverse = 1 / (var.sqrt() + norm.epsilon)
    else:
        inverse = (var + norm.epsilon).rsqrt()
    x_hat = centred * inverse
    a_norm = gamma * x_hat + beta
    a_relu = torch.relu(a_norm)
    b = convolve(a_relu, weights["b.weight"], weights["b.bias"], layers["b"], mistake)
    error = b - target
    outputs = {"a": a, "a.norm": a_norm, "a.relu": a_relu, "b": b, "loss": error.square().mean()}
    statistics = {"running_mean": mean.flatten(), "running_var": var.flatten() * count / (count - 1)}
    if mistake == "the biased variance kept":
        statistics["running_var"] = var.flatten()
    for name, value in statistics.items():
        full = f"a.norm.{name}"
        state[full] = weights[full] = torch.lerp(weights[full], value, norm.momentum)

    d = {"b": 2 * error / error.numel()}
    d["a.relu"], db_weight = convolve_backward(d["b"], a_relu, weights["b.weight"], layers["b"], mistake)
    d["a.norm"] = d["a.relu"] * (a_norm > 0)
    dx_hat = d["a.norm"] * gamma
    dinverse = (dx_hat * centred).sum(dim=over, keepdim=True)
    if mistake == "epsilon added to batch norm's deviation":
        dvar = -dinverse * inverse**2 / (2 * var.sqrt())
    else:
        dvar = -dinverse * inverse**3 / 2
    dcentred = dx_hat * inverse + dvar * 2 * centred / count
    if mistake == "batch norm's variance taken for a constant":
        dcentred = dx_hat * inverse
    d["a"] = dcentred - dcentred.mean(dim=over, keepdim=True)
    if mistake == "batch norm's statistics detached":
        d["a"] = dx_hat * inverse
    d["input"], da_weight = convolve_backward(d["a"], x, weights["a.weight"], layers["a"], mistake)
    grads = {
        "a.weight": da_weight,
        "a.bias": d["a"].sum(dim=over),
        "a.norm.weight": (d["a.norm"] * x_hat).sum(dim=over),
        "a.norm.bias": d["a.norm"].sum(dim=over),
        "b.weight": db_weight,
        "b.bias": d["b"].sum(dim=over),
    }
    return phase("forward", outputs) | phase("backward", d) | phase("gradient", grads)


# ----------------------------------------------------------------------------------------------------------- attention


def attention(
    case: cc.Case, weights: Named, symbols: Tensor, labels: Tensor, state: dict[str, Any], mistake: str | None
) -> Named:
    """Embedding, layer norm, causal attention, a residual, GELU; cross-entropy of logits at every place."""
    layers: dict[str, Any] = {node.name: node.layer for node in case.nodes}
    epsilon = layers["x.norm"].epsilon

    def affine(name: str, taken: Tensor) -> Tensor:
        return taken @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    x = weights["x.weight"][symbols]
    centred = x - x.mean(dim=-1, keepdim=True)
    var = centred.square().mean(dim=-1, keepdim=True)
    inverse = 1 / (var + epsilon).sqrt()
    if mistake == "epsilon added to layer norm's deviation":
        inverse = 1 / (var.sqrt() + epsilon)
    x_hat = centred * inverse
    x_norm = x_hat * weights["x.norm.weight"] + weights["x.norm.bias"]
    q, k, v = affine("q", x_norm), affine("k", x_norm), affine("v", x_norm)
    scale = q.shape[-1] ** -0.5
    if mistake == "scores divided by the width":
        scale = 1 / q.shape[-1]
    if mistake == "scores divided by the root of the values' width":
        scale = v.shape[-1] ** -0.5
    later = torch.ones(symbols.shape[1], symbols.shape[1]).triu(1) > 0
    scores = (q @ k.transpose(1, 2) * scale).masked_fill(later, -math.inf)
    looks = scores.softmax(dim=-1)
    seen = looks @ v
    mixed = affine("mixed", seen)
    joined = mixed + x
    wide = affine("wide", joined)
    below = 0.5 * (1 + torch.erf(wide / math.sqrt(2)))
    slope = below + wide * torch.exp(-wide.square() / 2) / math.sqrt(2 * math.pi)
    if mistake in ("GELU approximated", "GELU's slope approximated"):
        tanh = torch.tanh(math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3))
        inner_slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * wide**2)
        slope = 0.5 * (1 + tanh) + 0.5 * wide * (1 - tanh**2) * inner_slope
        if mistake == "GELU approximated":
            below = 0.5 * (1 + tanh)
    wide_gelu = wide * below
    o = affine("o", wide_gelu)
    log_p = o.log_softmax(dim=-1)
    loss = -log_p.gather(-1, labels[..., None]).mean()
    outputs = {"x": x, "x.norm": x_norm, "q": q, "k": k, "v": v, "seen": seen, "mixed": mixed, "joined": joined}
    outputs |= {"wide": wide, "wide.gelu": wide_gelu, "o": o, "loss": loss}

    grads: Named = {}

    def affine_backward(name: str, dy: Tensor, taken: Tensor) -> Tensor:
        grads[f"{name}.weight"] = torch.tensordot(taken, dy, dims=([0, 1], [0, 1]))
        grads[f"{name}.bias"] = dy.sum(dim=(0, 1))
        return dy @ weights[f"{name}.weight"].T

    d = {"o": (log_p.exp() - torch.nn.functional.one_hot(labels, o.shape[-1])) / labels.numel()}
    d["wide.gelu"] = affine_backward("o", d["o"], wide_gelu)
    d["wide"] = d["wide.gelu"] * slope
    d["joined"] = affine_backward("wide", d["wide"], joined)
    d["mixed"] = d["x->joined"] = d["joined"]
    d["seen"] = affine_backward("mixed", d["mixed"], seen)
    d["v"] = looks.transpose(1, 2) @ d["seen"]
    dlooks = d["seen"] @ v.transpose(1, 2)
    if mistake == "the diagonal of attention's softmax":
        dscores = dlooks * looks * (1 - looks)
    else:
        dscores = looks * dlooks - looks * (looks * dlooks).sum(dim=-1, keepdim=True)
    if mistake == "the scale forgotten on the way back":
        scale = 1.0
    d["q"] = scale * dscores @ k
    d["k"] = scale * dscores.transpose(1, 2) @ q
    for name in "qkv":
        d[f"x.norm->{name}"] = affine_backward(name, d[name], x_norm)
    d["x.norm"] = d["x.norm->q"] + d["x.norm->k"] + d["x.norm->v"]
    grads["x.norm.weight"] = (d["x.norm"] * x_hat).sum(dim=(0, 1))
    grads["x.norm.bias"] = d["x.norm"].sum(dim=(0, 1))
    dx_hat = d["x.norm"] * weights["x.norm.weight"]
    dinverse = (dx_hat * centred).sum(dim=-1, keepdim=True)
    dvar = -dinverse * inverse**3 / 2
    if mistake == "epsilon added to layer norm's deviation":
        dvar = -dinverse * inverse**2 / (2 * var.sqrt())
    dcentred = dx_hat * inverse + 2 * centred * dvar / x.shape[-1]
    d["x->x.norm"] = dcentred - dcentred.mean(dim=-1, keepdim=True)
    d["x"] = d["x->joined"] + d["x->x.norm"]
    if mistake == "the residual's own way forgotten":
        d["x"] = d["x->x.norm"]
    table = torch.zeros_like(weights["x.weight"])
    if mistake == "rows of the table set, not added":
        for place, symbol in enumerate(symbols.flatten()):
            table[symbol] = d["x"].flatten(0, 1)[place]
    else:
        table.index_add_(0, symbols.flatten(), d["x"].flatten(0, 1))
    grads["x.weight"] = table
    return phase("forward", outputs) | phase("backward", d) | phase("gradient", grads)


Step = Callable[[cc.Case, Named, Tensor, Tensor, dict[str, Any], str | None], Named]
Update = Callable[[cc.Case, Named, Named, dict[str, Any], float, str | None], None]

NETWORKS: dict[str, tuple[Step, Update]] = {
    "article": (article, descend),
    "mlp": (mlp, adam),
    "regression": (regression, momentum),
    "residual": (residual, momentum),
    "convolutional": (convolutional, momentum),
    "attention": (attention, adam),
}


def every(steps: int, *operations: str) -> set[str]:
    """These operations at each of so many steps."""
    return {f"{step}/{operation}" for step in range(steps) for operation in operations}


ARTICLE = "update(j.weight) update(j.bias) update(k.weight) update(k.bias) update(o.weight) update(o.bias)".split()
MLP = "update(a.weight) update(a.bias) update(b.weight) update(b.bias) update(c.weight) update(c.bias)".split()
REGRESSION = "update(a.weight) update(a.bias) update(b.weight) update(b.bias)".split()
RESIDUAL = "update(u.weight) update(u.bias) update(v.bias) update(o.weight) update(o.bias)".split()
CONVOLUTIONS = "forward(a) forward(b) backward(a) backward(b)".split()

PLANTED: dict[str, tuple[str, int, int, set[str]]] = {
    # The mistake: the case, over how many steps, the number in the list of known mistakes, the operations made wrong.
    "the sum over the batch for the mean": ("mlp", 1, 1, every(1, "backward(loss)")),
    "the mean of the errors for the bias": ("article-batch", 2, 3, every(2, "backward(k)")),
    "every bias averaged": ("mlp", 1, 3, every(1, "backward(a)", "backward(b)", "backward(c)")),
    "the first example's bias alone": ("regression", 2, 4, every(2, "backward(b)")),
    "the softmax's derivative taken for a sigmoid's": ("article-batch", 2, 5, every(2, "backward(o.softmax)")),
    "the diagonal of attention's softmax": ("attention", 1, 5, every(1, "backward(seen)")),
    "probabilities given to a loss that wants logits": ("mlp", 1, 6, every(1, "forward(loss)", "backward(loss)")),
    "tanh taken of what is a tanh already": ("article", 1, 7, every(1, "backward(k.tanh)")),
    "the hyperbolic cosine of the output": ("regression", 2, 7, every(2, "backward(a.tanh)")),
    "layers updated as soon as their gradients are there": (
        "article",
        1,
        8,
        every(1, "backward(o)", "backward(k)", "backward(j)"),
    ),
    "inputs and errors in the other order": ("article", 1, 9, every(1, "backward(k)")),
    "the tied weight's gradient at u turned": ("residual", 2, 9, every(2, "backward(u)")),
    "kernels read column by column": ("convolutional", 1, 10, every(1, *CONVOLUTIONS)),
    "kernels upside down": ("convolutional", 1, 10, every(1, *CONVOLUTIONS)),
    "the kernel's gradient flipped": ("convolutional", 1, 10, every(1, "backward(a)", "backward(b)")),
    "the way around u forgotten": ("residual", 1, 11, every(1, "sum(input)")),
    "the residual's own way forgotten": ("attention", 1, 11, every(1, "sum(x)")),
    "zero_grad forgotten": ("mlp", 2, 12, {"1/backward(a)", "1/backward(b)", "1/backward(c)"}),
    "targets squeezed": ("one column", 2, 13, every(2, "forward(loss)", "backward(loss)")),
    "batch norm's statistics detached": ("convolutional", 1, 14, every(1, "backward(a.norm)")),
    "batch norm's variance taken for a constant": ("convolutional", 1, 14, every(1, "backward(a.norm)")),
    "the biased variance kept": ("convolutional", 1, 15, every(1, "forward(a.norm)")),
    "epsilon added to batch norm's deviation": (
        "convolutional",
        1,
        16,
        every(1, "forward(a.norm)", "backward(a.norm)"),
    ),
    "epsilon added to layer norm's deviation": ("attention", 1, 16, every(1, "forward(x.norm)", "backward(x.norm)")),
    "GELU approximated": ("attention", 1, 17, every(1, "forward(wide.gelu)", "backward(wide.gelu)")),
    "GELU's slope approximated": ("attention", 1, 17, every(1, "backward(wide.gelu)")),
    "scores divided by the width": ("attention", 1, 18, every(1, "forward(seen)", "backward(seen)")),
    "scores divided by the root of the values' width": (
        "attention",
        1,
        18,
        every(1, "forward(seen)", "backward(seen)"),
    ),
    "the scale forgotten on the way back": ("attention", 1, 18, every(1, "backward(seen)")),
    "moments not corrected": ("mlp", 2, 19, every(2, *MLP)),
    "the square root of the sum with epsilon": ("mlp", 1, 20, every(1, *MLP)),
    "epsilon corrected as well": ("mlp", 2, 20, every(2, *MLP)),
    # In the first step the velocity is the gradient.
    "Nesterov's look ahead from the velocity": ("residual", 2, 22, {f"1/{update}" for update in RESIDUAL}),
    "Nesterov left out": ("residual", 2, 22, every(2, *RESIDUAL)),
    "the velocity in units of the weights": ("regression", 3, 23, every(3, *REGRESSION)),
    "the weights shrunk first, and no decay in the gradient": ("residual", 2, 24, every(2, *RESIDUAL)),
    "the tied weight's gradient from the last use only": ("residual", 2, 25, every(2, "sum(u.weight)")),
    "rows of the table set, not added": ("attention", 1, 26, every(1, "backward(x)")),
    # At its kink in the first step alone.
    "relu closed below 0 only": ("article-batch", 2, 27, every(1, "backward(j.relu)")),
    # The first step has no step before it.
    "the gradients of the step before": ("article-batch", 2, 28, {f"1/{update}" for update in ARTICLE}),
    "the exponent of the corrections one too high": ("mlp", 2, 28, every(2, *MLP)),
}

CONVENTIONS = {
    # Mistakes that are another of the conventions which the operation declares, and are called so.
    "the biased variance kept": "running_variance = biased",
    "epsilon added to layer norm's deviation": "epsilon_in = outside",
    "GELU approximated": "approximate = tanh",
    "Nesterov left out": "nesterov = false",
    "moments not corrected": "bias_correction = false",
    "the square root of the sum with epsilon": "epsilon_in = root",
    "epsilon corrected as well": "epsilon_in = uncorrected",
    "the weights shrunk first, and no decay in the gradient": "decay = decoupled",
}
