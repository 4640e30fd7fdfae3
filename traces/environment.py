"""Where something was computed: what may change a result beside the case and the code."""

from __future__ import annotations

import math
import platform
from collections.abc import Mapping
from typing import Any

import numpy as np

from .. import __version__
from ..reference.dtypes import flushes_subnormals


def here() -> dict[str, Any]:
    """Of this process: versions, machine, and what it does with subnormal numbers, where that is unusual."""
    return {
        "crosscheck": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        **({"subnormals": "taken for 0"} if flushes_subnormals() else {}),
    }


def plain(environment: Mapping[str, Any]) -> dict[str, str | int | float | bool]:
    """The environment as JSON can hold it: what is no number and no truth value as text."""
    return {key: value if is_plain(value) else str(value) for key, value in environment.items()}


def is_plain(value: object) -> bool:
    """Whether JSON has such a value."""
    return isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value))
