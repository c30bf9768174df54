"""Short answers first: on a busy process what costs more begins when loop and ledger are on time again.

Whoever follows a task asks for its status, most of all while much is going on. Answers to everything else
cost a multiple of it, and a loop that has begun fifty of them comes round to a status after all their steps.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from rowvec.errors import RetryLater

SHORT = ("/api/v1/status/", "/api/v1/health", "/health", "/livez", "/readyz", "/metrics", "/static/")
LATE_SECONDS = 0.006
"""By which a timer and the ledger's answer may come late together before a process counts as behind."""
LOOK_SECONDS = 0.002
PATIENCE_SECONDS = 10.0
"""After which a request begins however busy the process is: it is late, but it is not refused."""

Ping = Callable[[Scope], Awaitable[object]]
"""Waits as a short answer would, and raises RetryLater where there is none."""


class ShortFirst:
    """Requests for anything but SHORT begin one after the other, in the order in which they came, each when
    the process is on time. Once begun none waits for another: who waits for the outside holds nobody up."""

    def __init__(self, app: ASGIApp, ping: Ping, patience: float = PATIENCE_SECONDS) -> None:
        self._app = app
        self._ping = ping
        self._patience = patience
        self._line = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(SHORT):
            await self._turn(scope)
        await self._app(scope, receive, send)

    async def _turn(self, scope: Scope) -> None:
        until = asyncio.get_running_loop().time() + self._patience
        async with self._line:
            while asyncio.get_running_loop().time() < until:
                if await self._is_on_time(scope):
                    return

    async def _is_on_time(self, scope: Scope) -> bool:
        """True also where nothing answers, which the request will say in its own words."""
        loop = asyncio.get_running_loop()
        due = loop.time() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await self._ping(scope)
        except RetryLater:
            return True
        return loop.time() - due < LATE_SECONDS
