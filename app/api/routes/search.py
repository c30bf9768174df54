"""The proof that the data landed."""

from __future__ import annotations

import time

from fastapi import APIRouter

from app.api.auth import TheCaller
from app.api.models import SearchRequest
from app.api.openapi import refuses
from app.api.service import TheService
from app.api.sight import usual_namespace, within_the_day
from app.api.views import MatchView, SearchResult
from rowvec.search import search

router = APIRouter(tags=["search"])


@router.post(
    "/api/v1/search",
    operation_id="search",
    summary="The rows nearest to a sentence",
    responses=refuses(400, 401, 413, 422, 503),
)
async def search_rows(body: SearchRequest, the: TheService, caller: TheCaller) -> SearchResult:
    """`score` is the cosine similarity, -1 to 1. A namespace that is not there has no rows."""
    started = time.perf_counter()
    namespace = body.namespace or usual_namespace(caller)
    caller.require_namespace(namespace)
    await within_the_day(the, caller, sum(the.machine.embedder.count_tokens([body.query])))
    matches = await search(the.machine, namespace, body.query, body.limit)
    return SearchResult(
        matches=[
            MatchView(id=match.id, score=match.score, text=match.text, metadata=dict(match.metadata))
            for match in matches
        ],
        model=the.machine.embedder.model,
        took_ms=round((time.perf_counter() - started) * 1000, 1),
    )
