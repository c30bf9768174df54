"""Short answers begin at once on a busy loop, others when it is on time again, in their order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.api.precedence import PATIENCE_SECONDS, ShortFirst

pytestmark = pytest.mark.anyio

SHORT, LONG = "/api/v1/status/some-task", "/api/v1/tasks"


class Door:
    """`begun` are the paths of the requests that the app behind has seen, in its order."""

    def __init__(self, patience: float = PATIENCE_SECONDS) -> None:
        self.begun: list[str] = []
        self._door = ShortFirst(self._behind, patience)

    def ask(self, path: str, kind: str = "http") -> asyncio.Task[None]:
        return asyncio.create_task(self._door({"type": kind, "path": path}, _receive, _send))

    async def _behind(self, scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        self.begun.append(scope["path"])


async def _receive() -> MutableMapping[str, Any]:
    raise NotImplementedError


async def _send(message: MutableMapping[str, Any]) -> None:
    raise NotImplementedError


@asynccontextmanager
async def busy_loop() -> AsyncIterator[None]:
    """A loop that comes round late each time, as long as this lasts."""

    async def hold_up() -> None:
        while True:
            time.sleep(0.03)  # noqa: ASYNC251 - to hold up the loop is what it is for
            await asyncio.sleep(0)

    holding = asyncio.create_task(hold_up())
    try:
        yield
    finally:
        holding.cancel()


async def test_short_answers_pass_those_that_wait() -> None:
    door = Door()
    async with busy_loop():
        waiting = door.ask(LONG)
        for _ in range(3):
            await door.ask(SHORT)
        assert door.begun == [SHORT] * 3
    await waiting
    assert door.begun == [SHORT] * 3 + [LONG]


async def test_those_that_wait_keep_their_order() -> None:
    door = Door()
    paths = [f"/api/v1/tasks/{number}" for number in range(5)]
    async with busy_loop():
        waiting = [door.ask(path) for path in paths]
        await door.ask(SHORT)
    await asyncio.gather(*waiting)
    assert door.begun == [SHORT, *paths]


async def test_nobody_waits_for_ever() -> None:
    door = Door(patience=0.1)
    async with busy_loop():
        await door.ask(LONG)
    assert door.begun == [LONG]


async def test_who_gives_up_keeps_nobody_waiting() -> None:
    door = Door()
    async with busy_loop():
        gone, waiting = door.ask(LONG), door.ask("/api/v1/search")
        await door.ask(SHORT)
        gone.cancel()
    await waiting
    assert door.begun == [SHORT, "/api/v1/search"]


async def test_only_requests_wait() -> None:
    """Not the lifespan, by which the service starts."""
    door = Door()
    async with busy_loop():
        await door.ask(LONG, kind="lifespan")
        assert door.begun == [LONG]
