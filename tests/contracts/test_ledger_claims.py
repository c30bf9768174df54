"""What every ledger promises of handing out chunks and taking them back, held against every backend."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from rowvec.errors import (
    LeaseLost,
)
from rowvec.ledgers.base import Ledger
from rowvec.model import ChunkState, Counts, Flag, TaskState, WorkKind
from tests.contracts.ledger_kit import (
    FILES,
    READ,
    ROWS,
    Clock,
    chunk_of,
    commit,
    give_up,
    number_of,
    plan_claim,
    planned_task,
    settle_claim,
    spec,
)

pytestmark = pytest.mark.anyio


# Claims


async def test_claim_of_a_chunk(ledger: Ledger) -> None:
    """Each chunk is claimed once, lowest number first, under a fence that grows with each claim."""
    task = await planned_task(ledger, 4)
    mine, yours = await ledger.claim("w", 3), await ledger.claim("v", 3)
    assert ([number_of(c) for c in mine], [number_of(c) for c in yours]) == ([0, 1, 2], [3])
    assert mine[0].task == await ledger.task(task.id)
    (first, *_) = await ledger.chunks(task.id)
    assert (first.state, first.worker, first.fence) == (ChunkState.CLAIMED, "w", mine[0].fence)
    assert chunk_of(mine[0]) == first
    await ledger.hand_back(task.id, 0, mine[0].fence, None, 0.0)
    (again,) = await ledger.claim("v", 1)
    assert (number_of(again), again.fence) == (0, mine[0].fence + 1)


async def test_claims_at_once(ledger: Ledger) -> None:
    """However many claim at once, no chunk is handed out twice."""
    await planned_task(ledger, 20)
    for claims in await asyncio.gather(*(ledger.claim(name, 3) for name in "wv" * 4)):
        assert len({number_of(claim) for claim in claims}) == len(claims)
    states = [c.state for c in await ledger.chunks((await ledger.tasks()).tasks[0].id)]
    assert states == [ChunkState.CLAIMED] * 20


async def test_order_of_claims(ledger: Ledger) -> None:
    """Planning comes first, then settling, then chunks; never more than asked for."""
    chunks = await planned_task(ledger, 2, "chunks")
    settling = await planned_task(ledger, 0, "settling")
    planning = (await ledger.submit(spec("planning"))).task
    assert await ledger.claim("w", 0) == []
    claims = await ledger.claim("w", 3)
    assert [claim.kind for claim in claims] == [WorkKind.PLAN, WorkKind.SETTLE, WorkKind.CHUNK]
    assert [claim.task.id for claim in claims] == [planning.id, settling.id, chunks.id]


async def test_fair_claims(ledger: Ledger) -> None:
    """Each next chunk comes from the task with the fewest claimed chunks, whoever claimed them."""
    large = await planned_task(ledger, 10, "large")
    assert len(await ledger.claim("v", 3)) == 3
    small = await planned_task(ledger, 4, "small")
    claims = await ledger.claim("w", 5)
    assert [claim.task.id for claim in claims[:3]] == [small.id] * 3
    assert {claim.task.id for claim in claims[3:]} == {small.id, large.id}
    assert [number_of(c) for c in claims if c.task.id == small.id] == [0, 1, 2, 3]


async def test_fair_claims_of_many_tasks(ledger: Ledger) -> None:
    """Of more tasks than asked for, those are served that have least."""
    ids = [(await planned_task(ledger, 2, str(n))).id for n in range(5)]
    first, second = await ledger.claim("w", 3), await ledger.claim("v", 2)
    assert sorted(c.task.id for c in first + second) == sorted(ids)


async def test_most_per_task(ledger: Ledger) -> None:
    """A worker holds at most so many chunks of one task; another worker's do not count."""
    one = await planned_task(ledger, 9, "one")
    assert len(await ledger.claim("w", 9, most_per_task=lambda _: 2)) == 2
    assert await ledger.claim("w", 9, most_per_task=lambda _: 2) == []
    assert len(await ledger.claim("v", 9, most_per_task=lambda _: 3)) == 3
    two = await planned_task(ledger, 1, "two")
    assert [c.task.id for c in await ledger.claim("w", 9, most_per_task=lambda _: 3)] == [two.id, one.id]
    assert await ledger.claim("w", 9, most_per_task=lambda _: 0) == []


async def test_not_before(ledger: Ledger, clock: Clock) -> None:
    """A chunk handed back waits for its time, and holds up no other."""
    task = await planned_task(ledger, 2)
    (claim,) = await ledger.claim("w", 1)
    await ledger.hand_back(task.id, 0, claim.fence, "busy", clock.at + 10)
    (other,) = await ledger.claim("w", 5)
    assert number_of(other) == 1
    clock.at += 9.5
    assert await ledger.claim("w", 5) == []
    clock.at += 0.5
    (again,) = await ledger.claim("w", 5)
    assert (number_of(again), chunk_of(again).attempts, chunk_of(again).error) == (0, 1, "busy")


async def test_task_that_only_waits(ledger: Ledger, clock: Clock) -> None:
    """A task whose chunks all wait for their time does not stand in the way of another."""
    waiting = await planned_task(ledger, 1, "waiting")
    (claim,) = await ledger.claim("w", 1)
    await ledger.hand_back(waiting.id, 0, claim.fence, "busy", clock.at + 10)
    other = await planned_task(ledger, 1, "other")
    assert [c.task.id for c in await ledger.claim("w", 1)] == [other.id]


