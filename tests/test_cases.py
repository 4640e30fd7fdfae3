"""Case files: what is built in, what every mistake is answered with, and that a case survives being saved."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from crosscheck.cases import built_in, load_case, same_case, save_case
from crosscheck.cases.drawing import draw_weights
from crosscheck.cases.random import KINKS
from crosscheck.cases.tables import Table, in_words, table_of
from crosscheck.cases.tensors import as_tensors, tensors_in
from crosscheck.comparison.running import run
from crosscheck.reference import (
    DTYPES,
    LAYERS,
    LOSSES,
    OPTIMIZERS,
    SGD,
    Adam,
    Add,
    Batch,
    BatchNorm,
    Case,
    CaseError,
    Conv2d,
    CrossEntropy,
    Dense,
    Gelu,
    Gru,
    Layer,
    LayerNorm,
    Lstm,
    MeanSquaredError,
    Node,
    Relu,
    Rnn,
    ScaledDotProductAttention,
    Sigmoid,
    Softmax,
    SoftmaxCrossEntropy,
    Tanh,
)
from crosscheck.reference.errors import listed
from crosscheck.reference.network import parameter_shapes, resolve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

BUILT_IN = tuple(sorted(path.stem for path in (Path(__file__).parents[1] / "cases").glob("*.toml")))
NETWORKS = {"autoencoder", "gpt2", "lenet", "llama", "resnet", "vit"}
"""Whole networks, whose sizes test_networks.py looks at."""
ALIKE = {"article", "mazur", "heads", "positions", "single-output", "pairs", "square-kernel", "tied", *NETWORKS}
"""Cases whose sizes are the point, or another's."""
OF_OTHER_SHAPES = {"attention", "character-lstm", "convolutional", "grouped-heads", "gru"}
"""Cases that have size tests of their own."""

NET = """
name = "small"
steps = 2

[[nodes]]
name = "a"
kind = "dense"
inputs = 3
outputs = 2

[[nodes]]
name = "a.tanh"
kind = "tanh"

[loss]
kind = "mean_squared_error"

[optimizer]
kind = "sgd"
learning_rate = 0.5
"""
DATA = """
[data]
inputs = [[1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 0, 1]]
targets = [[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]]
"""
DRAWN = """
[data]
seed = 1
batch = 4
"""
WEIGHTS = """
[weights]
"a.weight" = [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]]
"a.bias" = [0.7, 0.8]
"""
WHOLE = NET + DATA + WEIGHTS
SEEDED = NET + DRAWN + "[weights]\nseed = 2\n"

KINDS = f"a kind of layer: {', '.join(map(repr, sorted(LAYERS)))}"
TOP_KEYS = (
    "one of the keys 'about', 'accumulation', 'clip', 'data', 'dtype', 'frozen', 'loss', 'losses', 'micro_batches', "
    "'name', 'nodes', 'optimizer', 'steps', 'symbols', 'weights'"
)
NODE_KEYS = "one of the keys 'bias', 'from', 'inputs', 'kind', 'layout', 'name', 'outputs', 'parameters'"
RATE = "a number or a list of numbers or a schedule, a table such as {schedule = 'constant', start = 0.5}"
SGD_KEYS = "one of the keys 'dampening', 'decay', 'kind', 'learning_rate', 'momentum', 'nesterov', 'weight_decay'"
FORMS = "either 'inputs' and 'targets', or 'seed' and 'batch', or 'file'"
QUOTED = '(a name with a dot stands in quotes: "j.weight")'


def write(folder: Path, text: str | bytes) -> Path:
    """A case file with this text."""
    path = folder / "mine.toml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def error_of(load: Callable[[], object]) -> CaseError:
    """The error that loading ends with, whose text must be one line of its four parts."""
    with pytest.raises(CaseError) as raised:
        load()
    error = raised.value
    assert error.__cause__ is None
    assert "\n" not in str(error)
    where = ": ".join(part for part in (error.file, error.key) if part)
    assert str(error) == f"{where}{': ' if where else ''}expected {error.expected}; received {error.received}"
    return error


def swap(text: str, *swaps: tuple[str, str]) -> str:
    """The text with each first part replaced by its second, once."""
    for old, new in swaps:
        assert old in text
        text = text.replace(old, new, 1)
    return text


STEPS = "a whole number of at least 1, and at most a million"

