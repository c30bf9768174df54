"""Whole tasks into Pinecone: bad rows are found, storms are outlasted, and late visibility fools nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import ceil, log2
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from rowvec.model import TaskState
from rowvec.rejected import rejections
from rowvec.removal import remove_vectors
from rowvec.vectors import Stamp, VectorBatch
from rowvec.vectorstores.pinecone import PineconeStore
from rowvec.vectorstores.pinecone.freshness import Freshness
from rowvec.verify import verify
from standins.pinecone.settings import KEY
from standins.process import Standin
from tests.pinecone.test_errors import where
from tests.worker_kit import Workshop

pytestmark = pytest.mark.anyio

Shop = Callable[..., Workshop]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Failures that are meant to happen are logged to nobody."""
    with capture_logs():
        yield


@pytest.fixture
def make_shop(tmp_path: Path, store: PineconeStore) -> Shop:
    """A machine whose vectors go to Pinecone."""

    def make(max_tokens: int = 8_192) -> Workshop:
        shop = Workshop(tmp_path, max_tokens)
        shop.machine = replace(shop.machine, store=store)
        return shop

    return make


async def test_rows_that_pinecone_refuses_are_found_by_halving(
    make_shop: Shop, store: PineconeStore, standin: Standin
) -> None:
    """One in a thousand rows is refused, without a word which: just those are rejected, at a known price."""
    shop = make_shop()
    bad = {517, 1_003, 2_999}
    shop.write([f"text {'of poison' if n in bad else 'of row'} {n}." for n in range(3_000)])
    await store.prepare("default", 8)
    standin.set(refuse="poison")
    ended = await shop.end_of(await shop.submit(chunk_size=1_000))
    refused = [note.row async for note in rejections(shop.machine, ended.id, "rejected")]

    assert sorted(refused) == sorted(n + 1 for n in bad)
    assert (ended.counts.upserted, ended.counts.rejected) == (2_997, 3)
    clean = -(-3_000 // 1_000)
    extra = standin.counters()["upsert"] - clean
    assert 2 * ceil(log2(1_000)) + 1 == 21
    assert extra <= 21 * len(bad)
    assert standin.ask("/_standin/summary", where(store) | {"namespace": "default"})["vectors"] == 2_997


async def test_a_storm_loses_and_doubles_nothing(
    make_shop: Shop, store: PineconeStore, standin: Standin
) -> None:
    """Errors, cut answers, and work that was done but not told of: every row is there once."""
    shop = make_shop()
    shop.write([f"text of row {n}." for n in range(400)])
    standin.set(
        faults={"unavailable": 0.1, "internal": 0.1, "cut": 0.1, "done-unavailable": 0.1}, faulty=["upsert"]
    )
    ended = await shop.end_of(await shop.submit(chunk_size=40))
    standin.set(faults={})
    assert (ended.state, ended.counts.upserted) == (TaskState.COMPLETED, 400)
    landed = standin.ask("/_standin/landed", where(store) | {"namespace": "default"})
    assert sorted(landed) == sorted(f"row-{n}" for n in range(400))
    assert (await verify(shop.machine, ended.id)).ok


async def test_a_row_that_shrinks_loses_its_old_passages(make_shop: Shop, standin: Standin) -> None:
    """Though reads come late, and the count much later, settling leaves only what the last task wrote."""
    standin.set(visible_after=0.2, counted_after=3_600)
    shop = make_shop(max_tokens=8)
    long = " ".join(f"word{n}" for n in range(30))
    shop.write({"shrinks": long, "grows": "short", "stays": long})
    await shop.end_of(await shop.submit())
    shop.write({"shrinks": "short", "grows": long, "stays": long})
    ended = await shop.end_of(await shop.submit())
    assert (await verify(shop.machine, ended.id)).ok
    left = {stamp.id for stamp in await shop.machine.store.all_stamps("default")}
    assert {"shrinks", "grows#1", "grows#2", "stays#1"} <= left
    assert not {"shrinks#1", "shrinks#2", "grows"} & left
    assert len(left) == ended.counts.passages


async def test_the_last_row_of_an_id_wins_though_reads_come_late(make_shop: Shop, standin: Standin) -> None:
    """A winner that was overtaken is seen to be so, and written again."""
    standin.set(visible_after=0.2)
    shop = make_shop()
    ended = await overtaken(shop)
    [stamp] = await shop.machine.store.stamps("default", ["row-0"])
    assert stamp.row_number == 20
    assert (await verify(shop.machine, ended)).ok


class Stale(PineconeStore):
    """Always tells the stamps it has told first, as an index might that gives no log numbers."""

    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:
        self.first = self.first or await super().stamps(namespace, row_ids)
        return self.first

    first: list[Stamp] | None = None


async def test_a_winner_is_never_taken_out(tmp_path: Path, standin: Standin) -> None:
    """Where a read still shows the loser although the winner has been written again, nothing is deleted."""
    store = Stale.open("pinecone://vectors", settings_of(standin))
    shop = Workshop(tmp_path)
    shop.machine = replace(shop.machine, store=store)
    await overtaken(shop)
    landed = standin.ask("/_standin/landed", {"index": "vectors", "namespace": "default"})
    assert sorted(landed) == sorted(f"row-{n}" for n in range(19))
    await store.close()


def settings_of(standin: Standin) -> dict[str, str]:
    return {"PINECONE_API_KEY": KEY, "PINECONE_CONTROLLER_HOST": standin.url}


async def overtaken(shop: Workshop) -> str:
    """A task that has ended, whose row 20 has the id of row 1, and landed before it."""
    shop.write_pairs([*[(f"row-{n}", f"text of row {n}.") for n in range(19)], ("row-0", "the last word")])
    shop.embedder.held = "row 0."
    task_id = await shop.submit()
    async with shop.worker():
        await shop.embedder.entered.wait()
        await shop.ledger.until(task_id, lambda task: task.chunks_done == 1)
        shop.embedder.opened.set()
        await shop.ledger.end_of(task_id)
    return task_id


class WrittenElsewhere(PineconeStore):
    """Knows nothing of its own writes, as if other processes had made them, until it catches up."""

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        await super().upsert(namespace, batch)
        if not self.caught_up:
            self._fresh = Freshness()

    async def catch_up(self, namespace: str) -> None:
        self.caught_up = True
        await super().catch_up(namespace)

    caught_up = False


async def test_settling_sees_what_other_workers_wrote(tmp_path: Path, standin: Standin) -> None:
    """Whoever settles has not written the chunks: it catches up with those who have."""
    standin.set(visible_after=0.5)
    store = WrittenElsewhere.open("pinecone://vectors", settings_of(standin))
    shop = Workshop(tmp_path)
    shop.machine = replace(shop.machine, store=store)
    ended = await overtaken(shop)
    standin.set(visible_after=0.0)
    [stamp] = await store.stamps("default", ["row-0"])
    assert stamp.row_number == 20
    assert (await verify(shop.machine, ended)).ok
    await store.close()


async def test_an_only_task_of_a_namespace_is_settled_without_reading_it(
    make_shop: Shop, standin: Standin
) -> None:
    """One question tells that nobody else has written here, however late Pinecone counts."""
    standin.set(counted_after=3_600)
    shop = make_shop()
    shop.write([f"text of row {n}." for n in range(100)])
    await shop.end_of(await shop.submit())
    assert standin.counters()["fetch records"] < 10


async def test_the_vectors_of_a_task_are_removed(
    make_shop: Shop, store: PineconeStore, standin: Standin
) -> None:
    """All that a task wrote goes, with its passages, and what a later task replaced stays."""
    standin.set(visible_after=0.1)
    shop = make_shop(max_tokens=8)
    shop.write({f"row-{n}": " ".join(f"word{k}" for k in range(20)) for n in range(30)})
    first = await shop.end_of(await shop.submit())
    shop.write({"row-0": "new", "row-1": "newer"})
    await shop.end_of(await shop.submit())
    removed = await remove_vectors(shop.machine, first.id)
    assert removed == first.counts.passages - first.counts.passages // 30 * 2
    assert sorted(stamp.id for stamp in await store.all_stamps("default")) == ["row-0", "row-1"]
