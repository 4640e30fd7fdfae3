"""Optimizers in optax."""

from __future__ import annotations

from typing import Any, TypeAlias

import optax

from ....reference import Case, optimizers
from ....reference.layers import Shape
from .base import OptimizerPart, Rate, Tensor

Transformation: TypeAlias = optax.GradientTransformation


def decayed(optimizer: Any, made: Transformation) -> Transformation:
    """Coupled weight decay: added to the gradient before the optimizer sees it."""
    decay = optimizer.weight_decay
    return optax.chain(optax.add_decayed_weights(decay), made) if decay else made


def decoupled(optimizer: Any, scaled: Transformation, rate: Rate) -> Transformation:
    """Decoupled weight decay: added to what the learning rate is about to scale, as optax.adamw does."""
    return optax.chain(scaled, optax.add_decayed_weights(optimizer.weight_decay), optax.scale_by_learning_rate(rate))


def is_decoupled(optimizer: optimizers.Decaying) -> bool:
    return optimizer.weight_decay > 0 and optimizer.decay == "decoupled"


def betas(optimizer: optimizers.Moments) -> dict[str, Any]:
    """The options of Adam and its kin."""
    return {"b1": optimizer.beta1, "b2": optimizer.beta2, "eps": optimizer.epsilon}


# ---------------------------------------------------------------------------------------------------- SGD and AdaGrad


def sgd(optimizer: optimizers.SGD, rate: Rate) -> Transformation:
    momentum = optimizer.momentum or None
    if momentum and is_decoupled(optimizer):
        return decoupled(optimizer, optax.trace(momentum, optimizer.nesterov), rate)
    return decayed(optimizer, optax.sgd(rate, momentum=momentum, nesterov=optimizer.nesterov))


def sgd_limits(optimizer: optimizers.SGD) -> str:
    return "optax.sgd has no dampening" if optimizer.dampening else ""


def adagrad(optimizer: optimizers.Adagrad, rate: Rate) -> Transformation:
    options = {"initial_accumulator_value": optimizer.initial_accumulator, "eps": optimizer.epsilon}
    if is_decoupled(optimizer):
        return decoupled(optimizer, optax.scale_by_rss(**options), rate)
    return decayed(optimizer, optax.adagrad(rate, **options))


def adagrad_limits(optimizer: optimizers.Adagrad) -> str:
    return "optax.adagrad has the epsilon in the root" if optimizer.epsilon_in != "root" else ""


def rmsprop(optimizer: optimizers.RMSprop, rate: Rate) -> Transformation:
    options = {
        "decay": optimizer.rho,
        "eps": optimizer.epsilon,
        "initial_scale": optimizer.initial_accumulator,
        "eps_in_sqrt": optimizer.epsilon_in == "root",
    }
    momentum = optimizer.momentum or None
    if is_decoupled(optimizer) or (momentum and optimizer.rate_in == "outside"):
        scaled = optax.scale_by_stddev(**options) if optimizer.centred else optax.scale_by_rms(**options)
        scaled = optax.chain(scaled, optax.trace(momentum)) if momentum else scaled
        if is_decoupled(optimizer):
            return decoupled(optimizer, scaled, rate)
        return decayed(optimizer, optax.chain(scaled, optax.scale_by_learning_rate(rate)))
    return decayed(optimizer, optax.rmsprop(rate, centered=optimizer.centred, momentum=momentum, **options))


def rmsprop_limits(optimizer: optimizers.RMSprop) -> str:
    beside = optimizer.rate_in == "velocity" and is_decoupled(optimizer)
    return "optax.rmsprop cannot decay weights beside a velocity that the rate is in" if beside else ""


def adadelta(optimizer: optimizers.Adadelta, rate: Rate) -> Transformation:
    if is_decoupled(optimizer):
        return decoupled(optimizer, optax.scale_by_adadelta(optimizer.rho, optimizer.epsilon), rate)
    return optax.adadelta(rate, optimizer.rho, optimizer.epsilon, optimizer.weight_decay)


# ---------------------------------------------------------------------------------------------------- Adam and its kin


def adam(optimizer: optimizers.Adam, rate: Rate) -> Transformation:
    options = betas(optimizer)
    if optimizer.epsilon_in == "root":
        options |= {"eps": 0.0, "eps_root": optimizer.epsilon}
    if is_decoupled(optimizer):
        return optax.adamw(rate, weight_decay=optimizer.weight_decay, **options)
    return decayed(optimizer, optax.adam(rate, **options))


