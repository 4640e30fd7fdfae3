"""The docstring of a kind, taken apart: what it is, its formula, and the paragraphs that begin with a known word."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass
from textwrap import dedent

LABEL = re.compile(r"(Shapes|Same \w+ elsewhere|Raises|Source):\s*", flags=re.DOTALL)
RAISED = re.compile(r"^(\w+): ", flags=re.MULTILINE)


@dataclass(frozen=True)
class Description:
    """What a docstring says; each part is reStructuredText, and empty where the docstring has none."""

    about: str
    """The first paragraph."""
    body: str
    """What comes after it: formulas, and what the fields are."""
    shapes: str
    elsewhere: str
    """How others have the same."""
    raises: str
    source: str
    example: str
    """What is typed at Python's prompt, and what it answers."""


def describe(described: object) -> Description:
    r"""Take the docstring of a class apart.

    >>> def f():
    ...     '''Twice: ``y = 2 x``.
    ...
    ...     Any shape.
    ...
    ...     Raises:
    ...         CaseError: no number, or
    ...             none at all.
    ...
    ...     >>> f(1)
    ...     2
    ...     '''
    >>> described = describe(f)
    >>> described.about, described.body, described.raises, described.example
    ('Twice: ``y = 2 x``.', 'Any shape.', '``CaseError``: no number, or none at all.', '>>> f(1)\n2')
    """
    text, prompt, example = (inspect.getdoc(described) or "").partition("\n>>> ")
    about, *paragraphs = text.strip().split("\n\n")
    parts: dict[str, list[str]] = {"body": []}
    label = "body"
    for paragraph in paragraphs:
        if begun := LABEL.match(paragraph):
            label = begun[1].split()[-1].lower()
            paragraph = paragraph[begun.end() :] if label != "raises" else raised(paragraph[len("Raises:\n") :])
        parts.setdefault(label, []).append(paragraph)
    joined = {label: "\n\n".join(paragraphs) for label, paragraphs in parts.items()}
    return Description(
        about=about,
        example=f"{prompt}{example}".strip(),
        **{name: joined.get(name, "") for name in ("body", "shapes", "elsewhere", "raises", "source")},
    )


def raised(text: str) -> str:
    """What is raised and when, as a paragraph."""
    return RAISED.sub(r"``\1``: ", " ".join(dedent(text).split()))
