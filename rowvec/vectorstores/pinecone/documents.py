"""The Documents API (2026-07): one JSON object a vector, REST only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from rowvec.vectors import Floats, VectorBatch
from rowvec.vectorstores.pinecone import numbers
from rowvec.vectorstores.pinecone.errors import NotThere
from rowvec.vectorstores.pinecone.fields import OWNER, ROW, TASK, Fields
from rowvec.vectorstores.pinecone.http import Http, Reply
from rowvec.vectorstores.pinecone.json_plane import JsonPlane, Next, encode
from rowvec.vectorstores.pinecone.plane import Filter, Kept, Page, require_size

VERSION = "2026-07"
_STAMP = [TASK, ROW, OWNER]


class _Fetched(msgspec.Struct):
    documents: dict[str, dict[str, Any]]
    pagination: Next = msgspec.field(default_factory=Next)


class _Matches(msgspec.Struct):
    matches: list[dict[str, Any]]


class _Listed(msgspec.Struct):
    documents: list[dict[str, Any]]
    pagination: Next = msgspec.field(default_factory=Next)


class _Deleted(msgspec.Struct):
    matched_records: int = 0


class DocumentsPlane(JsonPlane):
    """`field` is the dense vector field."""

    fetch_size = 1_000

    def __init__(self, http: Http, field: str) -> None:
        super().__init__(http)
        self._field = field

    async def upsert(self, namespace: str, batch: VectorBatch, fields: Iterable[Fields]) -> int | None:
        body = require_size(upsert_body(self._field, batch, fields))
        return (await self._post(f"writing {len(batch)} documents", namespace, "upsert", body)).committed

    async def fetch(self, namespace: str, ids: Sequence[str]) -> Page:
        body = encode({"ids": ids, "include_fields": _STAMP})
        return _page(await self._post(f"fetching {len(ids)} documents", namespace, "fetch", body))

    async def matching(self, namespace: str, wanted: Filter, limit: int, token: str) -> Page:
        asked: dict[str, Any] = {"filter": wanted, "limit": limit, "include_fields": _STAMP}
        if token:
            asked["pagination_token"] = token
        return _page(await self._post("fetching by metadata", namespace, "fetch", encode(asked)))

    async def listed(self, namespace: str, prefix: str, token: str) -> tuple[list[str], str | None]:
        asked = {"prefix": prefix, "pagination_token": token}
        given = {name: value for name, value in asked.items() if value}
        found = (await self._post("listing ids", namespace, "list", encode(given))).read(_Listed)
        return [document["_id"] for document in found.documents], found.pagination.next

    async def delete(self, namespace: str, ids: Sequence[str]) -> int | None:
        reply = await self._delete(f"deleting {len(ids)} documents", namespace, {"ids": ids})
        return None if reply is None else reply.committed

    async def delete_matching(self, namespace: str, name: str, value: str) -> tuple[int, int | None]:
        """The number is 0 too where Pinecone did not count in time."""
        reply = await self._delete("deleting by metadata", namespace, {"filter": {name: {"$eq": value}}})
        return (0, None) if reply is None else (reply.read(_Deleted).matched_records, reply.committed)

    async def nearest(self, namespace: str, vector: Floats, limit: int, fields: bool = True) -> Page:
        clause = {"type": "dense_vector", "fields": [self._field], "values": vector.tolist()}
        asked = {"score_by": [clause], "top_k": limit, "include_fields": ["*"] if fields else []}
        reply = await self._post("searching", namespace, "search", encode(asked))
        kept = [_kept(document) for document in reply.read(_Matches).matches]
        return Page(kept, None, reply.indexed)

    async def _delete(self, doing: str, namespace: str, body: Mapping[str, Any]) -> Reply | None:
        try:
            return await self._post(doing, namespace, "delete", encode(body))
        except NotThere:
            return None

    async def _post(self, doing: str, namespace: str, verb: str, body: bytes) -> Reply:
        return await self._http.post(doing, f"/namespaces/{quote(namespace, safe='')}/documents/{verb}", body)


def upsert_body(field: str, batch: VectorBatch, fields: Iterable[Fields]) -> bytes:
    name = encode(field)
    documents = [
        b'{"_id":%b,%b:%b,%b' % (encode(id_), name, values, encode(row)[1:])
        for id_, values, row in zip(batch.ids, numbers.as_json(batch.vectors), fields, strict=True)
    ]
    return b'{"documents":[%b]}' % b",".join(documents)


def _page(reply: Reply) -> Page:
    found = reply.read(_Fetched)
    return Page(
        [_kept(document) for document in found.documents.values()], found.pagination.next, reply.indexed
    )


def _kept(document: dict[str, Any]) -> Kept:
    fields = {name: value for name, value in document.items() if not name.startswith("_")}
    return Kept(document["_id"], fields, document.get("_score") or 0.0)
