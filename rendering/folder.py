"""An agreement on disk: a folder with the record, the tensors that failed, and a page to read.

Each file appears whole or not at all: it is written beside its place and then moved there.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np

from ..cases.tensors import as_tensors
from ..comparison.agreement import Agreement
from ..reference.layers import Array
from .as_json import to_json
from .markdown import to_markdown

EVIDENCE_BYTES = 32 * 2**20
"""How much of the tensors that failed is kept, the first to fail first."""


def write(agreement: Agreement, folder: Path) -> Path:
    """Write the agreement into a folder, which is made if need be, and return it.

    Raises:
        OSError: the folder cannot be made or written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_evidence(agreement, folder / "tensors.safetensors")
    write_text(folder / "agreement.md", to_markdown(agreement))
    write_text(folder / "agreement.json", to_json(agreement))
    return folder


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~current_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def current_umask() -> int:
    """The process's mask of permissions, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_evidence(agreement: Agreement, path: Path) -> None:
    """Write the tensors that failed, as far as they fit; where none did, no file stays behind."""
    kept: dict[str, Array] = {}
    room = EVIDENCE_BYTES
    for name, array in agreement.evidence.items():
        if array.dtype != np.longdouble and array.nbytes <= room:  # safetensors has no longdouble
            kept[name] = array
            room -= array.nbytes
    if kept:
        write_bytes(path, as_tensors(kept))
    else:
        path.unlink(missing_ok=True)
