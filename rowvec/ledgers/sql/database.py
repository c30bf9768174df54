"""What differs between SQL databases: how one is opened, begun, kept alive and put into words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TypeVar

from rowvec.ledgers.sql.book import SqlBook

T = TypeVar("T")


class WouldWait(Exception):
    """Nothing was read: the answer comes from elsewhere, or somebody has the file for a moment."""


class Database(ABC):
    """Every call but `glance` and `close` may wait for a network, a disk or another process. All but `close`
    raise Unavailable, in words."""

    writers: int
    """How many transactions may write at once."""

    readers: int
    """How many may read thousands of rows beside them."""

    lookers: int
    """And how many a few."""

    clock: Callable[[], float] | None
    """The ledger's, where it never waits; else every book tells it."""

    @abstractmethod
    def prepare(self) -> None:
        """Make what is missing and bring up to date what is older; safe under races.

        Raises NotConfigured for a ledger that is newer than this code.
        """

    @abstractmethod
    def read(self, do: Callable[[SqlBook], T]) -> T:
        """Run `do` on a steady view of the record."""

    @abstractmethod
    def glance(self, do: Callable[[SqlBook], T]) -> T:
        """The same for a few rows, for a caller who must not wait. Raises WouldWait."""

    @abstractmethod
    def write(self, do: Callable[[SqlBook], T]) -> T:
        """Run `do` on a book that holds what it reads; all it wrote lands, or nothing when it raises."""

    @abstractmethod
    def close(self) -> None:
        """Let go of all connections."""
