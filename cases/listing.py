"""The built-in cases by name, read with the standard library alone: listing them must not wait for NumPy."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from importlib.resources.abc import Traversable

SUFFIX = ".toml"


def folder() -> Traversable:
    """The folder of the built-in cases."""
    return files("crosscheck.cases")


def names() -> list[str]:
    """The names of the built-in cases, sorted."""
    return sorted(file.name.removesuffix(SUFFIX) for file in folder().iterdir() if file.name.endswith(SUFFIX))


def built_in() -> dict[str, str]:
    """Every built-in case by its name, with what it is about in one line.

    >>> built_in()["article"]
    'The 2-4-4-3 network of the article, one gradient-descent step'
    """
    return {name: tomllib.loads((folder() / f"{name}{SUFFIX}").read_text("utf-8"))["about"] for name in names()}
