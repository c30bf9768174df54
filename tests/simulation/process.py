"""A simulated process. It can be stopped and go on, or be gone at once: then nothing of it runs again."""

from __future__ import annotations

from contextvars import Context, ContextVar
from dataclasses import dataclass

import psutil


@dataclass(eq=False, slots=True)
class Life:
    """One process from its start to its end. `started` is the wall clock's time of its start."""

    number: int
    host: str
    pid: int
    started: float
    gone: bool = False
    stopped: bool = False

    def context(self) -> Context:
        """What runs in it belongs to this process, and so does all that it starts."""
        context = Context()
        context.run(LIFE.set, self)
        return context

    def __str__(self) -> str:
        return f"process {self.number}"


LIFE: ContextVar[Life | None] = ContextVar("life", default=None)
"""Whose code runs now; None: nobody's who can die, as a server elsewhere or the world itself."""

NOBODY = Context()


def current() -> Life:
    life = LIFE.get()
    if life is None:
        raise LookupError("no process runs this")
    return life


class ProcessTable:
    """What an operating system knows of processes: of each host those that are there."""

    def __init__(self) -> None:
        self._there: dict[tuple[str, int], Life] = {}

    def add(self, life: Life) -> None:
        self._there[life.host, life.pid] = life

    def find(self, pid: int | None = None) -> Process:
        """As `psutil.Process`. Raises psutil.NoSuchProcess."""
        asking = current()
        life = asking if pid is None else self._there.get((asking.host, pid))
        if life is None or life.gone:
            raise psutil.NoSuchProcess(pid)
        return Process(life)


@dataclass(frozen=True, slots=True)
class Memory:
    """The same in every run."""

    rss: int = 100 << 20


@dataclass(frozen=True, slots=True)
class Process:
    life: Life

    def create_time(self) -> float:
        return self.life.started

    def status(self) -> str:
        return str(psutil.STATUS_STOPPED if self.life.stopped else psutil.STATUS_RUNNING)

    def memory_info(self) -> Memory:
        return Memory()
