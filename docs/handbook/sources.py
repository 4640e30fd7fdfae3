"""Code as it stands in the repository: methods with all that they call, and the lines of an adapter's tables."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from textwrap import dedent
from types import FunctionType
from typing import Any

import crosscheck
from crosscheck.reference import Clip, Layer, Loss, Optimizer
from crosscheck.reference.optimizers.schedules import Schedule

ROOT = Path(crosscheck.__file__).parent
ELSEWHERE = (Layer, Loss, Optimizer, Clip, Schedule, Exception)
"""Classes that have pages of their own, or compute nothing."""


@dataclass(frozen=True)
class Code:
    """Lines of one file, with the path of the file and the class that they are of."""

    path: str
    owner: str
    text: str

    @property
    def caption(self) -> str:
        """Where the lines stand."""
        return f"{self.path}: {self.owner}" if self.owner else self.path


@dataclass(frozen=True)
class Piece:
    """A function, a method or a class, and the class whose method it is."""

    thing: Any
    owner: type | None

    @property
    def place(self) -> tuple[str, int]:
        """File and line."""
        return inspect.getsourcefile(self.thing) or "", inspect.getsourcelines(self.thing)[1]


def code_of(described: type, methods: Iterable[str]) -> list[Code]:
    """The methods of a class, and everything of the reference that they call: the class's own lines first.

    >>> from crosscheck.reference import Sigmoid
    >>> own, helper = code_of(Sigmoid, ["forward", "backward"])
    >>> own.caption, helper.text.splitlines()[0]
    ('reference/layers/activations.py: Sigmoid', 'def logistic(x: Array) -> Array:')
    """
    found: dict[Any, Piece] = {}
    waiting = [piece for name in methods if (piece := method(described, name, described.__mro__))]
    while waiting:
        piece = waiting.pop()
        if piece.thing not in found:
            found[piece.thing] = piece
            waiting += called(described, piece)
    groups: dict[tuple[str, type | None], list[Piece]] = {}
    for piece in sorted(found.values(), key=lambda piece: nearness(described, piece)):
        groups.setdefault((piece.place[0], piece.owner), []).append(piece)
    return [
        Code(
            Path(path).relative_to(ROOT).as_posix(),
            owner.__name__ if owner else "",
            "\n\n".join(source(piece.thing) for piece in pieces),
        )
        for (path, owner), pieces in groups.items()
    ]


def nearness(described: type, piece: Piece) -> tuple[int, tuple[str, int]]:
    """How far up a piece is inherited from, functions last, and where it stands."""
    mro = described.__mro__
    return mro.index(piece.owner) if piece.owner else len(mro), piece.place


def method(described: type, name: str, among: Iterable[type]) -> Piece | None:
    """The first of some classes' methods or properties of a name, if it is the reference's."""
    for owner in among:
        if name in vars(owner):
            value = vars(owner)[name]
            value = getattr(value, "fget", None) or getattr(value, "__func__", value)
            value = value.func if isinstance(value, cached_property) else value
            return Piece(value, owner) if isinstance(value, FunctionType) and is_own(value) else None
    return None


def called(described: type, piece: Piece) -> Iterator[Piece]:
    """What a piece of code calls."""
    if not isinstance(piece.thing, FunctionType):
        return
    mro = described.__mro__
    (tree,) = ast.parse(source(piece.thing)).body
    assert isinstance(tree, ast.FunctionDef)
    for node in (inner for line in tree.body for inner in ast.walk(line)):
        if isinstance(node, ast.Attribute):
            of = ast.unparse(node.value)
            further = mro[mro.index(piece.owner) + 1 :] if piece.owner in mro else ()
            among = {"self": mro, "super()": further}.get(of, ())
            if among and (inner := method(described, node.attr, among)):
                yield inner
        elif isinstance(node, ast.Name):
            thing = piece.thing.__globals__.get(node.id)
            is_class = isinstance(thing, type) and not issubclass(thing, ELSEWHERE)
            if (is_class or isinstance(thing, FunctionType)) and is_own(thing):
                yield Piece(thing, None)


def is_own(thing: Any) -> bool:
    """Whether a function or a class is the reference's."""
    return thing.__module__.startswith("crosscheck.reference")


