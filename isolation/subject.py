"""A subject that computes in a process of its own, perhaps in another interpreter."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any
from weakref import finalize

from ..adapters import Against, Subject, Support, parted, require_installed, subject_of, unknown
from ..adapters.own import OwnStep, is_target
from ..reference import Case, CaseError, Trace
from ..reference.trace import patterns
from .limits import Limits
from .messages import Request
from .parcel import pack, unpack
from .process import SECONDS_BETWEEN_LOOKS, Process


class Isolated:
    """An adapter, or a step in a file of yours, in a process of its own.

    Whatever happens there, a crash, a hang, no memory left, is a verdict on this subject: ``crashed`` or ``timed out``.
    ``subject`` is ``"torch"`` or ``"FILE.py:CALLABLE"``, and with ``@`` and the path of an interpreter,
    ``"torch@env/bin/python"``, computed in that one, where crosscheck must be installed too. The process is started
    when it is first needed, serves case after case, and is started again after it has ended. ``close`` ends it, or
    the end of the object.

    Raises:
        KeyError: no adapter has the name.
        NotInstalled: its framework is not installed here, where it is to run here.
        CaseError: a file or an interpreter that is not there.

    >>> import crosscheck as cc
    >>> with cc.Isolated("torch", cc.Limits(seconds=60, gigabytes=4)) as torch:
    ...     cc.check("article", against=[torch]).ok
    True
    """

    def __init__(self, subject: str, limits: Limits | None = None, *, require: Iterable[str] | None = None) -> None:
        self.name = subject
        self.limits = limits or Limits()
        self.target, interpreter = parted(subject)
        self.python = interpreter_at(interpreter) if interpreter else sys.executable
        self.own = None
        self.kinds: Mapping[str, Support] | None = None
        self.version = ""
        self.process: Process | None = None
        if is_target(self.target):
            self.own = OwnStep(self.target, None if require is None else patterns(require))
            self.name = f"{self.own.name}@{interpreter}" if interpreter else self.own.name
        elif not interpreter:
            require_installed(self.target)
        elif wrong := unknown([self.target]):
            raise KeyError(wrong)

    def environment(self, device: str) -> dict[str, Any]:
        """The version, once it is known; the trace has the rest."""
        return {"version": self.version}

    def requires(self, tensor: str) -> bool:
        """Whether it fails without this tensor: an adapter does, for a step of the user's see ``OwnStep``."""
        return self.own is None or self.own.requires(tensor)

    def record(self, case: Case, device: str = "cpu") -> Trace:
        """Have the case run in the process.

        Raises:
            TimedOut: it took longer than it may.
            Crashed: it raised an error, ended, or took more memory than it may.
            NotInstalled, Unsupported, CaseError: see ``Subject``.
        """
        process = self.started()
        number = process.asked + 1
        sent, made = (process.path / f"{number}.{what}" for what in ("case", "trace"))
        pack(Trace(case=case), sent)
        try:
            process.ask(Request(device=device, seconds=self.limits.seconds or None))
            return unpack(made)
        finally:
            for path in (sent, made):
                path.unlink(missing_ok=True)

    def call(self, function: str) -> Any:
        """What a function without arguments returns that stands in the file of a step of the user's, as JSON has it.

        Raises:
            TimedOut, Crashed, CaseError: see ``record``.
        """
        return self.started().ask(Request(call=function, seconds=self.limits.seconds or None)).value

    def started(self) -> Process:
        """The process, which has the subject."""
        if self.process and not self.process.running:
            self.close()
        if not self.process:
            self.process = Process(self.target, self.python, self.limits)
            finalize(self, self.process.close)
            answer = self.process.ready()
            self.version, self.kinds = answer.version, answer.kinds
        return self.process

    def close(self) -> None:
        """End the process."""
        if self.process:
            self.process.close()
            self.process = None

    def __enter__(self) -> Isolated:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def interpreter_at(text: str) -> str:
    """The path of an interpreter that is named by a path, or by a command.

    Raises:
        CaseError: there is none.
    """
    path = shutil.which(text)
    if path is None:
        raise CaseError("a Python interpreter, SUBJECT@PYTHON", f"{text!r}, which is no program")
    return path


@contextmanager
def opened(
    against: Iterable[Against], require: Iterable[str] | None = None, limits: Limits | None = None
) -> Iterator[list[Subject]]:
    """The subjects that some things name or are; the processes that are started for them end with it.

    With ``limits`` all that are named have a process of their own, otherwise those that name an interpreter.

    Raises:
        KeyError, NotInstalled, CaseError: see ``subject_of`` and ``Isolated``.
    """
    with ExitStack() as stack:

        def subject(one: Against) -> Subject:
            if isinstance(one, str) and (limits or parted(one)[1]):
                return stack.enter_context(Isolated(one, limits, require=require))
            return subject_of(one, require)

        yield [subject(one) for one in against]


@contextmanager
def recordings(subjects: Sequence[Subject], case: Case, device: str) -> Iterator[list[Callable[[], Trace]]]:
    """For each subject a function that returns its trace of a case, or raises what it raises.

    Those in processes of their own begin at once, side by side; the others when the function is called.
    """
    apart = {id(one): one for one in subjects if isinstance(one, Isolated)}
    with ThreadPoolExecutor(max(1, min(len(apart), os.cpu_count() or 1))) as pool:
        begun = {key: pool.submit(one.record, case, device) for key, one in apart.items()}
        try:
            yield [begun[id(one)].result if id(one) in begun else partial(one.record, case, device) for one in subjects]
        except BaseException:
            for recording in begun.values():
                recording.cancel()
            while wait(begun.values(), SECONDS_BETWEEN_LOOKS).not_done:  # a process may be about to start
                for one in apart.values():
                    one.close()
            raise
