"""Adam and its kin: steps of a size that the spread of earlier gradients sets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np

from ..layers import Array
from .base import Decaying, Optimizer, Slots, Updated, average, elementwise, require

__all__ = ["AMSGrad", "Adam", "AdamW", "Adamax", "Lamb", "NAdam", "RAdam"]


@dataclass(frozen=True)
class Moments(Optimizer):
    """What the family shares: moving averages of the gradient and of its square, and how each is used.

    ``first`` is the mean that a weight moves along, ``spread`` what that is divided by. Both averages start at 0 and
    are too small at first, by a factor of ``1 - beta^step``.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("beta1", "beta2", below=1)
        self.require_number("epsilon")

    def slots(self, weight: Array) -> dict[str, Array]:
        return {
            "step": np.zeros_like(weight, shape=()),
            "first_moment": np.zeros_like(weight),
            "second_moment": np.zeros_like(weight),
        }

    def moments(self, g: Array, slots: Slots) -> dict[str, Array]:
        """What is remembered after a gradient."""
        return {
            "step": slots["step"] + 1,
            "first_moment": average(slots["first_moment"], g, self.beta1),
            "second_moment": self.beta2 * slots["second_moment"] + (1 - self.beta2) * (g * g),
        }

    def first(self, new: Slots) -> Array:
        """The mean of the gradients, its bias corrected."""
        return new["first_moment"] / (1 - self.beta1 ** new["step"])

    def second(self, new: Slots) -> Array:
        """The mean of their squares, its bias corrected."""
        return new["second_moment"] / (1 - self.beta2 ** new["step"])

    def spread(self, new: Slots) -> Array:
        """What the mean is divided by."""
        return np.sqrt(self.second(new)) + self.epsilon


