"""What a worker has paid for and not committed has its bounds; one chunk is read ahead, unpaid."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rowvec.in_flight import ENOUGH_LEFT, InFlight, allowance, most_in_flight
from rowvec.ledgers.memory import MemoryLedger
from rowvec.model import ChunkState, Task, TaskState
from rowvec.vectors import Embedding
from tests.contracts.ledger_kit import spec
from tests.virtual_time import run
from tests.worker_kit import WatchedEmbedder, Workshop


class Counting(WatchedEmbedder):
    """How many calls there were at once, at most."""

    in_flight = 16
    now = most = 0

    async def embed(self, texts: Sequence[str]) -> Embedding:
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            return await super().embed(texts)
        finally:
            self.now -= 1


@pytest.mark.anyio
async def test_a_worker_reads_one_chunk_ahead_and_pays_for_no_more_than_it_may(tmp_path: Path) -> None:
    shop = Workshop(tmp_path)
    embedder = Counting()
    shop.machine, shop.embedder = replace(shop.machine, embedder=embedder), embedder
    shop.write([f"text of row {n}." for n in range(40)])
    embedder.held = "text"
    task_id = await shop.submit(chunk_size=1)

    async def claimed() -> int:
        chunks = await shop.ledger.chunks(task_id)
        return sum(chunk.state is ChunkState.CLAIMED for chunk in chunks)

    async with shop.worker():
        async with asyncio.timeout(30):
            while (await claimed(), embedder.now) != (3, 2):
                await asyncio.sleep(0.01)
        embedder.opened.set()
        ended = await shop.ledger.end_of(task_id)
    assert (ended.state, embedder.most) == (TaskState.COMPLETED, 2)
    assert len(await shop.stored()) == 40


def task_of(rows: int, done: int, task: Task) -> Task:
    """Of chunks of ten rows."""
    cut = replace(task.spec, chunk_size=10)
    return replace(task, spec=cut, rows_planned=rows, chunks_total=-(-rows // 10), chunks_done=done)


@pytest.mark.anyio
async def test_nobody_reads_ahead_of_the_last_chunks(tmp_path: Path) -> None:
    """They are for whoever has nothing to do."""
    shop = Workshop(tmp_path)
    shop.write(["a row"])
    some = await shop.ledger.task(await shop.submit())
    left = 2 * ENOUGH_LEFT
    assert [allowance(task_of(500, 50 - more, some)) for more in (left + 1, left, 1)] == [3, 2, 2]
    assert [most_in_flight(task_of(rows, 0, some)) for rows in (1, 1_000, 1_500, 10_000)] == [2, 2, 3, 20]


def test_room_is_given_up_by_whoever_fails_or_is_cancelled() -> None:
    """And never taken by more than there is room for."""

    async def check() -> None:
        flight, inside, most = InFlight(), 0, 0
        task = (await MemoryLedger().submit(spec("a"))).task

        async def chunk(place: int) -> None:
            nonlocal inside, most
            async with flight.room(task):
                inside += 1
                most = max(most, inside)
                try:
                    await asyncio.sleep(1 + place % 3)
                    if place % 4 == 0:
                        raise ValueError(place)
                finally:
                    inside -= 1

        chunks = [asyncio.create_task(chunk(place)) for place in range(20)]
        await asyncio.sleep(2.5)
        for place in (2, 7, 19):
            chunks[place].cancel()
        ended = await asyncio.gather(*chunks, return_exceptions=True)
        assert sum(one is None for one in ended) >= 12
        assert (most, inside) == (2, 0)

    run(check())
