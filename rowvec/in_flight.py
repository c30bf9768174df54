"""What a worker has paid for and not committed yet: at its death it is lost, and paid again."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rowvec.model import Task

ENOUGH_LEFT = 4
"""Times what one worker may have in flight: while more chunks than that are not done, one may be read ahead,
and other workers still find theirs."""


def most_in_flight(task: Task) -> int:
    """Chunks of a task that one worker may have in flight: two, or 2 % of the rows."""
    return max(2, task.rows_planned // (50 * task.spec.chunk_size))


def allowance(task: Task) -> int:
    """Chunks of a task that one worker may hold: those in flight, and one that is read and described by the
    time one of them is committed. Nothing of that one is paid yet."""
    most = most_in_flight(task)
    reads_ahead = task.chunks_total - task.chunks_done > ENOUGH_LEFT * most
    return most + reads_ahead


class InFlight:
    """The chunks of each task that this process embeds, stores and commits."""

    def __init__(self) -> None:
        self._chunks: Counter[str] = Counter()
        self._ended = asyncio.Event()

    @asynccontextmanager
    async def room(self, task: Task) -> AsyncIterator[None]:
        """Waits until there is room for one chunk more, which takes it until the block ends."""
        while self._chunks[task.id] >= most_in_flight(task):
            await self._ended.wait()
        self._chunks[task.id] += 1
        try:
            yield
        finally:
            self._leave(task.id)

    def _leave(self, task_id: str) -> None:
        self._chunks[task_id] -= 1
        if not self._chunks[task_id]:
            del self._chunks[task_id]
        self._ended.set()
        self._ended = asyncio.Event()
