"""One attempt at a table: begun, followed, perhaps killed. Each way makes its own kind."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Protocol

from benchmarks.peers.scene import Scene
from benchmarks.process import peak_mb

LOOK_EVERY_SECONDS = 0.05


class Attempt(Protocol):
    """What is up and waits for `begin`. Begun where another was killed, it goes on from there."""

    def begin(self) -> None: ...

    def over(self) -> bool:
        """Has it ended, well or not?"""

    def ending(self) -> str:
        """`complete`, or in its own words how else it ended."""

    def processes(self) -> list[int]:
        """All that work for it on the caller's side."""

    def in_flight(self) -> int | None:
        """Once it is killed: rows that it had begun and not committed; None where nobody keeps account."""

    def kill(self) -> None:
        """SIGKILL to all of them at once."""


Start = Callable[[], AbstractContextManager[Attempt]]
Way = Callable[[Scene], AbstractContextManager[Start]]
"""Prepares what outlives a kill (a broker, a ledger's server), and gives what starts an attempt."""


@dataclass(frozen=True, slots=True)
class Followed:
    """Seconds from `begin` until the attempt was over (or as long as it was followed), and the sum of its
    processes' peaks of memory in MB."""

    seconds: float
    peak: float


def follow(attempt: Attempt, until: Callable[[float], bool] = lambda _seconds: False) -> Followed:
    """Begin, and wait until it is over, or until this is true of the seconds since."""
    began, peak = time.perf_counter(), 0.0
    attempt.begin()
    while True:
        seconds = time.perf_counter() - began
        with suppress(FileNotFoundError, ProcessLookupError, RuntimeError):
            peak = max(peak, sum(map(peak_mb, attempt.processes())))
        if attempt.over() or until(seconds):
            return Followed(round(seconds, 2), round(peak, 1))
        time.sleep(LOOK_EVERY_SECONDS)
