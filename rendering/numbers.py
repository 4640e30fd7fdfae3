"""Numbers as a lesson writes them: with as many decimals as the article, or by a power of ten."""

from __future__ import annotations

from math import isfinite

DECIMALS = 8
"""As many as the article prints."""


def digits(value: float, decimals: int = DECIMALS) -> str:
    """A number to be read.

    What has fewer decimals is written as it is.

    >>> digits(0.29228018432), digits(0.0), digits(-3.0), digits(1.5e-9), digits(-0.0147), digits(2 / 3, 4)
    ('0.29228018', '0', '-3', '1.500e-09', '-0.0147', '0.6667')
    """
    value += 0.0
    if not isfinite(value):
        return str(value)
    if value == round(value, decimals) and abs(value) < 1e5:
        return f"{value:.{decimals}f}".rstrip("0").rstrip(".")
    if 10.0 ** -(decimals // 2) <= abs(value) < 1e5:
        return f"{value:.{decimals}f}"
    return f"{value:.3e}"
