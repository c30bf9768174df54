"""What a worker does when callers steer, providers refuse, sources change, and leases are lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from math import ceil, log2
from pathlib import Path

import pytest

from rowvec import steer
from rowvec.errors import QuotaExhausted, RateLimited, SourceChanged
from rowvec.model import ChunkState, Flag, Hold, Task, TaskState
from rowvec.rejected import rejections
from rowvec.vectors import Embedding
from rowvec.verify import verify
from tests.worker_kit import WatchedEmbedder, Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]

MISSES_OF_A_LEASE = 7
"""A worker beats six times in a lease."""


def is_paused(task: Task) -> bool:
    return task.hold is Hold.PAUSED


@pytest.fixture
def shop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def numbered(rows: int) -> list[str]:
    return [f"text of row {n}." for n in range(rows)]


# Steering


async def test_a_paused_task_gets_no_more_work_and_resumes_without_paying_twice(shop: Workshop) -> None:
    """What is at work ends, a free worker begins nothing more; after resuming all rows land once."""
    shop.write(numbered(100))
    shop.embedder.held = "row 0."
    paused = await shop.submit()
    async with shop.worker():
        await shop.embedder.entered.wait()
        await shop.ledger.flag(paused, Flag.PAUSE, "lunch")
        shop.embedder.opened.set()
        begun = await shop.ledger.until(paused, lambda task: task.chunks_done > 0)
        other = await shop.submit(namespace="other")
        await shop.ledger.end_of(other)
        resting = await shop.ledger.task(paused)
        assert (resting.hold, resting.reason) == (Hold.PAUSED, "lunch")
        assert begun.chunks_done <= resting.chunks_done <= 2

        await shop.ledger.flag(paused, Flag.RESUME)
        ended = await shop.ledger.end_of(paused)

    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 100)
    assert len(shop.embedder.given) == 100 + 100


async def test_a_cancelled_task_lets_its_chunks_end_and_keeps_what_landed(shop: Workshop) -> None:
    """The counts of a cancelled task are those of its finished chunks, and the store holds exactly them."""
    shop.write(numbered(100))
    shop.embedder.held = "row 0."
    task_id = await shop.submit()
    async with shop.worker():
        await shop.embedder.entered.wait()
        await shop.ledger.flag(task_id, Flag.CANCEL)
        shop.embedder.opened.set()
        ended = await shop.ledger.end_of(task_id)

    assert ended.state is TaskState.CANCELLED
    assert 0 < ended.counts.upserted <= 20
    assert len(await shop.stored()) == ended.counts.upserted


# Refusals


async def test_a_rate_limit_keeps_the_batch_and_counts_no_failure(shop: Workshop) -> None:
    """After a 429 the same texts are sent again; no chunk is handed back for it."""
    shop.write(numbered(10))
    shop.embedder.failures = [RateLimited("slow down", 0.001), RateLimited("slower", 0.001)]

    ended = await shop.end_of(await shop.submit())
    (chunk,) = await shop.ledger.chunks(ended.id)

    assert (ended.state, chunk.attempts, chunk.fence) == (TaskState.COMPLETED, 0, 1)
    assert shop.embedder.calls == 3
    assert shop.embedder.given == numbered(10)


async def test_a_refused_text_is_found_by_halving_and_only_its_row_is_rejected(shop: Workshop) -> None:
    """One bad text among 64 costs at most two calls for each halving, and no other row."""
    shop.write(numbered(64))
    shop.embedder.poison = "row 37."

    ended = await shop.end_of(await shop.submit(chunk_size=64))
    refused = [note async for note in rejections(shop.machine, ended.id)]

    assert (ended.state, ended.counts.upserted, ended.counts.rejected) == (TaskState.COMPLETED, 63, 1)
    assert [(note.row, note.code, note.content) for note in refused] == [
        (38, "refused-by-embedder", "row-37,text of row 37.")
    ]
    assert "row-37" not in await shop.stored()
    assert shop.embedder.calls <= 2 * ceil(log2(64)) + 1
    assert sorted(shop.embedder.given) == sorted(set(numbered(64)) - {"text of row 37."})


async def test_a_row_whose_passage_the_store_refuses_leaves_nothing_behind(tmp_path: Path) -> None:
    """A row lands whole or not at all, also when the store refuses one of its passages."""
    shop = Workshop(tmp_path, max_tokens=8)
    long = " ".join(f"word{n}" for n in range(20))
    shop.write({"whole": "short", "broken": f"{long} poison {long}", "also": long})
    shop.store.poison = "poison"

    ended = await shop.end_of(await shop.submit())
    refused = [note async for note in rejections(shop.machine, ended.id)]
    stored = await shop.stored()

    assert [(note.row, note.code) for note in refused] == [(2, "refused-by-store")]
    assert {identity.partition("#")[0] for identity in stored} == {"whole", "also"}
    assert ended.counts.passages == len(stored) > 3
    assert (await verify(shop.machine, ended.id)).ok


async def test_an_empty_account_pauses_the_task_and_nothing_committed_is_paid_again(shop: Workshop) -> None:
    """The task waits with the provider's reason; once there is money again it goes on where it stood."""
    shop.write(numbered(100))
    shop.embedder.ailing = {"row 50.": QuotaExhausted("no units left")}
    task_id = await shop.submit()
    async with shop.worker():
        held = await shop.ledger.until(task_id, is_paused)
        shop.embedder.ailing = {}
        await shop.ledger.flag(task_id, Flag.RESUME)
        ended = await shop.ledger.end_of(task_id)

    assert held.reason == "no units left"
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 100)
    assert sorted(shop.embedder.given) == sorted(numbered(100))


