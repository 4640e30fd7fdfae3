"""An agreement on disk: a folder with the record, the elements of the tensors that failed, and pages made of the two.

Each file appears whole or not at all.
"""

from __future__ import annotations

from pathlib import Path

from ..cases.files import read_file, write_bytes, write_text
from ..cases.tensors import as_tensors
from ..comparison.agreement import Agreement
from ..lesson.lesson import Lesson
from ..reference.errors import CaseError
from .arrays import fitting, with_arrays
from .as_json import from_json, to_json
from .junit import to_junit
from .markdown import to_markdown
from .report import to_html

RECORD, ARRAYS, PAGE = "agreement.json", "tensors.safetensors", "report.html"
LARGEST = 2**28
"""How many bytes a record may have that is read, and a file of elements: some 200,000 tensors."""


def write(agreement: Agreement, folder: Path) -> Path:
    """Write the agreement into a folder, which is made if need be, and return it.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    agreement, arrays = fitting(agreement)
    if arrays:
        write_bytes(folder / ARRAYS, as_tensors(arrays))
    else:
        (folder / ARRAYS).unlink(missing_ok=True)
    write_text(folder / RECORD, to_json(agreement))
    return render(agreement, folder)


def render(agreement: Agreement, folder: Path) -> Path:
    """Write the pages of an agreement that was read from a folder, and return it: they follow from what is there."""
    write_text(folder / PAGE, to_html(agreement))
    write_text(folder / "agreement.md", to_markdown(agreement))
    write_text(folder / "junit.xml", to_junit(agreement))
    return folder


def read(folder: Path) -> Agreement:
    """The agreement that was written into a folder.

    Raises:
        CaseError: what is there is no agreement, is too large, or cannot be read.
    """
    record, arrays = folder / RECORD, folder / ARRAYS
    agreement = from_json(held_in(record), str(record))
    if not arrays.exists():
        return agreement
    data = held_in(arrays)
    try:
        return with_arrays(agreement, data)
    except CaseError as error:
        raise error.in_file(str(arrays)) from None


def held_in(path: Path) -> bytes:
    """What a file of an agreement holds, of at most ``LARGEST`` bytes."""
    try:
        return read_file(path.parent, path.name, LARGEST)
    except CaseError as error:
        raise error.in_file(str(path)) from None


def folders_in(path: Path) -> list[Path]:
    """The folder itself where it holds an agreement, and otherwise those in it that do.

    Raises:
        CaseError: there is none.
    """
    folders = [path] if (path / RECORD).is_file() else sorted(record.parent for record in path.glob(f"*/{RECORD}"))
    if not folders:
        received = repr(str(path)) if path.is_dir() else f"{str(path)!r}, which is no folder"
        raise CaseError(f"a folder that crosscheck run wrote, with an {RECORD}, or a folder of them", received)
    return folders


def write_lesson(lesson: Lesson, folder: Path) -> Path:
    """Write the page of a lesson into a folder, which is made if need be, and return its path.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    from .lesson_page import to_html

    path = folder / "lesson.html"
    write_text(path, to_html(lesson))
    return path
