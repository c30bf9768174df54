"""How tasks and chunks change: pure functions from one value to the next.

Nothing here reads or writes: a ledger that can see a task and its chunk in one transaction asks these
rules what comes next and stores the answer.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from rowvec.errors import LeaseLost, TaskFailed
from rowvec.ledgers.base import MAX_CRASHES
from rowvec.model import Chunk, ChunkFiles, ChunkState, Counts, Hold, PlannedChunk, Task, TaskState, Totals
from rowvec.spec import TaskSpec, Verify

PENDING = "pending"
PROCESSING = "processing"
UNENDED = (PENDING, PROCESSING, Hold.PAUSED.value, Hold.CANCELLING.value)
"""What callers see of tasks that have not ended."""

SEEN = (*UNENDED, *(state.value for state in TaskState if state.ended))
"""All that callers may see."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A task with what only the ledger knows of it. `crashes` and `not_before` are about its plan or settle
    work."""

    task: Task
    fingerprint: str
    key: str | None = None
    crashes: int = 0
    not_before: float = 0.0

    @property
    def order(self) -> int:
        return self.task.order

    def evolve(self, **changes: Any) -> Entry:
        return replace(self, task=replace(self.task, **changes))


@dataclass(frozen=True, slots=True)
class Shelf:
    """How many chunks of a task a worker may take, and how many of the task are claimed already."""

    task: Task
    claimed: int
    room: int


def fingerprint(spec: TaskSpec) -> str:
    """Equal for equal specs of one tenant, whatever the order of their mappings, whichever key pays, and
    whatever people call it."""
    fields = json.loads(spec.to_json())
    del fields["account"], fields["title"]
    for name in ("tenant", "max_tokens"):
        if not fields[name] and fields[name] != 0:
            # As in specs of the time before there were tenants and budgets.
            del fields[name]
    if spec.verify is Verify.NONE:
        del fields["verify"]
    return sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def stored_key(spec: TaskSpec, key: str) -> str:
    """An idempotency key as it is kept: each tenant has its own."""
    return f"{spec.tenant}\x1f{key}" if spec.tenant else key


def seen_as(task: Task) -> str:
    """The state callers see."""
    if task.hold:
        return task.hold.value
    if task.state in (TaskState.PLANNING, TaskState.PROCESSING, TaskState.SETTLING):
        return PROCESSING
    return task.state.value


def lost(task_id: str, number: int | None = None) -> LeaseLost:
    part = "the task" if number is None else f"chunk {number}"
    return LeaseLost(f"Task {task_id}: {part} is no longer held under this fence. Drop the work.")


# Planning and settling


def taken(entry: Entry, worker: str, now: float) -> Entry:
    """A worker plans or settles the task, under a new fence."""
    task = entry.task
    state = TaskState.PLANNING if task.state is TaskState.PENDING else task.state
    started = now if task.started_at is None else task.started_at
    return entry.evolve(state=state, started_at=started, worker=worker, fence=task.fence + 1)


def is_under(task: Task, state: TaskState, fence: int) -> bool:
    """Does a worker hold the task in this state under this fence?"""
    return task.state is state and task.worker is not None and task.fence == fence


def progressed(entry: Entry, now: float) -> Entry:
    return entry.evolve(progressed_at=now)


def last_progress(task: Task) -> float:
    """When it last came on, or began, or was submitted."""
    return next(at for at in (task.progressed_at, task.started_at, task.created_at) if at is not None)


def let_go(entry: Entry) -> Entry:
    return entry.evolve(worker=None)


def appended(entry: Entry, chunks: Sequence[PlannedChunk], now: float) -> Entry:
    """A plan that came on does not kill its workers, nor fail by itself: both are counted anew."""
    if not chunks:
        return entry
    task = entry.task
    after = entry.evolve(
        rows_planned=task.rows_planned + sum(chunk.rows for chunk in chunks),
        chunks_total=task.chunks_total + len(chunks),
        attempts=0,
        error=None,
    )
    return replace(progressed(after, now), crashes=0)


def planned(entry: Entry, totals: Totals, now: float) -> Entry:
    """planning → processing. Raises TaskFailed when the chunks on record are not those of the scan."""
    task = entry.task
    if (task.chunks_total, task.rows_planned) != (totals.chunks, totals.rows):
        raise TaskFailed(
            f"Task {task.id}: the scan counted {totals.rows} rows in {totals.chunks} chunks, but "
            f"{task.rows_planned} rows in {task.chunks_total} chunks were recorded. Submit the task anew."
        )
    after = entry.evolve(
        state=TaskState.PROCESSING,
        planned=True,
        planned_at=now,
        progressed_at=now,
        blank_lines=totals.blank_lines,
        worker=None,
        attempts=0,
        error=None,
    )
    return replace(after, crashes=0, not_before=0.0)


def released(entry: Entry, error: str | None, not_before: float) -> Entry:
    after = replace(let_go(entry), not_before=not_before)
    return after if error is None else after.evolve(attempts=entry.task.attempts + 1, error=error)


def settled(entry: Entry, duplicates: int, passages: int, now: float) -> Entry:
    """settling → completed; a cancelled task is only let go, for its end is `cancelled`."""
    counts = entry.task.counts
    counts = replace(
        counts,
        upserted=counts.upserted - duplicates,
        duplicate=counts.duplicate + duplicates,
        passages=counts.passages - passages,
    )
    after = let_go(entry).evolve(counts=counts)
    return after if entry.task.hold is Hold.CANCELLING else _ended(after, TaskState.COMPLETED, None, now)


def failed(entry: Entry, error: str, now: float) -> Entry:
    """→ failed; a cancelled task is only let go, for its end is `cancelled`."""
    if entry.task.hold is Hold.CANCELLING:
        return let_go(entry).evolve(error=error)
    return _ended(entry, TaskState.FAILED, error, now)


def crashed(entry: Entry, now: float) -> Entry:
    """The worker which planned or settled the task died over it."""
    after = replace(let_go(entry), crashes=entry.crashes + 1)
    return failed(after, _too_often(after.crashes), now) if after.crashes > MAX_CRASHES else after


def finished(entry: Entry, claimed: int, now: float) -> Entry:
    """Where the task goes when its chunks allow it; `claimed` counts its claimed chunks."""
    task = entry.task
    if task.state.ended:
        return entry
    if task.hold is Hold.CANCELLING:
        idle = claimed == 0 and task.worker is None
        return _ended(entry, TaskState.CANCELLED, task.error, now) if idle else entry
    if task.hold or task.state is not TaskState.PROCESSING:
        return entry
    if task.chunks_done + task.chunks_failed < task.chunks_total:
        return entry
    if task.chunks_failed:
        return _ended(entry, TaskState.FAILED, _failures(task), now)
    return entry.evolve(state=TaskState.SETTLING)


def _ended(entry: Entry, state: TaskState, error: str | None, now: float) -> Entry:
    reason = entry.task.reason if state is TaskState.CANCELLED else None
    return entry.evolve(
        state=state, hold=Hold.NONE, reason=reason, error=error, worker=None, completed_at=now
    )


def _failures(task: Task) -> str:
    return (
        f"{task.chunks_failed} of {task.chunks_total} chunks failed, with {task.rows_failed} rows. "
        f"The last one said: {task.error} Mend the cause, then retry the task."
    )


def _too_often(crashes: int) -> str:
    return (
        f"{crashes} workers died over this work; it was given up. "
        "Look at the workers' memory and logs, then retry the task."
    )


# Chunks


def dealt(chunk: Chunk, worker: str, now: float) -> Chunk:
    """ready → claimed, under a new fence."""
    claimed = replace(chunk, state=ChunkState.CLAIMED, worker=worker, fence=chunk.fence + 1)
    return replace(claimed, last_worker=worker, started_at=now, ended_at=None)


def is_claimed(chunk: Chunk | None, fence: int) -> bool:
    return chunk is not None and chunk.state is ChunkState.CLAIMED and chunk.fence == fence


def done(chunk: Chunk, counts: Counts, files: ChunkFiles, now: float) -> Chunk:
    """claimed → done. Raises ValueError where the counts do not account for every row of the chunk."""
    if not counts.read == counts.accounted == chunk.plan.rows:
        raise ValueError(
            f"Chunk {chunk.plan.number} has {chunk.plan.rows} rows; its counts read {counts.read} and "
            f"account for {counts.accounted}. Nothing was committed."
        )
    ended = replace(chunk, state=ChunkState.DONE, worker=None, error=None, ended_at=now)
    return replace(ended, counts=counts, files=files)


def back(chunk: Chunk, error: str | None, not_before: float) -> Chunk:
    """claimed → ready; an attempt is counted when there was an error."""
    waiting = replace(chunk, state=ChunkState.READY, worker=None, not_before=not_before)
    return waiting if error is None else replace(waiting, attempts=chunk.attempts + 1, error=error)


def given_up(chunk: Chunk, error: str, now: float) -> Chunk:
    return replace(chunk, state=ChunkState.FAILED, worker=None, error=error, ended_at=now)


def anew(chunk: Chunk) -> Chunk:
    """failed → ready, as if never tried."""
    return Chunk(chunk.task_id, chunk.plan, fence=chunk.fence)


def orphaned(chunk: Chunk, now: float) -> Chunk:
    """The worker which held the chunk died over it."""
    after = replace(back(chunk, None, 0.0), crashes=chunk.crashes + 1)
    return given_up(after, _too_often(after.crashes), now) if after.crashes > MAX_CRASHES else after


def count_done(entry: Entry, counts: Counts, now: float) -> Entry:
    task = entry.task
    return progressed(entry.evolve(counts=task.counts + counts, chunks_done=task.chunks_done + 1), now)


def count_failed(entry: Entry, chunk: Chunk, now: float) -> Entry:
    task = entry.task
    return entry.evolve(
        chunks_failed=task.chunks_failed + 1,
        rows_failed=task.rows_failed + chunk.plan.rows,
        error=chunk.error,
        progressed_at=now,
    )


def count_reopened(entry: Entry, chunks: Sequence[Chunk]) -> Entry:
    """These failed chunks are not any more."""
    rows = sum(chunk.plan.rows for chunk in chunks)
    task = entry.task
    return entry.evolve(chunks_failed=task.chunks_failed - len(chunks), rows_failed=task.rows_failed - rows)


def share(shelves: Sequence[Shelf], most: int) -> list[Task]:
    """Whose chunks are next, up to `most`: each time the task with the fewest claimed; ties in order."""
    heap = [(shelf.claimed, place, shelf.room) for place, shelf in enumerate(shelves) if shelf.room > 0]
    heapq.heapify(heap)
    turns: list[Task] = []
    while heap and len(turns) < most:
        claimed, place, room = heapq.heappop(heap)
        turns.append(shelves[place].task)
        if room > 1:
            heapq.heappush(heap, (claimed + 1, place, room - 1))
    return turns
