"""What many ask for at once: one read for all of them, never too old, and never too much of it."""

from __future__ import annotations

import asyncio

import pytest

from app.api.grids import Grids
from app.api.shared import Shared
from rowvec.errors import Unavailable
from rowvec.ledgers.memory import MemoryLedger
from tests.contracts.ledger_kit import Clock, give_up, planned_task, worker

pytestmark = pytest.mark.anyio


class Reads:
    """Counts them; each finds its number."""

    def __init__(self) -> None:
        self.made = 0
        self.fails = False

    async def __call__(self) -> int:
        self.made += 1
        await asyncio.sleep(0)
        if self.fails:
            raise Unavailable("The ledger does not answer.")
        return self.made


async def test_fifty_who_ask_at_once_cost_one_read() -> None:
    """Also who asks shortly after; another key is another answer."""
    shared, reads = Shared[int](60.0, 10), Reads()
    assert set(await asyncio.gather(*(shared.of("one", reads) for _ in range(50)))) == {1}
    assert await shared.of("one", reads) == 1
    assert await shared.of("other", reads) == 2


async def test_an_old_answer_is_read_anew() -> None:
    """For the first who asks then, and once more for all who ask while that goes on."""
    shared, reads = Shared[int](0.0, 10), Reads()
    assert await shared.of("one", reads) == 1
    assert set(await asyncio.gather(*(shared.of("one", reads) for _ in range(50)))) == {2, 3}


async def test_what_fails_is_not_kept() -> None:
    """Each who waited hears of it, and the next one asks again."""
    shared, reads = Shared[int](60.0, 10), Reads()
    reads.fails = True
    told = await asyncio.gather(*(shared.of("one", reads) for _ in range(3)), return_exceptions=True)
    assert all(isinstance(one, Unavailable) for one in told)
    reads.fails = False
    assert await shared.of("one", reads) == 4


async def test_only_so_much_is_kept() -> None:
    """What nobody has asked for longest goes first."""
    shared, reads = Shared[int](60.0, 2), Reads()
    for key, found in (("a", 1), ("b", 2), ("a", 1), ("c", 3), ("a", 1), ("b", 4)):
        assert await shared.of(key, reads) == found
    assert len(shared) == 2


async def test_the_last_grid_of_a_task_is_its_last() -> None:
    """However short before it ended somebody looked: a page that is told of the end asks no more."""
    ledger, grids = MemoryLedger(Clock()), Grids()
    await ledger.enlist(worker("w"))
    task = await planned_task(ledger, 1)
    (claim,) = await ledger.claim("w", 1)
    assert (await grids.of(ledger, await ledger.task(task.id))).grid.states == "c"
    await give_up(ledger, claim)
    ended = await ledger.task(task.id)
    assert ended.state.ended
    assert (await grids.of(ledger, ended)).grid.states == "f"
