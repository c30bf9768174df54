"""What a ledger over books does everything with: one transaction after the other."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from rowvec.ledgers.books.book import Book

T = TypeVar("T")


class Transactions(ABC):
    @abstractmethod
    async def now(self) -> float:
        """The ledger's clock: seconds since 1970."""

    @abstractmethod
    async def _read(self, do: Callable[[Book], T], of: str | None = None) -> T:
        """Run `do` on a steady view of the record; `of` is the task it looks at first, where there is one."""

    async def _read_much(self, do: Callable[[Book], T], of: str | None = None) -> T:
        """The same for what may be thousands of rows."""
        return await self._read(do, of)

    @abstractmethod
    async def _write(self, do: Callable[[Book], T]) -> T:
        """Run `do` on a book that holds what it reads; all it wrote lands, or nothing when it raises.

        Where it must, it is taken back and run again from the start.
        """
