"""The vectors API over gRPC: the messages are bytes we write ourselves, the calls are repeated by nobody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import grpc
import grpc.aio

from rowvec.vectors import Floats, VectorBatch
from rowvec.vectorstores.pinecone import errors, replies, wire
from rowvec.vectorstores.pinecone.fields import Fields
from rowvec.vectorstores.pinecone.http import committed, indexed
from rowvec.vectorstores.pinecone.plane import DEADLINE, DataPlane, Filter, Page, require_size

VERSION = "2025-10"
CONNECTIONS = 2
_OPTIONS = (
    ("grpc.enable_retries", 0),
    ("grpc.max_receive_message_length", 128 * 2**20),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.use_local_subchannel_pool", 1),
)


class GrpcPlane(DataPlane):
    """`host` with its scheme: `http://` is plaintext. Opened at the first call, on that event loop."""

    fetch_size = 500
    widths = (4, 1)

    def __init__(self, host: str, key: str) -> None:
        self._host = host
        self._metadata = (("api-key", key), ("x-pinecone-api-version", VERSION))
        self._channels: list[grpc.aio.Channel] = []
        self._turn = cycle(range(CONNECTIONS))

    async def upsert(self, namespace: str, batch: VectorBatch, fields: Iterable[Fields]) -> int | None:
        message = require_size(wire.upsert(namespace, batch.ids, batch.vectors, fields))
        _, headers = await self._call("Upsert", f"writing {len(batch)} vectors", message)
        return committed(headers)

    async def fetch(self, namespace: str, ids: Sequence[str]) -> Page:
        message = wire.fetch(namespace, ids)
        reply, headers = await self._call("Fetch", f"fetching {len(ids)} vectors", message)
        return replies.fetched(reply, indexed(headers))

    async def matching(self, namespace: str, wanted: Filter, limit: int, token: str) -> Page:
        message = wire.fetch_matching(namespace, wanted, limit, token)
        reply, headers = await self._call("FetchByMetadata", "fetching by metadata", message)
        return replies.fetched(reply, indexed(headers))

    async def listed(self, namespace: str, prefix: str, token: str) -> tuple[list[str], str | None]:
        reply, _ = await self._call("List", "listing ids", wire.listing(namespace, prefix, token))
        return replies.listed(reply)

    async def delete(self, namespace: str, ids: Sequence[str]) -> int | None:
        message = wire.delete(namespace, ids)
        return await self._delete(f"deleting {len(ids)} vectors", message)

    async def delete_matching(self, namespace: str, name: str, value: str) -> tuple[int, int | None]:
        wanted = {name: {"$eq": value}}
        counting = wire.count_matching(namespace, wanted, {name: value})
        try:
            reply, _ = await self._call("Update", "counting by metadata", counting)
        except errors.NotThere:
            return 0, None
        lsn = await self._delete("deleting by metadata", wire.delete_matching(namespace, wanted))
        return replies.matched(reply), lsn

    async def nearest(self, namespace: str, vector: Floats, limit: int, fields: bool = True) -> Page:
        message = wire.query(namespace, vector, limit, fields)
        reply, headers = await self._call("Query", "searching", message)
        return replies.queried(reply, indexed(headers))

    async def counts(self) -> Mapping[str, int]:
        reply, _ = await self._call("DescribeIndexStats", "counting vectors", b"")
        return replies.counts(reply)

    async def close(self) -> None:
        for channel in self._channels:
            await channel.close()
        self._channels = []

    async def _delete(self, doing: str, message: bytes) -> int | None:
        try:
            _, headers = await self._call("Delete", doing, message)
        except errors.NotThere:
            return None
        return committed(headers)

    async def _call(self, method: str, doing: str, message: bytes) -> tuple[bytes, Mapping[str, str]]:
        """The reply, and what came with it. Raises what `errors` makes of a failure."""
        call = self._channel().unary_unary(f"/VectorService/{method}")(
            message, timeout=DEADLINE, metadata=self._metadata
        )
        try:
            reply: bytes = await call
            headers = [*(await call.initial_metadata() or ()), *(await call.trailing_metadata() or ())]
        except grpc.aio.AioRpcError as error:
            raise errors.of_grpc(doing, error) from error
        return reply, {str(name): str(value) for name, value in headers}

    def _channel(self) -> Any:
        if not self._channels:
            self._channels = [_open(self._host) for _ in range(CONNECTIONS)]
        return self._channels[next(self._turn)]


def _open(host: str) -> grpc.aio.Channel:
    address = urlsplit(host)
    if address.scheme == "http":
        return grpc.aio.insecure_channel(f"{address.hostname}:{address.port or 80}", _OPTIONS)
    target = f"{address.hostname}:{address.port or 443}"
    return grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), _OPTIONS)
