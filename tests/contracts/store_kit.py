"""Every vector store, opened empty by its name here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from rowvec import vectorstores
from rowvec.backends import load, scheme
from rowvec.vectorstores.base import VectorStore
from standins.pinecone.settings import KEY
from standins.process import Standin, started

LOCAL = ["lancedb", "memory"]
PINECONE = ["pinecone-grpc", "pinecone-rest", "pinecone-documents"]
KEEPING = [*LOCAL, *PINECONE]
DIMENSION = 16


@pytest.fixture(scope="module")
def pinecone() -> Iterator[Standin]:
    """A server like Pinecone, with an index of either API, that shows what was written a little later."""
    indexes = [
        {"name": "vectors", "dimension": DIMENSION},
        {"name": "documents", "dimension": DIMENSION, "field": "embedding"},
    ]
    with started("pinecone", indexes=indexes, unlimited=True, visible_after=0.03) as standin:
        yield standin


def opened(backend: str, folder: Path, settings: Mapping[str, str] | None = None) -> VectorStore:
    url = f"{backend}://{folder}" if backend == "lancedb" else backend
    store: VectorStore = load("vector store", vectorstores.TABLE, scheme(url)).open(url, settings or {})
    return store


@pytest.fixture
async def any_store(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[Callable[[str], VectorStore]]:
    """Opens an empty store by its name here."""
    stores: list[VectorStore] = []

    def named(backend: str) -> VectorStore:
        if backend in PINECONE:
            standin: Standin = request.getfixturevalue("pinecone")
            standin.reset()
            way = backend.removeprefix("pinecone-")
            settings = {"PINECONE_API_KEY": KEY, "PINECONE_CONTROLLER_HOST": standin.url}
            name = "documents" if way == "documents" else "vectors"
            transport = {} if way == "documents" else {"PINECONE_TRANSPORT": way}
            stores.append(opened(f"pinecone://{name}", tmp_path, settings | transport))
        else:
            stores.append(opened(backend, tmp_path / "vectors"))
        return stores[-1]

    yield named
    for store in stores:
        await store.close()