class SlowRefusal(WatchedEmbedder):
    """An account that is refused once for each of two texts; `late` hears of it once `opened` is set."""

    def __init__(self) -> None:
        super().__init__()
        self.refused = {"soon", "late"}

    async def embed(self, texts: Sequence[str]) -> Embedding:
        (text,) = texts
        if text not in self.refused:
            return await super().embed(texts)
        self.refused.remove(text)
        if text == "late":
            self.entered.set()
            await self.opened.wait()
        else:
            await self.entered.wait()
        raise QuotaExhausted("no units left")


async def test_a_task_that_goes_on_is_not_paused_for_what_was_refused_before(shop: Workshop) -> None:
    """A person has paid and resumed; what comes in late is the answer to a request of before."""
    embedder = SlowRefusal()
    shop.machine = replace(shop.machine, embedder=embedder)
    shop.write(["soon", "late"])
    task_id = await shop.submit(chunk_size=1)
    async with shop.worker():
        await shop.ledger.until(task_id, is_paused)
        await shop.ledger.flag(task_id, Flag.RESUME)
        embedder.opened.set()
        ended = await shop.ledger.until(task_id, lambda task: task.state.ended or is_paused(task))
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 2)


# Failures


async def test_a_source_that_changes_fails_the_task_with_the_reason_and_cannot_be_retried(
    shop: Workshop,
) -> None:
    """Rows of two versions never mix: the chunks say what happened, and a retry is refused."""
    shop.write(numbered(100))
    shop.embedder.held = "row 0."
    task_id = await shop.submit()
    async with shop.worker():
        await shop.embedder.entered.wait()
        await shop.ledger.until(task_id, lambda task: task.planned)
        shop.write(reversed(numbered(100)))
        shop.embedder.opened.set()
        ended = await shop.ledger.end_of(task_id)
    failed = await shop.ledger.chunks(task_id, state=ChunkState.FAILED)

    assert ended.state is TaskState.FAILED
    assert ended.counts.accounted + ended.rows_failed == 100
    assert len(failed) >= 8
    assert {chunk.error for chunk in failed} == {
        "The file 'rows.csv' has changed since it was submitted. Submit it again."
    }
    with pytest.raises(SourceChanged, match="has changed since the task was submitted"):
        await steer.retry(shop.machine, task_id)


async def test_a_fault_is_tried_a_few_times_and_a_retry_does_only_what_failed(shop: Workshop) -> None:
    """A chunk that keeps failing is given up with the fault's words; the others are done once."""
    shop.write(numbered(50))
    shop.embedder.ailing = {"row 23.": ZeroDivisionError("a bug of ours")}

    failed = await shop.end_of(await shop.submit())
    (chunk,) = await shop.ledger.chunks(failed.id, state=ChunkState.FAILED)
    shop.embedder.ailing = {}
    await steer.retry(shop.machine, failed.id)
    ended = await shop.end_of(failed.id)

    assert (failed.state, failed.rows_failed, failed.counts.upserted) == (TaskState.FAILED, 10, 40)
    assert (chunk.plan.number, chunk.error) == (2, "gave up after 3 attempts: a bug of ours")
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 50)
    assert sorted(shop.embedder.given) == sorted(numbered(50))


async def test_a_ledger_that_is_away_for_a_moment_loses_nothing(shop: Workshop) -> None:
    """Claims and commits are repeated until the ledger is back, and nothing is embedded again for it."""
    shop.write(numbered(50))
    task_id = await shop.submit()
    shop.ledger.outages = {"claim": 2, "append_chunks": 1, "commit": 2, "settled": 1}

    ended = await shop.end_of(task_id)

    assert not any(shop.ledger.outages.values())
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 50)
    assert len(await shop.stored()) == 50
    assert sorted(shop.embedder.given) == sorted(numbered(50))


