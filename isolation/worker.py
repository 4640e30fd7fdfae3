"""The process of one subject: ``python -m crosscheck.isolation.worker SUBJECT FOLDER``.

It answers request after request until its standard input ends, each line of which is the number of one: beside
``N.request`` in the folder stands the case, ``N.case``. The trace goes to ``N.trace``, and how it ended to
``N.answer``. The answer numbered 0 says that the subject is there.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..adapters import Subject, subject_of
from ..adapters.own import Target, called
from .messages import PLACES, Answer, Request, read, write
from .parcel import pack, unpack


def main(target: str, folder: Path) -> None:
    """Answer requests for a subject."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # whoever asks says what an interruption means
    with open(folder / PLACES, "w", encoding="utf-8") as places:
        faulthandler.enable(places)
        subject: Subject | None = None

        def there() -> Answer:
            nonlocal subject
            subject = subject_of(target)
            kinds = None if subject.kinds is None else dict(subject.kinds)
            return Answer(outcome="done", version=str(subject.environment("cpu")["version"]), kinds=kinds)

        def respond() -> Answer:
            assert subject
            if request.call:
                return Answer(outcome="done", value=as_json(called(Target.of(target), request.call)))
            case = unpack(folder / f"{number}.case").case
            assert case
            pack(subject.record(case, request.device), folder / f"{number}.trace")
            return Answer(outcome="done")

        write(answer_of(there), folder / "0.answer")
        for number in map(str.strip, sys.stdin):
            request = read(Request, folder / f"{number}.request")
            places.truncate(0)
            places.seek(0)
            if request.seconds:
                faulthandler.dump_traceback_later(request.seconds, file=places)
            answer = answer_of(respond)
            faulthandler.cancel_dump_traceback_later()
            write(answer, folder / f"{number}.answer")


def answer_of(respond: Callable[[], Answer]) -> Answer:
    """The answer, or the error that came instead."""
    try:
        return respond()
    except Exception as error:
        return Answer.about(error)


def as_json(value: Any) -> Any:
    """A value with what JSON lacks as the nearest that it has: None for the dots of a blank, numbers of NumPy's."""
    if isinstance(value, dict):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [as_json(one) for one in value]
    if value is ...:
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return as_json(value.item()) if hasattr(value, "item") else repr(value)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
