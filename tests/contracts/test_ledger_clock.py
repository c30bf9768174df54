"""What every ledger says of time by its own clock, which no test has put in its place."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from rowvec.ledgers.base import Ledger
from tests.contracts.ledger_kit import OWN_CLOCKS, planned_task, worker

pytestmark = pytest.mark.anyio

DAY = 86_400.0


@pytest.fixture(params=sorted(OWN_CLOCKS))
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    made = OWN_CLOCKS[request.param](tmp_path)
    await made.ready()
    await made.enlist(worker("w"))
    yield made
    await made.close()


async def test_an_overview_is_of_now(ledger: Ledger) -> None:
    """So is how long a task has stood still."""
    before = await ledger.now()
    await planned_task(ledger, 1)
    since = await ledger.now()
    overview = await ledger.overview()
    assert before <= since <= overview.now <= await ledger.now()
    assert [before <= at <= since for at in overview.slowest.values()] == [True]


async def test_what_was_drawn_this_year_is_seen(ledger: Ledger) -> None:
    """By who draws, and by who only looks."""
    every = 365 * DAY
    assert await ledger.draw("acme", 3, 5, every)
    assert await ledger.drawn("acme", every) == 3
    assert not await ledger.draw("acme", 3, 5, every)
