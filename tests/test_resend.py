"""Rejected rows are sent in again as they are: once, without those that have landed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.api.status import status_of
from rowvec import steer
from rowvec.errors import SourceChanged, UnknownTask, WrongState
from rowvec.intake import TaskRequest, submit
from rowvec.model import Flag, Hold, Task, TaskState
from rowvec.resend import retry_rejected
from rowvec.uploads import FOLDER, upload_name
from tests.worker_kit import Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def texts(rows: int, *odd: int) -> list[str]:
    """The text of each row; those of `odd` rows are not to the embedder's taste while it has one."""
    return [f"{'odd' if n in odd else 'plain'} text {n}" for n in range(rows)]


async def with_refused_rows(shop: Workshop) -> Task:
    """A task of 30 rows, completed, of which the embedder has refused 4, 15 and 16."""
    shop.write(texts(30, 4, 15, 16))
    shop.embedder.poison = "odd"
    task = await shop.end_of(await shop.submit())
    shop.embedder.poison = None
    assert (task.state, task.counts.upserted, task.counts.rejected) == (TaskState.COMPLETED, 27, 3)
    return task


async def seen(shop: Workshop, parent: Task) -> tuple[int, int]:
    """Upserted and open rows of a task and its children, as callers see them."""
    told = (await status_of(shop.ledger, parent, await shop.ledger.children(parent.id))).with_children
    assert told
    return told.upserted, told.rejected


async def test_rows_that_were_refused_land_and_nothing_else_is_done_again(shop: Workshop) -> None:
    """The child has those rows only, under the ids they would have had, and the account of both adds up."""
    parent = await with_refused_rows(shop)
    paid = len(shop.embedder.given)
    sent = await retry_rejected(shop.machine, parent.id)
    child = await shop.end_of(sent.task.id)

    assert sent.fresh and child.spec.parent_id == parent.id
    assert (child.state, child.counts.read, child.counts.upserted) == (TaskState.COMPLETED, 3, 3)
    assert sorted(shop.embedder.given[paid:]) == ["odd text 15", "odd text 16", "odd text 4"]
    assert set(await shop.stored()) == {f"row-{n}" for n in range(30)}
    assert await seen(shop, parent) == (30, 0)


async def test_the_same_call_answers_with_the_child_that_is_at_work(shop: Workshop) -> None:
    """Two at once, and one more later, make one child."""
    parent = await with_refused_rows(shop)
    two = await asyncio.gather(*(retry_rejected(shop.machine, parent.id) for _ in range(2)))
    third = await retry_rejected(shop.machine, parent.id)

    assert len({sent.task.id for sent in (*two, third)}) == 1
    assert sorted(sent.fresh for sent in (*two, third)) == [False, False, True]
    assert len(await shop.ledger.children(parent.id)) == 1


async def test_without_rejected_rows_or_before_the_end_it_is_refused(shop: Workshop) -> None:
    """In words that say which, and nothing is made."""
    shop.write(texts(5))
    waiting = await shop.submit()
    with pytest.raises(WrongState, match="has not ended"):
        await retry_rejected(shop.machine, waiting)
    await shop.end_of(waiting)
    with pytest.raises(WrongState, match="has rejected no row"):
        await retry_rejected(shop.machine, waiting)
    with pytest.raises(UnknownTask):
        await retry_rejected(shop.machine, "nobody")
    assert await shop.ledger.children(waiting) == []
    assert await shop.machine.files.names(FOLDER) == []


async def test_what_has_landed_with_a_child_is_not_sent_again(shop: Workshop) -> None:
    """The next child has what is left; when nothing is, the answer names the child that took it."""
    parent = await with_refused_rows(shop)
    shop.embedder.poison = "odd text 1"
    first = await shop.end_of((await retry_rejected(shop.machine, parent.id)).task.id)
    second = await shop.end_of((await retry_rejected(shop.machine, parent.id)).task.id)
    shop.embedder.poison = "odd text 15"
    third = await shop.end_of((await retry_rejected(shop.machine, parent.id)).task.id)
    shop.embedder.poison = None
    last = await shop.end_of((await retry_rejected(shop.machine, parent.id)).task.id)

    reads = [(child.counts.read, child.counts.upserted) for child in (first, second, third, last)]
    assert reads == [(3, 1), (2, 0), (2, 1), (1, 1)]
    assert {child.spec.parent_id for child in (first, second, third, last)} == {parent.id}
    assert await seen(shop, parent) == (30, 0)
    with pytest.raises(WrongState, match=last.id):
        await retry_rejected(shop.machine, parent.id)