BAD: dict[str, tuple[str, str, str, str]] = {
    "unknown layer": (swap(WHOLE, ('"tanh"', '"tahn"')), "nodes.a.tanh.kind", KINDS, "'tahn' (did you mean 'tanh'?)"),
    "layer without a kind": (swap(WHOLE, ('kind = "tanh"', "")), "nodes.a.tanh.kind", KINDS, "nothing"),
    "kind is no text": (swap(WHOLE, ('"tanh"', "3")), "nodes.a.tanh.kind", KINDS, "3"),
    "unknown loss": (
        swap(WHOLE, ("mean_squared_error", "mean_square_error")),
        "loss.kind",
        f"a kind of loss: {', '.join(map(repr, sorted(LOSSES)))}",
        "'mean_square_error' (did you mean 'mean_squared_error'?)",
    ),
    "unknown optimizer": (
        swap(WHOLE, ("sgd", "adamv")),
        "optimizer.kind",
        f"a kind of optimizer: {listed(OPTIMIZERS)}",
        "'adamv' (did you mean 'adam'?)",
    ),
    "width that does not fit": (
        swap(SEEDED, ('kind = "tanh"', 'kind = "dense"\ninputs = 4\noutputs = 5')),
        "nodes.a.tanh.inputs",
        "2, the width of what the node takes",
        "4",
    ),
    "width of zero": (swap(WHOLE, ("inputs = 3", "inputs = 0")), "nodes.a.inputs", "a width of at least 1", "0"),
    "missing weight": (
        swap(WHOLE, ('"a.bias" = [0.7, 0.8]', "")),
        "weights.a.bias",
        "an array of shape (2,)",
        "nothing",
    ),
    "no weights": (NET + DATA, "weights.a.weight", "an array of shape (3, 2)", "nothing"),
    "weight of another shape": (
        swap(WHOLE, ("[0.7, 0.8]", "[0.7]")),
        "weights.a.bias",
        "shape (2,), for node 'a'",
        "shape (1,)",
    ),
    "weight of no parameter": (
        swap(WHOLE, ('"a.bias"', '"a.bais"')),
        "weights.a.bais",
        "a parameter of the case: 'a.bias', 'a.weight'",
        "'a.bais'",
    ),
    "NaN weight": (
        swap(WHOLE, ("[0.7, 0.8]", "[0.7, nan]")),
        "weights.a.bias",
        "finite numbers of float64",
        "nan at [1]",
    ),
    "weight beyond the dtype": (
        swap('dtype = "float16"\n' + WHOLE, ("[0.7, 0.8]", "[0.7, 7e4]")),
        "weights.a.bias",
        "finite numbers of float16",
        "70000.0 at [1]",
    ),
    "truth value among numbers": (
        swap(WHOLE, ("[0.3, 0.4]", "[0.3, true]")),
        "weights.a.weight",
        "an array of numbers",
        "true at [1, 1]",
    ),
    "name without quotes": (
        swap(WHOLE, ('"a.bias"', "a.bias")),
        "weights.a",
        f"an array of numbers {QUOTED}",
        "{bias = [0.7, 0.8]}",
    ),
    "unknown key": (swap(WHOLE, ("steps", "step")), "step", TOP_KEYS, "'step' (did you mean 'steps'?)"),
    "unknown key of a node": (
        swap(WHOLE, ("inputs = 3", "inptus = 3")),
        "nodes.a.inptus",
        NODE_KEYS,
        "'inptus' (did you mean 'inputs'?)",
    ),
    "unknown key of the optimizer": (
        WHOLE.replace("[data]", "beta1 = 0.5\n[data]"),
        "optimizer.beta1",
        SGD_KEYS,
        "'beta1'",
    ),
    "unknown key of the loss": (
        swap(WHOLE, ('_error"', '_error"\nreduce = 1')),
        "loss.reduce",
        "one of the keys 'from', 'kind', 'reduction'",
        "'reduce' (did you mean 'reduction'?)",
    ),
    "unknown key of the data": (
        swap(SEEDED, ("batch = 4", "batch = 4\nrows = 4")),
        "data.rows",
        "one of the keys 'batch', 'seed', 'shape'",
        "'rows'",
    ),
    "missing key": (swap(WHOLE, ('name = "small"', "")), "name", "a name in quotes", "nothing"),
    "missing key of a node": (swap(WHOLE, ("outputs = 2", "")), "nodes.a.outputs", "a whole number", "nothing"),
    "node without a name": (swap(WHOLE, ('name = "a.tanh"', "")), "nodes.1.name", "a name in quotes", "nothing"),
    "missing key of the optimizer": (
        swap(WHOLE, ("learning_rate = 0.5", "")),
        "optimizer.learning_rate",
        RATE,
        "nothing",
    ),
    "missing key of the data": (
        swap(WHOLE, ("targets = ", "[weights2]\ntargets = "), ("[weights2]\n", "#")),
        "data.targets",
        "an array of numbers",
        "nothing",
    ),
    "no data": (NET + WEIGHTS, "data", "a table [data], or tables [[data]], one for each step", "nothing"),
    "no nodes": (
        'name = "x"\nnodes = []\nloss = {kind = "cross_entropy"}\noptimizer = {kind = "sgd", learning_rate = 1}\n'
        "data = {seed = 1, batch = 2}",
        "nodes",
        "at least one node",
        "none",
    ),
    "empty file": ("", "name", "a name in quotes", "nothing"),
    "float for a whole number": (
        swap(WHOLE, ("inputs = 3", "inputs = 3.0")),
        "nodes.a.inputs",
        "a whole number",
        "3.0",
    ),
    "truth value for a whole number": (
        swap(WHOLE, ("inputs = 3", "inputs = true")),
        "nodes.a.inputs",
        "a whole number",
        "true",
    ),
    "text for a number": (
        swap(WHOLE, ("= 0.5", '= "fast"')),
        "optimizer.learning_rate",
        RATE,
        "'fast'",
    ),
    "number for a truth value": (
        swap(WHOLE, ("= 0.5", "= 0.5\nnesterov = 1")),
        "optimizer.nesterov",
        "true or false",
        "1",
    ),
    "long value": (
        swap(WHOLE, ("= 0.5", f"= '{'x' * 99}'")),
        "optimizer.learning_rate",
        RATE,
        f"'{'x' * 60}...",
    ),
    "number for a text": (swap(WHOLE, ("steps = 2", "about = 2")), "about", "a text in quotes", "2"),
    "text for a list": (
        swap(WHOLE, ('"tanh"', '"tanh"\nfrom = "a"')),
        "nodes.a.tanh.from",
        "a list of nodes' names",
        "'a'",
    ),
    "table for a list of tables": (
        swap(WHOLE, ("[[nodes]]", "[nodes]"), ('[[nodes]]\nname = "a.tanh"\nkind = "tanh"', "")),
        "nodes",
        "tables [[nodes]]",
        "{name = 'a', kind = 'dense', inputs = 3, outputs = 2}",
    ),
    "number for a table": (
        swap("loss = 3\n" + WHOLE, ('[loss]\nkind = "mean_squared_error"', "")),
        "loss",
        "a table [loss]",
        "3",
    ),
    "symbol without quotes": (
        WHOLE + '[symbols]\na.tanh = "h"',
        "symbols",
        'a table of texts (a name with a dot in quotes: "j.weight")',
        "{a = {tanh = 'h'}}",
    ),
    "unknown convention": (
        swap(WHOLE, ('_error"', '_error"\nreduction = "half"')),
        "loss.reduction",
        "one of 'half_sum', 'mean', 'none', 'sum'",
        "'half'",
    ),
    "hyperparameter out of range": (
        swap(WHOLE, ("= 0.5", "= 0.5\nmomentum = 1")),
        "optimizer.momentum",
        "a number in [0, 1)",
        "1.0",
    ),
    "unknown dtype": (
        'dtype = "float8"\n' + WHOLE,
        "dtype",
        "one of 'bfloat16', 'float16', 'float32', 'float64', 'longdouble'",
        "'float8'",
    ),
    "no steps": (swap(WHOLE, ("steps = 2", "steps = 0")), "steps", STEPS, "0"),
    "not TOML": ("name = \n", "line 1, column 8", "TOML", "Invalid value"),
    "cut short": ("name = [1,", "end of document", "TOML", "Invalid value"),
    "key given twice": ("a = 1\na = 2\n", "line 2, column 6", "TOML", "Cannot overwrite a value"),
    "endless number": (
        "a = " + "9" * 5000,
        "",
        "TOML",
        "Exceeds the limit (4300 digits) for integer string conversion...",
    ),
    "nested too deeply": ("a = " + "[" * 5000, "", "tables and arrays that are nested less deeply", "too many levels"),
    "ragged weights": (
        swap(WHOLE, ("[0.3, 0.4]", "[0.3]")),
        "weights.a.weight",
        "rows of equal length",
        "a ragged array",
    ),
    "ragged inputs": (swap(WHOLE, ("[4, 5, 6]", "[4, 5]")), "data.inputs", "rows of equal length", "a ragged array"),
    "text for inputs": (
        swap(WHOLE, ("[4, 5, 6]", "[4, 'x', 6]")),
        "data.inputs",
        "an array of numbers",
        "'x' at [1, 1]",
    ),
    "targets of another shape": (
        swap(WHOLE, ("[[0.5, 0.5], ", "[")),
        "data.targets",
        "shape (4, 2)",
        "shape (3, 2)",
    ),
    "number of batches": (
        swap(SEEDED, ("steps = 2", "steps = 3"), ("[data]", "[[data]]\nseed = 3\nbatch = 4\n[[data]]")),
        "data",
        "1 batch, or one for each of 3 steps",
        "2",
    ),
    "mistake in the second batch": (
        swap(SEEDED, ("[data]", "[[data]]\nseed = 3\nbatch = 4\n[[data]]"), ("seed = 1", "seed = -1")),
        "data.1.seed",
        "a whole number of at least 0",
        "-1",
    ),
    "number of learning rates": (
        swap(WHOLE, ("= 0.5", "= [1, 2, 3]")),
        "optimizer.learning_rate",
        "one number, or a list of 2, one for each step",
        "a list of 3",
    ),
    "weights as seed and as arrays": (
        WHOLE + "seed = 2",
        "weights",
        "either 'seed', or 'file', or an array for each parameter",
        "'a.bias', 'a.weight', 'seed'",
    ),
    "seed of weights is no number": (
        swap(SEEDED, ("seed = 2", "seed = 2.5")),
        "weights.seed",
        "a whole number of at least 0",
        "2.5",
    ),
    "data as arrays and as seed": (
        swap(WHOLE, ("[data]", "[data]\nseed = 1")),
        "data",
        FORMS,
        "'inputs', 'seed', 'targets'",
    ),
    "data of no form": (swap(SEEDED, ("seed = 1\nbatch = 4", "")), "data", FORMS, "none"),
    "seed without batch": (swap(SEEDED, ("batch = 4", "")), "data.batch", "a whole number of at least 1", "nothing"),
    "row of another shape": (
        swap(SEEDED, ("batch = 4", "batch = 4\nshape = [7]")),
        "nodes.a.inputs",
        "7, the width of what the node takes",
        "3",
    ),
    "row of unknown shape": (
        swap(SEEDED, ('kind = "dense"\ninputs = 3\noutputs = 2', 'kind = "relu"')),
        "data.shape",
        "the shape of one row, which the first node does not tell",
        "nothing",
    ),
    "path upwards": (
        swap(SEEDED, ("seed = 2", 'file = "../w.safetensors"')),
        "weights.file",
        "a path from the case's folder downwards",
        "'../w.safetensors'",
    ),
    "absolute path": (
        swap(SEEDED, ("seed = 2", 'file = "/w.safetensors"')),
        "weights.file",
        "a path from the case's folder downwards",
        "'/w.safetensors'",
    ),
    "absolute path of another system": (
        swap(SEEDED, ("seed = 2", r"file = 'C:\w.safetensors'")),
        "weights.file",
        "a path from the case's folder downwards",
        r"'C:\\w.safetensors'",
    ),
    "missing safetensors": (
        swap(SEEDED, ("seed = 2", 'file = "w.safetensors"')),
        "weights.file",
        "a file",
        "'w.safetensors', which does not exist",
    ),
    "name of two lines": (
        swap(WHOLE, ('"a.tanh"', r'"a\ntanh"')),
        r"nodes.a\ntanh.name",
        "a name of letters, digits, '_', '-' and '.', not beginning with '.' or '-'",
        r"'a\ntanh'",
    ),
    "node twice": (
        swap(WHOLE, ('"a.tanh"', '"a"')),
        "nodes.a",
        "a name of its own",
        "'a', the name of an earlier node",
    ),
    "unknown frozen parameter": (
        'frozen = ["a.bais"]\n' + WHOLE,
        "frozen.a.bais",
        "a parameter of the case: 'a.bias', 'a.weight'",
        "'a.bais'",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_mistake_is_told_with_its_place(what: str, tmp_path: Path) -> None:
    text, key, expected, received = BAD[what]
    path = write(tmp_path, text)
    error = error_of(lambda: load_case(path))
    assert (error.file, error.key, error.expected, error.received) == (str(path), key, expected, received)


def test_not_utf8(tmp_path: Path) -> None:
    path = write(tmp_path, b'name = "x"\n# \xff\n')
    error = error_of(lambda: load_case(path))
    assert (error.key, error.expected, error.received) == ("line 2", "text in UTF-8", "the byte 0xff")


def test_missing_file(tmp_path: Path) -> None:
    error = error_of(lambda: load_case(tmp_path / "none.toml"))
    assert error.file == str(tmp_path / "none.toml")
    assert (error.expected, error.received) == ("a file", "'none.toml', which does not exist")


def test_directory_named_like_a_file(tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    error = error_of(lambda: load_case(tmp_path / "folder.toml"))
    assert (error.expected, error.received) == ("a file", "'folder.toml', a directory")


def test_directory_as_a_name(tmp_path: Path) -> None:
    error = error_of(lambda: load_case(tmp_path))
    assert error.expected.startswith("a path that ends in '.toml', or a built-in case: ")
    assert error.received.endswith(", a directory")


def test_unknown_name() -> None:
    error = error_of(lambda: load_case("artcle"))
    names = ", ".join(map(repr, BUILT_IN))
    assert error.expected == f"a path that ends in '.toml', or a built-in case: {names}"
    assert error.received == "'artcle' (did you mean 'article'?)"


def test_unknown_dtype_asked_for() -> None:
    error = error_of(lambda: load_case("article", dtype="float8"))
    assert (error.file, error.key, error.received) == ("", "dtype", "'float8'")


def test_message_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, swap(SEEDED, ("inputs = 3", "inputs = 'three'")))
    error = error_of(lambda: load_case("mine.toml"))
    assert str(error) == "mine.toml: nodes.a.inputs: expected a whole number; received 'three'"


BFLOAT16_HEADER = b'{"a.bias":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'

WHOLE_FILE = "a whole safetensors file, its header at most 33,554,432 bytes"

TENSORS: dict[str, tuple[bytes, str, str, str]] = {
    "not safetensors": (b"no such thing", "", WHOLE_FILE, "13 bytes"),
    "a type unknown to NumPy": (
        len(BFLOAT16_HEADER).to_bytes(8, "little") + BFLOAT16_HEADER + bytes(4),
        ".a.bias",
        "tensors of a type that NumPy has",
        "'BF16'",
    ),
}


@pytest.mark.parametrize("what", TENSORS)
def test_unreadable_tensors(what: str, tmp_path: Path) -> None:
    data, key, expected, received = TENSORS[what]
    (tmp_path / "w.safetensors").write_bytes(data)
    path = write(tmp_path, swap(SEEDED, ("seed = 2", 'file = "w.safetensors"')))
    error = error_of(lambda: load_case(path))
    assert (error.key, error.expected) == (f"weights.file{key}", expected)
    assert error.received.startswith(received)


def test_data_file_with_other_tensors(tmp_path: Path) -> None:
    (tmp_path / "d.safetensors").write_bytes(as_tensors({"inputs": np.ones((4, 3)), "x": np.ones(2)}))
    path = write(tmp_path, swap(SEEDED, ("seed = 1\nbatch = 4", 'file = "d.safetensors"')))
    error = error_of(lambda: load_case(path))
    assert (error.key, error.received) == ("data.file", "'inputs', 'x'")
    assert error.expected == "the tensors 'inputs' and 'targets' (or 'targets.LOSS'), and 'given.NODE.NAME'"


TYPED = ("", "[", "]", '"', "\n", "=", "nan", "-1", "{}", "1e999", "\x00", "é")


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, len(WHOLE)), typed=st.sampled_from(TYPED), erased=st.integers(0, 3))
def test_whatever_a_file_says_is_a_case_or_a_case_error(tmp_path: Path, place: int, typed: str, erased: int) -> None:
    path = write(tmp_path, WHOLE[:place] + typed + WHOLE[place + erased :])
    with suppress(CaseError):
        load_case(path)


