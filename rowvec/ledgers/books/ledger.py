"""A ledger over books: every promise as one transaction over the same pages."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar
from zlib import crc32

from rowvec.api_key import ApiKey
from rowvec.errors import InvalidRequest, NamespaceTaken, UnknownKey, WrongState
from rowvec.ledgers.base import MOST_MARKS, NOTHING, Allowance, Around, Ledger, Overview, Page, Submitted
from rowvec.ledgers.books import forgetting, lifecycle, queue, roster, rules, work
from rowvec.ledgers.books.book import Book, Filling
from rowvec.model import (
    Chunk,
    ChunkFiles,
    ChunkState,
    Claim,
    Counts,
    Flag,
    Mark,
    PlannedChunk,
    ProviderPause,
    Task,
    Totals,
    WorkerInfo,
)
from rowvec.spec import TaskSpec
from rowvec.usage import Usage

T = TypeVar("T")
Seen = TypeVar("Seen")


class BookLedger(Ledger):
    """What is left to a backend: to open a book for reading, and one for writing."""

    retries_at_once = 500
    """How many chunks one transaction makes ready again, or removes."""

    @abstractmethod
    async def _read(self, do: Callable[[Book], T]) -> T:
        """Run `do` on a steady view of the record."""

    @abstractmethod
    async def _write(self, do: Callable[[Book], T]) -> T:
        """Run `do` on a book that holds what it reads; all it wrote lands, or nothing when it raises.

        Where it must, it is taken back and run again from the start.
        """

    # Tasks

    async def submit(
        self, spec: TaskSpec, idempotency_key: str | None = None, most_queued: int | None = None
    ) -> Submitted:
        return await self._write(lambda book: lifecycle.submit(book, spec, idempotency_key, most_queued))

    async def task(self, task_id: str) -> Task:
        return await self._read(lambda book: book.entry(task_id).task)

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

        return await self._read(read)

    async def around(self, task_id: str) -> Around:
        def read(book: Book) -> Around:
            task = book.entry(task_id).task
            children = [entry.task for entry in book.children(task_id)]
            if task.state.ended:
                return Around(task, children)
            return Around(task, children, book.workers(), book.pauses())

        return await self._read(read)

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

        return await self._read(read)

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
        now = await self.now()
        return await self._read(lambda book: roster.overview(book, now))

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

    # Namespaces

    async def bind_namespace(self, namespace: str, model: str, dimension: int) -> None:
        wanted = Filling(model, dimension)

        def bind(book: Book) -> None:
            book.alone(f"namespace {namespace}")
            there = book.filling(namespace)
            if there is None:
                book.fill(namespace, wanted)
            elif there != wanted:
                raise NamespaceTaken(
                    f"The namespace '{namespace}' is filled by {there.model} ({there.dimension} dimensions), "
                    f"not by {model} ({dimension} dimensions). Use another namespace, or that model."
                )

        if (
            await self._read(lambda book: book.filling(namespace)) != wanted
        ):  # as it is but for the first time
            await self._write(bind)

    # API keys

    async def add_key(self, key: ApiKey, only_if_none: bool = False) -> bool:
        """False also when a key of that id is there already: a key is never overwritten."""

        def add(book: Book) -> bool:
            book.alone("keys")
            if book.key(key.id) is not None or (only_if_none and book.keys()):
                return False
            book.put_key(key)
            return True

        return await self._write(add)

    async def key(self, key_id: str) -> ApiKey | None:
        return await self._read(lambda book: book.key(key_id))

    async def keys(self) -> list[ApiKey]:
        return await self._read(lambda book: book.keys())

    async def revoke_key(self, key_id: str) -> None:
        def revoke(book: Book) -> None:
            book.alone("keys")
            key = book.key(key_id)
            if key is None:
                raise UnknownKey(f"There is no API key '{key_id}'.")
            if key.revoked_at is None:
                book.put_key(replace(key, revoked_at=book.now))

        await self._write(revoke)

    async def rotate_key(self, key_id: str, successor: ApiKey, until: float) -> None:
        def rotate(book: Book) -> None:
            book.alone("keys")
            key = book.key(key_id)
            if key is None:
                raise UnknownKey(f"There is no API key '{key_id}'.")
            if not key.is_open(book.now) or book.key(successor.id) is not None:
                raise WrongState(f"The API key '{key_id}' opens nothing any more. Make a new one.")
            end = until if key.expires_at is None else min(until, key.expires_at)
            book.put_key(successor)
            book.put_key(replace(key, expires_at=end))

        await self._write(rotate)

    # What keys may use

    async def draw(self, account: str, amount: int, most: int, every: float = 0.0) -> bool:
        return await self._write(lambda book: queue.draw(book, queue.Draw(account, amount, most, every)))

    async def drawn(self, account: str, every: float = 0.0) -> int:
        now = await self.now()
        return await self._read(lambda book: queue.used(book, account, every, now))

    # Providers

    async def pause_provider(self, provider: str, reason: str) -> ProviderPause:
        def pause(book: Book) -> ProviderPause:
            book.alone("pauses")
            there = next((known for known in book.pauses() if known.provider == provider), None)
            if there is None:
                there = ProviderPause(provider, book.now, reason)
                book.put_pause(there)
            return there

        return await self._write(pause)

    async def resume_provider(self, provider: str) -> None:
        await self._write(lambda book: book.drop_pause(provider))

    async def provider_pauses(self) -> list[ProviderPause]:
        return await self._read(lambda book: book.pauses())


def _cursor_after(order: int) -> str:
    return f"{order:x}.{crc32(str(order).encode()):x}"


def _order_of(cursor: str) -> int:
    """Raises InvalidRequest for a cursor that `_cursor_after` did not make."""
    head = cursor.partition(".")[0]
    order = int(head, 16) if 0 < len(head) < 16 and set(head) <= set("0123456789abcdef") else -1
    if _cursor_after(order) != cursor:
        raise InvalidRequest("This cursor was not made here. Start again without one.", "cursor")
    return order
