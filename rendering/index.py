"""Several agreements as one page: a matrix of cases and subjects, what failed first."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from ..cases.files import write_text
from ..comparison.agreement import Agreement, SubjectAgreement
from ..comparison.verdicts import SEVERITY
from . import words
from .folder import PAGE


@dataclass(frozen=True)
class Cell:
    """A subject of a case: where it is told of, and its worst error."""

    address: str
    subject: SubjectAgreement

    @property
    def sigmas(self) -> float | None:
        """The worst error of any of its tensors."""
        return max((one.sigmas for one in self.subject.tensors if one.sigmas is not None), default=None)


@dataclass(frozen=True)
class CaseLine:
    """A case with its subjects by name."""

    agreement: Agreement
    address: str
    cells: Mapping[str, Cell]

    @property
    def badness(self) -> int:
        """A key that sorts the worst case first."""
        found = [SEVERITY.index(cell.subject.verdict) for cell in self.cells.values()]
        return min(found, default=SEVERITY.index("not compared"))


def write_index(agreements: Mapping[Path, Agreement], path: Path) -> Path:
    """Write the page over the agreements of some folders, which it leads to, and return where it is."""
    lines = [line(agreement, address(folder, path.parent)) for folder, agreement in agreements.items()]
    write_text(path, to_html(lines))
    return path


def line(agreement: Agreement, at: str) -> CaseLine:
    """A case whose page is at this address."""
    cells = {name: Cell(f"{at}#s{place}", one) for place, (name, one) in enumerate(words.worst_first(agreement))}
    return CaseLine(agreement, at, cells)


def address(folder: Path, start: Path) -> str:
    """Where the page of an agreement's folder is, as seen from another."""
    return quote(Path(os.path.relpath(folder / PAGE, start)).as_posix())


def to_html(lines: list[CaseLine]) -> str:
    """The page."""
    from .pages import page

    subjects = list(dict.fromkeys(name for one in lines for name in one.agreement.subjects))
    agreeing = sum(one.agreement.ok for one in lines)
    return page(
        "index",
        like="report",
        title=f"crosscheck: {agreeing} of {len(lines)} cases agree",
        lines=sorted(lines, key=lambda one: one.badness),
        subjects=subjects,
        agreeing=agreeing,
        verdicts=dict.fromkeys(cell.subject.verdict for one in lines for cell in one.cells.values()),
    )
