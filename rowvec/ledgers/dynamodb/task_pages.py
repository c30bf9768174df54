"""The pages of a ledger in DynamoDB on which its tasks stand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, islice

from rowvec.ledgers.books import rules
from rowvec.ledgers.books.rules import Entry
from rowvec.ledgers.dynamodb.draft import ABSENT, Draft
from rowvec.ledgers.dynamodb.keys import (
    ORDER,
    TASKS,
    about_key,
    child_key,
    keyed,
    once_key,
    ordinal,
    task_key,
    tenant_key,
)
from rowvec.ledgers.dynamodb.record import OUT, PLAN, SETTLE, Record, may_have_ended
from rowvec.ledgers.dynamodb.register import DynamoRegister
from rowvec.ledgers.dynamodb.table import LAST, Item, Table, delete, put
from rowvec.ledgers.dynamodb.tasks import Lore, about_item
from rowvec.model import Hold, Task, TaskState

_PAGE = 50


class DynamoTaskPages(DynamoRegister):
    def __init__(self, table: Table, lore: Lore, now: float) -> None:
        super().__init__(table, Draft(table, lore, now))
        self._lore = lore

    def find(self, task_id: str, closed: bool = False) -> Entry | None:
        del closed  # nobody waits for anybody: who was not alone is told when it lands
        record = self._draft.record(task_id)
        return None if record is None else record.entry

    def add(self, task: Task, fingerprint: str, key: str | None) -> Entry:
        entry = Entry(replace(task, order=self._table.next_number(ORDER)), fingerprint, key)
        self._draft.begin(Record(entry))
        self._draft.also(put(about_item(entry), ABSENT))
        if key is not None:
            self._draft.also(put(keyed(once_key(key), task=task.id), ABSENT))
        if task.spec.parent_id is not None:
            self._draft.also(put(keyed(child_key(task.spec.parent_id, entry.order), task=task.id)))
        if task.spec.tenant:
            self._draft.also(put(keyed(tenant_key(task.spec.tenant, entry.order), task=task.id)))
        return entry

    def put(self, before: Entry, after: Entry) -> None:
        self._draft.change(replace(self._record(before.task.id), entry=after))
        if after.task.spec != before.task.spec:
            self._lore.forget(after.task.id)
            self._draft.also(put(about_item(after)))

    def by_key(self, key: str) -> Entry | None:
        item = self._draft.item(once_key(key))
        return None if item is None else self.find(item["task"])

    def running(self, fingerprint: str) -> Entry | None:
        same = self._draft.unended(fingerprint)
        return self.find(same[-1]) if same else None

    def newest(self, limit: int, below: int | None, seen: str | None, tenant: str | None) -> list[Entry]:
        high = LAST if below is None else ordinal(below - 1)
        if tenant:
            items = self._table.query(tenant_key(tenant, 0)[0], high=high, newest=True, page=limit)
        elif seen is None:
            items = self._table.query(TASKS, high=high, newest=True, page=limit)
        else:
            items = self._table.query(
                TASKS, f"{seen}#", f"{seen}#{high}", "by_state", newest=True, page=limit
            )
        entries = (record.entry for record in self._each(items, limit))
        wanted = (e for e in entries if seen in (None, rules.seen_as(e.task)))
        return list(islice((e for e in wanted if tenant in (None, e.task.spec.tenant)), limit))

    def unended(self) -> list[Entry]:
        states = [self._listed(seen) for seen in rules.UNENDED]
        return [r.entry for r in self._each(chain.from_iterable(states)) if not r.entry.task.state.ended]

    def counted(self) -> Mapping[str, int]:
        counts = {seen: sum(1 for _ in self._listed(seen)) for seen in rules.UNENDED}
        return {seen: count for seen, count in counts.items() if count}

    def slowest(self) -> Mapping[TaskState, float]:
        found: dict[TaskState, float] = {}
        for record in self._each(self._listed(rules.PROCESSING)):
            task = record.entry.task
            found[task.state] = min(found.get(task.state, self.now), rules.last_progress(task))
        return found

    def _listed(self, seen: str) -> Iterator[Item]:
        return self._table.query(TASKS, f"{seen}#", f"{seen}#{LAST}", "by_state")

    def children(self, task_id: str) -> list[Entry]:
        items = self._table.query(f"task#{task_id}", "child#", f"child#{LAST}")
        return [record.entry for record in self._each(items)]

    def idle(self, states: Sequence[TaskState], limit: int) -> list[Entry]:
        lease = SETTLE if TaskState.SETTLING in states else PLAN
        items = self._table.query(
            TASKS,
            f"{lease}#",
            f"{lease}#{LAST}",
            "by_lease",
            page=limit,
            until=("not_before", self.now),
        )
        entries = (record.entry for record in self._each(items, limit))
        return list(islice((e for e in entries if self._is_idle(e, states)), limit))

    def _is_idle(self, entry: Entry, states: Sequence[TaskState]) -> bool:
        task = entry.task
        free = task.worker is None and not task.hold
        return free and task.state in states and entry.not_before <= self.now

    def finishable(self) -> list[Entry]:
        cancelling = Hold.CANCELLING.value
        items = [
            *self._table.query(TASKS, f"{OUT}#", f"{OUT}#{LAST}", "by_shelf"),
            *self._table.query(TASKS, f"{cancelling}#", f"{cancelling}#{LAST}", "by_state"),
        ]
        return [record.entry for record in self._each(iter(items)) if may_have_ended(record)]

    def drop(self, entry: Entry) -> None:
        """With all that leads to it. The places of its children under it stay until they go, too."""
        task, order = entry.task, entry.order
        record = self._record(task.id)
        self._draft.also(
            delete(task_key(task.id), ("rev", "=", record.rev)),
            delete(about_key(task.id)),
            delete((TASKS, ordinal(order))),
        )
        if entry.key is not None:
            self._draft.also(delete(once_key(entry.key)))
        if task.spec.parent_id is not None:
            self._draft.also(delete(child_key(task.spec.parent_id, order)))
        if task.spec.tenant:
            self._draft.also(delete(tenant_key(task.spec.tenant, order)))
        self._lore.forget(task.id)

    def _record(self, task_id: str) -> Record:
        """Raises UnknownTask."""
        self.entry(task_id)
        return self._draft.records([task_id])[0]

    def _each(self, items: Iterator[Item], at_once: int = _PAGE) -> Iterator[Record]:
        """The tasks that are listed, read so many at once."""
        while ids := [item["task"] for item in islice(items, min(at_once, _PAGE))]:
            yield from self._draft.records(ids)