def adam_limits(optimizer: optimizers.Adam) -> str:
    if not optimizer.bias_correction:
        return "optax.adam corrects the bias of its moments"
    return no_uncorrected("adam", optimizer)


def no_uncorrected(name: str, optimizer: optimizers.Adam | optimizers.RAdam) -> str:
    uncorrected = optimizer.epsilon_in == "uncorrected"
    return f"optax.{name} has the epsilon beside the corrected root" if uncorrected else ""


def amsgrad(optimizer: optimizers.AMSGrad, rate: Rate) -> Transformation:
    corrects = optimizer.bias_correction
    options = {**betas(optimizer), "bias_correction_mu": corrects, "bias_correction_nu": corrects}
    if optimizer.epsilon_in == "root":
        options |= {"eps": 0.0, "eps_root": optimizer.epsilon}
    if is_decoupled(optimizer):
        return decoupled(optimizer, optax.scale_by_amsgrad(**options), rate)
    return decayed(optimizer, optax.amsgrad(rate, **options))


def amsgrad_limits(optimizer: optimizers.AMSGrad) -> str:
    if optimizer.bias_correction and optimizer.beta2 > 0 and optimizer.maximum_of != "corrected":
        return "optax.amsgrad takes the maximum of the corrected second moment"
    return no_uncorrected("amsgrad", optimizer)


def adamax(optimizer: optimizers.Adamax, rate: Rate) -> Transformation:
    if is_decoupled(optimizer):
        return optax.adamaxw(rate, weight_decay=optimizer.weight_decay, **betas(optimizer))
    return decayed(optimizer, optax.adamax(rate, **betas(optimizer)))


def adamax_limits(optimizer: optimizers.Adamax) -> str:
    return "optax.adamax has the epsilon in the maximum" if optimizer.epsilon_in != "maximum" else ""


def nadam(optimizer: optimizers.NAdam, rate: Rate) -> Transformation:
    if is_decoupled(optimizer):
        return optax.nadamw(rate, weight_decay=optimizer.weight_decay, **betas(optimizer))
    return decayed(optimizer, optax.nadam(rate, **betas(optimizer)))


def nadam_limits(optimizer: optimizers.NAdam) -> str:
    warming = optimizer.momentum_schedule != "constant" and optimizer.beta1 > 0
    return "optax.nadam has the same momentum at every step" if warming else ""


def radam(optimizer: optimizers.RAdam, rate: Rate) -> Transformation:
    options = {**betas(optimizer), "threshold": optimizer.threshold}
    if is_decoupled(optimizer):
        return decoupled(optimizer, optax.scale_by_radam(**options), rate)
    return decayed(optimizer, optax.radam(rate, **options))


def lamb(optimizer: optimizers.Lamb, rate: Rate) -> Transformation:
    return optax.lamb(rate, weight_decay=optimizer.weight_decay, **betas(optimizer))


# --------------------------------------------------------------------------------------------------------------- others


def lion(optimizer: optimizers.Lion, rate: Rate) -> Transformation:
    decay = optimizer.weight_decay if is_decoupled(optimizer) else 0.0
    made = optax.lion(rate, optimizer.beta1, optimizer.beta2, weight_decay=decay)
    return made if decay else decayed(optimizer, made)


def rprop(optimizer: optimizers.Rprop, rate: Rate) -> Transformation:
    start = optimizer.learning_rates(1)[0]
    return optax.rprop(start, optimizer.shrink, optimizer.grow, optimizer.smallest, optimizer.largest)


def rprop_limits(optimizer: optimizers.Rprop) -> str:
    return "optax.rprop is one step late" if optimizer.applies != "last" else ""


def adafactor(optimizer: optimizers.Adafactor, rate: Rate) -> Transformation:
    return optax.adafactor(
        rate,
        min_dim_size_to_factor=1,
        decay_rate=optimizer.decay_rate,
        clipping_threshold=optimizer.clip,
        eps=optimizer.epsilon**2,
    )


def adafactor_limits(optimizer: optimizers.Adafactor) -> str:
    if optimizer.epsilon_in != "squares":
        return "optax.adafactor has the epsilon in the squares"
    if optimizer.rate != "plain":
        return "optax.adafactor does not cap the learning rate"
    if optimizer.weight_decay:
        return "optax.adafactor does not multiply its weight decay by the learning rate"
    return "optax.adafactor has a smallest scale of 1e-3" if optimizer.smallest_scale != 1e-3 else ""


def adafactor_limits_in(case: Case) -> str:
    if case.dtype == "float64":
        return "optax.adafactor computes its decay in float32, whatever the dtype"
    deep = any(len(case.parameters[name]) > 2 for name in case.trained)
    return "optax.adafactor factors a weight of more than two axes by its longest ones" if deep else ""


