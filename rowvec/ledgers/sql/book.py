"""The pages of a SQL ledger: one transaction on one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    delete,
    func,
    insert,
    select,
    update,
)

from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books.rules import Shelf
from rowvec.ledgers.sql import statements
from rowvec.ledgers.sql.columns import in_columns
from rowvec.ledgers.sql.rows import (
    MARK,
    chunk_of,
    chunk_row,
    entry_of,
    marks_of,
    plan_row,
    worker_of,
    worker_row,
)
from rowvec.ledgers.sql.statements import is_
from rowvec.ledgers.sql.tables import chunks, tasks, workers
from rowvec.ledgers.sql.task_pages import SqlTaskPages
from rowvec.model import Chunk, ChunkState, Mark, PlannedChunk, WorkerInfo

_FULL_SHELVES = 100
"""How many tasks of which a worker holds its fill may stand before one it may take from."""


class SqlBook(SqlTaskPages):
    def ping(self) -> None:
        """Asks for what is never there: the tables answer, and nothing is read."""
        self._connection.execute(select(func.count()).where(tasks.c.position == 0)).scalar_one()

    # Chunks

    def chunk(self, task_id: str, number: int) -> Chunk | None:
        asked = {"of_task": task_id, "at": number}
        row = self._connection.execute(statements.ONE_CHUNK, asked).mappings().first()
        return None if row is None else chunk_of(row)

    def chunks(self, task_id: str, limit: int, after: int, state: ChunkState | None) -> list[Chunk]:
        asked = {"of_task": task_id, "after": after, "many": limit}
        if state is None:
            return self._page(statements.ANY_CHUNKS, asked)
        return self._page(statements.CHUNKS_SEEN, asked | {"state": state.value})

    def rejecting(self, task_id: str, limit: int, after: int) -> list[Chunk]:
        return self._page(statements.REJECTING, {"of_task": task_id, "after": after, "many": limit})

    def marks(self, task_id: str, limit: int, after: int) -> list[Mark]:
        wanted = (chunks.c.task_id == task_id) & (chunks.c.number > after)
        query = select(*MARK).where(wanted).order_by(chunks.c.number).limit(limit)
        return marks_of(in_columns(self._connection, query))

    def numbered(self, task_id: str, numbers: Sequence[int]) -> list[Chunk]:
        return self._chunks(chunks.c.task_id == task_id, chunks.c.number.in_(numbers))

    def add_chunks(self, task_id: str, planned: Sequence[PlannedChunk]) -> list[PlannedChunk]:
        if not planned:
            return []
        numbers = [plan.number for plan in planned]
        span = chunks.c.number.between(min(numbers), max(numbers))
        query = select(chunks.c.number).where(chunks.c.task_id == task_id, span)
        there = set(self._connection.execute(query).scalars())
        new = {plan.number: plan for plan in reversed(planned) if plan.number not in there}
        rows = [plan_row(task_id, plan) | chunk_row(Chunk(task_id, plan)) for plan in new.values()]
        if rows:
            self._connection.execute(insert(chunks), rows)
        return list(new.values())

    def put_chunks(self, changed: Sequence[Chunk]) -> None:
        if not changed:
            return
        rows = [{"of_task": c.task_id, "at": c.plan.number, **chunk_row(c)} for c in changed]
        self._connection.execute(statements.PUT_CHUNKS, rows)

    def claimed(self, task_id: str) -> int:
        query = select(func.count()).where(chunks.c.task_id == task_id, is_(ChunkState.CLAIMED))
        return self._connection.execute(query).scalar_one()

    def tasks_of(self, worker: str) -> list[str]:
        query = select(chunks.c.task_id).where(chunks.c.worker == worker, is_(ChunkState.CLAIMED))
        return list(self._connection.execute(query.distinct().order_by(chunks.c.task_id)).scalars())

    def claimed_by(self, worker: str, task_id: str) -> list[Chunk]:
        return self._chunks(chunks.c.task_id == task_id, chunks.c.worker == worker, is_(ChunkState.CLAIMED))

    def shelves(self, worker: str, most: int, most_per_task: Allowance | None) -> list[Shelf]:
        asked = {"now": self.now, "worker": worker, "many": most, "at_most": most + _FULL_SHELVES}
        found = []
        for row in self._connection.execute(statements.SHELVES, asked).mappings():
            task = entry_of(row).task
            room = most if most_per_task is None else most_per_task(task) - row["mine"]
            found.append(Shelf(task, row["claimed"], min(room, row["ready"])))
        return [shelf for shelf in found if shelf.room > 0]

    def take(self, task_id: str, most: int) -> list[Chunk]:
        asked = {"of_task": task_id, "now": self.now, "many": most}
        return self._page(statements.READY_CHUNKS[self._writes], asked)

    def end_waits(self, task_id: str) -> None:
        waiting = (chunks.c.task_id == task_id) & (chunks.c.not_before > 0)
        self._connection.execute(update(chunks).where(waiting).values(not_before=0.0))

    def reopen_failed(self, task_id: str) -> None:
        anew = {"state": ChunkState.READY.value, "attempts": 0, "crashes": 0, "not_before": 0.0}
        failed = (chunks.c.task_id == task_id) & is_(ChunkState.FAILED)
        never = dict.fromkeys(("error", "last_worker", "started_at", "ended_at"))
        self._connection.execute(update(chunks).where(failed).values(anew | never))

    def drop_chunks(self, task_id: str, most: int) -> int:
        of_task = chunks.c.task_id == task_id
        first = select(chunks.c.number).where(of_task).order_by(chunks.c.number).limit(most)
        gone = delete(chunks).where(of_task, chunks.c.number.in_(first))
        return self._connection.execute(gone).rowcount

    def _chunks(self, *wanted: ColumnElement[bool]) -> list[Chunk]:
        return self._page(statements.CHUNKS.where(*wanted), {})

    def _page(self, query: Select[Any], asked: Mapping[str, Any]) -> list[Chunk]:
        return [chunk_of(row) for row in self._connection.execute(query, asked).mappings()]

    # Workers

    def put_worker(self, worker: WorkerInfo) -> None:
        self._replace(workers, worker_row(worker))

    def worker(self, worker: str) -> WorkerInfo | None:
        query = statements.ONE_WORKER[self._writes]
        row = self._connection.execute(query, {"wanted": worker}).mappings().first()
        return None if row is None else worker_of(row)

    def workers(self) -> list[WorkerInfo]:
        rows = self._connection.execute(statements.WORKERS).mappings()
        return [worker_of(row) for row in rows]

    def drop_worker(self, worker: str) -> None:
        self._connection.execute(delete(workers).where(workers.c.id == worker))
