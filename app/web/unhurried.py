"""A look that costs much is taken seldom: those who watch never take more than a share of the time."""

from __future__ import annotations

import time

from app.web.live import Look, Picture

SHARE = 0.05
"""Of the time, at most, for looks at one thing."""


class Unhurried:
    """A look that answers with its last picture until it may look again."""

    def __init__(self, look: Look) -> None:
        self._look = look
        self._last = Picture()
        self._next = float("-inf")

    async def __call__(self) -> Picture:
        began = time.monotonic()
        if began >= self._next:
            self._last = await self._look()
            took = time.monotonic() - began
            self._next = began + took / SHARE
        return self._last
