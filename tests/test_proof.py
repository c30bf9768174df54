"""A task that is to be verified is called completed only when the store holds what it has written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rowvec import steer
from rowvec.intake import TaskRequest, submit
from rowvec.model import Task, TaskState
from rowvec.spec import Verify
from rowvec.vectors import VectorBatch
from rowvec.verify import verify
from tests.worker_kit import WatchedStore, Workshop

pytestmark = pytest.mark.anyio
ROWS = [(f"row-{n}", f"text of row {n}.") for n in range(30)]


class Forgetful(WatchedStore):
    """Once, it says that it has written what it has not: `loses` are ids, `mixes` ids that get another row's
    stamp, `invents` ids that come beside what was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.loses = self.mixes = self.invents = frozenset[str]()

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        numbers = [
            -1 if id_ in self.mixes else n for id_, n in zip(batch.ids, batch.row_numbers, strict=True)
        ]
        await super().upsert(namespace, replace(batch, row_numbers=numbers))
        await self.delete(namespace, [id_ for id_ in batch.ids if id_ in self.loses])
        for id_ in self.invents:
            one = replace(batch, ids=[id_], row_ids=[id_], row_numbers=[10_000], vectors=batch.vectors[:1])
            await super().upsert(namespace, replace(one, texts=batch.texts[:1], metadata=batch.metadata[:1]))

    def mend(self) -> None:
        self.loses = self.mixes = self.invents = frozenset()


def shop_of(folder: Path) -> tuple[Workshop, Forgetful]:
    store = Forgetful()
    shop = Workshop(folder)
    shop.store = store
    shop.machine = replace(shop.machine, store=store)
    shop.write_pairs(ROWS)
    return shop, store


async def submitted(shop: Workshop, extent: Verify | None) -> str:
    await shop.ledger.ready()
    wish = TaskRequest(
        "local", "rows.csv", "default", 10, id_column="id", text_columns=["text"], verify=extent
    )
    return (await submit(shop.machine, wish)).task.id


async def ended(shop: Workshop, extent: Verify | None) -> Task:
    return await shop.end_of(await submitted(shop, extent))


@pytest.mark.parametrize("extent", [Verify.ALL, Verify.SAMPLE])
async def test_what_is_missing_fails_the_task_and_a_retry_writes_it_again(
    tmp_path: Path, extent: Verify
) -> None:
    """Of a table this small a sample is all rows."""
    shop, store = shop_of(tmp_path)
    store.loses = frozenset({"row-3", "row-17"})
    failed = await ended(shop, extent)

    assert failed.state is TaskState.FAILED
    assert failed.error is not None
    assert "Of 30 vectors that were looked at: 2 missing ('row-3', 'row-17')." in failed.error
    assert "Retry the task" in failed.error
    assert (failed.counts.read, failed.unprocessed) == (30, 0)
    assert (await verify(shop.machine, failed.id)).missing == ["row-3", "row-17"]

    store.mend()
    paid = len(shop.embedder.given)
    await steer.retry(shop.machine, failed.id)
    completed = await shop.end_of(failed.id)
    assert completed.state is TaskState.COMPLETED
    assert len(await shop.stored()) == 30
    assert len(shop.embedder.given) - paid == 2
    assert [
        name for name in await shop.machine.files.names("tasks/") if name.endswith("mend-the-store")
    ] == []


async def test_another_rows_and_no_rows_fail_it_too_and_a_retry_mends_them(tmp_path: Path) -> None:
    shop, store = shop_of(tmp_path)
    store.mixes, store.invents = frozenset({"row-5"}), frozenset({"ghost"})
    failed = await ended(shop, Verify.ALL)
    assert failed.error is not None
    assert "1 another row's ('row-5'); 1 there though no row has them ('ghost')." in failed.error
    found = await verify(shop.machine, failed.id)
    assert (found.wrong, found.extra, found.stored) == (["row-5"], ["ghost"], 31)

    store.mend()
    await steer.retry(shop.machine, failed.id)
    assert (await shop.end_of(failed.id)).state is TaskState.COMPLETED
    assert (await shop.stored())["row-5"] == 6
    assert "ghost" not in await shop.stored()


async def test_a_store_that_goes_on_losing_fails_it_again(tmp_path: Path) -> None:
    shop, store = shop_of(tmp_path)
    store.loses = frozenset({"row-3"})
    failed = await ended(shop, Verify.ALL)
    await steer.retry(shop.machine, failed.id)
    again = await shop.end_of(failed.id)

    assert again.state is TaskState.FAILED
    assert again.error == failed.error


async def test_nobody_looks_unless_asked(tmp_path: Path) -> None:
    shop, store = shop_of(tmp_path)
    store.loses = frozenset({"row-3"})

    assert (await ended(shop, None)).state is TaskState.COMPLETED


async def test_doubles_and_long_rows_pass(tmp_path: Path) -> None:
    """The rows that lost their ids are not missed, and the passages of the others are looked for."""
    shop = Workshop(tmp_path, max_tokens=8)
    long = " ".join(f"word{n}" for n in range(30))
    shop.write_pairs([("a", "first"), *ROWS, ("b", long), ("a", long), ("b", "short")])
    completed = await ended(shop, Verify.ALL)

    assert (completed.state, completed.error) == (TaskState.COMPLETED, None)
    assert completed.counts.duplicate == 2


async def test_what_a_later_task_has_replaced_is_not_missed(tmp_path: Path) -> None:
    """Also where it has fewer vectors than the row had before."""
    shop = Workshop(tmp_path, max_tokens=8)
    shop.write({"row": " ".join(f"word{n}" for n in range(30)), "other": "held"})
    shop.embedder.held = "held"
    earlier = await submitted(shop, Verify.ALL)
    async with shop.worker():
        await shop.embedder.entered.wait()
        shop.write({"row": "short"})
        await shop.ledger.end_of(await submitted(shop, Verify.ALL))
        shop.embedder.opened.set()
        assert (await shop.ledger.end_of(earlier)).error is None


async def test_a_child_is_verified_as_its_parent_was(tmp_path: Path) -> None:
    shop, _ = shop_of(tmp_path)
    shop.embedder.poison = "row 7."
    parent = await ended(shop, Verify.SAMPLE)
    wish = TaskRequest("local", "rows.csv", parent_id=parent.id)

    assert (await submit(shop.machine, wish)).task.spec.verify is Verify.SAMPLE
