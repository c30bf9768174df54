"""Files that are needed no more go, at the right moment, whoever is there to take them away."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path
from typing import Any

import pytest

from rowvec import housekeeping, paging, steer
from rowvec.errors import SourceChanged, Unavailable
from rowvec.housekeeping import Housekeeping
from rowvec.model import Flag, Hold, TaskState
from rowvec.removal import remove_vectors
from rowvec.spec import SourcePin
from rowvec.spool import copy_name
from tests.copied_kit import Shelf, failed_task, table
from tests.worker_kit import PATIENCE

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


async def test_a_task_cancelled_while_nobody_works_on_it_leaves_no_copy(shelf: Shelf) -> None:
    """Whoever cancels it sees that it is over, and takes the copy away at once."""
    task_id = await shelf.submit_bytes(gzip.compress(table(35).encode()))
    shelf.embedder.held = "Größe"
    async with shelf.worker(grace=0):
        await shelf.embedder.entered.wait()
        await shelf.ledger.flag(task_id, Flag.PAUSE)
    assert await shelf.copy_size(task_id)

    assert (await steer.cancel(shelf.machine, task_id)).state is TaskState.CANCELLED
    assert await shelf.copy_size(task_id) is None


async def test_a_copy_stays_until_the_last_chunk_at_work_has_ended(shelf: Shelf) -> None:
    """Cancelling takes nothing from under a running chunk; once it has ended, housekeeping does it."""
    house = Housekeeping(shelf.machine)
    task_id = await shelf.submit_bytes(gzip.compress(table(35).encode()))
    shelf.embedder.held = "Größe 1,"
    async with shelf.worker():
        await shelf.embedder.entered.wait()
        held = await steer.cancel(shelf.machine, task_id)
        await house.quick()
        await house.slow()
        kept = await shelf.copy_size(task_id)
        shelf.embedder.opened.set()
        ended = await shelf.ledger.end_of(task_id)
    await house.quick()

    assert (held.hold, kept) == (Hold.CANCELLING, len(table(35).encode()))
    assert ended.state is TaskState.CANCELLED and ended.counts.upserted >= 10
    assert await shelf.copy_size(task_id) is None


async def test_copies_that_a_killed_process_left_go_and_those_still_needed_stay(shelf: Shelf) -> None:
    """A slow round looks at every task: who completed or was cancelled loses it, who may go on does not."""
    waiting = await shelf.submit_bytes(gzip.compress(table(3).encode()))
    await shelf.ledger.flag(waiting, Flag.PAUSE)
    failed = await failed_task(shelf)
    completed = await shelf.submit_bytes(gzip.compress(table(4).encode()))
    await shelf.end_of(completed)
    cancelled = await shelf.submit_bytes(gzip.compress(table(5).encode()))
    await shelf.ledger.flag(cancelled, Flag.CANCEL)
    for task_id in (waiting, failed, completed, cancelled):
        await shelf.machine.files.write(copy_name(task_id), b"id,text\n")

    await Housekeeping(shelf.machine).slow()

    sizes = [await shelf.copy_size(task_id) for task_id in (waiting, failed, completed, cancelled)]
    assert sizes == [8, 8, None, None]


async def test_all_pages_of_tasks_are_looked_at(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many there are."""
    monkeypatch.setattr(paging, "PAGE", 2)
    tasks = [await shelf.submit_bytes(gzip.compress(table(n).encode())) for n in range(1, 6)]
    for task_id in tasks:
        await shelf.ledger.flag(task_id, Flag.CANCEL)
        await shelf.machine.files.write(copy_name(task_id), b"id,text\n")
    await Housekeeping(shelf.machine).slow()

    assert [await shelf.copy_size(task_id) for task_id in tasks] == [None] * 5


async def test_a_copy_that_is_finished_after_the_task_was_cancelled_goes(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker taken for dead finishes its copy of a task that has ended: it takes it away itself."""
    task_id = await shelf.submit_bytes(gzip.compress(table(200).encode()))
    finished = asyncio.Event()
    source, store = type(shelf.machine.source("local")), type(shelf.machine.files)
    read, delete = source.read, store.delete

    async def losing(self: Any, pin: SourcePin, start: int, end: int) -> bytes:
        await shelf.ledger.bury([worker.id for worker in await shelf.ledger.workers()])
        await steer.cancel(shelf.machine, task_id)
        return await read(self, pin, start, end)

    async def watched(self: Any, name: str) -> None:
        there = await self.size(name)
        await delete(self, name)
        if there:
            finished.set()

    monkeypatch.setattr(source, "read", losing)
    monkeypatch.setattr(store, "delete", watched)
    async with shelf.worker():
        async with asyncio.timeout(PATIENCE):
            await finished.wait()

    assert (await shelf.ledger.task(task_id)).state is TaskState.CANCELLED
    assert await shelf.copy_size(task_id) is None


async def test_removing_its_vectors_takes_the_copy_and_the_retry_of_a_failed_task(shelf: Shelf) -> None:
    """Who takes the vectors out is done with the task: a retry is refused before anything is changed."""
    task_id = await failed_task(shelf)
    assert await remove_vectors(shelf.machine, task_id) == 25
    assert await shelf.copy_size(task_id) is None
    with pytest.raises(SourceChanged, match=copy_name(task_id)):
        await steer.retry(shelf.machine, task_id)
    assert (await shelf.ledger.task(task_id)).state is TaskState.FAILED


async def test_rounds_go_on_whatever_goes_wrong_in_one(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger that is away, and a fault of our own, cost a round each; the first is a slow one."""
    monkeypatch.setattr(housekeeping, "QUICK_SECONDS", 0.0)
    rounds: list[str] = []
    ended = asyncio.Event()

    class Clumsy(Housekeeping):
        async def slow(self) -> None:
            rounds.append("slow")
            raise Unavailable("the ledger is away")

        async def quick(self) -> None:
            rounds.append("quick")
            if len(rounds) < 3:
                raise ZeroDivisionError("a bug of ours")
            ended.set()

    running = asyncio.create_task(Clumsy(shelf.machine).run())
    async with asyncio.timeout(PATIENCE):
        await ended.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)

    assert rounds[:3] == ["slow", "quick", "quick"]
