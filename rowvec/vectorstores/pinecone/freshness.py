"""Reading what was written: Pinecone shows a write some time after it took it.

Every write of a namespace has a log sequence number, and reads say how far they have seen.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable

from rowvec.errors import Unavailable
from rowvec.vectorstores.pinecone.plane import Page

PATIENCE = 120.0
"""Seconds; Pinecone speaks of one minute."""
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 2.0

Read = Callable[[], Awaitable[Page]]


class Freshness:
    """What one process knows of the logs. Numbers only grow."""

    def __init__(self) -> None:
        self._written: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._probing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    def wrote(self, namespace: str, number: int | None) -> None:
        """A write landed under this number; None: Pinecone did not say."""
        if number is not None:
            self._written[namespace] = max(number, self._written.get(namespace, 0))

    async def catch_up(self, namespace: str, probe: Read) -> None:
        """Return when reads see all that `wrote` was told of. `probe` is a read that says how far it sees;
        however many callers wait, one at a time asks.

        Raises Unavailable when they do not within PATIENCE. A probe that says nothing ends the waiting.
        """
        wanted = self._written.get(namespace, 0)
        if self._seen.get(namespace, 0) < wanted:
            async with self._probing[namespace]:
                if self._seen.get(namespace, 0) < wanted:
                    await self._until(namespace, wanted, probe)

    async def read(self, namespace: str, probe: Read, read: Read) -> Page:
        """What `read` gives once it sees all that was written before this call."""
        wanted = self._written.get(namespace, 0)
        await self.catch_up(namespace, probe)
        return await self._until(namespace, wanted, read)

    async def _until(self, namespace: str, wanted: int, read: Read) -> Page:
        wait, waited = _FIRST_WAIT, 0.0
        while True:
            page = await read()
            if page.seen is None or page.seen >= wanted:
                self._seen[namespace] = max(wanted, page.seen or 0, self._seen.get(namespace, 0))
                return page
            if waited >= PATIENCE:
                raise Unavailable(
                    f"Pinecone has not shown what was written to the namespace '{namespace}' for "
                    f"{PATIENCE:.0f} s."
                )
            await asyncio.sleep(wait)
            waited += wait
            wait = min(2 * wait, _LONGEST_WAIT)
