"""What a paused task has paid for is found by whoever goes on with it, and goes when nobody will."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowvec import handover, steer
from rowvec.embedders.memory import MemoryEmbedder
from rowvec.embedding import Job
from rowvec.errors import QuotaExhausted, Unavailable
from rowvec.filestores.folder import FolderStore
from rowvec.governor import Governor
from rowvec.housekeeping import Housekeeping
from rowvec.kept import Kept
from rowvec.model import Claim, Flag, Hold, Task, TaskState
from rowvec.paid import Paid
from rowvec.removal import remove_vectors
from rowvec.vectors import Embedding
from tests.worker_kit import WatchedEmbedder, Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]

TEXTS = [f"text of row {n}." for n in range(50)]


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    """Its embedder takes three texts a request, and wants money when it comes to row 7."""
    shop = Workshop(tmp_path)
    shop.embedder.max_inputs = 3
    shop.embedder.ailing = {"row 7.": QuotaExhausted("the embedder wants money")}
    shop.write(TEXTS)
    return shop


def another_process(shop: Workshop) -> None:
    """From now on a worker remembers nothing of what was."""
    shop.machine = replace(shop.machine, kept=Kept(), governor=Governor())


async def paused(shop: Workshop) -> str:
    """The id of a task that has run out of money in its first chunk; nobody works on it any more."""
    task_id = await shop.submit()
    async with shop.worker():
        await shop.ledger.until(task_id, lambda task: task.hold is Hold.PAUSED)
    return task_id


async def resumed(shop: Workshop, task_id: str) -> Task:
    shop.embedder.ailing.clear()
    await shop.ledger.flag(task_id, Flag.RESUME)
    return await shop.end_of(task_id)


async def put_down(shop: Workshop, task_id: str) -> list[str]:
    return await shop.machine.files.names(f"tasks/{task_id}/paid/")


async def test_another_process_pays_for_the_rest_only(shop: Workshop) -> None:
    """Every text is embedded once, lands with its own vector, and is counted; then nothing lies about."""
    task_id = await paused(shop)
    begun = len(shop.embedder.given)
    lying = await put_down(shop, task_id)
    another_process(shop)
    ended = await resumed(shop, task_id)

    assert 0 < begun < 50 and lying
    assert sorted(shop.embedder.given) == sorted(TEXTS)
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 50)
    assert ended.counts.tokens == (await shop.embedder.embed(TEXTS)).tokens
    for n, vector in enumerate((await shop.embedder.embed(TEXTS)).vectors):
        assert np.array_equal(shop.store._vectors("default")[f"row-{n}"].values, vector)
    assert await put_down(shop, task_id) == []


class FullStore(FolderStore):
    """Takes nothing that was paid for."""

    async def write(self, name: str, data: bytes) -> None:
        if "/paid/" in name:
            raise Unavailable("the file store is away")
        await super().write(name, data)


async def test_what_cannot_be_put_down_stays_with_the_worker(shop: Workshop, tmp_path: Path) -> None:
    """The task is paused and goes on all the same, and who has it all in hand pays for the rest only."""
    shop.machine = replace(shop.machine, files=FullStore(tmp_path / "files"))
    task_id = await paused(shop)
    ended = await resumed(shop, task_id)
    assert ended.counts.upserted == 50
    assert sorted(shop.embedder.given) == sorted(TEXTS)


class Till(WatchedEmbedder):
    """Bills what it is sent, whether anybody waits for the answer or not."""

    def __init__(self) -> None:
        super().__init__()
        self.billed: list[str] = []

    async def embed(self, texts: Sequence[str]) -> Embedding:
        self.billed += texts
        return await super().embed(texts)


class Opening(Kept[Job]):
    """What is asked of it when the worker has dropped its work lets the answers come."""

    def __init__(self, embedder: WatchedEmbedder) -> None:
        super().__init__()
        self._embedder = embedder

    def claims(self) -> list[Claim]:
        self._embedder.opened.set()
        return super().claims()


async def stopped(shop: Workshop) -> tuple[str, Till]:
    """The id of a task whose worker was told to stop with all its requests under way, and who billed them."""
    shop.embedder = till = Till()
    till.max_inputs = 3
    till.held = "row"
    shop.machine = replace(shop.machine, embedder=till, kept=Opening(till))
    task_id = await shop.submit()
    async with shop.worker(grace=0):
        await till.entered.wait()
    return task_id, till


async def test_a_stop_in_the_middle_of_a_chunk_costs_nothing(shop: Workshop) -> None:
    """The answers that were on their way are waited for, and another process asks for the rest only."""
    task_id, till = await stopped(shop)
    billed, lying = len(till.billed), await put_down(shop, task_id)
    another_process(shop)
    ended = await shop.end_of(task_id)

    assert 0 < billed < 50 and lying
    assert sorted(till.billed) == sorted(TEXTS)
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 50)
    assert ended.counts.tokens == (await shop.embedder.embed(TEXTS)).tokens
    assert await put_down(shop, task_id) == []


class StuckStore(FolderStore):
    """Never done with anything that was paid for."""

    async def write(self, name: str, data: bytes) -> None:
        if "/paid/" in name:
            await asyncio.Event().wait()
        await super().write(name, data)


async def test_a_file_store_that_is_stuck_does_not_keep_a_worker_from_stopping(
    shop: Workshop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It leaves the ledger all the same, and the work goes on."""
    monkeypatch.setattr(handover, "LAST_SECONDS", 0.0)
    shop.machine = replace(shop.machine, files=StuckStore(tmp_path / "files"))
    task_id, _ = await stopped(shop)
    assert not [one for one in await shop.ledger.workers() if one.alive]
    another_process(shop)
    assert (await shop.end_of(task_id)).counts.upserted == 50