def source(thing: Any) -> str:
    """The lines of a function or a class."""
    return dedent(inspect.getsource(thing)).rstrip()


def body(described: type) -> str:
    """The lines of a class without its docstring."""
    lines = source(described).splitlines()
    (tree,) = ast.parse("\n".join(lines)).body
    assert isinstance(tree, ast.ClassDef)
    if ast.get_docstring(tree) is None:
        return "\n".join(lines)
    documented = tree.body[0]
    kept = [*lines[: documented.lineno - 1], *lines[documented.end_lineno :]]
    while len(kept) > 1 and not kept[1].strip():
        del kept[1]
    return "\n".join(kept)


# --------------------------------------------------------------------------------------------- the tables of an adapter


def part_of(framework: str, kind: str) -> Code | None:
    """The line of an adapter's tables that a kind has, below what it names in its module; None if there is none.

    >>> print(part_of("torch", "sigmoid").text)
    "sigmoid": LayerPart("native", lambda layer, **like: nn.Sigmoid()),
    """
    for path in sorted((ROOT / "adapters" / framework / "parts").glob("*.py")):
        module = Module.read(path)
        if kind in module.entries:
            return Code(path.relative_to(ROOT).as_posix(), "", module.with_entry(kind))
    return None


@dataclass(frozen=True)
class Module:
    """A module of an adapter's parts: its text, what stands in it by name, and the entries of its tables by kind."""

    text: str
    defined: Mapping[str, ast.stmt]
    entries: Mapping[str, tuple[ast.expr, ast.expr]]

    @classmethod
    @cache
    def read(cls, path: Path) -> Module:
        """The module of a file."""
        text = path.read_text()
        defined: dict[str, ast.stmt] = {}
        entries: dict[str, tuple[ast.expr, ast.expr]] = {}
        for statement in ast.parse(text).body:
            for name in names_of(statement):
                defined[name] = statement
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.value, ast.Dict):
                for key, value in zip(statement.value.keys, statement.value.values, strict=True):
                    if isinstance(key, ast.Constant) and isinstance(value, ast.Call):
                        entries[key.value] = key, value
        return cls(text, defined, entries)

    def with_entry(self, kind: str) -> str:
        """The entry of a kind, below everything in the module that it names, and that those name."""
        key, value = self.entries[kind]
        used: dict[int, ast.stmt] = {}
        waiting: list[ast.AST] = [value]
        while waiting:
            for node in ast.walk(waiting.pop()):
                named = self.defined.get(node.id) if isinstance(node, ast.Name) else None
                if named is not None and named.lineno not in used and not self.is_table(named):
                    used[named.lineno] = named
                    waiting.append(named)
        pieces = [self.segment(used[line]) for line in sorted(used)]
        lines = self.text.splitlines()[key.lineno - 1 : value.end_lineno]
        return "\n\n".join([*pieces, dedent("\n".join(lines))])

    def is_table(self, statement: ast.stmt) -> bool:
        """Whether a statement is a table of parts."""
        return any(statement.lineno <= key.lineno <= (statement.end_lineno or 0) for key, _ in self.entries.values())

    def segment(self, statement: ast.stmt) -> str:
        """The lines of a statement, from its first decorator on."""
        first = min([statement.lineno, *(one.lineno for one in getattr(statement, "decorator_list", ()))])
        return "\n".join(self.text.splitlines()[first - 1 : statement.end_lineno])


def names_of(statement: ast.stmt) -> Iterator[str]:
    """What a statement at the top of a module defines; a type alias counts for nothing."""
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign):
        yield from (target.id for target in statement.targets if isinstance(target, ast.Name))
    elif isinstance(statement, ast.AnnAssign) and ast.unparse(statement.annotation) != "TypeAlias":
        yield ast.unparse(statement.target)
