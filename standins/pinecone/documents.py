"""The Documents API of the 2026-07 version: /namespaces/{namespace}/documents/…"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from urllib.parse import unquote

from standins.pinecone import checks
from standins.pinecone.doors import DOCUMENTS, id_of, require_version, token_of, tokened
from standins.pinecone.index import Batch, Found
from standins.pinecone.json_door import JsonDoor, Reply, body_of, floats, values_of
from standins.pinecone.refusals import Code, Refused, invalid, not_found
from standins.web import Answer, Request

_RESERVED = "_$"


class DocumentsDoor(JsonDoor):
    async def handle(self, request: Request) -> Answer:
        """Raises Hang for a call that is never answered."""
        try:
            return await self._handle(request)
        except Refused as refused:
            return refused.of_documents()

    async def _handle(self, request: Request) -> Answer:
        routes: dict[str, Callable[[Request, str], Awaitable[Reply]]] = {
            "upsert": self.upsert,
            "fetch": self.fetch,
            "search": self.search,
            "delete": self.delete,
            "list": self.list,
        }
        _, _, namespace, _, verb = request.path.split("/", 4)
        if request.method != "POST" or verb not in routes:
            raise not_found(f"no such path: {request.method} {request.path}")
        require_version(request.headers.get("x-pinecone-api-version", ""), DOCUMENTS)
        if self.index.spec.field is None:
            raise invalid("This index is served by the vectors API: use /vectors/upsert and its siblings.")
        if len(request.body) > checks.MOST_BYTES:
            message = f"The request is {len(request.body)} bytes, the limit is {checks.MOST_BYTES} bytes."
            raise Refused(Code.OUT_OF_RANGE, 413, message, name="PAYLOAD_TOO_LARGE")
        return await self.answered(routes[verb](request, unquote(namespace)))

    async def upsert(self, request: Request, namespace: str) -> Reply:
        documents = body_of(request).get("documents", [])
        call = self.call("upsert", request, namespace, len(documents))

        def work() -> int:
            checks.count(len(documents), "documents")
            return self.index.upsert(namespace, self._batch(documents))

        lsn = await self.weather.perform(call, work)
        return Reply({"upserted_count": len(documents)}, lsn, written=True, status=202)

    async def fetch(self, request: Request, namespace: str) -> Reply:
        asked = body_of(request)
        ids, wanted, limit = asked.get("ids"), asked.get("filter"), asked.get("limit", 100)
        if (ids is None) == (wanted is None):
            raise invalid("Provide document IDs in 'ids', or a metadata filter in 'filter', and not both.")
        after = id_of(asked.get("pagination_token", ""))
        call = self.call("fetch", request, namespace, limit if ids is None else len(ids))
        page = await self.weather.perform(
            call,
            lambda: (
                self.index.fetch(namespace, ids)
                if ids is not None
                else tokened(self.index.matching(namespace, wanted, limit, after))
            ),
        )
        fields = asked.get("include_fields") or ["*"]
        documents = {one.id: {"_id": one.id} | self._fields(one, fields) for one in page.found}
        return self._page({"documents": documents}, namespace, page.next)

    async def search(self, request: Request, namespace: str) -> Reply:
        asked = body_of(request)
        vector = self._scored_by(asked.get("score_by"))
        call = self.call("query", request, namespace)
        page = await self.weather.perform(
            call, lambda: self.index.query(namespace, vector, asked.get("top_k", 0), asked.get("filter"))
        )
        fields = asked.get("include_fields") or []
        matches = [{"_id": one.id, "_score": one.score} | self._fields(one, fields) for one in page.found]
        return self._page({"matches": matches}, namespace, None, page.lsn)

    async def delete(self, request: Request, namespace: str) -> Reply:
        asked = body_of(request)
        ids, wanted, everything = asked.get("ids"), asked.get("filter"), bool(asked.get("delete_all"))
        if [ids is not None, wanted is not None, everything].count(True) != 1:
            raise invalid("Exactly one of 'ids', 'filter' and 'delete_all' must be given.")
        call = self.call("delete", request, namespace, len(ids or ()), by_filter=wanted is not None)

        def work() -> tuple[int | None, int]:
            if everything:
                return None, self.index.delete_all(namespace)
            if ids is not None:
                return None, self.index.delete(namespace, ids)
            matched = self.index.count_matching(namespace, wanted)
            return matched, self.index.delete_matching(namespace, wanted)

        matched, lsn = await self.weather.perform(call, work)
        return Reply({} if matched is None else {"matched_records": matched}, lsn, written=True, status=202)

    async def list(self, request: Request, namespace: str) -> Reply:
        asked = body_of(request)
        after = id_of(asked.get("pagination_token", ""))
        call = self.call("list", request, namespace)
        ids, last, _ = await self.weather.perform(
            call,
            lambda: self.index.listed(namespace, asked.get("prefix", ""), asked.get("limit", 100), after),
        )
        documents = [{"_id": id_} for id_ in ids]
        return self._page({"documents": documents}, namespace, last and token_of(last))

    def _batch(self, documents: Sequence[Any]) -> Batch:
        spec = self.index.spec
        ids: list[Any] = []
        vectors, metadata = [], []
        for document in documents:
            id_ = document.get("_id") if isinstance(document, dict) else None
            missing = [name for name in (spec.field, *spec.required) if name and name not in document]
            if missing:
                raise invalid(f"Document '{id_}' lacks the required field '{missing[0]}'.")
            ids.append(id_)
            vectors.append(floats(document[spec.field]))
            metadata.append(self._metadata(document))
        return Batch(ids, vectors, metadata)

    def _metadata(self, document: Mapping[str, Any]) -> bytes:
        spec = self.index.spec
        for name in (*spec.texts, *spec.required):
            if not isinstance(document.get(name, ""), str):
                raise invalid(f"Field '{name}' of document '{document['_id']}' must be a string.")
        fields = {name: value for name, value in document.items() if name not in ("_id", spec.field)}
        searched = set(spec.texts) | set(spec.required)
        checks.metadata({name: v for name, v in fields.items() if name not in searched}, _RESERVED)
        return checks.metadata(fields, _RESERVED, most=checks.MOST_BYTES)

    def _scored_by(self, clauses: Any) -> bytes:
        if not isinstance(clauses, list) or len(clauses) != 1 or clauses[0].get("type") != "dense_vector":
            raise invalid("This stand-in scores by one dense_vector clause only.")
        [clause] = clauses
        if (clause.get("fields") or [clause.get("field")]) != [self.index.spec.field]:
            raise invalid(
                f"The index has no dense_vector field '{clause.get('fields') or clause.get('field')}'."
            )
        return floats(clause.get("values"))

    def _fields(self, one: Found, wanted: Sequence[str]) -> dict[str, Any]:
        every = dict(one.metadata) | {str(self.index.spec.field): values_of(one)} if wanted else {}
        return every if "*" in wanted else {name: every[name] for name in wanted if name in every}

    def _page(
        self, document: dict[str, Any], namespace: str, token: str | None, lsn: int | None = None
    ) -> Reply:
        rest = {"namespace": namespace, "usage": {"read_units": 1}}
        return Reply(document | rest | ({"pagination": {"next": token}} if token is not None else {}), lsn)
