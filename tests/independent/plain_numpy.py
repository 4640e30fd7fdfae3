"""Training steps in plain NumPy, as a student writes them: one function for each network, and mistakes to plant.

Nothing here comes from the reference: a case is read for its numbers alone, and a trace is written under its names.
``mistake`` makes one of the mistakes in ``PLANTED``, at the line where a person makes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import crosscheck as cc
import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Tensors = dict[str, Array]


def run(case: cc.Case, network: str, mistake: str | None = None) -> cc.Trace:
    """Every step of a case that has this network."""
    return cc.Trace(source="plain NumPy", case=case, tensors=NETWORKS[network](case, mistake))


def note(tensors: Tensors, step: int, phase: str, named: dict[str, Any], dtype: str) -> None:
    """Write down what one phase of a step made."""
    for name, value in named.items():
        tensors[f"{step}/{phase}/{name}"] = np.array(value, dtype if isinstance(value, int) else None)


def softmax(z: Array) -> Array:
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    p: Array = e / e.sum(axis=-1, keepdims=True)
    return p


# ------------------------------------------------------------------------------------------------------------- article


def article(case: cc.Case, mistake: str | None = None) -> Tensors:
    """Dense, relu, dense, tanh, dense, softmax; cross-entropy of probabilities; gradient descent."""
    criterion: Any = case.loss
    w = {name: np.array(weight) for name, weight in case.weights.items()}
    grads: Tensors = {}
    late: Tensors = {name: np.zeros_like(weight) for name, weight in w.items()}
    tensors: Tensors = {}
    for step, lr in enumerate(case.learning_rates):
        x, target = case.batch(step).inputs, case.batch(step).targets
        n = len(x) if criterion.reduction == "mean" else 1

        j = x @ w["j.weight"] + w["j.bias"]
        j_out = np.maximum(j, 0)
        k = j_out @ w["k.weight"] + w["k.bias"]
        k_out = np.tanh(k)
        o = k_out @ w["o.weight"] + w["o.bias"]
        p = softmax(o)
        if mistake == "the loss takes the softmax once more":
            loss = -(target * np.log(softmax(p))).sum() / n
        else:
            loss = -(target * np.log(p)).sum() / n
        forward = {"j": j, "j.relu": j_out, "k": k, "k.tanh": k_out, "o": o, "o.softmax": p, "loss": loss}
        note(tensors, step, "forward", forward, case.dtype)

        if mistake == "no 1/N in the loss's gradient":
            dp = -target / p
        elif mistake == "the loss takes the softmax once more":
            dp = (softmax(p) - target) / n
        else:
            dp = -target / p / n
        do = np.zeros_like(o)
        for row in range(len(o)):
            jacobian = np.diag(p[row]) - np.outer(p[row], p[row])
            if mistake == "the diagonal of softmax's Jacobian alone":
                jacobian = np.diag(p[row] * (1 - p[row]))
            do[row] = jacobian @ dp[row]

        new = {"o.weight": k_out.T @ do, "o.bias": do.sum(axis=0)}
        if mistake == "each layer updated before the error below it":
            w["o.weight"] -= lr * new["o.weight"]
        dk_out = do @ w["o.weight"].T
        if mistake == "tanh's derivative at its output":
            dk = dk_out * (1 - np.tanh(k_out) ** 2)
        else:
            dk = dk_out * (1 - k_out**2)

        new["k.weight"] = j_out.T @ dk
        if mistake == "the weight's gradient turned":
            new["k.weight"] = dk.T @ j_out
        new["k.bias"] = dk.sum(axis=0)
        if mistake == "the bias's gradient averaged":
            new["k.bias"] = dk.mean(axis=0)
        if mistake == "the bias's gradient set row by row, not added":
            for row in range(len(dk)):
                new["k.bias"] = dk[row]
        if mistake == "the bias's gradient left with a row for each example":
            new["k.bias"] = dk
        if mistake == "each layer updated before the error below it":
            w["k.weight"] -= lr * new["k.weight"]
        dj_out = dk @ w["k.weight"].T
        if mistake == "relu's gradient lets 0 through":
            dj = dj_out * (j >= 0)
        elif mistake == "relu's mask of the gradient":
            dj = np.maximum(dj_out, 0)
        else:
            dj = dj_out * (j > 0)

        new["j.weight"] = x.T @ dj
        new["j.bias"] = dj.sum(axis=0)
        if mistake == "each layer updated before the error below it":
            w["j.weight"] -= lr * new["j.weight"]
        dx = dj @ w["j.weight"].T
        backward = {"o.softmax": dp, "o": do, "k.tanh": dk_out, "k": dk, "j.relu": dj_out, "j": dj, "input": dx}
        note(tensors, step, "backward", backward, case.dtype)

        for name, gradient in new.items():
            if mistake == "gradients never cleared" and name in grads:
                grads[name] = grads[name] + gradient
            else:
                grads[name] = gradient
        note(tensors, step, "gradient", grads, case.dtype)

        for name, gradient in grads.items():
            if mistake == "each layer updated before the error below it" and name.endswith(".weight"):
                continue  # done above
            if mistake == "the update is one step late":
                w[name] = w[name] - lr * late[name]
                late[name] = gradient
            else:
                w[name] = w[name] - lr * gradient
        note(tensors, step, "update", w, case.dtype)
    return tensors


# ----------------------------------------------------------------------------------------------------------------- mlp


def mlp(case: cc.Case, mistake: str | None = None) -> Tensors:
    """Dense, relu, dense, sigmoid, dense; cross-entropy of logits and class numbers; Adam."""
    w = {name: np.array(weight) for name, weight in case.weights.items()}
    memory = adam_memory(w)
    tensors: Tensors = {}
    for step, lr in enumerate(case.learning_rates):
        x, labels = case.batch(step).inputs, case.batch(step).targets
        n = len(x)

        a = x @ w["a.weight"] + w["a.bias"]
        a_out = np.maximum(a, 0)
        b = a_out @ w["b.weight"] + w["b.bias"]
        b_out = 1 / (1 + np.exp(-b))
        c = b_out @ w["c.weight"] + w["c.bias"]
        p = softmax(c)
        if mistake == "softmax of the softmax":
            p = softmax(p)
        loss = -np.log(p[np.arange(n), labels]).mean()
        forward = {"a": a, "a.relu": a_out, "b": b, "b.sigmoid": b_out, "c": c, "loss": loss}
        note(tensors, step, "forward", forward, case.dtype)

        dc = p.copy()
        dc[np.arange(n), labels] -= 1
        dc /= n
        db_out = dc @ w["c.weight"].T
        if mistake == "sigmoid's derivative at its input":
            db = db_out * b * (1 - b)
        elif mistake == "sigmoid of the output in sigmoid's derivative":
            again = 1 / (1 + np.exp(-b_out))
            db = db_out * again * (1 - again)
        else:
            db = db_out * b_out * (1 - b_out)
        da_out = db @ w["b.weight"].T
        da = da_out * (a > 0)
        if mistake == "relu's mask of the layer's gradient":
            da = da_out * (da_out > 0)
        backward = {"c": dc, "b.sigmoid": db_out, "b": db, "a.relu": da_out, "a": da, "input": da @ w["a.weight"].T}
        note(tensors, step, "backward", backward, case.dtype)

        grads = {
            "a.weight": x.T @ da,
            "a.bias": da.sum(axis=0),
            "b.weight": a_out.T @ db,
            "b.bias": db.sum(axis=0),
            "c.weight": b_out.T @ dc,
            "c.bias": dc.sum(axis=0),
        }
        note(tensors, step, "gradient", grads, case.dtype)
        adam(case, w, grads, memory, lr, mistake)
        note(tensors, step, "state", memory, case.dtype)
        note(tensors, step, "update", w, case.dtype)
    return tensors


def adam_memory(w: Tensors) -> dict[str, Any]:
    """What Adam remembers before the first step."""
    memory: dict[str, Any] = {}
    for name, weight in w.items():
        memory[f"{name}.step"] = 0
        memory[f"{name}.first_moment"] = np.zeros_like(weight)
        memory[f"{name}.second_moment"] = np.zeros_like(weight)
    return memory


def adam(case: cc.Case, w: Tensors, grads: Tensors, memory: dict[str, Any], lr: float, mistake: str | None) -> None:
    """One step of Adam, in place."""
    settings: Any = case.optimizer
    b1, b2, eps = settings.beta1, settings.beta2, settings.epsilon
    for name, g in grads.items():
        if mistake == "Adam counts its steps from 1" and memory[f"{name}.step"] == 0:
            memory[f"{name}.step"] = 1
        t = memory[f"{name}.step"] = memory[f"{name}.step"] + 1
        m = memory[f"{name}.first_moment"] = b1 * memory[f"{name}.first_moment"] + (1 - b1) * g
        v = memory[f"{name}.second_moment"] = b2 * memory[f"{name}.second_moment"] + (1 - b2) * g**2
        m_hat, v_hat = m / (1 - b1**t), v / (1 - b2**t)
        if mistake == "Adam without its corrections":
            m_hat, v_hat = m, v
        if mistake == "Adam's second moment left uncorrected":
            v_hat = v
        if mistake == "Adam's epsilon under the root":
            w[name] = w[name] - lr * m_hat / np.sqrt(v_hat + eps)
        elif mistake == "Adam's epsilon beside the uncorrected root":
            w[name] = w[name] - lr * math.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps)
        else:
            w[name] = w[name] - lr * m_hat / (np.sqrt(v_hat) + eps)


# ---------------------------------------------------------------------------------------------------------- regression


def regression(case: cc.Case, mistake: str | None = None) -> Tensors:
    """Dense, tanh, dense; mean squared error; gradient descent with momentum."""
    w = {name: np.array(weight) for name, weight in case.weights.items()}
    velocity: Tensors = {}
    tensors: Tensors = {}
    optimizer: Any = case.optimizer
    mu = optimizer.momentum
    for step, lr in enumerate(case.learning_rates):
        x, target = case.batch(step).inputs, case.batch(step).targets
        if mistake == "targets without their column":
            target = target.ravel()

        a = x @ w["a.weight"] + w["a.bias"]
        a_out = np.tanh(a)
        b = a_out @ w["b.weight"] + w["b.bias"]
        difference = b - target
        loss = (difference**2).mean()
        note(tensors, step, "forward", {"a": a, "a.tanh": a_out, "b": b, "loss": loss}, case.dtype)

        if mistake == "no 1/N in the squared error's gradient":
            db = 2 * difference
        elif mistake == "targets without their column":
            db = 2 * difference.sum(axis=1, keepdims=True) / difference.size
        else:
            db = 2 * difference / difference.size
        da_out = db @ w["b.weight"].T
        da = da_out * (1 - a_out * a_out)
        if mistake == "tanh's derivative with its input":
            da = da_out * (1 - a * a)
        dx = da @ w["a.weight"].T
        note(tensors, step, "backward", {"b": db, "a.tanh": da_out, "a": da, "input": dx}, case.dtype)

        grads = {"a.weight": x.T @ da, "a.bias": da.sum(axis=0), "b.weight": a_out.T @ db, "b.bias": db.sum(axis=0)}
        note(tensors, step, "gradient", grads, case.dtype)
        for name, g in grads.items():
            before = velocity.get(name, np.zeros_like(g))
            if mistake == "the learning rate in the velocity":
                velocity[name] = mu * before + lr * g
                w[name] = w[name] - velocity[name]
            else:
                velocity[name] = mu * before + g
                w[name] = w[name] - lr * velocity[name]
        note(tensors, step, "state", {f"{name}.velocity": value for name, value in velocity.items()}, case.dtype)
        note(tensors, step, "update", w, case.dtype)
    return tensors


# ------------------------------------------------------------------------------------------------------------ residual


def residual(case: cc.Case, mistake: str | None = None) -> Tensors:
    """Two residual additions and a weight used twice; cross-entropy of logits; Nesterov with weight decay."""
    w = {name: np.array(weight) for name, weight in case.weights.items()}
    velocity = {name: np.zeros_like(weight) for name, weight in w.items()}
    tensors: Tensors = {}
    optimizer: Any = case.optimizer
    mu, decay = optimizer.momentum, optimizer.weight_decay
    for step, lr in enumerate(case.learning_rates):
        x, target = case.batch(step).inputs, case.batch(step).targets
        n = len(x)

        u = x @ w["u.weight"] + w["u.bias"]
        u_out = np.tanh(u)
        first = u_out + x
        v = first @ w["u.weight"] + w["v.bias"]
        v_out = np.maximum(v, 0)
        second = v_out + first
        o = second @ w["o.weight"] + w["o.bias"]
        p = softmax(o)
        loss = -(target * np.log(p)).sum() / n
        forward = {"u": u, "u.tanh": u_out, "first": first, "v": v, "v.relu": v_out, "second": second, "o": o}
        note(tensors, step, "forward", {**forward, "loss": loss}, case.dtype)

        do = (p * target.sum(axis=1, keepdims=True) - target) / n
        dsecond = do @ w["o.weight"].T
        dv_out = dsecond
        dv = dv_out * (v > 0)
        dfirst_of_second = dsecond
        dfirst_of_v = dv @ w["u.weight"].T
        dfirst = dfirst_of_second + dfirst_of_v
        if mistake == "= for += at the sum's second use":
            dfirst = dfirst_of_v
        du_out = dfirst
        dx_of_first = dfirst
        du = du_out * (1 - u_out**2)
        dx_of_u = du @ w["u.weight"].T
        backward = {
            "o": do,
            "second": dsecond,
            "v.relu": dv_out,
            "v": dv,
            "first->second": dfirst_of_second,
            "first->v": dfirst_of_v,
            "first": dfirst,
            "u.tanh": du_out,
            "u": du,
            "input->first": dx_of_first,
            "input->u": dx_of_u,
            "input": dx_of_u if mistake == "= for += at the input" else dx_of_first + dx_of_u,
        }
        note(tensors, step, "backward", backward, case.dtype)

        dweight_of_u, dweight_of_v = x.T @ du, first.T @ dv
        dweight = dweight_of_u + dweight_of_v
        if mistake == "the first use of the tied weight alone":
            dweight = dweight_of_u
        grads = {
            "u.weight": dweight,
            "u.bias": du.sum(axis=0),
            "v.bias": dv.sum(axis=0),
            "o.weight": second.T @ do,
            "o.bias": do.sum(axis=0),
        }
        parts = {"u.weight->u": dweight_of_u, "u.weight->v": dweight_of_v}
        note(tensors, step, "gradient", {**grads, **parts}, case.dtype)

        for name, g in grads.items():
            if mistake == "the weights decayed beside the gradient":
                velocity[name] = mu * velocity[name] + g
                w[name] = w[name] - lr * (g + mu * velocity[name]) - lr * decay * w[name]
                continue
            g = g + decay * w[name]
            if mistake == "Nesterov as the course writes it":
                before = velocity[name]
                velocity[name] = mu * velocity[name] - lr * g
                w[name] = w[name] + (-mu * before + (1 + mu) * velocity[name])
                continue
            velocity[name] = mu * velocity[name] + g
            w[name] = w[name] - lr * (g + mu * velocity[name])
        note(tensors, step, "state", {f"{name}.velocity": value for name, value in velocity.items()}, case.dtype)
        note(tensors, step, "update", w, case.dtype)
    return tensors


# ------------------------------------------------------------------------------------------------------- convolutional


def convolve(x: Array, weight: Array, bias: Array, layer: Any, mistake: str | None) -> Array:
    """Convolution by loops over the places of the output."""
    (sh, sw), (ph, pw), (kh, kw) = layer.stride, layer.padding, layer.kernel
    if mistake == "the kernel flipped":
        weight = weight[:, :, ::-1, ::-1]
    xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    height, width = (xp.shape[2] - kh) // sh + 1, (xp.shape[3] - kw) // sw + 1
    y = np.zeros((len(x), len(weight), height, width), x.dtype)
    for r in range(height):
        for c in range(width):
            patch = xp[:, :, r * sh : r * sh + kh, c * sw : c * sw + kw]
            y[:, :, r, c] = np.tensordot(patch, weight, axes=([1, 2, 3], [1, 2, 3])) + bias
    return y


def convolve_backward(dy: Array, x: Array, weight: Array, layer: Any, mistake: str | None) -> tuple[Array, Array]:
    """The gradients of the input and of the weight."""
    (sh, sw), (ph, pw), (kh, kw) = layer.stride, layer.padding, layer.kernel
    if mistake in ("the kernel flipped", "the kernel flipped on the way back"):
        weight = weight[:, :, ::-1, ::-1]
    xp = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    dxp, dweight = np.zeros_like(xp), np.zeros_like(weight)
    for r in range(dy.shape[2]):
        for c in range(dy.shape[3]):
            place = np.s_[:, :, r * sh : r * sh + kh, c * sw : c * sw + kw]
            dxp[place] += np.tensordot(dy[:, :, r, c], weight, axes=1)
            dweight += np.tensordot(dy[:, :, r, c], xp[place], axes=([0], [0]))
    if mistake == "the kernel flipped":
        dweight = dweight[:, :, ::-1, ::-1]
    return dxp[:, :, ph : xp.shape[2] - ph, pw : xp.shape[3] - pw], dweight


def convolutional(case: cc.Case, mistake: str | None = None) -> Tensors:
    """Convolution, batch norm, relu, convolution; mean squared error; momentum."""
    layers: dict[str, Any] = {node.name: node.layer for node in case.nodes}
    norm, optimizer = layers["a.norm"], cast(Any, case.optimizer)
    w = {name: np.array(weight) for name, weight in case.weights.items()}
    running_mean, running_var = w.pop("a.norm.running_mean"), w.pop("a.norm.running_var")
    velocity = {name: np.zeros_like(weight) for name, weight in w.items()}
    tensors: Tensors = {}
    channels, spread = (0, 2, 3), np.s_[None, :, None, None]
    for step, lr in enumerate(case.learning_rates):
        x, target = case.batch(step).inputs, case.batch(step).targets

        a = convolve(x, w["a.weight"], w["a.bias"], layers["a"], mistake)
        count = a.size // a.shape[1]
        mean, var = a.mean(axis=channels), a.var(axis=channels)
        std = np.sqrt(var + norm.epsilon)
        if mistake == "batch norm's epsilon beside the root":
            std = np.sqrt(var) + norm.epsilon
        x_hat = (a - mean[spread]) / std[spread]
        normed = w["a.norm.weight"][spread] * x_hat + w["a.norm.bias"][spread]
        kept_var = var if mistake == "the running variance divided by n" else var * count / (count - 1)
        running_mean = (1 - norm.momentum) * running_mean + norm.momentum * mean
        running_var = (1 - norm.momentum) * running_var + norm.momentum * kept_var
        out = np.maximum(normed, 0)
        b = convolve(out, w["b.weight"], w["b.bias"], layers["b"], mistake)
        loss = ((b - target) ** 2).mean()
        note(tensors, step, "forward", {"a": a, "a.norm": normed, "a.relu": out, "b": b, "loss": loss}, case.dtype)

        db = 2 * (b - target) / b.size
        dout, db_weight = convolve_backward(db, out, w["b.weight"], layers["b"], mistake)
        dnormed = dout * (normed > 0)
        dx_hat = dnormed * w["a.norm.weight"][spread]
        if mistake == "mean and variance taken for constants":
            da = dx_hat / std[spread]
        else:
            mean_dx_hat = dx_hat.mean(axis=channels, keepdims=True)
            mean_product = (dx_hat * x_hat).mean(axis=channels, keepdims=True)
            da = (dx_hat - mean_dx_hat - x_hat * mean_product) / std[spread]
        dx, da_weight = convolve_backward(da, x, w["a.weight"], layers["a"], mistake)
        backward = {"b": db, "a.relu": dout, "a.norm": dnormed, "a": da, "input": dx}
        note(tensors, step, "backward", backward, case.dtype)

        grads = {
            "a.weight": da_weight,
            "a.bias": da.sum(axis=channels),
            "a.norm.weight": (dnormed * x_hat).sum(axis=channels),
            "a.norm.bias": dnormed.sum(axis=channels),
            "b.weight": db_weight,
            "b.bias": db.mean(axis=channels) if mistake == "a filter's bias averaged" else db.sum(axis=channels),
        }
        note(tensors, step, "gradient", grads, case.dtype)
        for name, g in grads.items():
            velocity[name] = optimizer.momentum * velocity[name] + g
            w[name] = w[name] - lr * velocity[name]
        state = {f"{name}.velocity": value for name, value in velocity.items()}
        state |= {"a.norm.running_mean": running_mean, "a.norm.running_var": running_var}
        note(tensors, step, "state", state, case.dtype)
        note(tensors, step, "update", w, case.dtype)
    return tensors


# ----------------------------------------------------------------------------------------------------------- attention


def erf(z: Array) -> Array:
    values: Array = np.vectorize(math.erf, otypes=[float])(z)
    return values.astype(z.dtype)


def dense_backward(dy: Array, x: Array, weight: Array) -> tuple[Array, Array, Array]:
    """Of an affine map of the last axis: the gradients of input, weight and bias."""
    rows, drows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])
    return dy @ weight.T, rows.T @ drows, drows.sum(axis=0)


def attention(case: cc.Case, mistake: str | None = None) -> Tensors:
    """Embedding, layer norm, causal attention, a residual, GELU; cross-entropy of logits at every place; Adam."""
    layers: dict[str, Any] = {node.name: node.layer for node in case.nodes}
    eps = 1e-5 if mistake == "layer norm's usual epsilon" else layers["x.norm"].epsilon
    w = {name: np.array(weight) for name, weight in case.weights.items()}
    memory = adam_memory(w)
    tensors: Tensors = {}
    for step, lr in enumerate(case.learning_rates):
        symbols, labels = case.batch(step).inputs, case.batch(step).targets
        length = symbols.shape[1]

        x = w["x.weight"][symbols]
        mean, var = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
        std = np.sqrt(var + eps)
        x_hat = (x - mean) / std
        normed = w["x.norm.weight"] * x_hat + w["x.norm.bias"]
        q = normed @ w["q.weight"] + w["q.bias"]
        k = normed @ w["k.weight"] + w["k.bias"]
        v = normed @ w["v.weight"] + w["v.bias"]
        scale = 1 / math.sqrt(q.shape[-1])
        if mistake == "attention unscaled":
            scale = 1
        scores = q @ k.transpose(0, 2, 1) * scale
        scores = np.where(np.tril(np.ones((length, length))) > 0, scores, -np.inf)
        looks = softmax(scores)
        seen = looks @ v
        mixed = seen @ w["mixed.weight"] + w["mixed.bias"]
        joined = mixed + x
        wide = joined @ w["wide.weight"] + w["wide.bias"]
        phi = (1 + erf(wide / math.sqrt(2))) / 2
        dphi = np.exp(-(wide**2) / 2) / math.sqrt(2 * math.pi)
        if mistake == "GELU by its tanh formula":
            inner = math.sqrt(2 / math.pi) * (wide + 0.044715 * wide**3)
            phi = (1 + np.tanh(inner)) / 2
            dphi = (1 - np.tanh(inner) ** 2) / 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * wide**2)
        wide_out = wide * phi
        o = wide_out @ w["o.weight"] + w["o.bias"]
        p = softmax(o)
        one_hot = np.eye(o.shape[-1], dtype=o.dtype)[labels]
        loss = -np.log((p * one_hot).sum(axis=-1)).mean()
        forward = {"x": x, "x.norm": normed, "q": q, "k": k, "v": v, "seen": seen, "mixed": mixed, "joined": joined}
        note(tensors, step, "forward", forward, case.dtype)
        note(tensors, step, "forward", {"wide": wide, "wide.gelu": wide_out, "o": o, "loss": loss}, case.dtype)

        grads: Tensors = {}
        do = (p - one_hot) / labels.size
        if mistake == "the loss's gradient divided by the sequences alone":
            do = (p - one_hot) / len(labels)
        dwide_out, grads["o.weight"], grads["o.bias"] = dense_backward(do, wide_out, w["o.weight"])
        dwide = dwide_out * (phi + wide * dphi)
        djoined, grads["wide.weight"], grads["wide.bias"] = dense_backward(dwide, joined, w["wide.weight"])
        dx_of_joined = djoined
        dseen, grads["mixed.weight"], grads["mixed.bias"] = dense_backward(djoined, seen, w["mixed.weight"])
        dlooks = dseen @ v.transpose(0, 2, 1)
        dv = looks.transpose(0, 2, 1) @ dseen
        dscores = looks * (dlooks - (dlooks * looks).sum(axis=-1, keepdims=True)) * scale
        dq = dscores @ k
        dk = dscores.transpose(0, 2, 1) @ q
        dnormed_of_q, grads["q.weight"], grads["q.bias"] = dense_backward(dq, normed, w["q.weight"])
        dnormed_of_k, grads["k.weight"], grads["k.bias"] = dense_backward(dk, normed, w["k.weight"])
        dnormed_of_v, grads["v.weight"], grads["v.bias"] = dense_backward(dv, normed, w["v.weight"])
        dnormed = dnormed_of_q + dnormed_of_k + dnormed_of_v
        if mistake == "= for += at the norm's last use":
            dnormed = dnormed_of_q
        grads["x.norm.weight"] = (dnormed * x_hat).sum(axis=(0, 1))
        grads["x.norm.bias"] = dnormed.sum(axis=(0, 1))
        dx_hat = dnormed * w["x.norm.weight"]
        mean_product = (dx_hat * x_hat).mean(axis=-1, keepdims=True)
        dx_of_norm = (dx_hat - dx_hat.mean(axis=-1, keepdims=True) - x_hat * mean_product) / std
        dx = dx_of_norm + dx_of_joined
        grads["x.weight"] = np.zeros_like(w["x.weight"])
        if mistake == "a symbol's last gradient alone":
            grads["x.weight"][symbols] += dx  # the index is used once for each symbol
        else:
            np.add.at(grads["x.weight"], symbols, dx)
        backward = {
            "o": do,
            "wide.gelu": dwide_out,
            "wide": dwide,
            "joined": djoined,
            "mixed": djoined,
            "x->joined": dx_of_joined,
            "seen": dseen,
            "q": dq,
            "k": dk,
            "v": dv,
            "x.norm->q": dnormed_of_q,
            "x.norm->k": dnormed_of_k,
            "x.norm->v": dnormed_of_v,
            "x.norm": dnormed,
            "x->x.norm": dx_of_norm,
            "x": dx,
        }
        note(tensors, step, "backward", backward, case.dtype)
        note(tensors, step, "gradient", grads, case.dtype)
        adam(case, w, grads, memory, lr, mistake)
        note(tensors, step, "state", memory, case.dtype)
        note(tensors, step, "update", w, case.dtype)
    return tensors


NETWORKS: dict[str, Callable[[cc.Case, str | None], Tensors]] = {
    "article": article,
    "mlp": mlp,
    "regression": regression,
    "residual": residual,
    "convolutional": convolutional,
    "attention": attention,
}


def at(steps: range, *operations: str) -> set[str]:
    """These operations at these steps."""
    return {f"{step}/{operation}" for step in steps for operation in operations}


ARTICLE = [f"update({layer}.{part})" for layer in "jko" for part in ("weight", "bias")]
MLP = [f"update({layer}.{part})" for layer in "abc" for part in ("weight", "bias")]
REGRESSION = [f"update({layer}.{part})" for layer in "ab" for part in ("weight", "bias")]
CONVOLUTIONS = [f"{phase}({layer})" for phase in ("forward", "backward") for layer in "ab"]
RESIDUAL = [f"update({name})" for name in ("u.weight", "u.bias", "v.bias", "o.weight", "o.bias")]

PLANTED: dict[str, tuple[str, int, int, set[str]]] = {
    # The mistake: the case, over how many steps, the number in the list of known mistakes, the operations made wrong.
    "no 1/N in the loss's gradient": ("article-batch", 2, 1, at(range(2), "backward(loss)")),
    "no 1/N in the squared error's gradient": ("regression", 2, 1, at(range(2), "backward(loss)")),
    "the loss's gradient divided by the sequences alone": ("attention", 1, 1, at(range(1), "backward(loss)")),
    "the bias's gradient averaged": ("article-batch", 2, 3, at(range(2), "backward(k)")),
    "a filter's bias averaged": ("convolutional", 1, 3, at(range(1), "backward(b)")),
    "the bias's gradient set row by row, not added": ("article-batch", 2, 4, at(range(2), "backward(k)")),
    # One step: the bias that comes out of it has another shape, and nothing after it can be held against the right one.
    "the bias's gradient left with a row for each example": (
        "article-batch",
        1,
        4,
        at(range(1), "backward(k)", "update(k.bias)"),
    ),
    "the diagonal of softmax's Jacobian alone": ("article", 1, 5, at(range(1), "backward(o.softmax)")),
    "the loss takes the softmax once more": ("article-batch", 2, 6, at(range(2), "forward(loss)", "backward(loss)")),
    "softmax of the softmax": ("mlp", 2, 6, at(range(2), "forward(loss)", "backward(loss)")),
    "tanh's derivative at its output": ("article-batch", 2, 7, at(range(2), "backward(k.tanh)")),
    "tanh's derivative with its input": ("regression", 2, 7, at(range(2), "backward(a.tanh)")),
    "sigmoid's derivative at its input": ("mlp", 1, 7, at(range(1), "backward(b.sigmoid)")),
    "sigmoid of the output in sigmoid's derivative": ("mlp", 1, 7, at(range(1), "backward(b.sigmoid)")),
    "each layer updated before the error below it": (
        "article-batch",
        2,
        8,
        at(range(2), "backward(o)", "backward(k)", "backward(j)"),
    ),
    "the weight's gradient turned": ("article-batch", 2, 9, at(range(2), "backward(k)")),
    "the kernel flipped": ("convolutional", 1, 10, at(range(1), *CONVOLUTIONS)),
    "the kernel flipped on the way back": ("convolutional", 1, 10, at(range(1), "backward(a)", "backward(b)")),
    "= for += at the sum's second use": ("residual", 2, 11, at(range(2), "sum(first)")),
    "= for += at the input": ("residual", 1, 11, at(range(1), "sum(input)")),
    "= for += at the norm's last use": ("attention", 1, 11, at(range(1), "sum(x.norm)")),
    "gradients never cleared": ("article-batch", 2, 12, at(range(1, 2), "backward(o)", "backward(k)", "backward(j)")),
    "targets without their column": ("one column", 2, 13, at(range(2), "forward(loss)", "backward(loss)")),
    "mean and variance taken for constants": ("convolutional", 1, 14, at(range(1), "backward(a.norm)")),
    "the running variance divided by n": ("convolutional", 1, 15, at(range(1), "forward(a.norm)")),
    "batch norm's epsilon beside the root": (
        "convolutional",
        1,
        16,
        at(range(1), "forward(a.norm)", "backward(a.norm)"),
    ),
    "layer norm's usual epsilon": ("attention", 1, 16, at(range(1), "forward(x.norm)", "backward(x.norm)")),
    "GELU by its tanh formula": ("attention", 1, 17, at(range(1), "forward(wide.gelu)", "backward(wide.gelu)")),
    "attention unscaled": ("attention", 1, 18, at(range(1), "forward(seen)", "backward(seen)")),
    "Adam without its corrections": ("mlp", 2, 19, at(range(2), *MLP)),
    "Adam's second moment left uncorrected": ("mlp", 2, 19, at(range(2), *MLP)),
    "Adam's epsilon under the root": ("mlp", 1, 20, at(range(1), *MLP)),
    "Adam's epsilon beside the uncorrected root": ("mlp", 2, 20, at(range(2), *MLP)),
    "Nesterov as the course writes it": ("residual", 2, 22, at(range(2), *RESIDUAL)),
    "the learning rate in the velocity": ("regression", 3, 23, at(range(3), *REGRESSION)),
    "the weights decayed beside the gradient": ("residual", 2, 24, at(range(2), *RESIDUAL)),
    "the first use of the tied weight alone": ("residual", 1, 25, at(range(1), "sum(u.weight)")),
    "a symbol's last gradient alone": ("attention", 1, 26, at(range(1), "backward(x)")),
    # At its kink in the first step alone.
    "relu's gradient lets 0 through": ("article-batch", 2, 27, at(range(1), "backward(j.relu)")),
    "relu's mask of the gradient": ("article-batch", 2, 27, at(range(2), "backward(j.relu)")),
    "relu's mask of the layer's gradient": ("mlp", 1, 27, at(range(1), "backward(a.relu)")),
    "the update is one step late": ("article-batch", 2, 28, at(range(2), *ARTICLE)),
    # What it remembers is right from its own second step on: the reference counts on from there as well.
    "Adam counts its steps from 1": ("mlp", 2, 28, at(range(1), *MLP)),
}

CONVENTIONS = {
    # Mistakes that are another of the conventions which the operation declares, and are called so.
    "the running variance divided by n": "running_variance = biased",
    "GELU by its tanh formula": "approximate = tanh",
    "attention unscaled": "scale = none",
    "Adam without its corrections": "bias_correction = false",
    "Adam's epsilon under the root": "epsilon_in = root",
    "Adam's epsilon beside the uncorrected root": "epsilon_in = uncorrected",
    "the weights decayed beside the gradient": "decay = decoupled",
}
