"""What every ledger promises of tasks that are forgotten, held against every backend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rowvec.errors import UnknownTask, WrongState
from rowvec.ledgers.base import Ledger
from rowvec.ledgers.register import task_account
from rowvec.model import Flag, Task, TaskState
from tests.contracts.ledger_kit import (
    AUDITS,
    commit,
    give_up,
    plan,
    plan_claim,
    planned_task,
    settle_claim,
    spec,
    totals,
)

pytestmark = pytest.mark.anyio


async def completed(ledger: Ledger, chunks: int = 1) -> Task:
    claim = await settle_claim(ledger, chunks)
    await ledger.settled(claim.task.id, claim.fence, 0, 0)
    return await ledger.task(claim.task.id)


async def failed(ledger: Ledger) -> Task:
    task = await planned_task(ledger, 2)
    done, lost = await ledger.claim("w", 2)
    await commit(ledger, done)
    await give_up(ledger, lost)
    return await ledger.task(task.id)


def audit(ledger: Ledger) -> None:
    """What a backend keeps beside what it shows is in order, too."""
    for kind, look in AUDITS.items():
        if kind in type(ledger).__module__:
            look(ledger)


async def test_a_task_is_gone_with_all_that_was_of_it(ledger: Ledger) -> None:
    """Its chunks, its place in every list, its idempotency key, and what it had spent; others stay."""
    own = replace(spec("own.csv"), tenant="acme")
    task = (await ledger.submit(own, "once")).task
    other = (await ledger.submit(spec("other.csv"))).task
    await ledger.draw(task_account(task.id), 5, 10)
    await ledger.flag(task.id, Flag.CANCEL)
    await ledger.forget(task.id)

    for ask in (ledger.task, ledger.chunks, ledger.marks, ledger.children, ledger.forget, ledger.seal):
        with pytest.raises(UnknownTask):
            await ask(task.id)
    assert [t.id for t in (await ledger.tasks()).tasks] == [other.id]
    assert (await ledger.tasks(state="cancelled")).tasks == (await ledger.tasks(tenant="acme")).tasks == []
    assert await ledger.drawn(task_account(task.id)) == 0
    again = await ledger.submit(own, "once")
    assert again.fresh and again.task.id != task.id
    audit(ledger)


@pytest.mark.parametrize("chunks", [1, 230])
async def test_all_chunks_of_a_completed_task_go(ledger: Ledger, chunks: int) -> None:
    """Many go in steps; nothing is handed out of them, and the next sweep finds nothing amiss."""
    claim = await plan_claim(ledger)
    await ledger.append_chunks(claim.task.id, claim.fence, [plan(number) for number in range(chunks)])
    await ledger.planned(claim.task.id, claim.fence, totals(chunks))
    await ledger.flag(claim.task.id, Flag.CANCEL)
    await ledger.forget(claim.task.id)
    await ledger.sweep(60.0)
    assert await ledger.claim("w", 5) == []
    with pytest.raises(UnknownTask):
        await ledger.chunks(claim.task.id)
    audit(ledger)


async def test_orders_are_not_given_out_again(ledger: Ledger) -> None:
    """A page that began before goes on after it, and the newest task is still the first."""
    first = (await ledger.submit(spec("first.csv"))).task
    newest = (await ledger.submit(spec("second.csv"))).task
    await ledger.flag(newest.id, Flag.CANCEL)
    page = await ledger.tasks(limit=1)
    await ledger.forget(newest.id)
    third = (await ledger.submit(spec("third.csv"))).task
    assert [task.id for task in (await ledger.tasks(cursor=page.cursor)).tasks] == [first.id]
    assert [task.id for task in (await ledger.tasks()).tasks] == [third.id, first.id]


async def test_a_task_that_may_go_on_is_neither_sealed_nor_forgotten(ledger: Ledger) -> None:
    """Pending, at work, paused, settling: nothing of it changes. A failed one may be retried."""
    task = (await ledger.submit(spec())).task
    for sealed in (ledger.seal, ledger.forget):
        with pytest.raises(WrongState, match="may go on"):
            await sealed(task.id)
    await ledger.flag(task.id, Flag.PAUSE)
    with pytest.raises(WrongState, match="may go on"):
        await ledger.forget(task.id)
    await ledger.flag(task.id, Flag.CANCEL)
    lost = await failed(ledger)
    with pytest.raises(WrongState, match="may go on"):
        await ledger.forget(lost.id)
    assert await ledger.task(lost.id) == lost


async def test_a_sealed_task_never_goes_on(ledger: Ledger) -> None:
    """A failed one is cancelled for good and keeps its error; one that is so already stays as it is."""
    lost = await failed(ledger)
    sealed = await ledger.seal(lost.id)
    assert (sealed.state, sealed.error) == (TaskState.CANCELLED, lost.error)
    assert await ledger.seal(lost.id) == sealed
    with pytest.raises(WrongState):
        await ledger.flag(lost.id, Flag.RETRY)
    with pytest.raises(WrongState):
        await ledger.retry_chunks(lost.id, [1])
    assert [task.id for task in (await ledger.tasks(state="cancelled")).tasks] == [lost.id]
    audit(ledger)
    done = await completed(ledger)
    assert await ledger.seal(done.id) == done
    await ledger.forget(lost.id)
    await ledger.forget(done.id)
    assert (await ledger.tasks()).tasks == []


async def test_a_child_outlives_its_parent(ledger: Ledger) -> None:
    """It is as it was, and goes by itself; a parent that has lost a child has the others still."""
    parent = await completed(ledger)
    one, two = [
        (await ledger.submit(replace(spec(name), parent_id=parent.id))).task for name in ("a.csv", "b.csv")
    ]
    await ledger.flag(one.id, Flag.CANCEL)
    await ledger.forget(one.id)
    assert [task.id for task in await ledger.children(parent.id)] == [two.id]
    await ledger.forget(parent.id)
    assert (await ledger.task(two.id)) == two
    await ledger.flag(two.id, Flag.CANCEL)
    await ledger.forget(two.id)
    assert (await ledger.tasks()).tasks == []
    audit(ledger)
