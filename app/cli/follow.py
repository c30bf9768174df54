"""Follow a task to its end, and see to it that somebody works on it meanwhile."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.api.status import StatusView, status_of
from app.cli.door import configured, routine
from app.cli.exits import Exit
from app.cli.progress import Display, Snapshot, display
from app.cli.screen import Screen
from app.cli.summary import exit_of_task, summary
from app.workers.embedded import Supervisor
from rowvec.errors import CredentialsRefused, QuotaExhausted
from rowvec.ledgers.base import Ledger
from rowvec.machine import Machine
from rowvec.sweeper import sweep, this_host

LOOK = 0.2
"""Seconds between two looks at the ledger."""


async def view_of(ledger: Ledger, task_id: str) -> StatusView:
    """The task as the HTTP door shows it. Raises UnknownTask."""
    return await status_of(ledger, await ledger.task(task_id), await ledger.children(task_id))


async def follow(machine: Machine, screen: Screen, task_id: str) -> Exit:
    """Show progress until the task goes no further by itself, then its summary."""
    try:
        async with _worked(machine):
            with display(screen.err) as shown:
                view = await _watched(machine.ledger, task_id, shown)
    except asyncio.CancelledError:
        screen.note(
            f"The task and all its finished work are kept. Go on with: ./vectordb status {task_id} --follow"
        )
        raise
    screen.answer(view.model_dump(mode="json"), lambda: summary(view))
    return await _pause_exit(machine) if view.status == "paused" else exit_of_task(view)


async def _watched(ledger: Ledger, task_id: str, shown: Display) -> StatusView:
    while True:
        view = await view_of(ledger, task_id)
        snapshot = Snapshot.of(view)
        shown.show(snapshot)
        if snapshot.over:
            return view
        await asyncio.sleep(LOOK)


@asynccontextmanager
async def _worked(machine: Machine) -> AsyncIterator[None]:
    """A worker, as long as this lasts, unless one works elsewhere on the same ledger.

    On this host the lock in DATA_DIR decides: where a service holds it, its worker does the work, and
    this process takes over only if that service ends.
    """
    await sweep(machine.ledger, machine.limits.lease_seconds)
    if any(worker.alive and worker.host != this_host() for worker in await machine.ledger.workers()):
        yield
        return
    config = configured()
    if routine(config):
        os.environ["LOG_LEVEL"] = "WARNING"  # inherited by the worker, whose lines would tear the bar
    supervisor = Supervisor(config)
    await supervisor.start()
    try:
        yield
    finally:
        await supervisor.stop()


async def _pause_exit(machine: Machine) -> Exit:
    """The reason of a pause is told in words only, so the parts are asked if it is a key or a quota."""
    try:
        await machine.embedder.ping()
        await machine.store.ping()
    except (CredentialsRefused, QuotaExhausted):
        return Exit.KEY_OR_QUOTA
    return Exit.FAILED