async def test_rows_that_need_a_person_are_rejected_again(shop: Workshop) -> None:
    """Sent in unchanged, a record with a cell too many does not land cut or padded."""
    shop.write([*texts(10), "one,too many"])
    parent = await shop.end_of(await shop.submit())
    child = await shop.end_of((await retry_rejected(shop.machine, parent.id)).task.id)

    assert (child.state, child.counts.read, child.counts.rejected) == (TaskState.COMPLETED, 1, 1)
    assert await seen(shop, parent) == (10, 1)


async def with_a_failed_chunk(shop: Workshop) -> Task:
    """A task of 30 rows, failed: the second chunk gave up, in the others two rows were refused."""
    shop.write(texts(30, 4, 25))
    shop.embedder.poison, shop.embedder.ailing = "odd", {"text 15": ZeroDivisionError("a bug of ours")}
    task = await shop.end_of(await shop.submit())
    shop.embedder.poison, shop.embedder.ailing = None, {}
    assert (task.state, task.counts.upserted, task.counts.rejected) == (TaskState.FAILED, 18, 2)
    return task


async def test_a_failed_task_tries_its_failed_chunks_again_as_well(shop: Workshop) -> None:
    """Both go on side by side, and in the end every row is there, each paid once."""
    parent = await with_a_failed_chunk(shop)
    sent = await retry_rejected(shop.machine, parent.id)
    again = await retry_rejected(shop.machine, parent.id)
    async with shop.worker():
        child = await shop.ledger.end_of(sent.task.id)
        ended = await shop.ledger.end_of(parent.id)

    assert (again.task.id, again.fresh) == (child.id, False)
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 28)
    assert (child.state, child.counts.upserted) == (TaskState.COMPLETED, 2)
    assert len(shop.embedder.given) == len(set(shop.embedder.given)) == 30


async def test_nothing_is_made_of_a_failed_task_whose_source_has_changed(
    shop: Workshop, tmp_path: Path
) -> None:
    """Its chunks cannot be tried again, so the whole call is refused."""
    parent = await with_a_failed_chunk(shop)
    (tmp_path / "rows.csv").write_text("id,text\n1,another\n")
    with pytest.raises(SourceChanged):
        await retry_rejected(shop.machine, parent.id)
    assert await shop.ledger.children(parent.id) == []
    assert (await shop.ledger.task(parent.id)).state is TaskState.FAILED


async def test_a_child_that_failed_is_tried_again_itself(shop: Workshop) -> None:
    """What it has landed is not done twice."""
    parent = await with_refused_rows(shop)
    sent = (await retry_rejected(shop.machine, parent.id)).task.id
    shop.embedder.ailing = {"odd text 15": ZeroDivisionError("a bug of ours")}
    assert (await shop.end_of(sent)).state is TaskState.FAILED
    shop.embedder.ailing = {}
    again = await retry_rejected(shop.machine, parent.id)
    child = await shop.end_of(sent)

    assert (again.task.id, again.fresh) == (sent, False)
    assert (child.state, child.counts.upserted) == (TaskState.COMPLETED, 3)
    assert len(await shop.ledger.children(parent.id)) == 1


async def test_a_child_that_was_cancelled_makes_room_for_another(shop: Workshop) -> None:
    """Who stopped it may ask again; a paused one still answers."""
    parent = await with_refused_rows(shop)
    first = (await retry_rejected(shop.machine, parent.id)).task.id
    await shop.ledger.flag(first, Flag.PAUSE)
    paused = await retry_rejected(shop.machine, parent.id)
    await steer.cancel(shop.machine, first)
    second = await retry_rejected(shop.machine, parent.id)

    assert (paused.task.id, paused.task.hold, paused.fresh) == (first, Hold.PAUSED, False)
    assert second.fresh and second.task.id != first
    assert (await shop.end_of(second.task.id)).counts.upserted == 3


async def test_a_table_that_was_repaired_by_hand_is_another_matter(shop: Workshop) -> None:
    """Only children made of the very rows count: a repair that is at work is not taken for them."""
    parent = await with_refused_rows(shop)
    await shop.machine.files.write(upload_name("mended"), b"_row,_reason,id,text\n5,why,row-4,mended\n")
    mended = await submit(shop.machine, TaskRequest("upload", "mended", parent_id=parent.id))
    sent = await retry_rejected(shop.machine, parent.id)

    assert sent.fresh and sent.task.id != mended.task.id
