"""The gRPC door of an index's data plane: VectorService."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn

import grpc
import grpc.aio

from standins.pinecone import checks, messages
from standins.pinecone.doors import dry_run, id_of, lsn_headers, require_version, token_of, tokened
from standins.pinecone.index import Batch, Index
from standins.pinecone.messages import Fields
from standins.pinecone.protobuf import Malformed
from standins.pinecone.refusals import Refused, invalid
from standins.pinecone.weather import Call, Cut, Weather
from standins.web import Hang

Reply = tuple[bytes, int | None, bool]
"""A message, its log sequence number, and whether that is a write's."""
_BROKEN = (Malformed, IndexError, UnicodeDecodeError)
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def handlers(behind: Callable[[], tuple[Index, Weather]]) -> grpc.GenericRpcHandler:
    """VectorService as the index that is behind this port at the moment."""

    def answering(name: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
        async def answer(request: bytes, context: Any) -> bytes:
            return await VectorService(*behind()).answer(name, request, context)

        return answer

    methods = {name: grpc.unary_unary_rpc_method_handler(answering(name)) for name in VectorService.METHODS}
    return grpc.method_handlers_generic_handler("VectorService", methods)


@dataclass(frozen=True, slots=True)
class VectorService:
    index: Index
    weather: Weather

    METHODS: ClassVar[dict[str, str]] = {
        "Upsert": "upsert",
        "Fetch": "fetch",
        "FetchByMetadata": "fetch_by_metadata",
        "Query": "query",
        "List": "list",
        "Delete": "delete",
        "Update": "update",
        "DescribeIndexStats": "stats",
    }

    async def answer(self, name: str, request: bytes, context: Any) -> bytes:
        try:
            return await self._answer(name, request, context)
        except _BROKEN:
            await context.abort(grpc.StatusCode.INTERNAL, "the message could not be decoded")
        except Refused as refused:
            await _abort(context, refused)
        except Cut:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")
        except Hang:
            await asyncio.Event().wait()
        raise AssertionError("an aborted call does not go on")

    async def _answer(self, name: str, request: bytes, context: Any) -> bytes:
        require_version(_metadata(context).get("x-pinecone-api-version", ""))
        if self.index.spec.field is not None:
            raise invalid("This index is a document index: use the Documents API over REST.")
        checks.size(len(request))
        work: Callable[[bytes, Any], Awaitable[Reply]] = getattr(self, self.METHODS[name])
        message, lsn, written = await work(request, context)
        headers = lsn_headers(self.index.settings, lsn, written)
        await context.send_initial_metadata(tuple(headers.items()))
        return message

    async def upsert(self, request: bytes, context: Any) -> Reply:
        asked = messages.read_upsert(request)
        call = self._call("upsert", context, asked.namespace, len(asked.ids), len(request))

        def work() -> int:
            checks.count(len(asked.ids), "records")
            documents = [checks.metadata(fields) for fields in asked.metadata]
            return self.index.upsert(asked.namespace, Batch(asked.ids, asked.vectors, documents))

        lsn = await self.weather.perform(call, work)
        return messages.upserted(len(asked.ids)), lsn, True

    async def fetch(self, request: bytes, context: Any) -> Reply:
        asked = Fields(request)
        ids, namespace = asked.texts(1), asked.text(2)
        call = self._call("fetch", context, namespace, len(ids))
        page = await self.weather.perform(call, lambda: self.index.fetch(namespace, ids))
        return messages.fetched(page, namespace), self._of_fetch(page.lsn), False

    async def fetch_by_metadata(self, request: bytes, context: Any) -> Reply:
        asked = Fields(request)
        namespace, limit = asked.text(1), asked.count(3, 100)
        wanted, after = asked.structure(2), id_of(asked.text(4))
        call = self._call("fetch", context, namespace, limit)
        page = await self.weather.perform(
            call, lambda: tokened(self.index.matching(namespace, wanted, limit, after))
        )
        return messages.fetched(page, namespace, paged=True), self._of_fetch(page.lsn), False

    async def query(self, request: bytes, context: Any) -> Reply:
        asked = Fields(request)
        namespace, limit, wanted = asked.text(1), asked.count(2), asked.structure(3)
        call = self._call("query", context, namespace)
        page = await self.weather.perform(
            call, lambda: self.index.query(namespace, asked.floats(7), limit, wanted)
        )
        return messages.queried(page, namespace, asked.flag(4), asked.flag(5)), page.lsn, False

    async def list(self, request: bytes, context: Any) -> Reply:
        asked = Fields(request)
        namespace, limit, after = asked.text(4), asked.count(2, 100), id_of(asked.text(3))
        call = self._call("list", context, namespace)
        ids, last, lsn = await self.weather.perform(
            call, lambda: self.index.listed(namespace, asked.text(1), limit, after)
        )
        return messages.listed(ids, last and token_of(last), namespace), self._of_fetch(lsn), False

    async def delete(self, request: bytes, context: Any) -> Reply:
        asked = Fields(request)
        ids, namespace, wanted = asked.texts(1), asked.text(3), asked.structure(4)
        call = self._call("delete", context, namespace, len(ids), by_filter=wanted is not None)

        def work() -> int:
            if asked.flag(2):
                return self.index.delete_all(namespace)
            if wanted is not None:
                return self.index.delete_matching(namespace, wanted)
            return self.index.delete(namespace, ids)

        return b"", await self.weather.perform(call, work), True

    async def update(self, request: bytes, context: Any) -> Reply:
        asked = Fields(request)
        namespace, wanted = asked.text(4), asked.structure(6)
        call = self._call("update", context, namespace, by_filter=True)
        matched = await self.weather.perform(
            call, lambda: dry_run(self.index, namespace, wanted, asked.flag(7))
        )
        return messages.updated(matched), None, False

    async def stats(self, request: bytes, context: Any) -> Reply:
        if Fields(request).structure(1):
            raise invalid("Serverless indexes do not support describing stats with a filter.")
        call = self._call("describe_index_stats", context, "")
        counts = await self.weather.perform(call, self.index.counts)
        return messages.described(counts, self.index.spec.dimension, self.index.spec.metric), None, False

    def _of_fetch(self, lsn: int | None) -> int | None:
        return lsn if self.index.settings.lsn_on_fetch else None

    def _call(
        self,
        operation: str,
        context: Any,
        namespace: str,
        records: int = 0,
        size: int = 0,
        by_filter: bool = False,
    ) -> Call:
        key = _metadata(context).get("api-key", "")
        return Call(operation, key, self.index.spec.name, namespace, records, size, by_filter)


def _metadata(context: Any) -> dict[str, str]:
    return dict(context.invocation_metadata() or ())


async def _abort(context: Any, refused: Refused) -> NoReturn:
    code = next(code for code in grpc.StatusCode if code.value[0] == refused.code.value)
    await context.abort(code, refused.message, tuple(refused.headers.items()))
    raise AssertionError("abort does not return")
