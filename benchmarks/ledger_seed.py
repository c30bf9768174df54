"""A ledger as it stands after years: thousands of ended tasks with all their chunks."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from sqlalchemy import Connection, create_engine, insert

from rowvec.ledgers.books import rules
from rowvec.ledgers.books.rules import Entry
from rowvec.ledgers.sql import SqlLedger
from rowvec.ledgers.sql.rows import chunk_row, entry_row, plan_row
from rowvec.ledgers.sql.tables import chunks, tasks
from rowvec.manifest import chunk_files
from rowvec.model import Chunk, ChunkFiles, ChunkState, Counts, PlannedChunk, Task, TaskState
from rowvec.spec import Dialect, SourcePin, TaskSpec

CHUNK_ROWS = 1000
BATCH = 200
_HEADER = ("id", "title", "body", "price", "active", "created_at")
_TYPES = {"price": "number", "active": "bool"}


@dataclass(frozen=True, slots=True)
class Seeded:
    """The ids of the tasks, oldest first, and how many chunks they have together."""

    ids: Sequence[str]
    chunks: int


def seed_ledger(url: str, count: int, seed: int = 7) -> Seeded:
    """Make a ledger at `url`, sqlite:///… or postgresql://…, with so many tasks that have ended.

    Of twenty tasks one has failed and one was cancelled. Half have one to three chunks, a few some hundred.
    """
    asyncio.run(_prepare(url))
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1))
    chance = random.Random(seed)
    begun = time.time() - 365 * 86_400
    ended: list[Task] = []
    while len(ended) < count:
        with engine.begin() as connection:
            for order in range(len(ended), min(len(ended) + BATCH, count)):
                ended.append(_add(connection, order, begun + order * 365 * 86_400 / count, chance))
    engine.dispose()
    return Seeded([task.id for task in ended], sum(task.chunks_total for task in ended))


async def _prepare(url: str) -> None:
    ledger = SqlLedger.open(url, {})
    await ledger.ready()
    await ledger.close()


def _add(connection: Connection, order: int, at: float, chance: random.Random) -> Task:
    spec = _spec(order, chance)
    task_id = str(UUID(int=chance.getrandbits(128), version=4))
    every = list(_chunks(task_id, spec.source.size, _end_of(order), chance))
    task = replace(_task(task_id, spec, every, _end_of(order), at), order=order)
    entry = Entry(task, rules.fingerprint(spec))
    fixed = {"id": task_id, "spec": spec.to_json(), "fingerprint": entry.fingerprint}
    connection.execute(insert(tasks), [fixed | entry_row(entry)])
    connection.execute(insert(chunks), [plan_row(task_id, c.plan) | chunk_row(c) for c in every])
    return entry.task


def _end_of(order: int) -> TaskState:
    ends = {7: TaskState.FAILED, 13: TaskState.CANCELLED}
    return ends.get(order % 20, TaskState.COMPLETED)


def _spec(order: int, chance: random.Random) -> TaskSpec:
    number_of_chunks = min(1 + int(chance.paretovariate(0.8)), 400)
    size = number_of_chunks * CHUNK_ROWS * 500
    return TaskSpec(
        source=SourcePin("local", f"orders/2025/part-{order:05d}.csv", f"{order:032x}", size),
        header=_HEADER,
        data_start=40,
        data_line=2,
        dialect=Dialect(),
        chunk_size=CHUNK_ROWS,
        max_record_bytes=16 << 20,
        namespace=f"orders-{order % 40}",
        embedder="memory",
        model="memory-64",
        dimension=64,
        id_column="id",
        text_columns=("body",),
        metadata_columns=_HEADER,
        types={name: _TYPES.get(name, "string") for name in _HEADER},
    )


def _chunks(task_id: str, size: int, end: TaskState, chance: random.Random) -> Iterator[Chunk]:
    """The chunks of a task that ended so: of one that did not complete, the last is not done."""
    total = size // (CHUNK_ROWS * 500)
    for number in range(total):
        at = number * CHUNK_ROWS
        plan = PlannedChunk(number, at * 500, (at + CHUNK_ROWS) * 500, at + 1, at * 6 // 5 + 2, CHUNK_ROWS)
        if number == total - 1 and end is not TaskState.COMPLETED:
            yield _undone(Chunk(task_id, plan, attempts=4, fence=5), end)
        else:
            yield _done(Chunk(task_id, plan, ChunkState.DONE, fence=1), chance)


def _undone(chunk: Chunk, end: TaskState) -> Chunk:
    if end is TaskState.CANCELLED:
        return chunk
    return replace(chunk, state=ChunkState.FAILED, error="gave up after 4 attempts: the store did not answer")


def _done(chunk: Chunk, chance: random.Random) -> Chunk:
    rejected = chance.choice((0, 0, 0, 1, 3))
    landed = CHUNK_ROWS - rejected
    counts = Counts(
        read=CHUNK_ROWS,
        upserted=landed,
        rejected=rejected,
        passages=landed,
        tokens=80 * landed,
        embedded=landed,
    )
    files: ChunkFiles = chunk_files(chunk.task_id, chunk.plan.number, chunk.fence, True, rejected > 0)
    return replace(chunk, counts=counts, files=files)


def _task(task_id: str, spec: TaskSpec, every: list[Chunk], end: TaskState, at: float) -> Task:
    failed = [chunk for chunk in every if chunk.state is ChunkState.FAILED]
    done = [chunk for chunk in every if chunk.state is ChunkState.DONE]
    return Task(
        id=task_id,
        spec=spec,
        state=end,
        error=failed[-1].error if failed else None,
        counts=sum((chunk.counts for chunk in done), Counts()),
        planned=True,
        rows_planned=len(every) * CHUNK_ROWS,
        chunks_total=len(every),
        chunks_done=len(done),
        chunks_failed=len(failed),
        rows_failed=len(failed) * CHUNK_ROWS,
        created_at=at,
        started_at=at + 0.2,
        planned_at=at + 1.0,
        completed_at=at + 1.0 + len(every) / 10,
        fence=2,
        version=len(done) + 5,
    )
