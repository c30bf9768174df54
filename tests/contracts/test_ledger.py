"""What every ledger promises, held against every backend."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from rowvec.api_key import ApiKey
from rowvec.errors import (
    IdempotencyConflict,
    InvalidRequest,
    LeaseLost,
    NamespaceTaken,
    TaskFailed,
    UnknownKey,
    UnknownTask,
    WrongState,
)
from rowvec.ledgers.base import MAX_CRASHES, Ledger
from rowvec.model import ChunkFiles, ChunkState, Claim, Counts, Flag, Hold, Task, TaskState, Totals, WorkKind
from tests.contracts.ledger_kit import (
    BACKENDS,
    READ,
    ROWS,
    Clock,
    chunk_of,
    number_of,
    plan,
    plan_claim,
    planned_task,
    settled_counts,
    spec,
    totals,
    worker,
)

pytestmark = pytest.mark.anyio

FILES = ChunkFiles("m", "r")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=sorted(BACKENDS))
async def ledger(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> AsyncIterator[Ledger]:
    made = BACKENDS[request.param](tmp_path, clock)
    await made.ready()
    for name in ("w", "v"):
        await made.enlist(worker(name))
    yield made
    await made.close()


async def commit(ledger: Ledger, claim: Claim, counts: Counts = READ) -> None:
    await ledger.commit(claim.task.id, number_of(claim), claim.fence, counts, FILES)


async def give_up(ledger: Ledger, claim: Claim) -> None:
    await ledger.give_up(claim.task.id, number_of(claim), claim.fence, "no")


async def settle_claim(ledger: Ledger, chunks: int = 1) -> Claim:
    """A task all of whose chunks are done, settled by `w`."""
    await planned_task(ledger, chunks)
    for claim in await ledger.claim("w", chunks):
        await commit(ledger, claim)
    (claim,) = await ledger.claim("w", 5)
    assert claim.kind is WorkKind.SETTLE
    return claim


# Submitting


async def test_ready_again(ledger: Ledger) -> None:
    """ready() may be called any number of times, also at once, and loses nothing."""
    task = (await ledger.submit(spec())).task
    await asyncio.gather(*(ledger.ready() for _ in range(4)))
    await ledger.ping()
    assert await ledger.task(task.id) == task


async def test_submit_records_a_pending_task(ledger: Ledger, clock: Clock) -> None:
    """A new task is pending, holds its spec unchanged and the ledger's time."""
    submitted = await ledger.submit(spec())
    task = await ledger.task(submitted.task.id)
    assert submitted.fresh
    assert task == submitted.task
    assert (task.spec, task.state, task.created_at) == (spec(), TaskState.PENDING, clock.at)
    assert (task.started_at, task.completed_at, await ledger.now()) == (None, None, clock.at)


async def test_equal_running_spec_is_one_task(ledger: Ledger) -> None:
    """An equal spec is answered with the task that has not ended, and with a new one after."""
    first = await ledger.submit(spec())
    again = await ledger.submit(spec())
    assert (again.fresh, again.task) == (False, first.task)
    assert (await ledger.submit(spec("b.csv"))).fresh
    await ledger.flag(first.task.id, Flag.CANCEL)
    anew = await ledger.submit(spec())
    assert anew.fresh
    assert anew.task.id != first.task.id


async def test_children_are_the_tasks_of_that_parent(ledger: Ledger) -> None:
    """Oldest first, those of no other parent, none of a task without any; an unknown task is an error."""
    parent = (await ledger.submit(spec())).task
    other = (await ledger.submit(spec("b.csv"))).task
    born = [
        (await ledger.submit(replace(spec(name), parent_id=of.id))).task
        for name, of in (("1", parent), ("2", other), ("3", parent))
    ]
    assert await ledger.children(parent.id) == [born[0], born[2]]
    assert await ledger.children(other.id) == [born[1]]
    assert await ledger.children(born[0].id) == []
    with pytest.raises(UnknownTask):
        await ledger.children("nobody")


async def test_equal_submissions_at_once(ledger: Ledger) -> None:
    """Of equal submissions at once exactly one is fresh, and all get the same task."""
    for key in (None, "k"):
        answers = await asyncio.gather(*(ledger.submit(spec(f"{key}"), key) for _ in range(8)))
        assert sum(answer.fresh for answer in answers) == 1
        assert len({answer.task.id for answer in answers}) == 1


