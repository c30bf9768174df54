"""One writer for many callers: what waits while a write runs becomes the next write."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class GroupCommit(Generic[T]):
    """Hands items to `write` in groups, one group at a time, in the order they came.

    `share` says what part of a full group an item takes; a group is at most one full, or one item.
    Nothing waits for company: an idle writer takes what there is. For one event loop.
    """

    def __init__(self, write: Callable[[Sequence[T]], Awaitable[None]], share: Callable[[T], float]) -> None:
        self._write = write
        self._share = share
        self._waiting: deque[tuple[T, asyncio.Future[None]]] = deque()
        self._writer: asyncio.Task[None] | None = None

    async def submit(self, item: T) -> None:
        """Returns when the item's group is written; raises what `write` raised for it.

        A cancelled caller takes its item back unless its group is being written already.
        """
        landed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, landed))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._work())
        await landed

    async def drain(self) -> None:
        """Returns when nothing waits any more."""
        while self._writer is not None and not self._writer.done():
            await asyncio.wait([self._writer])

    async def _work(self) -> None:
        while group := self._next_group():
            await self._settle(group)

    def _next_group(self) -> list[tuple[T, asyncio.Future[None]]]:
        group: list[tuple[T, asyncio.Future[None]]] = []
        filled = 0.0
        while self._waiting:
            item, landed = self._waiting[0]
            if not landed.cancelled():
                filled += self._share(item)
                if group and filled > 1.0:
                    break
                group.append((item, landed))
            self._waiting.popleft()
        return group

    async def _settle(self, group: list[tuple[T, asyncio.Future[None]]]) -> None:
        try:
            await self._write([item for item, _ in group])
        except Exception as error:  # noqa: BLE001 (every caller of the group raises it)
            for landed in _unsettled(group):
                landed.set_exception(error)
        except BaseException:
            self._abandon(group)
            raise
        else:
            for landed in _unsettled(group):
                landed.set_result(None)

    def _abandon(self, group: list[tuple[T, asyncio.Future[None]]]) -> None:
        """The event loop goes down, or the process does: nobody may wait for a writer that is no more."""
        for landed in _unsettled([*group, *self._waiting]):
            landed.cancel()
        self._waiting.clear()


def _unsettled(group: list[tuple[T, asyncio.Future[None]]]) -> list[asyncio.Future[None]]:
    return [landed for _, landed in group if not landed.done()]
