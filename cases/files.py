"""Files: read no further than they may be large, written whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources.abc import Traversable
from pathlib import Path

from ..reference.errors import CaseError

LARGEST_TEXT = 2**22
"""How many bytes a case file may have; more numbers than that stand in safetensors files beside it."""
LARGEST_ARRAYS = 2**32
"""How many bytes such a file may have."""


def read_file(place: Traversable, name: str, most: int) -> bytes:
    """What a file holds, of at most so many bytes.

    Raises:
        CaseError: it is not there, is larger, or cannot be read.
    """
    file = place / name
    try:
        if isinstance(file, Path):
            require_regular(file, name)
        with file.open("rb") as opened:
            if opened.seek(0, os.SEEK_END) > most:
                raise CaseError(f"a file of at most {most:,} bytes", f"{name!r}, which is larger")
            opened.seek(0)
            data: bytes = opened.read()
            return data
    except FileNotFoundError:
        raise CaseError("a file", f"{name!r}, which does not exist") from None
    except IsADirectoryError:
        raise CaseError("a file", f"{name!r}, a directory") from None
    except CaseError:
        raise
    except (OSError, ValueError) as error:
        raise CaseError("a file that can be read", f"{name!r}: {getattr(error, 'strerror', None) or error}") from None


def require_regular(file: Path, name: str) -> None:
    """Raise CaseError about a device, a pipe or a socket, which may never end."""
    if file.exists() and not file.is_file() and not file.is_dir():
        raise CaseError("a file", f"{name!r}, a device or a pipe")


def inside(folder: Path, name: str) -> Path:
    """The path of a name in a folder, or below.

    Raises:
        CaseError: it is absolute, or leads out of the folder, by itself or by a link.
    """
    path = folder / name
    try:
        target = path.resolve()
    except (OSError, ValueError, RuntimeError) as error:  # links in a circle, a character that no path has
        raise CaseError("a path", f"{name!r}: {error}") from None
    if not target.is_relative_to(folder.resolve()):
        raise CaseError(f"a path that stays in {str(folder)!r}", f"{name!r}, which leads to {str(target)!r}")
    return path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside the path to write to, which takes its place when all is written, and is on the disk.

    Whatever happens before, a crash of the machine too, what stood there stays as it was. Of several that write at
    once the last to end is what stands there.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    temporary.touch(exist_ok=False)
    mode = temporary.stat().st_mode
    try:
        yield temporary
        temporary.chmod(mode)  # safetensors writes a file of its own, which nobody else could read
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    write_bytes(path, text.encode())
