"""Lines of code as they stand in the source: of a layer, a loss, an optimizer, the step, or of a mistake."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

PACKAGE = Path(__file__).parent.parent

CHOOSING = frozenset({"possible", "sites", "faults", "makes"})
"""Methods of a mistake that say where it can happen, and not what it is."""

DESCRIBING = frozenset({"number", "wrong", "only_where", "site", "question", "experiment"})
"""Names in the body of a mistake that describe it."""


@dataclass(frozen=True)
class Code:
    """Some lines, and where they stand."""

    text: str
    file: str
    line: int

    @property
    def place(self) -> str:
        """``reference/layers/affine.py, line 81``."""
        return f"{self.file}, line {self.line}"


def code_of(function: Callable[..., Any]) -> Code:
    """A function as it is written.

    >>> from crosscheck.reference import Tanh
    >>> code = code_of(Tanh.backward)
    >>> print(code.text.splitlines()[-2].strip())
    dx = dy * (1 - y * y)
    >>> code.file
    'reference/layers/activations.py'
    """
    function = inspect.unwrap(function)
    lines, first = lines_of(function)
    path = Path(inspect.getsourcefile(function) or "")
    file = path.relative_to(PACKAGE).as_posix() if path.is_relative_to(PACKAGE) else path.name
    return Code(dedent("".join(lines)).rstrip(), file, first)


@cache
def lines_of(thing: Any) -> tuple[list[str], int]:
    """The lines of a function or of a class, and the number of the first: a class is looked for in all of its file."""
    return inspect.getsourcelines(thing)


def mistake_of(mistake: type, *, stop: type) -> Code:
    """What a class of mistakes does otherwise, with the classes it takes that from: those between it and ``stop``.

    Left out are docstrings, and what says where the mistake can happen.
    """
    whole = code_of(mistake)
    own = [base for base in mistake.__mro__ if issubclass(base, stop) and base.__module__ == mistake.__module__]
    return Code("\n\n\n".join(body_of(code_of(base).text) for base in own), whole.file, whole.line)


def body_of(text: str) -> str:
    """The first line of a class, and what of its body makes the mistake."""
    (described,) = ast.parse(text).body
    assert isinstance(described, ast.ClassDef)
    lines = text.splitlines()
    kept = [lines[described.lineno - 1]]
    for part in described.body:
        if isinstance(part, ast.FunctionDef) and part.name not in CHOOSING:
            first = min([part.lineno, *(decorator.lineno for decorator in part.decorator_list)])
            kept += ["", *lines[first - 1 : part.end_lineno]]
        elif isinstance(part, ast.Assign | ast.AnnAssign) and told(part) not in DESCRIBING:
            kept += lines[part.lineno - 1 : part.end_lineno]
    if len(kept) > 1 and not kept[1]:
        del kept[1]
    return "\n".join(kept)


def told(assignment: ast.Assign | ast.AnnAssign) -> str:
    """Which name is assigned to."""
    target = assignment.target if isinstance(assignment, ast.AnnAssign) else assignment.targets[0]
    return target.id if isinstance(target, ast.Name) else ""