KINDS_OF_ALL = [*LAYERS.values(), *LOSSES.values(), *OPTIMIZERS.values()]


@pytest.mark.parametrize("kind", KINDS_OF_ALL, ids=lambda kind: kind.kind)
def test_every_field_of_the_reference_has_words(kind: type) -> None:
    for field in table_of(kind, Table).model_fields.values():
        assert in_words(field.annotation)


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (tuple[int, int], "a list of 2 whole numbers"),
        (int | None, "a whole number"),
        (bool | Literal["same", "valid"], "true or false or one of 'same', 'valid'"),
    ],
    ids=["fixed length", "optional", "union"],
)
def test_types_in_words(annotation: Any, words: str) -> None:
    assert in_words(annotation) == words


# What a good file means


def test_values_are_cast_once(tmp_path: Path) -> None:
    path = write(tmp_path, swap('dtype = "float16"\n' + WHOLE, ("[0.7, 0.8]", "[0.1, 1e5]")))
    with pytest.raises(CaseError, match="float16"):
        load_case(path)
    case = load_case(path, dtype="float64")
    assert case.weights["a.bias"].tolist() == [0.1, 1e5]
    assert load_case(path, dtype="float32").weights["a.bias"].tobytes() == np.array([0.1, 1e5], "float32").tobytes()
    assert load_case(path, dtype="longdouble").weights["a.bias"][0] == np.longdouble(0.1)


