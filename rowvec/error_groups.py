"""What went wrong with a task, by cause: its rejected rows and failed chunks, grouped by fingerprint."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace

from rowvec import steer
from rowvec.errors import WrongState
from rowvec.filestores.base import FileStore
from rowvec.fingerprint import fingerprint, pattern
from rowvec.ledgers.base import Ledger
from rowvec.machine import Machine
from rowvec.model import Chunk, ChunkState, Task, TaskState
from rowvec.rejected import PAGE, notes_of
from rowvec.rejection import Rejection

MOST_ROWS = 50_000
"""So many rejected rows, and so many failed chunks, are looked at: the rest would be more of the same."""

MOST_GROUPS = 100
SAMPLE_CHARACTERS = 500
CHUNK_FAILED = "chunk-failed"


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Errors of one cause. `rows` counts rejected rows, or the rows of failed chunks, of which there are
    `chunks`; `reason`, `row`, `line` and `content` are those of the first one. `content` is cut."""

    id: str
    code: str
    pattern: str
    rows: int
    chunks: int
    first_seen: float | None
    last_seen: float | None
    reason: str
    row: int
    line: int | None
    content: str

    @property
    def is_of_chunks(self) -> bool:
        return self.code == CHUNK_FAILED


@dataclass(frozen=True, slots=True)
class ErrorGroups:
    """Most rows first, failed chunks before rejected rows. Of `rows_rejected` so many were looked at;
    `left_out` counts groups beyond MOST_GROUPS."""

    groups: Sequence[ErrorGroup]
    rows_rejected: int
    rows_looked_at: int
    left_out: int = 0

    @property
    def is_cut(self) -> bool:
        return self.rows_looked_at < self.rows_rejected or self.left_out > 0


async def error_groups(machine: Machine, task: Task, most_rows: int = MOST_ROWS) -> ErrorGroups:
    """In bounded memory and time, however many rows were rejected: a file is read while fewer than
    `most_rows` have been looked at, in the order of the table."""
    found: dict[str, ErrorGroup] = {}
    seen = 0
    async for chunk in failed_chunks(machine.ledger, task.id, most_rows):
        _add(found, _of_chunk(chunk))
    async for chunk in _rejecting(machine.ledger, task):
        if seen >= most_rows:
            break
        notes = await _rejected(machine.files, chunk)
        seen += len(notes)
        for group in await asyncio.to_thread(_of_rows, chunk, notes):
            _add(found, group)
    ordered = sorted(found.values(), key=lambda group: (not group.is_of_chunks, -group.rows, group.row))
    left_out = max(0, len(ordered) - MOST_GROUPS)
    return ErrorGroups(ordered[:MOST_GROUPS], max(seen, task.counts.rejected), seen, left_out)


async def failed_chunks(ledger: Ledger, task_id: str, most: int = MOST_ROWS) -> AsyncIterator[Chunk]:
    after, left = -1, most
    while left > 0 and (page := await ledger.chunks(task_id, min(PAGE, left), after, ChunkState.FAILED)):
        for chunk in page:
            yield chunk
        after, left = page[-1].plan.number, left - len(page)


async def retry_group(machine: Machine, task_id: str, group: str) -> Task:
    """Try the failed chunks of that group again, and no others. Raises UnknownTask, SourceChanged as
    `steer.retry`, and WrongState where there is none of them or the task does not allow it."""
    task = await machine.ledger.task(task_id)
    numbers = [
        chunk.plan.number
        async for chunk in failed_chunks(machine.ledger, task_id)
        if fingerprint(CHUNK_FAILED, chunk.error or "") == group
    ]
    if not numbers:
        raise WrongState(f"Task {task_id} has no failed chunk in the group {group[:40]!r}: nothing to retry.")
    if task.state is TaskState.FAILED:
        await steer.check_unchanged(machine, task)
    return await machine.ledger.retry_chunks(task_id, numbers)


async def _rejecting(ledger: Ledger, task: Task) -> AsyncIterator[Chunk]:
    after = -1
    while page := await ledger.rejecting(task.id, PAGE, after):
        for chunk in page:
            yield chunk
        after = page[-1].plan.number


async def _rejected(files: FileStore, chunk: Chunk) -> list[Rejection]:
    return [note for note in await notes_of(files, chunk) if note.outcome == "rejected"]


def _of_rows(chunk: Chunk, notes: Iterable[Rejection]) -> list[ErrorGroup]:
    found: dict[str, ErrorGroup] = {}
    for note in notes:
        group = ErrorGroup(
            fingerprint(note.code, note.reason),
            note.code,
            pattern(note.reason),
            1,
            0,
            chunk.ended_at,
            chunk.ended_at,
            note.reason,
            note.row,
            note.line,
            note.content[:SAMPLE_CHARACTERS],
        )
        _add(found, group)
    return list(found.values())


def _of_chunk(chunk: Chunk) -> ErrorGroup:
    error, plan = chunk.error or "", chunk.plan
    return ErrorGroup(
        fingerprint(CHUNK_FAILED, error),
        CHUNK_FAILED,
        pattern(error),
        plan.rows,
        1,
        chunk.ended_at,
        chunk.ended_at,
        error,
        plan.first_row,
        plan.first_line,
        "",
    )


def _add(found: dict[str, ErrorGroup], more: ErrorGroup) -> None:
    there = found.get(more.id)
    if there is None:
        found[more.id] = more
        return
    found[more.id] = replace(
        there,
        rows=there.rows + more.rows,
        chunks=there.chunks + more.chunks,
        first_seen=min(_known(there.first_seen, more.first_seen), default=None),
        last_seen=max(_known(there.last_seen, more.last_seen), default=None),
    )


def _known(*moments: float | None) -> list[float]:
    return [moment for moment in moments if moment is not None]
