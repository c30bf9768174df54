"""How a chunk's vectors come into the store: in requests side by side, not more than are good for it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from rowvec.vectors import VectorBatch
from rowvec.vectorstores.memory import MemoryStore
from rowvec.verify import verify
from tests.worker_kit import Workshop

pytestmark = pytest.mark.anyio

EXPECTED_AT_ONCE = 4
LINGER = 0.05
"""Seconds in which one more would come in, if it might."""


class Crowded(MemoryStore):
    """Counts who is inside, and lets nobody go before as many are inside as may be."""

    max_batch = 5

    def __init__(self) -> None:
        super().__init__()
        self.inside = 0
        self.most = 0
        self.full = asyncio.Event()

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        self.inside += 1
        self.most = max(self.most, self.inside)
        if self.inside == EXPECTED_AT_ONCE:
            self.full.set()
        await self.full.wait()
        await asyncio.sleep(LINGER)
        await super().upsert(namespace, batch)
        self.inside -= 1


async def test_requests_of_a_chunk_go_side_by_side(tmp_path: Path) -> None:
    """Four at a time, so that a slow store is waited for once and not ten times; all rows land."""
    shop = Workshop(tmp_path)
    store = Crowded()
    shop.machine = replace(shop.machine, store=store)
    shop.write([f"text of row {n}." for n in range(50)])
    ended = await shop.end_of(await shop.submit(chunk_size=50))
    assert (ended.counts.upserted, await store.count("default")) == (50, 50)
    assert store.most == EXPECTED_AT_ONCE


@pytest.mark.parametrize("words", [1, 12], ids=["one vector", "several passages"])
async def test_a_refused_row_takes_nothing_of_an_earlier_row_with_its_id(tmp_path: Path, words: int) -> None:
    """In another chunk, or from another task: what had landed stays, whole, and is what is counted."""
    shop = Workshop(tmp_path, max_tokens=8)
    kept, refused = ("one two " * words, "one two " * (words - 1) + "poison")
    shop.store.poison = "poison"
    shop.write_pairs([("a", kept), ("b", "something else"), ("a", refused)])
    ended = await shop.end_of(await shop.submit(chunk_size=2))
    stored = await shop.stored()

    assert (ended.counts.upserted, ended.counts.rejected) == (2, 1)
    assert set(stored.values()) == {1, 2}
    assert len(stored) == ended.counts.passages
    assert (await verify(shop.machine, ended.id)).ok

    shop.write_pairs([("a", refused)])
    await shop.end_of(await shop.submit())
    assert await shop.stored() == stored
