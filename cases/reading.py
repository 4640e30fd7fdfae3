"""From a case file to a case, and from every mistake in the file to one line that says where and what."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.resources.abc import Traversable
from pathlib import Path, PureWindowsPath
from typing import Any, TypeAlias, TypeVar

from ..reference import CLIPS
from ..reference.case import Batch, Case
from ..reference.dtypes import DTYPES
from ..reference.errors import CaseError, listed, printable
from ..reference.layers import LAYERS, Array
from ..reference.losses import LOSSES
from ..reference.network import Node, Term, output_shapes, parameter_shapes, resolve
from ..reference.optimizers import OPTIMIZERS, SCHEDULES, Schedule
from .drawing import draw_batch, draw_weights, require_room
from .files import LARGEST_ARRAYS, LARGEST_TEXT, inside, read_file
from .listing import SUFFIX, folder, names
from .tables import (
    ArraysTable,
    CaseTable,
    DrawnTable,
    FileTable,
    KindTable,
    LossTable,
    NodeTable,
    ScheduleTable,
    SeedTable,
    Table,
    TermTable,
    of_kind,
    shown,
    shown_keys,
    shown_text,
    table_of,
    validated,
    with_nearest,
)
from .tensors import tensors_in

Drawn = TypeVar("Drawn")
Beside: TypeAlias = Callable[[str], Mapping[str, Array]]
"""Finds the arrays that stand beside a case, by the name of their file."""

AS_IT_STANDS = ("name", "about", "dtype", "steps", "micro_batches", "accumulation", "frozen", "symbols")
"""Keys of the file that are fields of a case."""

MOST_PARTS = 64
MANY_PARTS = re.compile(rf"""(?<![\w-])(?:(?:[\w-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){{{MOST_PARTS}}}""")
"""So many names with dots between them, which may be a key: reading one takes the square of its parts."""

TOML_PLACE = re.compile(r"(?P<what>.*) \(at (?P<place>.*)\)", re.DOTALL)


def load_case(name_or_path: str | os.PathLike[str], *, dtype: str | None = None) -> Case:
    """Load a built-in case by its name, or a case file by its path, which ends in ``.toml``.

    With ``dtype`` the case is computed in that one. The values are then cast from what the file says, once, and never
    through the dtype that stands in the file.

    Raises:
        CaseError: there is no such case; or the file cannot be read, is not a case, or describes one that does not
            fit together. The text is one line with the file, the key, what is expected and what was received.

    >>> case = load_case("article", dtype="float32")
    >>> case.dtype, [node.name for node in case.nodes]
    ('float32', ['j', 'j.relu', 'k', 'k.tanh', 'o', 'o.softmax'])
    """
    if dtype is not None and dtype not in DTYPES:
        raise CaseError(f"one of {listed(DTYPES)}", shown(dtype), key="dtype")
    place, file, called = locate(name_or_path)
    with telling(called):
        return case_in(read_file(place, file, LARGEST_TEXT), partial(read_tensors, place), dtype)


@contextmanager
def telling(called: str) -> Iterator[None]:
    """Have every error say in one line which file it is about."""
    try:
        yield
    except CaseError as error:
        raise on_printable(error).in_file(called) from None
    except RecursionError:
        raise CaseError("tables and arrays that are nested less deeply", "too many levels", file=called) from None


def case_in(text: bytes, beside: Beside, dtype: str | None = None) -> Case:
    """The case that a text describes, with the arrays that stand beside it; in ``dtype``, where one is given."""
    table = parsed(text)
    case = case_of({**table, "dtype": dtype} if dtype else table, beside)
    require_small(case)
    return case


def require_small(case: Case) -> None:
    """Raise CaseError where a node makes an array that no one has room for, however small the case is."""
    for batch in case.batches:
        require_room(case.shapes(batch.inputs.shape), "nodes")


def locate(name_or_path: str | os.PathLike[str]) -> tuple[Traversable, str, str]:
    """The folder and the name of the case's file, and what messages call it."""
    text = os.fspath(name_or_path)
    if text.endswith(SUFFIX):
        path = Path(text)
        return path.parent, path.name, printable(text)
    known = names()
    if text not in known or not isinstance(name_or_path, str):
        received = f"{shown(text)}, a directory" if os.path.isdir(text) else with_nearest(text, known)
        raise CaseError(f"a path that ends in {SUFFIX!r}, or a built-in case: {listed(known)}", received)
    return folder(), text + SUFFIX, text + SUFFIX


def parsed(data: bytes) -> dict[str, Any]:
    """The file's table.

    Raises:
        CaseError: the file is not UTF-8, or not TOML, with the place.
    """
    try:
        text = data.decode("utf-8-sig")
        if many := MANY_PARTS.search(text):
            line = text.count("\n", 0, many.start()) + 1
            raise CaseError(f"keys of at most {MOST_PARTS} parts", shown_text(many[0]), key=f"line {line}")
        return tomllib.loads(text)
    except CaseError:
        raise
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise CaseError("text in UTF-8", f"the byte 0x{error.object[error.start]:02x}", key=f"line {line}") from None
    except ValueError as error:
        found = TOML_PLACE.fullmatch(str(error))
        what, place = (found["what"], found["place"]) if found else (str(error), "")
        raise CaseError("TOML", shown_text(what), key=place) from None


def case_of(table: Mapping[str, Any], beside: Beside) -> Case:
    """The case that a file's table describes; ``beside`` finds the arrays of the files that it names."""
    given = validated(CaseTable, table)
    loss = loss_of(given)
    nodes = resolve(tuple(node_of(node, number) for number, node in enumerate(given["nodes"])), loss)
    clip = made(given["clip"], CLIPS, "clipping", KindTable, "clip")[0] if "clip" in given else None
    optimizer, _ = made(given["optimizer"], OPTIMIZERS, "optimizer", KindTable, "optimizer")
    data = (given["data"],) if isinstance(given["data"], dict) else given["data"]
    keys = [f"data.{step}" for step in range(len(data))] if len(data) > 1 else ["data"]
    return Case(
        nodes=nodes,
        loss=loss,
        optimizer=optimizer,
        batches=tuple(batch_of(batch, key, nodes, loss, beside) for batch, key in zip(data, keys, strict=True)),
        clip=clip,
        weights=weights_of(given.get("weights", {}), nodes, beside),
        **{name: given[name] for name in AS_IT_STANDS if name in given},
    )


def loss_of(given: Mapping[str, Any]) -> tuple[Term, ...]:
    """The losses: a table ``[loss]``, or several ``[[losses]]`` with names of their own."""
    if ("loss" in given) == ("losses" in given):
        raise CaseError("a table [loss], or tables [[losses]]", "both" if "loss" in given else "nothing", key="loss")
    if "loss" in given:
        loss, beside = made(given["loss"], LOSSES, "loss", LossTable, "loss")
        return (Term("loss", loss, **beside_kind(beside)),)
    found = []
    for number, table in enumerate(given["losses"]):
        name = table.get("name")
        loss, beside = made(table, LOSSES, "loss", TermTable, f"losses.{name if isinstance(name, str) else number}")
        found.append(Term(loss=loss, **beside_kind(beside)))
    if len(found) < 2:
        raise CaseError("two or more; one alone is a table [loss]", str(len(found)), key="losses")
    return tuple(found)


def beside_kind(beside: Mapping[str, Any]) -> dict[str, Any]:
    """What a table says beside the kind and its fields."""
    return {name: value for name, value in beside.items() if name != "kind"}


def node_of(table: Mapping[str, Any], number: int) -> Node:
    """A node; messages call it by its name, or by its number from 0 where it has none."""
    key = f"nodes.{table['name'] if isinstance(table.get('name'), str) else number}"
    layer, given = made(table, LAYERS, "layer", NodeTable, key)
    return Node(layer=layer, **{name: given[name] for name in ("name", "takes", "parameters") if name in given})


def made(
    table: Mapping[str, Any], kinds: Mapping[str, type[Any]], what: str, base: type[Table], key: str
) -> tuple[Any, dict[str, Any]]:
    """The layer, loss or optimizer that a table describes, and what else the table says: the fields of ``base``."""
    kind: type = of_kind(table, kinds, what, key)
    given = validated(table_of(kind, base), with_schedules(table, key), key)
    beside = {name: given.pop(name) for name in base.model_fields if name in given}
    try:
        return kind(**given), beside
    except CaseError as error:
        raise error.within(key) from None


def with_schedules(table: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The table with a schedule for each table in it that describes one: at ``learning_rate``, and at ``then``."""
    described = {name: table[name] for name in ("learning_rate", "then") if isinstance(table.get(name), Mapping)}
    return {**table, **{name: schedule_of(rule, f"{key}.{name}") for name, rule in described.items()}}


def schedule_of(table: Mapping[str, Any], key: str) -> Schedule:
    """The learning rate by a rule that a table describes."""
    kind: Any = of_kind(table, SCHEDULES, "schedule", key, named_by="schedule")
    given = validated(table_of(kind, ScheduleTable), with_schedules(table, key), key)
    del given["schedule"]
    try:
        made: Schedule = kind(**given)
        return made
    except CaseError as error:
        raise error.within(key) from None


def batch_of(
    table: Mapping[str, Any], key: str, nodes: tuple[Node, ...], loss: tuple[Term, ...], beside: Beside
) -> Batch:
    """The data of one step: written out, drawn, or in a file."""
    forms: dict[str, type[Table]] = {"inputs": ArraysTable, "seed": DrawnTable, "file": FileTable}
    forms_given = [name for name in forms if name in table]
    if len(forms_given) != 1:
        expected = "either 'inputs' and 'targets', or 'seed' and 'batch', or 'file'"
        raise CaseError(expected, shown_keys(table), key=key)
    given = validated(forms[forms_given[0]], table, key)
    if "seed" in given:
        width = getattr(nodes[0].layer, "inputs", None)
        if "shape" not in given and width is None:
            raise CaseError("the shape of one row, which the first node does not tell", "nothing", key=f"{key}.shape")
        shape = (given["batch"], *given.get("shape", (width,)))
        require_room(output_shapes(nodes, shape), "nodes")
        return drawn(lambda: draw_batch(nodes, loss, shape, given["seed"]), key)
    if "file" in given:
        return batch_in(found(beside, given["file"], f"{key}.file"), f"{key}.file")
    targets = given["targets"]
    if isinstance(targets, Mapping):
        targets = {name: numbers(array, f"{key}.targets.{name}") for name, array in targets.items()}
    else:
        targets = numbers(targets, f"{key}.targets")
    masks = {name: numbers(array, f"{key}.given.{name}") for name, array in given.get("given", {}).items()}
    return Batch(numbers(given["inputs"], f"{key}.inputs"), targets, masks)


def batch_in(tensors: Mapping[str, Array], key: str) -> Batch:
    """The data of one step in a file's tensors: ``inputs``, ``targets`` or ``targets.LOSS``, ``given.NODE.NAME``."""
    parts: dict[str, dict[str, Array]] = {"inputs": {}, "targets": {}, "given": {}}
    for name, array in tensors.items():
        table, _, rest = name.partition(".")
        parts.setdefault(table, {})[rest] = array
    inputs, targets, given, *others = parts.values()
    whole = "" in targets
    if others or set(inputs) != {""} or not targets or (whole and len(targets) > 1) or "" in given:
        expected = "the tensors 'inputs' and 'targets' (or 'targets.LOSS'), and 'given.NODE.NAME'"
        raise CaseError(expected, shown_keys(tensors), key=key)
    return Batch(inputs[""], targets[""] if whole else targets, given)


def weights_of(table: Mapping[str, Any], nodes: tuple[Node, ...], beside: Beside) -> Mapping[str, Array]:
    """Weights by name: written out, drawn, or in a file.

    ``seed`` and ``file`` mean just that, unless an array stands there: then they are names of parameters.
    """
    forms: dict[str, type[Table]] = {"seed": SeedTable, "file": FileTable}
    forms_given = [name for name in forms if name in table and not isinstance(table[name], list)]
    if not forms_given:
        return {name: numbers(array, f"weights.{name}") for name, array in table.items()}
    if len(table) > 1:
        raise CaseError("either 'seed', or 'file', or an array for each parameter", shown_keys(table), key="weights")
    given = validated(forms[forms_given[0]], table, "weights")
    if "seed" in given:
        shapes = parameter_shapes(nodes)
        require_room(shapes, "weights")
        return drawn(lambda: draw_weights(shapes, given["seed"]), "weights")
    return found(beside, given["file"], "weights.file")


def found(beside: Beside, name: str, key: str) -> Mapping[str, Array]:
    """The arrays of a file that the case names.

    Raises:
        CaseError: they are not to be had.
    """
    try:
        return beside(name)
    except CaseError as error:
        raise error.within(key) from None


def read_tensors(place: Traversable, name: str) -> dict[str, Array]:
    """The arrays of a safetensors file in the case's own folder or below.

    Raises:
        CaseError: a path that leads out of the folder, a file that is not there or not to be read.
    """
    path = PureWindowsPath(name)  # it takes both kinds of slash for one
    if path.anchor or ".." in path.parts:
        raise CaseError("a path from the case's folder downwards", shown(name))
    if isinstance(place, Path):
        inside(place, path.as_posix())
    return tensors_in(read_file(place, path.as_posix(), LARGEST_ARRAYS))


def numbers(value: Any, key: str) -> Any:
    """The nested lists, all of whose leaves are numbers; shape and range are the case's to check.

    Raises:
        CaseError: a leaf that is something else, with its place.
    """
    for place, leaf in leaves(value):
        if isinstance(leaf, bool) or not isinstance(leaf, int | float):
            hint = ' (a name with a dot stands in quotes: "j.weight")' if isinstance(leaf, Mapping) else ""
            at = f" at {list(place)}" if place else ""
            raise CaseError(f"an array of numbers{hint}", f"{shown(leaf)}{at}", key=key)
    return value


def leaves(value: Any, place: tuple[int, ...] = ()) -> Iterator[tuple[tuple[int, ...], Any]]:
    """What the innermost lists hold, with its place."""
    if isinstance(value, list | tuple):
        for number, part in enumerate(value):
            yield from leaves(part, (*place, number))
    else:
        yield place, value


def drawn(draw: Callable[[], Drawn], key: str) -> Drawn:
    """What is drawn.

    Raises:
        CaseError: there is no memory for so much.
    """
    try:
        return draw()
    except CaseError:
        raise
    except (MemoryError, OverflowError, ValueError) as error:
        raise CaseError("arrays that fit into memory", str(error), key=key) from None


def on_printable(error: CaseError) -> CaseError:
    """The same error on one line, whatever characters a file's keys are made of."""
    return CaseError(printable(error.expected), printable(error.received), key=printable(error.key), file=error.file)
