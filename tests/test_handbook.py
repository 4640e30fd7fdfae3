"""The handbook: it builds without a warning, has a page for every kind, and asks nobody for anything."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urldefrag, urlparse

import crosscheck as cc
import pytest
from crosscheck.cases import built_in
from crosscheck.faults import FAULTS
from crosscheck.reference import CLIPS, SCHEDULES
from crosscheck.rendering.mathml import formulas, set_piece

pytest.importorskip("sphinx")

DOCS = Path(__file__).parent.parent / "docs"
FAMILIES: dict[str, dict[str, type]] = {
    "layers": {**cc.LAYERS},
    "losses": {**cc.LOSSES},
    "optimizers": {**cc.OPTIMIZERS},
    "clips": {**CLIPS},
    "schedules": {**SCHEDULES},
}
KINDS = [pytest.param(family, kind, id=kind) for family, kinds in FAMILIES.items() for kind in kinds]
RESOURCES = {"link": "href", "script": "src", "img": "src", "iframe": "src", "source": "src", "object": "data"}
"""The tags with which a page asks for something, and where they say for what."""


def build(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "ignore", *arguments]
    return subprocess.run(command, cwd=DOCS, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def handbook(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the pages, built as ``make docs`` builds them."""
    out = tmp_path_factory.mktemp("handbook") / "docs"
    done = build("-m", "handbook", "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert str(out / "index.html") in done.stdout
    return out


class Page(HTMLParser):
    """What a page asks for, where it leads, the names of its places, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.resources: list[str] = []
        self.links: list[str] = []
        self.places: set[str] = set()
        self.texts: list[str] = []
        self.headings: list[str] = []
        self.within = ""
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag in RESOURCES and (named := given.get(RESOURCES[tag])):
            self.resources.append(named)
        if tag == "a" and (named := given.get("href")):
            self.links.append(named)
        self.places |= {place for place in (given.get("id"), given.get("name")) if place}

        self.within = tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)
        if self.within == "h2":
            self.headings.append(data)
        self.within = ""

    @property
    def text(self) -> str:
        return "".join(self.texts)


@pytest.fixture(scope="module")
def pages(handbook: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in handbook.rglob("*.html")}


@pytest.mark.parametrize(("family", "kind"), KINDS)
def test_every_kind_has_a_page(pages: dict[Path, Page], handbook: Path, family: str, kind: str) -> None:
    described = FAMILIES[family][kind]
    page = pages[handbook / family / f"{kind}.html"]
    about = (described.__doc__ or "").split("\n\n")[0]
    for words in re.split(r"``[^`]+``", about):
        assert letters(words) in letters(page.text)
    assert f"crosscheck.{described.__name__}" in page.places
    assert re.search(r"def (forward|update|clipped|rate)\(", page.text)
    assert f'"{kind}": ' in page.text  # the line of an adapter
    wanted = ["Code", "In the frameworks"]
    if family in ("layers", "losses", "optimizers"):
        wanted += ["Known mistakes", "Built-in cases"]
    assert [heading for heading in page.headings if heading in wanted] == wanted


def letters(text: str) -> str:
    """What is left of a text however its marks and quotes are set."""
    return re.sub(r"\W", "", text)


def test_formulas_are_set_and_what_is_none_is_code(handbook: Path) -> None:
    adam, softmax, poisson = (
        (handbook / name).read_text()
        for name in ("optimizers/adam.html", "layers/softmax.html", "losses/poisson_nll.html")
    )
    for line, _ in formulas(
        "g = gradient + weight_decay * weight\nsecond_moment = beta2 * second_moment + (1 - beta2) * g^2"
    ):
        assert str(line).removeprefix("<math>") in adam
    assert "<span>(decoupled: gradient)</span>" in adam
    assert str(set_piece("y_i = exp(x_i) / sum_j exp(x_j)")) in softmax
    assert re.search(r"<code[^>]*><span class=\"pre\">log\(target!\)</span></code>", poisson)
    assert not re.search(r"&lt;m\w+", adam + softmax + poisson)


def test_a_page_says_what_was_run(pages: dict[Path, Page], handbook: Path) -> None:
    text = pages[handbook / "optimizers" / "adafactor.html"].text
    assert "torch.optim.Adafactor multiplies the means of rows and columns" in text
    assert "disagree" in text
    assert "native" in pages[handbook / "layers" / "relu.html"].text


def test_every_mistake_is_shown_and_every_case(pages: dict[Path, Page], handbook: Path) -> None:
    of_mistakes = [page for path, page in pages.items() if path.parent.name == "mistakes"]
    for name, mistake in FAULTS.items():
        (page,) = (page for page in of_mistakes if f"mistake-{name}".replace("_", "-") in page.places)
        assert f"class {mistake.__name__}(" in page.text
    assert {f"case-{name}" for name in built_in()} <= pages[handbook / "cases.html"].places


def test_the_api_has_what_is_public(pages: dict[Path, Page], handbook: Path) -> None:
    places = {place for path, page in pages.items() if path.parent.name == "api" for place in page.places}
    assert {
        "crosscheck.api.check",
        "crosscheck.adapters.contract.Adapter.run",
        "crosscheck.reference.case.Case",
    } <= places


def test_no_page_asks_anyone_for_anything(pages: dict[Path, Page], handbook: Path) -> None:
    asked = [(path, named) for path, page in pages.items() for named in page.resources]
    assert asked
    assert not [(path, named) for path, named in asked if urlparse(named).scheme or named.startswith("//")]
    for style in handbook.rglob("*.css"):
        named = re.findall(r"(?:url\(|@import)\s*[\"']?([^\"')\s]+)", style.read_text())
        assert not [one for one in named if one.startswith(("http", "//"))], style


def test_every_link_leads_somewhere(pages: dict[Path, Page]) -> None:
    for path, page in pages.items():
        for link in page.links:
            if urlparse(link).scheme:
                continue
            file, place = urldefrag(unquote(link))
            target = (path.parent / file).resolve() if file else path
            assert target.exists(), f"{path}: {link}"
            assert not place or target not in pages or place in pages[target].places, f"{path}: {link}"


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", ["index", "layers/softplus", "optimizers/adam", "support", "api/comparison"])
def test_a_browser_shows_it_and_leaves_the_folder_for_nothing(
    visit: Callable[..., Any], handbook: Path, page: str, width: int
) -> None:
    with visit(handbook / f"{page}.html", folder=handbook, width=width, dark=width == 390) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= width
        background = seen.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", background)[:3])) < 384) == (width == 390)


def test_a_mistake_on_a_page_fails_the_build(tmp_path: Path) -> None:
    mistakes = {
        "link.md": ("[away](nowhere.md)", "'nowhere.md'"),
        "page.rst": (":doc:`nowhere`", "'nowhere'"),
        "name.rst": (":py:func:`crosscheck.nothing`", "crosscheck.nothing"),
        "markup.rst": ("``code", "Inline literal"),
    }
    listed = "\n".join(name.partition(".")[0] for name in mistakes)
    (tmp_path / "index.md").write_text(f"# Index\n\n```{{toctree}}\n{listed}\n```\n")
    for name, (text, _) in mistakes.items():
        (tmp_path / name).write_text(f"A page\n======\n\n{text}\n")
    script = "import pathlib, sys, handbook.__main__ as docs; sys.exit(docs.build(*map(pathlib.Path, sys.argv[1:])))"
    done = build("-c", script, str(tmp_path), str(tmp_path / "out"))
    assert done.returncode != 0
    for name, (_, problem) in mistakes.items():
        assert re.search(rf"{name}.*{problem}", done.stderr), done.stderr


@pytest.mark.parametrize("name", ["docstrings", "formulas", "sources"])
def test_its_own_examples(name: str) -> None:
    result = doctest.testmod(import_module(f"handbook.{name}"), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted
    assert result.failed == 0
