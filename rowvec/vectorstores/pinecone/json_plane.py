"""What REST and the Documents API share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import msgspec

from rowvec.vectorstores.pinecone import numbers
from rowvec.vectorstores.pinecone.http import Http
from rowvec.vectorstores.pinecone.plane import DataPlane

encode = msgspec.json.encode


class Next(msgspec.Struct):
    """`pagination` of a page."""

    next: str | None = None


class _Counted(msgspec.Struct, rename="camel"):
    vector_count: int = 0


class _Stats(msgspec.Struct):
    namespaces: dict[str, _Counted] = {}


class JsonPlane(DataPlane):
    widths: ClassVar[tuple[int, int]] = (numbers.MOST_BYTES, 2)

    def __init__(self, http: Http) -> None:
        self._http = http

    async def counts(self) -> Mapping[str, int]:
        reply = await self._http.post("counting vectors", "/describe_index_stats", b"{}")
        namespaces = reply.read(_Stats).namespaces
        return {name: counted.vector_count for name, counted in namespaces.items()}

    async def close(self) -> None:
        await self._http.close()
