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
from app.demo.sample import NAMESPACE
from app.web.render import is_htmx, page
from app.web.visitor import TheVisitor
from app.web.wish import in_fields
from rowvec.errors import InvalidRequest, NotAllowed
from rowvec.text import clean

router = APIRouter()

LATEST_TASKS = 100
EXAMPLES = {NAMESPACE: "wait until another thread has finished", "default": "a lamp for a small desk"}
"""Questions to the samples that come with the service, by where they go."""
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
    is_page = not is_htmx(request)
    namespaces = await _namespaces(the, caller) if is_page or not namespace else []
    where = namespace or next(iter(namespaces), usual_namespace(caller))
    found, errors = await _found(the, caller, q, where, limit)
    told: dict[str, Any] = {"q": q, "namespace": where, "found": found, "errors": errors, "limit": limit}
    told["example"] = EXAMPLES.get(where)
    status = 422 if errors else 200
    if not is_page:
        return page(request, "_found.html", status_code=status, **told)
    return page(
        request,
        "search.html",
        status_code=status,
        namespaces=namespaces,
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
    """Those of the latest tasks, the newest first, to choose from; any other can be typed."""
    page = await seen_tasks(the, caller, LATEST_TASKS, None, None)
    return list(dict.fromkeys(task.spec.namespace for task in page.tasks))
