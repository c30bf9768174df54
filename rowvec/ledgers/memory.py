"""A ledger in the memory of one process: for tests, simulations and trying things out."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count, islice

from rowvec.api_key import ApiKey
from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books import rules
from rowvec.ledgers.books.book import Book, Drawn, Filling
from rowvec.ledgers.books.ledger import BookLedger
from rowvec.ledgers.books.rules import Entry, Shelf
from rowvec.ledgers.books.transactions import T
from rowvec.model import (
    Chunk,
    ChunkState,
    Hold,
    Mark,
    PlannedChunk,
    ProviderPause,
    Task,
    TaskState,
    WorkerInfo,
)
from rowvec.tally import Tally


class MemoryLedger(BookLedger):
    """Gone with its process. Of one event loop: a transaction never awaits, so none sees half of one."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._book = MemoryBook()

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> MemoryLedger:
        del url, settings  # there is one kind of memory, and nothing to set
        return cls()

    async def ready(self) -> None:
        return

    async def now(self) -> float:
        return self._clock()

    async def ping(self) -> None:
        return

    async def _read(self, do: Callable[[Book], T], of: str | None = None) -> T:  # noqa: ARG002
        self._book.now = self._clock()
        return do(self._book)

    async def _write(self, do: Callable[[Book], T]) -> T:
        return await self._read(do)


