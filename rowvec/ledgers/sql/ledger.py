"""The SQL ledger: books opened on threads of its own, so that the event loop never waits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import Connection, text

from rowvec.ledgers.books.book import Book
from rowvec.ledgers.books.ledger import BookLedger, T
from rowvec.ledgers.sql import sqlite
from rowvec.ledgers.sql.book import SqlBook

_READERS = 3
_BUSY_SECONDS = 30.0


class SqlLedger(BookLedger):
    """One thread writes, since SQLite lets one writer in at a time; a few read beside it."""

    def __init__(
        self, url: str, busy_seconds: float = _BUSY_SECONDS, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = sqlite.path_of(url)
        self._busy_seconds = busy_seconds
        self._clock = clock
        self._engine = sqlite.engine_for(self._path, busy_seconds, _READERS + 1)
        self._writing_engine = self._engine.execution_options(**sqlite.WRITES)
        self._writer = ThreadPoolExecutor(1, "ledger-writer")
        self._readers = ThreadPoolExecutor(_READERS, "ledger-reader")

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> SqlLedger:
        """`settings`: `busy_seconds`, how long to wait for other processes' writes (30)."""
        return cls(url, float(settings.get("busy_seconds", _BUSY_SECONDS)))

    async def ready(self) -> None:
        await self._on(self._writer, self._create)

    async def now(self) -> float:
        return self._clock()

    async def ping(self) -> None:
        await self._on(self._readers, self._ask)

    async def close(self) -> None:
        await asyncio.to_thread(self._close)

    async def _read(self, do: Callable[[Book], T]) -> T:
        def work() -> T:
            with self._engine.begin() as connection:
                return do(self._book(connection, writes=False))

        return await self._on(self._readers, work)

    async def _write(self, do: Callable[[Book], T]) -> T:
        def work() -> T:
            with self._writing_engine.begin() as connection:
                return do(self._book(connection, writes=True))

        return await self._on(self._writer, work)

    async def _on(self, threads: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        def translated() -> T:
            with sqlite.in_words(self._path):
                return work()

        return await asyncio.get_running_loop().run_in_executor(threads, translated)

    def _book(self, connection: Connection, writes: bool) -> Book:
        return SqlBook(connection, self._clock(), writes)

    def _create(self) -> None:
        sqlite.create(self._engine, self._path, self._busy_seconds)

    def _ask(self) -> None:
        with self._engine.begin() as connection:
            connection.execute(text("SELECT count(*) FROM tasks WHERE position = 0"))

    def _close(self) -> None:
        self._writer.shutdown()
        self._readers.shutdown()
        self._engine.dispose()