@dataclass(frozen=True)
class Adam(Moments, Decaying):
    """Adaptive moment estimation, with the bias of its moving averages corrected.

    ::

        g             = gradient + weight_decay * weight     (decoupled: gradient)
        step          = step + 1
        first_moment  = beta1 * first_moment  + (1 - beta1) * g
        second_moment = beta2 * second_moment + (1 - beta2) * g^2
        m             = first_moment  / (1 - beta1^step)     (without bias_correction: first_moment)
        v             = second_moment / (1 - beta2^step)     (without bias_correction: second_moment)
        weight        = weight - learning_rate * m / (sqrt(v) + epsilon)

    ``epsilon_in`` is where the epsilon stands: ``outside`` the root, as above; in the ``root``, ``sqrt(v + epsilon)``;
    or beside the ``uncorrected`` root, ``(sqrt(second_moment) + epsilon) / sqrt(1 - beta2^step)``, which at first
    counts it many times over. Decoupled, the weight is multiplied by ``1 - learning_rate * weight_decay`` before the
    update.

    =============  =========================================================
    symbol         argument
    =============  =========================================================
    α              ``learning_rate``, one number or one for each step
    β₁, β₂         ``beta1``, ``beta2``
    ε              ``epsilon``, with ``epsilon_in`` for its place
    λ              ``weight_decay``, with ``decay`` for where it goes
    =============  =========================================================

    Same optimizer elsewhere: torch.optim.Adam; optax.adam, with weight decay apart (optax.add_decayed_weights) and
    another epsilon, ``eps_root``, under the root. Keras has the epsilon beside the uncorrected root, 1e-7, and
    decouples the decay; MLX corrects no bias unless asked.

    Raises:
        CaseError: a negative rate, epsilon or decay, a beta outside [0, 1), a convention that makes no difference and
            does not have its default.

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 1; the uncorrected epsilon in its
    section 2.

    >>> import numpy as np
    >>> adam = Adam(0.5, epsilon=0.0)
    >>> weight, slots = adam.update(np.array([1.0]), np.array([-3.0]), adam.slots(np.array([1.0])), 0.5)
    >>> weight.round(12), slots["step"]
    (array([1.5]), np.float64(1.0))
    """

    kind: ClassVar[str] = "adam"

    bias_correction: bool = True
    epsilon_in: Literal["outside", "root", "uncorrected"] = "outside"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_used("bias_correction", max(self.beta1, self.beta2) > 0, "with no moving average")
        self.require_used("epsilon_in", self.epsilon > 0, "without an epsilon")
        corrected = self.bias_correction and self.beta2 > 0
        expected = "'outside' or 'root' where no bias is corrected"
        require(corrected or self.epsilon_in != "uncorrected", "epsilon_in", expected, self.epsilon_in)

    def first(self, new: Slots) -> Array:
        return super().first(new) if self.bias_correction else new["first_moment"]

    def second(self, new: Slots) -> Array:
        return super().second(new) if self.bias_correction else new["second_moment"]

    def spread(self, new: Slots) -> Array:
        if self.epsilon_in == "root":
            return np.sqrt(self.second(new) + self.epsilon)
        root = np.sqrt(self.second(new))
        if self.epsilon_in == "uncorrected":
            return root + self.epsilon / np.sqrt(1 - self.beta2 ** new["step"])
        return root + self.epsilon

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        new = self.moments(self.with_decay(weight, dweight), slots)
        updated = self.decayed(weight, learning_rate) - learning_rate * self.first(new) / self.spread(new)
        return updated, new


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with decoupled weight decay: the decay is taken from the weight, and never enters the moments.

    ::

        m, v   = as in Adam, of the gradient alone
        weight = weight * (1 - learning_rate * weight_decay) - learning_rate * m / (sqrt(v) + epsilon)

    With coupled decay a weight whose gradients are large decays less, for its decay is divided by their spread too. The
    arguments are Adam's; only the defaults of ``weight_decay`` and ``decay`` are others.

    Same optimizer elsewhere: torch.optim.AdamW, and torch.optim.Adam with ``decoupled_weight_decay``; optax.adamw,
    whose decay is 1e-4 by default; Keras' AdamW, 4e-3, and MLX's, 1e-2, which corrects no bias unless asked. The paper
    does not multiply the decay by the learning rate, only by its schedule.

    Raises:
        CaseError: as Adam.

    Source: Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2.

    >>> import numpy as np
    >>> adamw = AdamW(0.5, epsilon=0.0, weight_decay=0.25)
    >>> weight, slots = adamw.update(np.array([1.0]), np.array([-3.0]), adamw.slots(np.array([1.0])), 0.5)
    >>> weight.round(12)
    array([1.375])
    """

    kind: ClassVar[str] = "adamw"

    weight_decay: float = field(default=0.01, kw_only=True)
    decay: Literal["coupled", "decoupled"] = field(default="decoupled", kw_only=True)


@dataclass(frozen=True)
class AMSGrad(Adam):
    """Adam that divides by the largest spread so far, so that a step never grows because gradients became small.

    ::

        max_second_moment = max(max_second_moment, second_moment)     (corrected: max(max_second_moment, v))
        v                 = max_second_moment / (1 - beta2^step)      (corrected: max_second_moment)
        weight            = weight - learning_rate * m / (sqrt(v) + epsilon)

    and the rest as in Adam. ``maximum_of`` says of what the maximum is: of the ``raw`` moment, before its bias is
    corrected, or of the ``corrected`` one, which is larger at first, and stays.

    Same optimizer elsewhere: torch.optim.Adam with ``amsgrad``, of the raw moment, as in Keras and Paddle;
    optax.amsgrad, of the corrected one. The paper corrects no bias at all.

    Raises:
        CaseError: as Adam.

    Source: Reddi, Kale & Kumar 2018, "On the convergence of Adam and beyond", algorithm 2.

    >>> import numpy as np
    >>> amsgrad = AMSGrad(0.5, beta1=0.0, beta2=0.5, epsilon=0.0, maximum_of="corrected")
    >>> weight, slots = amsgrad.update(np.array([1.0]), np.array([4.0]), amsgrad.slots(np.array([1.0])), 0.5)
    >>> weight, slots = amsgrad.update(weight, np.array([1.0]), slots, 0.5)
    >>> weight, slots["max_second_moment"], slots["second_moment"]
    (array([0.375]), array([16.]), array([4.5]))
    """

    kind: ClassVar[str] = "amsgrad"

    maximum_of: Literal["raw", "corrected"] = "raw"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_used("maximum_of", self.bias_correction and self.beta2 > 0, "where no bias is corrected")

    def slots(self, weight: Array) -> dict[str, Array]:
        return {**super().slots(weight), "max_second_moment": np.zeros_like(weight)}

    def moments(self, g: Array, slots: Slots) -> dict[str, Array]:
        new = super().moments(g, slots)
        latest = super().second(new) if self.maximum_of == "corrected" else new["second_moment"]
        return {**new, "max_second_moment": np.maximum(slots["max_second_moment"], latest)}

    def second(self, new: Slots) -> Array:
        largest = new["max_second_moment"]
        return largest if self.maximum_of == "corrected" else super().second({**new, "second_moment": largest})


@dataclass(frozen=True)
class Adamax(Moments, Decaying):
    """Adam by the largest gradient instead of the mean of their squares.

    ::

        g             = gradient + weight_decay * weight                        (decoupled: gradient)
        step          = step + 1
        first_moment  = beta1 * first_moment + (1 - beta1) * g
        infinity_norm = max(beta2 * infinity_norm, abs(g) + epsilon)            (outside: abs(g))
        m             = first_moment / (1 - beta1^step)
        weight        = weight - learning_rate * m / infinity_norm              (outside: infinity_norm + epsilon)

    ``epsilon_in`` says where the epsilon stands: in the ``maximum``, beside each gradient, and so also in what is
    remembered, or ``outside`` of it. The maximum has no bias to correct.

    Same optimizer elsewhere: torch.optim.Adamax and optax.adamax, both in the maximum; optax.adamaxw decouples the
    decay. Keras has the epsilon outside; the paper has none.

    Raises:
        CaseError: a negative rate, epsilon or decay, a beta outside [0, 1), a convention that makes no difference and
            does not have its default.

    Source: Kingma & Ba 2015, "Adam: a method for stochastic optimization", algorithm 2.

    >>> import numpy as np
    >>> adamax = Adamax(0.5, beta2=0.5, epsilon=0.0)
    >>> weight, slots = adamax.update(np.array([1.0]), np.array([-4.0]), adamax.slots(np.array([1.0])), 0.5)
    >>> _, slots = adamax.update(weight, np.array([1.0]), slots, 0.5)
    >>> weight.round(12), slots["infinity_norm"]
    (array([1.5]), array([2.]))
    """

    kind: ClassVar[str] = "adamax"

    epsilon_in: Literal["maximum", "outside"] = "maximum"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_used("epsilon_in", self.epsilon > 0, "without an epsilon")

    def slots(self, weight: Array) -> dict[str, Array]:
        slots = super().slots(weight)
        return {"step": slots["step"], "first_moment": slots["first_moment"], "infinity_norm": slots["second_moment"]}

    def moments(self, g: Array, slots: Slots) -> dict[str, Array]:
        magnitude = np.abs(g) + self.epsilon if self.epsilon_in == "maximum" else np.abs(g)
        return {
            "step": slots["step"] + 1,
            "first_moment": average(slots["first_moment"], g, self.beta1),
            "infinity_norm": np.maximum(self.beta2 * slots["infinity_norm"], magnitude),
        }

    def spread(self, new: Slots) -> Array:
        return new["infinity_norm"] + self.epsilon if self.epsilon_in == "outside" else new["infinity_norm"]

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        new = self.moments(self.with_decay(weight, dweight), slots)
        updated = self.decayed(weight, learning_rate) - learning_rate * self.first(new) / self.spread(new)
        return updated, new


@dataclass(frozen=True)
class NAdam(Moments, Decaying):
    """Adam with Nesterov's momentum: the gradient at hand counts more than in the mean, as if looked one step ahead.

    ::

        mu(step)         = beta1 * (1 - 0.96^(step * momentum_decay) / 2)     (constant: beta1)
        momentum_product = momentum_product * mu(step)                        (constant: beta1^step)
        m                = (1 - mu(step)) * g / (1 - momentum_product)
                           + mu(step + 1) * first_moment / (1 - momentum_product * mu(step + 1))
        weight           = weight - learning_rate * m / (sqrt(v) + epsilon)

    with g, both moments and v as in Adam; the first moment is made with beta1 itself. ``momentum_schedule`` says
    whether the momentum is ``warming`` up from half of beta1, or ``constant`` from the first step on; then no product
    is kept.

    Same optimizer elsewhere: torch.optim.NAdam, warming up, with a ``momentum_decay`` of 4e-3; Keras' Nadam with one of
    1; optax.nadam, constant. The source multiplies v by beta2 besides, which none of them does.

    Raises:
        CaseError: a negative rate, epsilon or decay, a beta outside [0, 1), a convention that makes no difference and
            does not have its default.

    Source: Dozat 2016, "Incorporating Nesterov momentum into Adam", algorithm 2.

    >>> import numpy as np
    >>> nadam = NAdam(0.5, beta1=0.5, epsilon=0.0, momentum_schedule="constant")
    >>> weight, slots = nadam.update(np.array([1.0]), np.array([-3.0]), nadam.slots(np.array([1.0])), 0.5)
    >>> weight.round(12)  # by 0.5 * (1 + 1/3): the gradient itself, and a third of it through the first moment
    array([1.66666667])
    """

    kind: ClassVar[str] = "nadam"

    momentum_decay: float = 4e-3
    momentum_schedule: Literal["warming", "constant"] = "warming"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("momentum_decay")
        self.require_used("momentum_schedule", self.beta1 > 0, "without momentum")

    def slots(self, weight: Array) -> dict[str, Array]:
        product = {"momentum_product": np.ones_like(weight, shape=())} if self.momentum_schedule == "warming" else {}
        return {**super().slots(weight), **product}

    def momentum(self, step: Array) -> Array:
        """The momentum of a step, where it warms up."""
        return self.beta1 * (1 - 0.5 * 0.96 ** (step * self.momentum_decay))

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        g = self.with_decay(weight, dweight)
        new = self.moments(g, slots)
        step = new["step"]
        if self.momentum_schedule == "warming":
            now, after = self.momentum(step), self.momentum(step + 1)
            product = new["momentum_product"] = slots["momentum_product"] * now
            ahead = product * after
        else:
            now = after = np.full_like(step, self.beta1)
            product, ahead = self.beta1**step, self.beta1 ** (step + 1)
        m = g * ((1 - now) / (1 - product)) + new["first_moment"] * (after / (1 - ahead))
        return self.decayed(weight, learning_rate) - learning_rate * m / self.spread(new), new


@dataclass(frozen=True)
class RAdam(Moments, Decaying):
    """Adam that divides by the spread only once that is known well enough, and by how well it is.

    ::

        longest = 2 / (1 - beta2) - 1
        rho     = longest - 2 * step * beta2^step / (1 - beta2^step)
        r       = sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))
        weight  = weight - learning_rate * r * m / (sqrt(v) + epsilon)     (rho > threshold)
        weight  = weight - learning_rate * m                               (otherwise)

    with the moments, m and v as in Adam. ``rho`` is how many gradients the spread is the mean of: at first about
    ``step``, and never more than ``longest``. ``epsilon_in`` says whether the epsilon stands ``outside`` the root of v,
    or beside the ``uncorrected`` root, ``(sqrt(second_moment) + epsilon) / sqrt(1 - beta2^step)``.

    Same optimizer elsewhere: torch.optim.RAdam, with the epsilon beside the uncorrected root and a threshold of 5;
    optax.radam, outside. Others skip the first steps instead of taking them without the spread.

    Raises:
        CaseError: a negative rate, epsilon or decay, a beta outside [0, 1), a threshold below 4, a convention that
            makes no difference and does not have its default.

    Source: Liu, Jiang, He, Chen, Liu, Gao & Han 2020, "On the variance of the adaptive learning rate and beyond",
    algorithm 2, whose threshold is 4.

    >>> import numpy as np
    >>> radam = RAdam(0.5, epsilon=0.0)
    >>> weight, slots = radam.update(np.array([1.0]), np.array([-3.0]), radam.slots(np.array([1.0])), 0.5)
    >>> weight.round(12)
    array([2.5])
    """

    kind: ClassVar[str] = "radam"

    threshold: float = 5.0
    epsilon_in: Literal["outside", "uncorrected"] = "outside"

    def __post_init__(self) -> None:
        super().__post_init__()
        require(4 <= self.threshold < np.inf, "threshold", "a number of at least 4", self.threshold)
        used = min(self.epsilon, self.beta2) > 0
        self.require_used("epsilon_in", used, "without an epsilon or a bias")

    def spread(self, new: Slots) -> Array:
        root = np.sqrt(self.second(new))
        if self.epsilon_in == "uncorrected":
            return root + self.epsilon / np.sqrt(1 - self.beta2 ** new["step"])
        return root + self.epsilon

    def rectification(self, step: Array) -> tuple[Array, Array]:
        """Whether the spread is known well enough at a step, and the factor r, 1 where it is not."""
        longest = 2 / (1 - self.beta2) - 1
        shrunk = self.beta2**step
        rho = longest - 2 * step * shrunk / (1 - shrunk)
        known = rho > self.threshold
        if longest <= self.threshold:
            return known, np.ones_like(rho)  # it never is
        rho = np.where(known, rho, np.full_like(rho, longest))  # which makes r = 1, and no root of less than 0
        return known, np.sqrt((rho - 4) * (rho - 2) * longest / ((longest - 4) * (longest - 2) * rho))

    @elementwise
    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        new = self.moments(self.with_decay(weight, dweight), slots)
        known, r = self.rectification(new["step"])
        m = self.first(new)
        direction = np.where(known, r * m / self.spread(new), m)
        return self.decayed(weight, learning_rate) - learning_rate * direction, new


@dataclass(frozen=True)
class Lamb(Moments):
    """Adam with a step for each weight tensor as long as that tensor is large: layer-wise adaptive moments.

    ::

        u      = m / (sqrt(v) + epsilon) + weight_decay * weight
        ratio  = norm(weight) / norm(u)                        (1 where either norm is 0)
        weight = weight - learning_rate * ratio * u

    with the moments, m and v as in Adam, of the gradient alone. The norms are of the whole tensor, roots of the sums of
    squares. The decay goes through the ratio, and is neither coupled nor decoupled in the sense of the others.

    Same optimizer elsewhere: optax.lamb. torch.optim has none; NVIDIA's and others clip the ratio, or the gradient
    first. The paper allows a function of norm(weight), the identity here.

    Raises:
        CaseError: a negative rate, epsilon or decay, a beta outside [0, 1).

    Source: You, Li, Reddi, Hseu, Kumar, Bhojanapalli, Song, Demmel, Keutzer & Hsieh 2020, "Large batch optimization for
    deep learning: training BERT in 76 minutes", algorithm 2.

    >>> import numpy as np
    >>> lamb = Lamb(0.5, epsilon=0.0)
    >>> weight = np.array([3.0, 4.0])
    >>> lamb.update(weight, np.array([1.0, 1.0]), lamb.slots(weight), 0.5)[0].round(4)
    array([1.2322, 2.2322])
    """

    kind: ClassVar[str] = "lamb"

    epsilon: float = 1e-6
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require_number("weight_decay")

    def update(self, weight: Array, dweight: Array, slots: Slots, learning_rate: float) -> Updated:
        new = self.moments(dweight, slots)
        u = self.first(new) / self.spread(new) + self.weight_decay * weight
        return weight - learning_rate * (self.ratio(weight, u) * u), new

    def ratio(self, weight: Array, u: Array) -> Array:
        """By how much the step is made longer."""
        size, length = norm(weight), norm(u)
        one = np.ones_like(length)
        ratio = size / np.where(length > 0, length, one)
        return np.where(size > 0, np.where(length > 0, ratio, one), one)


def norm(x: Array) -> Array:
    """The root of the sum of squares, of the whole tensor."""
    root: Array = np.sqrt((x * x).sum())
    return root