async def test_a_store_that_is_away_for_a_while_costs_no_embedding_twice(shop: Workshop) -> None:
    """Vectors that are paid for stay in hand until the store takes them."""
    shop.write(numbered(50))
    shop.store.outages = 3

    ended = await shop.end_of(await shop.submit())

    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 50)
    assert sorted(shop.embedder.given) == sorted(numbered(50))
    assert [chunk.attempts for chunk in await shop.ledger.chunks(ended.id)] == [0] * 5


# Leases


async def test_a_buried_worker_neither_stores_nor_commits_what_it_had_begun(shop: Workshop) -> None:
    """Once the ledger counts a worker as dead, its work is another's: nothing of it comes in late."""
    shop.write(numbered(10))
    shop.embedder.held = "row 0."
    task_id = await shop.submit()
    async with shop.worker() as worker:
        await shop.embedder.entered.wait()
        await shop.ledger.bury([worker.id])
        shop.embedder.opened.set()
    (chunk,) = await shop.ledger.chunks(task_id)

    assert shop.embedder.given == numbered(10)
    assert shop.store.written == []
    assert (chunk.state, chunk.crashes, chunk.fence) == (ChunkState.READY, 1, 1)

    ended = await shop.end_of(task_id)

    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 10)
    assert len(shop.store.written) == 10


async def test_a_worker_that_was_buried_alive_rises_under_a_new_name(tmp_path: Path) -> None:
    """The same process goes on working, as somebody else, and drops what it held."""
    shop = Workshop(tmp_path, lease_seconds=1.0)
    shop.write(numbered(10))
    shop.embedder.held = "row 0."
    task_id = await shop.submit()
    async with shop.worker() as worker:
        await shop.embedder.entered.wait()
        name = worker.id
        await shop.ledger.bury([name])
        await shop.ledger.until_risen(name)
        shop.embedder.opened.set()
        ended = await shop.ledger.end_of(task_id)

    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 10)
    assert worker.id != name
    assert len(shop.store.written) == 10


async def test_work_is_given_back_when_only_the_workers_own_clock_ran_out(tmp_path: Path) -> None:
    """A worker whose beats came too late for itself, not for the ledger, leaves nothing claimed."""
    shop = Workshop(tmp_path, lease_seconds=0.3)
    shop.write(numbered(10))
    shop.embedder.held = "row 0."
    shop.ledger.sweeps = False
    task_id = await shop.submit()
    async with shop.worker():
        await shop.embedder.entered.wait()
        shop.ledger.deaf = True
        await shop.ledger.until_missed(MISSES_OF_A_LEASE)
        shop.embedder.opened.set()
        await shop.ledger.until_missed(MISSES_OF_A_LEASE)
        shop.ledger.deaf = False
        ended = await shop.ledger.end_of(task_id)

    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 10)
    assert len(shop.store.written) == 10


# Stopping


async def test_a_stopping_worker_ends_what_it_has_begun_and_leaves(shop: Workshop) -> None:
    """Within its grace the chunks at work are committed, no new ones are begun, and the ledger forgets it."""
    shop.write(numbered(100))
    shop.embedder.held = "row 0."
    task_id = await shop.submit()
    stop = asyncio.Event()
    async with shop.worker(stop):
        await shop.embedder.entered.wait()
        stop.set()
        shop.embedder.opened.set()
    task = await shop.ledger.task(task_id)

    assert await shop.ledger.workers() == []
    assert await shop.ledger.chunks(task_id, state=ChunkState.CLAIMED) == []
    assert 0 < task.chunks_done <= 2


async def test_a_stopping_worker_hands_back_what_does_not_end_in_time(shop: Workshop) -> None:
    """After its grace a worker leaves; its chunk is ready at once, and counts neither crash nor failure."""
    shop.write(numbered(10))
    shop.embedder.held = "row 0."
    task_id = await shop.submit()
    async with shop.worker(grace=0.01):
        await shop.embedder.entered.wait()
    (chunk,) = await shop.ledger.chunks(task_id)

    assert await shop.ledger.workers() == []
    assert (chunk.state, chunk.crashes, chunk.attempts) == (ChunkState.READY, 0, 0)
    assert shop.store.written == []


# Planning


async def test_chunks_are_begun_while_the_table_is_still_being_planned(shop: Workshop) -> None:
    """A worker that looks by itself only once an hour takes the first chunks as soon as they are there."""
    shop.write(numbered(2_000))
    task_id = await shop.submit()
    shop.ledger.plans_wait_for_a_chunk = True
    async with shop.worker(poll=3600.0):
        task = await shop.ledger.end_of(task_id)
    assert (task.state, task.chunks_done) == (TaskState.COMPLETED, 200)
