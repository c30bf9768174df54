"""The messages of Pinecone's VectorService (db_data_2025-10.proto), read and written."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from standins.pinecone.index import Found, Page
from standins.pinecone.protobuf import counted, field, parts, struct_bytes, structure, text, varint


@dataclass(frozen=True, slots=True)
class Upsert:
    """`vectors` are slices of the message: float32 bytes. `metadata` is {} where there is none."""

    namespace: str
    ids: list[str]
    vectors: list[bytes | memoryview]
    metadata: list[dict[str, Any]]


def read_upsert(data: bytes) -> Upsert:
    """UpsertRequest: vectors = 1, namespace = 2. Written out, because everything else waits for it."""
    view = memoryview(data)
    out = Upsert("", [], [], [])
    ids, vectors, metadata = out.ids, out.vectors, out.metadata
    namespace = ""
    at, end = 0, len(data)
    while at < end:
        tag = data[at]
        size, at = varint(data, at + 1)
        stop = at + size
        if tag == 18:
            namespace = data[at:stop].decode()
            at = stop
            continue
        id_, values, fields = "", view[0:0], {}
        while at < stop:
            tag = data[at]
            size, start = varint(data, at + 1)
            at = start + size
            if tag == 10:
                id_ = data[start:at].decode()
            elif tag == 18:
                values = view[start:at]
            elif tag == 26:
                fields = structure(data, start, at)
        ids.append(id_)
        vectors.append(values)
        metadata.append(fields)
    return Upsert(namespace, ids, vectors, metadata)


class Fields:
    """A message taken apart: the last value of each field, and all of the repeated ones."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._found: dict[int, list[Any]] = {}
        for number, _, value in parts(data, 0, len(data)):
            self._found.setdefault(number, []).append(value)

    def text(self, number: int) -> str:
        return self.texts(number)[-1] if number in self._found else ""

    def texts(self, number: int) -> list[str]:
        return [text(self._data, place) for place in self._found.get(number, ())]

    def count(self, number: int, default: int = 0) -> int:
        found: int = self._found.get(number, [default])[-1]
        return found

    def flag(self, number: int) -> bool:
        return bool(self.count(number))

    def structure(self, number: int) -> dict[str, Any] | None:
        if number not in self._found:
            return None
        return structure(self._data, *self._found[number][-1])

    def floats(self, number: int) -> bytes:
        """Packed, or one by one: both are right."""
        found = self._found.get(number, ())
        return b"".join(part if isinstance(part, bytes) else self._data[part[0] : part[1]] for part in found)


def upserted(count: int) -> bytes:
    return counted(1, count)


def fetched(page: Page, namespace: str, paged: bool = False) -> bytes:
    """FetchResponse and FetchByMetadataResponse: a map of vectors = 1, namespace = 2, usage = 3, page = 4."""
    entries = [field(1, field(1, one.id.encode()) + field(2, _vector(one))) for one in page.found]
    rest = [field(2, namespace.encode()), _usage(3)]
    if paged and page.next is not None:
        rest.append(field(4, field(1, page.next.encode())))
    return b"".join(entries + rest)


def _vector(one: Found) -> bytes:
    return field(1, one.id.encode()) + field(2, one.vector) + field(3, struct_bytes(dict(one.metadata)))


def queried(page: Page, namespace: str, values: bool, metadata: bool) -> bytes:
    """QueryResponse: matches = 2, namespace = 3, usage = 4."""
    matches = [field(2, _scored(one, values, metadata)) for one in page.found]
    return b"".join([*matches, field(3, namespace.encode()), _usage(4)])


def _scored(one: Found, values: bool, metadata: bool) -> bytes:
    match = [field(1, one.id.encode()), b"\x15" + struct.pack("<f", one.score)]
    if values:
        match.append(field(3, one.vector))
    if metadata:
        match.append(field(4, struct_bytes(dict(one.metadata))))
    return b"".join(match)


def listed(ids: Sequence[str], token: str | None, namespace: str) -> bytes:
    """ListResponse: vectors = 1, pagination = 2, namespace = 3, usage = 4."""
    page = [field(1, field(1, id_.encode())) for id_ in ids]
    if token is not None:
        page.append(field(2, field(1, token.encode())))
    return b"".join([*page, field(3, namespace.encode()), _usage(4)])


def described(counts: dict[str, int], dimension: int, metric: str) -> bytes:
    """DescribeIndexStatsResponse: namespaces = 1, dimension = 2, total = 4, metric = 5, vector type = 6."""
    entries = [
        field(1, field(1, name.encode()) + field(2, counted(1, count))) for name, count in counts.items()
    ]
    rest = [counted(2, dimension), counted(4, sum(counts.values()))]
    return b"".join([*entries, *rest, field(5, metric.encode()), field(6, b"dense")])


def updated(matched: int) -> bytes:
    """UpdateResponse: matched_records = 1, there also when it is 0."""
    return counted(1, matched) or b"\x08\x00"


def _usage(tag: int) -> bytes:
    return field(tag, counted(1, 1))
