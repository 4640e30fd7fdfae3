"""Hostile and broken input: each is refused in one line, nothing in a file is executed, nothing is half-written."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases.files import LARGEST_TEXT, inside, write_bytes, write_text
from crosscheck.cases.tensors import LARGEST_HEADER, as_tensors, tensors_in
from crosscheck.cli import app
from samples import case_file
from typer.testing import CliRunner

# -------------------------------------------------------------------------------------------------- safetensors


def packed(header: bytes | dict[str, Any], data: bytes = b"", length: int | None = None) -> bytes:
    """A safetensors file by hand: the length of its header, or another, its header, its data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def tensor(begin: int, end: int, shape: list[Any] | None = None, dtype: str = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": [(end - begin) // 4] if shape is None else shape, "data_offsets": [begin, end]}


class Bomb:
    """What a pickle would do."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.system, ("touch exploded",))


def zipped() -> bytes:
    """A zip of a few kilobytes that unpacks to 64 megabytes."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("tensors.npy", bytes(2**26))
    return content.getvalue()


def numpy_archive() -> bytes:
    content = io.BytesIO()
    np.savez(content, a=np.array([Bomb()], object))
    return content.getvalue()


TWICE = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
WHOLE = packed({"a": tensor(0, 8), "b": tensor(8, 12)}, bytes(12))

FILES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "received 0 bytes"),
    "truncated in the length": (WHOLE[:5], "received 5 bytes"),
    "truncated in the header": (WHOLE[:50], "received 50 bytes"),
    "truncated in the data": (WHOLE[:-1], "a.*received|b: expected the 4 bytes of shape .1,. in F32; received 3"),
    "more than the header says": (WHOLE + b"x", "by its header; received"),
    "overlapping": (packed({"a": tensor(0, 8), "b": tensor(4, 12)}, bytes(12)), "neither overlap nor leave room"),
    "the same bytes twice": (packed({"a": tensor(0, 8), "b": tensor(0, 8)}, bytes(8)), "neither overlap nor leave"),
    "a hole": (packed({"a": tensor(0, 4), "b": tensor(8, 12)}, bytes(12)), "neither overlap nor leave room"),
    "not from the start": (packed({"a": tensor(4, 8)}, bytes(8)), "from byte 0; received from byte 4"),
    "backwards": (packed({"a": {**tensor(0, 8), "data_offsets": [8, 0]}}, bytes(8)), "received"),
    "beyond the file": (packed({"a": tensor(0, 2**50)}, bytes(8)), "received 8"),
    "oversized header": (packed(b"{}", length=2**62), "its header at most 33,554,432 bytes"),
    "header longer than the file": (packed(b"{}", length=3), "of which the header is 3"),
    "duplicate tensor": (packed(TWICE, bytes(4)), "each key once; received 'a' twice"),
    "duplicate key of a tensor": (
        packed(b'{"a":{"dtype":"F32","shape":[1],"shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        "received 'shape' twice",
    ),
    "unknown key of a tensor": (packed({"a": {**tensor(0, 4), "execute": "x"}}, bytes(4)), "a.execute"),
    "missing key of a tensor": (packed({"a": {"dtype": "F32", "shape": [1]}}, bytes(4)), "a.data_offsets"),
    "shape bomb": (packed({"a": tensor(0, 8, [2**40, 2**40])}, bytes(8)), "received 8"),
    "shape bomb of no elements": (packed({"a": tensor(0, 0, [0, 2**62, 2**62])}), "a shape that NumPy can have"),
    "shape of many axes": (packed({"a": tensor(0, 4, [1] * 10_000)}, bytes(4)), "a.shape"),
    "negative shape": (packed({"a": tensor(0, 8, [-2, -1])}, bytes(8)), "a.shape.0"),
    "shape of another kind": (packed({"a": tensor(0, 8, [2.0])}, bytes(8)), "a.shape.0"),
    "true for a number": (packed({"a": tensor(0, 4, [True])}, bytes(4)), "a.shape.0"),
    "number of a thousand digits": (packed(b'{"a":{"shape":[1' + b"0" * 5000 + b"]}}"), "received"),
    "NaN": (packed(b'{"a":NaN}'), "finite numbers only; received NaN"),
    "deep JSON": (packed(b'{"a":' * 100_000), "nested less deeply"),
    "deep lists": (packed(b'{"a":' + b"[" * 100_000), "nested less deeply"),
    "not JSON": (packed(b"{not JSON}"), "expected JSON"),
    "no table": (packed(b"[]"), "a JSON table"),
    "not UTF-8": (packed(b'{"\xff":1}'), "expected JSON"),
    "texts that are none": (packed({"__metadata__": {"a": 1}}), "__metadata__"),
    "a type that NumPy has not": (packed({"a": tensor(0, 4, [4], "F8_E4M3")}, bytes(4)), "received 'F8_E4M3'"),
    "pickled": (pickle.dumps(Bomb()), "a whole safetensors file"),
    "zip bomb": (zipped(), "a whole safetensors file"),
    "NumPy archive of pickles": (numpy_archive(), "a whole safetensors file"),
    "text": (b"once upon a time there was no trace at all", "a whole safetensors file"),
}


