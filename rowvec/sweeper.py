"""Take back what dead workers held, and see to it that what is done ends."""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from rowvec.ledgers.base import Ledger
from rowvec.model import WorkerInfo

CLOCK_STEP = 10.0
"""Seconds by which a corrected system clock may move a living process's start."""


LONGEST_PAUSE = 5.0
"""Seconds between two rounds, at most; else a quarter of a lease."""

LOOK_SECONDS = 1.0
"""So often, between two rounds, the processes of this host are looked at, for which nobody else is asked."""


@dataclass(slots=True)
class Sweeper:
    """One worker's rounds. A worker of this host whose process is gone is dead at once; any other when its
    lease has run out."""

    ledger: Ledger
    lease_seconds: float
    _neighbours: list[WorkerInfo] = field(default_factory=list)

    async def round(self) -> int:
        """How many pieces of work were taken back."""
        self._neighbours = []
        workers = await self.ledger.workers()
        gone = [worker.id for worker in workers if _is_gone(worker)]
        taken = await self.ledger.bury(gone) if gone else 0
        taken += await self.ledger.sweep(self.lease_seconds)
        here = this_host()
        self._neighbours = [worker for worker in workers if worker.host == here and worker.id not in gone]
        return taken

    async def pause(self) -> None:
        """Until the next round is due, or a process of this host is gone that was there at the last one."""
        loop = asyncio.get_running_loop()
        due = loop.time() + min(LONGEST_PAUSE, self.lease_seconds / 4)
        while (left := due - loop.time()) > 0 and not any(map(_is_gone, self._neighbours)):
            await asyncio.sleep(min(LOOK_SECONDS, left))


async def sweep(ledger: Ledger, lease_seconds: float) -> int:
    """One round of somebody who makes no other."""
    return await Sweeper(ledger, lease_seconds).round()


async def living(ledger: Ledger, lease_seconds: float) -> list[WorkerInfo]:
    """The workers that are alive, as far as can be told without burying anybody.

    Not those that a sweep would bury, though where nobody is left to sweep they stay in the ledger.
    """
    workers, now = await asyncio.gather(ledger.workers(), ledger.now())
    return [w for w in workers if w.alive and now - w.beat_at <= lease_seconds and not _is_gone(w)]


def this_host() -> str:
    """Names the set of process ids this process lives in: containers may share a host name, not these."""
    pids = str(Path("/proc/self/ns/pid").readlink()) if sys.platform == "linux" else ""
    return f"{socket.gethostname()}{pids.removeprefix('pid:')}"


def _is_gone(worker: WorkerInfo) -> bool:
    """True only where this host can know: its own process ids, told apart from reused ones by their start."""
    if worker.host != this_host():
        return False
    try:
        process = psutil.Process(worker.pid)
        reused = abs(process.create_time() - worker.pid_started) > CLOCK_STEP
        return bool(reused or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
