"""A server like Pinecone with an index of every kind, and stores in them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from rowvec.vectorstores.pinecone import PineconeStore
from standins.pinecone.settings import KEY
from standins.process import Standin, started

DIMENSION = 8
WAYS = ["grpc", "rest", "documents"]
INDEXES = [
    {"name": "vectors", "dimension": DIMENSION},
    {"name": "documents", "dimension": DIMENSION, "field": "embedding", "texts": ["title"]},
    {"name": "limited", "dimension": DIMENSION, "filterable": ["genre"]},
    {"name": "dotproduct", "dimension": DIMENSION, "metric": "dotproduct"},
    {"name": "unready", "dimension": DIMENSION, "ready": False},
    {"name": "embedding", "dimension": DIMENSION, "field": "own", "required": ["body"]},
]
USUAL = {
    "indexes": INDEXES,
    "keys": [KEY],
    "account": "good",
    "units_left": None,
    "rates": {},
    "unlimited": True,
    "latency": {},
    "faults": {},
    "script": [],
    "refuse": "",
    "visible_after": 0.0,
    "counted_after": 0.0,
    "lsn": "request",
    "lsn_on_fetch": True,
}

Open = Callable[..., PineconeStore]


@pytest.fixture(scope="session")
def process() -> Iterator[Standin]:
    with started("pinecone", **USUAL) as standin:
        yield standin


@pytest.fixture
def standin(process: Standin) -> Standin:
    """Empty, and as usual."""
    process.set(**USUAL)
    process.reset()
    return process


@pytest.fixture
async def open_store(standin: Standin) -> AsyncIterator[Open]:
    """Opens a store as a process would: by way of `grpc`, `rest` or `documents`, or in a named index."""
    stores: list[PineconeStore] = []

    def opened(way: str = "grpc", index: str = "", **settings: str) -> PineconeStore:
        name = index or ("documents" if way == "documents" else "vectors")
        given: dict[str, Any] = {
            "PINECONE_API_KEY": KEY,
            "PINECONE_CONTROLLER_HOST": standin.url,
            "PINECONE_TRANSPORT": "rest" if way == "rest" else "grpc",
        }
        stores.append(PineconeStore.open(f"pinecone://{name}", given | settings))
        return stores[-1]

    yield opened
    for store in stores:
        await store.close()


@pytest.fixture(params=WAYS)
def store(request: pytest.FixtureRequest, open_store: Open) -> PineconeStore:
    """A store by each way."""
    return open_store(request.param)
