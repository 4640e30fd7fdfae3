"""The losses: what the network gave, against what was wanted, as one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import kinds
from . import classification, margin, pairs, probabilistic, regression
from .base import Loss as Loss
from .classification import *
from .margin import *
from .pairs import *
from .probabilistic import *
from .regression import *

LOSSES: dict[str, type[Loss]] = kinds(
    Loss,
    *(classification, regression, probabilistic, margin, pairs),
)
"""Every loss by its kind."""

if not TYPE_CHECKING:  # a type checker follows the star imports, and no computed list
    __all__ = ["LOSSES", "Loss"]
    __all__ += classification.__all__
    __all__ += regression.__all__
    __all__ += probabilistic.__all__
    __all__ += margin.__all__
    __all__ += pairs.__all__
