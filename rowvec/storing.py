"""Embedded entries → the vector store: packed upserts, bisection, and a row lands whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from rowvec.describe import Entry
from rowvec.embedding import Embedded
from rowvec.errors import InputRefused, RequestTooLarge
from rowvec.gates import VECTOR_STORE
from rowvec.lease import Lease, SharedCheck
from rowvec.retry import outlast
from rowvec.text import passage_id
from rowvec.timed import TimedStore, in_time
from rowvec.vectors import VectorBatch
from rowvec.vectorstores.base import VectorStore

UPSERTS_AT_ONCE = 4
"""Of one chunk."""


@dataclass(slots=True)
class Stored:
    """`refused` maps an entry's place to the store's reason."""

    refused: dict[int, str] = field(default_factory=dict)


def vector_ids(entry_id: str, passages: int) -> list[str]:
    """Ids of a row's vectors: its own, or one for each passage."""
    return [entry_id] if passages == 1 else [passage_id(entry_id, k + 1) for k in range(passages)]


async def store(
    vectors: VectorStore,
    namespace: str,
    task_id: str,
    entries: Sequence[Entry],
    embedded: Embedded,
    lease: Lease,
) -> Stored:
    """Upsert every entry that was embedded. Raises RetryLater, PauseNeeded, StoreMismatch, LeaseLost."""
    batch, owners = _batch(task_id, entries, embedded)
    out = Stored()
    job = _Job(vectors, namespace, task_id, lease, SharedCheck(lease), owners, out)
    try:
        async with asyncio.TaskGroup() as group:
            for low, high in _requests(vectors, batch, owners):
                group.create_task(job.run(batch, low, high))
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from failures
    if out.refused:
        await job.take_out(entries)
    return out


@dataclass(frozen=True, slots=True)
class _Job:
    vectors: VectorStore
    namespace: str
    task_id: str
    lease: Lease
    shared: SharedCheck
    owners: Sequence[int]
    out: Stored
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(UPSERTS_AT_ONCE))

    async def run(self, batch: VectorBatch, low: int, high: int) -> None:
        part = _part(batch, low, high)
        try:
            await outlast(self.lease, lambda: self._upsert(part))
        except InputRefused as error:
            cut = self._cut(low, high, isinstance(error, RequestTooLarge))
            if cut is None:
                self.out.refused[self.owners[low]] = error.message
                return
            await self.run(batch, low, cut)
            await self.run(batch, cut, high)

    def _cut(self, low: int, high: int, within_a_row: bool) -> int | None:
        """Where to divide: between two rows, so that of a refused row nothing is written over what another
        row with its id has there. None where nothing is left to divide."""
        middle = (low + high) // 2
        borders = [at for at in range(low + 1, high) if self.owners[at] != self.owners[at - 1]]
        if borders:
            return min(borders, key=lambda at: abs(at - middle))
        return middle if within_a_row and middle > low else None

    async def _upsert(self, part: VectorBatch) -> None:
        async with self.slots:
            await self.lease.gates.check(self.lease.ledger, VECTOR_STORE)
            left = await self.shared.check()
            await in_time(left, "for one write", self.vectors.upsert(self.namespace, part))

    async def take_out(self, entries: Sequence[Entry]) -> None:
        """A row lands whole or not at all: remove what refused rows have there. What other rows with their
        ids have there stays."""
        numbers = {entries[place].row_id: entries[place].number for place in self.out.refused}
        timed = TimedStore.under(self.vectors, self.lease)
        stored = await timed.stamps(list(numbers))
        own = [
            stamp.id
            for stamp in stored
            if (stamp.task_id, stamp.row_number) == (self.task_id, numbers[stamp.row_id])
        ]
        if own:
            await timed.delete(own)


def _shape(entry: Entry) -> tuple[str, int]:
    return entry.row_id, len(entry.passages)


def _batch(task_id: str, entries: Sequence[Entry], embedded: Embedded) -> tuple[VectorBatch, list[int]]:
    """All vectors of the entries that were embedded whole, and the entry each belongs to."""
    kept = [place for place in range(len(entries)) if place not in embedded.refused]
    owners = [place for place in kept for _ in entries[place].passages]
    vectors = embedded.vectors
    if embedded.refused:
        vectors = vectors[np.isin(np.asarray(embedded.owners), kept)]
    batch = VectorBatch(
        task_id=task_id,
        ids=[i for place in kept for i in vector_ids(*_shape(entries[place]))],
        row_ids=[entries[place].row_id for place in owners],
        row_numbers=[entries[place].number for place in owners],
        vectors=vectors,
        texts=[text for place in kept for text in entries[place].passages],
        metadata=[entries[place].metadata for place in owners],
    )
    return batch, owners


def _requests(vectors: VectorStore, batch: VectorBatch, owners: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges of the batch that fit one upsert each; a row is in one of them, unless it alone does not fit."""
    sizes = vectors.sizes(batch)
    low, size, border = 0, 0, 0
    for i, more in enumerate(sizes):
        border = i if owners[i] != owners[i - 1] else border
        while i > low and (i - low >= vectors.max_batch or size + more > vectors.max_batch_bytes):
            cut = border if border > low else i
            yield low, cut
            low, size = cut, sum(sizes[cut:i])
        size += more
    if low < len(batch):
        yield low, len(batch)


def _part(batch: VectorBatch, low: int, high: int) -> VectorBatch:
    if low == 0 and high == len(batch):
        return batch
    return replace(
        batch,
        ids=batch.ids[low:high],
        row_ids=batch.row_ids[low:high],
        row_numbers=batch.row_numbers[low:high],
        vectors=batch.vectors[low:high],
        texts=batch.texts[low:high],
        metadata=batch.metadata[low:high],
    )
