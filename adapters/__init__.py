"""Who can run a case: the frameworks, one folder each, imported only when one is asked for, and a user's own code."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, TypeAlias

from ..reference.trace import patterns
from .contract import Adapter, Altered, Crashed, NotInstalled, Subject, Support, Unsupported

Against: TypeAlias = str | Callable[..., Any] | Subject
"""What a case can be held against: an adapter's name, ``FILE.py:CALLABLE``, either with ``@PYTHON`` for the interpreter
that it is to run in, a training step, or a subject."""


class Entry(NamedTuple):
    """Where an adapter is found, and what must be installed for it."""

    module: str
    factory: str
    requires: tuple[str, ...]
    extra: str


ADAPTERS: dict[str, Entry] = {
    "torch": Entry(".torch.adapter", "Torch", ("torch",), "torch"),
    "torch.compile": Entry(".torch.adapter", "TorchCompile", ("torch",), "torch"),
    "jax": Entry(".jax.adapter", "Jax", ("jax", "optax"), "jax"),
    "jax.eager": Entry(".jax.adapter", "JaxEager", ("jax", "optax"), "jax"),
}
"""Every adapter by its name. Nothing is imported to read this table."""


def parted(text: str) -> tuple[str, str]:
    """What ``SUBJECT@PYTHON`` names: a subject, and the interpreter that it is to run in, empty for this one."""
    subject, _, interpreter = text.partition("@")
    return subject, interpreter


def unknown(names: Iterable[str]) -> str:
    """What is wrong with the names of adapters: the first that none has; empty if each is one's."""
    for name in names:
        if parted(name)[0] not in ADAPTERS:
            near = get_close_matches(name, ADAPTERS, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            return f"expected one of {', '.join(ADAPTERS)}; received {name!r}{hint}"
    return ""


def missing(name: str) -> tuple[str, ...]:
    """The packages that an adapter needs and that are not installed; nothing is imported."""
    return tuple(package for package in ADAPTERS[name].requires if find_spec(package) is None)


def require_installed(name: str) -> None:
    """Raise NotInstalled where packages that an adapter needs are not installed; nothing is imported.

    Raises:
        KeyError: no adapter has the name.
    """
    if lacking := missing(name):
        raise NotInstalled(f"{' and '.join(lacking)} not installed: pip install 'crosscheck[{ADAPTERS[name].extra}]'")


def load_adapter(name: str) -> Adapter:
    """The adapter of this name, its framework imported.

    Raises:
        KeyError: no adapter has the name.
        NotInstalled: its framework is not installed, or cannot be imported.
    """
    require_installed(name)
    entry = ADAPTERS[name]
    try:
        adapter = getattr(import_module(entry.module, __name__), entry.factory)()
    except ImportError as error:
        raise NotInstalled(f"{name} cannot be imported: {error}") from error
    assert isinstance(adapter, Adapter)
    return adapter


def subject_of(against: Against, require: Iterable[str] | None = None) -> Subject:
    """The subject that something names or is; ``require`` is what a user's own step must give, see ``OwnStep``.

    Raises:
        KeyError: no adapter has the name.
        NotInstalled: the framework of an adapter is not installed, or cannot be imported.
        CaseError: a file that is not there, or what is neither a name nor a training step.
    """
    from .own import OwnStep, is_target

    if isinstance(against, str) and not is_target(against):
        return load_adapter(against)
    if isinstance(against, Subject):
        return against
    return OwnStep(against, None if require is None else patterns(require))


__all__ = [
    "ADAPTERS",
    "Adapter",
    "Against",
    "Altered",
    "Crashed",
    "NotInstalled",
    "Subject",
    "Support",
    "Unsupported",
    "load_adapter",
    "missing",
    "parted",
    "require_installed",
    "subject_of",
    "unknown",
]
