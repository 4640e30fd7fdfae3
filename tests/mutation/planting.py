"""Another source put into a module that is imported already, without importing anything again.

Whoever holds a function or a class of the module goes on holding it: what changes is the code in it. So tests can be
collected once, and each mutant be planted in a copy of the process.
"""

from __future__ import annotations

import ast
import inspect
import sys
from types import FunctionType, ModuleType
from typing import Any

PROBE = "__reached__"


def plant(module: ModuleType, source: str) -> None:
    """Give the functions, classes and constants of a module what they would be, had this been its source."""
    made: dict[str, Any] = {
        name: value for name, value in vars(module).items() if name.startswith("__") and name != "__builtins__"
    }
    exec(compile(source, f"<{module.__name__}, changed>", "exec"), made)
    for name, new in made.items():
        old = vars(module).get(name)
        if name.startswith("__") or new is old:
            continue
        if isinstance(new, type) and isinstance(old, type):
            replace_class(old, new)
        elif not replace_function(module, name, old, new):
            package = module.__name__.partition(".")[0]
            for path, holder in [*sys.modules.items()]:
                if path.partition(".")[0] == package and vars(holder).get(name) is old:
                    setattr(holder, name, new)


def replace_class(old: type, new: type) -> None:
    """Give a class the functions and the values of another."""
    for name, value in [*vars(new).items()]:
        before = vars(old).get(name)
        if replace_function(old, name, before, value):
            continue
        if name == "__dataclass_fields__" or (not name.startswith("__") and before is not value):
            setattr(old, name, value)


def replace_function(holder: Any, name: str, old: Any, new: Any) -> bool:
    """Give a function, or what wraps one, the code and the defaults of another; false where there is none."""
    inner, other = function_in(old), function_in(new)
    if inner is None or other is None:
        return False
    inner.__defaults__, inner.__kwdefaults__ = other.__defaults__, other.__kwdefaults__
    free = other.__code__.co_freevars
    if free == inner.__code__.co_freevars:
        inner.__code__ = other.__code__
    else:  # no `super` any more: the code is of another shape
        cells = dict(zip(inner.__code__.co_freevars, inner.__closure__ or (), strict=True))
        closure = tuple(cells[cell] for cell in free)
        made = FunctionType(other.__code__, inner.__globals__, inner.__name__, inner.__defaults__, closure)
        made.__kwdefaults__ = other.__kwdefaults__
        setattr(holder, name, made)
    return True


def function_in(value: Any) -> FunctionType | None:
    """The function in a property, in what ``functools`` or ``contextlib`` made of one, or the function itself."""
    for attribute in ("fget", "func", "__func__"):
        value = getattr(value, attribute, value) if not isinstance(value, FunctionType) else value
    value = inspect.unwrap(value) if callable(value) else value
    return value if isinstance(value, FunctionType) else None


class Probes(ast.NodeTransformer):
    """Puts a call before every statement of every function: ``__reached__((file, line))``."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.in_function = False

    def visit(self, node: ast.AST) -> Any:
        outside, self.in_function = self.in_function, self.in_function or isinstance(node, ast.FunctionDef)
        self.generic_visit(node)
        self.in_function = outside
        if not (outside and isinstance(node, ast.stmt)):
            return node
        return [*ast.parse(f"{PROBE}(({self.file!r}, {node.lineno}))").body, node]


def probed(source: str, file: str) -> str:
    """The source with the probes."""
    return ast.unparse(ast.fix_missing_locations(Probes(file).visit(ast.parse(source))))
