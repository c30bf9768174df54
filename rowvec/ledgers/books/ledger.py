"""A ledger over books: every promise as one transaction over the same pages."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TypeVar
from zlib import crc32

from rowvec.errors import InvalidRequest
from rowvec.ledgers.base import MOST_MARKS, Allowance, Around, Ledger, Overview, Page, Submitted
from rowvec.ledgers.books import forgetting, lifecycle, roster, rules, work
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.books.register import BookRegister
from rowvec.ledgers.roster import NOTHING
from rowvec.model import (
    Chunk,
    ChunkFiles,
    ChunkState,
    Claim,
    Counts,
    Flag,
    Mark,
    PlannedChunk,
    Task,
    Totals,
    WorkerInfo,
)
from rowvec.spec import TaskSpec
from rowvec.usage import Usage

FEW = 250
"""Chunks that are read as quickly as a page of tasks."""

Seen = TypeVar("Seen")


class BookLedger(BookRegister, Ledger):
    """What is left to a backend: to open a book for reading, and one for writing."""

    retries_at_once = 500
    """How many chunks one transaction makes ready again, or removes."""

    # Tasks

    async def submit(
        self, spec: TaskSpec, idempotency_key: str | None = None, most_queued: int | None = None
    ) -> Submitted:
        return await self._write(lambda book: lifecycle.submit(book, spec, idempotency_key, most_queued))

    async def task(self, task_id: str) -> Task:
        return await self._read(lambda book: book.entry(task_id).task, task_id)

    async def tasks(
        self,
        limit: int = 50,
        cursor: str | None = None,
        state: str | None = None,
        tenant: str | None = None,
    ) -> Page:
        below = None if cursor is None else _order_of(cursor)
        if limit < 1:
            raise InvalidRequest(f"limit is {limit}; ask for at least 1 task.", "limit")
        if state is not None and state not in rules.SEEN:
            raise InvalidRequest(f"No task is ever '{state}'. Known: {', '.join(rules.SEEN)}.", "state")
        entries = await self._read(lambda book: book.newest(limit + 1, below, state, tenant))
        more = len(entries) > limit
        page = [entry.task for entry in entries[:limit]]
        return Page(page, _cursor_after(entries[limit - 1].order) if more else None)

    async def children(self, task_id: str) -> list[Task]:
        def read(book: Book) -> list[Task]:
            book.entry(task_id)
            return [entry.task for entry in book.children(task_id)]

        return await self._read(read, task_id)

    async def around(self, task_id: str) -> Around:
        def read(book: Book) -> Around:
            task = book.entry(task_id).task
            children = [entry.task for entry in book.children(task_id)]
            if task.state.ended:
                return Around(task, book.now, children)
            return Around(task, book.now, children, book.workers(), book.pauses())

        return await self._read(read, task_id)

    async def chunks(
        self, task_id: str, limit: int = 1000, after: int = -1, state: ChunkState | None = None
    ) -> list[Chunk]:
        return await self._look(task_id, limit, lambda book: book.chunks(task_id, limit, after, state))

    async def rejecting(self, task_id: str, limit: int = 1000, after: int = -1) -> list[Chunk]:
        return await self._look(task_id, limit, lambda book: book.rejecting(task_id, limit, after))

    async def marks(self, task_id: str, limit: int = MOST_MARKS, after: int = -1) -> list[Mark]:
        return await self._look(task_id, limit, lambda book: book.marks(task_id, limit, after))

    async def _look(self, task_id: str, limit: int, look: Callable[[Book], list[Seen]]) -> list[Seen]:
        if limit < 1:
            raise InvalidRequest(f"limit is {limit}; ask for at least 1 chunk.", "limit")

        def read(book: Book) -> list[Seen]:
            book.entry(task_id)
            return look(book)

        return await (self._read if limit <= FEW else self._read_much)(read, task_id)

    async def flag(self, task_id: str, flag: Flag, reason: str | None = None) -> Task:
        return await self._write(lambda book: lifecycle.flag(book, task_id, flag, reason))

    async def retry_chunks(self, task_id: str, numbers: Sequence[int]) -> Task:
        task = await self.task(task_id)
        for at in range(0, len(numbers), self.retries_at_once):
            task = await self._retry_some(task_id, numbers[at : at + self.retries_at_once])
        return task

    async def _retry_some(self, task_id: str, numbers: Sequence[int]) -> Task:
        return await self._write(lambda book: lifecycle.retry_chunks(book, task_id, numbers))

    async def finish_if_done(self, task_id: str) -> None:
        await self._write(lambda book: lifecycle.finish(book, book.entry(task_id)))

    async def seal(self, task_id: str) -> Task:
        return await self._write(lambda book: forgetting.seal(book, task_id))

    async def forget(self, task_id: str) -> None:
        while await self._write(lambda book: forgetting.forget(book, task_id, self.retries_at_once)):
            pass

    # Planning and settling

    async def append_chunks(self, task_id: str, fence: int, chunks: Sequence[PlannedChunk]) -> None:
        if not await self._write(lambda book: lifecycle.append(book, task_id, fence, chunks)):
            raise rules.lost(task_id)

    async def pinned(self, task_id: str, fence: int, spec: TaskSpec) -> None:
        if not await self._write(lambda book: lifecycle.pinned(book, task_id, fence, spec)):
            raise rules.lost(task_id)

    async def planned(self, task_id: str, fence: int, totals: Totals) -> None:
        if not await self._write(lambda book: lifecycle.planned(book, task_id, fence, totals)):
            raise rules.lost(task_id)

    async def release(self, task_id: str, fence: int, error: str | None, not_before: float) -> None:
        await self._write(lambda book: lifecycle.release(book, task_id, fence, error, not_before))

    async def settled(self, task_id: str, fence: int, duplicates: int, passages: int) -> None:
        await self._write(lambda book: lifecycle.settled(book, task_id, fence, duplicates, passages))

    async def fail(self, task_id: str, fence: int, error: str) -> None:
        await self._write(lambda book: lifecycle.fail(book, task_id, fence, error))

    # Work

    async def claim(self, worker: str, most: int, most_per_task: Allowance | None = None) -> list[Claim]:
        return await self._write(lambda book: work.claim(book, worker, most, most_per_task))

    async def commit(self, task_id: str, number: int, fence: int, counts: Counts, files: ChunkFiles) -> None:
        await self._write(lambda book: work.commit(book, task_id, number, fence, counts, files))

    async def hand_back(
        self, task_id: str, number: int, fence: int, error: str | None, not_before: float
    ) -> None:
        await self._write(lambda book: work.hand_back(book, task_id, number, fence, error, not_before))

    async def give_up(self, task_id: str, number: int, fence: int, error: str) -> None:
        await self._write(lambda book: work.give_up(book, task_id, number, fence, error))

    # Workers

    async def enlist(self, worker: WorkerInfo) -> None:
        await self._write(lambda book: roster.enlist(book, worker))

    async def beat(
        self, worker: str, holding: int, waits: Mapping[str, str] = {}, usage: Usage = NOTHING
    ) -> bool:
        return await self._write(lambda book: roster.beat(book, worker, holding, waits, usage))

    async def overview(self) -> Overview:
        return await self._read_much(lambda book: roster.overview(book, book.now))

    async def holds(self, worker: str, claim: Claim) -> bool:
        return await self._read(lambda book: work.holds(book, worker, claim))

    async def bury(self, workers: Collection[str]) -> int:
        return await self._write(lambda book: roster.bury(book, workers))

    async def retire(self, worker: str) -> None:
        await self._write(lambda book: roster.retire(book, worker))

    async def sweep(self, lease_seconds: float) -> int:
        return await self._write(lambda book: roster.sweep(book, lease_seconds))

    async def workers(self) -> list[WorkerInfo]:
        return await self._read(lambda book: book.workers())


def _cursor_after(order: int) -> str:
    return f"{order:x}.{crc32(str(order).encode()):x}"


def _order_of(cursor: str) -> int:
    """Raises InvalidRequest for a cursor that `_cursor_after` did not make."""
    head = cursor.partition(".")[0]
    order = int(head, 16) if 0 < len(head) < 16 and set(head) <= set("0123456789abcdef") else -1
    if _cursor_after(order) != cursor:
        raise InvalidRequest("This cursor was not made here. Start again without one.", "cursor")
    return order
