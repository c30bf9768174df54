"""Search: type, and see the rows that are nearest in meaning."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import ValidationError

from app.api.models import SearchRequest
from app.api.routes.search import search_rows
from app.api.service import Service, TheService
from app.api.sight import seen_tasks, usual_namespace
from app.api.views import SearchResult
from app.callers import Caller
from app.web.render import page
from app.web.visitor import TheVisitor
from app.web.wish import in_fields
from rowvec.errors import InvalidRequest, NotAllowed
from rowvec.text import clean

router = APIRouter()

LATEST_TASKS = 100
Typed = Annotated[str, Query(max_length=32_000)]
Chosen = Annotated[str, Query(max_length=128)]


@router.get("/search")
async def show(
    request: Request,
    the: TheService,
    caller: TheVisitor,
    q: Typed = "",
    namespace: Chosen = "",
    limit: Annotated[int, Query(ge=1, le=100)] = 10,
) -> Response:
    """The page, or for htmx the rows alone."""
    where = namespace or usual_namespace(caller)
    found, errors = await _found(the, caller, q, where, limit)
    told: dict[str, Any] = {"q": q, "namespace": where, "found": found, "errors": errors, "limit": limit}
    status = 422 if errors else 200
    if request.headers.get("HX-Request") == "true":
        return page(request, "_found.html", status_code=status, **told)
    return page(
        request,
        "search.html",
        status_code=status,
        namespaces=await _namespaces(the, caller),
        while_typing=not the.machine.embedder.price,
        **told,
    )


async def _found(
    the: Service, caller: Caller, query: str, namespace: str, limit: int
) -> tuple[SearchResult | None, dict[str, str]]:
    """The rows, and what is wrong by field; neither where nothing was typed."""
    if not clean(query):
        return None, {}
    try:
        body = SearchRequest(query=query, namespace=namespace, limit=limit)
        return await search_rows(body, the, caller), {}
    except ValidationError as error:
        return None, in_fields(error)
    except InvalidRequest as error:
        return None, {error.field or "query": error.message}
    except NotAllowed as error:
        return None, {"namespace": error.message}


async def _namespaces(the: Service, caller: Caller) -> list[str]:
    """Those of the latest tasks, to choose from; any other can be typed."""
    page = await seen_tasks(the, caller, LATEST_TASKS, None, None)
    return sorted({task.spec.namespace for task in page.tasks})
