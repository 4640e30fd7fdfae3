"""The layers, each with its forward directly above its backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..registry import kinds
from . import (
    activations,
    affine,
    attention,
    batch_normalisation,
    convolution,
    dropout,
    embedding,
    gated,
    hard,
    normalisation,
    pooling,
    positions,
    rectifiers,
    recurrent,
    softmax,
    structure,
)
from .activations import *
from .affine import *
from .attention import *
from .base import Array as Array
from .base import Layer as Layer
from .base import Parameters as Parameters
from .base import Shape as Shape
from .batch_normalisation import *
from .convolution import *
from .dropout import *
from .embedding import *
from .gated import *
from .hard import *
from .normalisation import *
from .pooling import *
from .positions import *
from .rectifiers import *
from .recurrent import *
from .softmax import *
from .structure import *

LAYERS: dict[str, type[Layer]] = kinds(
    Layer,
    *(
        affine,
        embedding,
        convolution,
        pooling,
        recurrent,
        attention,
        positions,
        normalisation,
        batch_normalisation,
        activations,
        rectifiers,
        hard,
        gated,
        softmax,
        structure,
        dropout,
    ),
)
"""Every layer by its kind."""

if not TYPE_CHECKING:  # a type checker follows the star imports, and no computed list
    __all__ = ["LAYERS", "Array", "Layer", "Parameters", "Shape"]
    __all__ += affine.__all__
    __all__ += embedding.__all__
    __all__ += convolution.__all__
    __all__ += pooling.__all__
    __all__ += recurrent.__all__
    __all__ += attention.__all__
    __all__ += positions.__all__
    __all__ += normalisation.__all__
    __all__ += batch_normalisation.__all__
    __all__ += activations.__all__
    __all__ += rectifiers.__all__
    __all__ += hard.__all__
    __all__ += gated.__all__
    __all__ += softmax.__all__
    __all__ += structure.__all__
    __all__ += dropout.__all__
