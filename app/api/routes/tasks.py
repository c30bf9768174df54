"""Tasks: how they stand, what became of their rows, and what a caller may ask of them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Literal
from zlib import crc32

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from app.api.auth import Administering, TheCaller, Writing
from app.api.exports import as_csv, as_jsonl
from app.api.looks import ErrorList, Grid
from app.api.models import ResumeRequest, RetryRequest
from app.api.openapi import refuses
from app.api.service import Service, TheService
from app.api.sight import ExistingTask, TaskWithAround, seen_tasks
from app.api.status import StatusView, status_of
from app.api.views import ChunkList, GroupList, Removed, TaskList, VerificationView
from rowvec import steer
from rowvec.error_groups import error_groups, retry_group
from rowvec.errors import InvalidRequest
from rowvec.model import ChunkState, Flag, Task
from rowvec.rejected import grouped, rejections
from rowvec.removal import remove_vectors
from rowvec.repair import repair_table
from rowvec.resend import retry_rejected
from rowvec.spec import Verify
from rowvec.verify import verify

router = APIRouter(tags=["tasks"])

Seen = Literal["pending", "processing", "paused", "cancelling", "completed", "failed", "cancelled"]
Outcome = Literal["rejected", "warning", "duplicate"]
Group = Annotated[str | None, Query(pattern="^[0-9a-f]{12}$", description="Only rows of that group.")]
ChunkSeen = Literal["ready", "claimed", "done", "failed"]
_ABOUT_ONE = refuses(401, 404, 503)
_STEERING = refuses(401, 404, 409, 503)


async def _view(the: Service, task: Task) -> StatusView:
    return await status_of(the.machine.ledger, task)


@router.get(
    "/api/v1/status/{task_id}",
    operation_id="getStatus",
    summary="How a task stands",
    response_model=StatusView,
    responses={304: {"description": "Nothing has changed since that ETag."}, **_ABOUT_ONE},
)
async def status(
    around: TaskWithAround,
    the: TheService,
    caller: TheCaller,
    response: Response,
    if_none_match: Annotated[str, Header()] = "",
) -> StatusView | Response:
    """The ETag is weak: between two changes of the task only its speed and time left are told anew."""
    task = around.task
    children = [child for child in around.children if caller.sees(child.spec)]
    view = await status_of(the.machine.ledger, task, children, around)
    waits = crc32((view.waits_for or "").encode())
    version = "-".join(map(str, [task.version, waits, *(child.version for child in children)]))
    headers = {"ETag": f'W/"{version}"', "Cache-Control": "private, no-cache"}
    known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    if f'"{version}"' in known or "*" in known:
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return view


@router.get(
    "/api/v1/tasks",
    operation_id="listTasks",
    summary="All tasks, newest first",
    responses=refuses(401, 422, 503),
)
async def tasks(
    the: TheService,
    caller: TheCaller,
    status: Seen | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(min_length=1, max_length=512)] = None,
) -> TaskList:
    page = await seen_tasks(the, caller, limit, cursor, status)
    return await TaskList.of(the.machine.ledger, page)


@router.post(
    "/api/v1/tasks/{task_id}/cancel",
    operation_id="cancelTask",
    dependencies=[Writing],
    summary="Stop for good; what has landed stays",
    responses=_STEERING,
)
async def cancel(task: ExistingTask, the: TheService) -> StatusView:
    """Chunks at work end first: until then the task is `cancelling`."""
    return await _view(the, await steer.cancel(the.machine, task.id))


@router.post(
    "/api/v1/tasks/{task_id}/pause",
    operation_id="pauseTask",
    dependencies=[Writing],
    summary="Hand out no more work until resumed",
    responses=_STEERING,
)
async def pause(task: ExistingTask, the: TheService) -> StatusView:
    return await _view(the, await the.machine.ledger.flag(task.id, Flag.PAUSE, "paused on request"))


@router.post(
    "/api/v1/tasks/{task_id}/resume",
    operation_id="resumeTask",
    dependencies=[Writing],
    summary="Go on where it stood",
    responses={**_STEERING, **refuses(400, 413, 422)},
)
async def resume(task: ExistingTask, the: TheService, body: ResumeRequest | None = None) -> StatusView:
    resumed = await steer.resume(the.machine, task.id, body.more_tokens if body else 0)
    await the.doorbell.ring()
    return await _view(the, resumed)


@router.post(
    "/api/v1/tasks/{task_id}/retry",
    operation_id="retryTask",
    dependencies=[Writing],
    summary="Try the failed chunks again, or send the rejected rows in again",
    response_description="The task, or the child that has its rejected rows already.",
    responses={
        202: {"model": StatusView, "description": "A new child with the rejected rows, under Location."},
        **_STEERING,
        **refuses(400, 403, 413, 422, 501, 507),
    },
)
async def retry(
    task: ExistingTask, the: TheService, response: Response, body: RetryRequest | None = None
) -> StatusView:
    """Refused with 409 when the source has changed since the task was submitted.

    With `{"rejected": true}` the rejected rows of an ended task go in again as a child of it, unchanged, and
    the answer is that child; nothing that landed is done again. 409 when the task has not ended or none of
    its rejected rows is open. While the child is at work the same call answers with the same child.
    With `{"group": "…"}` only the failed chunks of that group of `/errors` are tried again.
    """
    if body and body.rejected and body.group:
        raise InvalidRequest("Ask for `rejected` or for a `group` of failed chunks, not for both.", "group")
    if body is None or not body.rejected:
        group = body.group if body else None
        retried = await (
            retry_group(the.machine, task.id, group) if group else steer.retry(the.machine, task.id)
        )
        await the.doorbell.ring()
        return await _view(the, retried)
    sent = await retry_rejected(the.machine, task.id)
    await the.doorbell.ring()
    response.status_code = 202 if sent.fresh else 200
    response.headers["Location"] = f"/api/v1/status/{sent.task.id}"
    return await _view(the, sent.task)


@router.post(
    "/api/v1/tasks/{task_id}/verify",
    operation_id="verifyTask",
    summary="Compare the vector store with what was counted as landed",
    responses={**_STEERING, **refuses(422)},
)
async def verify_task(
    task: ExistingTask, the: TheService, rows: Literal["all", "sample"] = "all"
) -> VerificationView:
    """A `sample` are about 10,000 rows from all over the task; all are looked at all the same where the
    namespace has fewer vectors than the task has written."""
    found = await verify(the.machine, task.id, Verify(rows))
    return VerificationView(task_id=task.id, ok=found.ok, **asdict(found))


@router.delete(
    "/api/v1/tasks/{task_id}/vectors",
    operation_id="deleteVectors",
    dependencies=[Administering],
    summary="Take an ended task's vectors out of the store",
    responses=_STEERING,
)
async def delete_vectors(task: ExistingTask, the: TheService) -> Removed:
    return Removed(task_id=task.id, removed=await remove_vectors(the.machine, task.id))


@router.get(
    "/api/v1/tasks/{task_id}/chunks",
    operation_id="listChunks",
    summary="A task's chunks, by number",
    responses={**_ABOUT_ONE, **refuses(422)},
)
async def chunks(
    task: ExistingTask,
    the: TheService,
    after: Annotated[int, Query(ge=-1, le=2**53)] = -1,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    state: ChunkSeen | None = None,
) -> ChunkList:
    wanted = ChunkState(state) if state else None
    return ChunkList.of(await the.machine.ledger.chunks(task.id, limit, after, wanted), limit)


@router.get(
    "/api/v1/tasks/{task_id}/rejected",
    operation_id="downloadRejected",
    summary="The rows that are not in the index, and why",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/jsonl": {}, "text/csv": {}}, "description": "One line a row."},
        **_ABOUT_ONE,
        **refuses(422),
    },
)
async def rejected(
    task: ExistingTask,
    the: TheService,
    format: Literal["jsonl", "csv", "repair"] = "jsonl",
    outcome: Outcome = "rejected",
    group: Group = None,
) -> StreamingResponse:
    """In CSV a cell that a spreadsheet could take for a formula begins with `'`; JSON lines are exact.

    `repair` is a CSV of the rejected rows in the task's own columns: repair it, upload it and submit it
    with `parent_id`. `group` is the id of one of `/errors`: only its rows are given.
    """
    if format == "repair":
        if outcome != "rejected":
            raise InvalidRequest("format 'repair' is for rejected rows only.", "outcome")
        return StreamingResponse(
            repair_table(the.machine, task, group),
            media_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="repair-{task.id}.csv"'},
        )
    rows = rejections(the.machine, task.id, outcome, group)
    return StreamingResponse(
        as_csv(rows) if format == "csv" else as_jsonl(rows),
        media_type="text/csv; charset=utf-8" if format == "csv" else "application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="{outcome}-{task.id}.{format}"'},
    )


@router.get(
    "/api/v1/tasks/{task_id}/rejected/groups",
    operation_id="groupRejected",
    summary="The rows that are not in the index, counted by reason",
    responses={**_ABOUT_ONE, **refuses(422)},
)
async def rejected_groups(task: ExistingTask, the: TheService, outcome: Outcome = "rejected") -> GroupList:
    return GroupList.of(await grouped(rejections(the.machine, task.id, outcome)))


@router.get(
    "/api/v1/tasks/{task_id}/errors",
    operation_id="groupErrors",
    summary="Failed chunks and rejected rows, grouped by cause",
    responses=_ABOUT_ONE,
)
async def errors(task: ExistingTask, the: TheService) -> ErrorList:
    """Errors whose words differ only in numbers, ids and quoted values are one group. At most 50,000 rejected
    rows are looked at, in the order of the table; `rows_looked_at` tells how many."""
    return ErrorList.of(await error_groups(the.machine, task))


@router.get(
    "/api/v1/tasks/{task_id}/chunks/grid",
    operation_id="lookAtChunks",
    summary="All chunks at a glance, in a few bytes each",
    response_model=Grid,
    responses={**_ABOUT_ONE, **refuses(422)},
)
async def grid(
    task: ExistingTask, the: TheService, after: Annotated[int, Query(ge=-1, le=2**53)] = -1
) -> Response:
    """Up to 20,000 chunks, by number, as they were at most a second ago."""
    drawn = await the.grids.of(the.machine.ledger, task, after + 1)
    return Response(drawn.json, media_type="application/json")
