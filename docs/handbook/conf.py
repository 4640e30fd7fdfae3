"""How Sphinx builds the handbook. Everything is on the pages themselves: no font, script or style from elsewhere."""

from __future__ import annotations

import re
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any, TypeVar

import crosscheck
from sphinx.application import Sphinx
from sphinx.util.inspect import TypeAliasForwardRef

from handbook.formulas import formula
from handbook.pages import API, documented

project = "crosscheck"
author = "the crosscheck contributors"
copyright = "the crosscheck contributors, MIT licence"
release = version = crosscheck.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc"]
default_role = "code"  # `x` is code in both of the languages that pages are written in
highlight_language = "none"
toc_object_entries = False  # every page has the whole navigation in it, which would grow tenfold

autodoc_default_options = {"members": True, "undoc-members": False, "ignore-module-all": True}
autodoc_member_order = "bysource"
autodoc_use_type_comments = False  # there are none, and looking for them takes a while
add_module_names = False
myst_heading_anchors = 3

html_theme = "furo"
html_title = "crosscheck"
html_static_path = ["static"]
html_css_files = ["handbook.css"]
html_copy_source = False
html_show_sphinx = False


modules = [import_module(module) for package in API for module in documented(package)]
# A signature names an alias as it is written, and not what it stands for.
autodoc_type_aliases = {
    name: name
    for module in modules
    for name, hint in vars(module).get("__annotations__", {}).items()
    if hint == "TypeAlias"
}
TypeAliasForwardRef.__repr__ = lambda alias: alias.name  # within other types it would be printed in full
nitpick_ignore = [
    ("py:class", f"{module.__name__}.{name}")
    for module in modules
    for name, value in vars(module).items()
    if isinstance(value, TypeVar)
]
suppress_warnings = ["ref.python"]  # two classes of one name, where an annotation is a text: the nearer one is taken
nitpick_ignore_regex = [
    ("py:.*", r"(?!crosscheck\.).*"),  # what others have
    ("py:class", r"crosscheck\.reference\.(layers|losses|optimizers)\.\w+\.\w+"),  # kinds: crosscheck.Relu has a page
]


def signed(
    app: Sphinx, what: str, name: str, thing: object, options: Any, signature: str | None, returned: str | None
) -> tuple[str, None] | None:
    """No signature for a dataclass, whose fields stand below it; any other is as it is."""
    return ("", None) if is_dataclass(thing) else None


def skipped(app: Sphinx, what: str, name: str, thing: object, skip: bool, options: Any) -> bool | None:
    """Leave out the tables of functions that an arithmetic has: in print they say nothing."""
    return True if name == "RULES" else None


def raises(app: Sphinx, what: str, name: str, thing: object, options: Any, lines: list[str]) -> None:
    """Make of "Raises:" and the lines below it a field for each exception, in place."""
    if "Raises:" in lines:
        start = lines.index("Raises:") + 1
        lines[start - 1] = ""
        for place in range(start, len(lines)):
            if not lines[place].startswith(" "):
                break
            lines[place] = re.sub(r"^ {4}(?=\w)", ":raises ", lines[place])


def folded(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """Navigation in which only the branch of the page itself is unfolded: all of it on every page is most of a page."""
    if whole := context.get("toctree"):
        context["toctree"] = lambda **options: whole(**{**options, "collapse": True})


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("html-page-context", folded, priority=100)  # before the theme makes its navigation
    app.add_role("formula", formula)
    app.connect("autodoc-process-signature", signed)
    app.connect("autodoc-skip-member", skipped)
    app.connect("autodoc-process-docstring", raises)
