"""What was paid for is kept until it has landed, and no longer, and not without end."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from rowvec.errors import QuotaExhausted
from rowvec.kept import Kept
from rowvec.model import Chunk, Claim, Flag, Hold, PlannedChunk, TaskState, WorkKind
from rowvec.vectors import VectorBatch
from tests.worker_kit import WatchedStore, Workshop

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("quiet")]


@dataclass
class Job:
    texts: list[str] = field(default_factory=lambda: ["a", "b"])
    nbytes: int = 10
    busy: bool = False


@pytest.fixture
async def claims(tmp_path: Path) -> list[Claim]:
    """Claims of the chunks 0 to 4 of one task."""
    shop = Workshop(tmp_path)
    shop.write(["a"])
    task = await shop.ledger.task(await shop.submit())
    plans = [PlannedChunk(n, 0, 1, 1, 1, 1) for n in range(5)]
    return [Claim(WorkKind.CHUNK, task, 1, Chunk(task.id, plan)) for plan in plans]


async def test_only_the_same_texts_of_the_same_chunk_are_found(claims: list[Claim]) -> None:
    """Not while somebody works on them, and not once they have landed."""
    kept: Kept[Job] = Kept()
    job = Job()
    kept.put(claims[0], job)
    assert kept.find(claims[0], ["a", "b"]) is job
    assert kept.find(claims[0], ["a"]) is None and kept.find(claims[1], ["a", "b"]) is None
    job.busy = True
    assert kept.find(claims[0], ["a", "b"]) is None
    job.busy = False
    kept.drop(claims[0])
    assert kept.find(claims[0], ["a", "b"]) is None


async def test_the_oldest_are_forgotten(claims: list[Claim]) -> None:
    """What is kept has a bound in bytes; one that alone is too large is not kept."""
    kept: Kept[Job] = Kept(most_bytes=30)
    for claim in claims[:4]:
        kept.put(claim, Job())
    assert [bool(kept.find(claim, ["a", "b"])) for claim in claims[:4]] == [False, True, True, True]
    kept.put(claims[4], Job(nbytes=31))
    assert not any(kept.find(claim, ["a", "b"]) for claim in claims)


async def test_work_that_is_no_chunk_is_not_kept(claims: list[Claim]) -> None:
    """Settling embeds a row here and there, and has nothing to find again."""
    kept: Kept[Job] = Kept()
    settling = replace(claims[0], kind=WorkKind.SETTLE, chunk=None)
    kept.put(settling, Job())
    kept.drop(settling)
    assert kept.find(settling, ["a", "b"]) is None


class EmptyAccount(WatchedStore):
    """A vector store whose first write nobody has paid for."""

    refusals = 1

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        if self.refusals:
            self.refusals -= 1
            raise QuotaExhausted("the store wants money")
        await super().upsert(namespace, batch)


async def test_a_store_that_wants_money_costs_no_embedding_twice(tmp_path: Path) -> None:
    """The vectors of the paused chunk are kept; once resumed they are stored as they are."""
    shop = Workshop(tmp_path)
    shop.store = EmptyAccount()
    shop.machine = replace(shop.machine, store=shop.store)
    texts = [f"text of row {n}." for n in range(50)]
    shop.write(texts)
    task_id = await shop.submit()
    async with shop.worker():
        held = await shop.ledger.until(task_id, lambda task: task.hold is Hold.PAUSED)
        await shop.ledger.flag(task_id, Flag.RESUME)
        ended = await shop.ledger.end_of(task_id)
    assert held.reason == "the store wants money"
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 50)
    assert sorted(shop.embedder.given) == sorted(texts)
    assert len(await shop.stored()) == 50
