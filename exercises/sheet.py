"""``check.toml``: the phases of an exercise, what each is worth, and the hints that may be asked for."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..reference import CaseError

SHEET = "check.toml"

Level: TypeAlias = Literal["where", "kind", "question", "experiment", "cause", "line"]
LEVELS: tuple[Level, ...] = ("where", "kind", "question", "experiment", "cause", "line")
"""Hints, from the one that says least."""


class Phase(BaseModel):
    """What is learned at a time: the tensors of a case that must be right, or the predictions.

    Its points are given in proportion to the tensors that are right, or for all of them if they count as a ``whole``.
    """

    model_config = ConfigDict(extra="forbid")

    name: str
    points: float = Field(gt=0)
    file: str = "step.py"
    case: str = "case.toml"
    tensors: list[str] = []
    """Patterns of tensor names."""
    whole: bool = False
    predict: bool = False
    """Whether it is the predictions that are judged, those of the file's ``predict()``."""


class Sheet(BaseModel):
    """Everything that an exercise says of how it is judged."""

    model_config = ConfigDict(extra="forbid")

    name: str
    cases: list[str] = Field(min_length=1)
    hints: list[Level] = list(LEVELS)
    phases: list[Phase] = Field(min_length=1)


def load_sheet(folder: Path) -> Sheet:
    """The sheet in a folder.

    Raises:
        CaseError: there is none, or it is not as it should be.
    """
    path = folder / SHEET
    try:
        return Sheet.model_validate(tomllib.loads(path.read_text("utf-8")))
    except OSError as error:
        raise CaseError("the sheet of an exercise", error.strerror or str(error), file=str(path)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CaseError("TOML", str(error), file=str(path)) from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise CaseError(first["msg"], repr(first["input"]), key=key, file=str(path)) from None
