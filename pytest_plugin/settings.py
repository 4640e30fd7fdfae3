"""What is set for a run of the tests: on the command line as ``--crosscheck-NAME``, or in the configuration."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

OPTIONS = {
    "against": ("ADAPTERS", "compare with these, separated by commas, where a test names none"),
    "require": ("ADAPTERS", "fail where one of these cannot be run, instead of skipping"),
    "out": ("DIR", "write an agreement for each case into a folder here"),
}
"""What can be set, with what it takes and what it does."""


def add(parser: pytest.Parser) -> None:
    """Let them be set."""
    group = parser.getgroup("crosscheck", "training steps against hand-written backpropagation")
    for name, (metavar, about) in OPTIONS.items():
        group.addoption(f"--crosscheck-{name}", metavar=metavar, help=about)
    for name in ("against", "require"):
        parser.addini(f"crosscheck_{name}", OPTIONS[name][1], type="args", default=None)
    parser.addini("crosscheck_out", OPTIONS["out"][1], type="string", default=None)


def configured(config: pytest.Config) -> bool:
    """Whether anything is set."""
    return bool(names(config, "against") or names(config, "require") or folder(config))


def names(config: pytest.Config, setting: str) -> tuple[str, ...]:
    """The adapters that a setting names; the command line goes before the configuration."""
    told = config.getoption(f"crosscheck_{setting}")
    return split(config.getini(f"crosscheck_{setting}") if told is None else told)


def folder(config: pytest.Config) -> Path | None:
    """Where the reports go, if they are wanted; a path in the configuration starts from the root of the tests."""
    told, kept = config.getoption("crosscheck_out"), config.getini("crosscheck_out")
    chosen, start = (kept, config.rootpath) if told is None else (told, config.invocation_params.dir)
    return start / chosen if chosen else None


def spelled(config: pytest.Config, setting: str) -> str:
    """A setting as the user has given it."""
    given = config.getoption(f"crosscheck_{setting}") is not None
    return f"--crosscheck-{setting}" if given else f"crosscheck_{setting}"


def split(names: str | Iterable[str] | None) -> tuple[str, ...]:
    """Names that commas separate, in one text or in several."""
    texts = [names] if isinstance(names, str) else names or ()
    return tuple(name.strip() for text in texts for name in text.split(",") if name.strip())
