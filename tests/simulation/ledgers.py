"""The product's own ledgers, reached by unreliable means, and watched at every write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from rowvec.errors import Unavailable
from rowvec.ledgers.base import Allowance
from rowvec.ledgers.books.book import Book
from rowvec.ledgers.memory import MemoryBook, MemoryLedger
from rowvec.ledgers.sql import SqlLedger
from rowvec.model import Claim
from tests.quick_disk import quick_disk
from tests.simulation.faults import SERVICE, Fate
from tests.simulation.process import LIFE
from tests.simulation.wire import Wire, running

T = TypeVar("T")
UNHEARD_OF = ("beat", "enlist", "ready")
"""Writes after which nothing about tasks can be other than before."""


class Watcher(Protocol):
    def __call__(self, what: str, book: Book) -> None:
        """Look at the book after a write that the name tells, within its transaction."""


def name_of(do: Callable[..., object]) -> str:
    """`commit` of the function that BookLedger.commit hands to its book."""
    return do.__qualname__.split(".")[1]


class WiredMemoryLedger(MemoryLedger):
    """The memory ledger as a server of its own: the book is shared. It has no answer to a claim to lose: who
    claims from a memory hears of it."""

    def __init__(self, book: MemoryBook, clock: Callable[[], float], wire: Wire, watch: Watcher) -> None:
        super().__init__(clock)
        self._book = book
        self._wire = wire
        self._watch = watch

    async def claim(self, worker: str, most: int, most_per_task: Allowance | None = None) -> list[Claim]:
        claims = await super().claim(worker, most, most_per_task)
        _tell(self._wire, claims)
        return claims

    async def _read(self, do: Callable[[Book], T], of: str | None = None) -> T:
        return await self._wire.call(name_of(do), lambda: self._on_book(do), self._fate(name_of(do)))

    async def _write(self, do: Callable[[Book], T]) -> T:
        def write() -> T:
            result = self._on_book(do)
            self._watch(name_of(do), self._book)
            return result

        return await self._wire.call(name_of(do), write, self._fate(name_of(do)))

    def _on_book(self, do: Callable[[Book], T]) -> T:
        self._book.now = self._clock()
        return do(self._book)

    def _fate(self, name: str) -> Fate:
        fate = self._wire.dice.fate(self._wire.dice.rates.ledger, SERVICE)
        return Fate.AWAY if (name, fate) == ("claim", Fate.LOST) else fate


class WiredSqlLedger(SqlLedger):
    """SQLite in this process's own hands; what goes wrong is the disk, before or after the write."""

    def __init__(self, path: Path, clock: Callable[[], float], wire: Wire, watch: Watcher) -> None:
        super().__init__(f"sqlite:///{path}", clock=clock)
        self._wire = wire
        self._watch = watch
        quick_disk(self)

    def let_go(self) -> None:
        self._database.close()

    async def claim(self, worker: str, most: int, most_per_task: Allowance | None = None) -> list[Claim]:
        claims = await super().claim(worker, most, most_per_task)
        _tell(self._wire, claims)
        return claims

    async def _read(self, do: Callable[[Book], T], of: str | None = None) -> T:
        return await self._faulty(name_of(do), partial(super()._read, of=of), do)

    async def _write(self, do: Callable[[Book], T]) -> T:
        def write(book: Book) -> T:
            result = do(book)
            self._watch(name_of(do), book)
            return result

        return await self._faulty(name_of(do), super()._write, write)

    async def _faulty(
        self, what: str, call: Callable[[Callable[[Book], T]], Awaitable[T]], do: Callable[[Book], T]
    ) -> T:
        running()
        fate = self._wire.dice.fate(self._wire.dice.rates.ledger, SERVICE)
        if fate is not Fate.FINE:
            self._wire.trace.add(f"{LIFE.get()}: {what}: {fate}")
        if fate is Fate.AWAY:
            raise Unavailable(f"{what}: the disk does not answer")
        try:
            result = await call(do)
        except Exception as error:
            self._wire.judge(what, error)
            raise
        if fate is Fate.LOST:
            raise Unavailable(f"{what}: no answer came")
        return result


def _tell(wire: Wire, claims: list[Claim]) -> None:
    for claim in claims:
        number = claim.chunk.plan.number if claim.chunk else ""
        wire.trace.add(f"{LIFE.get()}: claims {claim.kind} {number} under {claim.fence}")
