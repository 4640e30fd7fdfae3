"""Agreements that several tests look at: the article against a copy of itself, and names that want to be more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import crosscheck as cc
import numpy as np
from crosscheck.comparison.network import Network
from crosscheck.reference import Operation

NAME = "0/gradient/o.weight"


def agreement_with(change: Any = None) -> cc.Agreement:
    """The article against a copy of itself, one tensor changed."""
    reference = cc.record("article")
    subject = cc.Trace("copy", reference.case, {"version": "1.0", "device": "cpu"}, dict(reference.tensors))
    if change is not None:
        subject.tensors[NAME] = change(np.array(subject.tensors[NAME]))
    return cc.compare(reference, subject)


def with_nan(array: Any) -> Any:
    array[0, 0] = np.nan
    return array


HOSTILE = "<img src=x onerror=alert(1)>|`x`*\n# \x1b[31mred\u202eevil"


def hostile(agreement: cc.Agreement) -> cc.Agreement:
    """The same with the name in every place where there is one."""
    subject = agreement.subjects["copy"]
    names = {tensor.name: f"0/forward/{number}{HOSTILE}" for number, tensor in enumerate(subject.tensors)}
    renamed = replace(
        subject,
        version=HOSTILE,
        environment={HOSTILE: HOSTILE},
        first_divergence=names.get(subject.first_divergence or ""),
        diagnosis=tuple(replace(one, operation=HOSTILE, cause=HOSTILE, evidence=HOSTILE) for one in subject.diagnosis),
        tensors=tuple(
            replace(tensor, name=names[tensor.name], operation=HOSTILE, kind=HOSTILE) for tensor in subject.tensors
        ),
        arrays={names[name]: arrays for name, arrays in subject.arrays.items()},
    )
    operation = Operation(HOSTILE, "forward", HOSTILE, (), tuple(names.values()))
    return replace(
        agreement,
        case=HOSTILE,
        about=HOSTILE,
        environment={HOSTILE: HOSTILE},
        network=Network({HOSTILE: {"kind": HOSTILE, "takes": [HOSTILE]}}, {"kind": HOSTILE}, (operation,)),
        subjects={HOSTILE: renamed},
    )
