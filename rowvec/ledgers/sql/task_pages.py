"""The pages of a SQL ledger on which its tasks stand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, delete, func, insert, select, update

from rowvec.ledgers.books import rules
from rowvec.ledgers.books.rules import Entry
from rowvec.ledgers.sql.register import SqlRegister
from rowvec.ledgers.sql.rows import entry_of, entry_row
from rowvec.ledgers.sql.tables import tasks
from rowvec.model import Hold, Task, TaskState

_RUNNING = (rules.PENDING, rules.PROCESSING)
"""How tasks are seen that have neither ended nor are on hold."""

OPEN = {"key_share": True}
"""How a task is held while others may still claim its chunks."""

# Made once: SQLAlchemy takes longer to put a statement together than the database to answer it.
_TASKS = select(tasks)
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


class SqlTaskPages(SqlRegister):
    def __init__(self, connection: Connection, now: float, writes: bool) -> None:
        super().__init__(connection, now)
        self._writes = writes

    def foresee(self, task_ids: Collection[str]) -> None:
        """Tell which tasks will be found, and their children, where that spares reading them one by one."""

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
            held=OPEN | {"skip_locked": True},
        )

    def held_by(self, worker: str) -> list[Entry]:
        return self._entries(tasks.c.worker == worker, held=OPEN)

    def counted(self) -> Mapping[str, int]:
        return {row.seen: row.many for row in self._connection.execute(_COUNTED)}

    def slowest(self) -> Mapping[TaskState, float]:
        return {TaskState(state): at for state, at in self._connection.execute(_SLOWEST)}

    def finishable(self) -> list[Entry]:
        counted_out = (tasks.c.state == TaskState.PROCESSING.value) & (
            tasks.c.chunks_done + tasks.c.chunks_failed >= tasks.c.chunks_total
        )
        cancelling = tasks.c.hold == Hold.CANCELLING.value
        return self._entries(tasks.c.seen.in_(rules.UNENDED), counted_out | cancelling, held=OPEN)

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
