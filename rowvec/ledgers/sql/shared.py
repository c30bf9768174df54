"""Pages that several look at within one transaction, which shows them all the same."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import ARRAY, Connection, String, any_, bindparam, select, union_all

from rowvec.ledgers.books.rules import Entry
from rowvec.ledgers.sql.held import HeldBook
from rowvec.ledgers.sql.rows import entry_of
from rowvec.ledgers.sql.tables import tasks
from rowvec.model import ProviderPause, WorkerInfo

_WANTED = any_(bindparam("wanted", type_=ARRAY(String)))
_FAMILIES = union_all(
    select(tasks).where(tasks.c.id == _WANTED), select(tasks).where(tasks.c.parent_id == _WANTED)
).order_by("position")
"""Two searches by an index each, in one statement that is the same for any number of tasks."""


@dataclass(slots=True)
class _Family:
    """What is known of a task: nothing where it does not exist."""

    entry: Entry | None = None
    children: dict[str, Entry] = field(default_factory=dict)


class SharedBook(HeldBook):
    """Only for reading. What one has read is there for the others, and what is foreseen is read at once."""

    def __init__(self, connection: Connection, now: float) -> None:
        super().__init__(connection, now, writes=False)
        self._families: dict[str, _Family] = {}
        self._roll: list[WorkerInfo] | None = None
        self._paused: list[ProviderPause] | None = None

    def foresee(self, task_ids: Collection[str]) -> None:
        if not task_ids:
            return
        self._families = {task_id: _Family() for task_id in task_ids}
        for row in self._connection.execute(_FAMILIES, {"wanted": list(task_ids)}).mappings():
            entry = entry_of(row)
            if itself := self._families.get(entry.task.id):
                itself.entry = entry
            if parents := self._families.get(entry.task.spec.parent_id or ""):
                parents.children[entry.task.id] = entry

    def find(self, task_id: str, closed: bool = False) -> Entry | None:
        family = self._families.get(task_id)
        return super().find(task_id, closed) if family is None else family.entry

    def children(self, task_id: str) -> list[Entry]:
        family = self._families.get(task_id)
        return super().children(task_id) if family is None else [*family.children.values()]

    def workers(self) -> list[WorkerInfo]:
        if self._roll is None:
            self._roll = super().workers()
        return self._roll

    def pauses(self) -> list[ProviderPause]:
        if self._paused is None:
            self._paused = super().pauses()
        return self._paused
