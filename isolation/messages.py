"""What is asked of a subject's process, and what it answers: small files that appear when they are whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar

from ..adapters import NotInstalled, Unsupported
from ..adapters.contract import Crashed, reason_of
from ..cases.files import write_text
from ..cases.strict import Record, checked, json_table
from ..reference import CaseError

PLACES = "places.txt"
"""Where a process writes in which lines its threads are, when it crashes or its time is over."""

Read = TypeVar("Read", "Request", "Answer")


class Request(Record):
    """Record a case, or call a function in the file of a user's step and return what it does."""

    device: str = "cpu"
    call: str = ""
    seconds: float | None = None
    """After so many the process writes down where it is."""


class Answer(Record):
    """How a request ended, and why."""

    outcome: Literal["done", "bad input", "not installed", "unsupported", "crashed"]
    reason: str = ""
    """Of bad input: what was expected."""
    received: str = ""
    key: str = ""
    file: str = ""
    version: str = ""
    """Of the subject, with its ``kinds``, once it is there."""
    kinds: dict[str, Literal["native", "composed"]] | None = None
    value: Any = None
    """What a function returned, as JSON has it."""

    @classmethod
    def about(cls, error: Exception) -> Answer:
        """The answer that an error is."""
        if isinstance(error, CaseError):
            expected, received = error.expected, error.received
            return cls(outcome="bad input", reason=expected, received=received, key=error.key, file=error.file)
        if isinstance(error, NotInstalled):
            return cls(outcome="not installed", reason=str(error))
        if isinstance(error, Unsupported):
            return cls(outcome="unsupported", reason=str(error))
        return cls(outcome="crashed", reason=reason_of(error))

    def raise_if_failed(self) -> None:
        """Raise the error that the answer is about, if it is about one."""
        if self.outcome == "bad input":
            raise CaseError(self.reason, self.received, key=self.key, file=self.file)
        if self.outcome != "done":
            raise {"not installed": NotInstalled, "unsupported": Unsupported, "crashed": Crashed}[self.outcome](
                self.reason
            )


def write(message: Request | Answer, path: Path) -> None:
    """Write a message; whoever waits for the file never sees a part of it."""
    write_text(path, message.model_dump_json())


def read(kind: type[Read], path: Path) -> Read:
    """The message in a file."""
    return checked(kind, json_table(path.read_bytes()), path.name)
