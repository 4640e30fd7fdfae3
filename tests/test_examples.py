"""Examples are executed: those of every docstring, and every command and Python example of the README."""

from __future__ import annotations

import doctest
import pkgutil
import re
import shlex
from importlib import import_module
from pathlib import Path
from typing import Any

import crosscheck as cc
import numpy as np
import pytest
from crosscheck.cases import built_in
from crosscheck.cli import app
from crosscheck.faults import FAULTS
from crosscheck.reference import CLIPS, SCHEDULES
from typer.testing import CliRunner

ROOT = Path(cc.__file__).parent
README = (Path(__file__).parent.parent / "README.md").read_text()
FRAMEWORKS = ("torch", "jax")


def modules() -> list[str]:
    found = ["crosscheck"]
    for info in pkgutil.walk_packages([str(ROOT)], "crosscheck."):
        parts = info.name.split(".")
        if (ROOT / parts[1]).is_dir() and not (ROOT / parts[1] / "__init__.py").exists():
            continue
        if parts[1] not in ("tests", "benchmarks", "docs", "build", "dist", "__main__"):
            found.append(info.name)
    return found


@pytest.mark.parametrize("name", modules())
def test_docstring_examples(name: str) -> None:
    for framework in FRAMEWORKS:
        if f".adapters.{framework}" in name or name in ("crosscheck", "crosscheck.api"):
            pytest.importorskip(framework)
    result = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = (line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines())
    return [line for line in lines if line.startswith("crosscheck ")]


def test_readme_has_examples() -> None:
    assert commands()
    assert blocks("python")


@pytest.mark.parametrize("command", commands())
def test_readme_commands(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    monkeypatch.chdir(tmp_path)
    cc.save_case(cc.load_case("article"), "mine.toml")
    (tmp_path / "mine.py").write_text(next(block for block in blocks("python") if block.startswith("# mine.py\n")))
    if command.startswith("crosscheck report"):  # of the runs above it
        cc.check("article", ["torch"]).write("reports/article")
    if " compare " in command:
        for name, framework in (("a", "torch"), ("b", "jax")):
            cc.save_trace(cc.record("article", framework), f"{name}.trace")
    result = CliRunner().invoke(app, shlex.split(command, comments=True)[1:])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_readme_python(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    monkeypatch.chdir(tmp_path)
    exec(compile(blocks("python")[number], "README.md", "exec"), {})


def test_readme_counts_what_there_is() -> None:
    counted = {
        "layers": cc.LAYERS,
        "losses": cc.LOSSES,
        "optimizers": cc.OPTIMIZERS,
        "schedules": SCHEDULES,
        "ways of clipping": CLIPS,
    }
    kinds = ", ".join(f"{len(some)} {what}" for what, some in counted.items())
    line = f"{kinds}; {len(built_in())} built-in cases; {len(FAULTS)} planted faults."
    assert line in README.splitlines()


def contributing_lines() -> list[tuple[str, str]]:
    """Every line of code that CONTRIBUTING.md shows, with the file that it is of."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    path, lines = "", []
    for line in "".join(re.findall(r"^```python\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)).splitlines():
        if line.startswith("# "):
            path = line.removeprefix("# ")
        elif line:
            lines.append((path, line.removesuffix(' ..."""')))
    return lines


def test_contributing_shows_code_that_is_there() -> None:
    assert len({path for path, _ in contributing_lines()}) == 5
    for path, line in contributing_lines():
        assert line in (ROOT / path).read_text().splitlines()


def test_readme_names_the_mistake_that_it_speaks_of() -> None:
    step = next(block for block in blocks("python") if block.startswith("# mine.py\n"))
    right, wrong = 'dh = do @ weights["o.weight"].T * h_out * (1 - h_out)', 'do @ weights["o.weight"].T * h * (1 - h)'
    assert right in step
    assert f"`{wrong}`" in README
    scope: dict[str, Any] = {}
    exec(compile(step.replace(right, f"dh = {wrong}"), "mine.py", "exec"), scope)
    (found,) = cc.check("mazur", against=[scope["train_step"]]).subjects.values()
    assert [(cause.operation, cause.cause) for cause in found.diagnosis] == [
        ("0/backward(h)", "derivative_of_the_input")
    ]


def article_rows() -> list[str]:
    """The article's tensors as the README's table begins its lines: name, symbol, values to eight digits."""
    case, trace = cc.load_case("article"), cc.record("article")
    rows = []
    for name in trace:
        phase, symbol = name.split("/")[1:]
        values = np.asarray(trace[name]).ravel()
        shown = " ".join(f"{value + 0.0:.8f}" for value in values[:4]) + (" …" if values.size > 4 else "")
        rows.append(f"| `{name}` | {case.symbols.get(symbol, symbol)}{MEANING[phase]} | {shown} |")
    return rows


MEANING = {"forward": "", "backward": ", gradient at it", "gradient": ", gradient", "update": ", updated"}


@pytest.mark.parametrize("row", article_rows(), ids=lambda row: row.split("`")[1])
def test_readme_shows_the_articles_numbers(row: str) -> None:
    assert row in README