class MemoryBook(Book):
    """Dictionaries. It cannot take back what was written: whatever uses it checks before it writes."""

    def __init__(self) -> None:
        self.now = 0.0
        self._entries: dict[str, Entry] = {}
        self._orders = count(1)
        self._chunks: dict[str, dict[int, Chunk]] = {}
        self._workers: dict[str, WorkerInfo] = {}
        self._fillings: dict[str, Filling] = {}
        self._keys: dict[str, ApiKey] = {}
        self._drawn: dict[str, Drawn] = {}
        self._pauses: dict[str, ProviderPause] = {}
        self._departed = Tally()

    # Tasks

    def find(self, task_id: str, closed: bool = False) -> Entry | None:
        del closed  # nobody else is here
        return self._entries.get(task_id)

    def add(self, task: Task, fingerprint: str, key: str | None) -> Entry:
        entry = Entry(replace(task, order=next(self._orders)), fingerprint, key)
        self._entries[task.id] = entry
        self._chunks[task.id] = {}
        return entry

    def put(self, before: Entry, after: Entry) -> None:
        self._entries[before.task.id] = after

    def by_key(self, key: str) -> Entry | None:
        return next((entry for entry in self._entries.values() if entry.key == key), None)

    def running(self, fingerprint: str) -> Entry | None:
        same = [e for e in self._unended() if e.fingerprint == fingerprint]
        return same[-1] if same else None

    def newest(self, limit: int, below: int | None, seen: str | None, tenant: str | None) -> list[Entry]:
        found = [
            entry
            for entry in reversed(self._entries.values())
            if (below is None or entry.order < below)
            and seen in (None, rules.seen_as(entry.task))
            and tenant in (None, entry.task.spec.tenant)
        ]
        return found[:limit]

    def unended(self) -> list[Entry]:
        return list(self._unended())

    def children(self, task_id: str) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.task.spec.parent_id == task_id]

    def idle(self, states: Sequence[TaskState], limit: int) -> list[Entry]:
        return [
            entry
            for entry in self._unheld(states)
            if entry.task.worker is None and entry.not_before <= self.now
        ][:limit]

    def held_by(self, worker: str) -> list[Entry]:
        return [entry for entry in self._entries.values() if entry.task.worker == worker]

    def counted(self) -> Mapping[str, int]:
        return Counter(rules.seen_as(entry.task) for entry in self._unended())

    def slowest(self) -> Mapping[TaskState, float]:
        at_work = [e.task for e in self._unended() if rules.seen_as(e.task) == rules.PROCESSING]
        return {
            state: min(rules.last_progress(task) for task in at_work if task.state is state)
            for state in {task.state for task in at_work}
        }

    def finishable(self) -> list[Entry]:
        return list(self._unended())

    def drop(self, entry: Entry) -> None:
        del self._entries[entry.task.id], self._chunks[entry.task.id]

    def _unended(self) -> Iterable[Entry]:
        return (entry for entry in self._entries.values() if not entry.task.state.ended)

    def _unheld(self, states: Sequence[TaskState]) -> Iterable[Entry]:
        return (e for e in self._unended() if e.task.hold is Hold.NONE and e.task.state in states)

    # Chunks

    def chunk(self, task_id: str, number: int) -> Chunk | None:
        return self._chunks.get(task_id, {}).get(number)

    def chunks(self, task_id: str, limit: int, after: int, state: ChunkState | None) -> list[Chunk]:
        found = self._in(task_id, *(ChunkState if state is None else (state,)))
        return [chunk for chunk in found if chunk.plan.number > after][:limit]

    def rejecting(self, task_id: str, limit: int, after: int) -> list[Chunk]:
        found = self.chunks(task_id, len(self._chunks.get(task_id, {})), after, None)
        return [chunk for chunk in found if chunk.counts.rejected][:limit]

    def marks(self, task_id: str, limit: int, after: int) -> list[Mark]:
        return [Mark.of(chunk) for chunk in self.chunks(task_id, limit, after, None)]

    def numbered(self, task_id: str, numbers: Sequence[int]) -> list[Chunk]:
        shelf = self._chunks.get(task_id, {})
        return [shelf[number] for number in numbers if number in shelf]

    def add_chunks(self, task_id: str, chunks: Sequence[PlannedChunk]) -> list[PlannedChunk]:
        shelf = self._chunks[task_id]
        new = {plan.number: plan for plan in reversed(chunks) if plan.number not in shelf}
        shelf.update({number: Chunk(task_id, plan) for number, plan in new.items()})
        self._chunks[task_id] = dict(sorted(shelf.items()))
        return list(new.values())

    def put_chunks(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            self._chunks[chunk.task_id][chunk.plan.number] = chunk

    def claimed(self, task_id: str) -> int:
        return len(self._in(task_id, ChunkState.CLAIMED))

    def tasks_of(self, worker: str) -> list[str]:
        return [task_id for task_id in self._chunks if self.claimed_by(worker, task_id)]

    def claimed_by(self, worker: str, task_id: str) -> list[Chunk]:
        return [chunk for chunk in self._in(task_id, ChunkState.CLAIMED) if chunk.worker == worker]

    def shelves(self, worker: str, most: int, most_per_task: Allowance | None) -> list[Shelf]:
        tasks = self._unheld((TaskState.PLANNING, TaskState.PROCESSING))
        found = [self._shelf(entry.task, worker, most, most_per_task) for entry in tasks]
        return sorted((shelf for shelf in found if shelf.room > 0), key=lambda shelf: shelf.claimed)

    def take(self, task_id: str, most: int) -> list[Chunk]:
        return [c for c in self._in(task_id, ChunkState.READY) if c.not_before <= self.now][:most]

    def end_waits(self, task_id: str) -> None:
        self.put_chunks([replace(c, not_before=0.0) for c in self._in(task_id, *ChunkState)])

    def reopen_failed(self, task_id: str) -> None:
        failed = self._in(task_id, ChunkState.FAILED)
        self.put_chunks([rules.anew(chunk) for chunk in failed])

    def drop_chunks(self, task_id: str, most: int) -> int:
        shelf = self._chunks[task_id]
        gone = list(islice(shelf, most))
        for number in gone:
            del shelf[number]
        return len(gone)

    def _shelf(self, task: Task, worker: str, most: int, most_per_task: Allowance | None) -> Shelf:
        mine = len(self.claimed_by(worker, task.id))
        room = most if most_per_task is None else min(most, most_per_task(task) - mine)
        return Shelf(task, self.claimed(task.id), min(room, len(self.take(task.id, most))))

    def _in(self, task_id: str, *states: ChunkState) -> list[Chunk]:
        return [chunk for chunk in self._chunks.get(task_id, {}).values() if chunk.state in states]

    # Workers

    def put_worker(self, worker: WorkerInfo) -> None:
        self._workers[worker.id] = worker

    def worker(self, worker: str) -> WorkerInfo | None:
        return self._workers.get(worker)

    def workers(self) -> list[WorkerInfo]:
        return sorted(self._workers.values(), key=lambda worker: worker.id)

    def drop_worker(self, worker: str) -> None:
        self._workers.pop(worker, None)

    def departed(self) -> Tally:
        return self._departed

    def put_departed(self, tally: Tally) -> None:
        self._departed = tally

    # Namespaces and keys

    def filling(self, namespace: str) -> Filling | None:
        return self._fillings.get(namespace)

    def fill(self, namespace: str, filling: Filling) -> None:
        self._fillings[namespace] = filling

    def key(self, key_id: str) -> ApiKey | None:
        return self._keys.get(key_id)

    def keys(self) -> list[ApiKey]:
        return list(self._keys.values())

    def put_key(self, key: ApiKey) -> None:
        self._keys[key.id] = key

    def drawn(self, account: str) -> Drawn | None:
        return self._drawn.get(account)

    def put_drawn(self, account: str, drawn: Drawn) -> None:
        self._drawn[account] = drawn

    def drop_drawn(self, account: str) -> None:
        self._drawn.pop(account, None)

    # Providers

    def pauses(self) -> list[ProviderPause]:
        return sorted(self._pauses.values(), key=lambda pause: pause.provider)

    def put_pause(self, pause: ProviderPause) -> None:
        self._pauses[pause.provider] = pause

    def drop_pause(self, provider: str) -> None:
        self._pauses.pop(provider, None)
