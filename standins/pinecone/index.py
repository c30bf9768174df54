"""One index: its namespaces, and what can be asked of them whatever the door."""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Any

import numpy as np

from standins.pinecone import checks
from standins.pinecone.filters import Filter
from standins.pinecone.metrics import nearest
from standins.pinecone.namespace import NOT_KEPT, Namespace, Record, packed
from standins.pinecone.refusals import invalid, not_found
from standins.pinecone.settings import IndexSpec, Settings
from standins.pinecone.shelf import Shelf

PAGE = 100
MOST_MATCHES = 10_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to write: `metadata` as canonical JSON, `vectors` as float32 bytes."""

    ids: Sequence[str]
    vectors: Sequence[bytes | memoryview]
    metadata: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Found:
    """A record as it is read. `vector` holds zeros when it was not kept."""

    id: str
    metadata: Mapping[str, Any]
    vector: bytes
    score: float = 0.0


@dataclass(frozen=True, slots=True)
class Page:
    found: Sequence[Found]
    next: str | None
    lsn: int | None


class Index:
    """Reads say up to which log sequence number they see; None for a namespace that is not there."""

    def __init__(self, spec: IndexSpec, settings: Settings) -> None:
        self.spec = spec
        self.settings = settings
        self.shelf = Shelf()
        self.kept_bytes = 0
        self.namespaces: dict[str, Namespace] = {}

    def upsert(self, name: str, batch: Batch) -> int:
        """The write's log sequence number; all of the batch lands, or Refused is raised and nothing does."""
        checks.ids(batch.ids)
        matrix = checks.vectors(batch.ids, batch.vectors, self.spec.dimension)
        self._look_for_marks(batch)
        records = self._shelve(batch, matrix)
        namespace = self.namespaces.setdefault(name, Namespace(self.shelf))
        now = _now()
        return namespace.put(records, now + self.settings.visible_after, now)

    def fetch(self, name: str, ids: Sequence[str]) -> Page:
        checks.ids(ids)
        checks.count(len(ids), "ids")
        namespace = self._seen(name)
        if namespace is None:
            return Page([], None, None)
        found = [self._found(namespace, id_, record) for id_ in ids if (record := namespace.get(id_))]
        return Page(found, None, namespace.indexed)

    def matching(self, name: str, wanted: Any, limit: int, after: str) -> Page:
        self._limit(limit, MOST_MATCHES)
        filter_ = self.filter(wanted)
        namespace = self._seen(name)
        if namespace is None:
            return Page([], None, None)
        ids = namespace.page(filter_, after, limit + 1)
        found = [self._found(namespace, id_, namespace.get(id_)) for id_ in ids[:limit]]
        return Page(found, ids[limit - 1] if len(ids) > limit else None, namespace.indexed)

    def count_matching(self, name: str, wanted: Any) -> int:
        filter_ = self.filter(wanted)
        namespace = self._seen(name)
        return 0 if namespace is None else sum(1 for _ in namespace.matching(filter_))

    def listed(
        self, name: str, prefix: str, limit: int, after: str
    ) -> tuple[list[str], str | None, int | None]:
        """A page of ids in order, the last of them where more follow, and the log sequence number."""
        self._limit(limit, PAGE)
        namespace = self._seen(name)
        if namespace is None:
            return [], None, None
        ids = namespace.ids()
        start = bisect_left(ids, after + "\0" if after else prefix)
        page = [id_ for id_ in ids[start : start + limit + 1] if id_.startswith(prefix)]
        return page[:limit], page[limit - 1] if len(page) > limit else None, namespace.indexed

    def delete(self, name: str, ids: Sequence[str]) -> int:
        checks.ids(ids)
        checks.count(len(ids), "ids")
        namespace, now = self._existing(name), _now()
        return namespace.remove(ids, now + self.settings.visible_after, now)

    def delete_matching(self, name: str, wanted: Any) -> int:
        filter_ = self.filter(wanted)
        namespace, now = self._existing(name), _now()
        return namespace.remove_matching(filter_, now + self.settings.visible_after, now)

    def delete_all(self, name: str) -> int:
        namespace, now = self._existing(name), _now()
        return namespace.remove_all(now + self.settings.visible_after, now)

    def query(self, name: str, vector: bytes | memoryview, limit: int, wanted: Any = None) -> Page:
        """The nearest by the index's metric. A query vector of zeros is taken, as Pinecone takes it."""
        self._limit(limit, MOST_MATCHES)
        if len(vector) != 4 * self.spec.dimension:
            raise invalid(
                f"Vector dimension {len(vector) // 4} does not match the dimension of the index "
                f"{self.spec.dimension}"
            )
        filter_ = self.filter(wanted) if wanted else None
        namespace = self._seen(name)
        if namespace is None:
            return Page([], None, None)
        ids = list(namespace.ids() if filter_ is None else namespace.matching(filter_))
        return Page(self._nearest(namespace, ids, vector, limit), None, namespace.indexed)

    def counts(self) -> dict[str, int]:
        """Vectors in each namespace, as the stats know them."""
        at = _now() - self.settings.counted_after
        for namespace in self.namespaces.values():
            namespace.advance(_now())
        return {name: namespace.counted(at) for name, namespace in self.namespaces.items()}

    def filter(self, wanted: Any) -> Filter:
        filter_ = Filter(wanted)
        hidden = set(wanted) - set(self.spec.filterable) if self.spec.filterable is not None else set()
        if hidden:
            raise invalid(f"The field '{min(hidden)}' is not indexed for filtering.")
        return filter_

    def digest_of(self, name: str) -> int:
        """The sum, modulo 2**64, of a hash of every id with its vector's and its metadata's digests."""
        return sum(int.from_bytes(_mixed(id_, record)) for id_, record in self.landed(name)) % 2**64

    def landed(self, name: str) -> Iterator[tuple[str, Record]]:
        namespace = self.namespaces.get(name)
        return iter(()) if namespace is None else namespace.committed()

    def close(self) -> None:
        self.shelf.close()

    def _seen(self, name: str) -> Namespace | None:
        namespace = self.namespaces.get(name)
        if namespace is not None:
            namespace.advance(_now())
        return namespace

    def _existing(self, name: str) -> Namespace:
        namespace = self._seen(name)
        if namespace is None:
            raise not_found("Namespace not found")
        return namespace

    def _limit(self, limit: int, most: int) -> None:
        if not 1 <= limit <= most:
            raise invalid(f"The limit must be 1 to {most}, got {limit}")

    def _look_for_marks(self, batch: Batch) -> None:
        mark = self.settings.refuse
        if mark and (
            any(mark in id_ for id_ in batch.ids) or any(mark.encode() in m for m in batch.metadata)
        ):
            raise invalid("The request contains a record that cannot be stored.")

    def _shelve(self, batch: Batch, matrix: checks.Vectors) -> dict[str, bytes]:
        width = 4 * self.spec.dimension
        vector_at = NOT_KEPT
        if self.kept_bytes + matrix.nbytes <= self.settings.keep_vectors:
            self.kept_bytes += matrix.nbytes
            vector_at = self.shelf.put(matrix.data)
        metadata_at = self.shelf.put(b"".join(batch.metadata))
        records = {}
        for id_, vector, metadata in zip(batch.ids, batch.vectors, batch.metadata, strict=True):
            size = len(metadata)
            records[id_] = packed(digest(vector), digest(metadata), vector_at, metadata_at, size)
            metadata_at += size
            if vector_at != NOT_KEPT:
                vector_at += width
        return records

    def _found(self, namespace: Namespace, id_: str, record: Record | None) -> Found:
        if record is None:
            raise KeyError(id_)
        width = 4 * self.spec.dimension
        return Found(id_, namespace.metadata(record), namespace.vector(record, width) or bytes(width))

    def _nearest(
        self, namespace: Namespace, ids: Sequence[str], query: bytes | memoryview, limit: int
    ) -> list[Found]:
        """Exact, among the vectors that were kept."""
        width = 4 * self.spec.dimension
        known = [(id_, record) for id_ in ids if (record := namespace.get(id_))]
        kept = [(id_, vector) for id_, record in known if (vector := namespace.vector(record, width))]
        if not kept:
            return []
        matrix = np.frombuffer(b"".join(vector for _, vector in kept), np.float32).reshape(len(kept), -1)
        best, scores = nearest(self.spec.metric, matrix, np.frombuffer(query, np.float32), limit)
        found = [self._found(namespace, kept[place][0], namespace.get(kept[place][0])) for place in best]
        return [replace(one, score=score) for one, score in zip(found, scores, strict=True)]


def digest(data: bytes | memoryview) -> bytes:
    """8 bytes that stand for a vector (its float32 values) or metadata (as canonical JSON)."""
    return blake2b(data, digest_size=8).digest()


def _mixed(id_: str, record: Record) -> bytes:
    return digest(id_.encode() + record.vector_digest + record.metadata_digest)


def _now() -> float:
    return asyncio.get_running_loop().time()
