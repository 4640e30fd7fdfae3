"""Where something was computed: what may change a result beside the case and the code."""

from __future__ import annotations

import platform
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