async def test_hand_back_without_error(ledger: Ledger) -> None:
    """Handing back in peace counts no attempt."""
    task = await planned_task(ledger, 1)
    (claim,) = await ledger.claim("w", 1)
    await ledger.hand_back(task.id, 0, claim.fence, None, 0.0)
    (chunk,) = await ledger.chunks(task.id)
    assert (chunk.state, chunk.attempts, chunk.worker, chunk.error) == (ChunkState.READY, 0, None, None)


async def test_nothing_for_the_dead(ledger: Ledger) -> None:
    """A worker that was never enlisted, was buried or has retired gets no work."""
    await planned_task(ledger, 1)
    await ledger.bury(["w"])
    await ledger.retire("v")
    for name in ("stranger", "w", "v"):
        assert await ledger.claim(name, 5) == []


@pytest.mark.parametrize("flag", [Flag.PAUSE, Flag.CANCEL])
async def test_nothing_of_a_held_task(ledger: Ledger, flag: Flag) -> None:
    """Neither plan nor settling nor chunk of a task on hold is handed out."""
    settling = await settle_claim(ledger)
    chunks, planning = await planned_task(ledger, 2, "b"), await plan_claim(ledger, "c")
    for claim in (settling, planning):
        await ledger.release(claim.task.id, claim.fence, None, 0.0)
    pending = (await ledger.submit(spec("d"))).task
    for task_id in (chunks.id, settling.task.id, planning.task.id, pending.id):
        await ledger.flag(task_id, flag)
    assert await ledger.claim("w", 9) == []


# Commits


async def test_commit_adds_up(ledger: Ledger) -> None:
    """The task's counters are the sum over its done chunks, and all rows are accounted for."""
    task = await planned_task(ledger, 3)
    for done, claim in enumerate(await ledger.claim("w", 2), 1):
        await commit(ledger, claim)
        now = await ledger.task(task.id)
        assert (now.chunks_done, now.counts.read, now.counts.passages) == (done, done * ROWS, done * 8)
    assert now.counts == READ + READ
    assert (now.unprocessed, now.state) == (ROWS, TaskState.PROCESSING)


@pytest.mark.parametrize("counts", [replace(READ, upserted=5), replace(READ, read=9, upserted=5), Counts()])
async def test_counts_that_do_not_add_up(ledger: Ledger, counts: Counts) -> None:
    """A commit that does not account for every row of its chunk is refused whole."""
    task = await planned_task(ledger, 1)
    (claim,) = await ledger.claim("w", 1)
    with pytest.raises(ValueError, match="account for"):
        await ledger.commit(task.id, 0, claim.fence, counts, FILES)
    assert (await ledger.task(task.id)).counts == Counts()
    await commit(ledger, claim)


async def test_late_commit(ledger: Ledger) -> None:
    """A commit after burial is LeaseLost and leaves no trace, before and after a new claim."""
    task = await planned_task(ledger, 1)
    (stale,) = await ledger.claim("w", 1)
    await ledger.bury(["w"])
    for _ in range(2):
        before = (await ledger.task(task.id), await ledger.chunks(task.id))
        for call in (
            commit(ledger, stale),
            ledger.hand_back(task.id, 0, stale.fence, "no", 0.0),
            give_up(ledger, stale),
        ):
            with pytest.raises(LeaseLost):
                await call
        assert (await ledger.task(task.id), await ledger.chunks(task.id)) == before
        assert not await ledger.holds("w", stale)
        await ledger.claim("v", 1)
    assert [c.worker for c in await ledger.chunks(task.id)] == ["v"]


async def test_commit_twice(ledger: Ledger) -> None:
    """A commit repeated (the answer got lost) is LeaseLost and counts nothing twice."""
    task = await planned_task(ledger, 2)
    (claim,) = await ledger.claim("w", 1)
    await commit(ledger, claim)
    with pytest.raises(LeaseLost):
        await commit(ledger, claim)
    with pytest.raises(LeaseLost):
        await ledger.commit(task.id, 77, 1, READ, FILES)
    assert (await ledger.task(task.id)).counts == READ


async def test_last_commits_at_once(ledger: Ledger) -> None:
    """Two last commits cannot both miss the end; asking again changes nothing."""
    task = await planned_task(ledger, 2)
    claims = await ledger.claim("w", 2)
    await asyncio.gather(*(commit(ledger, claim) for claim in claims))
    ended = await ledger.task(task.id)
    assert ended.state is TaskState.SETTLING
    for _ in range(2):
        await ledger.finish_if_done(task.id)
    assert await ledger.task(task.id) == ended


async def test_give_up_fails_the_task_at_its_end(ledger: Ledger, clock: Clock) -> None:
    """A chunk that gave up fails the task once the others are through, with an error that counts."""
    task = await planned_task(ledger, 2)
    bad, good = await ledger.claim("w", 2)
    await give_up(ledger, bad)
    midway = await ledger.task(task.id)
    assert (midway.state, midway.chunks_failed, midway.rows_failed) == (TaskState.PROCESSING, 1, ROWS)
    await commit(ledger, good)
    ended = await ledger.task(task.id)
    assert (ended.state, ended.counts, ended.unprocessed) == (TaskState.FAILED, READ, ROWS)
    assert ended.completed_at == clock.at
    assert "1 of 2 chunks" in (ended.error or "")
    (chunk,) = await ledger.chunks(task.id, state=ChunkState.FAILED)
    assert (chunk.error, chunk.worker) == ("no", None)
