"""From a case to a file that reads back as the same case, bit for bit."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np
import tomli_w

from ..reference import CLIPS
from ..reference.case import Batch, Case
from ..reference.errors import CaseError, listed
from ..reference.layers import LAYERS, Array
from ..reference.losses import LOSSES
from ..reference.network import Node
from ..reference.optimizers import OPTIMIZERS, Schedule
from .files import write_bytes
from .listing import SUFFIX
from .reading import load_case
from .tensors import as_tensors, identical

INLINE_ELEMENTS = 1000
"""Up to this many numbers in all, a case's arrays are written in its own file; beyond, in files beside it."""

Naming: TypeAlias = Callable[[str, Mapping[str, Array]], str]
"""What the file of some arrays is called: of ``weights``, ``data``, or ``data.0``."""


def save_case(case: Case, path: str | os.PathLike[str]) -> None:
    """Write a case as a TOML file; large arrays go to safetensors files beside it, named after it.

    The files are written in a folder of their own next to where they belong, read back, compared with the case and
    only then moved to their names, the TOML file last. Names of arrays' files say what is in them, so that no file
    that stood there is overwritten before the TOML file: whatever fails, and whoever else writes there, it belongs to
    its arrays. Then those that nothing refers to any more are removed.

    Raises:
        CaseError: a path that cannot be written; a layer, a loss or an optimizer that is not one of the package's;
            an extended-precision number that no float64 equals.
    """
    path = Path(path)
    if path.suffix != SUFFIX:
        raise CaseError(f"a path that ends in {SUFFIX!r}", repr(str(path)))
    contents = files_of(case, path.stem)
    before = beside(path)
    try:
        with TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}.") as folder:
            for name, data in contents.items():
                write_bytes(Path(folder, name), data)
            if not same_case(load_case(Path(folder, path.name)), case):
                raise RuntimeError(f"{case.name!r} did not read back as it was written; nothing was kept")
            for name in contents:
                os.replace(Path(folder, name), path.parent / name)
        for name in before - beside(path):
            Path(path.parent, name).unlink(missing_ok=True)
    except OSError as error:
        raise CaseError("a path that can be written", error.strerror or str(error), file=str(path)) from None


def beside(path: Path) -> set[str]:
    """The files of arrays that a case file refers to and that were written with it."""
    mine = re.compile(rf'file = "({re.escape(path.stem)}\.(?:weights|data(?:\.\d+)?)\.[0-9a-f]{{8}}\.safetensors)"')
    try:
        return {found[1] for found in mine.finditer(path.read_text(encoding="utf-8", errors="replace"))}
    except OSError:
        return set()


def same_case(a: Case, b: Case) -> bool:
    """Whether two cases are equal in every field, their arrays in dtype, shape and every bit that counts."""
    arrays_a, arrays_b = arrays_of(a), arrays_of(b)
    others = [field.name for field in fields(Case) if field.name not in ("weights", "batches")]
    return (
        all(getattr(a, name) == getattr(b, name) for name in others)
        and set(arrays_a) == set(arrays_b)
        and all(identical(array, arrays_b[key]) for key, array in arrays_a.items())
    )


def arrays_of(case: Case) -> dict[str, Array]:
    """Every array of a case, by its key."""
    data = {
        f"data.{step}.{what}": array
        for step, batch in enumerate(case.batches)
        for what, array in arrays_in(batch).items()
    }
    return {**{f"weights.{name}": array for name, array in case.weights.items()}, **data}


def arrays_in(batch: Batch) -> dict[str, Array]:
    """Every array of a batch: ``inputs``, ``targets`` or ``targets.LOSS``, ``given.NODE.NAME``."""
    targets = batch.targets if isinstance(batch.targets, Mapping) else {"": batch.targets}
    named = {f"targets.{name}".rstrip("."): array for name, array in targets.items()}
    return {"inputs": batch.inputs, **named, **{f"given.{name}": array for name, array in batch.given.items()}}


def in_tables(arrays: Mapping[str, Array]) -> dict[str, Any]:
    """The arrays as lists; ``given.drop.mask`` stands as ``drop.mask`` in a table ``given``."""
    tables: dict[str, Any] = {}
    for name, array in arrays.items():
        table, _, rest = name.partition(".")
        if rest:
            tables.setdefault(table, {})[rest] = array.tolist()
        else:
            tables[table] = array.tolist()
    return tables


def files_of(case: Case, stem: str) -> dict[str, bytes]:
    """Contents of the files by name, the TOML file last.

    Raises:
        CaseError: something that a file cannot say.
    """
    contents: dict[str, bytes] = {}

    def called(what: str, arrays: Mapping[str, Array]) -> str:
        data = as_tensors(arrays)
        name = f"{stem}.{what}.{sha256(data).hexdigest()[:8]}.safetensors"
        contents[name] = data
        return name

    table, _ = told(case, called)
    return {**contents, f"{stem}{SUFFIX}": as_toml(table)}


def in_a_trace(what: str, arrays: Mapping[str, Array]) -> str:
    """What the file of some arrays would be called where it stands in a trace."""
    return f"case.{what}.safetensors"


