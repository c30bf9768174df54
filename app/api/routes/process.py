"""Submitting work, and asking what it would look like and cost."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from app.api.auth import TheCaller, Writing
from app.api.models import ProcessRequest
from app.api.openapi import leads_to_the_task, refuses
from app.api.presence import while_connected
from app.api.preview import PreviewView
from app.api.service import Service, TheService
from app.api.sight import bounded, within_the_day
from app.api.status import seen_state
from app.api.views import Accepted, EstimateView
from app.callers import Caller
from rowvec.estimate import Estimate, checked, estimate_of, needs_export
from rowvec.intake import submit
from rowvec.ledgers.base import Submitted
from rowvec.preview import ROWS, Preview, preview_of

router = APIRouter(tags=["process"])

IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="The same key with the same body answers with the first task; with another body 422.",
    ),
]
_EXAMPLE = {
    "task_id": "5f0c1c2e-8a3b-4b0e-9a54-7d1f0f1b6d11",
    "status": "pending",
    "message": "Task queued for processing",
}


@router.post(
    "/api/v1/process",
    operation_id="process",
    summary="Turn a table into vectors",
    status_code=202,
    dependencies=[Writing],
    response_description="A new task; follow it under Location.",
    responses={
        202: {"content": {"application/json": {"example": _EXAMPLE}}, "links": leads_to_the_task()},
        200: {
            "model": Accepted,
            "description": "An earlier task answers for this request.",
            "links": leads_to_the_task(),
        },
        **refuses(400, 401, 403, 404, 409, 413, 422, 429, 501, 503),
    },
)
async def process(
    body: ProcessRequest,
    the: TheService,
    caller: TheCaller,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Checks the request against the table's header, records the task and returns at once."""
    submitted = await submitted_for(body, the, caller, idempotency_key)
    task = submitted.task
    response.headers["Location"] = f"/api/v1/status/{task.id}"
    response.headers["Retry-After"] = "1"
    if submitted.fresh:
        return Accepted(task_id=task.id, status="pending", message="Task queued for processing")
    response.status_code = 200
    return Accepted(
        task_id=task.id,
        status=seen_state(task),
        message="This was submitted before; the earlier task answers for it",
    )


async def submitted_for(
    body: ProcessRequest, the: Service, caller: Caller, idempotency_key: str | None
) -> Submitted:
    """The task of this caller. Raises what `submit` raises, and LimitReached."""
    await within_the_day(the, caller)
    request = await bounded(the, caller, body.as_task(the.settings), body.data_source)
    submitted = await submit(the.machine, request, idempotency_key, caller.grants.queued_rows)
    await the.doorbell.ring()
    return submitted


@router.post(
    "/api/v1/estimate",
    operation_id="estimate",
    summary="Rows, tokens, dollars and time, without spending any",
    dependencies=[Writing],
    response_description="What the same body would come to; nothing was recorded or spent.",
    responses=refuses(400, 401, 403, 404, 409, 413, 422, 429, 501, 503, 507),
)
async def estimate_task(
    body: ProcessRequest, the: TheService, caller: TheCaller, request: Request
) -> EstimateView:
    """Checks the request as `process` does, scans the table (up to 2 GiB of it) and looks at a sample of
    its rows. A Metabase question is exported for it, which takes as long as its query; a task exports it
    anew. A caller who hangs up stops it. A process scans one table at a time, and one question: who would
    wait for more than two seconds is told to come again (429)."""
    return EstimateView.of(await while_connected(request, estimated(body, the, caller)))


async def estimated(body: ProcessRequest, the: Service, caller: Caller) -> Estimate:
    """The estimate for this caller. What can be refused without a scan waits for nobody."""
    wish = await bounded(the, caller, body.as_task(the.settings), body.data_source)
    spec = await checked(the.machine, wish)
    turns = the.exports if needs_export(spec) else the.scans
    async with turns.taken():
        return await estimate_of(the.machine, spec)


@router.post(
    "/api/v1/preview",
    operation_id="preview",
    summary="The first rows as they would be embedded",
    dependencies=[Writing],
    response_description="What would become of the first rows; nothing was recorded or spent.",
    responses=refuses(400, 401, 403, 404, 409, 413, 422, 429, 501, 503, 507),
)
async def preview_task(
    body: ProcessRequest,
    the: TheService,
    caller: TheCaller,
    request: Request,
    rows: Annotated[int, Query(ge=1, le=50)] = ROWS,
) -> PreviewView:
    """Checks the request as `process` does and describes its first rows as a worker would. A Metabase
    question is exported until its first rows are there; a process does that for one caller at a time."""
    return PreviewView.of(await while_connected(request, previewed(body, the, caller, rows)))


async def previewed(body: ProcessRequest, the: Service, caller: Caller, rows: int = ROWS) -> Preview:
    """The preview for this caller. Raises what `submit` and preview_of raise."""
    wish = await bounded(the, caller, body.as_task(the.settings), body.data_source)
    spec = await checked(the.machine, wish)
    if not needs_export(spec):
        return await preview_of(the.machine, spec, rows)
    async with the.exports.taken():
        return await preview_of(the.machine, spec, rows)
