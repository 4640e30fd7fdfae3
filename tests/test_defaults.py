"""What a hyperparameter is that is not given: a case that was written once must go on meaning the same."""

from __future__ import annotations

from dataclasses import MISSING, fields
from typing import Any

import pytest
from crosscheck.reference import CLIPS, LAYERS, LOSSES, OPTIMIZERS, SCHEDULES, Case, Decaying, Node, Term
from crosscheck.reference.layers.recurrent import Recurrent
from crosscheck.reference.optimizers.adam import Moments

SHARED = {kind.__name__: kind for kind in (Recurrent, Decaying, Moments, Case, Node, Term)}
"""What several kinds have in common, and what a case is made of."""

KINDS: dict[str, type[Any]] = {**LAYERS, **LOSSES, **CLIPS, **OPTIMIZERS, **SCHEDULES, **SHARED}
DEFAULTS: dict[str, dict[str, object]] = {
    "bilinear": {"bias": True},
    "dense": {"bias": True, "layout": "inputs_outputs"},
    "conv1d": {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "bias": True},
    "conv2d": {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1, "bias": True},
    "conv_transpose2d": {
        "stride": (1, 1),
        "padding": (0, 0),
        "output_padding": (0, 0),
        "dilation": (1, 1),
        "groups": 1,
        "bias": True,
        "orientation": "upright",
    },
    "avg_pool2d": {"stride": None, "padding": (0, 0), "count_padding": True},
    "max_pool2d": {"stride": None, "padding": (0, 0), "tie": "first"},
    "gru": {"layers": 1, "bidirectional": False, "bias": True, "reset": "after"},
    "lstm": {"layers": 1, "bidirectional": False, "bias": True},
    "rnn": {"layers": 1, "bidirectional": False, "bias": True, "activation": "tanh"},
    "multi_head_attention": {"causal": False, "bias": True},
    "scaled_dot_product_attention": {"causal": False, "scale": "width", "mask": "none"},
    "rotary": {"base": 10000.0, "order": "halves"},
    "sinusoidal_positions": {"base": 10000.0, "order": "interleaved"},
    "group_norm": {"epsilon": 1e-05, "epsilon_in": "root", "affine": True},
    "instance_norm": {"epsilon": 1e-05, "epsilon_in": "root", "affine": True},
    "layer_norm": {"epsilon": 1e-05, "epsilon_in": "root"},
    "rms_norm": {"epsilon": 1e-06, "epsilon_in": "root"},
    "batch_norm": {
        "epsilon": 1e-05,
        "momentum": 0.1,
        "training": True,
        "running_variance": "unbiased",
        "momentum_of": "new",
    },
    "softplus": {"beta": 1.0, "threshold": 20.0, "beyond": "linear"},
    "celu": {"alpha": 1.0},
    "elu": {"alpha": 1.0, "at_zero": "left"},
    "leaky_relu": {"slope": 0.01, "at_zero": "left"},
    "prelu": {"channels": 1, "at_zero": "left"},
    "selu": {"at_zero": "left"},
    "hard_swish": {"at_bounds": "outside"},
    "hardtanh": {"low": -1.0, "high": 1.0, "at_bounds": "outside"},
    "relu6": {"at_six": "outside"},
    "gelu": {"approximate": "none"},
    "concatenate": {"axis": 1},
    "dropout": {"rate": 0.5},
    "cross_entropy": {"reduction": "mean"},
    "nll": {
        "reduction": "mean",
        "class_weights": (),
        "ignore_index": None,
        "weighted_mean": "weights",
        "ignored_rows": "left_out",
    },
    "softmax_cross_entropy": {
        "reduction": "mean",
        "targets": "indices",
        "label_smoothing": 0.0,
        "class_weights": (),
        "ignore_index": None,
        "weighted_mean": "weights",
        "ignored_rows": "left_out",
    },
    "huber": {"reduction": "mean", "delta": 1.0},
    "mean_absolute_error": {"reduction": "mean", "slope_at_zero": "zero"},
    "mean_squared_error": {"reduction": "mean"},
    "smooth_l1": {"reduction": "mean", "beta": 1.0},
    "binary_cross_entropy": {"reduction": "mean", "extremes": "floored"},
    "binary_cross_entropy_with_logits": {"reduction": "mean", "pos_weight": ()},
    "gaussian_nll": {"reduction": "mean", "full": False, "epsilon": 1e-06},
    "kl_div": {"reduction": "mean", "targets": "probabilities"},
    "poisson_nll": {"reduction": "mean", "predictions": "logarithms", "full": False, "epsilon": 1e-08},
    "hinge": {"reduction": "mean", "slope_at_margin": "zero"},
    "squared_hinge": {"reduction": "mean"},
    "cosine_embedding": {"reduction": "mean", "slope_at_margin": "one", "margin": 0.0},
    "triplet_margin": {
        "reduction": "mean",
        "epsilon_in": "difference",
        "slope_at_margin": "one",
        "margin": 1.0,
        "epsilon": 1e-06,
    },
    "clip_by_global_norm": {"epsilon": 1e-06},
    "sgd": {"weight_decay": 0.0, "decay": "coupled", "momentum": 0.0, "dampening": 0.0, "nesterov": False},
    "adadelta": {"weight_decay": 0.0, "decay": "coupled", "rho": 0.9, "epsilon": 1e-06},
    "adagrad": {
        "weight_decay": 0.0,
        "decay": "coupled",
        "epsilon": 1e-10,
        "initial_accumulator": 0.0,
        "epsilon_in": "outside",
    },
    "rmsprop": {
        "weight_decay": 0.0,
        "decay": "coupled",
        "rho": 0.99,
        "momentum": 0.0,
        "epsilon": 1e-08,
        "centred": False,
        "initial_accumulator": 0.0,
        "epsilon_in": "outside",
        "rate_in": "outside",
    },
    "amsgrad": {
        "weight_decay": 0.0,
        "decay": "coupled",
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-08,
        "bias_correction": True,
        "epsilon_in": "outside",
        "maximum_of": "raw",
    },
    "adam": {
        "weight_decay": 0.0,
        "decay": "coupled",
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-08,
        "bias_correction": True,
        "epsilon_in": "outside",
    },
    "adamw": {
        "weight_decay": 0.01,
        "decay": "decoupled",
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-08,
        "bias_correction": True,
        "epsilon_in": "outside",
    },
    "adamax": {
        "weight_decay": 0.0,
        "decay": "coupled",
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-08,
        "epsilon_in": "maximum",
    },
    "lamb": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-06, "weight_decay": 0.0},
    "nadam": {
        "weight_decay": 0.0,
        "decay": "coupled",
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-08,
        "momentum_decay": 0.004,
        "momentum_schedule": "warming",
    },
    "radam": {
        "weight_decay": 0.0,
        "decay": "coupled",
        "beta1": 0.9,
        "beta2": 0.999,
        "epsilon": 1e-08,
        "threshold": 5.0,
        "epsilon_in": "outside",
    },
    "lion": {"weight_decay": 0.0, "decay": "decoupled", "beta1": 0.9, "beta2": 0.99},
    "rprop": {"shrink": 0.5, "grow": 1.2, "smallest": 1e-06, "largest": 50.0, "applies": "this"},
    "adafactor": {
        "decay_rate": 0.8,
        "epsilon": 1e-15,
        "smallest_scale": 0.001,
        "clip": 1.0,
        "weight_decay": 0.0,
        "epsilon_in": "floor",
        "rate": "capped",
    },
    "muon": {
        "momentum": 0.95,
        "nesterov": True,
        "coefficients": (3.4445, -4.775, 2.0315),
        "iterations": 5,
        "epsilon": 1e-08,
        "weight_decay": 0.0,
        "bias_correction": True,
        "scale": "original",
    },
    "cosine": {"end": 0.0, "after": "stays"},
    "exponential": {"factor": 0.9},
    "linear": {"end": 0.0},
    "step": {"factor": 0.1, "every": 1},
    "warmup": {"start": 0.0},
    "Recurrent": {"layers": 1, "bidirectional": False, "bias": True},
    "Decaying": {"weight_decay": 0.0, "decay": "coupled"},
    "Moments": {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-08},
    "Case": {
        "steps": 0,
        "dtype": "float64",
        "about": "",
        "clip": None,
        "micro_batches": 1,
        "accumulation": "mean",
        "frozen": (),
    },
    "Node": {"takes": ()},
    "Term": {"takes": (), "weight": 1.0},
}
"""By kind; of one that is not here every field must be given."""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_said_is_this(kind: str) -> None:
    found = {field.name: field.default for field in fields(KINDS[kind]) if field.default is not MISSING}
    assert repr(found) == repr(DEFAULTS.get(kind, {}))  # in this order, and 1 is not 1.0


@pytest.mark.parametrize("kind", KINDS)
def test_what_all_optimizers_of_a_kind_share_is_given_by_name(kind: str) -> None:
    by_name = [field.name for field in fields(KINDS[kind]) if field.kw_only]
    assert by_name == (["weight_decay", "decay"] if "decay" in DEFAULTS.get(kind, {}) else [])
