"""What every ledger promises of submitting and listing, held against every backend."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from rowvec.errors import (
    IdempotencyConflict,
    InvalidRequest,
    UnknownTask,
)
from rowvec.ledgers.base import Ledger
from rowvec.ledgers.books.rules import fingerprint
from rowvec.model import ChunkState, Flag, Task, TaskState
from rowvec.spec import TaskSpec, Verify
from tests.contracts.ledger_kit import (
    FILES,
    READ,
    Clock,
    commit,
    plan,
    plan_claim,
    planned_task,
    spec,
    totals,
)

pytestmark = pytest.mark.anyio


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


async def test_a_later_task_is_later_when_the_clock_was_set_back(ledger: Ledger, clock: Clock) -> None:
    """The order grows with every submission, and is still the same when the task has changed."""
    first = (await ledger.submit(spec("first.csv"))).task
    clock.at -= 100
    second = (await ledger.submit(spec("second.csv"))).task
    changed = await ledger.flag(first.id, Flag.PAUSE)
    assert changed.order == first.order < second.order == (await ledger.task(second.id)).order


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


async def test_around_a_task_are_its_children_and_all_workers(ledger: Ledger) -> None:
    """Both at once say what each says by itself; an unknown task is an error."""
    parent = (await ledger.submit(spec())).task
    await ledger.submit(replace(spec("1"), parent_id=parent.id))
    around = await ledger.around(parent.id)
    assert list(around.children) == await ledger.children(parent.id) != []
    assert list(around.workers) == await ledger.workers() != []
    assert list(around.pauses) == await ledger.provider_pauses()
    assert around.task == await ledger.task(parent.id)
    with pytest.raises(UnknownTask):
        await ledger.around("nobody")


async def test_what_has_ended_has_only_children_around_it(ledger: Ledger) -> None:
    """It waits for nobody: neither workers nor pauses are read for it."""
    parent = (await ledger.submit(spec())).task
    child = (await ledger.submit(replace(spec("1"), parent_id=parent.id))).task
    ended = await ledger.flag(parent.id, Flag.CANCEL)
    assert ended.state.ended
    around = await ledger.around(parent.id)
    assert (around.task, list(around.children)) == (ended, [child])
    assert not around.workers
    assert not around.pauses
    assert await ledger.workers() != []


async def test_how_it_is_verified_is_part_of_a_request(ledger: Ledger) -> None:
    """Kept as it was asked for; who asks for it otherwise asks for another task."""
    plain = (await ledger.submit(spec())).task
    for extent in (Verify.ALL, Verify.SAMPLE):
        asked = await ledger.submit(replace(spec(), verify=extent))
        assert asked.fresh
        assert (await ledger.task(asked.task.id)).spec.verify is extent
    assert (await ledger.submit(replace(spec(), verify=Verify.NONE))).task == plain


def test_a_request_without_proof_is_what_it_was_before_there_was_any() -> None:
    """So that submissions of another version of this service are known again."""
    known = sha256(json.dumps(_as_before(spec()), sort_keys=True).encode()).hexdigest()
    assert fingerprint(spec()) == known != fingerprint(replace(spec(), verify=Verify.ALL))
    assert fingerprint(replace(spec(), title="what people call it")) == known


def _as_before(of: TaskSpec) -> dict[str, object]:
    later = ("verify", "tenant", "account", "max_tokens", "title")
    return {name: value for name, value in json.loads(of.to_json()).items() if name not in later}


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
