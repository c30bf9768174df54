"""The list of tasks."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response

from app.api.routes.tasks import Seen
from app.api.service import Service, TheService
from app.api.sight import seen_tasks
from app.api.views import TaskList
from app.callers import Caller
from app.web.live import Picture
from app.web.render import fragment, page
from app.web.site import Site, TheSite
from app.web.visitor import TheVisitor, TheWatcher

router = APIRouter()

A_PAGE = 25
FILTERS = ("processing", "pending", "paused", "cancelling", "failed", "completed", "cancelled")
Cursor = Annotated[str | None, Query(min_length=1, max_length=512)]


@router.get("/")
@router.get("/tasks")
async def show(
    request: Request,
    the: TheService,
    site: TheSite,
    caller: TheVisitor,
    status: Seen | None = None,
    cursor: Cursor = None,
) -> Response:
    return page(
        request,
        "tasks.html",
        **await _told(the, site, caller, status, cursor),
        live=_address("/live/tasks", status, cursor),
        origin=str(request.base_url).rstrip("/"),
    )


@router.get("/live/tasks")
async def live(
    request: Request,
    the: TheService,
    site: TheSite,
    caller: TheWatcher,
    status: Seen | None = None,
    cursor: Cursor = None,
) -> Response:
    async def look() -> Picture:
        told = await _told(the, site, caller, status, cursor)
        return Picture(
            {part: fragment(f"_tasks_{part}.html", caller, **told) for part in ("filters", "list")}
        )

    return await site.live.answer(request, the, caller, ("tasks", status, cursor), look)


async def _told(
    the: Service, site: Site, caller: Caller, status: Seen | None, cursor: str | None
) -> dict[str, Any]:
    tasks = await TaskList.of(the.machine.ledger, await seen_tasks(the, caller, A_PAGE, cursor, status))
    older = _address("/tasks", status, tasks.next_cursor) if tasks.next_cursor else None
    return {
        "tasks": tasks.tasks,
        "older": older,
        "newest": _address("/tasks", status, None) if cursor else None,
        "status": status,
        "counts": await site.census.of(the, caller),
        "filters": FILTERS,
    }


def _address(path: str, status: str | None, cursor: str | None) -> str:
    wanted = {name: value for name, value in (("status", status), ("cursor", cursor)) if value}
    return f"{path}?{urlencode(wanted)}" if wanted else path