def test_whole_numbers_do_where_floats_are_wanted(tmp_path: Path) -> None:
    case = load_case(write(tmp_path, swap(WHOLE, ("= 0.5", "= [1, 0.5]"), ("[0.7, 0.8]", "[1, 2]"))))
    assert case.optimizer == SGD((1.0, 0.5))
    assert case.weights["a.bias"].tolist() == [1.0, 2.0]
    assert case.weights["a.bias"].dtype == np.float64


def test_one_learning_rate_and_one_batch_serve_every_step(tmp_path: Path) -> None:
    case = load_case(write(tmp_path, WHOLE))
    assert (case.steps, case.learning_rates, len(case.batches)) == (2, (0.5, 0.5), 1)


def test_shape_of_a_row_is_the_width_of_the_first_node(tmp_path: Path) -> None:
    assert load_case(write(tmp_path, SEEDED)).batches[0].inputs.shape == (4, 3)


def test_shape_of_a_row_can_be_given(tmp_path: Path) -> None:
    text = swap(
        SEEDED, ('kind = "dense"\ninputs = 3\noutputs = 2', 'kind = "relu"'), ("batch = 4", "batch = 4\nshape = [2, 5]")
    )
    assert load_case(write(tmp_path, text)).batches[0].inputs.shape == (4, 2, 5)


