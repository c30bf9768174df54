"""The budget in Redis: one schedule for all processes, a smaller one each while Redis is away.

A place in the schedule is a moment; what is told is how long it is until then. `Moments` adds the time that
passed meanwhile, so that a slow machine changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from rowvec.rates import Rates
from rowvec.shared_budget import SharedBudget
from tests.servers.redis import RedisServer, running

pytestmark = pytest.mark.anyio

PER_SECOND = 10.0
RATES = Rates(PER_SECOND, 60_000.0)


class Moments:
    """When what is booked now may be sent, in seconds since this was made: at the latest."""

    def __init__(self) -> None:
        self._began = asyncio.get_running_loop().time()

    async def of(self, wait: Awaitable[float]) -> float:
        return await wait + asyncio.get_running_loop().time() - self._began


@asynccontextmanager
async def sharing(url: str, name: str, count: int, rates: Rates = RATES) -> AsyncIterator[list[SharedBudget]]:
    budgets = [SharedBudget(url, name, rates) for _ in range(count)]
    try:
        yield budgets
    finally:
        await asyncio.gather(*(budget.close() for budget in budgets))


async def test_all_book_in_one_schedule(redis_server: RedisServer) -> None:
    """Forty requests booked by four at once are spread over the seconds that one schedule gives them."""
    async with sharing(redis_server.url, "one-schedule", 4) as budgets:
        moments = Moments()
        sent = sorted([await moments.of(budgets[n % 4].book(100)) for n in range(40)])
    assert [moment >= (n + 1) / PER_SECOND for n, moment in enumerate(sent)] == [True] * 40


async def test_tokens_bind_where_they_are_scarcer(redis_server: RedisServer) -> None:
    """2,000 tokens at 1,000 a second keep the next caller, another process, waiting for two seconds more."""
    async with sharing(redis_server.url, "tokens", 2) as (one, other):
        moments = Moments()
        first = await one.book(2000)
        assert first <= 2.0
        assert await moments.of(other.book(2000)) >= 4.0


async def test_what_was_booked_and_not_used_is_given_back(redis_server: RedisServer) -> None:
    """A refund of one process shortens the wait of another."""
    async with sharing(redis_server.url, "refund", 2) as (one, other):
        await one.book(4000)
        await one.correct(-3000)
        assert await other.book(100) <= 1.1


async def test_a_429_makes_all_wait(redis_server: RedisServer) -> None:
    """A pause asked for by one is the pause of all, and nothing is in hand after it."""
    async with sharing(redis_server.url, "pause", 3) as (one, *others):
        moments = Moments()
        await one.pause(7)
        for other in others:
            assert await moments.of(other.quiet()) >= 7.0
            assert await moments.of(other.book(1)) > 7.0


async def test_rates_that_one_is_told_are_paced_by_all(redis_server: RedisServer) -> None:
    """What the provider tells one process the others book by, and know of."""
    async with sharing(redis_server.url, "told", 2, Rates(10.0, None)) as (one, other):
        moments = Moments()
        await one.observe(Rates(None, 6_000.0))
        await other.book(0)
        assert other.rates == Rates(10.0, 6_000.0)
        assert await moments.of(other.book(200)) >= 2.0


async def test_other_models_have_other_budgets(redis_server: RedisServer) -> None:
    """What one model's budget owes does not hold up another's."""
    async with (
        sharing(redis_server.url, "model-a", 1) as (a,),
        sharing(redis_server.url, "model-b", 1) as (b,),
    ):
        await a.book(30_000)
        assert await b.book(100) <= 0.1


async def test_without_redis_each_takes_its_share(tmp_path: Path) -> None:
    """Of four who shared, one alone paces by a quarter, and by the whole schedule when Redis is back."""
    with running(tmp_path) as server:
        async with sharing(server.url, "away", 4) as budgets:
            for budget in budgets:
                await budget.book(1)
            await budgets[0].book(1)
            server.kill()
            moments = Moments()
            waits = [await moments.of(budgets[0].book(1)) for _ in range(10)]
            assert waits[-1] >= 8 * 4 / PER_SECOND
            server.start()
            async with asyncio.timeout(30):
                while budgets[0]._share is not None:
                    await budgets[0].quiet()
            assert budgets[0].rates == RATES


async def test_after_a_flush_nobody_has_a_burst(tmp_path: Path) -> None:
    """An emptied Redis gives the first request no more than its own place."""
    with running(tmp_path) as server:
        async with sharing(server.url, "flush", 2) as (one, other):
            await one.book(1)
            server.flush()
            moments = Moments()
            sent = [await moments.of(budget.book(1)) for budget in (one, other, one, other)]
            assert sent[-1] >= 0.35  # 0.4 by Redis's clock, which is not quite ours; a burst takes no time


async def test_who_joins_has_later_what_nobody_has_used_meanwhile(redis_server: RedisServer) -> None:
    """As at the provider, whose bucket has filled; and no more than a burst, however long it takes."""
    async with sharing(redis_server.url, "joined", 2, Rates(100.0, 6_000_000.0)) as (one, other):
        await one.join()
        await asyncio.sleep(0.5)
        assert await other.book(40_000) == 0.0
        assert await other.book(360_000) > 0.0


async def test_who_only_watches_shares_nothing(redis_server: RedisServer) -> None:
    """The dashboard sees rates and pause without being one of those who share them."""
    async with sharing(redis_server.url, "watched", 2) as (one, watcher):
        await one.observe(Rates(20.0, 90_000.0))
        await one.pause(30)
        rates, quiet = await watcher.watched()
        assert rates == Rates(20.0, 90_000.0)
        assert 20 < quiet <= 30
        await one.join()
        assert one._members == 1
