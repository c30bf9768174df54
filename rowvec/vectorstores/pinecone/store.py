"""The vector store in a Pinecone index, whatever API that speaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial

import numpy as np

from rowvec.errors import InputRefused
from rowvec.text import passage_id
from rowvec.vectors import Floats, Match, Stamp, VectorBatch
from rowvec.vectorstores.base import VectorStore, sizes_of_strings
from rowvec.vectorstores.limits import require_namespace
from rowvec.vectorstores.pinecone.connection import Access, Connection
from rowvec.vectorstores.pinecone.fields import (
    MOST_BYTES,
    MOST_METADATA,
    OWNER,
    TASK,
    match_of,
    of_batch,
    shown,
    stamp_of,
)
from rowvec.vectorstores.pinecone.freshness import Freshness
from rowvec.vectorstores.pinecone.index import Index
from rowvec.vectorstores.pinecone.plane import (
    MOST_RECORDS,
    MOST_REQUEST_BYTES,
    Filter,
    Kept,
    Page,
)
from rowvec.vectorstores.pinecone.quiet import Quiet

UPSERTS_AT_ONCE = 8
READS_AT_ONCE = 4
MOST_MATCHES = 10_000
_LONGEST_ID = 512
_LEAST_MAGNITUDE = 1e-8
_FRAMING = 512
"""Bytes of a vector in a request beside its values, strings and metadata, at most; our names among them."""
_MARK = "#rowvec-mark"
"""An id that no row has: `#` is escaped in the ids of rows, and a passage's ends with a number."""