def test_weights_and_data_from_files(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    weights = {"a.weight": generator.normal(size=(3, 2)), "a.bias": generator.normal(size=2)}
    data = {"inputs": generator.normal(size=(4, 3)), "targets": generator.normal(size=(4, 2))}
    (tmp_path / "below").mkdir()
    (tmp_path / "below/w.safetensors").write_bytes(as_tensors(weights))
    (tmp_path / "d.safetensors").write_bytes(as_tensors(data))
    files = (("seed = 2", 'file = "below/w.safetensors"'), ("seed = 1\nbatch = 4", 'file = "d.safetensors"'))
    case = load_case(write(tmp_path, swap(SEEDED, *files)))
    assert all(np.array_equal(case.weights[name], array) for name, array in weights.items())
    assert np.array_equal(case.batches[0].inputs, data["inputs"])
    assert np.array_equal(case.batches[0].targets, data["targets"])


@pytest.mark.parametrize("name", ["seed", "file"])
def test_parameter_may_be_named_like_a_form(name: str, tmp_path: Path) -> None:
    text = swap(WHOLE, ("outputs = 2", f'outputs = 2\nparameters = {{ bias = "{name}" }}'), ('"a.bias"', name))
    assert load_case(write(tmp_path, text)).weights[name].tolist() == [0.7, 0.8]


def test_file_of_another_system(tmp_path: Path) -> None:
    path = write(tmp_path, b"\xef\xbb\xbf" + WHOLE.replace("\n", "\r\n").encode())
    assert same_case(load_case(path), load_case(write(tmp_path, WHOLE)))


# Seeded draws


def test_draws_are_these_numbers() -> None:
    """The numbers themselves, so that no change of the order or of the scale goes unseen."""
    generator = np.random.Generator(np.random.PCG64(7))
    weight = (generator.standard_normal((4, 2)) / 2).astype(np.float16)
    bias = (generator.standard_normal(2) * 0.5).astype(np.float16)
    drawn = draw_weights({"a.weight": (4, 2), "a.bias": (2,)}, seed=7)
    assert np.array_equal(drawn["a.weight"], weight)
    assert np.array_equal(drawn["a.bias"], bias)
    assert drawn["a.bias"].tolist() == [-0.24609375, -0.310302734375]


def test_inputs_are_drawn_before_targets(tmp_path: Path) -> None:
    generator = np.random.Generator(np.random.PCG64(1))
    (batch,) = load_case(write(tmp_path, SEEDED)).batches
    assert np.array_equal(batch.inputs, generator.standard_normal((4, 3)).astype(np.float16))
    assert np.array_equal(batch.targets, generator.standard_normal((4, 2)).astype(np.float16))


def test_indices_are_drawn_and_not_rounded() -> None:
    generator = np.random.Generator(np.random.PCG64(13))
    (batch,) = load_case("attention").batches
    assert np.array_equal(batch.inputs, generator.integers(8, size=(3, 5)))
    assert np.array_equal(batch.targets, generator.integers(2, size=(3, 5)))
    assert batch.inputs.dtype == np.int64


@pytest.mark.parametrize("name", ["activations", "attention", "convolutional", "mlp", "regression", "residual"])
def test_draws_are_exact_in_every_dtype(name: str) -> None:
    half, extended = load_case(name, dtype="float16"), load_case(name, dtype="longdouble")
    for path, array in half.weights.items():
        assert np.array_equal(array.astype(np.longdouble), extended.weights[path])
    for a, b in zip(half.batches, extended.batches, strict=True):
        assert np.array_equal(a.inputs.astype(np.longdouble), b.inputs)
        assert np.array_equal(a.targets.astype(np.longdouble), b.targets)


def test_parameters_are_drawn_in_the_order_of_the_case() -> None:
    case = load_case("residual")
    assert parameter_shapes(case.nodes) == case.parameters
    assert list(case.weights) == list(case.parameters)


# The built-in cases


def test_listing_is_of_these_cases() -> None:
    assert tuple(built_in()) == BUILT_IN


def test_listing_imports_neither_numpy_nor_pydantic() -> None:
    code = (
        "import sys; from crosscheck.cases import built_in; assert built_in(); "
        "print([name for name in ('numpy', 'pydantic', 'safetensors') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_case_says_what_it_is(name: str) -> None:
    case = load_case(name)
    assert case.name == name
    assert case.about == built_in()[name]
    assert case.about
    assert "\n" not in case.about


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_case_runs(name: str, dtype: str) -> None:
    case = load_case(name, dtype=dtype)
    trace = run(case)
    assert len(trace) > 0
    for tensor in trace:
        assert trace.dtype_of(tensor) == (dtype if dtype == "bfloat16" else str(np.dtype(dtype)))
        assert np.isfinite(trace[tensor]).all()


def widths(case: Case) -> list[int]:
    """The widths of the dense nodes, each once for every time that it changes."""
    dense = [node.layer for node in case.nodes if isinstance(node.layer, Dense)]
    return [dense[0].inputs, *(layer.outputs for layer in dense if layer.outputs != layer.inputs)]


@pytest.mark.parametrize("name", [name for name in BUILT_IN if name not in {*ALIKE, *OF_OTHER_SHAPES}])
def test_nothing_hides_behind_equal_sizes(name: str) -> None:
    case = load_case(name)
    sizes = [*widths(case), *{len(batch.inputs) for batch in case.batches}]
    if name == "article-batch":
        sizes = sizes[:-1]  # its three rows are the lesson's, and as many as its outputs
    assert len(set(sizes)) == len(sizes)
    assert 1 not in sizes
    assert case.steps > 1
    assert len(set(case.learning_rates)) > 1


def test_nothing_hides_behind_equal_sizes_of_sequences() -> None:
    """Sequences, places, symbols, and the widths: of the table, of keys, of values, in between, and the classes."""
    case = load_case("attention")
    layers = {node.name: node.layer for node in case.nodes}
    (rows, width), (_, keys), (_, values) = (case.parameters[f"{name}.weight"] for name in "xqv")
    assert case.parameters["k.weight"] == case.parameters["q.weight"] == (width, keys)
    sizes = [*case.batch(0).inputs.shape, rows, width, keys, values, layers["wide"].outputs, layers["o"].outputs]  # type: ignore[attr-defined]
    assert sorted(sizes) == list(range(2, 10))
    assert case.steps > 1
    assert len(set(case.learning_rates)) > 1


@pytest.mark.parametrize("name", ["character-lstm", "gru"])
def test_nothing_hides_behind_equal_sizes_of_recurrent_layers(name: str) -> None:
    case = load_case(name)
    (batch,) = case.batches
    layers = [node.layer for node in case.nodes]
    sizes = [*batch.inputs.shape, layers[0].rows, layers[0].width]  # type: ignore[attr-defined]
    sizes += [layer.hidden for layer in layers if isinstance(layer, Rnn | Lstm | Gru)]
    sizes += [layers[-1].outputs]  # type: ignore[attr-defined]
    assert len(set(sizes)) == len(sizes)
    assert 1 not in sizes


def test_nothing_hides_behind_equal_sizes_of_heads() -> None:
    """Heads of queries, heads of keys, sequences, places, and the widths of a key and of a value."""
    case = load_case("grouped-heads")
    shapes = case.shapes(case.batch(0).inputs.shape)
    (n, heads, places, of_keys), (_, shared, _, of_values) = shapes["q.heads"], shapes["v.heads"]
    assert len({n, heads, shared, places, of_keys, of_values}) == 6
    assert case.steps > 1
    assert len(set(case.learning_rates)) > 1


def test_indices_repeat_and_some_are_missing() -> None:
    (batch,) = load_case("attention").batches
    counts = np.bincount(batch.inputs.ravel(), minlength=8)
    assert 0 in counts
    assert max(counts) > 2
    assert any(len(set(row)) < len(row) for row in batch.inputs.tolist())


def test_nothing_hides_behind_equal_sizes_of_images() -> None:
    case = load_case("convolutional")
    (n, channels, height, width), shapes = case.batch(0).inputs.shape, case.shapes(case.batch(0).inputs.shape)
    sizes = [n, channels, *(shape[1] for name, shape in shapes.items() if name in ("a", "b"))]
    assert len(set(sizes)) == len(sizes)
    assert height != width
    for node in case.nodes:
        if isinstance(node.layer, Conv2d):
            rows, columns = shapes[node.name][2:]
            assert rows != columns
            for pair in (node.layer.kernel, node.layer.stride, node.layer.padding):
                assert pair[0] != pair[1]
    assert n not in (1, *sizes[1:])
    assert case.steps > 1
    assert len(set(case.learning_rates)) > 1


@pytest.mark.parametrize("name", BUILT_IN)
def test_only_what_is_intended_stands_near_its_kink(name: str) -> None:
    case = load_case(name)
    trace = run(case)
    near: dict[str, list[Any]] = {}
    for step, node in product(range(case.steps), case.nodes):
        for kink in KINKS[node.layer.kind](node.layer) if node.layer.kind in KINKS else ():
            apart = trace[f"{step}/forward/{node.takes[0]}"] - kink
            if places := np.argwhere(np.abs(apart) < 1e-4).tolist():
                assert not apart[tuple(np.transpose(places))].any()
                near.setdefault(node.name, []).extend(places)
    intended = {"activations": {"below.elu"}, "article-batch": {"j.relu"}}
    assert near.keys() == intended.get(name, set())
    if name == "article-batch":
        assert near["j.relu"] == [[1, 2]]


@pytest.mark.parametrize("dtype", DTYPES)
def test_intended_kink_is_exact(dtype: str) -> None:
    case = load_case("article-batch", dtype=dtype)
    trace = run(case)
    assert trace["0/forward/j"][1, 2] == 0
    x, weight, bias = case.batch(0).inputs[1], case.weights["j.weight"][:, 2], case.weights["j.bias"][2]
    assert (x[0] * weight[0] + x[1] * weight[1]) + bias == x[0] * weight[0] + (x[1] * weight[1] + bias) == 0
    assert trace["0/backward/j.relu"][1, 2] != 0
    assert trace["0/backward/j"][1, 2] == 0


def test_article_batch_is_the_article_but_for_a_column() -> None:
    article, batch = load_case("article"), load_case("article-batch")
    assert [node.layer for node in batch.nodes] == [node.layer for node in article.nodes]
    assert batch.symbols == article.symbols
    for name, array in article.weights.items():
        columns = [0, 1, 3] if name.startswith("j.") else slice(None)
        assert np.array_equal(array[..., columns], batch.weights[name][..., columns])


def test_residual_uses_values_and_a_weight_twice() -> None:
    uses = load_case("residual").uses
    assert uses["input"] == ["u", "first"]
    assert uses["first"] == ["v", "second"]
    assert uses["u.weight"] == ["u", "v"]


# Saving


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_case_survives_saving(name: str, dtype: str, tmp_path: Path) -> None:
    case = load_case(name, dtype=dtype)
    save_case(case, tmp_path / "mine.toml")
    assert "mine.toml" in os.listdir(tmp_path)
    assert same_case(load_case(tmp_path / "mine.toml"), case)


@pytest.mark.parametrize("batches", [1, 2])
def test_large_arrays_go_beside_the_file(batches: int, tmp_path: Path) -> None:
    case = wide_case("float32", batches)
    save_case(case, tmp_path / "big.toml")
    data = ["data"] if batches == 1 else ["data.0", "data.1"]

    def kinds() -> list[str]:
        return sorted(re.sub(r"\.[0-9a-f]{8}\.", ".*.", name) for name in os.listdir(tmp_path))

    assert kinds() == sorted(["big.toml", *(f"big.{what}.*.safetensors" for what in ("weights", *data))])
    assert same_case(load_case(tmp_path / "big.toml"), case)
    save_case(case.with_steps(1), tmp_path / "big.toml")
    assert same_case(load_case(tmp_path / "big.toml"), case.with_steps(1))


def test_saving_anew_leaves_no_arrays_of_before_and_what_is_not_its_own(tmp_path: Path) -> None:
    save_case(wide_case("float64"), tmp_path / "big.toml")
    (tmp_path / "big.weights.safetensors").write_bytes(b"somebody else's")
    before = set(os.listdir(tmp_path))
    save_case(wide_case("float32"), tmp_path / "big.toml")
    kept = before & set(os.listdir(tmp_path))
    assert kept == {"big.toml", "big.weights.safetensors"}
    assert len(os.listdir(tmp_path)) == 4


def test_case_and_arrays_belong_together_when_it_is_cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by a kill between two files: what stood there is still there, whole."""
    before = wide_case("float64")
    changed = replace(before, weights={name: 2 * value for name, value in before.weights.items()})
    save_case(before, tmp_path / "big.toml")
    moved = os.replace

    def cut_short(source: Any, place: Any) -> None:
        if str(place).endswith(".toml"):
            raise OSError(errno.EIO, "cut short")
        moved(source, place)

    monkeypatch.setattr(os, "replace", cut_short)
    with pytest.raises(CaseError, match=r"cut short|Input/output"):
        save_case(changed, tmp_path / "big.toml")
    assert same_case(load_case(tmp_path / "big.toml"), before)


def wide_case(dtype: str, batches: int = 1) -> Case:
    """A case with more numbers than are written inline."""
    generator = np.random.default_rng(0)
    return Case(
        name="wide",
        nodes=(Node("a", Dense(40, 30)),),
        loss=MeanSquaredError(),
        optimizer=SGD(0.5),
        weights={"a.weight": generator.normal(size=(30, 40)).T, "a.bias": generator.normal(size=30)},
        batches=tuple(Batch(generator.normal(size=(40, 2)).T, generator.normal(size=(2, 30))) for _ in range(batches)),
        dtype=dtype,
    )


def test_longdouble_that_no_float64_equals_is_refused(tmp_path: Path) -> None:
    third = np.longdouble(1) / 3
    if third == np.float64(third):
        pytest.skip("longdouble is float64 here")
    article = load_case("article", dtype="longdouble")
    case = replace(article, weights={**article.weights, "o.bias": np.array([1, 2, third])})
    error = error_of(lambda: save_case(case, tmp_path / "mine.toml"))
    assert (error.key, error.expected) == ("weights.o.bias", "numbers that float64 holds, as files do")
    assert error.received == f"{third} at [2]"
    assert os.listdir(tmp_path) == []


class Own(Layer):
    """A layer that is not one of the package's."""

    kind = "relu"


def test_layer_of_ones_own_is_refused(tmp_path: Path) -> None:
    article = load_case("article")
    nodes = (*article.nodes[:-1], Node("o.own", Own()))
    error = error_of(lambda: save_case(replace(article, nodes=nodes, symbols={}), tmp_path / "mine.toml"))
    assert (error.key, error.received) == ("nodes.o.own", "Own")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "received"), [("mine.json", "'mine.json'"), ("nowhere/mine.toml", "No such file or directory")]
)
def test_path_that_cannot_be_written(name: str, received: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert error_of(lambda: save_case(load_case("article"), name)).received == received


def test_text_that_utf8_cannot_hold(tmp_path: Path) -> None:
    error = error_of(lambda: save_case(replace(load_case("article"), about="\ud800"), tmp_path / "mine.toml"))
    assert (error.expected, error.received) == ("text that UTF-8 can hold", r"'\ud800'")
    assert os.listdir(tmp_path) == []


def test_what_stood_there_stays_when_saving_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, WHOLE)
    monkeypatch.setattr("crosscheck.cases.writing.same_case", lambda a, b: False)
    with pytest.raises(RuntimeError, match="nothing was kept"):
        save_case(load_case("article"), path)
    assert os.listdir(tmp_path) == ["mine.toml"]
    assert path.read_text() == WHOLE


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("order", ["rows", "columns", "strided", "no axes"])
def test_tensors_of_any_order_in_memory(order: str, dtype: str) -> None:
    base = np.arange(24.0).reshape(4, 6).astype(dtype)
    array = {"rows": base, "columns": base.T, "strided": base[::2, ::-3], "no axes": base[1, 1]}[order]
    back = tensors_in(as_tensors({"x": np.asanyarray(array)}))["x"]
    assert back.shape == array.shape
    assert np.array_equal(back, array)


