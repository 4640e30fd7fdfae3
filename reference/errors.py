"""The one error of bad input: where it stands, what must hold, what was received."""

from __future__ import annotations

from collections.abc import Iterable


class CaseError(ValueError):
    """A case that cannot be run as it is written.

    ``key`` is the path inside the case (``nodes.k.inputs``), ``file`` the file that it was read from, if any.
    Whoever raises it knows what is expected and what was received; whoever passes it on adds where that was.
    """

    def __init__(self, expected: str, received: str, *, key: str = "", file: str = "") -> None:
        super().__init__(expected, received)
        self.expected = expected
        self.received = received
        self.key = key
        self.file = file

    def __str__(self) -> str:
        where = ": ".join(part for part in (self.file, self.key) if part)
        return f"{where}{': ' if where else ''}expected {self.expected}; received {self.received}"

    def within(self, key: str) -> CaseError:
        """The same error, seen from the table that holds ``key``."""
        return CaseError(self.expected, self.received, key=f"{key}.{self.key}" if self.key else key, file=self.file)

    def in_file(self, file: str) -> CaseError:
        """The same error, with the file that the case came from."""
        return CaseError(self.expected, self.received, key=self.key, file=file)


def require(holds: bool, key: str, expected: str, received: object) -> None:
    """Raise CaseError about one field unless the condition holds."""
    if not holds:
        raise CaseError(expected, repr(received), key=key)


def listed(names: Iterable[object]) -> str:
    """Names as an error message lists them: sorted, quoted, separated by commas."""
    return ", ".join(repr(name) for name in sorted(map(str, names))) or "none"


def printable(text: object) -> str:
    """Text as one line that can be shown anywhere: what is not printable (controls, newlines, marks that turn the
    direction of writing) appears as its escape.
    """
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in str(text)
    )
