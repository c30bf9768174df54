"""The vectors API over REST."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from standins.pinecone import checks
from standins.pinecone.doors import dry_run, id_of, require_version, token_of, tokened
from standins.pinecone.index import Batch, Found
from standins.pinecone.json_door import JsonDoor, Reply, body_of, floats, values_of
from standins.pinecone.refusals import Refused, invalid, not_found
from standins.web import Answer, Request


class VectorsDoor(JsonDoor):
    async def handle(self, request: Request) -> Answer:
        """Raises Hang for a call that is never answered."""
        try:
            return await self._handle(request)
        except Refused as refused:
            return refused.of_vectors()

    async def _handle(self, request: Request) -> Answer:
        routes: dict[tuple[str, str], Callable[[Request], Awaitable[Reply]]] = {
            ("POST", "/vectors/upsert"): self.upsert,
            ("GET", "/vectors/fetch"): self.fetch,
            ("POST", "/vectors/fetch_by_metadata"): self.fetch_by_metadata,
            ("POST", "/query"): self.query,
            ("GET", "/vectors/list"): self.list,
            ("POST", "/vectors/delete"): self.delete,
            ("POST", "/vectors/update"): self.update,
            ("POST", "/describe_index_stats"): self.stats,
        }
        route = routes.get((request.method, request.path))
        if route is None:
            raise not_found(f"no such path: {request.method} {request.path}")
        lenient = self.index.settings.lenient
        if not lenient:
            require_version(request.headers.get("x-pinecone-api-version", ""))
        if self.index.spec.field is not None and request.path != "/describe_index_stats":
            raise invalid("This index is a document index: use /namespaces/{namespace}/documents.")
        if not lenient:
            checks.size(len(request.body))
        return await self.answered(route(request))

    async def upsert(self, request: Request) -> Reply:
        asked = body_of(request)
        vectors = asked.get("vectors", [])
        namespace = asked.get("namespace", "")
        call = self.call("upsert", request, namespace, len(vectors))

        def work() -> int:
            checks.count(len(vectors), "records")
            ids = [vector.get("id") for vector in vectors]
            documents = [checks.metadata(vector.get("metadata") or {}) for vector in vectors]
            return self.index.upsert(
                namespace, Batch(ids, [floats(v.get("values")) for v in vectors], documents)
            )

        lsn = await self.weather.perform(call, work)
        return Reply({"upsertedCount": len(vectors)}, lsn, written=True)

    async def fetch(self, request: Request) -> Reply:
        asked = parse_qs(request.query)
        ids, namespace = asked.get("ids", []), asked.get("namespace", [""])[0]
        call = self.call("fetch", request, namespace, len(ids))
        page = await self.weather.perform(call, lambda: self.index.fetch(namespace, ids))
        vectors = {one.id: self._vector(one) for one in page.found}
        return self._page({"vectors": vectors}, namespace, None, self._of_fetch(page.lsn))

    async def fetch_by_metadata(self, request: Request) -> Reply:
        asked = body_of(request)
        namespace, limit = asked.get("namespace", ""), asked.get("limit", 100)
        after = id_of(asked.get("paginationToken", ""))
        call = self.call("fetch", request, namespace, limit)
        page = await self.weather.perform(
            call, lambda: tokened(self.index.matching(namespace, asked.get("filter"), limit, after))
        )
        vectors = {one.id: self._vector(one) for one in page.found}
        return self._page({"vectors": vectors}, namespace, page.next, self._of_fetch(page.lsn))

    async def query(self, request: Request) -> Reply:
        asked = body_of(request)
        namespace = asked.get("namespace", "")
        call = self.call("query", request, namespace)
        page = await self.weather.perform(
            call,
            lambda: self.index.query(
                namespace, floats(asked.get("vector")), asked.get("topK", 0), asked.get("filter")
            ),
        )
        matches = []
        for one in page.found:
            match: dict[str, Any] = {"id": one.id, "score": one.score, "values": []}
            if asked.get("includeValues"):
                match["values"] = values_of(one)
            if asked.get("includeMetadata"):
                match["metadata"] = one.metadata
            matches.append(match)
        return self._page({"matches": matches}, namespace, None, page.lsn)

    async def list(self, request: Request) -> Reply:
        asked = {name: values[0] for name, values in parse_qs(request.query).items()}
        namespace, after = asked.get("namespace", ""), id_of(asked.get("paginationToken", ""))
        call = self.call("list", request, namespace)
        limit = int(asked.get("limit", 100))
        ids, last, lsn = await self.weather.perform(
            call, lambda: self.index.listed(namespace, asked.get("prefix", ""), limit, after)
        )
        vectors = [{"id": id_} for id_ in ids]
        return self._page({"vectors": vectors}, namespace, last and token_of(last), self._of_fetch(lsn))

    async def delete(self, request: Request) -> Reply:
        asked = body_of(request)
        ids, namespace, wanted = asked.get("ids") or [], asked.get("namespace", ""), asked.get("filter")
        call = self.call("delete", request, namespace, len(ids), by_filter=wanted is not None)

        def work() -> int:
            if asked.get("deleteAll"):
                return self.index.delete_all(namespace)
            if wanted is not None:
                return self.index.delete_matching(namespace, wanted)
            return self.index.delete(namespace, ids)

        return Reply({}, await self.weather.perform(call, work), written=True)

    async def update(self, request: Request) -> Reply:
        asked = body_of(request)
        namespace, wanted, dry = asked.get("namespace", ""), asked.get("filter"), bool(asked.get("dryRun"))
        call = self.call("update", request, namespace, by_filter=True)
        matched = await self.weather.perform(call, lambda: dry_run(self.index, namespace, wanted, dry))
        return Reply({"matchedRecords": matched})

    async def stats(self, request: Request) -> Reply:
        call = self.call("describe_index_stats", request, "")
        counts = await self.weather.perform(call, self.index.counts)
        spec = self.index.spec
        document = {
            "namespaces": {name: {"vectorCount": count} for name, count in counts.items()},
            "dimension": spec.dimension,
            "indexFullness": 0.0,
            "totalVectorCount": sum(counts.values()),
            "metric": spec.metric,
            "vectorType": "dense",
        }
        return Reply(document)

    def _of_fetch(self, lsn: int | None) -> int | None:
        return lsn if self.index.settings.lsn_on_fetch else None

    def _page(self, document: dict[str, Any], namespace: str, token: str | None, lsn: int | None) -> Reply:
        rest = {"namespace": namespace, "usage": {"readUnits": 1}}
        page = {"pagination": {"next": token}} if token is not None else {}
        return Reply(document | rest | page, lsn)

    def _vector(self, one: Found) -> dict[str, Any]:
        return {"id": one.id, "values": values_of(one), "metadata": one.metadata}
