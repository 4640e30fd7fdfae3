"""A subject's process as the one that asks sees it: started, asked, watched and ended."""

from __future__ import annotations

import re
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic, sleep

import psutil

from ..adapters import Crashed, NotInstalled
from .limits import GIGABYTE, Limits
from .messages import PLACES, Answer, Request, read, write

SECONDS_BETWEEN_LOOKS = 0.01
STARTING = 120.0
"""Seconds in which a subject must be there; frameworks take their time."""

GRACE = 1.0
"""Seconds beyond its time in which a process writes down where it is."""

PLACE = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>.+)')
LIBRARY = re.compile(r"[/\\](site-packages|lib[/\\]python3\.\d+)[/\\]")


class TimedOut(Exception):
    """A subject that did not end in its time; the message says where it was."""


class Process:
    """A Python process that has one subject, and answers one request after the other."""

    def __init__(self, target: str, python: str, limits: Limits) -> None:
        self.limits = limits
        self.python = python
        self.folder = TemporaryDirectory(prefix="crosscheck.")
        self.path = Path(self.folder.name)
        self.asked = 0
        # -P: without the working directory, whose files are not meant as modules.
        command = [python, "-P", "-m", f"{__package__}.worker", target, self.folder.name]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE)

    @property
    def running(self) -> bool:
        """Whether the process can be asked."""
        return self.process.poll() is None

    def ready(self) -> Answer:
        """Wait until the subject is there.

        Raises:
            NotInstalled: its framework is not installed there, or crosscheck is not.
            Crashed, TimedOut: see ``ask``.
        """
        try:
            return self.answer(0, STARTING)
        except Crashed:
            if not (self.path / PLACES).exists() and not can_import(self.python):
                raise NotInstalled(f"crosscheck is not installed for {self.python}") from None
            raise

    def ask(self, request: Request) -> Answer:
        """Ask for something and wait for the answer.

        Raises:
            Crashed: the process ended without one, or took more memory than it may.
            TimedOut: there was none in time. The process is ended.
        """
        self.asked += 1
        write(request, self.path / f"{self.asked}.request")
        assert self.process.stdin
        with suppress(BrokenPipeError):  # it has ended: that no answer comes will tell
            self.process.stdin.write(b"%d\n" % self.asked)
            self.process.stdin.flush()
        return self.answer(self.asked, self.limits.seconds)

    def answer(self, number: int, seconds: float | None) -> Answer:
        """Wait for an answer; see ``ask``."""
        path, since = self.path / f"{number}.answer", monotonic()
        while not path.exists():
            ended = self.process.poll() is not None
            if ended and not path.exists():
                raise Crashed(self.how_it_ended())
            if seconds and monotonic() - since > seconds + GRACE:
                self.kill()
                raise TimedOut(f"no answer within {seconds:g} seconds{self.place('; it was at ')}")
            if self.limits.gigabytes and self.memory() > self.limits.gigabytes * GIGABYTE:
                self.kill()
                raise Crashed(f"it took more than {self.limits.gigabytes:g} GB of memory")
            sleep(SECONDS_BETWEEN_LOOKS)
        answer = read(Answer, path)
        answer.raise_if_failed()
        return answer

    def memory(self) -> int:
        """The bytes of memory that the process and those that it has started have in use."""
        total = 0
        for process in self.all_of_it():
            with suppress(psutil.Error):
                total += process.memory_info().rss
        return total

    def all_of_it(self) -> list[psutil.Process]:
        """The process and those that it has started, as far as they run."""
        try:
            process = psutil.Process(self.process.pid)
            return [*process.children(recursive=True), process]
        except psutil.Error:
            return []

    def how_it_ended(self) -> str:
        """Why a process is no more that has not answered."""
        code = self.process.returncode
        if code >= 0:
            return f"its process ended with exit status {code} and without an answer"
        name = signal.Signals(-code).name if -code in {*signal.Signals} else f"signal {-code}"
        why = ", as the system does where memory is short" if name == "SIGKILL" else ""
        return f"its process was killed by {name}{why}{self.place(' at ')}"

    def place(self, before: str) -> str:
        """In which line the process was, where it could still write that down: the innermost outside of libraries."""
        path = self.path / PLACES
        text = path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
        thread = text[text.find("Current thread") :] if "Current thread" in text else text.rpartition("Thread")[2]
        frames = list(PLACE.finditer(thread))
        found = next((frame for frame in frames if not LIBRARY.search(frame["file"])), frames[0] if frames else None)
        return f"{before}{Path(found['file']).name}:{found['line']}, in {found['function'].strip()}" if found else ""

    def kill(self) -> None:
        """End the process and all that it has started."""
        for process in self.all_of_it():
            with suppress(psutil.Error):
                process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the process, and leave nothing of it."""
        self.kill()
        assert self.process.stdin
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        self.folder.cleanup()


def can_import(python: str) -> bool:
    """Whether an interpreter finds crosscheck."""
    return (
        subprocess.run([python, "-P", "-c", "import crosscheck"], stderr=subprocess.DEVNULL, check=False).returncode
        == 0
    )
