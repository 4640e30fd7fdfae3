"""From a template to one self-contained file: style and script inside, and a policy that lets nothing else in.

Every template is escaped by Jinja2 and stands beside this file with the style and the script that are its own:
``report.html``, ``report.css``, ``report.js``. The policy names both by their hashes, so that a name which should ever
get past the escaping still is no script, and no file is ever asked for another.
"""

from __future__ import annotations

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ...reference.errors import printable
from .. import words

HERE = Path(__file__).parent


def page(template: str, *, like: str = "", **context: Any) -> str:
    """The page that ``TEMPLATE.html`` makes of the context, which has a ``title`` at least.

    Its style and its script are its own, or those of another page that it is ``like``.

    Every text is escaped, and what cannot be printed (controls, marks that turn the direction of writing) appears as
    its escape; ``Markup`` alone passes as it is.
    """
    own = like or template
    style, script = source("base.css") + source(f"{own}.css"), source(f"{own}.js")
    policy = "; ".join(
        [
            "default-src 'none'",
            "img-src data:",
            f"style-src {hashed(style)}",
            f"script-src {hashed(script)}",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    made = environment().get_template(f"{template}.html")
    return made.render(policy=policy, style=Markup(style), script=Markup(script), **context)


def fragment(template: str, **context: Any) -> str:
    """What ``TEMPLATE.html`` makes of the context, to stand in a page of someone else's, escaped in the same way."""
    return environment().get_template(f"{template}.html").render(**context)


def picture(svg: bytes) -> Markup:
    """The address of a drawing that is inside the page: an image can do nothing but show itself."""
    return Markup("data:image/svg+xml;base64,") + Markup(b64encode(svg).decode())


@cache
def environment() -> Environment:
    """The templates, with what every one of them may use."""
    made = Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"short": words.short, "full": words.full, "index": words.index, "shape": words.shape}
    made.filters |= {"coded": coded, "sentence": words.sentence, "tone": words.tone, "glyph": words.glyph}
    return made


def shown(value: Any) -> Any:
    """A value as it stands in a page: a text with nothing in it that could not be seen."""
    if not isinstance(value, str) or isinstance(value, Markup) or value.isprintable():
        return value
    return printable(value)


def coded(text: str) -> Markup:
    """A text in which what stands between double backticks is code."""
    parts = [shown(part) for part in text.split("``")]
    wrapped = (Markup("<code>{}</code>").format(part) if place % 2 else part for place, part in enumerate(parts))
    return Markup("").join(wrapped)


@cache
def source(name: str) -> str:
    """A style or a script; empty where a template has none."""
    path = HERE / name
    return path.read_text(encoding="utf-8") if path.exists() else ""


def hashed(text: str) -> str:
    """What names this text alone in a policy."""
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"
