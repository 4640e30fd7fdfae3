"""The formulas of docstrings as MathML, in reStructuredText; what cannot be read as a formula stays code."""

from __future__ import annotations

import re
from textwrap import dedent, indent
from typing import Any

from crosscheck.rendering.mathml import CODE, formulas, set_piece
from docutils import nodes
from markupsafe import Markup

SIGNS = re.compile(r"[=+*/^(<>|]| - |^-")
"""What a formula has and a name has not."""
BLOCK = re.compile(r"::\n\n((?:[ ]{4}.*(?:\n|$)|\n(?=[ ]{4}))+)")


def with_formulas(text: str) -> str:
    """A text of docstrings in which the formulas are set: those in a line, and those in a block of their own.

    >>> with_formulas("The sum, ``y = a + b`` of ``a``.")
    'The sum, :formula:`y = a + b` of ``a``.'
    """
    parts, start = [], 0
    for found in BLOCK.finditer(text):
        parts += [CODE.sub(inline, text[start : found.start()]), block(found)]
        start = found.end()
    return "".join([*parts, CODE.sub(inline, text[start:])])


def inline(found: re.Match[str]) -> str:
    """A formula in a line; a name, and what is no formula, is code."""
    text = " ".join(found[1].split())
    return f":formula:`{text}`" if SIGNS.search(text) and is_set(set_piece(text)) else found[0]


def is_set(made: Markup) -> bool:
    """Whether it could be read as a formula."""
    return "<code>" not in made


def block(found: re.Match[str]) -> str:
    """A block of formulas, one below the other, each with what stands behind it."""
    lines = []
    for formula, aside in formulas(dedent(found[1])):
        behind = Markup(" <span>{}</span>").format(aside) if aside else ""
        lines.append(Markup('<p><span class="formula">{}</span>{}</p>').format(displayed(formula), behind))
    made = "\n".join(['<div class="formulas">', *lines, "</div>"])
    before = ":\n\n" if found.start() and found.string[found.start() - 1] not in "\n " else ""
    return f"{before}.. raw:: html\n\n{indent(made, '   ')}\n\n"


def displayed(formula: Markup) -> Markup:
    """A formula as large as one that stands by itself."""
    return Markup(str(formula).replace("<math>", '<math displaystyle="true">'))


def formula(name: str, raw: str, text: str, *rest: Any) -> tuple[list[nodes.Node], list[nodes.system_message]]:
    """The role: a formula that is set."""
    made = Markup('<span class="formula">{}</span>').format(set_piece(nodes.unescape(text)))
    return [nodes.raw("", str(made), format="html")], []
