"""Take back what dead workers held, and see to it that what is done ends."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import psutil

from rowvec.ledgers.base import Ledger
from rowvec.model import WorkerInfo

CLOCK_STEP = 10.0
"""Seconds by which a corrected system clock may move a living process's start."""


async def sweep(ledger: Ledger, lease_seconds: float) -> int:
    """One round; returns how many pieces of work were taken back.

    A worker of this host whose process is gone is dead at once; any other when its lease has run out.
    """
    gone = [worker.id for worker in await ledger.workers() if _is_gone(worker)]
    taken = await ledger.bury(gone) if gone else 0
    return taken + await ledger.sweep(lease_seconds)


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
