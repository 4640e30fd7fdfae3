"""A user's own layer, in every way in which it may be written, against one of the reference's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.adapters.own.layer import FORMS

INPUTS, OUTPUTS, N = 8, 4, 5
DENSE = cc.Dense(INPUTS, OUTPUTS)


class Affine:
    """With its parameters as attributes; ``mistake`` is a line that somebody wrote wrong."""

    weight: Any = None
    bias: Any = None

    def __init__(self, mistake: str = "") -> None:
        self.mistake = mistake

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.weight + self.bias

    def backward(self, dy: Any) -> Any:
        self.dweight = dy.T @ self.x if self.mistake == "turned" else self.x.T @ dy
        self.dbias = {"averaged": dy.mean(axis=0), "not summed": dy}.get(self.mistake, dy.sum(axis=0))
        return -dy @ self.weight.T if self.mistake == "sign" else dy @ self.weight.T


class WithParams:
    """With its parameters handed in, and everything returned."""

    def forward(self, x: Any, params: Mapping[str, Any]) -> Any:
        return x @ params["weight"] + params["bias"], x

    def backward(self, dy: Any, x: Any, params: Mapping[str, Any]) -> Any:
        return dy @ params["weight"].T, {"weight": x.T @ dy, "bias": dy.sum(axis=0)}


@dataclass
class Between:
    """With its parameters handed in, and kept by itself."""

    kept: dict[str, Any] = field(default_factory=dict)

    def forward(self, x: Any, params: Mapping[str, Any]) -> Any:
        self.kept = {"x": x, **params}
        return x @ params["weight"] + params["bias"]

    def backward(self, dy: Any) -> Any:
        return dy @ self.kept["weight"].T, {"weight": self.kept["x"].T @ dy, "bias": dy.sum(axis=0)}


def found(mine: Any, like: cc.Layer, **options: Any) -> cc.SubjectAgreement:
    (subject,) = cc.check_layer(mine, like=like, **options).subjects.values()
    return subject


def verdicts(subject: cc.SubjectAgreement) -> dict[str, str]:
    return {tensor.name: tensor.verdict for tensor in subject.tensors}


ALL = ["0/forward/layer", "0/backward/input", "0/gradient/layer.weight", "0/gradient/layer.bias"]


@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
@pytest.mark.parametrize("mine", [Affine(), WithParams(), Between(), DENSE], ids=lambda one: type(one).__name__)
def test_right_layer_agrees_however_it_is_written(mine: Any, dtype: str) -> None:
    assert verdicts(found(mine, DENSE, dtype=dtype)) == dict.fromkeys(ALL, "agree")


@pytest.mark.parametrize(
    ("mistake", "cause"),
    [
        ("averaged", "bias_gradient_averaged"),
        ("not summed", "bias_gradient_not_summed"),
        ("sign", "input_gradient_negated"),
    ],
)
def test_mistake_in_the_backward_is_named(mistake: str, cause: str) -> None:
    subject = found(Affine(mistake), DENSE)
    assert [(one.operation, one.cause) for one in subject.diagnosis] == [("0/backward(layer)", cause)]


def test_turned_weight_gradient_is_named() -> None:
    assert found(Affine("turned"), cc.Dense(6, 6)).diagnosis[0].cause == "weight_gradient_transposed"
    refused = next(one for one in found(Affine("turned"), DENSE).tensors if one.verdict == "disagree")
    assert (refused.name, refused.failed, refused.received) == (
        "0/gradient/layer.weight",
        "shape",
        f"({OUTPUTS}, {INPUTS})",
    )


def test_convention_is_named() -> None:
    subject = found(cc.Gelu("tanh"), cc.Gelu())
    assert {one.cause for one in subject.diagnosis} == {"approximate = tanh"}
    assert {one.kind for one in subject.diagnosis} == {"convention"}


def test_softmax_without_its_cross_terms_is_found_with_a_random_gradient() -> None:
    class Softmax:
        def forward(self, x: Any) -> Any:
            e = np.exp(x - x.max(axis=1, keepdims=True))
            self.y = e / e.sum(axis=1, keepdims=True)
            return self.y

        def backward(self, dy: Any) -> Any:
            return dy * self.y * (1 - self.y)

    assert found(Softmax(), cc.Softmax()).diagnosis[0].cause == "diagonal_jacobian"


@pytest.mark.parametrize(
    ("like", "shape"),
    [
        (cc.Add(), None),
        (cc.Concatenate(), [(N, 3), (N, 4), (N, 2)]),
        (cc.Bilinear(3, 4, 2), [(N, 3), (N, 4)]),
        (cc.ScaledDotProductAttention(), None),
        (cc.BatchNorm(6), None),
        (cc.BatchNorm(6), (3, 6, 4, 2)),
        (cc.LayerNorm(6), None),
        (cc.Dropout(0.25), None),
        (cc.Conv2d(2, 3, (3, 2)), None),
        (cc.Embedding(9, 4), None),
        (cc.Lstm(3, 4), None),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_layers_of_every_sort_can_be_checked(like: cc.Layer, shape: Any) -> None:
    subject = found(like, like, shape=shape)
    assert subject.verdict == "agree"
    assert subject.tensors
    assert all(tensor.verdict == "agree" for tensor in subject.tensors if "/state/" not in tensor.name)


def test_every_gradient_of_several_inputs_is_compared() -> None:
    class Product:
        def forward(self, a: Any, b: Any) -> Any:
            self.a, self.b = a, b
            return a * b

        def backward(self, dy: Any) -> Any:
            return dy * self.a, dy * self.b

    subject = found(Product(), cc.Multiply())
    assert verdicts(subject) == {
        "0/forward/layer": "agree",
        "0/backward/x1": "disagree",
        "0/backward/x2": "disagree",
    }


def test_what_is_not_returned_is_not_given_and_fails() -> None:
    class Forward(WithParams):
        def backward(self, dy: Any, x: Any, params: Mapping[str, Any]) -> Any:
            return dy @ params["weight"].T, {"weight": x.T @ dy}

    agreement = cc.check_layer(Forward(), like=DENSE)
    assert not agreement.ok
    assert verdicts(agreement.subjects["Forward"])["0/gradient/layer.bias"] == "not given"
    with pytest.raises(cc.Disagreement, match=r"3 of 4 tensors agree, 1 not given \(0/gradient/layer.bias required\)"):
        agreement.raise_if_failed()


def test_seed_and_shape_are_those_that_are_asked_for() -> None:
    seen: list[Any] = []

    class Noting(WithParams):
        def forward(self, x: Any, params: Mapping[str, Any]) -> Any:
            seen.append((x.copy(), params["weight"].copy()))
            return super().forward(x, params)

    for seed in (1, 1, 2):
        cc.check_layer(Noting(), like=DENSE, seed=seed, shape=(2, 3, INPUTS))
    (x, weight), again, other = seen
    assert x.shape == (2, 3, INPUTS)
    np.testing.assert_array_equal(x, again[0])
    np.testing.assert_array_equal(weight, again[1])
    assert not np.array_equal(x, other[0])
    assert not np.array_equal(weight, other[1])


def test_layer_that_fails_is_crashed_with_its_line() -> None:
    class Broken(WithParams):
        def backward(self, dy: Any, x: Any, params: Mapping[str, Any]) -> Any:
            raise ZeroDivisionError("no")

    subject = found(Broken(), DENSE)
    assert subject.verdict == "crashed"
    assert subject.reason.startswith("test_check_layer.py:")
    assert subject.reason.endswith("in backward: ZeroDivisionError: no")


class NoLayer:
    def forward(self, x: Any) -> Any:
        return x


class Renamed(WithParams):
    def backward(self, dy: Any, x: Any, params: Mapping[str, Any]) -> Any:
        return dy, {"w": x}


@pytest.mark.parametrize(
    ("mine", "options", "message"),
    [
        (NoLayer(), {}, f"expected {FORMS}; received NoLayer"),
        (WithParams, {}, f"expected {FORMS}; received the class WithParams"),
        (3, {}, f"expected {FORMS}; received int"),
        (Renamed(), {}, "Renamed: gradients: expected one of its parameters: 'bias', 'weight'; received 'w'"),
        (WithParams(), {"shape": (N, 3)}, "shape: expected what Dense(inputs=8, outputs=4, "),
        (WithParams(), {"shape": [(N, INPUTS), (N, INPUTS)]}, "shape: expected 1 shapes; received 2"),
        (WithParams(), {"dtype": "float8"}, "dtype: "),
    ],
)
def test_what_does_not_fit_is_an_error(mine: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(cc.CaseError) as raised:
        cc.check_layer(mine, like=DENSE, **options)
    assert message in str(raised.value)


# ---------------------------------------------------------------------------------------------------------- frameworks


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
def test_function_of_torch(dtype: str, adapter_of: Callable[[str], object]) -> None:
    adapter_of("torch")
    import torch

    class Affine(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any, weight: Any, bias: Any) -> Any:
            ctx.save_for_backward(x, weight)
            return x @ weight + bias

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            x, weight = ctx.saved_tensors
            return dy @ weight.T, x.T @ dy, dy.sum(0)

    class Averaging(Affine):
        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            dx, dweight, dbias = Affine.backward(ctx, dy)
            return dx, dweight, dbias / len(dy)

    assert verdicts(found(Affine, DENSE, dtype=dtype)) == dict.fromkeys(ALL, "agree")
    assert found(Averaging, DENSE, dtype=dtype).diagnosis[0].cause == "bias_gradient_averaged"


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_function_of_jax(dtype: str, adapter_of: Callable[[str], object]) -> None:
    adapter_of("jax")
    import jax

    def affine(back: Callable[[Any], Any]) -> Any:
        @jax.custom_vjp
        def function(x: Any, weight: Any, bias: Any) -> Any:
            return x @ weight + bias

        def backward(saved: Any, dy: Any) -> Any:
            x, weight = saved
            return dy @ weight.T, x.T @ dy, back(dy)

        function.defvjp(lambda x, weight, bias: (function(x, weight, bias), (x, weight)), backward)
        return function

    right, wrong = affine(lambda dy: dy.sum(axis=0)), affine(lambda dy: dy.mean(axis=0))
    assert verdicts(found(right, DENSE, dtype=dtype)) == dict.fromkeys(ALL, "agree")
    assert found(wrong, DENSE, dtype=dtype).diagnosis[0].cause == "bias_gradient_averaged"


def test_function_of_indices(adapter_of: Callable[[str], object]) -> None:
    adapter_of("jax")
    import jax

    @jax.custom_vjp
    def look_up(indices: Any, weight: Any) -> Any:
        return weight[indices]

    def backward(saved: Any, dy: Any) -> Any:
        indices, weight = saved
        return None, jax.numpy.zeros_like(weight).at[indices].set(dy)

    look_up.defvjp(lambda indices, weight: (weight[indices], (indices, weight)), backward)
    subject = found(look_up, cc.Embedding(9, 4), shape=(N, 6))
    assert list(verdicts(subject)) == ["0/forward/layer", "0/gradient/layer.weight"]
    assert subject.diagnosis[0].cause == "repeated_rows_overwritten"
