"""Formulas in the form of code become MathML, and what is no formula stays code."""

from __future__ import annotations

import inspect
import re
import xml.etree.ElementTree as ET
from html import unescape
from textwrap import dedent

import pytest
from crosscheck.reference import CLIPS, LAYERS, LOSSES, OPTIMIZERS, SCHEDULES
from crosscheck.rendering.mathml import derivative, formulas, set_piece, to_mathml, with_formulas
from markupsafe import Markup

KINDS: dict[str, type] = {**LAYERS, **LOSSES, **OPTIMIZERS, **CLIPS, **SCHEDULES}

CODE = {
    "adafactor: column_variance = (1 - forgotten) * column_variance + forgotten * mean(gradient^2 over rows)",
    "adafactor: row_variance = (1 - forgotten) * row_variance + forgotten * mean(gradient^2 over columns)",
    "adamw: m, v = as in Adam, of the gradient alone",
    'bilinear: einsum("ni,oij,nj->no", x1, weight, x2)',
    "clip_by_global_norm: norm = sqrt(sum of the squares of all elements of all gradients)",
    "poisson_nll: log(target!)",
    "rprop: step_size = step_size * (grow where turn > 0, shrink where turn < 0, 1 where it is 0)",
    "reshape: (N, *shape)",
}
"""What a docstring has between its marks that is more prose, or more Python, than formula."""


def said_of(kind: str) -> list[tuple[str, Markup]]:
    """Every formula of a kind's docstring, and how it is set."""
    text = inspect.getdoc(KINDS[kind]) or ""
    inline = [" ".join(code.split()) for code in re.findall(r"``([^`]+)``", text)]
    found = [(code, set_piece(code)) for code in inline if re.search(r"[=+*/^(]", code)]
    for block in re.findall(r"^::\n\n((?:    .*\n)+)", text + "\n", flags=re.MULTILINE):
        found += [
            (re.sub(r"<[^>]+>", "", made).replace("&gt;", ">").replace("&lt;", "<"), made)
            for made, _ in formulas(dedent(block))
        ]
    return found


def is_python(code: str) -> bool:
    """Whether it is an argument of a call, ``batch_first=True``."""
    return re.fullmatch(r'\w+ ?= ?(True|False|-?\d+|"\w+")', code) is not None


@pytest.mark.parametrize("kind", KINDS)
def test_every_formula_of_every_kind_is_set(kind: str) -> None:
    for code, made in said_of(kind):
        ET.fromstring(f"<p>{made}</p>".replace("&nbsp;", " "))  # it is well-formed
        if not is_python(code) and f"{kind}: {code}" not in CODE:
            assert "<code>" not in made, code


def test_what_stays_code_does() -> None:
    every = {f"{kind}: {code}" for kind in KINDS for code, made in said_of(kind) if "<code>" in made}
    assert {one for one in every if not is_python(one.partition(": ")[2])} == CODE


def plain(markup: Markup) -> str:
    return unescape(re.sub(r"<[^>]+>", "", markup))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("a / b", "<mfrac><mi>a</mi><mi>b</mi></mfrac>"),
        ("sqrt(v)", "<msqrt><mi>v</mi></msqrt>"),
        (
            "(a + b)^2",
            "<msup><mrow><mo>(</mo><mrow><mi>a</mi><mo>+</mo><mi>b</mi></mrow><mo>)</mo></mrow><mn>2</mn></msup>",
        ),
        ("x.T", "<msup><mi>x</mi><mi>T</mi></msup>"),
        ("q k^T", "<mrow><mi>q</mi><mo>·</mo><msup><mi>k</mi><mi>T</mi></msup></mrow>"),
        ("|x|", "<mrow><mo>|</mo><mi>x</mi><mo>|</mo></mrow>"),
        ("y_i", "<msub><mi>y</mi><mi>i</mi></msub>"),
        ("weight[o]", "<msub><mi>weight</mi><mi>o</mi></msub>"),
        ("beta1^step", "<msup><msub><mi>β</mi><mn>1</mn></msub><mi>step</mi></msup>"),
        ("sum_j x_j", "<mrow><munder><mo>∑</mo><mi>j</mi></munder><msub><mi>x</mi><mi>j</mi></msub></mrow>"),
        ("epsilon", "<mi>ε</mi>"),
        ("-x", "<mrow><mo>−</mo><mi>x</mi></mrow>"),
        ("H'", "<msup><mi>H</mi><mo>′</mo></msup>"),
    ],
)
def test_each_form(formula: str, expected: str) -> None:
    assert to_mathml(formula) == f"<math>{expected}</math>"


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("a - (b - c)", "a−(b−c)"),
        ("a - b - c", "a−b−c"),
        ("(a + b) c", "(a+b)·c"),
        ("a * (b + c)", "a·(b+c)"),
        ("(r * h) @ w", "(r\u2062h)w"),
        ("(h @ w) * r", "(hw)·r"),
        ("a @ b @ c", "abc"),
        ("-(a + b)", "−(a+b)"),
        ("1 / (1 + exp(-x))", "11+exp\u2061(−x)"),
        ("sum(a * b) / n", "∑a\u2062bn"),
        ("sum(a + b)", "∑(a+b)"),
        ("x = a / b where x > 0, b elsewhere", "x=ab where x>0, b elsewhere"),
    ],
)
def test_parentheses_stand_where_they_must(formula: str, expected: str) -> None:
    assert plain(set_piece(formula)) == expected


def test_letters_are_replaced_whole() -> None:
    letters = {"x": Markup("<mi>i</mi>"), "weight": Markup("<mi>wij</mi>")}
    made = to_mathml("y = x @ weight + bias_x", letters)
    assert "<mi>i</mi>" in made
    assert "<mi>wij</mi>" in made
    assert "weight" not in made


@pytest.mark.parametrize(
    "text", ["the sum of all", "a ** ", "f(x", "a = b = c", "x if y else z", "lambda x: x", "'a'", "a.b(c=1)", ""]
)
def test_what_is_no_formula_stays_code(text: str) -> None:
    assert to_mathml(text) == Markup("<code>{}</code>").format(text)


@pytest.mark.parametrize("hostile", ["<script>alert(1)</script>", "x</math><b>", "a & b", "`\"'"])
def test_hostile_text_is_escaped(hostile: str) -> None:
    for made in (
        to_mathml(hostile),
        with_formulas(f"``{hostile}``"),
        with_formulas(hostile),
        derivative(hostile, hostile),
    ):
        ET.fromstring(f"<p>{made}</p>")
        assert "<script" not in made
        assert "<b>" not in made


def test_a_block_keeps_what_stands_in_parentheses_behind_its_lines() -> None:
    made = formulas("g = a + b     (coupled: a)\nm = x\n    + y")
    assert [(plain(formula), aside) for formula, aside in made] == [("g=a+b", "(coupled: a)"), ("m=x+y", "")]
