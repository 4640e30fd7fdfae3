"""Mistakes in what is multiplied by a gate."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ..reference.layers import (
    Array,
    Gelu,
    Glu,
    HardSwish,
    Layer,
    Mish,
    Parameters,
    Shape,
    Sigmoid,
    Silu,
    SwiGlu,
)
from .activations import Gradients
from .base import LayerFault

SELF_GATED = (Gelu, Silu, Mish, HardSwish)
"""Those that multiply x by a function of x, and save the two before anything else."""

TwoGradients: TypeAlias = tuple[tuple[Array, Array], dict[str, Array]]


class ProductRuleForgotten(LayerFault):
    """``x gate(x)`` is differentiated as if the gate were a constant: ``dx = dy gate(x)``.

    relu is the same product with a mask for a gate, whose derivative is 0 and may be left out; here ``x gate'(x)`` is
    missing. Far from 0 nothing shows; at 1 the derivative of gelu is 0.84 where it should be 1.08.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, SELF_GATED)

    def backward(self, dy: Array, saved: tuple[Array, ...], params: Parameters) -> Gradients:
        return dy * saved[1], {}


class GateAloneDifferentiated(LayerFault):
    """Of ``x gate(x)`` only the gate is differentiated: ``dx = dy x gate'(x)``.

    The other half of the product rule is missing, the one that every linear unit has: far above 0, where the derivative
    is 1, nothing comes back.
    """

    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Layer, *inputs: Shape) -> bool:
        return isinstance(layer, SELF_GATED)

    def backward(self, dy: Array, saved: tuple[Array, ...], params: Parameters) -> Gradients:
        return super().backward(dy, saved, params)[0] - dy * saved[1], {}


class GeluBySigmoid(LayerFault, Gelu):
    """``x sigmoid(1.702 x)``, the quick approximation, takes the place of Phi.

    It was published beside the one by tanh, and some networks were trained with it, CLIP among them: a port must know
    which. It is off by up to 0.02, forty times as much as the other, and no higher precision makes that less.
    """

    wrong = ("forward", "backward")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, tuple[Array, Array]]:
        distribution, _ = Sigmoid().forward(1.702 * x, {})
        return x * distribution, (x, distribution)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        x, distribution = saved
        return dy * (distribution + x * 1.702 * distribution * (1 - distribution)), {}


class GeluSlopeApproximated(LayerFault, Gelu):
    """The forward is exact, and the backward differentiates the approximation by tanh.

    The forward calls a library's erf, and the derivative is copied from a text that approximates. The two are so near,
    some thousandths apart at most, that a check by finite differences with a generous tolerance passes.
    """

    number = 17
    wrong = ("backward",)

    @classmethod
    def possible(cls, layer: Any, *inputs: Shape) -> bool:
        return bool(layer.approximate == "none")

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        approximate = self.right(approximate="tanh")
        _, saved_by_tanh = approximate.forward(saved[0], params)
        dx: Array = approximate.backward(dy, saved_by_tanh, params)[0]
        return dx, {}


class SiluIdentityMisremembered(LayerFault, Silu):
    """The derivative of silu is written ``y + s (1 - s)``, where it is ``y + s (1 - y)``.

    Both ``s + y (1 - s)`` and ``y + s (1 - y)`` are right, and there is a third, sigmoid's own, to mix them up with. At
    0, where y is 0 and s one half, a quarter is left of the half that it should be.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        x, gate = saved
        return dy * (x * gate + gate * (1 - gate)), {}


class SoftplusInsideForgotten(LayerFault, Mish):
    """The gate of mish is differentiated as ``tanh(x)``: the softplus inside it has no derivative.

    tanh' is multiplied by x, and the logistic function, the derivative of what tanh is taken of, is left out. Far above
    0, where it is 1, nothing shows.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array, Array], params: Parameters) -> Gradients:
        x, gate, _ = saved
        return dy * (gate + x * (1 - gate * gate)), {}


class HalvesExchanged(LayerFault, Glu):
    """The gate is the first half, and the second is let through.

    Which half is which is a habit: the first paper's, and that of torch and JAX, has the gate behind. Forward and
    backward fit each other, and trained from the start the network does as well; weights of another do not fit.
    """

    wrong = ("forward", "backward")

    def forward(self, x: Array, params: Parameters) -> tuple[Array, Any]:
        return super().forward(exchanged(x), params)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, _ = super().backward(dy, saved, params)
        return exchanged(dx), {}


class GradientHalvesExchanged(LayerFault, Glu):
    """The backward puts the two gradients together in the wrong order: the gate's first.

    Both are right and each has the right shape, so that nothing complains; the halves of the layer before learn what
    was meant for the other.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> Gradients:
        dx, _ = super().backward(dy, saved, params)
        return exchanged(dx), {}


class GateTakenAsLinear(LayerFault, Glu):
    """The gradient of the gate is not led through the sigmoid: ``db = dy a``.

    The product is differentiated and the function inside one of its factors forgotten. A quarter is the most that
    sigmoid would have let through, so the gates learn four times too fast or more.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: tuple[Array, Array], params: Parameters) -> Gradients:
        a, gate = saved
        return np.concatenate([dy * gate, dy * a], axis=-1), {}


class GateAndValueExchanged(LayerFault, SwiGlu):
    """The value is gated by the gate's place and the other way round: ``y = silu(value) gate``.

    The two come from layers of equal shape, and their order is a matter of naming: ``up`` and ``gate``, ``w1`` and
    ``w3``. Forward and backward fit each other; a port loads without an error and computes something else.
    """

    wrong = ("forward", "backward")

    def forward(self, gate: Array, value: Array, params: Parameters) -> tuple[Array, Any]:
        return super().forward(value, gate, params)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> TwoGradients:
        (dgate, dvalue), _ = super().backward(dy, saved, params)
        return (dvalue, dgate), {}


class SigmoidForSwish(LayerFault, SwiGlu):
    """The gate is ``sigmoid(gate)``, as in a plain gated linear unit, where it should be ``gate sigmoid(gate)``.

    "Gated by a sigmoid" is how the whole family is described. Forward and backward fit each other.
    """

    wrong = ("forward", "backward")

    def forward(self, gate: Array, value: Array, params: Parameters) -> tuple[Array, Any]:
        _, saved = super().forward(gate, value, params)
        return saved[2] * value, saved

    def backward(self, dy: Array, saved: Any, params: Parameters) -> TwoGradients:
        _, value, sigmoid, _ = saved
        return (dy * value * (sigmoid * (1 - sigmoid)), dy * sigmoid), {}


class SwishDerivedAsSigmoid(LayerFault, SwiGlu):
    """The derivative of swish is taken to be sigmoid's: ``dgate = dy value s (1 - s)``.

    swish is "a sigmoid with an x in front", whose product rule is forgotten. The forward is right, and so is what goes
    back to the value.
    """

    wrong = ("backward",)

    def backward(self, dy: Array, saved: Any, params: Parameters) -> TwoGradients:
        _, value, sigmoid, _ = saved
        (_, dvalue), _ = super().backward(dy, saved, params)
        return (dy * value * (sigmoid * (1 - sigmoid)), dvalue), {}


def exchanged(x: Array) -> Array:
    """The halves of the last axis in the other order."""
    half = x.shape[-1] // 2
    return np.concatenate([x[..., half:], x[..., :half]], axis=-1)
