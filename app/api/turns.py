"""Work of which a process does one piece at a time, so that it goes on answering others meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.api.errors import DoorRefusal

PATIENCE_SECONDS = 2.0
COME_AGAIN_SECONDS = 5


class Turns:
    """One turn at a time, in the order of arrival. `what` says in messages what is being done in it."""

    def __init__(self, what: str, patience: float = PATIENCE_SECONDS) -> None:
        self._what = what
        self._patience = patience
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def taken(self) -> AsyncIterator[None]:
        """A turn, as long as this lasts. Raises DoorRefusal (429) where it does not come in time."""
        try:
            async with asyncio.timeout(self._patience):
                await self._lock.acquire()
        except TimeoutError as error:
            raise DoorRefusal(
                "busy",
                f"The service is busy with {self._what} and does one at a time. Ask again in a moment.",
                {"Retry-After": str(COME_AGAIN_SECONDS)},
            ) from error
        try:
            yield
        finally:
            self._lock.release()
