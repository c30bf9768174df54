"""Small reads that wait together are read together: in one transaction, by one thread."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

from rowvec.errors import RowvecError, Unavailable
from rowvec.ledgers.sql.book import SqlBook
from rowvec.ledgers.sql.database import Database

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Look:
    do: Callable[[SqlBook], Any]
    of: str | None
    answer: Future[Any] = field(default_factory=Future)

    def take(self, book: SqlBook) -> None:
        """Look, unless that was done before the transaction broke off. Raises what the database raises."""
        if self.answer.done():
            return
        try:
            seen = self.do(book)
        except RowvecError as error:
            self.answer.set_exception(error)
        else:
            self.answer.set_result(seen)


class Reads:
    """To begin a transaction and to end it costs two ways to the server and back, and each of them, on a busy
    host, a wait for a processor: who waits for a thread shares them with all others who do. Whoever is read
    for sees what was there when it asked, or later, and hears of it before the transaction ends.
    """

    def __init__(self, database: Database, threads: int) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(threads, "ledger-reader")
        self._idle = threads
        self._waiting: list[_Look] = []
        self._lock = Lock()

    async def read(self, do: Callable[[SqlBook], T], of: str | None = None) -> T:
        """`of` is the task that `do` looks at first, where there is one.

        Raises what `do` raises, and Unavailable.
        """
        look = _Look(do, of)
        with self._lock:
            self._waiting.append(look)
            wakes = self._idle > 0
            self._idle -= wakes
        if wakes:
            self._threads.submit(self._run)
        seen: T = await asyncio.wrap_future(look.answer)
        return seen

    def close(self) -> None:
        """Waits for those that are read."""
        self._threads.shutdown()

    def _run(self) -> None:
        while looks := self._next():
            wanted = [look for look in looks if look.answer.set_running_or_notify_cancel()]
            if wanted:
                self._answer(wanted)

    def _next(self) -> list[_Look]:
        with self._lock:
            looks, self._waiting = self._waiting, []
            self._idle += not looks
            return looks

    def _answer(self, looks: Sequence[_Look]) -> None:
        """Where one of several is at fault each is read alone; who does not answer answers none of them."""

        def take_all(book: SqlBook) -> None:
            book.foresee({look.of for look in looks if look.of is not None and not look.answer.done()})
            for look in looks:
                look.take(book)

        try:
            self._database.read(take_all)
        except Exception as error:  # noqa: BLE001 - whoever asked hears of it
            left = [look for look in looks if not look.answer.done()]
            if len(left) > 1 and not isinstance(error, Unavailable):
                for look in left:
                    self._answer([look])
            else:
                for look in left:
                    look.answer.set_exception(error)
