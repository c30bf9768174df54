"""What every ledger promises of looks at many chunks, and of retrying some, held against every backend."""

from __future__ import annotations

import pytest

from rowvec.errors import InvalidRequest, UnknownTask, WrongState
from rowvec.ledgers.base import Ledger
from rowvec.model import ChunkState, Counts, Flag, Mark, ProviderPause, Task, TaskState
from rowvec.usage import Usage
from tests.contracts.ledger_kit import (
    READ,
    ROWS,
    Clock,
    commit,
    give_up,
    number_of,
    plan_claim,
    planned_task,
    settle_claim,
    worker,
)

pytestmark = pytest.mark.anyio

TAKEN = Counts(read=ROWS, upserted=ROWS, passages=ROWS, embedded=ROWS)
"""What a chunk comes to of which no row was rejected."""


async def failed_task(ledger: Ledger, chunks: int, failing: int) -> Task:
    """A failed task whose first chunks failed and whose other chunks are done."""
    task = await planned_task(ledger, chunks)
    for claim in await ledger.claim("w", chunks):
        await (give_up if number_of(claim) < failing else commit)(ledger, claim)
    ended = await ledger.task(task.id)
    assert (ended.state, ended.chunks_failed) == (TaskState.FAILED, failing)
    return ended


# Marks


async def test_a_chunk_keeps_who_did_it_and_when(ledger: Ledger, clock: Clock) -> None:
    """From its claim to its end; what is handed back keeps its last try until the next one begins."""
    task = await planned_task(ledger, 3)
    done, failed, back = await ledger.claim("w", 3)
    clock.at += 2.5
    await commit(ledger, done)
    await give_up(ledger, failed)
    await ledger.hand_back(task.id, number_of(back), back.fence, "busy", 0.0)
    chunks = await ledger.chunks(task.id)
    begun, ended = clock.at - 2.5, clock.at
    assert [(c.last_worker, c.started_at, c.ended_at) for c in chunks] == [
        ("w", begun, ended),
        ("w", begun, ended),
        ("w", begun, None),
    ]
    clock.at += 1
    await ledger.claim("v", 1)
    (again,) = await ledger.chunks(task.id, state=ChunkState.CLAIMED)
    assert (again.last_worker, again.started_at, again.ended_at) == ("v", clock.at, None)


async def test_marks_are_the_chunks_in_short(ledger: Ledger, clock: Clock) -> None:
    """State, tries, rejected rows and times of every chunk, by number."""
    begun, ended = 1_795_847_563.2008054, 1_795_847_566.2008057
    clock.at = begun
    task = await planned_task(ledger, 5)
    done, failed, back, _ = await ledger.claim("w", 4)
    clock.at = ended
    await commit(ledger, done)
    await give_up(ledger, failed)
    await ledger.hand_back(task.id, number_of(back), back.fence, "busy", ended + 60)
    assert await ledger.marks(task.id) == [
        Mark(0, ChunkState.DONE, 0, READ.rejected, 0.0, begun, ended),
        Mark(1, ChunkState.FAILED, 0, 0, 0.0, begun, ended),
        Mark(2, ChunkState.READY, 1, 0, ended + 60, begun, None),
        Mark(3, ChunkState.CLAIMED, 0, 0, 0.0, begun, None),
        Mark(4, ChunkState.READY, 0, 0, 0.0, None, None),
    ]
    await ledger.bury(["w"])
    assert await ledger.marks(task.id) == [Mark.of(chunk) for chunk in await ledger.chunks(task.id)]
    assert (await ledger.marks(task.id))[3].tries == 1


async def test_marks_come_in_pages(ledger: Ledger) -> None:
    """After a number, and as many as asked for; of no task there are none."""
    task = await planned_task(ledger, 7)
    assert [mark.number for mark in await ledger.marks(task.id, limit=3)] == [0, 1, 2]
    assert [mark.number for mark in await ledger.marks(task.id, limit=3, after=4)] == [5, 6]
    assert await ledger.marks(task.id, after=6) == []
    with pytest.raises(InvalidRequest):
        await ledger.marks(task.id, limit=0)
    with pytest.raises(UnknownTask):
        await ledger.marks("nobody's")


async def test_chunks_of_which_rows_were_rejected(ledger: Ledger) -> None:
    """And no others, in pages, by number, as the chunks they are."""
    task = await planned_task(ledger, 7)
    for claim in await ledger.claim("w", 6):
        rejects = number_of(claim) in (1, 4, 5)
        await (commit(ledger, claim) if rejects else commit(ledger, claim, TAKEN))
    chunks = await ledger.chunks(task.id)
    assert await ledger.rejecting(task.id) == [chunks[1], chunks[4], chunks[5]]
    assert await ledger.rejecting(task.id, limit=2) == [chunks[1], chunks[4]]
    assert await ledger.rejecting(task.id, limit=2, after=4) == [chunks[5]]
    assert await ledger.rejecting(task.id, after=5) == []
    with pytest.raises(InvalidRequest):
        await ledger.rejecting(task.id, limit=0)
    with pytest.raises(UnknownTask):
        await ledger.rejecting("nobody's")


