"""Short answers first: on a busy process what costs more begins when the loop is on time again.

Whoever follows a task asks for its status, most of all while much is going on. Answers to everything else
cost a multiple of it, and a loop that has begun fifty of them comes round to a status after all their steps.
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Receive, Scope, Send

SHORT = ("/api/v1/status/", "/api/v1/health", "/health", "/livez", "/readyz", "/metrics", "/static/")
LATE_SECONDS = 0.004
"""By which a timer may come late before the loop counts as behind."""
LOOK_SECONDS = 0.002
PATIENCE_SECONDS = 2.5
"""After which a request begins however busy the process is: on a machine whose other work makes every timer
late it would wait for nothing."""


class ShortFirst:
    """Requests for anything but SHORT begin one after the other, in the order in which they came, each when
    the loop is on time. Once begun none waits for another: who waits for the outside holds nobody up."""

    def __init__(self, app: ASGIApp, patience: float = PATIENCE_SECONDS) -> None:
        self._app = app
        self._patience = patience
        self._line = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not scope["path"].startswith(SHORT):
            await self._turn()
        await self._app(scope, receive, send)

    async def _turn(self) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._patience
        async with self._line:
            while loop.time() < until:
                due = loop.time() + LOOK_SECONDS
                await asyncio.sleep(LOOK_SECONDS)
                if loop.time() - due < LATE_SECONDS:
                    return
