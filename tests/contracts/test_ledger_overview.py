"""What every ledger promises of the look at all of it: how much waits, who stands still, what was done."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rowvec.ledgers.base import MAX_CRASHES, Ledger
from rowvec.model import Counts, Flag, TaskState
from rowvec.tally import Tally
from rowvec.usage import Usage
from tests.contracts.ledger_kit import FILES, READ, ROWS, Clock, chunk_of, planned_task, spec, worker

pytestmark = pytest.mark.anyio

DONE = Tally({"upserted": 6, "filtered": 3}, {"done": 2}, seconds=1.5, requests=3, tokens=50, dollars=0.25)
MORE = Tally({"rejected": 1}, {"done": 1, "retried": 1}, tokens=7)


async def test_tasks_are_counted_by_what_callers_see(ledger: Ledger) -> None:
    """Only those that have not ended."""
    await planned_task(ledger, 1, "at work")
    for name, wish in {"a": None, "b": None, "c": Flag.PAUSE, "d": Flag.CANCEL}.items():
        task = (await ledger.submit(spec(name))).task
        if wish:
            await ledger.flag(task.id, wish)
    assert (await ledger.tasks(state="cancelled")).tasks
    assert dict((await ledger.overview()).tasks) == {"pending": 2, "processing": 1, "paused": 1}


async def test_progress_is_found_done_and_given_up(ledger: Ledger, clock: Clock) -> None:
    """Claiming is none, nor is handing back; a pause takes a task out, and going on begins anew."""

    async def still() -> float | None:
        overview = await ledger.overview()
        since = overview.slowest.get(TaskState.PROCESSING)
        return None if since is None else overview.now - since

    task = await planned_task(ledger, 4)
    clock.at += 10
    claims = await ledger.claim("w", 4)
    assert await still() == 10
    numbers = [chunk_of(claim).plan.number for claim in claims]
    await ledger.hand_back(task.id, numbers[0], claims[0].fence, "away", 0.0)
    assert await still() == 10
    await ledger.commit(task.id, numbers[1], claims[1].fence, READ, FILES)
    assert await still() == 0
    clock.at += 20
    assert await still() == 20
    await ledger.commit(task.id, numbers[2], claims[2].fence, READ, FILES)
    assert await still() == 0
    clock.at += 30
    await ledger.give_up(task.id, numbers[3], claims[3].fence, "broken")
    assert await still() == 0
    await ledger.flag(task.id, Flag.PAUSE)
    clock.at += 40
    assert await still() is None
    await ledger.flag(task.id, Flag.RESUME)
    assert await still() == 0


async def test_the_one_that_stands_still_longest(ledger: Ledger, clock: Clock) -> None:
    """By where they stand; one that has only begun counts from then."""
    await planned_task(ledger, 1, "first")
    clock.at += 5
    await planned_task(ledger, 1, "second")
    clock.at += 5
    await ledger.submit(spec("third"))
    await ledger.claim("v", 1)
    clock.at += 5
    overview = await ledger.overview()
    silences = {state: overview.now - at for state, at in overview.slowest.items()}
    assert silences == {TaskState.PROCESSING: 15, TaskState.PLANNING: 5}


async def test_what_workers_did_outlives_them(ledger: Ledger) -> None:
    """Each beat tells all of it; who is buried or leaves in peace takes nothing along, and leaves it once."""
    await ledger.beat("w", 0, usage=Usage(tally=MORE, memory=1 << 33))
    await ledger.beat("w", 0, usage=Usage(tally=DONE, memory=1 << 33))
    await ledger.beat("v", 0, usage=Usage(tally=MORE))
    assert (await ledger.overview()).tally == DONE + MORE
    assert {w.id: w.usage.memory for w in (await ledger.overview()).workers} == {"w": 1 << 33, "v": 0}
    await ledger.bury(["w"])
    await ledger.bury(["w"])
    assert (await ledger.overview()).tally == DONE + MORE
    await ledger.retire("v")
    await ledger.retire("v")
    overview = await ledger.overview()
    assert (overview.tally, list(overview.workers)) == (DONE + MORE, [])
    await ledger.enlist(worker("w"))
    assert not await ledger.beat("v", 0, usage=Usage(tally=DONE))
    await ledger.beat("w", 0, usage=Usage(tally=DONE))
    assert (await ledger.overview()).tally == DONE + MORE + DONE


async def test_what_the_dead_held_is_counted(ledger: Ledger) -> None:
    """Chunks taken back from them, and given up when that was once too often."""
    await planned_task(ledger, 3)
    for crash in range(MAX_CRASHES + 1):
        await ledger.enlist(worker(f"x{crash}"))
        assert len(await ledger.claim(f"x{crash}", 3)) == 3
        await ledger.bury([f"x{crash}"])
    tally = (await ledger.overview()).tally
    assert tally.chunks == {"taken_back": 3 * (MAX_CRASHES + 1), "failed": 3}
    assert tally.rows == {"failed": 3 * ROWS}


async def test_the_sum_never_falls_while_workers_leave(ledger: Ledger) -> None:
    """Looked at all the while: one that leaves is counted with the living or the departed, never in both."""
    names = [f"x{number}" for number in range(12)]
    for name in names:
        await ledger.enlist(worker(name))
        await ledger.beat(name, 0, usage=Usage(tally=replace(MORE, rows={"rejected": 10})))
    looks = []

    async def look() -> None:
        while len((await ledger.overview()).workers) > 2:
            looks.append((await ledger.overview()).tally.rows["rejected"])
            await asyncio.sleep(0)

    await asyncio.gather(look(), *(ledger.retire(name) for name in names))
    assert {*looks, (await ledger.overview()).tally.rows["rejected"]} == {120}


async def test_commits_at_once_keep_the_time(ledger: Ledger, clock: Clock) -> None:
    """Where counts are added without a look at each other, the time is set all the same."""
    task = await planned_task(ledger, 6)
    claims = await ledger.claim("w", 6)
    clock.at += 50
    counts = Counts(read=ROWS, upserted=ROWS)
    numbered = [(chunk_of(claim).plan.number, claim.fence) for claim in claims[:5]]
    await asyncio.gather(*(ledger.commit(task.id, n, fence, counts, FILES) for n, fence in numbered))
    assert (await ledger.task(task.id)).progressed_at == clock.at
    assert (await ledger.overview()).slowest == {TaskState.PROCESSING: clock.at}
