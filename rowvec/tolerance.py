"""Too many of the first rows are rejected: ask a person before more is spent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from rowvec import rejected
from rowvec.errors import PauseNeeded
from rowvec.machine import Machine
from rowvec.model import Chunk, ChunkState, Rejection, Task

FIRST_ROWS = 1000
OPENING = "Too many of the first rows are rejected: "
"""What the reason begins with, and no other pause's does."""


async def check(machine: Machine, task: Task) -> None:
    """Raises PauseNeeded when more than the tolerated share of the first FIRST_ROWS rows is rejected.

    Asked before each chunk, of the task as it was handed out, so a worker that dies between a commit and
    this question loses nothing. The rows are those of the chunks that begin within the first FIRST_ROWS,
    or all rows of a shorter table. Once a person has resumed the task it is never asked again.
    """
    share = machine.limits.rejected_share
    if task.counts.rejected <= share * (min(FIRST_ROWS, task.rows_planned) if task.planned else FIRST_ROWS):
        return
    chunks = await _first_chunks(machine, task)
    rows = sum(chunk.plan.rows for chunk in chunks)
    rows = rows if task.planned else max(rows, FIRST_ROWS)
    refused = sum(chunk.counts.rejected for chunk in chunks)
    if refused > share * rows and await machine.files.size(_accepted(task.id)) is None:
        raise PauseNeeded(await _words(machine, task, chunks, refused, rows))


async def accept(machine: Machine, task: Task) -> None:
    """A person resumes the task: if the share was what paused it, they go on all the same."""
    if task.reason and task.reason.startswith(OPENING):
        await machine.files.write(_accepted(task.id), b"accepted\n")


async def _first_chunks(machine: Machine, task: Task) -> list[Chunk]:
    """The chunks that begin within the first rows, as far as they are planned."""
    page = -(-FIRST_ROWS // task.spec.chunk_size) + 1
    chunks: list[Chunk] = []
    while more := await machine.ledger.chunks(task.id, page, chunks[-1].plan.number if chunks else -1):
        chunks += more
        if chunks[-1].plan.first_row > FIRST_ROWS:
            break
    return [chunk for chunk in chunks if chunk.plan.first_row <= FIRST_ROWS]


async def _words(machine: Machine, task: Task, chunks: Sequence[Chunk], refused: int, rows: int) -> str:
    done = [chunk for chunk in chunks if chunk.state is ChunkState.DONE]
    worst = (await rejected.grouped(_rejections(machine, done)))[0]
    return (
        f"{OPENING}{refused:,} of the first {rows:,} rows were rejected, {worst.count:,} of them as "
        f"'{worst.code}' (row {worst.first_row}: {worst.reason[:300]}). Look at the list: "
        f"GET /api/v1/tasks/{task.id}/rejected or ./vectordb rejected {task.id}. Then resume the task to go "
        "on all the same, or cancel it and submit a mended table."
    )


async def _rejections(machine: Machine, chunks: Sequence[Chunk]) -> AsyncIterator[Rejection]:
    for chunk in chunks:
        for note in await rejected.notes_of(machine.files, chunk):
            if note.outcome == "rejected":
                yield note


def _accepted(task_id: str) -> str:
    return f"tasks/{task_id}/rejected-share-accepted"
