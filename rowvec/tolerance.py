"""Too many of the first rows are rejected: ask a person before more is spent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from rowvec import rejected
from rowvec.errors import PauseNeeded
from rowvec.machine import Machine
from rowvec.model import Chunk, ChunkState, Task
from rowvec.rejection import Rejection

FIRST_ROWS = 1000
OPENING = "Too many of the first rows are rejected: "
"""What the reason begins with, and no other pause's does."""


async def check(machine: Machine, task: Task) -> None:
    """Raises PauseNeeded when more than the tolerated share of the first FIRST_ROWS rows is rejected.

    Asked before each chunk, of the task as it was handed out, so a worker that dies between a commit and
    this question loses nothing. The rows are those of the chunks that begin within the first FIRST_ROWS,
    or all rows of a shorter table. Once a person has resumed the task it is never asked again. An answer
    that nothing can change any more is remembered, so a task of many rejections costs no look a chunk.
    """
    share = machine.limits.rejected_share
    if task.counts.rejected <= share * (min(FIRST_ROWS, task.rows_planned) if task.planned else FIRST_ROWS):
        return
    if task.id in machine.tolerated:
        return
    chunks = await _first_chunks(machine, task)
    first = _First(chunks, task.planned)
    if first.rejected > share * first.rows:
        if await machine.files.size(_accepted(task.id)) is None:
            raise PauseNeeded(await _words(machine, task, chunks, first))
        machine.tolerated.add(task.id)
    elif first.rejected + first.open <= share * first.rows:
        machine.tolerated.add(task.id)


class _First:
    """The first rows at one moment: how many, how many rejected, how many whose outcome is still open."""

    def __init__(self, chunks: Sequence[Chunk], planned: bool) -> None:
        found = sum(chunk.plan.rows for chunk in chunks)
        self.rows = found if planned else max(found, FIRST_ROWS)
        self.rejected = sum(chunk.counts.rejected for chunk in chunks)
        self.open = sum(chunk.plan.rows for chunk in chunks if chunk.state is not ChunkState.DONE)


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


async def _words(machine: Machine, task: Task, chunks: Sequence[Chunk], first: _First) -> str:
    done = [chunk for chunk in chunks if chunk.state is ChunkState.DONE]
    worst = (await rejected.grouped(_rejections(machine, done)))[0]
    return (
        f"{OPENING}{first.rejected:,} of the first {first.rows:,} rows were rejected, {worst.count:,} of "
        f"them as '{worst.code}' (row {worst.first_row}: {worst.reason[:300]}). Look at the list: "
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
