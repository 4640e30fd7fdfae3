"""The optimizers a second time, as their docstrings write them down: the weight after each step, in float64.

Nothing of the reference is used here but the fields of the optimizers. What no framework has is held to these alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[np.float64]
Steps: TypeAlias = Iterator[Array]
"""The weight after each step."""


def decay(o: Any, w: Array, g: Array, rate: float) -> tuple[Array, Array]:
    """The weight that the update starts from, and the gradient."""
    if o.decay == "coupled":
        return w, g + o.weight_decay * w
    return w - rate * o.weight_decay * w, g


def quotient(o: Any, above: Array, square: Array) -> Array:
    """By the root of a square, with the epsilon where it stands."""
    return above / np.sqrt(square + o.epsilon) if o.epsilon_in == "root" else above / (np.sqrt(square) + o.epsilon)


def sgd(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    velocity = None
    for dw, rate in zip(gradients, rates, strict=True):
        start, g = decay(o, w, dw, rate)
        velocity = g if velocity is None else o.momentum * velocity + (1 - o.dampening) * g
        w = start - rate * (g + o.momentum * velocity if o.nesterov else velocity if o.momentum else g)
        yield w


def adagrad(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    total = o.initial_accumulator
    for dw, rate in zip(gradients, rates, strict=True):
        start, g = decay(o, w, dw, rate)
        total = total + g**2
        w = start - rate * quotient(o, g, total)
        yield w


def rmsprop(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    squares, mean, velocity = o.initial_accumulator, 0.0, 0.0
    for dw, rate in zip(gradients, rates, strict=True):
        start, g = decay(o, w, dw, rate)
        squares = o.rho * squares + (1 - o.rho) * g**2
        mean = o.rho * mean + (1 - o.rho) * g
        step = quotient(o, g, squares - mean**2 if o.centred else squares)
        inside = o.rate_in == "velocity"
        velocity = o.momentum * velocity + (rate * step if inside else step)
        w = start - (velocity if inside else rate * velocity)
        yield w


def adadelta(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    squares = deltas = 0.0
    for dw, rate in zip(gradients, rates, strict=True):
        start, g = decay(o, w, dw, rate)
        squares = o.rho * squares + (1 - o.rho) * g**2
        delta = np.sqrt(deltas + o.epsilon) / np.sqrt(squares + o.epsilon) * g
        deltas = o.rho * deltas + (1 - o.rho) * delta**2
        w = start - rate * delta
        yield w


def adam(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    first = second = largest = np.zeros_like(w)
    for step, (dw, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        start, g = decay(o, w, dw, rate)
        first = o.beta1 * first + (1 - o.beta1) * g
        second = o.beta2 * second + (1 - o.beta2) * g**2
        m, v = first / (1 - o.beta1**step), second / (1 - o.beta2**step)
        if o.kind == "amsgrad":
            largest = np.maximum(largest, v if o.maximum_of == "corrected" else second)
            v = largest if o.maximum_of == "corrected" else largest / (1 - o.beta2**step)
        if not o.bias_correction:
            m, v = first, largest if o.kind == "amsgrad" else second
        if o.epsilon_in == "uncorrected":
            w = start - rate * m / (np.sqrt(v) + o.epsilon / sqrt(1 - o.beta2**step))
        else:
            w = start - rate * quotient(o, m, v)
        yield w


def adamax(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    first = norm = np.zeros_like(w)
    for step, (dw, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        start, g = decay(o, w, dw, rate)
        first = o.beta1 * first + (1 - o.beta1) * g
        inside = o.epsilon_in == "maximum"
        norm = np.maximum(o.beta2 * norm, np.abs(g) + (o.epsilon if inside else 0))
        w = start - rate * first / (1 - o.beta1**step) / (norm if inside else norm + o.epsilon)
        yield w


def nadam(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    def mu(step: int) -> float:
        warming = o.momentum_schedule == "warming"
        return float(o.beta1 * (1 - 0.5 * 0.96 ** (step * o.momentum_decay)) if warming else o.beta1)

    first = second = np.zeros_like(w)
    product = 1.0
    for step, (dw, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        start, g = decay(o, w, dw, rate)
        first = o.beta1 * first + (1 - o.beta1) * g
        second = o.beta2 * second + (1 - o.beta2) * g**2
        product *= mu(step)
        m = (1 - mu(step)) * g / (1 - product) + mu(step + 1) * first / (1 - product * mu(step + 1))
        w = start - rate * m / (np.sqrt(second / (1 - o.beta2**step)) + o.epsilon)
        yield w


def radam(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    first = second = np.zeros_like(w)
    longest = 2 / (1 - o.beta2) - 1
    for step, (dw, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        start, g = decay(o, w, dw, rate)
        first = o.beta1 * first + (1 - o.beta1) * g
        second = o.beta2 * second + (1 - o.beta2) * g**2
        m, bias = first / (1 - o.beta1**step), 1 - o.beta2**step
        rho = longest - 2 * step * o.beta2**step / bias
        if rho > o.threshold:
            r = sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
            beside = o.epsilon / sqrt(bias) if o.epsilon_in == "uncorrected" else o.epsilon
            m = r * m / (np.sqrt(second / bias) + beside)
        w = start - rate * m
        yield w


def lamb(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    first = second = np.zeros_like(w)
    for step, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        first = o.beta1 * first + (1 - o.beta1) * g
        second = o.beta2 * second + (1 - o.beta2) * g**2
        m, v = first / (1 - o.beta1**step), second / (1 - o.beta2**step)
        u = m / (np.sqrt(v) + o.epsilon) + o.weight_decay * w
        w = w - rate * np.linalg.norm(w) / np.linalg.norm(u) * u
        yield w


def lion(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    first = np.zeros_like(w)
    for dw, rate in zip(gradients, rates, strict=True):
        start, g = decay(o, w, dw, rate)
        w = start - rate * np.sign(o.beta1 * first + (1 - o.beta1) * g)
        first = o.beta2 * first + (1 - o.beta2) * g
        yield w


def rprop(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    size, before = np.full_like(w, rates[0]), np.zeros_like(w)
    for g in gradients:
        turn = np.sign(g) * np.sign(before)
        bounded = np.clip(size * np.where(turn > 0, o.grow, np.where(turn < 0, o.shrink, 1)), o.smallest, o.largest)
        kept = np.where(turn < 0, 0, 1)
        if o.applies == "this":
            size, before = bounded, kept * g
            w = w - np.sign(before) * size
        else:
            size = np.where(turn == 0, size, bounded)
            w, before = w - kept * before, kept * np.sign(g) * size
        yield w


def adafactor(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    rows = columns = np.zeros(())
    for step, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        forgotten = step**-o.decay_rate
        floor = o.epsilon_in == "floor"
        square = g**2 + (0 if floor else o.epsilon**2)
        rows = (1 - forgotten) * rows + forgotten * square.mean(axis=1, keepdims=True)
        columns = (1 - forgotten) * columns + forgotten * square.mean(axis=0, keepdims=True)
        v = rows * columns / (max(rows.mean(), o.epsilon) if floor else rows.mean())
        u = g / np.sqrt(np.maximum(v, o.epsilon**2) if floor else v)
        u = u / max(1, np.sqrt((u**2).mean()) / o.clip)
        size = max(o.smallest_scale, np.sqrt((w**2).mean()))
        size *= min(rate, 1 / sqrt(step)) if o.rate == "capped" else rate
        w = w * (1 - rate * o.weight_decay) - size * u
        yield w


def muon(o: Any, w: Array, gradients: list[Array], rates: tuple[float, ...]) -> Steps:
    first = np.zeros_like(w)
    inputs, outputs = w.shape
    scales = {
        "original": sqrt(max(1, outputs / inputs)),
        "match_rms": 0.2 * sqrt(max(inputs, outputs)),
        "none": 1,
    }
    a, b, c = o.coefficients
    for step, (g, rate) in enumerate(zip(gradients, rates, strict=True), start=1):
        first = o.momentum * first + (1 - o.momentum) * g
        now, after = (1 - o.momentum ** (step + more) if o.bias_correction else 1 for more in (0, 1))
        m = o.momentum * first / after + (1 - o.momentum) * g / now if o.nesterov else first / now
        left, singular, right = np.linalg.svd(m / (np.linalg.norm(m) + o.epsilon), full_matrices=False)
        for _ in range(o.iterations):  # which moves the singular values alone
            singular = a * singular + b * singular**3 + c * singular**5
        w = w * (1 - rate * o.weight_decay) - rate * scales[o.scale] * (left * singular) @ right
        yield w


FORMULAS: dict[str, Callable[[Any, Array, list[Array], tuple[float, ...]], Steps]] = {
    "sgd": sgd,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
    "adadelta": adadelta,
    "adam": adam,
    "adamw": adam,
    "amsgrad": adam,
    "adamax": adamax,
    "nadam": nadam,
    "radam": radam,
    "lamb": lamb,
    "lion": lion,
    "rprop": rprop,
    "adafactor": adafactor,
    "muon": muon,
}
"""Of each kind: from an optimizer, a weight, its gradients and their rates, the weight after each step."""
