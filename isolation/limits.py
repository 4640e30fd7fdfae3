"""How long a subject may take, and how much memory."""

from __future__ import annotations

from dataclasses import dataclass

GIGABYTE = 10**9


@dataclass(frozen=True)
class Limits:
    """What a process may take for one case. None, or 0, is no limit."""

    seconds: float | None = 600
    gigabytes: float | None = None
    """Of memory that is in use (resident), with that of the processes that it has started; 1 GB is 10^9 bytes."""

    def __post_init__(self) -> None:
        for name in ("seconds", "gigabytes"):
            if (value := getattr(self, name)) is not None and not value >= 0:
                raise ValueError(f"{name}: expected a number of at least 0, or None; received {value!r}")
