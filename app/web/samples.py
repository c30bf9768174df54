"""What this process saw of a task's progress while somebody looked, and what the ledger says of its ends."""

from __future__ import annotations

from collections import OrderedDict

from app.web.pace import Commit
from rowvec.model import Task

MOST_TASKS = 256
MOST_COMMITS = 2_000


class Samples:
    """Forgets the task that was looked at longest ago."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, tuple[int, list[Commit]]] = OrderedDict()

    def of(self, task: Task, now: float) -> list[Commit]:
        """The rows that were new at each look. Those of before the first are spread over the time until then."""
        began, rows = task.started_at or now, task.counts.accounted
        before, commits = self._seen.pop(task.id, (0, []))
        until = min(now, task.completed_at or now)
        if rows > before:
            since = commits[-1].at if commits else began
            commits = [*commits, *_spread(rows - before, since, until)][-MOST_COMMITS:]
        self._seen[task.id] = (rows, commits)
        if len(self._seen) > MOST_TASKS:
            self._seen.popitem(last=False)
        return commits


def _spread(rows: int, since: float, until: float) -> list[Commit]:
    """Evenly, a piece a second at most."""
    pieces = max(1, min(90, int(until - since)))
    share = [rows * (piece + 1) // pieces - rows * piece // pieces for piece in range(pieces)]
    return [
        Commit(since + (until - since) * (piece + 1) / pieces, count) for piece, count in enumerate(share)
    ]