async def test_idempotency_key(ledger: Ledger) -> None:
    """A key answers with its task even when that has ended; with another spec it is a conflict."""
    first = await ledger.submit(spec(), "k")
    await ledger.flag(first.task.id, Flag.CANCEL)
    again = await ledger.submit(spec(), "k")
    assert (again.fresh, again.task.id) == (False, first.task.id)
    with pytest.raises(IdempotencyConflict):
        await ledger.submit(spec("b.csv"), "k")
    assert (await ledger.submit(spec(), "other")).fresh


async def test_unknown_task(ledger: Ledger) -> None:
    """Whatever is asked about a task that is not there raises UnknownTask."""
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: ledger.task("x"),
        lambda: ledger.chunks("x"),
        lambda: ledger.flag("x", Flag.PAUSE),
        lambda: ledger.append_chunks("x", 1, [plan(0)]),
        lambda: ledger.planned("x", 1, totals(0)),
        lambda: ledger.commit("x", 0, 1, READ, FILES),
        lambda: ledger.hand_back("x", 0, 1, None, 0.0),
        lambda: ledger.give_up("x", 0, 1, "no"),
        lambda: ledger.release("x", 1, None, 0.0),
        lambda: ledger.settled("x", 1, 0, 0),
        lambda: ledger.fail("x", 1, "no"),
        lambda: ledger.finish_if_done("x"),
    ]
    for call in calls:
        with pytest.raises(UnknownTask):
            await call()


# Listing


async def test_pages_while_tasks_are_added(ledger: Ledger) -> None:
    """Paging shows each task once, newest first, whatever is added in between; None ends it."""
    ids = [(await ledger.submit(spec(str(n)))).task.id for n in range(5)]
    seen, cursor = [], None
    for step in range(3):
        page = await ledger.tasks(2, cursor)
        seen += [task.id for task in page.tasks]
        cursor = page.cursor
        assert (cursor is None) == (step == 2)
        await ledger.submit(spec(f"late {step}"))
    assert seen == ids[::-1]


async def test_page_that_is_exactly_full(ledger: Ledger) -> None:
    """No cursor is given when nothing comes after."""
    await ledger.submit(spec())
    assert (await ledger.tasks(1)).cursor is None


@pytest.mark.parametrize("cursor", ["", "1", "1.", "zz.1", "-1.0", "1.1", "9" * 6000, "1.83DCEFB7"])
async def test_foreign_cursor(ledger: Ledger, cursor: str) -> None:
    """A cursor that this ledger did not make is refused."""
    await ledger.submit(spec())
    with pytest.raises(InvalidRequest) as caught:
        await ledger.tasks(1, cursor)
    assert caught.value.field == "cursor"


async def test_limits_and_states_nobody_can_mean(ledger: Ledger) -> None:
    """A limit below one and a state no task is in are refused, and say which field."""
    task = (await ledger.submit(spec())).task
    with pytest.raises(InvalidRequest, match="limit"):
        await ledger.tasks(0)
    with pytest.raises(InvalidRequest, match="limit"):
        await ledger.chunks(task.id, 0)
    with pytest.raises(InvalidRequest, match="settling"):
        await ledger.tasks(state="settling")


async def test_states_as_callers_see_them(ledger: Ledger) -> None:
    """The filter knows pending, processing (three stages), paused, cancelling and the three ends."""
    expected: dict[str, set[str]] = {}

    def note(state: str, task: Task) -> None:
        expected.setdefault(state, set()).add(task.id)

    settling = await planned_task(ledger, 0, "settling")
    note("processing", settling)
    processing = await planned_task(ledger, 2, "processing")
    (settle, chunk, other) = await ledger.claim("w", 3)
    assert (settle.task.id, chunk.task.id, other.task.id) == (settling.id, processing.id, processing.id)
    note("processing", processing)
    for name, state, flag in (("a", "paused", Flag.PAUSE), ("b", "cancelling", Flag.CANCEL)):
        planning = await plan_claim(ledger, name)
        note(state, await ledger.flag(planning.task.id, flag))
    failing = await plan_claim(ledger, "failing")
    await ledger.fail(failing.task.id, failing.fence, "no")
    note("failed", failing.task)
    note("processing", (await plan_claim(ledger, "planning")).task)
    completing = await planned_task(ledger, 0, "completing")
    (claim,) = await ledger.claim("w", 1)
    await ledger.settled(completing.id, claim.fence, 0, 0)
    note("completed", completing)
    gone = (await ledger.submit(spec("gone"))).task
    note("cancelled", await ledger.flag(gone.id, Flag.CANCEL))
    note("pending", (await ledger.submit(spec("pending"))).task)
    found = {state: {task.id for task in (await ledger.tasks(state=state)).tasks} for state in expected}
    assert found == expected
    assert len(found) == 7


