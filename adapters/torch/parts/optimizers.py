"""Optimizers in PyTorch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import torch
from torch import nn

from ....reference import optimizers
from ....reference.optimizers.adam import Moments
from .base import OptimizerPart

Parameters: TypeAlias = Iterable[nn.Parameter]


def options(optimizer: Any) -> dict[str, Any]:
    """What every constructor takes under the same name: the first rate and, where there is one, the decay."""
    decay = {"weight_decay": optimizer.weight_decay} if hasattr(optimizer, "weight_decay") else {}
    return {"lr": optimizer.learning_rates(1)[0], **decay}


def betas(optimizer: Moments) -> dict[str, Any]:
    """The options of Adam and its kin."""
    return {**options(optimizer), "betas": (optimizer.beta1, optimizer.beta2), "eps": optimizer.epsilon}


def couples(name: str, optimizer: Any) -> str:
    """Why decoupled decay cannot be had from an optimizer that has none."""
    return f"torch.optim.{name} couples the weight decay" if optimizer.decay == "decoupled" else ""


# ---------------------------------------------------------------------------------------------------- SGD and AdaGrad


def sgd(parameters: Parameters, optimizer: optimizers.SGD) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters,
        momentum=optimizer.momentum,
        dampening=optimizer.dampening,
        nesterov=optimizer.nesterov,
        **options(optimizer),
    )


def adagrad(parameters: Parameters, optimizer: optimizers.Adagrad) -> torch.optim.Optimizer:
    start = optimizer.initial_accumulator
    return torch.optim.Adagrad(parameters, eps=optimizer.epsilon, initial_accumulator_value=start, **options(optimizer))


def adagrad_limits(optimizer: optimizers.Adagrad) -> str:
    if optimizer.epsilon_in != "outside":
        return "torch.optim.Adagrad has the epsilon outside the root"
    return couples("Adagrad", optimizer)


def rmsprop(parameters: Parameters, optimizer: optimizers.RMSprop) -> torch.optim.Optimizer:
    return torch.optim.RMSprop(
        parameters,
        alpha=optimizer.rho,
        eps=optimizer.epsilon,
        momentum=optimizer.momentum,
        centered=optimizer.centred,
        **options(optimizer),
    )


def rmsprop_limits(optimizer: optimizers.RMSprop) -> str:
    if optimizer.epsilon_in != "outside":
        return "torch.optim.RMSprop has the epsilon outside the root"
    if optimizer.rate_in != "outside":
        return "torch.optim.RMSprop has the learning rate outside the velocity"
    if optimizer.initial_accumulator:
        return "torch.optim.RMSprop starts its average at 0"
    return couples("RMSprop", optimizer)


def adadelta(parameters: Parameters, optimizer: optimizers.Adadelta) -> torch.optim.Optimizer:
    return torch.optim.Adadelta(parameters, rho=optimizer.rho, eps=optimizer.epsilon, **options(optimizer))


# ---------------------------------------------------------------------------------------------------- Adam and its kin


def adam(parameters: Parameters, optimizer: optimizers.Adam) -> torch.optim.Optimizer:
    kind = torch.optim.AdamW if optimizer.decay == "decoupled" else torch.optim.Adam
    return kind(parameters, amsgrad=isinstance(optimizer, optimizers.AMSGrad), **betas(optimizer))


def adam_limits(optimizer: optimizers.Adam) -> str:
    if not optimizer.bias_correction:
        return "torch.optim.Adam corrects the bias of its moments"
    if optimizer.epsilon_in != "outside":
        return "torch.optim.Adam has the epsilon outside the corrected root"
    if isinstance(optimizer, optimizers.AMSGrad) and optimizer.maximum_of != "raw":
        return "torch.optim.Adam takes the maximum of the second moment before its correction"
    return ""


def adamax(parameters: Parameters, optimizer: optimizers.Adamax) -> torch.optim.Optimizer:
    return torch.optim.Adamax(parameters, **betas(optimizer))


def adamax_limits(optimizer: optimizers.Adamax) -> str:
    if optimizer.epsilon_in != "maximum":
        return "torch.optim.Adamax has the epsilon in the maximum"
    return couples("Adamax", optimizer)


def nadam(parameters: Parameters, optimizer: optimizers.NAdam) -> torch.optim.Optimizer:
    decoupled = optimizer.decay == "decoupled"
    return torch.optim.NAdam(
        parameters,
        momentum_decay=optimizer.momentum_decay,
        decoupled_weight_decay=decoupled,
        **betas(optimizer),
    )


def nadam_limits(optimizer: optimizers.NAdam) -> str:
    return "torch.optim.NAdam warms its momentum up" if optimizer.momentum_schedule != "warming" else ""


def radam(parameters: Parameters, optimizer: optimizers.RAdam) -> torch.optim.Optimizer:
    return torch.optim.RAdam(parameters, decoupled_weight_decay=optimizer.decay == "decoupled", **betas(optimizer))


def radam_limits(optimizer: optimizers.RAdam) -> str:
    if optimizer.epsilon_in != "uncorrected" and min(optimizer.epsilon, optimizer.beta2) > 0:
        return "torch.optim.RAdam has the epsilon beside the uncorrected root"
    return "torch.optim.RAdam has a threshold of 5" if optimizer.threshold != 5 else ""


# --------------------------------------------------------------------------------------------------------------- others


def rprop(parameters: Parameters, optimizer: optimizers.Rprop) -> torch.optim.Optimizer:
    etas, sizes = (optimizer.shrink, optimizer.grow), (optimizer.smallest, optimizer.largest)
    return torch.optim.Rprop(parameters, etas=etas, step_sizes=sizes, **options(optimizer))


def rprop_limits(optimizer: optimizers.Rprop) -> str:
    return "torch.optim.Rprop applies each step at once" if optimizer.applies != "this" else ""


def adafactor(parameters: Parameters, optimizer: optimizers.Adafactor) -> torch.optim.Optimizer:
    return torch.optim.Adafactor(
        parameters,
        beta2_decay=-optimizer.decay_rate,
        eps=(optimizer.epsilon, optimizer.smallest_scale),
        d=optimizer.clip,
        **options(optimizer),
    )


def adafactor_limits(optimizer: optimizers.Adafactor) -> str:
    if optimizer.epsilon_in != "floor":
        return "torch.optim.Adafactor has the epsilon as a floor"
    return "torch.optim.Adafactor caps the learning rate" if optimizer.rate != "capped" else ""


def muon(parameters: Parameters, optimizer: optimizers.Muon) -> torch.optim.Optimizer:
    return torch.optim.Muon(
        parameters,
        momentum=optimizer.momentum,
        nesterov=optimizer.nesterov,
        ns_coefficients=optimizer.coefficients,
        ns_steps=optimizer.iterations,
        eps=optimizer.epsilon,
        adjust_lr_fn="match_rms_adamw" if optimizer.scale == "match_rms" else "original",
        **options(optimizer),
    )


MOMENTS = {"step": "step", "first_moment": "exp_avg", "second_moment": "exp_avg_sq"}

OPTIMIZERS: dict[str, OptimizerPart] = {
    "sgd": OptimizerPart("native", sgd, {"velocity": "momentum_buffer"}, lambda sgd: couples("SGD", sgd)),
    "adagrad": OptimizerPart("native", adagrad, {"sum_of_squares": "sum"}, adagrad_limits),
    "rmsprop": OptimizerPart(
        "native",
        rmsprop,
        {"square_average": "square_avg", "gradient_average": "grad_avg", "velocity": "momentum_buffer"},
        rmsprop_limits,
    ),
    "adadelta": OptimizerPart(
        "native",
        adadelta,
        {"square_average": "square_avg", "delta_average": "acc_delta"},
        lambda adadelta: couples("Adadelta", adadelta),
    ),
    "adam": OptimizerPart("native", adam, MOMENTS, adam_limits),
    "adamw": OptimizerPart("native", adam, MOMENTS, adam_limits),
    "amsgrad": OptimizerPart("native", adam, {**MOMENTS, "max_second_moment": "max_exp_avg_sq"}, adam_limits),
    "adamax": OptimizerPart(
        "native", adamax, {"step": "step", "first_moment": "exp_avg", "infinity_norm": "exp_inf"}, adamax_limits
    ),
    "nadam": OptimizerPart("native", nadam, {**MOMENTS, "momentum_product": "mu_product"}, nadam_limits),
    "radam": OptimizerPart("native", radam, MOMENTS, radam_limits),
    "rprop": OptimizerPart("native", rprop, {"step_size": "step_size", "previous_gradient": "prev"}, rprop_limits),
    "adafactor": OptimizerPart(
        "native",
        adafactor,
        {"step": "step", "variance": "variance", "row_variance": "row_var", "column_variance": "col_var"},
        adafactor_limits,
        turned={"row_variance": "col_var", "column_variance": "row_var"},
    ),
    "muon": OptimizerPart(
        "native",
        muon,
        {"first_moment": "momentum_buffer"},
        lambda muon: "torch.optim.Muon iterates in bfloat16, whatever the dtype",
    ),
}
"""torch.optim has neither Lion nor LAMB."""
