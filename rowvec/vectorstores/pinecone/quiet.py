"""The common pause after a 429: limits are those of a namespace, so all its writers wait together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rowvec.errors import RateLimited

DEFAULT_PAUSE = 1.0
"""Seconds, where Pinecone does not say: its limits are of a second."""


class Quiet:
    """One process's knowledge of when a namespace may be written to again."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    @asynccontextmanager
    async def kept(self, namespace: str) -> AsyncIterator[None]:
        """Begin when nobody has been told to wait; a RateLimited of the block makes others wait."""
        loop = asyncio.get_running_loop()
        while (left := self._until.get(namespace, 0.0) - loop.time()) > 0:
            await asyncio.sleep(left)
        try:
            yield
        except RateLimited as error:
            pause = DEFAULT_PAUSE if error.retry_after is None else error.retry_after
            self._until[namespace] = max(self._until.get(namespace, 0.0), loop.time() + pause)
            raise