async def test_chunks_by_number(ledger: Ledger) -> None:
    """Chunks come by number, above `after`, up to the limit, and only in the state asked for."""
    task = await planned_task(ledger, 5)
    (claim,) = await ledger.claim("w", 1)
    await commit(ledger, claim)
    assert [c.plan.number for c in await ledger.chunks(task.id, 2, after=1)] == [2, 3]
    assert [c.plan.number for c in await ledger.chunks(task.id, state=ChunkState.READY)] == [1, 2, 3, 4]
    (done,) = await ledger.chunks(task.id, state=ChunkState.DONE)
    assert (done.plan, done.counts, done.files, done.worker) == (plan(0), READ, FILES, None)


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


# Flags


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


# Workers


async def test_beat_and_burial(ledger: Ledger, clock: Clock) -> None:
    """A beat renews a living worker and says what it holds and waits for; after burial it is False."""
    clock.at += 7
    assert await ledger.beat("w", 3, {"some-task": "The “store” is away."})
    found = {w.id: (w.holding, w.beat_at, w.alive, w.waits) for w in await ledger.workers()}
    waits = {"some-task": "The “store” is away."}
    assert found == {"w": (3, clock.at, True, waits), "v": (0, clock.at - 7, True, {})}
    assert await ledger.beat("w", 3)
    assert [w.waits for w in await ledger.workers()] == [{}, {}]
    await ledger.bury(["w"])
    assert not await ledger.beat("w", 3)
    assert not await ledger.beat("stranger", 0)
    assert [w.id for w in await ledger.workers()] == ["v"]


async def test_bury_takes_everything_back(ledger: Ledger) -> None:
    """Plan, settling and chunks of the dead are claimed by others, and one crash is counted."""
    settle, task = await settle_claim(ledger), await planned_task(ledger, 2, "b")
    claims = [settle, *await ledger.claim("w", 2), await plan_claim(ledger, "c")]
    assert [await ledger.holds("w", claim) for claim in claims] == [True] * 4
    assert [await ledger.holds("v", claim) for claim in claims] == [False] * 4
    assert await ledger.bury(["w", "w", "stranger"]) == 4
    assert await ledger.bury(["w"]) == 0
    assert [await ledger.holds("w", claim) for claim in claims] == [False] * 4
    assert [(c.crashes, c.attempts) for c in await ledger.chunks(task.id)] == [(1, 0), (1, 0)]
    kinds = [claim.kind for claim in await ledger.claim("v", 9)]
    assert kinds == [WorkKind.PLAN, WorkKind.SETTLE, WorkKind.CHUNK, WorkKind.CHUNK]


async def test_retire_counts_no_crash(ledger: Ledger) -> None:
    """What a leaving worker holds goes back at once, without a crash."""
    task = await planned_task(ledger, 1)
    chunk, plan_of = (await ledger.claim("w", 1))[0], await plan_claim(ledger, "b")
    await ledger.retire("w")
    assert [w.id for w in await ledger.workers()] == ["v"]
    assert not await ledger.beat("w", 0)
    (free,) = await ledger.chunks(task.id)
    assert (free.state, free.crashes, free.attempts) == (ChunkState.READY, 0, 0)
    assert not any([await ledger.holds("w", chunk), await ledger.holds("w", plan_of)])
    assert len(await ledger.claim("v", 5)) == 2


@pytest.mark.parametrize("leave", ["bury", "retire"])
async def test_cancelling_ends_with_its_worker(ledger: Ledger, leave: str) -> None:
    """A cancelled task whose last worker dies or leaves has ended."""
    task = await planned_task(ledger, 2)
    await ledger.claim("w", 2)
    await ledger.flag(task.id, Flag.CANCEL)
    await (ledger.bury(["w"]) if leave == "bury" else ledger.retire("w"))
    assert (await ledger.task(task.id)).state is TaskState.CANCELLED


