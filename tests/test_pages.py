"""What all pages have in common: they stand alone, say names as they are, and can be read by everyone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from accessibility import problems
from crosscheck.rendering.pages import page, picture
from crosscheck.rendering.pages.standalone import HERE, environment, source
from jinja2 import DictLoader, Environment, UndefinedError

TEMPLATE = (
    '{% extends "base.html" %}{% block main %}<h1>{{ title }}</h1>{% if drawn %}<img alt="" src="{{ drawn }}">'
    "{% endif %}{% endblock %}"
)
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "</style><script>alert(2)</script>",
    "'\"`|\\{{ 7 * 7 }}",
    "right\u202eto left",
    "\x1b[31mred",
    "two\nlines",
)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"><rect width="8" height="8"/></svg>'


@pytest.fixture
def simple(monkeypatch: pytest.MonkeyPatch) -> None:
    """A template ``simple`` that shows its title, and a drawing if it has one."""
    own: Environment = environment().overlay(
        loader=DictLoader({"base.html": source("base.html"), "simple.html": TEMPLATE})
    )
    monkeypatch.setattr("crosscheck.rendering.pages.standalone.environment", lambda: own)


@pytest.mark.usefixtures("simple")
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_appear_as_text(name: str, tmp_path: Path, visit: Callable[..., Any]) -> None:
    path = tmp_path / "page.html"
    path.write_text(page("simple", title=name, drawn=None), encoding="utf-8")
    with visit(path) as seen:
        text = seen.page.inner_text("h1")
    assert text == name.encode("unicode_escape").decode() if not name.isprintable() else text == name


@pytest.mark.usefixtures("simple")
def test_a_drawing_is_inside_the_page(tmp_path: Path, visit: Callable[..., Any]) -> None:
    path = tmp_path / "page.html"
    path.write_text(page("simple", title="drawn", drawn=picture(SVG)), encoding="utf-8")
    with visit(path) as seen:
        assert seen.page.evaluate("document.querySelector('img').naturalWidth") == 8


@pytest.mark.usefixtures("simple")
def test_a_style_or_a_script_that_gets_in_does_nothing(tmp_path: Path, browser: Any) -> None:
    """The policy is the second wall, should the escaping ever fail."""
    path = tmp_path / "page.html"
    made = page("simple", title="mark", drawn=None)
    path.write_text(
        made.replace("</h1>", "</h1><script>document.title = 'taken'</script><style>h1 {color: red}</style>")
    )
    tab = browser.new_page()
    tab.goto(path.as_uri())
    assert tab.title() == "mark"
    assert tab.evaluate("getComputedStyle(document.querySelector('h1')).color") != "rgb(255, 0, 0)"
    tab.close()


@pytest.mark.usefixtures("simple")
def test_a_name_that_is_missing_is_an_error() -> None:
    with pytest.raises(UndefinedError, match="drawn"):
        page("simple", title="no drawing")


def colours() -> Iterator[dict[str, str]]:
    """The colours by name, of the light page and of the dark one."""
    for block in re.findall(r":root \{(.*?)\}", source("base.css"), flags=re.DOTALL):
        yield dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


PAIRS = [
    *product(("text", "quiet", "link", "good", "bad", "open"), ("ground", "raised")),
    *(("good", "good-ground"), ("bad", "bad-ground"), ("open", "open-ground"), ("text", "mark")),
]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), PAIRS, ids=" on ".join)
def test_text_has_the_contrast_that_wcag_aa_asks_for(text: str, ground: str, scheme: int) -> None:
    named = list(colours())[scheme]
    assert contrast(named[text], named[ground]) >= 4.5


def test_contrast_is_that_of_the_standard() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)


BARRIERS = {
    "a text that is too pale": ('<p class="pale">pale</p>', "contrast"),
    "a picture without words": ('<img src="data:image/png;base64,">', "image-alt"),
    "a heading that leaves one out": ("<h4>deep</h4>", "heading-order"),
    "a button without a name": ("<button></button>", "button-name"),
    "a field without a label": ('<input type="text">', "label"),
    "a focus that cannot be seen": ('<button class="bare">go</button>', "focus cannot be seen"),
    "a table without a header": ("<table><tr><td>1</td><td>2</td></tr></table>", "no header"),
    "a header without a text": ("<table><tr><th></th><td>2</td></tr></table>", "empty"),
    "what is scrolled by mouse alone": ('<p class="narrow"><span>wide</span></p>', "scrollable-region-focusable"),
}
BARE = (
    '<!doctype html><html lang="en"><head><title>a page</title><style>.pale { color: #999 } .narrow { width: 2rem; '
    "overflow-x: auto } .narrow span { padding: 4rem } :focus-visible { outline: 3px solid } .bare:focus-visible "
    '{ outline: none }</style></head><body><main><h1>title</h1><a href="#x" id="x">a link</a>%s</main></body></html>'
)


@pytest.mark.parametrize("barrier", BARRIERS)
def test_what_would_keep_a_reader_from_a_page_is_found(barrier: str, browser: Any) -> None:
    planted, expected = BARRIERS[barrier]
    tab = browser.new_page()
    tab.set_content(BARE % planted)
    found = problems(tab)
    tab.close()
    assert found
    assert all(problem.startswith(expected) for problem in found), found


def test_a_page_without_barriers_has_none(browser: Any) -> None:
    tab = browser.new_page()
    tab.set_content(BARE % "")
    assert not problems(tab)
    tab.close()


def test_every_template_is_escaped() -> None:
    templates = sorted(HERE.glob("*.html"))
    assert templates
    for template in templates:
        assert "|safe" not in template.read_text().replace(" ", "")
        assert "autoescape" not in template.read_text()
