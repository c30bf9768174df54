"""When a task's chunks were done, as the ledger has it."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

from app.web.pace import Commit
from rowvec.ledgers.base import Ledger
from rowvec.model import ChunkState, Task

MOST_TASKS = 64
CHUNKS_A_SECOND = 1_000
"""A task with more chunks than these is looked at again after as many seconds as it has thousands."""


@dataclass(frozen=True, slots=True)
class _Read:
    at: float
    chunks_done: int
    commits: list[Commit]


class Commits:
    """Kept as long as no chunk more is done; forgets the task that was asked for longest ago."""

    def __init__(self) -> None:
        self._read: OrderedDict[str, _Read] = OrderedDict()

    async def of(self, ledger: Ledger, task: Task) -> list[Commit]:
        """Oldest first. A chunk counts with the rows that one has on average."""
        known = self._read.pop(task.id, None)
        if known is None or self._is_old(known, task):
            known = _Read(time.monotonic(), task.chunks_done, await _commits(ledger, task))
        self._read[task.id] = known
        if len(self._read) > MOST_TASKS:
            self._read.popitem(last=False)
        return known.commits

    def _is_old(self, known: _Read, task: Task) -> bool:
        age = time.monotonic() - known.at
        rests = age < task.chunks_total / CHUNKS_A_SECOND and not task.state.ended
        return known.chunks_done != task.chunks_done and not rests


async def _commits(ledger: Ledger, task: Task) -> list[Commit]:
    if not task.chunks_done:
        return []
    rows = task.counts.accounted / task.chunks_done
    marks = await ledger.marks(task.id)
    ends = sorted(mark.ended_at for mark in marks if mark.state is ChunkState.DONE and mark.ended_at)
    return [Commit(at, rows) for at in ends]
