"""crosscheck: a training step, computed by hand, held against the frameworks, tensor by tensor.

>>> import crosscheck as cc
>>> case = cc.load_case("article")
>>> trace = cc.record(case)
>>> print(trace["0/forward/o.softmax"].round(8))
[[0.29228018 0.03001013 0.67770969]]
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapters import ADAPTERS, NotInstalled, Unsupported
    from .api import Agreement, check, compare, load_case, record, save_case
    from .comparison.agreement import Disagreement, SubjectAgreement, TensorAgreement
    from .comparison.tolerance import Computed, EpsilonTable, Tolerance
    from .reference import (
        LAYERS,
        LOSSES,
        OPTIMIZERS,
        SGD,
        Adam,
        Add,
        Batch,
        BatchNorm,
        Case,
        CaseError,
        Conv2d,
        CrossEntropy,
        Dense,
        Embedding,
        Gelu,
        LayerNorm,
        MeanSquaredError,
        MergeHeads,
        MultiHeadAttention,
        Node,
        Operation,
        Relu,
        ScaledDotProductAttention,
        Sigmoid,
        Softmax,
        SoftmaxCrossEntropy,
        SplitHeads,
        Tanh,
        Trace,
    )

__version__ = "0.1.0"

# Every public name and the module that it comes from. A name is imported when it is first used, so that the command
# line starts without what it does not need.
_HOMES = {
    "adapters": "ADAPTERS NotInstalled Unsupported",
    "api": "Agreement check compare load_case record save_case",
    "comparison.agreement": "Disagreement SubjectAgreement TensorAgreement",
    "comparison.tolerance": "Computed EpsilonTable Tolerance",
    "reference": (
        "LAYERS LOSSES OPTIMIZERS SGD Adam Add Batch BatchNorm Case CaseError Conv2d CrossEntropy Dense "
        "Embedding Gelu LayerNorm MeanSquaredError MergeHeads MultiHeadAttention Node Operation Relu "
        "ScaledDotProductAttention Sigmoid Softmax SoftmaxCrossEntropy SplitHeads Tanh Trace"
    ),
}
_HOME_OF = {name: module for module, names in _HOMES.items() for name in names.split()}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f".{_HOME_OF[name]}", __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME_OF])


__all__ = [
    "ADAPTERS",
    "LAYERS",
    "LOSSES",
    "OPTIMIZERS",
    "SGD",
    "Adam",
    "Add",
    "Agreement",
    "Batch",
    "BatchNorm",
    "Case",
    "CaseError",
    "Computed",
    "Conv2d",
    "CrossEntropy",
    "Dense",
    "Disagreement",
    "Embedding",
    "EpsilonTable",
    "Gelu",
    "LayerNorm",
    "MeanSquaredError",
    "MergeHeads",
    "MultiHeadAttention",
    "Node",
    "NotInstalled",
    "Operation",
    "Relu",
    "ScaledDotProductAttention",
    "Sigmoid",
    "Softmax",
    "SoftmaxCrossEntropy",
    "SplitHeads",
    "SubjectAgreement",
    "Tanh",
    "TensorAgreement",
    "Tolerance",
    "Trace",
    "Unsupported",
    "check",
    "compare",
    "load_case",
    "record",
    "save_case",
]
