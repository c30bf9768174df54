"""One namespace: what was committed, in the order of its log, and what reads see of it already."""

from __future__ import annotations

import heapq
import struct
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from standins.pinecone.filters import Filter
from standins.pinecone.shelf import Shelf

FEW = 16
"""Where not one vector in so many is alike, those alone are put in order."""
_RECORD = struct.Struct("<8s8sqqI")
NOT_KEPT = -1
Apply = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Record:
    """Digests of the vector and of the metadata, and where both lie on the shelf."""

    vector_digest: bytes
    metadata_digest: bytes
    vector_at: int
    metadata_at: int
    metadata_size: int

    @staticmethod
    def unpack(packed: bytes) -> Record:
        return Record(*_RECORD.unpack(packed))


def packed(vector_digest: bytes, metadata_digest: bytes, vector_at: int, at: int, size: int) -> bytes:
    """A record as it is kept: 36 bytes."""
    return _RECORD.pack(vector_digest, metadata_digest, vector_at, at, size)


@dataclass(slots=True)
class Namespace:
    """Not for several threads. Times are the event loop's."""

    shelf: Shelf
    lsn: int = 0
    indexed: int = 0
    upserted: int = 0
    _records: dict[str, bytes] = field(default_factory=dict)
    _pending: deque[tuple[float, int, Apply]] = field(default_factory=deque)
    _postings: dict[str, dict[Any, set[str]]] = field(default_factory=dict)
    _counts: deque[tuple[float, int]] = field(default_factory=deque)
    _sorted: list[str] | None = None

    def put(self, records: Mapping[str, bytes], seen_at: float, now: float) -> int:
        """The log sequence number of this write, which reads see from `seen_at` on."""
        self.upserted += len(records)
        return self._write(lambda: self._put(records), seen_at, now)

    def remove(self, ids: Iterable[str], seen_at: float, now: float) -> int:
        gone = list(ids)
        return self._write(lambda: self._remove(gone), seen_at, now)

    def remove_matching(self, wanted: Filter, seen_at: float, now: float) -> int:
        return self._write(lambda: self._remove(list(self.matching(wanted))), seen_at, now)

    def remove_all(self, seen_at: float, now: float) -> int:
        return self._write(lambda: self._remove(list(self._records)), seen_at, now)

    def _write(self, apply: Apply, seen_at: float, now: float) -> int:
        self.lsn += 1
        self._pending.append((seen_at, self.lsn, apply))
        self.advance(now)
        return self.lsn

    def advance(self, now: float) -> None:
        """Let reads see what they may see by now."""
        while self._pending and self._pending[0][0] <= now:
            seen_at, lsn, apply = self._pending.popleft()
            apply()
            self.indexed = lsn
            self._counts.append((seen_at, len(self._records)))

    def counted(self, at: float) -> int:
        """Vectors as the stats knew them then."""
        while len(self._counts) > 1 and self._counts[1][0] <= at:
            self._counts.popleft()
        return self._counts[0][1] if self._counts and self._counts[0][0] <= at else 0

    def get(self, id_: str) -> Record | None:
        found = self._records.get(id_)
        return None if found is None else Record.unpack(found)

    def ids(self) -> Sequence[str]:
        """All that reads see, in bitwise order."""
        if self._sorted is None:
            self._sorted = sorted(self._records)
        return self._sorted

    def metadata(self, record: Record) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self._raw(record))
        return found

    def _raw(self, record: Record) -> bytes:
        return self.shelf.get(record.metadata_at, record.metadata_size)

    def vector(self, record: Record, size: int) -> bytes | None:
        """Its float32 values, None when they were not kept."""
        return None if record.vector_at == NOT_KEPT else self.shelf.get(record.vector_at, size)

    def matching(self, wanted: Filter) -> Iterable[str]:
        """Ids whose metadata matches, each once, in no order."""
        if wanted.equal is not None:
            return self._alike(*wanted.equal)
        return (id_ for id_ in self._records if self._matches(wanted, id_))

    def page(self, wanted: Filter, after: str, limit: int) -> list[str]:
        """The first ids beyond `after` in order. A walk through all pages looks at each vector once."""
        if wanted.equal is None:
            return list(islice((id_ for id_ in self._beyond(after) if self._matches(wanted, id_)), limit))
        alike = self._alike(*wanted.equal)
        if len(alike) * FEW < len(self._records):
            return heapq.nsmallest(limit, (id_ for id_ in alike if id_ > after))
        return list(islice((id_ for id_ in self._beyond(after) if id_ in alike), limit))

    def _beyond(self, after: str) -> Iterator[str]:
        ids = self.ids()
        return (ids[at] for at in range(bisect_right(ids, after), len(ids)))

    def _matches(self, wanted: Filter, id_: str) -> bool:
        return wanted.matches_json(self._raw(Record.unpack(self._records[id_])))

    def _alike(self, name: str, values: Iterable[Any]) -> set[str]:
        """Ids that hold one of these values in the field."""
        posted = self._posted(name)
        found = [posted[value] for value in values if value in posted]
        return found[0] if len(found) == 1 else set().union(*found)

    def committed(self) -> Iterator[tuple[str, Record]]:
        """All that landed, whether reads see it yet or not: after this they do."""
        self.advance(float("inf"))
        return ((id_, Record.unpack(record)) for id_, record in self._records.items())

    def _put(self, records: Mapping[str, bytes]) -> None:
        if self._postings:
            self._unpost(records)
        before = len(self._records)
        self._records.update(records)
        if len(self._records) != before:
            self._sorted = None
        for id_ in records if self._postings else ():
            self._post(id_)

    def _remove(self, ids: Sequence[str]) -> None:
        if self._postings:
            self._unpost(ids)
        for id_ in ids:
            if self._records.pop(id_, None) is not None:
                self._sorted = None

    def _posted(self, name: str) -> dict[Any, set[str]]:
        """Which ids hold which value in this field; kept from the first question on."""
        if name not in self._postings:
            self._postings[name] = {}
            for id_ in self._records:
                self._post(id_, name)
        return self._postings[name]

    def _post(self, id_: str, only: str = "") -> None:
        metadata = self.metadata(Record.unpack(self._records[id_]))
        for name in [only] if only else self._postings:
            for value in _values(metadata, name):
                self._postings[name].setdefault(value, set()).add(id_)

    def _unpost(self, ids: Iterable[str]) -> None:
        for id_ in ids:
            record = self._records.get(id_)
            metadata = {} if record is None else self.metadata(Record.unpack(record))
            for name, postings in self._postings.items():
                for value in _values(metadata, name):
                    postings[value].discard(id_)


def _values(metadata: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = metadata.get(name)
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)