class PineconeStore(VectorStore):
    """`pinecone://INDEX`. A namespace comes into being with its first vector, so any is prepared whose index
    fits. Beside our own writes, reads see what others wrote before the last `catch_up`. For one event loop.
    """

    max_batch = MOST_RECORDS
    max_batch_bytes = MOST_REQUEST_BYTES
    max_metadata_bytes = MOST_METADATA
    in_flight = 16
    counts_exactly = False

    def __init__(self, access: Access) -> None:
        self._connection = Connection(access)
        self._fresh = Freshness()
        self._quiet = Quiet()
        self._upserting = asyncio.Semaphore(UPSERTS_AT_ONCE)
        self._reading = asyncio.Semaphore(READS_AT_ONCE)

    @classmethod
    def open(cls, url: str, settings: Mapping[str, str]) -> PineconeStore:
        return cls(Access.read(url, settings))

    async def prepare(self, namespace: str, dimension: int) -> None:
        require_namespace(namespace)
        await self.check(dimension)

    async def check(self, dimension: int) -> None:
        index, plane = await self._connection.open()
        index.require(dimension)
        await plane.counts()

    def sizes(self, batch: VectorBatch) -> list[int]:
        value, character = self._connection.widths
        fixed = value * batch.vectors.shape[1] + _FRAMING
        return [fixed + min(character * size, MOST_BYTES) for size in sizes_of_strings(batch)]

    async def upsert(self, namespace: str, batch: VectorBatch) -> None:
        require_namespace(namespace)
        if not len(batch):
            return
        index, plane = await self._connection.open()
        index.require(batch.vectors.shape[1])
        _require_fit(batch)
        async with self._upserting, self._quiet.kept(namespace):
            number = await plane.upsert(namespace, batch, of_batch(batch, index.schema))
        self._fresh.wrote(namespace, number)

    async def catch_up(self, namespace: str) -> None:
        """By a write of its own, whose number is above all that were given before."""
        require_namespace(namespace)
        _, plane = await self._connection.open()
        self._fresh.wrote(namespace, await plane.delete(namespace, [_MARK]))
        await self._fresh.catch_up(namespace, await self._probe(namespace))

    async def holds_others(self, namespace: str, task_id: str, own: int) -> bool:  # noqa: ARG002
        """Asked by a filter, for the count may lag behind."""
        index, plane = await self._connection.open()
        if not index.filters:
            return True
        wanted = {TASK: {"$ne": task_id}}
        page = await self._read(namespace, lambda: plane.matching(namespace, wanted, 1, ""))
        return bool(page.kept)

    async def stamps(self, namespace: str, row_ids: Sequence[str]) -> list[Stamp]:
        require_namespace(namespace)
        index, _ = await self._connection.open()
        wanted = [id_ for id_ in dict.fromkeys(row_ids) if _is_id(id_)]
        kept = await self._fetched(namespace, wanted)
        kept += await self._passages(namespace, wanted, index)
        found = {one.id: stamp_of(one.id, one.fields) for one in kept}
        asked = frozenset(wanted)
        return [stamp for stamp in found.values() if stamp.row_id in asked]

    async def all_stamps(self, namespace: str) -> list[Stamp]:
        return [stamp async for stamp in self._walk(namespace)]

    async def of_task(self, namespace: str, task_id: str) -> AsyncIterator[Sequence[Stamp]]:
        """By a filter where the index has them, else by a walk through the namespace."""
        index, _ = await self._connection.open()
        if index.filters:
            async for page in self._matching(namespace, {TASK: {"$eq": task_id}}):
                yield [stamp_of(one.id, one.fields) for one in page.kept]
            return
        found: list[Stamp] = []
        async for stamp in self._walk(namespace):
            found.append(stamp)
            if len(found) == MOST_RECORDS:
                yield [stamp for stamp in found if stamp.task_id == task_id]
                found = []
        yield [stamp for stamp in found if stamp.task_id == task_id]

    async def delete(self, namespace: str, ids: Sequence[str]) -> None:
        require_namespace(namespace)
        _, plane = await self._connection.open()
        for part in _parts([id_ for id_ in ids if _is_id(id_)], MOST_RECORDS):
            self._fresh.wrote(namespace, await plane.delete(namespace, part))

    async def delete_task(self, namespace: str, task_id: str) -> int:
        index, plane = await self._connection.open()
        await self.catch_up(namespace)
        if index.filters:
            count, number = await plane.delete_matching(namespace, TASK, task_id)
            self._fresh.wrote(namespace, number)
            return count
        written = [stamp.id async for stamp in self._walk(namespace) if stamp.task_id == task_id]
        await self.delete(namespace, written)
        return len(written)

    async def count(self, namespace: str) -> int:
        """As Pinecone counts: what was written lately may not be in it."""
        require_namespace(namespace)
        _, plane = await self._connection.open()
        await self._fresh.catch_up(namespace, await self._probe(namespace))
        return (await plane.counts()).get(namespace, 0)

    async def search(self, namespace: str, vector: Floats, limit: int) -> list[Match]:
        require_namespace(namespace)
        index, plane = await self._connection.open()
        index.require(len(vector))
        if limit < 1:
            return []
        page = await self._read(namespace, lambda: plane.nearest(namespace, vector, min(limit, MOST_MATCHES)))
        return [match_of(one.id, one.score, one.fields, index.schema.vectors) for one in page.kept]

    async def ping(self) -> None:
        _, plane = await self._connection.open()
        await plane.counts()

    async def close(self) -> None:
        await self._connection.close()

    async def _probe(self, namespace: str) -> Callable[[], Awaitable[Page]]:
        """A read that says how far it sees: a fetch of nothing, where fetches say, else a small search."""
        index, plane = await self._connection.open()
        unit = np.zeros(index.dimension, np.float32)
        unit[0] = 1.0

        async def probe() -> Page:
            page = await plane.fetch(namespace, [_MARK])
            return page if page.seen is not None else await plane.nearest(namespace, unit, 1, fields=False)

        return probe

    async def _read(self, namespace: str, read: Callable[[], Awaitable[Page]]) -> Page:
        return await self._fresh.read(namespace, await self._probe(namespace), read)

    async def _fetched(self, namespace: str, ids: Sequence[str]) -> list[Kept]:
        _, plane = await self._connection.open()

        async def fetch(part: Sequence[str]) -> Sequence[Kept]:
            async with self._reading:
                return (await self._read(namespace, partial(plane.fetch, namespace, part))).kept

        pages = await asyncio.gather(*map(fetch, _parts(ids, plane.fetch_size)))
        return [one for page in pages for one in page]

    async def _passages(self, namespace: str, row_ids: Sequence[str], index: Index) -> list[Kept]:
        """Vectors of rows that were split, however many there are of each."""
        kept: list[Kept] = []
        if index.filters:
            for part in _parts(row_ids, MOST_RECORDS):
                async for page in self._matching(namespace, {OWNER: {"$in": list(part)}}):
                    kept += page.kept
            return kept
        ids = [id_ for row_id in row_ids async for id_ in self._listed(namespace, passage_id(row_id, 1)[:-1])]
        return await self._fetched(namespace, ids)

    async def _matching(self, namespace: str, wanted: Filter) -> AsyncIterator[Page]:
        _, plane = await self._connection.open()
        token: str | None = ""
        while token is not None:
            read = partial(plane.matching, namespace, wanted, plane.fetch_size, token)
            page = await self._read(namespace, read)
            yield page
            token = page.next

    async def _listed(self, namespace: str, prefix: str) -> AsyncIterator[str]:
        _, plane = await self._connection.open()
        await self._fresh.catch_up(namespace, await self._probe(namespace))
        token: str | None = ""
        while token is not None:
            ids, token = await plane.listed(namespace, prefix, token)
            for id_ in ids:
                yield id_

    async def _walk(self, namespace: str) -> AsyncIterator[Stamp]:
        """Every vector of the namespace."""
        require_namespace(namespace)
        _, plane = await self._connection.open()
        ids: list[str] = []
        async for id_ in self._listed(namespace, ""):
            ids.append(id_)
            if len(ids) == plane.fetch_size:
                for one in await self._fetched(namespace, ids):
                    yield stamp_of(one.id, one.fields)
                ids = []
        for one in await self._fetched(namespace, ids):
            yield stamp_of(one.id, one.fields)


def _parts(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[i : i + size] for i in range(0, len(ids), size))


def _is_id(id_: str) -> bool:
    return 1 <= len(id_) <= _LONGEST_ID and id_.isascii() and "\0" not in id_


def _require_fit(batch: VectorBatch) -> None:
    """Raises InputRefused, naming the vector: Pinecone refuses the same, but mostly does not say which."""
    if len(batch) > MOST_RECORDS:
        raise InputRefused(f"{len(batch)} vectors in one upsert; at most {MOST_RECORDS} fit. Send fewer.")
    for id_ in batch.ids:
        if not _is_id(id_):
            raise InputRefused(f"'{shown(id_)}' is no id for Pinecone: 1 to {_LONGEST_ID} ASCII characters.")
    squares = np.einsum("ij,ij->i", batch.vectors, batch.vectors)
    if (np.isfinite(squares) & (squares >= batch.vectors.shape[1] * _LEAST_MAGNITUDE**2)).all():
        return
    peaks = np.maximum(batch.vectors.max(axis=1), -batch.vectors.min(axis=1))
    good = np.isfinite(peaks) & (peaks >= _LEAST_MAGNITUDE)
    if not good.all():
        place = int(np.argmin(good))
        what = (
            "holds only zeros" if np.isfinite(peaks[place]) else "holds NaN or infinity; embed its row again"
        )
        raise InputRefused(f"The vector of '{batch.ids[place]}' {what}.")
