"""The pages of a SQL ledger: one transaction on one connection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)

from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books import rules
from rowvec.ledgers.books.rules import Entry, Shelf
from rowvec.ledgers.sql.columns import in_columns
from rowvec.ledgers.sql.shelf import SqlShelf
from rowvec.ledgers.sql.tables import (
    MARK,
    chunk_of,
    chunk_row,
    chunks,
    entry_of,
    entry_row,
    marks_of,
    plan_row,
    tasks,
    worker_of,
    worker_row,
    workers,
)
from rowvec.model import Chunk, ChunkState, Hold, Mark, PlannedChunk, Task, TaskState, WorkerInfo

_FULL_SHELVES = 100
"""How many tasks of which a worker holds its fill may stand before one it may take from."""

_RUNNING = (rules.PENDING, rules.PROCESSING)
"""How tasks are seen that have neither ended nor are on hold."""

IN_WORK = (tasks.c.seen == rules.PROCESSING) & tasks.c.state.in_(
    (TaskState.PLANNING.value, TaskState.PROCESSING.value)
)
"""Tasks whose chunks are handed out."""

_OPEN = {"key_share": True}
"""How a task is held while others may still claim its chunks."""

# Made once: SQLAlchemy takes longer to put a statement together than the database to answer it.
_TASKS, _CHUNKS, _WORKERS = select(tasks), select(chunks), select(workers).order_by(workers.c.id)
_ONE_TASK = _TASKS.where(tasks.c.id == bindparam("wanted"))
_ONE_HELD = {key_share: _ONE_TASK.with_for_update(key_share=key_share) for key_share in (True, False)}
_COUNTED = (
    select(tasks.c.seen, func.count().label("many"))
    .where(tasks.c.seen.in_(rules.UNENDED))
    .group_by(tasks.c.seen)
)
_SLOWEST = (
    select(
        tasks.c.state,
        func.min(func.coalesce(tasks.c.progressed_at, tasks.c.started_at, tasks.c.created_at)),
    )
    .where(tasks.c.seen == rules.PROCESSING)
    .group_by(tasks.c.state)
)
_CHILDREN = _TASKS.where(tasks.c.parent_id == bindparam("wanted")).order_by(tasks.c.position)


class SqlBook(SqlShelf):
    def __init__(self, connection: Connection, now: float, writes: bool) -> None:
        super().__init__(connection, now)
        self._writes = writes

    def ping(self) -> None:
        """Asks for what is never there: the tables answer, and nothing is read."""
        self._connection.execute(select(func.count()).where(tasks.c.position == 0)).scalar_one()

    # Tasks

    def find(self, task_id: str, closed: bool = False) -> Entry | None:
        query = _ONE_HELD[not closed] if self._writes else _ONE_TASK
        row = self._connection.execute(query, {"wanted": task_id}).mappings().first()
        return None if row is None else entry_of(row)

    def add(self, task: Task, fingerprint: str, key: str | None) -> Entry:
        entry = Entry(task, fingerprint, key)
        row = {
            "id": task.id,
            "spec": task.spec.to_json(),
            "parent_id": task.spec.parent_id,
            "tenant": task.spec.tenant,
            "fingerprint": fingerprint,
            "idempotency_key": key,
            **entry_row(entry),
        }
        self._connection.execute(insert(tasks).values(row))
        return self.entry(task.id)

    def put(self, before: Entry, after: Entry) -> None:
        """Writes only what differs, so that untouched indexes stay untouched."""
        old = entry_row(before)
        changes = {name: value for name, value in entry_row(after).items() if value != old[name]}
        if after.task.spec != before.task.spec:
            changes["spec"] = after.task.spec.to_json()
        self._connection.execute(update(tasks).where(tasks.c.id == after.task.id).values(changes))

    def by_key(self, key: str) -> Entry | None:
        return self._first_entry(tasks.c.idempotency_key == key)

    def running(self, fingerprint: str) -> Entry | None:
        return self._first_entry(tasks.c.fingerprint == fingerprint, tasks.c.seen.in_(rules.UNENDED))

    def newest(self, limit: int, below: int | None, seen: str | None, tenant: str | None) -> list[Entry]:
        wanted = []
        if below is not None:
            wanted.append(tasks.c.position < below)
        if seen is not None:
            wanted.append(tasks.c.seen == seen)
        if tenant is not None:
            wanted.append(tasks.c.tenant == tenant)
        return self._entries(*wanted, order=tasks.c.position.desc(), limit=limit)

    def unended(self) -> list[Entry]:
        return self._entries(tasks.c.seen.in_(rules.UNENDED))

    def children(self, task_id: str) -> list[Entry]:
        rows = self._connection.execute(_CHILDREN, {"wanted": task_id}).mappings()
        return [entry_of(row) for row in rows]

    def idle(self, states: Sequence[TaskState], limit: int) -> list[Entry]:
        return self._entries(
            tasks.c.seen.in_(_RUNNING),
            tasks.c.state.in_([state.value for state in states]),
            tasks.c.worker.is_(None),
            tasks.c.not_before <= self.now,
            limit=limit,
            held=_OPEN | {"skip_locked": True},
        )

    def held_by(self, worker: str) -> list[Entry]:
        return self._entries(tasks.c.worker == worker, held=_OPEN)

    def counted(self) -> Mapping[str, int]:
        return {row.seen: row.many for row in self._connection.execute(_COUNTED)}

    def slowest(self) -> Mapping[TaskState, float]:
        return {TaskState(state): at for state, at in self._connection.execute(_SLOWEST)}

    def finishable(self) -> list[Entry]:
        counted_out = (tasks.c.state == TaskState.PROCESSING.value) & (
            tasks.c.chunks_done + tasks.c.chunks_failed >= tasks.c.chunks_total
        )
        cancelling = tasks.c.hold == Hold.CANCELLING.value
        return self._entries(tasks.c.seen.in_(rules.UNENDED), counted_out | cancelling, held=_OPEN)

    def drop(self, entry: Entry) -> None:
        self._connection.execute(delete(tasks).where(tasks.c.id == entry.task.id))

    def _first_entry(self, *wanted: ColumnElement[bool]) -> Entry | None:
        entries = self._entries(*wanted, order=tasks.c.position.desc(), limit=1)
        return entries[0] if entries else None

    def _entries(
        self,
        *wanted: ColumnElement[bool],
        order: ColumnElement[int] = tasks.c.position,
        limit: int | None = None,
        held: Mapping[str, Any] | None = None,
    ) -> list[Entry]:
        query = self._held(_TASKS.where(*wanted).order_by(order).limit(limit), held)
        return [entry_of(row) for row in self._connection.execute(query).mappings()]

    def _held(self, query: Select[Any], how: Mapping[str, Any] | None) -> Select[Any]:
        """The rows stay as they are read until the end; a database with one writer needs no word of it."""
        return query if how is None or not self._writes else query.with_for_update(**how)

    # Chunks

    def chunk(self, task_id: str, number: int) -> Chunk | None:
        found = self._chunks(chunks.c.task_id == task_id, chunks.c.number == number)
        return found[0] if found else None

    def chunks(self, task_id: str, limit: int, after: int, state: ChunkState | None) -> list[Chunk]:
        wanted = [chunks.c.task_id == task_id, chunks.c.number > after]
        if state is not None:
            wanted.append(chunks.c.state == state.value)
        return self._chunks(*wanted, limit=limit)

    def rejecting(self, task_id: str, limit: int, after: int) -> list[Chunk]:
        wanted = (chunks.c.task_id == task_id, chunks.c.number > after, chunks.c.rejected > 0)
        return self._chunks(*wanted, limit=limit)

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
        place = (chunks.c.task_id == bindparam("of_task")) & (chunks.c.number == bindparam("at"))
        rows = [{"of_task": c.task_id, "at": c.plan.number, **chunk_row(c)} for c in changed]
        self._connection.execute(update(chunks).where(place), rows)

    def claimed(self, task_id: str) -> int:
        query = select(func.count()).where(chunks.c.task_id == task_id, _is(ChunkState.CLAIMED))
        return self._connection.execute(query).scalar_one()

    def tasks_of(self, worker: str) -> list[str]:
        query = select(chunks.c.task_id).where(chunks.c.worker == worker, _is(ChunkState.CLAIMED))
        return list(self._connection.execute(query.distinct().order_by(chunks.c.task_id)).scalars())

    def claimed_by(self, worker: str, task_id: str) -> list[Chunk]:
        return self._chunks(chunks.c.task_id == task_id, chunks.c.worker == worker, _is(ChunkState.CLAIMED))

    def shelves(self, worker: str, most: int, most_per_task: Allowance | None) -> list[Shelf]:
        of_task = chunks.c.task_id == tasks.c.id
        claimed = select(func.count()).where(of_task, _is(ChunkState.CLAIMED)).scalar_subquery()
        mine = (
            select(func.count())
            .where(of_task, _is(ChunkState.CLAIMED), chunks.c.worker == worker)
            .scalar_subquery()
        )
        due = select(chunks.c.number).where(of_task, *self._due()).correlate(tasks).limit(most)
        ready = select(func.count()).select_from(due.subquery()).scalar_subquery()
        query = (
            select(tasks, claimed.label("claimed"), mine.label("mine"), ready.label("ready"))
            .where(IN_WORK, exists().where(of_task, *self._due()))
            .order_by("claimed", tasks.c.position)
            .limit(most + _FULL_SHELVES)
        )
        found = []
        for row in self._connection.execute(query).mappings():
            task = entry_of(row).task
            room = most if most_per_task is None else most_per_task(task) - row["mine"]
            found.append(Shelf(task, row["claimed"], min(room, row["ready"])))
        return [shelf for shelf in found if shelf.room > 0]

    def take(self, task_id: str, most: int) -> list[Chunk]:
        held = {"skip_locked": True}
        return self._chunks(chunks.c.task_id == task_id, *self._due(), limit=most, held=held)

    def _due(self) -> tuple[ColumnElement[bool], ...]:
        return _is(ChunkState.READY), chunks.c.not_before <= self.now

    def end_waits(self, task_id: str) -> None:
        waiting = (chunks.c.task_id == task_id) & (chunks.c.not_before > 0)
        self._connection.execute(update(chunks).where(waiting).values(not_before=0.0))

    def reopen_failed(self, task_id: str) -> None:
        anew = {"state": ChunkState.READY.value, "attempts": 0, "crashes": 0, "not_before": 0.0}
        failed = (chunks.c.task_id == task_id) & _is(ChunkState.FAILED)
        never = dict.fromkeys(("error", "last_worker", "started_at", "ended_at"))
        self._connection.execute(update(chunks).where(failed).values(anew | never))

    def drop_chunks(self, task_id: str, most: int) -> int:
        of_task = chunks.c.task_id == task_id
        first = select(chunks.c.number).where(of_task).order_by(chunks.c.number).limit(most)
        gone = delete(chunks).where(of_task, chunks.c.number.in_(first))
        return self._connection.execute(gone).rowcount

    def _chunks(
        self,
        *wanted: ColumnElement[bool],
        limit: int | None = None,
        held: Mapping[str, Any] | None = None,
    ) -> list[Chunk]:
        query = _CHUNKS.where(*wanted).order_by(chunks.c.task_id, chunks.c.number).limit(limit)
        query = self._held(query, held)
        return [chunk_of(row) for row in self._connection.execute(query).mappings()]

    # Workers

    def put_worker(self, worker: WorkerInfo) -> None:
        self._replace(workers, worker_row(worker))

    def worker(self, worker: str) -> WorkerInfo | None:
        query = self._held(select(workers).where(workers.c.id == worker), _OPEN)
        row = self._connection.execute(query).mappings().first()
        return None if row is None else worker_of(row)

    def workers(self) -> list[WorkerInfo]:
        rows = self._connection.execute(_WORKERS).mappings()
        return [worker_of(row) for row in rows]

    def drop_worker(self, worker: str) -> None:
        self._connection.execute(delete(workers).where(workers.c.id == worker))


def _is(state: ChunkState) -> ColumnElement[bool]:
    return chunks.c.state == state.value
