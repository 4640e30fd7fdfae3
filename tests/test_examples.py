"""Examples are executed: those of every docstring, and every command and Python example of every page."""

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
README = (ROOT / "README.md").read_text()
FRAMEWORKS = ("torch", "jax", "flax")


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
        needed = "adapters.jax.nnx" if framework == "flax" else f".adapters.{framework}"
        if needed in name or name in ("crosscheck", "crosscheck.api"):
            pytest.importorskip(framework)
    result = doctest.testmod(import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.failed == 0


# ---------------------------------------------------------------------------------------------------------------- pages


def blocks_of(page: str) -> list[tuple[str, str]]:
    """Language and text of everything on a page that is fenced as an example."""
    return re.findall(
        r"^```(python|console|diff|toml)\n(.*?)^```$", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL
    )


PAGES = [
    page
    for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
    if blocks_of(page := path.relative_to(ROOT).as_posix())
]
"""Every page with an example, the README first of all."""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_as_it_says(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From top to bottom, as a reader would: files are written, commands typed, and Python goes on where it stopped."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("crosscheck.lesson.mistakes.MOST_WORK", 0)  # a lesson in which causes are not asked for
    scope: dict[str, object] = {}
    written = Path()
    for language, text in blocks_of(page):
        if language == "toml" and (named := re.match(r'name = "(.+)"\n', text)):
            Path(f"{named[1]}.toml").write_text(text)
    for language, text in blocks_of(page):
        if language == "console":
            type_in(text)
        elif language == "python":
            named = re.match(r"# (\S+\.py)\n", text)
            if named is None:
                skip_without_frameworks()
                exec(compile(text, page, "exec"), scope)
            elif (ROOT / named[1]).exists():
                assert_quoted(text)
            else:
                written = Path(named[1])
                written.write_text(text)
        elif language == "diff":
            written.write_text(changed(written.read_text(), text))


def changed(text: str, difference: str) -> str:
    """A text with the lines that have a minus replaced by those that have a plus."""
    before, after = (
        "".join(f"{line[1:]}\n" for line in difference.splitlines() if line.startswith(sign)) for sign in "-+"
    )
    assert text.count(before) == 1, before
    return text.replace(before, after)


def type_in(text: str) -> None:
    """Run the commands of a session; each must end and, where that is shown, print as it says."""
    for command, shown in re.findall(r"^\$ (.+)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE):
        skip_without_frameworks()
        program, *arguments = shlex.split(command, comments=True)
        assert program == "crosscheck", command
        result = CliRunner().invoke(app, arguments)
        status = re.search(r"# exit status (\d)$", command)
        assert result.exit_code == int(status[1] if status else 0), f"{command}\n{result.output}"
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert not shown or doctest.OutputChecker().check_output(shown, result.output, flags), result.output


def assert_quoted(text: str) -> None:
    """Every line must stand in the file that is named above it; dots at the end of a docstring stand for more."""
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("# ") and (ROOT / line.removeprefix("# ")).is_file():
            lines = (ROOT / line.removeprefix("# ")).read_text().splitlines()
        elif line:
            assert line.removesuffix(' ..."""') in lines


def skip_without_frameworks() -> None:
    for framework in FRAMEWORKS:
        pytest.importorskip(framework)


def test_there_are_examples() -> None:
    assert {"README.md", "docs/index.md", "docs/agreement.md", "docs/add-a-layer.md"} <= {*PAGES}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("$ crosscheck list clips\nclip_by_nothing\n", "clip_by_value"),
        ("$ crosscheck run nothing\n", "nothing"),
        ("$ crosscheck list clips  # exit status 1\n", "clip_by_value"),
        ("$ echo\n", "echo"),
    ],
)
def test_a_session_that_is_not_as_it_says_fails(text: str, problem: str) -> None:
    with pytest.raises(AssertionError, match=problem):
        type_in(text)


def test_a_quotation_that_is_not_there_fails() -> None:
    with pytest.raises(AssertionError, match="import nothing"):
        assert_quoted("# reference/errors.py\nimport nothing\n")


# --------------------------------------------------------------------------------------------------------- the README


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


def test_readme_names_the_mistake_that_it_speaks_of() -> None:
    step = next(text for _, text in blocks_of("README.md") if text.startswith("# mine.py\n"))
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
