"""On every ledger and in every store: what a store has lost fails a verified task, and a retry mends it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from rowvec import steer
from rowvec.embedders.memory import MemoryEmbedder
from rowvec.filestores.folder import FolderStore
from rowvec.intake import TaskRequest, submit
from rowvec.ledgers.base import Ledger
from rowvec.machine import Limits, Machine
from rowvec.model import Task, TaskState
from rowvec.retry import RetryPolicy
from rowvec.spec import Verify
from rowvec.vectors import Floats, Match, Stamp, VectorBatch
from rowvec.vectorstores.base import VectorStore
from rowvec.worker import Worker
from tests.contracts.store_kit import DIMENSION, KEEPING

pytestmark = pytest.mark.anyio
LOST = "row-7"


class Losing(VectorStore):
    """Another store, but for LOST, which it says to have written as long as `loses`."""

    def __init__(self, inner: VectorStore) -> None:
        self.inner = inner
        self.loses = True
        for name in ("max_batch", "max_batch_bytes", "max_metadata_bytes", "in_flight", "counts_exactly"):
            setattr(self, name, getattr(inner, name))

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> Losing:
        raise NotImplementedError("made by the tests only")

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        await self.inner.upsert(namespace, batch)
        if self.loses and LOST in batch.ids:
            await self.inner.delete(namespace, [LOST])

    async def prepare(self, namespace: str, dimension: int) -> None:
        await self.inner.prepare(namespace, dimension)

    async def catch_up(self, namespace: str) -> None:
        await self.inner.catch_up(namespace)

    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:
        return await self.inner.stamps(namespace, row_ids)

    async def all_stamps(self, namespace: str) -> list[Stamp]:
        return await self.inner.all_stamps(namespace)

    async def of_task(self, namespace: str, task_id: str) -> AsyncIterator[Sequence[Stamp]]:
        async for portion in self.inner.of_task(namespace, task_id):
            yield portion

    async def delete(self, namespace: str, ids: Sequence[str]) -> None:
        await self.inner.delete(namespace, ids)

    async def delete_task(self, namespace: str, task_id: str) -> int:
        return await self.inner.delete_task(namespace, task_id)

    async def count(self, namespace: str) -> int:
        return await self.inner.count(namespace)

    async def holds_others(self, namespace: str, task_id: str, own: int) -> bool:
        return await self.inner.holds_others(namespace, task_id, own)

    async def search(self, namespace: str, vector: Floats, limit: int) -> list[Match]:
        return await self.inner.search(namespace, vector, limit)

    async def ping(self) -> None:
        await self.inner.ping()

    async def close(self) -> None:
        await self.inner.close()


@pytest.fixture(params=KEEPING)
async def store(request: pytest.FixtureRequest, any_store: Callable[[str], VectorStore]) -> Losing:
    return Losing(any_store(request.param))


async def end_of(machine: Machine, task_id: str) -> Task:
    """The task after a worker has brought it to its end."""
    stop = asyncio.Event()
    worker = asyncio.create_task(Worker(machine, poll=0.01, retry=RetryPolicy(3, 0.0)).run(stop))
    async with asyncio.timeout(60):
        while not (task := await machine.ledger.task(task_id)).state.ended and not worker.done():
            await asyncio.sleep(0.02)
    stop.set()
    await worker
    return task


@pytest.mark.parametrize("extent", [Verify.ALL, Verify.SAMPLE])
async def test_a_lost_vector_fails_the_task_and_a_retry_writes_it_again(
    ledger: Ledger, store: Losing, tmp_path: Path, extent: Verify
) -> None:
    lines = [f"row-{n},text of row {n}." for n in range(25)]
    (tmp_path / "rows.csv").write_text("\n".join(["id,text", *lines, "row-3,the last word", ""]))
    files, embedder = FolderStore(tmp_path / "files"), MemoryEmbedder(DIMENSION)
    settings = {"LOCAL_FILES_DIR": str(tmp_path)}
    machine = Machine(ledger, files, store, embedder, "memory", settings, Limits(10, 1 << 20, 60.0))
    wish = TaskRequest("local", "rows.csv", "ns", 10, id_column="id", text_columns=["text"], verify=extent)
    task_id = (await submit(machine, wish)).task.id

    failed = await end_of(machine, task_id)
    assert failed.state is TaskState.FAILED
    assert f"1 missing ('{LOST}')" in str(failed.error)

    store.loses = False
    await steer.retry(machine, task_id)
    ended = await end_of(machine, task_id)
    await store.catch_up("ns")
    stored = {stamp.id: stamp.row_number for stamp in await store.all_stamps("ns")}
    assert (ended.state, ended.spec.verify) == (TaskState.COMPLETED, extent)
    assert stored == {f"row-{n}": n + 1 for n in range(25)} | {"row-3": 26}
    found = await store.search("ns", np.asarray((await embedder.embed(["text of row 7."])).vectors[0]), 1)
    assert [match.id for match in found] == [LOST]
