"""What every ledger promises of planning and settling, held against every backend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rowvec.errors import (
    LeaseLost,
    TaskFailed,
)
from rowvec.ledgers.base import Ledger
from rowvec.model import ChunkState, Flag, Hold, TaskState, Totals, WorkKind
from tests.contracts.ledger_kit import (
    READ,
    ROWS,
    Clock,
    commit,
    plan,
    plan_claim,
    planned_task,
    settle_claim,
    settled_counts,
    totals,
)

pytestmark = pytest.mark.anyio


# Planning


async def test_plan_claim_starts_the_task(ledger: Ledger, clock: Clock) -> None:
    """A planner's claim moves a pending task to planning, under a fence, at the ledger's time."""
    claim = await plan_claim(ledger)
    task = await ledger.task(claim.task.id)
    assert (task.state, task.worker, task.fence) == (TaskState.PLANNING, "w", claim.fence)
    assert (claim.task, claim.chunk, task.started_at) == (task, None, clock.at)
    assert await ledger.claim("v", 5) == []


async def test_append_is_idempotent_by_number(ledger: Ledger) -> None:
    """Numbers already there are skipped, also within one call, and their rows are counted once."""
    claim = await plan_claim(ledger)
    for numbers in ([0, 1], [1, 2], [2, 2, 3], []):
        await ledger.append_chunks(claim.task.id, claim.fence, [plan(n) for n in numbers])
    task = await ledger.task(claim.task.id)
    assert (task.rows_planned, task.chunks_total) == (4 * ROWS, 4)
    assert [c.plan for c in await ledger.chunks(task.id)] == [plan(n) for n in range(4)]


async def test_append_leaves_work_in_progress_alone(ledger: Ledger) -> None:
    """Appending anew does not reset a chunk that is claimed or done already."""
    claim = await plan_claim(ledger)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(0), plan(1)])
    first, second = await ledger.claim("v", 2)
    await commit(ledger, first)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(0), plan(1), plan(2)])
    states = [c.state for c in await ledger.chunks(claim.task.id)]
    assert states == [ChunkState.DONE, ChunkState.CLAIMED, ChunkState.READY]
    assert await ledger.holds("v", second)


async def test_chunks_are_worked_on_while_planning(ledger: Ledger) -> None:
    """Work starts before the scan ends, and the task does not end before it."""
    claim = await plan_claim(ledger)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(0)])
    (chunk,) = await ledger.claim("v", 5)
    await commit(ledger, chunk)
    assert (await ledger.task(claim.task.id)).state is TaskState.PLANNING
    await ledger.planned(claim.task.id, claim.fence, totals(1))
    assert (await ledger.task(claim.task.id)).state is TaskState.SETTLING


async def test_pinned(ledger: Ledger) -> None:
    """A table that was exported closes the spec; equal submissions are still told by what was asked."""
    claim = await plan_claim(ledger)
    asked = claim.task.spec
    closed = replace(asked, source=replace(asked.source, version="v2", size=7), header=("x",), wish=None)
    for _ in range(2):
        await ledger.pinned(claim.task.id, claim.fence, closed)
    task = await ledger.task(claim.task.id)
    assert (task.spec, task.state, task.worker) == (closed, TaskState.PLANNING, "w")
    again = await ledger.submit(asked)
    assert (again.task.id, again.fresh) == (task.id, False)
    assert (await ledger.submit(closed)).fresh
    await ledger.append_chunks(task.id, claim.fence, [plan(0)])
    (chunk,) = [c for c in await ledger.claim("v", 5) if c.kind is WorkKind.CHUNK]
    assert chunk.task.spec == closed


async def test_planned(ledger: Ledger, clock: Clock) -> None:
    """planned() records the totals, lets the lease go and moves on; an empty source goes to settling."""
    task = await planned_task(ledger, 2)
    assert (task.state, task.planned, task.worker) == (TaskState.PROCESSING, True, None)
    assert (task.planned_at, task.blank_lines, task.rows_planned) == (clock.at, 3, 2 * ROWS)
    assert (await planned_task(ledger, 0, "empty")).state is TaskState.SETTLING


async def test_planned_with_rows_that_were_not_recorded(ledger: Ledger) -> None:
    """Totals that are not those of the recorded chunks are refused: no row is lost silently."""
    claim = await plan_claim(ledger)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(0)])
    for wrong in (totals(2), Totals(rows=ROWS + 1, bytes=1, blank_lines=0, chunks=1)):
        with pytest.raises(TaskFailed):
            await ledger.planned(claim.task.id, claim.fence, wrong)
    assert (await ledger.task(claim.task.id)).state is TaskState.PLANNING


async def test_stale_planner(ledger: Ledger) -> None:
    """A planner who was buried changes nothing, neither before nor after another took over."""
    stale = await plan_claim(ledger)
    await ledger.bury(["w"])
    for _ in range(2):
        before = await ledger.task(stale.task.id)
        for call in (
            ledger.append_chunks(stale.task.id, stale.fence, [plan(0)]),
            ledger.pinned(stale.task.id, stale.fence, replace(stale.task.spec, header=("x",))),
            ledger.planned(stale.task.id, stale.fence, totals(0)),
            ledger.release(stale.task.id, stale.fence, "no", 0.0),
            ledger.fail(stale.task.id, stale.fence, "no"),
        ):
            with pytest.raises(LeaseLost):
                await call
        assert await ledger.task(stale.task.id) == before
        await ledger.claim("v", 1)
    assert (await ledger.task(stale.task.id)).fence == stale.fence + 1


@pytest.mark.parametrize("flag", [Flag.PAUSE, Flag.CANCEL])
async def test_planner_of_a_held_task(ledger: Ledger, flag: Flag) -> None:
    """A planner hears of a hold as LeaseLost at its next write, and nobody waits for it after."""
    for turn in range(3):
        claim = await plan_claim(ledger, f"{turn}")
        of, fence, spec_ = claim.task.id, claim.fence, replace(claim.task.spec, header=("x",))
        await ledger.flag(of, flag)
        with pytest.raises(LeaseLost):
            if turn == 0:
                await ledger.planned(of, fence, totals(0))
            elif turn == 1:
                await ledger.append_chunks(of, fence, [plan(0)])
            else:
                await ledger.pinned(of, fence, spec_)
        task = await ledger.task(of)
        assert (task.worker, task.rows_planned, task.planned) == (None, 0, False)
        assert task.spec == claim.task.spec
        assert task.state is (TaskState.CANCELLED if flag is Flag.CANCEL else TaskState.PLANNING)


async def test_release(ledger: Ledger, clock: Clock) -> None:
    """A released plan is claimed again, not before its time; an error counts an attempt."""
    claim = await plan_claim(ledger)
    await ledger.release(claim.task.id, claim.fence, None, clock.at)
    assert (await ledger.task(claim.task.id)).attempts == 0
    (claim,) = await ledger.claim("w", 1)
    await ledger.release(claim.task.id, claim.fence, "no", clock.at + 5)
    task = await ledger.task(claim.task.id)
    assert (task.attempts, task.worker, task.state) == (1, None, TaskState.PLANNING)
    assert await ledger.claim("w", 1) == []
    clock.at += 5
    (again,) = await ledger.claim("v", 1)
    assert again.fence == claim.fence + 1
    with pytest.raises(LeaseLost):
        await ledger.release(claim.task.id, claim.fence, None, 0.0)


async def test_fail_while_planning(ledger: Ledger, clock: Clock) -> None:
    """A plan that can never succeed ends the task with its error."""
    claim = await plan_claim(ledger)
    await ledger.fail(claim.task.id, claim.fence, "two headers")
    task = await ledger.task(claim.task.id)
    assert (task.state, task.error, task.completed_at) == (TaskState.FAILED, "two headers", clock.at)
    assert task.worker is None
    assert await ledger.claim("w", 1) == []


# Settling


async def test_settled_moves_doubles(ledger: Ledger, clock: Clock) -> None:
    """Settling ends the task; doubles go from upserted to duplicate, their passages are taken off."""
    claim = await settle_claim(ledger, 2)
    await ledger.settled(claim.task.id, claim.fence, duplicates=3, passages=4)
    task = await ledger.task(claim.task.id)
    assert (task.state, task.worker, task.completed_at) == (TaskState.COMPLETED, None, clock.at)
    assert task.counts == settled_counts(READ + READ, 3, 4)
    assert task.unprocessed == 0
    with pytest.raises(LeaseLost):
        await ledger.settled(claim.task.id, claim.fence, 3, 4)


async def test_stale_settler(ledger: Ledger) -> None:
    """A settler who was buried changes nothing."""
    stale = await settle_claim(ledger)
    await ledger.bury(["w"])
    (fresh,) = await ledger.claim("v", 1)
    for call in (
        ledger.settled(stale.task.id, stale.fence, 1, 1),
        ledger.fail(stale.task.id, stale.fence, "no"),
    ):
        with pytest.raises(LeaseLost):
            await call
    assert await ledger.task(stale.task.id) == fresh.task
    assert await ledger.holds("v", fresh)


async def test_settled_while_held(ledger: Ledger) -> None:
    """Settling that is under way ends a paused task, and a cancelled one in cancelled."""
    for flag, end in ((Flag.PAUSE, TaskState.COMPLETED), (Flag.CANCEL, TaskState.CANCELLED)):
        claim = await settle_claim(ledger)
        assert (await ledger.flag(claim.task.id, flag)).state is TaskState.SETTLING
        await ledger.settled(claim.task.id, claim.fence, 1, 2)
        task = await ledger.task(claim.task.id)
        assert (task.state, task.hold, task.counts) == (end, Hold.NONE, settled_counts(READ, 1, 2))


async def test_failed_settle_and_retry(ledger: Ledger) -> None:
    """A settle that failed is settled again after a retry, and nothing else is done anew."""
    claim = await settle_claim(ledger)
    await ledger.fail(claim.task.id, claim.fence, "store mismatch")
    assert (await ledger.task(claim.task.id)).state is TaskState.FAILED
    again = await ledger.flag(claim.task.id, Flag.RETRY)
    assert (again.state, again.error, again.counts) == (TaskState.SETTLING, None, READ)
    (second,) = await ledger.claim("w", 5)
    assert (second.kind, second.fence) == (WorkKind.SETTLE, claim.fence + 1)
