"""A task's progress as it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator

from fastapi import APIRouter
from fastapi.sse import EventSourceResponse, ServerSentEvent

from app.api.auth import TheCaller
from app.api.openapi import refuses
from app.api.service import TheService
from app.api.sight import ExistingTask
from app.api.status import status_of
from rowvec.model import Task

router = APIRouter(tags=["tasks"])

LOOK_EVERY_SECONDS = 0.5


@router.get(
    "/api/v1/tasks/{task_id}/events",
    operation_id="followTask",
    summary="Progress as server-sent events",
    response_class=EventSourceResponse,
    responses=refuses(401, 404, 503),
)
async def events(task: ExistingTask, the: TheService, caller: TheCaller) -> AsyncIterator[ServerSentEvent]:
    """A `progress` event with the status for every change, then `end` when the task has ended.

    A stream that closes without `end` can be opened again at any time, as long as its key opens anything.
    """
    told = None
    while True:
        if task.version != told:
            told = task.version
            yield await _event("progress", task, the)
        if task.state.ended:
            yield await _event("end", task, the)
            return
        if await the.stops_within(LOOK_EVERY_SECONDS) or not await the.keyring.still_opens(caller):
            return
        task = await the.machine.ledger.task(task.id)


async def _event(name: str, task: Task, the: TheService) -> ServerSentEvent:
    view = await status_of(the.machine.ledger, task)
    return ServerSentEvent(event=name, id=str(task.version), data=view)