async def test_chunk_that_kills_its_workers(ledger: Ledger) -> None:
    """A chunk is tried again after MAX_CRASHES deaths and given up after one more; retry forgives."""
    task = await planned_task(ledger, 1)
    for death in range(MAX_CRASHES + 1):
        await ledger.enlist(worker(f"w{death}"))
        (claim,) = await ledger.claim(f"w{death}", 1)
        assert (claim.fence, chunk_of(claim).crashes) == (death + 1, death)
        await ledger.bury([f"w{death}"])
    ended = await ledger.task(task.id)
    assert (ended.state, ended.chunks_failed, ended.rows_failed) == (TaskState.FAILED, 1, ROWS)
    (chunk,) = await ledger.chunks(task.id)
    assert (chunk.state, chunk.crashes) == (ChunkState.FAILED, MAX_CRASHES + 1)
    assert str(MAX_CRASHES + 1) in (chunk.error or "")
    await ledger.flag(task.id, Flag.RETRY)
    assert (await ledger.chunks(task.id))[0].crashes == 0


@pytest.mark.parametrize("kind", [WorkKind.PLAN, WorkKind.SETTLE])
async def test_task_that_kills_its_workers(ledger: Ledger, kind: WorkKind) -> None:
    """A plan or a settling that killed more than MAX_CRASHES workers fails its task; retry forgives."""
    task_id = (await (settle_claim if kind is WorkKind.SETTLE else plan_claim)(ledger)).task.id
    await ledger.bury(["w"])
    for death in range(MAX_CRASHES):
        assert not (await ledger.task(task_id)).state.ended
        await ledger.enlist(worker(f"w{death}"))
        assert [c.kind for c in await ledger.claim(f"w{death}", 1)] == [kind]
        await ledger.bury([f"w{death}"])
    ended = await ledger.task(task_id)
    assert (ended.state, ended.worker) == (TaskState.FAILED, None)
    assert str(MAX_CRASHES + 1) in (ended.error or "")
    await ledger.flag(task_id, Flag.RETRY)
    assert [c.kind for c in await ledger.claim("v", 1)] == [kind]
    await ledger.bury(["v"])
    assert not (await ledger.task(task_id)).state.ended


async def test_sweep_buries_the_silent(ledger: Ledger, clock: Clock) -> None:
    """A worker is dead once its beat is older than the lease, by the ledger's clock, not before."""
    task = await planned_task(ledger, 3)
    await ledger.claim("w", 2)
    await ledger.claim("v", 1)
    clock.at += 60
    assert await ledger.sweep(60) == 0
    await ledger.beat("v", 1)
    clock.at += 0.5
    assert await ledger.sweep(60) == 2
    assert [w.id for w in await ledger.workers()] == ["v"]
    states = [c.state for c in await ledger.chunks(task.id)]
    assert states == [ChunkState.READY, ChunkState.READY, ChunkState.CLAIMED]


async def test_enlist_again(ledger: Ledger, clock: Clock) -> None:
    """A worker that enlists anew after its burial gets work again."""
    await planned_task(ledger, 1)
    await ledger.bury(["w"])
    clock.at += 1_000
    await ledger.enlist(worker("w"))
    await ledger.sweep(60)
    assert len(await ledger.claim("w", 1)) == 1


# Namespaces and keys


async def test_namespaces(ledger: Ledger) -> None:
    """A namespace stays with its model and dimension; the refusal names both."""
    for _ in range(2):
        await ledger.bind_namespace("default", "small", 4)
    await ledger.bind_namespace("other", "large", 8)
    for model, dimension in (("large", 4), ("small", 8)):
        with pytest.raises(NamespaceTaken, match=rf"small \(4 .*{model} \({dimension} "):
            await ledger.bind_namespace("default", model, dimension)


async def test_keys(ledger: Ledger, clock: Clock) -> None:
    """Keys are found by id, revoked once, and never overwritten."""
    key = ApiKey("a", "00", "first", 5.0)
    assert await ledger.add_key(key)
    assert not await ledger.add_key(ApiKey("a", "11", "thief"))
    assert (await ledger.key("a"), await ledger.key("b")) == (key, None)
    await ledger.revoke_key("a")
    clock.at += 5
    await ledger.revoke_key("a")
    assert await ledger.keys() == [ApiKey("a", "00", "first", 5.0, clock.at - 5)]
    with pytest.raises(UnknownKey):
        await ledger.revoke_key("b")


async def test_first_key_race(ledger: Ledger) -> None:
    """Of several first keys at once exactly one is stored; a revoked key still counts."""
    offers = [ApiKey(str(n), "00", "first") for n in range(8)]
    won = await asyncio.gather(*(ledger.add_key(key, only_if_none=True) for key in offers))
    assert sum(won) == 1
    (only,) = await ledger.keys()
    await ledger.revoke_key(only.id)
    assert not await ledger.add_key(ApiKey("late", "00", "late"), only_if_none=True)
    assert await ledger.add_key(ApiKey("late", "00", "late"))
