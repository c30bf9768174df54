"""What went wrong with a task, by cause; to be tried again, or taken away as a file."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import RedirectResponse

from app.api.looks import ErrorList
from app.api.models import RetryRequest
from app.api.routes import tasks as api
from app.api.service import Service, TheService
from app.api.sight import seen_task
from app.web.csrf import CsrfChecked
from app.web.live import Picture
from app.web.render import fragment, page
from app.web.site import TheSite
from app.web.unhurried import Unhurried
from app.web.visitor import SubmittingVisitor, TheVisitor, TheWatcher, VisibleTask
from rowvec.error_groups import error_groups
from rowvec.model import Task

router = APIRouter()

GroupId = Annotated[str, Path(pattern="^[0-9a-f]{12}$")]


@router.get("/tasks/{task_id}/errors")
async def show(request: Request, task: VisibleTask, the: TheService, _caller: TheVisitor) -> Response:
    return page(request, "errors.html", task=task, errors=await _errors(the, task))


@router.get("/live/tasks/{task_id}/errors")
async def live(
    request: Request, task: VisibleTask, the: TheService, site: TheSite, caller: TheWatcher
) -> Response:
    async def look() -> Picture:
        now = await seen_task(the, caller, task.id)
        told = fragment("_error_groups.html", caller, task=now, errors=await _errors(the, now))
        return Picture({"errors": told}, now.state.ended)

    return await site.live.answer(request, the, caller, ("errors", task.id), Unhurried(look))


@router.get("/tasks/{task_id}/rejected")
async def download(
    task: VisibleTask,
    the: TheService,
    _caller: TheVisitor,
    format: Literal["jsonl", "csv", "repair"] = "csv",
    group: api.Group = None,
) -> Response:
    return await api.rejected(task, the, format, "rejected", group)


@router.post("/tasks/{task_id}/errors/{group}/retry", dependencies=[CsrfChecked])
async def retry(
    request: Request, task: VisibleTask, the: TheService, _caller: SubmittingVisitor, group: GroupId
) -> Response:
    """The failed chunks of that group, and no others."""
    await api.retry(task, the, Response(), RetryRequest(group=group))
    if request.headers.get("HX-Request") != "true":
        return RedirectResponse(f"/tasks/{task.id}/errors", 303)
    return page(
        request,
        "_done.html",
        headers={"HX-Trigger": "live-refresh"},
        title="Trying again",
        words="Only the failed chunks of this group; the rest stays as it is.",
    )


async def _errors(the: Service, task: Task) -> ErrorList:
    return ErrorList.of(await error_groups(the.machine, task))
