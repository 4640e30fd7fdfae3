"""The shell face: what it prints, what it writes, and its exit status."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from pathlib import Path

import crosscheck as cc
import pytest
from crosscheck import adapters
from crosscheck.cases import built_in
from crosscheck.cli import app
from crosscheck.faults.conventions import convention_fields
from crosscheck.reference import CLIPS, SCHEDULES
from crosscheck.rendering import catalogue
from typer.testing import CliRunner, Result

KINDS: dict[str, dict[str, type]] = {
    "layers": {**cc.LAYERS},
    "losses": {**cc.LOSSES},
    "optimizers": {**cc.OPTIMIZERS},
    "clips": {**CLIPS},
    "schedules": {**SCHEDULES},
}
ANSI = re.compile(r"\x1b\[[0-9;]*m")


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    return Shell()


class Shell:
    """Runs the program as a shell would, in an empty folder."""

    def __call__(self, *arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments))


def said(result: Result) -> str:
    return " ".join(ANSI.sub("", result.output).split())


@pytest.fixture
def broken_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch with a tanh that is not quite one."""
    torch = pytest.importorskip("torch")
    monkeypatch.setattr(torch.nn.Tanh, "forward", lambda self, x: torch.tanh(x) * 1.0001)


def test_agreeing_run_is_status_0_and_writes_a_report(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    result = shell("run", "article", "--against", "torch,jax", "--json", "out.json")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out.json").read_text())
    assert list(record["subjects"]) == ["torch", "jax"]
    names = list(cc.record("article"))
    for subject in record["subjects"].values():
        assert [tensor["name"] for tensor in subject["tensors"]] == names
        assert {tensor["verdict"] for tensor in subject["tensors"]} == {"agree"}
    written = tmp_path / "reports" / "article"
    assert (written / "agreement.json").read_text() == (tmp_path / "out.json").read_text()
    assert "everything compared agrees" in (written / "agreement.md").read_text()
    assert f"{2 * len(names)} tensors compared, all agree" in said(result)


def test_disagreeing_run_is_status_1_and_names_the_tensor(shell: Shell, broken_torch: None) -> None:
    result = shell("run", "article", "--against", "torch")
    assert result.exit_code == 1
    assert "first divergence 0/forward/k.tanh, in 0/forward(k.tanh)" in said(result)


def test_several_cases_are_a_list_in_json(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    result = shell("run", "article", "mazur", "--against", "torch", "--json", "out.json")
    assert result.exit_code == 0, result.output
    assert [record["case"] for record in json.loads((tmp_path / "out.json").read_text())] == ["article", "mazur"]


def test_options_reach_the_run(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    arguments = ("--against", "torch", "--dtype", "float32", "--steps", "2", "--only", "*/gradient/*", "--out", "here")
    result = shell("run", "article", *arguments)
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "here" / "article" / "agreement.json").read_text())
    assert (record["dtype"], record["steps"]) == ("float32", 2)
    tensors = record["subjects"]["torch"]["tensors"]
    assert {tensor["name"].split("/")[1] for tensor in tensors} == {"gradient"}
    assert {tensor["name"].split("/")[0] for tensor in tensors} == {"0", "1"}
    assert {tensor["dtype"] for tensor in tensors} == {"float32"}


def test_unsupported_is_printed_and_status_1_only_when_strict(shell: Shell) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    cc.save_case(dampened(), "dampened.toml")
    result = shell("run", "dampened.toml", "--against", "torch,jax")
    assert result.exit_code == 0, result.output
    assert "unsupported: optax.sgd has no dampening" in said(result)
    assert "1 unsupported, which is no agreement" in said(result)
    assert shell("run", "dampened.toml", "--against", "torch,jax", "--strict").exit_code == 1


def test_nothing_compared_is_status_5(shell: Shell) -> None:
    pytest.importorskip("jax")
    cc.save_case(dampened(), "dampened.toml")
    result = shell("run", "dampened.toml", "--against", "jax")
    assert result.exit_code == 5
    assert "nothing was compared for dampened" in said(result)
    pytest.importorskip("torch")
    assert shell("run", "article", "--against", "torch", "--only", "*/nowhere/*").exit_code == 5


def test_no_framework_is_status_5_with_a_hint(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda package: None)
    result = shell("run", "article")
    assert result.exit_code == 5
    assert "no framework is installed" in said(result)


def test_crash_is_status_3(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")

    def fail(self: object, x: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(torch.nn.Tanh, "forward", fail)
    result = shell("run", "article", "--against", "torch")
    assert result.exit_code == 3
    assert "crashed: MemoryError: no room" in said(result)


def test_a_run_writes_pages_and_an_index_and_says_where(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    (tmp_path / "summary.md").write_text("before\n")
    result = shell("run", "article", "mazur", "--against", "torch", "--show", "*/forward/loss")
    assert result.exit_code == 0, result.output
    assert "report: reports/article/report.html" in said(result)
    assert "all of them: reports/index.html" in said(result)
    index = (tmp_path / "reports" / "index.html").read_text()
    for name in ("article", "mazur"):
        folder = tmp_path / "reports" / name
        assert {"report.html", "agreement.md", "junit.xml", "tensors.safetensors"} <= {
            path.name for path in folder.iterdir()
        }
        assert f'href="{name}/report.html"' in index
    before, *lines = (tmp_path / "summary.md").read_text().splitlines()
    assert before == "before"
    assert [line.partition("**:")[0] for line in lines] == [
        "- **article, float64, 1 step",
        "- **mazur, float64, 1 step",
    ]
    assert all("✓ torch" in line and "tensors agree" in line for line in lines)


def written(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_report_makes_the_same_pages_again(shell: Shell, tmp_path: Path, broken_torch: None) -> None:
    shell("run", "article", "mazur", "--against", "torch")
    before = written(tmp_path / "reports")
    for path in (tmp_path / "reports").rglob("*"):
        if path.suffix in (".html", ".md", ".xml"):
            path.unlink()
    result = shell("report", "reports")
    assert result.exit_code == 0, result.output
    assert "written: reports/article/report.html" in said(result)
    assert written(tmp_path / "reports") == before


def test_report_of_named_folders_has_its_index_where_they_meet(shell: Shell, tmp_path: Path) -> None:
    for name in ("a", "b"):
        cc.compare(cc.record("article"), cc.record("article")).write(tmp_path / name / "article")
    assert shell("report", "a/article").exit_code == 0
    assert not list(tmp_path.rglob("index.html"))
    assert shell("report", "a/article", "b/article").exit_code == 0
    assert [path.parent for path in tmp_path.rglob("index.html")] == [tmp_path]
    assert 'href="b/article/report.html"' in (tmp_path / "index.html").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(None, "expected a folder that crosscheck run wrote", id="no agreement"),
        pytest.param("{}", "agreement.json: schema: expected 1", id="no schema"),
        pytest.param("nonsense", "agreement.json: expected a JSON document", id="no JSON"),
    ],
)
def test_report_refuses_what_is_no_agreement(shell: Shell, tmp_path: Path, content: str | None, message: str) -> None:
    (tmp_path / "reports").mkdir()
    if content is not None:
        (tmp_path / "reports" / "agreement.json").write_text(content)
    result = shell("report", "reports")
    assert result.exit_code == 2
    assert message in said(result)
    assert not list(tmp_path.rglob("*.html"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["run", "artikel"], "artikel", id="unknown case"),
        pytest.param(["run", "nowhere.toml"], "nowhere.toml", id="missing file"),
        pytest.param(["run", "article", "--against", "torhc"], "received 'torhc'; did you mean 'torch'?", id="adapter"),
        pytest.param(["run", "article", "--steps", "0"], "--steps", id="no steps"),
        pytest.param(["run", "mlp", "--steps", "9"], "steps", id="more steps than batches"),
        pytest.param(["run", "article", "--dtype", "float8"], "float8", id="dtype"),
        pytest.param(["run", "article", "--nonsense"], "--nonsense", id="option"),
        pytest.param(["list", "nonsense"], "nonsense", id="topic"),
        pytest.param(["nonsense"], "nonsense", id="command"),
        pytest.param(["record", "article", "--with", "torhc"], "did you mean 'torch'?", id="who records"),
        pytest.param(["record", "artikel"], "artikel", id="unknown case to record"),
        pytest.param(["record", "article", "--dtype", "longdouble"], "safetensors has", id="dtype to record"),
        pytest.param(["compare", "a.trace", "b.trace"], "a.trace", id="missing trace"),
        pytest.param(["compare", "a.trace"], "B.trace", id="one trace"),
    ],
)
def test_wrong_usage_is_status_2_and_says_what_is_wrong(shell: Shell, arguments: list[str], message: str) -> None:
    result = shell(*arguments)
    assert result.exit_code == 2
    assert message in said(result)
    assert not Path("reports").exists()


def test_bad_file_is_one_line_with_file_key_expected_and_received(shell: Shell, tmp_path: Path) -> None:
    cc.save_case(cc.load_case("article"), "mine.toml")
    text = (tmp_path / "mine.toml").read_text()
    (tmp_path / "mine.toml").write_text(text.replace("outputs = 3", "outputs = 5"))
    result = shell("run", "mine.toml")
    assert result.exit_code == 2
    lines = result.output.strip().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("error: mine.toml: ")
    assert "expected" in lines[0]
    assert "received" in lines[0]


def test_framework_that_was_asked_for_and_is_not_installed_is_status_2(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda package: None)
    result = shell("run", "article", "--against", "jax")
    assert result.exit_code == 2
    assert "pip install 'crosscheck[jax]'" in said(result)


def test_unwritable_folder_is_status_2(shell: Shell, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "file").write_text("")
    result = shell("run", "article", "--against", "torch", "--out", "file")
    assert result.exit_code == 2
    assert "file" in said(result)


@pytest.mark.parametrize(
    ("topic", "names"),
    [("cases", built_in()), ("adapters", cc.ADAPTERS)],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_list_names_everything_with_a_description(shell: Shell, topic: str, names: dict[str, object]) -> None:
    result = shell("list", topic)
    assert result.exit_code == 0
    listed = dict(line.split(maxsplit=1) for line in result.output.splitlines())
    assert list(listed) == list(names)
    assert all(listed.values())


@pytest.mark.parametrize("topic", list(KINDS))
def test_list_is_a_catalogue_of_every_kind_with_its_fields(shell: Shell, topic: str) -> None:
    result = shell("list", topic)
    assert result.exit_code == 0
    assert result.output == ANSI.sub("", result.output)
    entries = dict(entry.split("\n", 1) for entry in result.output.strip().split("\n\n"))
    assert list(entries) == list(KINDS[topic])
    for kind, described in KINDS[topic].items():
        assert all(re.search(rf"\b{field.name}\b", entries[kind]) for field in fields(described) if field.init), kind
        for name, values in convention_fields(described).items():
            said = next(part for part in said_of(entries[kind]) if part.startswith(f"{name} = "))
            assert sorted(said.removeprefix(f"{name} = ").split(" | ")) == sorted(map(json.dumps, values))


def said_of(entry: str) -> list[str]:
    """The conventions of an entry of the catalogue."""
    return " ".join(entry.split("  conventions  ")[1].split()).split(", ")


def test_the_catalogue_has_formulas_and_the_default_first(shell: Shell) -> None:
    losses, optimizers = shell("list", "losses").output, shell("list", "optimizers").output
    assert "  Squared error: loss = factor * sum((y - target)^2).\n" in losses
    assert 'reduction = "mean" | "sum" | "half_sum" | "none"' in losses
    assert "  weight   = weight - learning_rate * velocity " in optimizers
    assert "  required     learning_rate\n" in optimizers


@pytest.mark.parametrize("topic", list(KINDS))
@pytest.mark.parametrize("width", [60, 100])
def test_the_catalogue_fits_a_terminal(topic: str, width: int) -> None:
    lines = [line for kind in KINDS[topic].values() for line, _ in catalogue.entry(kind).lines(width)]
    assert lines
    assert max(map(len, lines)) <= width


def test_doctor_names_every_adapter(shell: Shell) -> None:
    result = shell("doctor")
    assert result.exit_code == 0
    for name in cc.ADAPTERS:
        assert f"\n{name} " in result.output
    assert "numpy" in result.output


def test_doctor_says_what_is_missing(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adapters, "find_spec", lambda package: None)
    result = shell("doctor")
    assert result.exit_code == 0
    assert "✗ torch not installed: pip install 'crosscheck[torch]'" in said(result)


def test_version(shell: Shell) -> None:
    result = shell("--version")
    assert (result.exit_code, result.output.strip()) == (0, f"crosscheck {cc.__version__}")


def test_help_teaches(shell: Shell) -> None:
    text = said(shell("--help"))
    assert "crosscheck run article --against torch,jax" in text
    assert "Exit status" in text
    assert "crosscheck run mine.toml --dtype float32 --only '*/gradient/*' --top 0" in said(shell("run", "--help"))


def dampened() -> cc.Case:
    """A case that optax cannot express."""
    return cc.Case(
        name="dampened",
        nodes=(cc.Node("y", cc.Dense(2, 3)),),
        loss=cc.MeanSquaredError(),
        optimizer=cc.SGD(0.25, momentum=0.5, dampening=0.25),
        weights={"y.weight": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], "y.bias": [0.5, 0.25, 0.125]},
        batches=(cc.Batch([[1.0, 0.5], [0.25, 2.0]], [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]),),
        steps=2,
    )


def test_record_and_compare(shell: Shell, tmp_path: Path) -> None:
    for number in "ab":
        result = shell("record", "article", "--dtype", "float32", "--steps", "2", "-o", f"{number}.trace")
        assert result.exit_code == 0, result.output
        assert f"52 tensors of article, float32, by reference, written to {number}.trace" in said(result)
    result = shell("compare", "a.trace", "b.trace", "--only", "*/gradient/*", "--json", "out.json", "--out", "here")
    assert result.exit_code == 0, result.output
    record = json.loads((tmp_path / "out.json").read_text())
    assert (record["dtype"], record["steps"], list(record["subjects"])) == ("float32", 2, ["b.trace"])
    assert {tensor["phase"] for tensor in record["subjects"]["b.trace"]["tensors"]} == {"gradient"}
    assert (tmp_path / "here" / "article" / "agreement.json").read_text() == (tmp_path / "out.json").read_text()
    assert "Held against the reference, computed again" in said(result)
    result = shell("compare", "a.trace", "b.trace", "--direct")
    assert result.exit_code == 0, result.output
    assert "article, float32, 2 steps, against a.trace, end to end" in said(result)


def test_recorded_runs_that_differ_are_status_1(shell: Shell) -> None:
    trace = cc.record("article")
    wrong = cc.Trace("wrong", trace.case, {}, {**trace.tensors, "0/gradient/k.weight": trace["0/gradient/k.weight"].T})
    cc.save_trace(trace, "a.trace")
    cc.save_trace(wrong, "b.trace")
    result = shell("compare", "a.trace", "b.trace")
    assert result.exit_code == 1
    assert "b.trace wrong: disagree" in said(result)
    assert "first divergence 0/gradient/k.weight, in 0/backward(k)" in said(result)


def test_recorded_runs_of_other_inputs_are_status_2(shell: Shell) -> None:
    shell("record", "article", "-o", "a.trace")
    shell("record", "article", "--dtype", "float32", "-o", "b.trace")
    result = shell("compare", "a.trace", "b.trace")
    assert result.exit_code == 2
    assert "error: b.trace: dtype: expected what a.trace started from, 'float64'; received 'float32'" in said(result)


def test_no_recorded_tensor_that_is_wanted_is_status_5(shell: Shell) -> None:
    shell("record", "article", "-o", "a.trace")
    assert shell("compare", "a.trace", "a.trace", "--only", "*/nowhere/*").exit_code == 5


def test_record_crash_is_status_3_and_leaves_no_file(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")

    def fail(self: object, x: object) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(torch.nn.Tanh, "forward", fail)
    result = shell("record", "article", "--with", "torch")
    assert result.exit_code == 3
    assert "torch crashed: MemoryError: no room" in said(result)
    assert list(Path().iterdir()) == []


def test_record_of_what_a_framework_cannot_express_is_status_2(shell: Shell) -> None:
    pytest.importorskip("jax")
    cc.save_case(dampened(), "dampened.toml")
    result = shell("record", "dampened.toml", "--with", "jax")
    assert result.exit_code == 2
    assert "'dampened': optax.sgd has no dampening" in said(result)
