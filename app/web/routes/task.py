"""One task: how it stands, what it waits for, what became of its rows, and what may be asked of it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response

from app.api.models import ResumeRequest, RetryRequest
from app.api.routes import tasks as api
from app.api.service import Service, TheService
from app.api.sight import seen_task
from app.api.status import status_of
from app.callers import Caller
from app.web import words
from app.web.csrf import CsrfChecked
from app.web.forecast import forecast
from app.web.live import Picture
from app.web.pace import pace_of
from app.web.render import fragment, gone_to, is_htmx, page
from app.web.site import Site, TheSite
from app.web.visitor import SubmittingVisitor, TheVisitor, TheWatcher, VisibleTask
from rowvec.model import Task
from rowvec.sweeper import living

router = APIRouter()

REGIONS = ("state", "actions", "progress", "pace", "outcomes", "about")


@router.get("/tasks/{task_id}")
async def show(
    request: Request, task: VisibleTask, the: TheService, site: TheSite, caller: TheVisitor
) -> Response:
    return page(request, "task.html", **await _told(the, site, caller, task))


@router.get("/live/tasks/{task_id}")
async def live(
    request: Request, task: VisibleTask, the: TheService, site: TheSite, caller: TheWatcher
) -> Response:
    async def look() -> Picture:
        told = await _told(the, site, caller, await seen_task(the, caller, task.id))
        return Picture(
            {name: fragment(f"_task_{name}.html", caller, **told) for name in REGIONS}, _ended(told)
        )

    return await site.live.answer(request, the, caller, ("task", task.id), look)


def _ended(told: dict[str, Any]) -> bool:
    return bool(told["task"].state.ended)


async def _told(the: Service, site: Site, caller: Caller, task: Task) -> dict[str, Any]:
    """What the templates of a task know."""
    machine, ledger = the.machine, the.machine.ledger
    children = [child for child in await ledger.children(task.id) if caller.sees(child.spec)]
    view = await status_of(ledger, task, children)
    workers = await living(ledger, machine.limits.lease_seconds)
    now, price = await ledger.now(), machine.embedder.price
    until = task.completed_at or now
    return {
        "task": task,
        "view": view,
        "situation": words.situation(view, len(workers)),
        "stage": words.STAGES[view.stage] if view.stage and view.status == "processing" else None,
        "price": price,
        "dollars": view.conservation.tokens * price / 1e6,
        "expected": await forecast(ledger, task, price),
        "failed_rows": task.rows_failed,
        "seconds": until - task.started_at if task.started_at else None,
        "pace": pace_of(await site.commits.of(ledger, task), task.started_at, until, task.state.ended),
    }


@router.post("/tasks/{task_id}/pause", dependencies=[CsrfChecked])
async def pause(request: Request, task: VisibleTask, the: TheService, _caller: SubmittingVisitor) -> Response:
    await api.pause(task, the)
    return _done(request, task.id, "Paused", "Chunks at work end first; nothing new is begun.")


@router.post("/tasks/{task_id}/resume", dependencies=[CsrfChecked])
async def resume(
    request: Request,
    task: VisibleTask,
    the: TheService,
    _caller: SubmittingVisitor,
    more_tokens: Annotated[int, Form(ge=0, le=2**53)] = 0,
) -> Response:
    await api.resume(task, the, ResumeRequest(more_tokens=more_tokens))
    return _done(request, task.id, "Resumed", "It goes on where it stood.")


@router.post("/tasks/{task_id}/cancel", dependencies=[CsrfChecked])
async def cancel(
    request: Request, task: VisibleTask, the: TheService, _caller: SubmittingVisitor
) -> Response:
    await api.cancel(task, the)
    return _done(request, task.id, "Cancelling", "Chunks at work end first. What has landed stays.")


@router.post("/tasks/{task_id}/retry", dependencies=[CsrfChecked])
async def retry(request: Request, task: VisibleTask, the: TheService, _caller: SubmittingVisitor) -> Response:
    await api.retry(task, the, Response())
    return _done(request, task.id, "Trying again", "Only what failed is done again.")


@router.post("/tasks/{task_id}/retry-rejected", dependencies=[CsrfChecked])
async def retry_rejected(
    request: Request, task: VisibleTask, the: TheService, _caller: SubmittingVisitor
) -> Response:
    """The rejected rows go in again as a task of their own, which is shown then."""
    child = await api.retry(task, the, Response(), RetryRequest(rejected=True))
    return gone_to(request, f"/tasks/{child.task_id}")


@router.post("/tasks/{task_id}/verify", dependencies=[CsrfChecked])
async def verify(request: Request, task: VisibleTask, the: TheService, _caller: TheVisitor) -> Response:
    return page(request, "_verified.html", found=await api.verify_task(task, the))


def _done(request: Request, task_id: str, title: str, told: str) -> Response:
    """A notice for htmx, with word to the page that its stream begins anew; else the task's page again."""
    if is_htmx(request):
        return page(request, "_done.html", headers={"HX-Trigger": "live-refresh"}, title=title, words=told)
    return gone_to(request, f"/tasks/{task_id}")
