"""Subjects in processes of their own, as the commands that compute have them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..adapters import Against
    from ..isolation import Limits


def limits(in_process: bool, seconds: float, gigabytes: float) -> Limits | None:
    """What the process of a subject may take; None where there is to be none."""
    from ..isolation import Limits

    return None if in_process else Limits(seconds, gigabytes or None)


@contextmanager
def subjects(
    names: Iterable[str], limits: Limits | None, require: Sequence[str] | None = None
) -> Iterator[list[Against]]:
    """What a case is checked against: adapters and training steps, each in a process that ends with it.

    Without limits they are computed here, but for those that name an interpreter.
    """
    from ..adapters import parted
    from ..adapters.own import OwnStep, is_target
    from ..isolation import Isolated

    with ExitStack() as stack:

        def subject(name: str) -> Against:
            if limits:
                return stack.enter_context(Isolated(name, limits, require=require))
            own = is_target(name) and not parted(name)[1]
            return OwnStep(name, None if require is None else tuple(require)) if own else name

        yield [subject(name) for name in names]
