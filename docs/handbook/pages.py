"""The pages that are made from the code, as reStructuredText."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from types import ModuleType
from typing import Any

import crosscheck
from crosscheck.cases import built_in
from crosscheck.faults import FAMILIES as FAULT_FAMILIES
from crosscheck.faults import FAULTS, Mistake
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from support import FRAMEWORKS

from . import tables
from .docstrings import describe
from .formulas import with_formulas
from .kinds import WITH_PAGE, catalogue
from .sources import ROOT, Code, body

TEMPLATES = Path(__file__).parent / "templates"

API = ("api", *sorted(marker.parent.name for marker in ROOT.glob("*/__init__.py") if marker.parent.name != "cli"))
"""The module for Python, and every package but the command line, which says of itself what it does."""


def pages() -> Iterator[tuple[str, str]]:
    """Name and text of every page that is made."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"heading": heading, "rubric": rubric, "code": code_block, "within": within, "body": body}
    environment.filters["formulas"] = with_formulas
    environment.globals |= {"table": tables.table, "tables": tables, "describe": describe}

    def page(template: str, **values: Any) -> str:
        return environment.get_template(f"{template}.rst").render(values)

    known = catalogue()
    every = [kind for kinds in known.values() for kind in kinds]
    for family, kinds in known.items():
        yield f"{family.folder}/index", page("family", family=family, kinds=kinds)
        for kind in kinds:
            yield kind.page, page("kind", kind=kind)
    yield "frameworks", page("frameworks", kinds=every)
    yield "cases", page("cases", cases=built_in(), kinds=every)

    modules = [Mistakes.of(module) for module in FAULT_FAMILIES]
    yield "mistakes/index", page("mistakes", modules=modules)
    for module in modules:
        yield f"mistakes/{module.name}", page("mistakes_of", module=module)

    yield "api/index", page("api", packages=API, public=public())
    for name in API:
        yield f"api/{name}", page("module", package=name, modules=documented(name))


@dataclass(frozen=True)
class Mistakes:
    """A module of faults: its name, what it says of itself, and its mistakes."""

    name: str
    about: str
    classes: list[type[Mistake]]

    @classmethod
    def of(cls, module: ModuleType) -> Mistakes:
        """Those of a module."""
        own = [mistake for mistake in FAULTS.values() if mistake.__module__ == module.__name__]
        return cls(module.__name__.rpartition(".")[2], (module.__doc__ or "").partition("\n\n")[0], own)


def documented(package: str) -> dict[str, str]:
    """The modules of a package that the API has, each with the names of its classes that have pages of their own.

    Found by their files: nothing is imported that would import a framework.
    """
    files = [ROOT / f"{package}.py", *(ROOT / package).rglob("*.py")]
    names = (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files if file.exists())
    modules = sorted(f"crosscheck.{name.removesuffix('.__init__')}" for name in names if is_api(name))
    return {module: ", ".join(kind.__name__ for kind in WITH_PAGE if kind.__module__ == module) for module in modules}


def is_api(module: str) -> bool:
    """Whether a module is neither a family of kinds or of faults, nor a framework's."""
    package, *inner = module.split(".")
    if package == "adapters":
        return inner[0] not in FRAMEWORKS
    if package == "faults":
        return inner[0] in ("__init__", "base", "conventions")
    return package != "reference" or len(inner) == 1 or inner[1] in ("__init__", "base", "schedules")


def public() -> Iterator[tables.Row]:
    """What `import crosscheck as cc` has, beside the kinds, and what it is."""
    yield "name", "what it is"
    for name in crosscheck.__all__:
        thing = getattr(crosscheck, name)
        if hasattr(thing, "__qualname__") and thing not in WITH_PAGE:
            yield f":py:obj:`{name} <{thing.__module__}.{thing.__qualname__}>`", describe(thing).about


# ----------------------------------------------------------------------------------------------------- reStructuredText


def heading(text: str, mark: str) -> str:
    """A heading."""
    return f"{text}\n{mark * len(text)}"


def rubric(text: str, level: int = 2) -> str:
    """A heading that no list of contents has: there are thousands, and every page has the list of all pages in it."""
    return f".. rubric:: {text}\n   :heading-level: {level}"


def within(text: str) -> str:
    """Text that belongs to a directive."""
    return indent(text, "   ")


def code_block(code: Code) -> str:
    """Code with the file that it stands in."""
    return f".. code-block:: python\n   :caption: {code.caption}\n\n{within(code.text)}"