async def test_what_is_put_down_after_the_task_was_cancelled_goes_at_once(shop: Workshop) -> None:
    """By the worker itself, which nobody waited for."""

    class Cancelling(Opening):
        def claims(self) -> list[Claim]:
            cancelling.append(asyncio.ensure_future(gone()))
            return super().claims()

    async def gone() -> None:
        await shop.ledger.bury([one.id for one in await shop.ledger.workers()])
        await steer.cancel(shop.machine, task_id)

    cancelling: list[asyncio.Future[None]] = []
    shop.embedder = till = Till()
    till.held = "row"
    shop.machine = replace(shop.machine, embedder=till, kept=Cancelling(till))
    task_id = await shop.submit()
    async with shop.worker(grace=0):
        await till.entered.wait()
    await asyncio.gather(*cancelling)
    assert (await shop.ledger.task(task_id)).state is TaskState.CANCELLED
    assert await put_down(shop, task_id) == []


async def cancelled(shop: Workshop, task_id: str) -> None:
    await steer.cancel(shop.machine, task_id)


async def cancelled_while_at_work(shop: Workshop, task_id: str) -> None:
    """As where a worker puts it down after whoever cancelled has looked."""
    await shop.ledger.flag(task_id, Flag.CANCEL)
    await Housekeeping(shop.machine).quick()


async def removed(shop: Workshop, task_id: str) -> None:
    await shop.ledger.flag(task_id, Flag.CANCEL)
    await remove_vectors(shop.machine, task_id)


@pytest.mark.parametrize("end", [cancelled, cancelled_while_at_work, removed])
async def test_nothing_is_left_of_a_task_that_will_not_go_on(
    shop: Workshop, end: Callable[[Workshop, str], Awaitable[None]]
) -> None:
    """Whichever way it ended."""
    task_id = await paused(shop)
    assert await put_down(shop, task_id)
    await end(shop, task_id)
    assert await put_down(shop, task_id) == []


async def test_what_a_process_left_that_died_over_it_goes_and_nothing_from_under_a_chunk(
    shop: Workshop,
) -> None:
    """Between the end of a task in the ledger and the removal of what it had paid for."""
    task_id = await paused(shop)
    [name] = await put_down(shop, task_id)
    lying = await shop.machine.files.read(name)
    await Housekeeping(shop.machine).slow()
    assert await put_down(shop, task_id) == [name]
    shop.embedder.held = "row 7."
    async with shop.worker():
        shop.embedder.ailing.clear()
        await shop.ledger.flag(task_id, Flag.RESUME)
        await shop.embedder.entered.wait()
        await Housekeeping(shop.machine).slow()
        at_work = await put_down(shop, task_id)
        shop.embedder.opened.set()
        await shop.ledger.end_of(task_id)
    await shop.machine.files.write(name, lying)
    await Housekeeping(shop.machine).slow()
    assert (at_work, await put_down(shop, task_id)) == ([name], [])


def job(texts: list[str], dimension: int = 4) -> Job:
    return Job(MemoryEmbedder(dimension), Governor(), texts, list(range(len(texts))))


@given(st.lists(st.tuples(st.text(), st.sampled_from(["open", "taken", "refused"])), min_size=1))
def test_what_is_picked_up_is_what_was_put_down(answers: list[tuple[str, str]]) -> None:
    """Each vector in its place, each refusal with its reason; nothing for other texts or another model."""
    texts = [text for text, _ in answers]
    begun = job(texts)
    for n, (_, answer) in enumerate(answers):
        if answer == "taken":
            begun.take(n, n + 1, Embedding(np.full((1, 4), n, np.float32), 10 + n))
        elif answer == "refused":
            begun.refuse(n, f"reason {n}")
    paid = msgspec.msgpack.decode(msgspec.msgpack.encode(begun.paid()), type=Paid)

    for other in (job([*texts, "one more"]), job(texts, 5), job([texts[0] + "x", *texts[1:]])):
        other.recall(paid)
        assert not other._done.any() and other.out.tokens == 0
    again = job(texts)
    again.recall(paid)
    assert [bool(done) for done in again._done] == [answer != "open" for _, answer in answers]
    assert (again.out.refused, again.out.tokens) == (begun.out.refused, begun.out.tokens)
    for n, (_, answer) in enumerate(answers):
        assert answer != "taken" or again.out.vectors[n].tolist() == [n] * 4