async def test_a_retry_forgets_the_times(ledger: Ledger) -> None:
    """A failed chunk that is ready again is as if it had never been tried."""
    task = await failed_task(ledger, 2, failing=1)
    await ledger.flag(task.id, Flag.RETRY)
    again = (await ledger.marks(task.id))[0]
    assert again == Mark(0, ChunkState.READY, 0, 0, 0.0, None, None)
    assert (await ledger.chunks(task.id))[0].last_worker is None


# Some failed chunks


async def test_retry_some_chunks(ledger: Ledger) -> None:
    """Only those are ready again, and only their rows are not failed any more; the rest ends it anew."""
    task = await failed_task(ledger, 5, failing=3)
    again = await ledger.retry_chunks(task.id, [0, 2, 4, 99])
    assert (again.state, again.chunks_failed, again.rows_failed) == (TaskState.PROCESSING, 1, ROWS)
    assert (again.error, again.completed_at) == (None, None)
    states = [(chunk.state, chunk.attempts) for chunk in await ledger.chunks(task.id)]
    assert states[:3] == [(ChunkState.READY, 0), (ChunkState.FAILED, 0), (ChunkState.READY, 0)]
    assert [state for state, _ in states[3:]] == [ChunkState.DONE] * 2
    claims = await ledger.claim("v", 9)
    assert [number_of(claim) for claim in claims] == [0, 2]
    for claim in claims:
        await commit(ledger, claim)
    ended = await ledger.task(task.id)
    assert (ended.state, ended.chunks_done, ended.chunks_failed) == (TaskState.FAILED, 4, 1)
    await ledger.flag(task.id, Flag.RETRY)
    assert [number_of(claim) for claim in await ledger.claim("v", 9)] == [1]


async def test_retry_many_chunks(ledger: Ledger) -> None:
    """More than one transaction takes; to ask twice is to ask once."""
    numbers = list(range(100))
    task = await planned_task(ledger, len(numbers))
    claims = await ledger.claim("w", len(numbers))
    while claims:
        for claim in claims:
            await give_up(ledger, claim)
        claims = await ledger.claim("w", len(numbers))
    again = await ledger.retry_chunks(task.id, numbers)
    assert (again.state, again.chunks_failed, again.rows_failed) == (TaskState.PROCESSING, 0, 0)
    assert await ledger.retry_chunks(task.id, numbers) == again
    ready = await ledger.chunks(task.id, state=ChunkState.READY)
    assert [chunk.plan.number for chunk in ready] == numbers


async def test_retry_while_at_work(ledger: Ledger) -> None:
    """A chunk that failed is tried again while others of its task are still at work."""
    task = await planned_task(ledger, 2)
    failing, other = await ledger.claim("w", 2)
    await give_up(ledger, failing)
    assert (await ledger.retry_chunks(task.id, [0])).chunks_failed == 0
    await commit(ledger, other)
    (claim,) = await ledger.claim("w", 5)
    await commit(ledger, claim)
    assert (await ledger.task(task.id)).state is TaskState.SETTLING


async def test_retry_of_a_task_that_failed_in_planning(ledger: Ledger) -> None:
    """With nothing to retry, nothing changes."""
    claim = await plan_claim(ledger)
    await ledger.fail(claim.task.id, claim.fence, "no table")
    before = await ledger.task(claim.task.id)
    assert await ledger.retry_chunks(claim.task.id, [0]) == before
    assert await ledger.retry_chunks(claim.task.id, []) == before


async def test_no_chunk_of_an_ended_task_is_retried(ledger: Ledger) -> None:
    """Neither of a completed one, nor of one that is paused, nor of none."""
    settle = await settle_claim(ledger)
    await ledger.settled(settle.task.id, settle.fence, 0, 0)
    task = await planned_task(ledger, 1, "b")
    await ledger.flag(task.id, Flag.PAUSE)
    for task_id in (settle.task.id, task.id):
        with pytest.raises(WrongState):
            await ledger.retry_chunks(task_id, [0])
    with pytest.raises(UnknownTask):
        await ledger.retry_chunks("nobody's", [0])


# Workers and providers


async def test_usage_travels_with_the_beat(ledger: Ledger) -> None:
    """As it was told last; a beat without any tells of nothing."""
    usage = Usage({"some-task": 2}, 120, 45_000, 3, 1.5, 50.0, None)
    assert await ledger.beat("w", 2, {}, usage)
    assert {w.id: w.usage for w in await ledger.workers()} == {"w": usage, "v": Usage()}
    assert await ledger.beat("w", 0)
    assert [w.usage for w in await ledger.workers()] == [Usage()] * 2
    await ledger.enlist(worker("x"))
    assert len(await ledger.workers()) == 3


async def test_providers_are_paused_and_resumed(ledger: Ledger, clock: Clock) -> None:
    """The first pause counts until it is resumed; each provider has its own."""
    assert await ledger.provider_pauses() == []
    first = await ledger.pause_provider("vector_store", "moving house")
    assert first == ProviderPause("vector_store", clock.at, "moving house")
    clock.at += 9
    assert await ledger.pause_provider("vector_store", "again") == first
    other = await ledger.pause_provider("embedder", "new contract")
    assert await ledger.provider_pauses() == [other, first]
    await ledger.resume_provider("vector_store")
    await ledger.resume_provider("vector_store")
    assert await ledger.provider_pauses() == [other]
    assert (await ledger.pause_provider("vector_store", "once more")).since == clock.at
