"""What every ledger promises of pausing, cancelling and retrying, held against every backend."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from rowvec.errors import (
    WrongState,
)
from rowvec.ledgers.base import Ledger
from rowvec.model import Flag, Hold, TaskState, WorkKind
from tests.contracts.ledger_kit import (
    READ,
    Clock,
    chunk_of,
    commit,
    give_up,
    number_of,
    plan,
    plan_claim,
    planned_task,
    settle_claim,
    spec,
    totals,
)

pytestmark = pytest.mark.anyio


async def test_pause_and_resume(ledger: Ledger, clock: Clock) -> None:
    """A paused task keeps its reason and its place; resume ends every wait of its chunks."""
    task = await planned_task(ledger, 2)
    claims = await ledger.claim("w", 2)
    await ledger.hand_back(task.id, 0, claims[0].fence, "busy", clock.at + 500)
    paused = await ledger.flag(task.id, Flag.PAUSE, "no units left")
    assert (paused.hold, paused.reason, paused.state) == (Hold.PAUSED, "no units left", TaskState.PROCESSING)
    assert await ledger.flag(task.id, Flag.PAUSE, "other") == paused
    await commit(ledger, claims[1])
    resumed = await ledger.flag(task.id, Flag.RESUME)
    assert (resumed.hold, resumed.reason, resumed.counts) == (Hold.NONE, None, READ)
    assert await ledger.flag(task.id, Flag.RESUME) == resumed
    assert [number_of(c) for c in await ledger.claim("w", 5)] == [0]


async def test_resume_of_a_plan_that_waits(ledger: Ledger, clock: Clock) -> None:
    """Resume ends the wait of a released plan too."""
    claim = await plan_claim(ledger)
    await ledger.release(claim.task.id, claim.fence, "busy", clock.at + 500)
    await ledger.flag(claim.task.id, Flag.PAUSE)
    await ledger.flag(claim.task.id, Flag.RESUME)
    assert [c.kind for c in await ledger.claim("w", 1)] == [WorkKind.PLAN]


async def test_last_commit_while_paused(ledger: Ledger) -> None:
    """A paused task does not move on with its last commit, but with its resume."""
    task = await planned_task(ledger, 1)
    (claim,) = await ledger.claim("w", 1)
    await ledger.flag(task.id, Flag.PAUSE)
    await commit(ledger, claim)
    assert (await ledger.task(task.id)).state is TaskState.PROCESSING
    assert (await ledger.flag(task.id, Flag.RESUME)).state is TaskState.SETTLING


async def test_cancel_lets_running_chunks_end(ledger: Ledger, clock: Clock) -> None:
    """A cancelled task ends once its last chunk came back, whichever way, and keeps what landed."""
    task = await planned_task(ledger, 4)
    first, second, third = await ledger.claim("w", 3)
    held = await ledger.flag(task.id, Flag.CANCEL, "not needed")
    assert (held.hold, held.state) == (Hold.CANCELLING, TaskState.PROCESSING)
    assert await ledger.flag(task.id, Flag.CANCEL) == held
    await commit(ledger, first)
    await give_up(ledger, second)
    assert (await ledger.task(task.id)).hold is Hold.CANCELLING
    await ledger.hand_back(task.id, 2, third.fence, None, 0.0)
    ended = await ledger.task(task.id)
    assert (ended.state, ended.hold, ended.counts) == (TaskState.CANCELLED, Hold.NONE, READ)
    assert (ended.completed_at, ended.reason) == (clock.at, "not needed")
    assert await ledger.flag(task.id, Flag.CANCEL) == ended


async def test_cancel_waits_for_planner_and_settler(ledger: Ledger) -> None:
    """A cancelled task ends once nobody plans or settles it."""
    for claim in (await settle_claim(ledger), await plan_claim(ledger, "b")):
        assert (await ledger.flag(claim.task.id, Flag.CANCEL)).state is claim.task.state
        await ledger.release(claim.task.id, claim.fence, None, 0.0)
        assert (await ledger.task(claim.task.id)).state is TaskState.CANCELLED


async def test_cancel_of_what_nobody_holds(ledger: Ledger) -> None:
    """A pending and a paused task are cancelled at once."""
    pending = (await ledger.submit(spec())).task
    assert (await ledger.flag(pending.id, Flag.CANCEL)).state is TaskState.CANCELLED
    paused = await planned_task(ledger, 1)
    await ledger.flag(paused.id, Flag.PAUSE, "why")
    assert (await ledger.flag(paused.id, Flag.CANCEL)).state is TaskState.CANCELLED


async def test_failing_while_cancelling(ledger: Ledger) -> None:
    """Cancelling ends in cancelled even when the plan fails, and not before its chunks are back."""
    plan_of = await plan_claim(ledger)
    await ledger.append_chunks(plan_of.task.id, plan_of.fence, [plan(0)])
    (chunk,) = await ledger.claim("v", 1)
    await ledger.flag(plan_of.task.id, Flag.CANCEL)
    await ledger.fail(plan_of.task.id, plan_of.fence, "cut short")
    assert not (await ledger.task(plan_of.task.id)).state.ended
    await commit(ledger, chunk)
    task = await ledger.task(plan_of.task.id)
    assert (task.state, task.error, task.counts) == (TaskState.CANCELLED, "cut short", READ)


async def test_retry_takes_failed_chunks_only(ledger: Ledger) -> None:
    """Retry makes failed chunks ready as if never tried; done ones stay, their counts too."""
    task = await planned_task(ledger, 2)
    bad, good = await ledger.claim("w", 2)
    await ledger.hand_back(task.id, 0, bad.fence, "busy", 0.0)
    (bad,) = await ledger.claim("w", 2)
    await give_up(ledger, bad)
    await commit(ledger, good)
    again = await ledger.flag(task.id, Flag.RETRY)
    assert (again.state, again.error, again.completed_at) == (TaskState.PROCESSING, None, None)
    assert (again.chunks_failed, again.rows_failed, again.counts) == (0, 0, READ)
    assert await ledger.flag(task.id, Flag.RETRY) == again
    (claim,) = await ledger.claim("w", 5)
    chunk = chunk_of(claim)
    assert (number_of(claim), chunk.attempts, chunk.crashes, chunk.error) == (0, 0, 0, None)
    assert claim.fence == bad.fence + 1
    await commit(ledger, claim)
    assert (await ledger.task(task.id)).state is TaskState.SETTLING


async def test_retry_of_a_failed_plan(ledger: Ledger) -> None:
    """A task that failed while planning is planned again; chunks already there, and commits, stay."""
    claim = await plan_claim(ledger)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(0), plan(1)])
    (chunk,) = await ledger.claim("v", 1)
    await ledger.fail(claim.task.id, claim.fence, "cut short")
    await commit(ledger, chunk)
    again = await ledger.flag(claim.task.id, Flag.RETRY)
    assert (again.state, again.chunks_total, again.counts) == (TaskState.PLANNING, 2, READ)
    assert [c.kind for c in await ledger.claim("w", 5)] == [WorkKind.PLAN, WorkKind.CHUNK]


async def make(ledger: Ledger, situation: str) -> str:
    """The id of a task in that situation."""
    if situation == "pending":
        return (await ledger.submit(spec())).task.id
    claim = await plan_claim(ledger)
    steps: dict[str, Callable[[], Awaitable[object]]] = {
        "failed": lambda: ledger.fail(claim.task.id, claim.fence, "no"),
        "paused": lambda: ledger.flag(claim.task.id, Flag.PAUSE),
        "cancelling": lambda: ledger.flag(claim.task.id, Flag.CANCEL),
        "completed": lambda: ledger.planned(claim.task.id, claim.fence, totals(0)),
        "cancelled": lambda: ledger.release(claim.task.id, claim.fence, None, 0.0),
    }
    if situation == "cancelled":
        await ledger.flag(claim.task.id, Flag.CANCEL)
    if situation in steps:
        await steps[situation]()
    if situation == "completed":
        (settle,) = await ledger.claim("w", 1)
        await ledger.settled(claim.task.id, settle.fence, 0, 0)
    return claim.task.id


ALLOWED = {
    "pending": {Flag.PAUSE, Flag.RESUME, Flag.CANCEL},
    "planning": {Flag.PAUSE, Flag.RESUME, Flag.CANCEL, Flag.RETRY},
    "paused": {Flag.PAUSE, Flag.RESUME, Flag.CANCEL},
    "cancelling": {Flag.CANCEL},
    "completed": set(),
    "failed": {Flag.RETRY},
    "cancelled": {Flag.CANCEL},
}


@pytest.mark.parametrize("flag", list(Flag))
@pytest.mark.parametrize("situation", list(ALLOWED))
async def test_flags_in_every_state(ledger: Ledger, situation: str, flag: Flag) -> None:
    """Each wish is granted, already so, or WrongState without a change; asking twice changes nothing."""
    task_id = await make(ledger, situation)
    if flag in ALLOWED[situation]:
        once = await ledger.flag(task_id, flag)
        assert await ledger.flag(task_id, flag) == once == await ledger.task(task_id)
        return
    before = await ledger.task(task_id)
    with pytest.raises(WrongState, match=flag.value):
        await ledger.flag(task_id, flag)
    assert await ledger.task(task_id) == before


async def test_version_grows_with_every_change(ledger: Ledger) -> None:
    """Whoever saw a version sees another after any change of the task, and the same without one."""
    task = await planned_task(ledger, 1)
    versions = [task.version]
    (claim,) = await ledger.claim("w", 1)
    for step in (
        ledger.flag(task.id, Flag.PAUSE),
        ledger.flag(task.id, Flag.RESUME),
        commit(ledger, claim),
        ledger.claim("w", 1),
    ):
        await step
        versions.append((await ledger.task(task.id)).version)
    assert versions == sorted(set(versions))
    await ledger.finish_if_done(task.id)
    await ledger.sweep(60)
    assert (await ledger.task(task.id)).version == versions[-1]