def rows(state: Any, name: str, shape: Shape) -> Tensor | None:
    """The means of a matrix's rows, which optax has as those of the shorter axis."""
    if len(shape) < 2:
        return None
    held: Tensor = (state.v_row if shape[0] <= shape[1] else state.v_col)[name]
    return held[:, None]


def columns(state: Any, name: str, shape: Shape) -> Tensor | None:
    if len(shape) < 2:
        return None
    held: Tensor = (state.v_col if shape[0] <= shape[1] else state.v_row)[name]
    return held[None, :]


def elements(state: Any, name: str, shape: Shape) -> Tensor | None:
    return state.v[name] if len(shape) < 2 else None


def muon(optimizer: optimizers.Muon, rate: Rate) -> Transformation:
    return optax.contrib.muon(
        rate,
        optimizer.coefficients,
        optimizer.iterations,
        optimizer.momentum,
        optimizer.epsilon,
        optimizer.weight_decay,
        nesterov=optimizer.nesterov,
        consistent_rms=0.2 if optimizer.scale == "match_rms" else None,
    )


def muon_limits(optimizer: optimizers.Muon) -> str:
    if not optimizer.bias_correction:
        return "optax.contrib.muon corrects the bias of its mean"
    return "optax.contrib.muon scales its steps by the shape" if optimizer.scale == "none" else ""


def moments(state: type[Any]) -> dict[str, tuple[type[Any], str]]:
    """Where Adam and its kin keep their moments."""
    return {"step": (state, "count"), "first_moment": (state, "mu"), "second_moment": (state, "nu")}


ADAM = moments(optax.ScaleByAdamState)

OPTIMIZERS: dict[str, OptimizerPart] = {
    "sgd": OptimizerPart("native", sgd, {"velocity": (optax.TraceState, "trace")}, sgd_limits),
    "adagrad": OptimizerPart(
        "native", adagrad, {"sum_of_squares": (optax.ScaleByRssState, "sum_of_squares")}, adagrad_limits
    ),
    "rmsprop": OptimizerPart(
        "native",
        rmsprop,
        {
            "square_average": ((optax.ScaleByRmsState, optax.ScaleByRStdDevState), "nu"),
            "gradient_average": (optax.ScaleByRStdDevState, "mu"),
            "velocity": (optax.TraceState, "trace"),
        },
        rmsprop_limits,
    ),
    "adadelta": OptimizerPart(
        "native",
        adadelta,
        {
            "square_average": (optax.ScaleByAdaDeltaState, "e_g"),
            "delta_average": (optax.ScaleByAdaDeltaState, "e_x"),
        },
    ),
    "adam": OptimizerPart("native", adam, ADAM, adam_limits),
    "adamw": OptimizerPart("native", adam, ADAM, adam_limits),
    "amsgrad": OptimizerPart(
        "native",
        amsgrad,
        {**moments(optax.ScaleByAmsgradState), "max_second_moment": (optax.ScaleByAmsgradState, "nu_max")},
        amsgrad_limits,
    ),
    "adamax": OptimizerPart(
        "native",
        adamax,
        {"step": ADAM["step"], "first_moment": ADAM["first_moment"], "infinity_norm": ADAM["second_moment"]},
        adamax_limits,
    ),
    "nadam": OptimizerPart("native", nadam, ADAM, nadam_limits),
    "radam": OptimizerPart("native", radam, ADAM, lambda radam: no_uncorrected("radam", radam)),
    "lamb": OptimizerPart("native", lamb, ADAM),
    "lion": OptimizerPart("native", lion, {"first_moment": (optax.ScaleByLionState, "mu")}),
    "rprop": OptimizerPart(
        "native",
        rprop,
        {
            "step_size": (optax.ScaleByRpropState, "step_sizes"),
            "previous_update": (optax.ScaleByRpropState, "prev_updates"),
        },
        rprop_limits,
    ),
    "adafactor": OptimizerPart(
        "native",
        adafactor,
        {
            "step": (optax.FactoredState, "count"),
            "variance": (optax.FactoredState, elements),
            "row_variance": (optax.FactoredState, rows),
            "column_variance": (optax.FactoredState, columns),
        },
        adafactor_limits,
        adafactor_limits_in,
    ),
    "muon": OptimizerPart(
        "native",
        muon,
        {"step": (optax.contrib.MuonState, "count"), "first_moment": (optax.contrib.MuonState, "mu")},
        muon_limits,
    ),
}