@pytest.mark.parametrize(
    "change",
    [
        lambda case: replace(case, name="other"),
        lambda case: replace(case, about="other"),
        lambda case: replace(case, loss=CrossEntropy("mean")),
        lambda case: replace(case, optimizer=SGD(0.02)),
        lambda case: replace(case, frozen=("o.bias",)),
        lambda case: replace(case, dtype="float32"),
        lambda case: replace(case, symbols={}),
        lambda case: replace(case, steps=2),
        lambda case: replace(case, weights={**case.weights, "o.bias": [0.63796468, 0.68917391, 0.8716 + 1e-16]}),
        lambda case: replace(case, batches=(Batch(np.array([[0.2, 0.1]]), np.array([[1.0, 0.0, -0.0]])),)),
    ],
    ids=["name", "about", "loss", "optimizer", "frozen", "dtype", "symbols", "steps", "last bit", "sign of zero"],
)
def test_what_differs_is_not_the_same_case(change: Callable[[Case], Case]) -> None:
    case = load_case("article")
    assert same_case(case, replace(case))
    assert not same_case(case, change(case))


# Random cases


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A small graph of layers that take rows of numbers, with some loss, optimizer, sharing and data."""
    width, generator = draw(st.integers(1, 4)), np.random.default_rng(draw(st.integers(0, 99)))
    nodes: list[Node] = []
    for number in range(draw(st.integers(1, 6))):
        names = ["input", *(node.name for node in nodes)]
        layer: Layer = draw(
            st.sampled_from(
                [
                    *(Dense(width, width), Relu(), Tanh(), Sigmoid(), Softmax(), Add(), Gelu("tanh"), LayerNorm(width)),
                    BatchNorm(width, epsilon=0.5, training=False, momentum_of="old"),
                    ScaledDotProductAttention(causal=True),
                ]
            )
        )
        takes = (names[-1], *(draw(st.sampled_from(names)) for _ in range((layer.arity or 3) - 1)))
        dense = [node.name for node in nodes if isinstance(node.layer, Dense)]
        shared = {"weight": f"{dense[0]}.weight"} if dense and isinstance(layer, Dense) and draw(st.booleans()) else {}
        nodes.append(Node(draw(st.sampled_from([f"n{number}", f"n{number}.é-x"])), layer, takes, shared))
    losses = [
        MeanSquaredError("half_sum"),
        CrossEntropy(),
        SoftmaxCrossEntropy(),
        SoftmaxCrossEntropy("sum", "distributions"),
    ]
    loss = draw(st.sampled_from(losses))
    steps = draw(st.integers(1, 3))
    rates: list[float | tuple[float, ...]] = [0.1, 2, tuple(0.1 * step for step in range(steps))]
    rate = draw(st.sampled_from(rates))
    optimizer = draw(st.sampled_from([SGD(rate), SGD(rate, momentum=0.9, nesterov=True), Adam(rate, epsilon=1e-5)]))
    rows = draw(st.integers(1, 3))

    def batch() -> Batch:
        return Batch(generator.normal(size=(rows, width)), loss.draw_target(generator, (rows, width)))

    shapes = parameter_shapes(resolve(tuple(nodes)))
    return Case(
        name="random",
        about=draw(st.text(st.characters(codec="utf-8"), max_size=20)),
        nodes=tuple(nodes),
        loss=loss,
        optimizer=optimizer,
        weights={name: generator.normal(size=shape) for name, shape in shapes.items()},
        batches=tuple(batch() for _ in range(draw(st.sampled_from([1, steps])))),
        steps=steps,
        dtype=draw(st.sampled_from(DTYPES)),
        frozen=tuple(draw(st.lists(st.sampled_from(sorted(shapes)), unique=True))) if shapes else (),
        symbols=draw(
            st.dictionaries(st.sampled_from(["input", "loss"]), st.text(st.characters(codec="utf-8"), max_size=5))
        ),
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(case=cases(), inline=st.booleans())
def test_random_case_survives_saving(case: Case, inline: bool, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("crosscheck.cases.writing.INLINE_ELEMENTS", 10**6 if inline else 0)
        save_case(case, tmp_path / "mine.toml")
    assert same_case(load_case(tmp_path / "mine.toml"), case)
