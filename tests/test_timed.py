"""A call of the vector store that fails is tried again in its place, and one that hangs before the lease that
it is made under ends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from rowvec.errors import LeaseLost, Unavailable
from rowvec.intake import TaskRequest, submit
from rowvec.model import Task, TaskState
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


class Met(WatchedStore):
    """Remembers the kinds of its calls, in their order. What the first of each kind meets is said below."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []

    async def prepare(self, namespace: str, dimension: int) -> None:
        await self._meet("prepare")
        await super().prepare(namespace, dimension)

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        await self._meet("upsert")
        await super().upsert(namespace, batch)

    async def catch_up(self, namespace: str) -> None:
        await self._meet("catch_up")

    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:
        await self._meet("stamps")
        return await super().stamps(namespace, row_ids)

    async def delete(self, namespace: str, ids: Sequence[str]) -> None:
        await self._meet("delete")
        await super().delete(namespace, ids)

    async def count(self, namespace: str) -> int:
        await self._meet("count")
        return await super().count(namespace)

    async def _meet(self, name: str) -> None:
        self.calls.append(name)
        if self.calls.count(name) == 1:
            await self._first()

    async def _first(self) -> None:
        """Of a kind."""


class Hanging(Met):
    """The first call of each kind never comes back."""

    async def _first(self) -> None:
        await asyncio.Event().wait()


class Failing(Met):
    """The first call of each kind fails."""

    async def _first(self) -> None:
        raise Unavailable("the store is away", retry_after=0.0)


async def settled_beside(store: Met, folder: Path, lease_seconds: float) -> tuple[Task, dict[str, int]]:
    """A task that replaces the rows of an earlier one and is verified before it ends, and what is stored."""
    shop = Workshop(folder, max_tokens=8, lease_seconds=lease_seconds)
    shop.write({"shrinks": " ".join(f"word{n}" for n in range(30)), "stays": "text"})
    await shop.end_of(await shop.submit())

    store._namespaces = shop.store._namespaces
    shop.machine = replace(shop.machine, store=store)
    shop.store = store
    shop.write({"shrinks": "short", "stays": "text"})
    wish = TaskRequest(
        "local", "rows.csv", "default", id_column="id", text_columns=["text"], verify=Verify.ALL
    )
    ended = await shop.end_of((await submit(shop.machine, wish)).task.id)
    return ended, await shop.stored()


async def test_a_task_ends_though_each_call_hangs_once(tmp_path: Path) -> None:
    """No call holds up a task for longer than a lease; what hung is done again, and nothing is lost."""
    store = Hanging()
    ended, stored = await settled_beside(store, tmp_path, LEASE)

    assert (ended.state, ended.error) == (TaskState.COMPLETED, None)
    assert set(store.calls) == {"prepare", "upsert", "catch_up", "stamps", "delete", "count"}
    assert stored.keys() == {"shrinks", "stays"}


async def test_a_call_that_fails_begins_nothing_anew(tmp_path: Path) -> None:
    """But planning, whose first call it is. Settling would come from one failure to the next."""
    store = Failing()
    ended, stored = await settled_beside(store, tmp_path, 60.0)

    assert (ended.state, ended.error, ended.fence) == (TaskState.COMPLETED, None, 3)
    assert store.calls == [
        *("prepare", "prepare", "upsert", "upsert", "catch_up", "catch_up", "count", "count"),
        *("stamps", "stamps", "delete", "delete", "catch_up", "count", "stamps"),
    ]
    assert stored.keys() == {"shrinks", "stays"}


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
    assert store.calls == []