@pytest.mark.parametrize("what", FILES)
def test_broken_file_is_no_trace(what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data, message = FILES[what]
    Path("a.trace").write_bytes(data)
    with pytest.raises(cc.CaseError, match=f"^a.trace: .*({message if data else 'an empty one'})") as raised:
        cc.load_trace("a.trace")
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400
    assert not Path("exploded").exists()


@pytest.mark.parametrize("what", FILES)
def test_broken_file_is_no_file_of_weights(what: str, tmp_path: Path) -> None:
    data, message = FILES[what]
    (tmp_path / "w.safetensors").write_bytes(data)
    with pytest.raises(cc.CaseError, match=message) as raised:
        cc.load_case(case_file(tmp_path, weights='file = "w.safetensors"'))
    assert raised.value.key.startswith("weights.file")
    assert "\n" not in str(raised.value)


def test_whole_file_is_read() -> None:
    assert {name: array.shape for name, array in tensors_in(WHOLE).items()} == {"a": (2,), "b": (1,)}


# -------------------------------------------------------------------------------------------------------- traces


@pytest.fixture(scope="module")
def recorded() -> cc.Trace:
    return cc.record(cc.load_case("article", dtype="bfloat16"))


def taken_apart(path: Path) -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """The header of a trace, its head, and its data."""
    content = path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    return header, json.loads(header["__metadata__"]["crosscheck.trace"].split(" ", 2)[2]), content[start:]


def put_together(path: Path, header: dict[str, Any], head: Any, data: bytes, schema: str = "1") -> None:
    """The same as a file, with the right hash of whatever head it is."""
    text = head if isinstance(head, str) else json.dumps(head)
    header["__metadata__"] = {"crosscheck.trace": f"{schema} {hashlib.sha256(text.encode()).hexdigest()} {text}"}
    path.write_bytes(packed(header, data))


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change the head of a trace, and make its hash that of the new one."""

    def apply(path: Path) -> None:
        header, head, data = taken_apart(path)
        change(head)
        put_together(path, header, head, data)

    return apply


def replace_text(old: bytes, new: bytes) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        content = path.read_bytes()
        assert old in content
        path.write_bytes(content.replace(old, new, 1))

    return apply


def flip_last_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def other_schema(path: Path) -> None:
    put_together(path, *taken_apart(path), schema="2")


def deep_head(path: Path) -> None:
    header, _, data = taken_apart(path)
    put_together(path, header, '{"a":' * 100_000, data)


def duplicate_in_head(path: Path) -> None:
    header, head, data = taken_apart(path)
    put_together(path, header, json.dumps(head)[:-1] + ', "source": "another"}', data)


def not_bfloat16(path: Path) -> None:
    """A number that is none of bfloat16, with the right hash."""
    header, head, data = taken_apart(path)
    entry = next(entry for entry in head["tensors"] if entry["name"] == "0/forward/j")
    begin, end = header["0/forward/j"]["data_offsets"]
    changed = bytearray(data)
    changed[begin] |= 1
    entry["sha256"] = hashlib.sha256(changed[begin:end]).hexdigest()
    put_together(path, header, head, bytes(changed))


def swapped_in_header(path: Path) -> None:
    header, head, data = taken_apart(path)
    header["0/forward/k"], header["0/forward/j"] = header["0/forward/j"], header["0/forward/k"]
    put_together(path, header, head, data)


def with_case(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(head: dict[str, Any]) -> None:
        assert old in head["case"]
        head["case"] = head["case"].replace(old, new, 1)

    return change


def without(head: dict[str, Any], name: str) -> None:
    head["tensors"] = [entry for entry in head["tensors"] if entry["name"] != name]


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a bit of a tensor": (flip_last_byte, "a tensor that is as it was recorded; received one with another hash"),
    "a letter of the head": (replace_text(b"learning_rate", b"learning_race"), "a head that is as it was recorded"),
    "another schema": (other_schema, "a trace of schema 1, the one that this version reads; received '2'"),
    "no trace": (lambda path: path.write_bytes(WHOLE), "a safetensors file of something else"),
    "deep head": (deep_head, "nested less deeply"),
    "duplicate key in the head": (duplicate_in_head, "received 'source' twice"),
    "unknown key in the head": (edit(lambda head: head.update(execute="rm")), "head.execute"),
    "missing key in the head": (edit(lambda head: head.pop("operations")), "head.operations"),
    "another type in the head": (edit(lambda head: head.update(source=1)), "head.source"),
    "no hash": (edit(lambda head: head["tensors"][0].update(sha256="")), "head.tensors.0.sha256"),
    "a tensor that the head does not list": (edit(lambda head: without(head, "0/forward/j")), "0/forward/j"),
    "a tensor that the head lists twice": (
        edit(lambda head: head["tensors"].append(head["tensors"][-1])),
        "each tensor once",
    ),
    "another dtype in the head": (
        edit(lambda head: head["tensors"][-1].update(dtype="float64")),
        "expected float64 of shape .* as the head says",
    ),
    "another shape in the head": (edit(lambda head: head["tensors"][-1].update(shape=[2**40])), "as the head says"),
    "tensors that change places": (swapped_in_header, "0/forward/[jk]: expected a tensor that is as it was recorded"),
    "numbers that are none of bfloat16": (not_bfloat16, "0/forward/j: expected bfloat16 numbers"),
    "a case that is no TOML": (edit(with_case("name =", "name")), "expected TOML"),
    "a case that does not fit": (edit(with_case("outputs = 4", "outputs = 5")), "nodes.k.inputs: expected 5"),
    "a case that names a file": (
        edit(with_case("[data]\ninputs = [\n    [0.2001953125, 0.10009765625],\n]\n", '[data]\nfile = "../x"\n')),
        "data",
    ),
    "absolute name": (
        edit(lambda head: head.update(case=head["case"].split("[weights]")[0] + '[weights]\nfile = "/etc/passwd"\n')),
        "weights.file: expected a file whose arrays were recorded with the case; received '/etc/passwd'",
    ),
    "a name that leads upwards": (
        edit(lambda head: head.update(case=head["case"].split("[weights]")[0] + '[weights]\nfile = "../w"\n')),
        "weights.file: expected a file whose arrays were recorded with the case; received '../w'",
    ),
    "a tensor's name that is a path": (
        lambda path: replace_text(b"0/forward/j", b"/etc/passwd")(path),
        "expected",
    ),
}


@pytest.mark.parametrize("what", DAMAGES)
def test_damaged_trace_is_refused(
    what: str, recorded: cc.Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    damage, message = DAMAGES[what]
    cc.save_trace(recorded, "a.trace")
    damage(Path("a.trace"))
    with pytest.raises(cc.CaseError, match=f"^a.trace: .*{message}") as raised:
        cc.load_trace("a.trace")
    assert "\n" not in str(raised.value)


def test_every_byte_of_a_trace_counts(recorded: cc.Trace, tmp_path: Path) -> None:
    """A bit that flips is found, wherever it is."""
    path = tmp_path / "a.trace"
    cc.save_trace(recorded, path)
    content = path.read_bytes()
    for place in np.random.default_rng(0).integers(len(content), size=60):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(place % 8)
        path.write_bytes(damaged)
        with pytest.raises(cc.CaseError):
            cc.load_trace(path)


def test_header_that_takes_all_memory_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    with path.open("wb") as file:
        file.write((LARGEST_HEADER + 1).to_bytes(8, "little"))
        file.truncate(8 + LARGEST_HEADER + 1)
    with pytest.raises(cc.CaseError, match="its header at most"):
        cc.load_trace(path)


@pytest.mark.parametrize("kind", ["folder", "pipe", "device", "nothing"])
def test_what_is_no_file_is_no_trace(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)  # of which reading would never end
    elif kind == "device":
        path.symlink_to("/dev/zero")
    with pytest.raises(cc.CaseError, match=r"a\.trace: expected a file"):
        cc.load_trace(path)


def test_names_cannot_drive_a_terminal(recorded: cc.Trace, tmp_path: Path) -> None:
    evil = "0/forward/\x1b[31m\u202ered"
    trace = cc.Trace("\x1b[2J", recorded.case, {"device": "\x1b[0m"}, {evil: np.zeros(3, np.float32)})
    for name in "ab":
        cc.save_trace(trace, tmp_path / f"{name}.trace")
    out = str(tmp_path / "out")
    result = CliRunner().invoke(app, ["compare", *(str(tmp_path / f"{name}.trace") for name in "ab"), "--out", out])
    assert result.exit_code == 1
    assert "\x1b" not in result.output
    assert "\u202e" not in result.output


# ---------------------------------------------------------------------------------------------------- case files

CASES: dict[str, tuple[dict[str, object], str]] = {
    "deep arrays": ({"top": "frozen = " + "[" * 100_000}, "nested less deeply"),
    "deep tables": ({"top": "symbols = " + "{a=" * 100_000}, "nested less deeply"),
    "a key of many parts": ({"top": ".".join("a" * 100_000) + " = 1"}, "line 3: expected keys of at most 64 parts"),
    "a table of many parts": ({"nodes": f"[{'.'.join(['a', chr(34) * 2] * 50_000)}]"}, "keys of at most 64 parts"),
    "many rows": ({"data": "seed = 1\nbatch = 1_000_000_000_000"}, "arrays of 536,870,912 numbers in all"),
    "a long row": ({"data": f"seed = 1\nbatch = 1\nshape = [{2**40}, 3]"}, "arrays of 536,870,912 numbers in all"),
    "many weights": ({"inputs": 10**12, "data": "inputs = [[1.0]]\ntargets = [[1.0]]"}, "weights.a.weight: .* numbers"),
    "many steps": ({"top": "steps = 1_000_000_000"}, "steps: expected .* at most a million"),
    "a name that is a path": ({"top": 'about = "x"', "weights": 'file = "/etc/passwd"'}, "folder downwards"),
    "a name that leads upwards": ({"weights": 'file = "../w.safetensors"'}, "a path from the case's folder downwards"),
    "a name that leads upwards, backwards": ({"weights": "file = '..\\w.safetensors'"}, "folder downwards"),
    "a name of another disk": ({"weights": "file = 'c:\\w.safetensors'"}, "folder downwards"),
    "a name with a zero byte": ({"weights": 'file = "w\\u0000"'}, "expected a path; received"),
}


@pytest.mark.parametrize("what", CASES)
def test_hostile_case_file_is_refused(what: str, tmp_path: Path) -> None:
    parts, message = CASES[what]
    with pytest.raises(cc.CaseError, match=message) as raised:
        cc.load_case(case_file(tmp_path, **parts))
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 400


def test_node_that_makes_much_of_little_is_refused(tmp_path: Path) -> None:
    path = case_file(tmp_path, data="seed = 1\nbatch = 2\nshape = [3, 5]")
    layer = 'kind = "conv1d"\ninputs = 3\noutputs = 2\nkernel = 1\npadding = 1_000_000_000'
    path.write_text(path.read_text().replace('kind = "dense"\ninputs = 3\noutputs = 2', layer))
    with pytest.raises(cc.CaseError, match=r"nodes\.a: expected arrays of 536,870,912 numbers in all"):
        cc.load_case(path)


def test_huge_toml_is_not_read(tmp_path: Path) -> None:
    path = case_file(tmp_path)
    os.truncate(path, LARGEST_TEXT + 1)
    with pytest.raises(
        cc.CaseError, match=r"a file of at most 4,194,304 bytes; received 'mine\.toml', which is larger"
    ):
        cc.load_case(path)


def test_huge_file_of_weights_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "w.safetensors").open("wb") as file:
        file.truncate(2**40)  # which takes no room on the disk
    with pytest.raises(cc.CaseError, match="a file of at most 4,294,967,296 bytes"):
        cc.load_case(case_file(tmp_path, weights='file = "w.safetensors"'))


def test_link_out_of_the_cases_folder_is_not_followed(tmp_path: Path) -> None:
    weights = as_tensors({"a.weight": np.ones((3, 2)), "a.bias": np.ones(2)})
    (tmp_path / "outside.safetensors").write_bytes(weights)
    folder = tmp_path / "case"
    (folder / "below").mkdir(parents=True)
    (folder / "inside.safetensors").write_bytes(weights)
    for link, target in (("good", folder / "inside.safetensors"), ("bad", tmp_path / "outside.safetensors")):
        (folder / "below" / link).symlink_to(target)
    assert cc.load_case(case_file(folder, weights='file = "below/good"')).parameters
    with pytest.raises(cc.CaseError, match=r"weights\.file: expected a path that stays in .*'below/bad'"):
        cc.load_case(case_file(folder, weights='file = "below/bad"'))


@pytest.mark.parametrize("name", ["mine.toml", "w.safetensors"])
@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_pipe_and_device_are_no_files_of_a_case(kind: str, name: str, tmp_path: Path) -> None:
    path = case_file(tmp_path, weights='file = "w.safetensors"')
    (tmp_path / name).unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(tmp_path / name)
    else:
        (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(cc.CaseError, match=r"a device or a pipe|a path that stays in"):
        cc.load_case(path)


# ----------------------------------------------------------------------------------------------------- what is written


def no_room(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_leaves_what_stood_there(recorded: cc.Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace, case, text = tmp_path / "a.trace", tmp_path / "mine.toml", tmp_path / "agreement.md"
    cc.save_trace(recorded, trace)
    cc.save_case(cc.load_case("article"), case)
    write_text(text, "before")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", no_room)
    for write in (
        lambda: cc.save_trace(recorded, trace),
        lambda: cc.save_case(cc.load_case("mazur"), case),
        lambda: write_text(text, "after"),
    ):
        with pytest.raises((cc.CaseError, OSError), match="No space left on device"):
            write()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_disk_that_fills_while_a_trace_is_written(recorded: cc.Trace, tmp_path: Path) -> None:
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", tmp_path]).returncode:
        pytest.skip("needs to be allowed to mount a small file system")
    try:
        cc.save_trace(recorded, tmp_path / "a.trace")
        before = (tmp_path / "a.trace").read_bytes()
        large = cc.Trace("large", recorded.case, {}, {"0/forward/j": np.ones(2**16)})
        with pytest.raises(cc.CaseError, match="No space left on device"):
            cc.save_trace(large, tmp_path / "a.trace")
        assert [path.name for path in tmp_path.iterdir()] == ["a.trace"]
        assert (tmp_path / "a.trace").read_bytes() == before
    finally:
        subprocess.run(["umount", tmp_path], check=True)


def test_unwritable_folder(recorded: cc.Trace, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(cc.CaseError, match="expected a path that can be written"):
        cc.save_trace(recorded, tmp_path / "file" / "a.trace")
    with pytest.raises(cc.CaseError, match="expected a path that can be written"):
        cc.save_trace(recorded, tmp_path)


@pytest.mark.parametrize("case_link", [True, False], ids=["folder of the case", "name of the case"])
def test_link_out_of_the_output_folder_is_not_followed(
    case_link: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("elsewhere").mkdir()
    Path("out").mkdir()
    if case_link:
        Path("out/article").symlink_to(Path("elsewhere").absolute())
        cc.save_trace(cc.record("article"), "a.trace")
        result = CliRunner().invoke(app, ["compare", "a.trace", "a.trace", "--out", "out"])
        assert result.exit_code == 2
        assert "expected a path that stays in 'out'; received 'article'" in " ".join(result.output.split())
    else:
        with pytest.raises(cc.CaseError, match="which leads to"):
            inside(Path("out"), "../elsewhere")
        with pytest.raises(cc.CaseError, match="which leads to"):
            inside(Path("out"), str(Path("elsewhere").absolute()))
    assert list(Path("elsewhere").iterdir()) == []


def test_file_that_is_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / "agreement.json").symlink_to(tmp_path / "precious")
    write_text(tmp_path / "agreement.json", "new")
    assert (tmp_path / "precious").read_text() == "kept"
    assert (tmp_path / "agreement.json").read_text() == "new"


SAVE_AND_STOP = """
import sys, time
import crosscheck as cc
from crosscheck.traces import saving
from crosscheck.cases import files

def half(tensors, path, metadata):
    written(tensors, path, metadata)
    data = open(path, "rb").read()
    open(path, "wb").write(data[: len(data) // 2])
    stop()

def stop(*_):
    print("now", flush=True)
    time.sleep(600)

written = saving.save_file
if sys.argv[1] == "writing":
    saving.save_file = half
else:
    files.os.replace = stop
cc.save_trace(cc.record("mazur"), "a.trace")
"""


@pytest.mark.parametrize("when", ["writing", "moving"])
def test_killed_while_it_writes_leaves_what_stood_there(when: str, recorded: cc.Trace, tmp_path: Path) -> None:
    cc.save_trace(recorded, tmp_path / "a.trace")
    before = (tmp_path / "a.trace").read_bytes()
    command = [sys.executable, "-c", SAVE_AND_STOP, when]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "now\n"
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "a.trace").read_bytes() == before
    assert cc.load_trace(tmp_path / "a.trace").source == "reference"


SAVE_OFTEN = """
import sys
import crosscheck as cc
from dataclasses import replace
trace = replace(cc.record("article"), source=sys.argv[1])
for _ in range(20):
    cc.save_trace(trace, "a.trace")
    cc.load_trace("a.trace")
"""


def test_of_four_writers_at_once_one_is_there_whole(tmp_path: Path) -> None:
    commands = [[sys.executable, "-c", SAVE_OFTEN, str(number)] for number in range(4)]
    processes = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) for command in commands]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [(b"", 0)] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["a.trace"]
    assert cc.load_trace(tmp_path / "a.trace").source in "0123"


SAVE_CASES = """
import sys
import numpy as np
import crosscheck as cc
number = int(sys.argv[1])
wide = cc.Case("wide", [cc.Node("a", cc.Dense(40, 30))], cc.MeanSquaredError(), cc.SGD(0.5),
    weights={"a.weight": np.full((40, 30), number), "a.bias": np.full(30, number)},
    batches=[cc.Batch(np.full((2, 40), number), np.full((2, 30), number))])
for _ in range(10):
    cc.save_case(wide, "a.toml")
"""


def test_of_four_writers_of_a_case_at_once_one_is_there_whole(tmp_path: Path) -> None:
    """Its arrays stand in files of their own."""
    commands = [[sys.executable, "-c", SAVE_CASES, str(number)] for number in range(4)]
    processes = [subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) for command in commands]
    assert [(process.communicate()[1], process.returncode) for process in processes] == [(b"", 0)] * 4
    case = cc.load_case(tmp_path / "a.toml")
    numbers = {float(array.flat[0]) for array in (*case.weights.values(), case.batch(0).inputs, case.batch(0).targets)}
    assert len(numbers) == 1


def test_what_is_written_may_be_read_by_whom_the_process_lets(recorded: cc.Trace, tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        cc.save_trace(recorded, tmp_path / "a.trace")
        write_bytes(tmp_path / "b", b"")
    finally:
        os.umask(mask)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a.trace", "b")] == [0o640, 0o640]


# ------------------------------------------------------------------------------------------------- subnormal numbers


def test_process_that_takes_subnormal_numbers_for_0_compares_nothing(tmp_path: Path) -> None:
    """It would take 1e-310 and 0 for equal."""
    torch = pytest.importorskip("torch")
    if not torch.set_flush_denormal(True):
        pytest.skip("this processor cannot")
    try:
        cc.save_trace(cc.record("article"), tmp_path / "a.trace")
        with pytest.raises(cc.CaseError, match="a process that knows subnormal numbers"):
            cc.check("article", ["torch"])
    finally:
        torch.set_flush_denormal(False)
    cc.save_trace(cc.record("article"), tmp_path / "b.trace")
    assert cc.compare(tmp_path / "a.trace", tmp_path / "b.trace", local=False).differing == {
        "subnormals": ("taken for 0", "")
    }
