"""The vectors API over REST."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from rowvec.vectors import Floats, VectorBatch
from rowvec.vectorstores.pinecone import numbers
from rowvec.vectorstores.pinecone.errors import NotThere
from rowvec.vectorstores.pinecone.fields import Fields
from rowvec.vectorstores.pinecone.json_plane import JsonPlane, Next, encode
from rowvec.vectorstores.pinecone.plane import Filter, Kept, Page, require_size

VERSION = "2025-10"
_LONGEST_QUERY = 6_000
"""Bytes of an address: servers refuse longer ones."""


class _Vector(msgspec.Struct):
    """Values are not read."""

    id: str
    score: float = 0.0
    metadata: dict[str, Any] = {}


class _Fetched(msgspec.Struct):
    vectors: dict[str, _Vector] = {}
    pagination: Next = msgspec.field(default_factory=Next)


class _Matches(msgspec.Struct):
    matches: list[_Vector] = []


class _Listed(msgspec.Struct):
    vectors: list[_Vector] = []
    pagination: Next | None = None


class _Updated(msgspec.Struct, rename="camel"):
    matched_records: int = 0


class RestPlane(JsonPlane):
    fetch_size = 100

    async def upsert(self, namespace: str, batch: VectorBatch, fields: Iterable[Fields]) -> int | None:
        body = require_size(upsert_body(namespace, batch, fields))
        reply = await self._http.post(f"writing {len(batch)} vectors", "/vectors/upsert", body)
        return reply.committed

    async def fetch(self, namespace: str, ids: Sequence[str]) -> Page:
        kept: list[Kept] = []
        seen: list[int | None] = []
        for part in addressed(ids):
            query = {"namespace": namespace, "ids": part}
            reply = await self._http.get(f"fetching {len(part)} vectors", "/vectors/fetch", query)
            kept += _kept(reply.read(_Fetched).vectors.values())
            seen.append(reply.indexed)
        known = [lsn for lsn in seen if lsn is not None]
        return Page(kept, None, min(known) if len(known) == len(seen) else None)

    async def matching(self, namespace: str, wanted: Filter, limit: int, token: str) -> Page:
        body: dict[str, Any] = {"namespace": namespace, "filter": wanted, "limit": limit}
        if token:
            body["paginationToken"] = token
        reply = await self._http.post("fetching by metadata", "/vectors/fetch_by_metadata", encode(body))
        found = reply.read(_Fetched)
        return Page(_kept(found.vectors.values()), found.pagination.next, reply.indexed)

    async def listed(self, namespace: str, prefix: str, token: str) -> tuple[list[str], str | None]:
        query = {"namespace": namespace, "prefix": prefix, "paginationToken": token}
        given = {name: value for name, value in query.items() if value}
        found = (await self._http.get("listing ids", "/vectors/list", given)).read(_Listed)
        return [vector.id for vector in found.vectors], found.pagination.next if found.pagination else None

    async def delete(self, namespace: str, ids: Sequence[str]) -> int | None:
        return await self._delete(f"deleting {len(ids)} vectors", {"namespace": namespace, "ids": ids})

    async def delete_matching(self, namespace: str, name: str, value: str) -> tuple[int, int | None]:
        wanted = {"namespace": namespace, "filter": {name: {"$eq": value}}}
        counting = encode(wanted | {"setMetadata": {name: value}, "dryRun": True})
        try:
            reply = await self._http.post("counting by metadata", "/vectors/update", counting)
        except NotThere:
            return 0, None
        lsn = await self._delete("deleting by metadata", wanted)
        return reply.read(_Updated).matched_records, lsn

    async def nearest(self, namespace: str, vector: Floats, limit: int, fields: bool = True) -> Page:
        body = {"namespace": namespace, "vector": vector.tolist(), "topK": limit, "includeMetadata": fields}
        reply = await self._http.post("searching", "/query", encode(body))
        return Page(_kept(reply.read(_Matches).matches), None, reply.indexed)

    async def _delete(self, doing: str, body: Mapping[str, Any]) -> int | None:
        try:
            return (await self._http.post(doing, "/vectors/delete", encode(body))).committed
        except NotThere:
            return None


def upsert_body(namespace: str, batch: VectorBatch, fields: Iterable[Fields]) -> bytes:
    vectors = [
        b'{"id":%b,"values":%b,"metadata":%b}' % (encode(id_), values, encode(row))
        for id_, values, row in zip(batch.ids, numbers.as_json(batch.vectors), fields, strict=True)
    ]
    return b'{"namespace":%b,"vectors":[%b]}' % (encode(namespace), b",".join(vectors))


def addressed(ids: Sequence[str]) -> list[list[str]]:
    """The ids in parts, each of which an address can hold."""
    parts: list[list[str]] = [[]]
    size = 0
    for id_ in ids:
        more = len(quote(id_, safe="")) + len("&ids=")
        if parts[-1] and size + more > _LONGEST_QUERY:
            parts.append([])
            size = 0
        parts[-1].append(id_)
        size += more
    return parts if parts[0] else []


def _kept(vectors: Any) -> list[Kept]:
    return [Kept(vector.id, vector.metadata, vector.score) for vector in vectors]
