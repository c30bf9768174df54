"""The pages of a SQL ledger on which its tasks stand."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, func, insert, select

from rowvec.ledgers.books import rules
from rowvec.ledgers.books.rules import Entry
from rowvec.ledgers.sql import statements
from rowvec.ledgers.sql.register import SqlRegister
from rowvec.ledgers.sql.rows import entry_of, entry_row
from rowvec.ledgers.sql.statements import OPEN
from rowvec.ledgers.sql.tables import tasks
from rowvec.model import Hold, Task, TaskState

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


class SqlTaskPages(SqlRegister):
    def __init__(self, connection: Connection, now: float, writes: bool) -> None:
        super().__init__(connection, now)
        self._writes = writes

    def foresee(self, task_ids: Collection[str]) -> None:
        """Tell which tasks will be found, and their children, where that spares reading them one by one."""

    def find(self, task_id: str, closed: bool = False) -> Entry | None:
        query = (statements.CLOSED_TASK if closed else statements.OPEN_TASK)[self._writes]
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
        self._connection.execute(statements.PUT_TASK, {"of_task": after.task.id, **changes})

    def by_key(self, key: str) -> Entry | None:
        return self._first_entry(statements.BY_KEY, {"key": key})

    def running(self, fingerprint: str) -> Entry | None:
        return self._first_entry(statements.RUNNING_ALIKE, {"fingerprint": fingerprint})

    def newest(self, limit: int, below: int | None, seen: str | None, tenant: str | None) -> list[Entry]:
        query = statements.newest(below is not None, seen is not None, tenant is not None)
        asked = {"many": limit, "below": below, "seen": seen, "tenant": tenant}
        given = {name: value for name, value in asked.items() if value is not None}
        return self._entries_of(query, given)

    def unended(self) -> list[Entry]:
        return self._entries(tasks.c.seen.in_(rules.UNENDED))

    def children(self, task_id: str) -> list[Entry]:
        return self._entries_of(statements.CHILDREN, {"wanted": task_id})

    def idle(self, states: Sequence[TaskState], limit: int) -> list[Entry]:
        query = statements.idle(tuple(states))[self._writes]
        return self._entries_of(query, {"now": self.now, "many": limit})

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

    def _first_entry(self, query: Select[Any], asked: Mapping[str, Any]) -> Entry | None:
        row = self._connection.execute(query, asked).mappings().first()
        return None if row is None else entry_of(row)

    def _entries(self, *wanted: ColumnElement[bool], held: Mapping[str, Any] | None = None) -> list[Entry]:
        query = statements.TASKS.where(*wanted).order_by(tasks.c.position)
        if held is not None and self._writes:
            query = query.with_for_update(**held)
        return self._entries_of(query, {})

    def _entries_of(self, query: Select[Any], asked: Mapping[str, Any]) -> list[Entry]:
        return [entry_of(row) for row in self._connection.execute(query, asked).mappings()]
