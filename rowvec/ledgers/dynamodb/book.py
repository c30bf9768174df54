"""The pages of a ledger in DynamoDB: what the rules read and write becomes one transaction of the table."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice

from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books.rules import Entry, Shelf
from rowvec.ledgers.dynamodb import shelves
from rowvec.ledgers.dynamodb.chunks import FAILED, READY, WAIT, failures, stored_of
from rowvec.ledgers.dynamodb.keys import (
    WORKERS,
    chunk_key,
    ordinal,
    piece_of,
)
from rowvec.ledgers.dynamodb.people import Enlisted, enlisted_of
from rowvec.ledgers.dynamodb.record import Record, resumed, retried
from rowvec.ledgers.dynamodb.table import LAST, Item, Table, delete
from rowvec.ledgers.dynamodb.task_pages import DynamoTaskPages
from rowvec.ledgers.dynamodb.tasks import Lore
from rowvec.model import Chunk, ChunkState, Mark, PlannedChunk, WorkerInfo

PIECES = 16
"""How many pieces of work are taken back at once: at most five writes each, of the hundred there may be."""


class DynamoBook(DynamoTaskPages):
    """Reads at once, writes when it is saved."""

    def __init__(self, table: Table, lore: Lore, now: float) -> None:
        super().__init__(table, lore, now)
        self._pieces: dict[str, list[tuple[str, int | None]]] = {}
        self._due: dict[str, list[Chunk]] = {}

    def fetch(self, task_id: str, number: int | None = None, worker: str | None = None) -> None:
        """Read at once what a write about that chunk is going to ask for."""
        keys = self._draft.keys_of(task_id)
        if number is not None:
            keys.append(chunk_key(task_id, number))
        if worker is not None:
            keys.append((WORKERS, worker))
        self._draft.fetch(keys)

    def land(self) -> None:
        """All of it or nothing. Raises Conflict when something it rests on has changed since it was read."""
        self._table.write(self._draft.actions())

    # Chunks

    def chunk(self, task_id: str, number: int) -> Chunk | None:
        record = self._draft.record(task_id)
        return None if record is None else self._draft.chunk(record, number)

    def chunks(self, task_id: str, limit: int, after: int, state: ChunkState | None) -> list[Chunk]:
        record = self._record(task_id)
        number = ordinal(after + 1)
        if state is None:
            items: Iterable[Item] = self._table.query(
                f"task#{task_id}", f"chunk#{number}", f"chunk#{LAST}", page=limit
            )
        elif state is ChunkState.READY:
            items = self._ready(record, number, limit)
        else:
            place = failures(record.retries) if state is ChunkState.FAILED else state.value
            items = self._kept(record, f"{place}#{number}", f"{place}#{LAST}", limit)
        return [self._draft.read(record, item) for item in islice(items, limit)]

    def rejecting(self, task_id: str, limit: int, after: int) -> list[Chunk]:
        """Chunks without any are looked at by the table, and not sent."""
        record, number = self._record(task_id), ordinal(after + 1)
        items = self._table.query(f"task#{task_id}", f"chunk#{number}", f"chunk#{LAST}", positive="rejected")
        return [self._draft.read(record, item) for item in islice(items, limit)]

    def marks(self, task_id: str, limit: int, after: int) -> list[Mark]:
        record, number = self._record(task_id), ordinal(after + 1)
        items = self._table.query(f"task#{task_id}", f"chunk#{number}", f"chunk#{LAST}", page=limit)
        return [Mark.of(stored_of(item, record).chunk) for item in islice(items, limit)]

    def numbered(self, task_id: str, numbers: Sequence[int]) -> list[Chunk]:
        self._draft.fetch(chunk_key(task_id, number) for number in numbers)
        found = (self.chunk(task_id, number) for number in numbers)
        return [chunk for chunk in found if chunk is not None]

    def _ready(self, record: Record, number: str, limit: int) -> list[Item]:
        """Those at hand, those that wait for their time, and those that failed before a retry."""
        items = list(islice(self._kept(record, f"{READY}#{number}", f"{READY}#{LAST}", limit), limit))
        if record.asleep:
            items += self._kept(record, f"{WAIT}#", f"{WAIT}#{LAST}", None)
            items += self._kept(record, f"{FAILED}#", failures(record.retries), None)
        return sorted((i for i in items if ordinal(i["number"]) >= number), key=lambda i: int(i["number"]))

    def _kept(self, record: Record, low: str, high: str, page: int | None) -> Iterator[Item]:
        return self._table.query(f"task#{record.entry.task.id}", low, high, "by_state", page=page)

    def add_chunks(self, task_id: str, planned: Sequence[PlannedChunk]) -> list[PlannedChunk]:
        if not planned:
            return []
        numbers = [plan.number for plan in planned]
        low, high = chunk_key(task_id, min(numbers)), chunk_key(task_id, max(numbers))
        there = {item["number"] for item in self._table.query(low[0], low[1], high[1])}
        new = {plan.number: plan for plan in reversed(planned) if plan.number not in there}
        for plan in new.values():
            self._draft.add_chunk(self._record(task_id), plan)
        return list(new.values())

    def put_chunks(self, chunks: Sequence[Chunk]) -> None:
        for chunk in chunks:
            self._draft.put_chunk(chunk)

    def claimed(self, task_id: str) -> int:
        return self._record(task_id).claimed

    def tasks_of(self, worker: str) -> list[str]:
        return list(dict.fromkeys(task_id for task_id, number in self._held(worker) if number is not None))

    def claimed_by(self, worker: str, task_id: str) -> list[Chunk]:
        held = [number for of_task, number in self._held(worker) if of_task == task_id and number is not None]
        self._draft.fetch(chunk_key(task_id, number) for number in held)
        found = (self.chunk(task_id, number) for number in held)
        return [chunk for chunk in found if chunk is not None and chunk.worker == worker]

    def shelves(self, worker: str, most: int, most_per_task: Allowance | None) -> list[Shelf]:
        found = shelves.laden(self._draft, worker, most, most_per_task)
        self._due = {shelf.task.id: due for shelf, due in found}
        return [shelf for shelf, _ in found]

    def take(self, task_id: str, most: int) -> list[Chunk]:
        return self._due.get(task_id, [])[:most]

    def end_waits(self, task_id: str) -> None:
        """Those of before are known by the number of resumes they were written under: one write ends all."""
        self._draft.change(resumed(self._record(task_id)))

    def reopen_failed(self, task_id: str) -> None:
        """As with waits, by the number of retries."""
        self._draft.change(retried(self._record(task_id)))

    def drop_chunks(self, task_id: str, most: int) -> int:
        items = self._table.query(f"task#{task_id}", "chunk#", f"chunk#{LAST}", page=most)
        gone = [(item["pk"], item["sk"]) for item in islice(items, most)]
        self._draft.also(*map(delete, gone))
        return len(gone)

    # Workers

    def held_by(self, worker: str) -> list[Entry]:
        held = [task_id for task_id, number in self._held(worker) if number is None]
        return [r.entry for r in self._draft.records(held) if r.entry.task.worker == worker]

    def put_worker(self, worker: WorkerInfo) -> None:
        self._draft.put_worker(worker.id, Enlisted(worker, 1, secrets.token_hex(8)))

    def worker(self, worker: str) -> WorkerInfo | None:
        enlisted = self._draft.enlisted(worker)
        return enlisted.worker if enlisted and enlisted.worker.alive else None

    def workers(self) -> list[WorkerInfo]:
        return [enlisted.worker for enlisted in self.roll() if enlisted.worker.alive]

    def drop_worker(self, worker: str) -> None:
        """One that holds more than is taken back at once is leaving until all of it is."""
        enlisted = self._draft.enlisted(worker)
        if enlisted is None:
            return
        more = len(self._markers(worker)) > PIECES
        leaving = replace(enlisted, worker=replace(enlisted.worker, alive=False))
        self._draft.put_worker(worker, replace(leaving, rev=enlisted.rev + 1) if more else None)

    def roll(self) -> list[Enlisted]:
        """All workers, those that are leaving too."""
        return [enlisted_of(item) for item in self._table.query(WORKERS)]

    def is_leaving(self, worker: str) -> bool:
        enlisted = self._draft.enlisted(worker)
        return enlisted is not None and not enlisted.worker.alive

    def mark(self, worker: str) -> str | None:
        """What its last beat is known by; None for one that is not there."""
        enlisted = self._draft.enlisted(worker)
        return None if enlisted is None else enlisted.mark

    def _held(self, worker: str) -> list[tuple[str, int | None]]:
        return self._markers(worker)[:PIECES]

    def _markers(self, worker: str) -> list[tuple[str, int | None]]:
        if worker not in self._pieces:
            items = self._table.query(f"worker#{worker}", page=PIECES + 1)
            self._pieces[worker] = [piece_of(item["sk"]) for item in islice(items, PIECES + 1)]
        return self._pieces[worker]
