"""Grids of chunks, each read and written down once for all who look at the same within a second."""

from __future__ import annotations

from dataclasses import dataclass

from app.api.looks import Grid
from app.api.shared import Shared
from rowvec.ledgers.base import Ledger
from rowvec.model import Task

FRESH_SECONDS = 1.0
MOST = 16
"""A megabyte each where a task has 20,000 chunks."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """A grid and its JSON, in which no markup can begin."""

    grid: Grid
    json: str


class Grids:
    """Those of this process. Whether the caller may see the task is asked before."""

    def __init__(self) -> None:
        self._drawn = Shared[Drawn](FRESH_SECONDS, MOST)

    async def of(self, ledger: Ledger, task: Task, start: int = 0) -> Drawn:
        """From chunk `start` on, as it was at most a second ago. Raises Unavailable."""
        # Once a task has ended nobody may take an older grid for its last.
        end = task.version if task.state.ended else None
        return await self._drawn.of((task.id, start, end), lambda: _drawn(ledger, task, start))


async def _drawn(ledger: Ledger, task: Task, start: int) -> Drawn:
    marks = await ledger.marks(task.id, after=start - 1)
    grid = Grid.of(marks, await ledger.now(), task.chunks_total)
    return Drawn(grid, grid.model_dump_json().replace("<", "\\u003c"))