def told(
    case: Case, called: Callable[[str, Mapping[str, Array]], str] = in_a_trace
) -> tuple[dict[str, Any], dict[str, dict[str, Array]]]:
    """What a file says of the case, and the arrays that stand beside it: by the name of their file, and their own.

    Raises:
        CaseError: something that a file cannot say.
    """
    weights = {name: storable(array, f"weights.{name}") for name, array in case.weights.items()}
    data = [
        {name: storable(array, f"data.{name}") for name, array in arrays_in(batch).items()} for batch in case.batches
    ]
    beside: dict[str, dict[str, Array]] = {}

    def place(what: str, arrays: Mapping[str, Array]) -> dict[str, Any]:
        if inline or not arrays:
            flat = what == "weights"
            return {name: array.tolist() for name, array in arrays.items()} if flat else in_tables(arrays)
        name = called(what, arrays)
        beside[name] = dict(arrays)
        return {"file": name}

    inline = sum(array.size for array in arrays_of(case).values()) <= INLINE_ELEMENTS
    batches = [place(f"data.{step}" if len(data) > 1 else "data", batch) for step, batch in enumerate(data)]
    before = ["input", *(node.name for node in case.nodes[:-1])]
    table = {
        "name": case.name,
        "about": case.about,
        "dtype": case.dtype,
        "steps": case.steps,
        **({"micro_batches": case.micro_batches, "accumulation": case.accumulation} if case.micro_batches > 1 else {}),
        "frozen": list(case.frozen),
        "nodes": [node_table(node, name) for node, name in zip(case.nodes, before, strict=True)],
        **losses_tables(case),
        **({"clip": described(case.clip, CLIPS, "clip")} if case.clip else {}),
        "optimizer": described(case.optimizer, OPTIMIZERS, "optimizer"),
        "data": batches if len(batches) > 1 else batches[0],
        "weights": place("weights", weights),
        "symbols": dict(case.symbols),
    }
    return table, beside


def losses_tables(case: Case) -> dict[str, Any]:
    """What the file says of the losses, with what follows from the rest left out."""
    tables = []
    for term in case.losses:
        alone = term.name == "loss"
        table = described(term.loss, LOSSES, "loss" if alone else f"losses.{term.name}")
        if term.takes != (case.nodes[-1].name,):
            table["from"] = list(term.takes)
        tables.append(table if alone else {"name": term.name, "weight": term.weight, **table})
    return {"loss": tables[0]} if len(tables) == 1 else {"losses": tables}


def node_table(node: Node, before: str) -> dict[str, Any]:
    """What the file says of a node, with what follows from the rest left out."""
    table = {"name": node.name, **described(node.layer, LAYERS, f"nodes.{node.name}")}
    if node.takes != (before,):
        table["from"] = list(node.takes)
    shared = {local: name for local, name in node.parameters.items() if name != f"{node.name}.{local}"}
    return {**table, "parameters": shared} if shared else table


def described(thing: Any, kinds: Mapping[str, type[Any]], key: str) -> dict[str, Any]:
    """Kind and fields of a layer, a loss or an optimizer.

    Raises:
        CaseError: it is not one of the package's, so that a file could not name it.
    """
    if kinds.get(thing.kind) is not type(thing):
        raise CaseError(f"one of the package's own kinds: {listed(kinds)}", type(thing).__qualname__, key=key)
    values = {field.name: getattr(thing, field.name) for field in fields(thing)}
    return {"kind": thing.kind, **{name: plain(value) for name, value in values.items() if value is not None}}


def plain(value: Any) -> Any:
    """A field's value in the types that TOML has."""
    if isinstance(value, tuple):
        return [plain(part) for part in value]
    if isinstance(value, Schedule):
        return {"schedule": value.kind, **{field.name: plain(getattr(value, field.name)) for field in fields(value)}}
    return value.item() if isinstance(value, np.generic) else value


def storable(array: Array, key: str) -> Array:
    """The array, in extended precision as the float64 that is equal to it.

    Raises:
        CaseError: there is no such float64.
    """
    if array.dtype != np.longdouble:
        return array
    with np.errstate(over="ignore", under="ignore"):
        stored = array.astype(np.float64)
    other = np.argwhere(stored.astype(np.longdouble) != array)
    if len(other):
        place = [int(index) for index in other[0]]
        raise CaseError("numbers that float64 holds, as files do", f"{array[tuple(place)]} at {place}", key=key)
    return stored


def as_toml(table: Mapping[str, Any]) -> bytes:
    """The table as a file, with each row of numbers on a line of its own.

    Raises:
        CaseError: a text that UTF-8 cannot hold.
    """
    # Texts hold no bare line break, so this finds nothing but the ends of innermost arrays.
    rows = re.compile(r"\[\n\s+([^\[\]{}\"\n]+(?:,\n\s+[^\[\]{}\"\n]+)*),\n\s*\]")
    text = rows.sub(lambda row: "[" + re.sub(r",\n\s+", ", ", row[1]) + "]", tomli_w.dumps(table))
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise CaseError("text that UTF-8 can hold", repr(error.object[error.start])) from None
