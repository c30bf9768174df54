"""What nobody waits for: files that are needed no more go. Any process may do it beside its own work.

Each deletion asks the ledger first and may be done twice, so it does not matter who does it, how often, and
where a process dies over it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from rowvec.errors import RetryLater
from rowvec.expiry import drop_old_uploads
from rowvec.leftovers import drop_leftovers
from rowvec.machine import Machine
from rowvec.model import Task, TaskState
from rowvec.paging import PAGE, all_tasks
from rowvec.remembered import Remembered
from rowvec.spool import FOR_GOOD

log = structlog.get_logger(__name__)

QUICK_SECONDS = 5.0
SLOW_ROUNDS = 720
"""Every so manyth round is a slow one: once an hour, and first of all."""


class Housekeeping:
    """A quick round looks at what was cancelled of late, a slow one at everything."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._cleared = Remembered(100_000)

    async def run(self) -> None:
        """Round after round until cancelled. What goes wrong is logged, and the next round tries it again."""
        round_number = 0
        while True:
            try:
                await (self.quick() if round_number % SLOW_ROUNDS else self.slow())
            except RetryLater as away:
                log.warning("housekeeping is put off", error=away.message)
            except Exception as error:  # the work must not end over what nobody waits for
                log.error("housekeeping failed", exc_info=error)
            round_number += 1
            await asyncio.sleep(QUICK_SECONDS)

    async def quick(self) -> None:
        """What the newest cancelled tasks have put away goes: of most, within seconds."""
        page = await self._machine.ledger.tasks(PAGE, state=TaskState.CANCELLED)
        for task in page.tasks:
            await self._drop_leftovers(task)

    async def slow(self) -> None:
        """What all tasks that have ended for good have put away goes, also where a process died before it did
        so; and uploads that are old."""
        for state in FOR_GOOD:
            async for task in all_tasks(self._machine.ledger, state):
                await self._drop_leftovers(task)
        if gone := await drop_old_uploads(self._machine):
            log.info("old uploads removed", names=gone)

    async def _drop_leftovers(self, task: Task) -> None:
        """None of these states is ever left again, and nothing is at work in them: each task is looked at
        once."""
        if task.id not in self._cleared:
            await drop_leftovers(self._machine, task)
            self._cleared.add(task.id)


@asynccontextmanager
async def housekeeping(machine: Machine) -> AsyncIterator[None]:
    """Keep house as long as this lasts."""
    rounds = asyncio.create_task(Housekeeping(machine).run())
    try:
        yield
    finally:
        rounds.cancel()
        await asyncio.gather(rounds, return_exceptions=True)
