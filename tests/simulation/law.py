"""What must be true of the ledger at every moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rowvec.ledgers.books.book import Book
from rowvec.model import Chunk, ChunkState, Counts, Hold, Task, TaskState
from tests.simulation.problem import Kind, Problem

SETTLED = (TaskState.COMPLETED, TaskState.CANCELLED)
"""Settling may have counted its doubles: also where the task was cancelled while it went on."""


class Law:
    """Looks at all tasks after each write, and remembers what may not change any more.

    What is not true is added to `broken`.
    """

    def __init__(self, broken: list[Problem]) -> None:
        self._broken = broken
        self._versions: dict[str, int] = {}
        self._seen: dict[tuple[str, int], Chunk] = {}

    def check(self, book: Book) -> None:
        for entry in book.newest(100, None, None, None):
            task = entry.task
            chunks = book.chunks(task.id, 10_000, -1, None)
            found = [*self._changed(chunks)]
            if self._versions.get(task.id) != task.version:
                found += _broken(task, chunks)
            self._versions[task.id] = task.version
            self._broken += [Problem(Kind.WRONG, f"a task is {task.state}: {problem}") for problem in found]

    def _changed(self, chunks: Sequence[Chunk]) -> Iterator[str]:
        for chunk in chunks:
            key = chunk.task_id, chunk.plan.number
            before = self._seen.get(key, chunk)
            self._seen[key] = chunk
            if before is chunk:
                continue
            if before.fence > chunk.fence:
                yield f"the fence of chunk {chunk.plan.number} went back to {chunk.fence}"
            if before.state is ChunkState.DONE and replace(before, not_before=chunk.not_before) != chunk:
                yield f"chunk {chunk.plan.number} changed after it was done"


def _broken(task: Task, chunks: Sequence[Chunk]) -> Iterator[str]:
    yield from _unequal("rows planned", task.rows_planned, sum(chunk.plan.rows for chunk in chunks))
    yield from _unequal("chunks", task.chunks_total, len(chunks))
    yield from _of_counts(task, [chunk for chunk in chunks if chunk.state is ChunkState.DONE])
    failed = [chunk for chunk in chunks if chunk.state is ChunkState.FAILED]
    yield from _unequal("chunks failed", task.chunks_failed, len(failed))
    yield from _unequal("rows failed", task.rows_failed, sum(chunk.plan.rows for chunk in failed))
    claimed = sum(chunk.state is ChunkState.CLAIMED for chunk in chunks)
    if task.state.ended and (claimed or task.worker or task.hold is not Hold.NONE):
        yield f"it has ended with {claimed} chunks claimed, worker {task.worker}, hold {task.hold}"
    row, end = 1, 0
    for chunk in chunks:
        if chunk.plan.first_row != row or chunk.plan.start < end:
            yield f"chunk {chunk.plan.number} does not follow the one before"
        row, end = row + chunk.plan.rows, chunk.plan.end


def _of_counts(task: Task, done: Sequence[Chunk]) -> Iterator[str]:
    total = sum((chunk.counts for chunk in done), Counts())
    yield from _unequal("chunks done", task.chunks_done, len(done))
    yield from _unequal("read", task.counts.read, total.read)
    yield from _unequal("read", task.counts.read, sum(chunk.plan.rows for chunk in done))
    yield from _unequal("accounted", task.counts.accounted, total.read)
    if task.state in SETTLED:
        yield from _unequal("doubles of settling", total.upserted - task.counts.upserted,
                            task.counts.duplicate - total.duplicate)  # fmt: skip
    else:
        yield from _unequal("counts", task.counts, total)
    if task.unprocessed < 0 or (task.unprocessed and task.state is TaskState.COMPLETED):
        yield f"unprocessed is {task.unprocessed}"


def _unequal(what: str, found: object, expected: object) -> Iterator[str]:
    if found != expected:
        yield f"{what}: {found}, and should be {expected}"
