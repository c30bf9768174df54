"""A call of the vector store that hangs is tried again, before the lease that it is made under ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rowvec.errors import LeaseLost, Unavailable
from rowvec.intake import TaskRequest, submit
from rowvec.model import TaskState
from rowvec.spec import Verify
from rowvec.timed import TimedStore
from rowvec.vectors import Stamp, VectorBatch
from rowvec.vectorstores.pinecone import PineconeStore
from standins.pinecone.settings import KEY
from standins.process import Standin, started
from tests.worker_kit import WatchedStore, Workshop

pytestmark = pytest.mark.anyio
LEASE = 1.0
CALLS: dict[str, Callable[[TimedStore], Awaitable[object]]] = {
    "prepare": lambda store: store.prepare(8),
    "catch_up": lambda store: store.catch_up(),
    "stamps": lambda store: store.stamps(["a"]),
    "delete": lambda store: store.delete(["a"]),
    "count": lambda store: store.count(),
    "holds_others": lambda store: store.holds_others("t", 0),
    "of_task": lambda store: anext(store.of_task("t")),
}


class Hanging(WatchedStore):
    """The first call of each kind never comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.hung: list[str] = []

    async def prepare(self, namespace: str, dimension: int) -> None:
        await self._hang("prepare")
        await super().prepare(namespace, dimension)

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        await self._hang("upsert")
        await super().upsert(namespace, batch)

    async def catch_up(self, namespace: str) -> None:
        await self._hang("catch_up")

    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:
        await self._hang("stamps")
        return await super().stamps(namespace, row_ids)

    async def delete(self, namespace: str, ids: Sequence[str]) -> None:
        await self._hang("delete")
        await super().delete(namespace, ids)

    async def count(self, namespace: str) -> int:
        await self._hang("count")
        return await super().count(namespace)

    async def _hang(self, name: str) -> None:
        if name not in self.hung:
            self.hung.append(name)
            await asyncio.Event().wait()


async def test_a_task_ends_though_each_call_hangs_once(tmp_path: Path) -> None:
    """No call holds up a task for longer than a lease; what hung is done again, and nothing is lost."""
    shop = Workshop(tmp_path, max_tokens=8, lease_seconds=LEASE)
    long = " ".join(f"word{n}" for n in range(30))
    shop.write({"shrinks": long, "stays": "text"})
    await shop.end_of(await shop.submit())

    store = Hanging()
    store._namespaces = shop.store._namespaces
    shop.machine = replace(shop.machine, store=store)
    shop.store = store
    shop.write({"shrinks": "short", "stays": "text"})
    wish = TaskRequest(
        "local", "rows.csv", "default", id_column="id", text_columns=["text"], verify=Verify.ALL
    )
    ended = await shop.end_of((await submit(shop.machine, wish)).task.id)

    assert (ended.state, ended.error) == (TaskState.COMPLETED, None)
    assert set(store.hung) == {"prepare", "upsert", "catch_up", "stamps", "delete", "count"}
    assert (await shop.stored()).keys() == {"shrinks", "stays"}


@pytest.fixture(scope="module")
def hanging() -> Iterator[Standin]:
    """A server like Pinecone that takes every call and never answers."""
    index = {"name": "vectors", "dimension": 8}
    with started("pinecone", indexes=[index], unlimited=True, faults={"hang": 1.0}) as standin:
        yield standin


@pytest.mark.parametrize("name", CALLS)
async def test_a_server_that_never_answers_is_to_be_tried_again(hanging: Standin, name: str) -> None:
    """Each kind of call ends, as weather, within the seconds that it has."""
    settings = {"PINECONE_API_KEY": KEY, "PINECONE_CONTROLLER_HOST": hanging.url}
    store = PineconeStore.open("pinecone://vectors", settings)

    async def left() -> float:
        return 0.5

    try:
        with pytest.raises(Unavailable, match="took longer than"):
            await CALLS[name](TimedStore(store, "ns", left))
    finally:
        await store.close()


@pytest.mark.parametrize("name", CALLS)
async def test_nothing_is_called_without_a_lease(name: str) -> None:
    async def left() -> float:
        raise LeaseLost("it is gone")

    store = Hanging()
    with pytest.raises(LeaseLost):
        await CALLS[name](TimedStore(store, "ns", left))
    assert store.hung == []
