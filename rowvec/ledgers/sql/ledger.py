"""The SQL ledger: books opened on threads of its own, so that the event loop never waits for another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from rowvec.backends import scheme
from rowvec.errors import Unavailable
from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books import work
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.books.ledger import BookLedger
from rowvec.ledgers.books.transactions import T
from rowvec.ledgers.sql.database import Database, WouldWait
from rowvec.ledgers.sql.reads import Reads
from rowvec.ledgers.sql.sqlite import Sqlite
from rowvec.model import Claim

_BUSY_SECONDS = 30.0


class SqlLedger(BookLedger):
    """As many threads as the database lets write at once, and some that read beside them."""

    def __init__(
        self, url: str, busy_seconds: float = _BUSY_SECONDS, clock: Callable[[], float] | None = None
    ) -> None:
        """`clock` goes before the database's own."""
        self._database = _database_of(url, busy_seconds, clock)
        self._writers = ThreadPoolExecutor(self._database.writers, "ledger-writer")
        self._readers = ThreadPoolExecutor(self._database.readers, "ledger-reader")
        self._reads = Reads(self._database, self._database.lookers)
        self._unheard: dict[str, list[Claim]] = {}

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> SqlLedger:
        """`settings`: `busy_seconds`, how long to wait for other processes' writes (30)."""
        return cls(url, float(settings.get("busy_seconds", _BUSY_SECONDS)))

    async def ready(self) -> None:
        await _on(self._writers, self._database.prepare)

    async def now(self) -> float:
        if self._database.clock:
            return self._database.clock()
        return await self._reads.read(lambda book: book.now)

    async def ping(self) -> None:
        await self._reads.read(lambda book: book.ping())

    async def claim(self, worker: str, most: int, most_per_task: Allowance | None = None) -> list[Claim]:
        given: list[Claim] = []

        def do(book: Book) -> list[Claim]:
            given[:] = [claim for claim in self._unheard.get(worker, ()) if work.holds(book, worker, claim)]
            given.extend(work.claim(book, worker, most - len(given), most_per_task))
            return given

        try:
            claims = await self._write(do)
        except Unavailable:
            self._unheard[worker] = given or self._unheard.get(worker, [])
            raise
        self._unheard[worker] = claims[most:]
        return claims[:most]

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    async def _read(self, do: Callable[[Book], T], of: str | None = None) -> T:
        try:
            return self._database.glance(do)
        except WouldWait:
            return await self._reads.read(do, of)

    async def _read_much(self, do: Callable[[Book], T], of: str | None = None) -> T:  # noqa: ARG002
        return await _on(self._readers, lambda: self._database.read(do))

    async def _write(self, do: Callable[[Book], T]) -> T:
        return await _on(self._writers, lambda: self._database.write(do))

    def _close(self) -> None:
        self._writers.shutdown()
        self._readers.shutdown()
        self._reads.close()
        self._database.close()


def _database_of(url: str, busy_seconds: float, clock: Callable[[], float] | None) -> Database:
    if scheme(url) == "postgresql":
        from rowvec.ledgers.sql.postgresql import Postgresql

        return Postgresql(url, busy_seconds, clock)
    return Sqlite(url, busy_seconds, clock)


async def _on(threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, work)
