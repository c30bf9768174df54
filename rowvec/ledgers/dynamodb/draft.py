"""A transaction in the making: what it has read, and how it is going to change it.

Everything is read consistently, and each write is made on condition that what it rests on is still as it
was read. Where it is not, nothing is written (Conflict), and the whole is done anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Generic, TypeVar

from rowvec.ledgers.dynamodb.chunks import Stored, chunk_item, place_of, sleeps, stored_of
from rowvec.ledgers.dynamodb.keys import (
    WORKERS,
    about_key,
    chunk_key,
    holding_key,
    keyed,
    ordinal,
    same_key,
    task_key,
)
from rowvec.ledgers.dynamodb.people import Enlisted, enlisted_of, worker_item
from rowvec.ledgers.dynamodb.record import Record, commutes, guards, increments, listing, moments, moved
from rowvec.ledgers.dynamodb.table import Action, Item, Key, Table, Test, add, delete, put
from rowvec.ledgers.dynamodb.tasks import About, Lore, about_of, list_item, record_of, task_item
from rowvec.model import Chunk, PlannedChunk

V = TypeVar("V")
ABSENT: Test = ("pk", "absent", None)


@dataclass(slots=True)
class Change(Generic[V]):
    """None: not there."""

    before: V | None
    after: V


class Draft:
    """`lore` remembers what never changes of tasks, across transactions."""

    def __init__(self, table: Table, lore: Lore, now: float) -> None:
        self.table = table
        self.now = now
        self._lore = lore
        self._items: dict[Key, Item | None] = {}
        self._records: dict[str, Change[Record | None]] = {}
        self._chunks: dict[tuple[str, int], Change[Stored]] = {}
        self._workers: dict[str, Change[Enlisted | None]] = {}
        self._others: list[Action] = []

    def also(self, *actions: Action) -> None:
        """Write these with the rest."""
        self._others += actions

    # Reading

    def fetch(self, keys: Iterable[Key]) -> None:
        """Read these at once, so that they need not be read one by one."""
        wanted = [key for key in dict.fromkeys(keys) if key not in self._items]
        found = self.table.get_all(wanted) if wanted else {}
        self._items |= {key: found.get(key) for key in wanted}

    def item(self, key: Key) -> Item | None:
        self.fetch([key])
        return self._items[key]

    def record(self, task_id: str) -> Record | None:
        return next(iter(self.records([task_id])), None)

    def records(self, task_ids: Sequence[str]) -> list[Record]:
        """Those that are there, as this transaction leaves them, in that order."""
        new = [task_id for task_id in task_ids if task_id not in self._records]
        self.fetch(key for task_id in new for key in self.keys_of(task_id))
        for task_id in new:
            self._take(task_id)
        found = (self._records[task_id].after for task_id in task_ids)
        return [record for record in found if record is not None]

    def keys_of(self, task_id: str) -> list[Key]:
        """What has to be read to know a task."""
        known = self._lore.get(task_id)
        return [task_key(task_id)] if known else [task_key(task_id), about_key(task_id)]

    def _take(self, task_id: str) -> None:
        item, about = self.item(task_key(task_id)), self._about(task_id)
        record = None if item is None or about is None else record_of(item, about)
        self._records[task_id] = Change(record, record)

    def _about(self, task_id: str) -> About | None:
        about = self._lore.get(task_id)
        if about is None and (item := self.item(about_key(task_id))):
            about = about_of(item)
            self._lore.keep(task_id, about)
        return about

    def chunk(self, record: Record, number: int) -> Chunk | None:
        item = self.item(chunk_key(record.entry.task.id, number))
        return None if item is None else self.read(record, item)

    def read(self, record: Record, item: Item) -> Chunk:
        """A chunk of that task, as this transaction leaves it."""
        key = (record.entry.task.id, item["number"])
        if key not in self._chunks:
            stored = stored_of(item, record)
            self._chunks[key] = Change(stored, stored)
        return self._chunks[key].after.chunk

    def enlisted(self, worker: str) -> Enlisted | None:
        if worker not in self._workers:
            item = self.item((WORKERS, worker))
            found = None if item is None else enlisted_of(item)
            self._workers[worker] = Change(found, found)
        return self._workers[worker].after

    def unended(self, fingerprint: str) -> list[str]:
        """Ids of the tasks of that spec which have not ended, oldest first."""
        item = self.item(same_key(fingerprint)) or {}
        return [place.partition(":")[2] for place in item.get("tasks", "").split()]

    # Changing

    def change(self, record: Record) -> None:
        change = self._records[record.entry.task.id]
        worker = record.entry.task.worker
        if worker and change.after and change.after.entry.task.worker != worker:
            self._touch(worker)
        change.after = record

    def begin(self, record: Record) -> None:
        """A task that is not there yet."""
        self._records[record.entry.task.id] = Change(None, record)

    def put_chunk(self, chunk: Chunk) -> None:
        change = self._chunks[chunk.task_id, chunk.plan.number]
        record = self.record(chunk.task_id)
        if record is None:
            return
        there = change.after
        if chunk.worker and there.chunk.worker != chunk.worker:
            self._touch(chunk.worker)
        place = place_of(chunk, record, self.now)
        change.after = Stored(chunk, place, there.rev)
        self.change(moved(record, there.chunk, chunk, sleeps(there.place), sleeps(place)))

    def add_chunk(self, record: Record, plan: PlannedChunk) -> None:
        chunk = Chunk(record.entry.task.id, plan)
        place = place_of(chunk, record, self.now)
        self._chunks[chunk.task_id, plan.number] = Change(None, Stored(chunk, place, 0))
        self.change(moved(record, None, chunk, False, sleeps(place)))

    def put_worker(self, worker: str, enlisted: Enlisted | None) -> None:
        self.enlisted(worker)
        self._workers[worker].after = enlisted

    def _touch(self, worker: str) -> None:
        """Whoever buries that worker at this moment has to look anew at what it holds."""
        enlisted = self.enlisted(worker)
        if enlisted:
            self.put_worker(worker, replace(enlisted, rev=enlisted.rev + 1))

    # Writing

    def actions(self) -> list[Action]:
        changes = (
            self._chunk_actions(),
            self._task_actions(),
            self._same_actions(),
            self._worker_actions(),
            iter(self._others),
        )
        return list(chain.from_iterable(changes))

    def _chunk_actions(self) -> Iterator[Action]:
        for (task_id, number), change in self._chunks.items():
            before, after = change.before, change.after
            if after is before:
                continue
            record = self._records[task_id].after
            resumes = record.resumes if record else 0
            item = chunk_item(after.chunk, after.place, resumes, (before.rev if before else 0) + 1)
            yield put(item, ("rev", "=", before.rev) if before else ABSENT)
            yield from _handed(before.chunk.worker if before else None, after.chunk.worker, task_id, number)

    def _task_actions(self) -> Iterator[Action]:
        for task_id, change in self._records.items():
            before, after = change.before, change.after
            if after is None or after == before:
                continue
            if before is None:
                yield put(task_item(replace(after, rev=1, shape=1)), ABSENT)
                yield put(list_item(after), ABSENT)
            elif commutes(before, after):
                numbers, times = increments(before, after), moments(before, after)
                yield add(task_key(task_id), numbers, times, *guards(before, after))
            else:
                yield from _replaced(before, after)

    def _same_actions(self) -> Iterator[Action]:
        """Tasks that began or came to their end, or go on after it, are taken into or off those of a spec."""
        changed: dict[str, list[tuple[str, bool]]] = {}
        for change in self._records.values():
            if change.after is not None and _is_open(change.before) != _is_open(change.after):
                entry = change.after.entry
                place = f"{ordinal(entry.order)}:{entry.task.id}"
                changed.setdefault(entry.fingerprint, []).append((place, _is_open(change.after)))
        for fingerprint, moves in changed.items():
            yield self._same(fingerprint, moves)

    def _same(self, fingerprint: str, moves: Sequence[tuple[str, bool]]) -> Action:
        key = same_key(fingerprint)
        there = self.item(key)
        places = set(there.get("tasks", "").split()) if there else set()
        for place, is_open in moves:
            places = places | {place} if is_open else places - {place}
        rev = there["rev"] if there else 0
        item = keyed(key, tasks=" ".join(sorted(places)), rev=rev + 1)
        return put(item, ("rev", "=", rev) if there else ABSENT)

    def _worker_actions(self) -> Iterator[Action]:
        for worker, change in self._workers.items():
            before, after = change.before, change.after
            if after == before:
                continue
            unchanged = (("rev", "=", before.rev), ("mark", "=", before.mark)) if before else (ABSENT,)
            if after is None:
                yield delete((WORKERS, worker), *unchanged)
            else:
                yield put(worker_item(replace(after, rev=(before.rev if before else 0) + 1)), *unchanged)


def _replaced(before: Record, after: Record) -> Iterator[Action]:
    task_id = after.entry.task.id
    after = replace(after, rev=before.rev + 1, shape=before.shape + 1)
    yield put(task_item(after), ("rev", "=", before.rev))
    if listing(after) != listing(before):
        yield put(list_item(after))
    yield from _handed(before.entry.task.worker, after.entry.task.worker, task_id, None)


def _handed(before: str | None, after: str | None, task_id: str, number: int | None) -> Iterator[Action]:
    """A piece of work goes from one worker to another, or to none."""
    if before == after:
        return
    if before:
        yield delete(holding_key(before, task_id, number))
    if after:
        yield put(keyed(holding_key(after, task_id, number)))


def _is_open(record: Record | None) -> bool:
    return record is not None and not record.entry.task.state.ended
