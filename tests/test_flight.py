"""Requests that have been sent are paid: they are never cut short, and no other follows them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from rowvec.errors import LeaseLost, Unavailable
from rowvec.flight import Flight

pytestmark = pytest.mark.anyio


class Requests:
    """One that has been sent and gets its answer when `answered` is set, one that waits for its turn, and one
    that fails when `broken` is set."""

    def __init__(self) -> None:
        self.flight = Flight()
        self.on_its_way, self.answered, self.broken = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.heard: list[str] = []

    async def sent(self) -> None:
        with self.flight.request() as sent:
            sent()
            self.on_its_way.set()
            await self.answered.wait()
        self.heard.append("the answer")
        with self.flight.request():
            self.heard.append("another request")

    async def waiting(self) -> None:
        with self.flight.request():
            await self.answered.wait()
            self.heard.append("sent after all")

    async def failing(self) -> None:
        await self.broken.wait()
        raise Unavailable("broken")


async def cancelled(requests: Requests, all_of_them: asyncio.Task[None]) -> None:
    all_of_them.cancel()
    with pytest.raises(asyncio.CancelledError):
        await all_of_them


async def broken(requests: Requests, all_of_them: asyncio.Task[None]) -> None:
    requests.broken.set()
    with pytest.raises(Unavailable):
        await all_of_them


@pytest.mark.parametrize("end", [cancelled, broken])
async def test_only_what_was_sent_is_waited_for(
    end: Callable[[Requests, asyncio.Task[None]], Awaitable[None]],
) -> None:
    """Its answer is taken; what waited for its turn never has it, and what would follow is refused."""
    requests = Requests()
    every = [requests.sent(), requests.waiting(), requests.failing()]
    all_of_them = asyncio.create_task(requests.flight.all(every))
    await requests.on_its_way.wait()
    await end(requests, all_of_them)
    with pytest.raises(LeaseLost), requests.flight.request():
        pass

    requests.answered.set()
    await requests.flight.answers()
    assert requests.heard == ["the answer"]

    await requests.flight.all([requests.waiting()])
    assert requests.heard == ["the answer", "sent after all"]
