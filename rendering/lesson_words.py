"""What both views of a lesson say: a rule from a docstring, a choice, a verdict, a framework's name."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from ..lesson.lesson import Theirs
from .catalogue import default_of, written

CODE = re.compile(r"``([^`]+)``")
DERIVATIVE = re.compile(r"(?:with\s+derivative|Jacobian is full,)\s+``([^`]+)``")
"""What a docstring says of a derivative."""


def choices(thing: Any) -> str:
    """The hyperparameters and conventions of a layer, a loss or an optimizer that are not the usual ones."""
    if thing is None:
        return ""
    usual = {field.name: default_of(field) for field in fields(thing) if field.init}
    usual = {name: value for name, value in usual.items() if value is not MISSING and name != "learning_rate"}
    own = {name: getattr(thing, name) for name, value in usual.items()}
    return ", ".join(
        f"{name} = {written(value)}" for name, value in own.items() if value != usual[name] and shows(value)
    )


def said_of(theirs: Sequence[Theirs]) -> tuple[str, str, str]:
    """What is said of some tensors together, the worst of them."""
    given = [one for one in theirs if one.values is not None]
    if not given:
        return "open", "–", "not computed here"
    others = sorted({one.verdict for one in given} - {"agree"})
    if others:
        return ("open", "~", others[0]) if set(others) <= {"kink", "not compared"} else ("bad", "✗", others[0])
    every = "" if len(given) == 1 else f"all {len(given)}, "
    if all(one.equal for one in given):
        return "good", "✓", f"{every}the same in every digit"
    sigmas = max(one.sigmas or 0.0 for one in given)
    return "good", "✓", f"{every}agree to {max(sigmas, 0.1):.1f} σ" if every else f"agrees to {max(sigmas, 0.1):.1f} σ"


def said_in(thing: Any, back: bool) -> list[tuple[str, str]]:
    """The formulas of a docstring, each with a word before it: those of the first sentence, and of its derivative."""
    text = (type(thing).__doc__ or "").partition("\n\n    Shapes")[0]
    first, *others = re.split(r"\n\s*\n", text)
    found = [" ".join(formula.split()) for formula in CODE.findall(first)]
    found = [formula for formula in found if " = " in formula]
    if not found and others:
        found = [formula for formula in (" ".join(one.split()) for one in CODE.findall(others[0])) if " = " in formula]
    derivatives = [" ".join(one.split()) for one in DERIVATIVE.findall(text)] if back else []
    return [
        *((formula, "") for formula in found[:3]),
        *((one, "derivative") for one in derivatives if one not in found),
    ]


def shows(value: object) -> bool:
    """Whether a value of a field is short enough to be shown."""
    return isinstance(value, str | bool | int | float | tuple) and len(str(value)) < 40
