"""What many ask for at once, read once for all of them."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class _Kept(Generic[T]):
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_at: float = float("-inf")
    found: list[T] = field(default_factory=list)


class Shared(Generic[T]):
    """Answers by key, each at most `fresh_seconds` older than the question.

    Those that nobody has asked for longest go first: there are never more than `most`.
    """

    def __init__(self, fresh_seconds: float, most: int) -> None:
        self._fresh_seconds = fresh_seconds
        self._most = most
        self._kept: OrderedDict[Hashable, _Kept[T]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    async def of(self, key: Hashable, read: Callable[[], Awaitable[T]]) -> T:
        """What `read` finds or raises, for all who ask for this key meanwhile and shortly after."""
        asked_at = time.monotonic()
        kept = self._one(key)
        async with kept.lock:
            if kept.read_at < asked_at - self._fresh_seconds:
                read_at = time.monotonic()
                kept.found = [await read()]
                kept.read_at = read_at
            return kept.found[0]

    def _one(self, key: Hashable) -> _Kept[T]:
        kept = self._kept.setdefault(key, _Kept())
        self._kept.move_to_end(key)
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return kept
