"""From ``FILE.py:CALLABLE`` to the callable, and from an error in a user's code to the line that it comes from."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial, reduce
from importlib.util import decode_source
from inspect import getsourcefile, unwrap
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from ...reference.errors import CaseError, listed
from ..contract import Crashed

FORM = "FILE.py:CALLABLE"
HERE = Path(__file__).parent


class Target(NamedTuple):
    """A callable in a file, ``step.py:train_step``; one inside a class has dots in its name."""

    file: Path
    name: str

    @classmethod
    def of(cls, text: str) -> Target:
        """The target that a text names.

        Raises:
            CaseError: it names none, or a file that is not there.
        """
        found = re.fullmatch(r"(.+\.py):([^\W\d]\w*(?:\.[^\W\d]\w*)*)", text)
        if not found:
            raise CaseError(FORM, repr(text))
        file = Path(found[1])
        if not file.is_file():
            raise CaseError("a file", "a folder" if file.is_dir() else "nothing", file=str(file))
        return cls(file, found[2])

    def __str__(self) -> str:
        return f"{self.file.name}:{self.name}"


def is_target(text: str) -> bool:
    """Whether a text means a callable in a file, rather than the name of an adapter."""
    return ":" in text or text.endswith(".py")


@contextmanager
def loaded(target: Target) -> Iterator[Callable[..., Any]]:
    """The callable, its file run as a module of its own; while it is used the file's folder is on ``sys.path``.

    What the file imports from its folder is forgotten afterwards: another file may have a neighbour of that name.

    Raises:
        CaseError: no Python, or nothing of the name that can be called.
        Crashed: the file cannot be run.
    """
    folder, before = target.file.resolve().parent, set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield found_in(module_of(target), target)
    finally:
        if str(folder) in sys.path:
            sys.path.remove(str(folder))
        new = set(sys.modules) - before
        neighbours = {name for name in new if "." not in name and is_neighbour(sys.modules[name], folder)}
        for name in new:
            if name.partition(".")[0] in neighbours:
                del sys.modules[name]


def called(target: Target, name: str) -> Any:
    """What a function without arguments returns that stands beside a target in its file.

    Raises:
        CaseError, Crashed: see ``loaded``; Crashed also where the function fails.
    """
    with loaded(target._replace(name=name)) as function, blaming(target.file.resolve()):
        return function()


def is_neighbour(module: ModuleType, folder: Path) -> bool:
    """Whether a module stands right in a folder. What is installed further down in it, as in a ``.venv``, does not."""
    file = Path(getattr(module, "__file__", None) or "/")
    return (file.parent if file.name == "__init__.py" else file).parent == folder


def module_of(target: Target) -> ModuleType:
    """The file as a module. It is compiled here, so that no folder of bytecode appears beside it."""
    file = target.file.resolve()
    module = ModuleType("crosscheck_own_" + re.sub(r"\W", "_", file.stem))
    module.__file__ = str(file)
    try:
        code = compile(decode_source(file.read_bytes()), str(file), "exec")
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        where = f"{target.file}:{line}" if line else str(target.file)
        what = getattr(error, "msg", None) or str(error)
        raise CaseError("a file in Python", f"{type(error).__name__}: {what}", file=where) from None
    except OSError as error:
        raise CaseError("a file that can be read", error.strerror or str(error), file=str(target.file)) from None
    sys.modules[module.__name__] = module
    with blaming(file):
        exec(code, module.__dict__)
    return module


def found_in(module: ModuleType, target: Target) -> Callable[..., Any]:
    """What the target names in its module."""
    try:
        found = reduce(getattr, target.name.split("."), module)
    except AttributeError:
        own = [name for name, value in vars(module).items() if callable(value) and value.__module__ == module.__name__]
        raise CaseError(f"one of its functions: {listed(own)}", repr(target.name), file=str(target.file)) from None
    if not callable(found):
        raise CaseError("a function", f"{target.name!r}, of type {type(found).__name__}", file=str(target.file))
    return found


def file_of(function: Callable[..., Any]) -> Path | None:
    """The file in which a callable is written, where that is known."""
    written = unwrap(function)
    while isinstance(written, partial):
        written = unwrap(written.func)
    try:
        file = getsourcefile(written if hasattr(written, "__code__") else type(written))
    except TypeError:
        return None
    return Path(file).resolve() if file else None


@contextmanager
def blaming(file: Path | None) -> Iterator[None]:
    """Turn whatever a user's code raises, ``SystemExit`` too, into Crashed, with its own line and message."""
    try:
        yield
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise Crashed(f"{line_of(error, file)}{type(error).__name__}: {error}".strip().removesuffix(":")) from error


def line_of(error: BaseException, file: Path | None) -> str:
    """``step.py:17, in train_step:`` and a space: the last line of the user's own that the error passed through."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).parent != HERE]
    mine = [frame for frame in frames if file and Path(frame.filename).is_relative_to(file.parent)]
    at = [frame for frame in mine if "site-packages" not in Path(frame.filename).parts] or frames
    if not at:
        return ""
    inside = "" if at[-1].name == "<module>" else f", in {at[-1].name}"
    return f"{Path(at[-1].filename).name}:{at[-1].lineno}{inside}: "
