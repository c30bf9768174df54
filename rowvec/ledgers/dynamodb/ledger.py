"""The DynamoDB ledger: transactions on threads of its own, tried again where others came in between."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from rowvec.aws import region
from rowvec.errors import NotConfigured, RetryLater, Unavailable
from rowvec.ledgers.base import Allowance, Overview
from rowvec.ledgers.books import roster, work
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.books.ledger import BookLedger
from rowvec.ledgers.dynamodb import schema
from rowvec.ledgers.dynamodb.book import DynamoBook
from rowvec.ledgers.dynamodb.client import THREADS, connect
from rowvec.ledgers.dynamodb.keys import ORDER
from rowvec.ledgers.dynamodb.table import Table
from rowvec.ledgers.dynamodb.tasks import Lore
from rowvec.ledgers.dynamodb.watch import Watch
from rowvec.ledgers.dynamodb.words import Conflict
from rowvec.ledgers.roster import NOTHING
from rowvec.model import ChunkFiles, Claim, Counts, PlannedChunk, WorkerInfo
from rowvec.usage import Usage

T = TypeVar("T")

DEAL = 20
"""How many pieces of work one transaction hands out, and"""

APPEND = 90
"""how many chunks one adds: a transaction is at most 100 writes."""

_BUSY_SECONDS = 15.0
_LONGEST_PAUSE = 0.5


class DynamoLedger(BookLedger):
    """`busy_seconds`: how long a write is tried again when others keep writing what it rests on."""

    retries_at_once = APPEND

    def __init__(
        self,
        url: str,
        settings: Mapping[str, str],
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        busy_seconds: float = _BUSY_SECONDS,
    ) -> None:
        self._table = Table(table_of(url), region(settings), partial(connect, settings))
        self._clock = clock
        self._busy_seconds = busy_seconds
        self._lore = Lore()
        self._watch = Watch(monotonic)
        self._unanswered: dict[str, list[Claim]] = {}
        self._threads = ThreadPoolExecutor(THREADS, "ledger")

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> DynamoLedger:
        """`settings`: `AWS_ENDPOINT_URL`, `AWS_REGION`, and keys, where AWS's chain is not to be asked."""
        return cls(url, settings)

    async def ready(self) -> None:
        await self._on_thread(lambda: self._table.ask(lambda client: schema.create(client, self._table.name)))

    async def now(self) -> float:
        return self._clock()

    async def ping(self) -> None:
        await self._on_thread(lambda: self._table.get(ORDER))

    async def close(self) -> None:
        await asyncio.to_thread(self._threads.shutdown)
        self._table.close()

    # Transactions

    async def _read(self, do: Callable[[DynamoBook], T], of: str | None = None) -> T:  # noqa: ARG002
        return await self._on_thread(lambda: do(self._book()))

    async def _write(self, do: Callable[[DynamoBook], T]) -> T:
        return await self._on_thread(lambda: self._until_saved(do))

    async def _on_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _until_saved(self, do: Callable[[DynamoBook], T]) -> T:
        give_up_at = time.monotonic() + self._busy_seconds
        attempt = 0
        while True:
            book = self._book()
            result = do(book)
            try:
                book.land()
                return result
            except Conflict as conflict:
                if time.monotonic() > give_up_at:
                    raise Unavailable(
                        f"The ledger's table '{self._table.name}' is written by too many at once. The same "
                        "call is tried again later."
                    ) from conflict
            time.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.01 * 2**attempt)))  # noqa: S311 - no secret
            attempt += 1

    def _book(self) -> DynamoBook:
        return DynamoBook(self._table, self._lore, self._clock())

    # What is too long for one transaction goes in steps, each of which may be repeated

    async def append_chunks(self, task_id: str, fence: int, chunks: Sequence[PlannedChunk]) -> None:
        for at in range(0, max(1, len(chunks)), APPEND):
            await super().append_chunks(task_id, fence, chunks[at : at + APPEND])

    async def claim(self, worker: str, most: int, most_per_task: Allowance | None = None) -> list[Claim]:
        """Also what an earlier call took without hearing so, when the answer of the table was lost."""
        claims = await self._taken_unheard(worker)
        while len(claims) < most:
            room = min(DEAL, most - len(claims))
            try:
                more = await self._deal(worker, room, most_per_task)
            except RetryLater:
                if not claims:
                    raise
                break
            claims += more
            if len(more) < room:
                break
        return claims

    async def _deal(self, worker: str, most: int, most_per_task: Allowance | None) -> list[Claim]:
        tried: list[Claim] = []

        def deal(book: Book) -> list[Claim]:
            tried[:] = work.claim(book, worker, most, most_per_task)
            return tried

        try:
            return await self._write(deal)
        except RetryLater:
            self._unanswered[worker] = tried
            raise

    async def _taken_unheard(self, worker: str) -> list[Claim]:
        """Nobody else would take these, for this worker is alive; so it must be told."""
        doubtful = self._unanswered.get(worker, [])
        found = [claim for claim in doubtful if await self.holds(worker, claim)]
        self._unanswered.pop(worker, None)
        return found

    async def bury(self, workers: Collection[str]) -> int:
        return sum([await self._leave(worker, _bury) for worker in set(workers)])

    async def retire(self, worker: str) -> None:
        await self._leave(worker, _retire)

    async def _leave(self, worker: str, step: Callable[[DynamoBook, str], int]) -> int:
        """A worker that holds much leaves step by step; where that ends early, a sweep goes on with it."""
        taken, leaving = 0, True
        while leaving:
            pieces, leaving = await self._write(lambda book: (step(book, worker), book.is_leaving(worker)))
            taken += pieces
        return taken

    async def sweep(self, lease_seconds: float) -> int:
        roll = await self._read(lambda book: book.roll())
        marks = {enlisted.worker.id: enlisted.mark for enlisted in roll}
        taken = 0
        for worker in self._watch.silent(marks, lease_seconds):
            taken += await self._leave(worker, partial(_bury_silent, mark=marks[worker]))
        taken += await self.bury([e.worker.id for e in roll if not e.worker.alive])
        for entry in await self._read(lambda book: book.finishable()):
            await self.finish_if_done(entry.task.id)
        return taken

    # Beats, as this process sees them

    async def enlist(self, worker: WorkerInfo) -> None:
        while not await self._beaten(worker.id, lambda book: _enlist(book, worker)):
            await self.bury([worker.id])

    async def beat(
        self, worker: str, holding: int, waits: Mapping[str, str] = {}, usage: Usage = NOTHING
    ) -> bool:
        return await self._beaten(worker, lambda book: roster.beat(book, worker, holding, waits, usage))

    async def _beaten(self, worker: str, do: Callable[[DynamoBook], T]) -> T:
        answer, mark = await self._write(lambda book: (do(book), book.mark(worker)))
        if mark is not None:
            self._watch.saw(worker, mark)
        return answer

    async def overview(self) -> Overview:
        """A worker that leaves between two reads must not be missed or counted twice."""
        now = await self.now()
        before = await self._read(lambda book: book.departed())
        while True:
            overview = await self._read(lambda book: roster.overview(book, now))
            after = await self._read(lambda book: book.departed())
            if after == before:
                return overview
            before = after

    # What is asked most often reads all it needs at once

    async def holds(self, worker: str, claim: Claim) -> bool:
        number = claim.chunk.plan.number if claim.chunk else None

        def look(book: DynamoBook) -> bool:
            book.fetch(claim.task.id, number, worker)
            return work.holds(book, worker, claim)

        return await self._read(look)

    async def commit(self, task_id: str, number: int, fence: int, counts: Counts, files: ChunkFiles) -> None:
        def do(book: DynamoBook) -> None:
            book.fetch(task_id, number)
            work.commit(book, task_id, number, fence, counts, files)

        await self._write(do)


def table_of(url: str) -> str:
    """`ledger` of `dynamodb://ledger`. Raises NotConfigured for what cannot be the name of a table."""
    scheme, _, name = url.partition("://")
    if scheme != "dynamodb" or not re.fullmatch(r"[A-Za-z0-9_.-]{3,255}", name):
        raise NotConfigured(
            f"The ledger's address '{url}' is not dynamodb://TABLE, with a name of 3 to 255 letters, digits, "
            "'_', '-' and '.'."
        )
    return name


def _enlist(book: DynamoBook, worker: WorkerInfo) -> bool:
    """Not one of which something is still to be taken back."""
    leaving = book.is_leaving(worker.id)
    if not leaving:
        roster.enlist(book, worker)
    return not leaving


def _bury(book: DynamoBook, worker: str) -> int:
    return roster.bury(book, [worker])


def _retire(book: DynamoBook, worker: str) -> int:
    roster.retire(book, worker)
    return 0


def _bury_silent(book: DynamoBook, worker: str, mark: str) -> int:
    """Not one that has beaten meanwhile."""
    return _bury(book, worker) if book.mark(worker) == mark else 0
