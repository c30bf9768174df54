"""What nobody waits for: files that are needed no more go. Any process may do it beside its own work.

Each deletion asks the ledger first and may be done twice, so it does not matter who does it, how often, and
where a process dies over it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import structlog

from rowvec.errors import RetryLater
from rowvec.ledgers.base import Ledger
from rowvec.machine import Machine
from rowvec.model import Task, TaskState
from rowvec.remembered import Remembered
from rowvec.spool import drop_copy

log = structlog.get_logger(__name__)

QUICK_SECONDS = 5.0
SLOW_ROUNDS = 720
"""Every so manyth round is a slow one: once an hour, and first of all."""

PAGE = 200


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
        """Copies of the newest cancelled tasks go: of most, within seconds."""
        page = await self._machine.ledger.tasks(PAGE, state=TaskState.CANCELLED)
        await self._drop_copies(page.tasks)

    async def slow(self) -> None:
        """Copies of all tasks that have ended for good go, also where a process died before it did so."""
        for state in (TaskState.CANCELLED, TaskState.COMPLETED):
            async for tasks in pages(self._machine.ledger, state):
                await self._drop_copies(tasks)

    async def _drop_copies(self, tasks: Iterable[Task]) -> None:
        """Neither state is ever left again, so each task is looked at once."""
        for task in tasks:
            if task.spec.dialect.copied and task.id not in self._cleared:
                await drop_copy(self._machine, task)
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


async def pages(ledger: Ledger, state: str | None = None) -> AsyncIterator[list[Task]]:
    """All tasks, newest first, as many at a time as a page has."""
    cursor: str | None = None
    while True:
        page = await ledger.tasks(PAGE, cursor, state)
        yield list(page.tasks)
        if page.cursor is None:
            return
        cursor = page.cursor
