"""What there is for a caller: the tasks, namespaces and tables of its tenant. The rest does not exist."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, TypeVar
from uuid import UUID

from fastapi import Depends, Path

from app.api.auth import TheCaller
from app.api.service import Service, TheService
from app.callers import Caller
from rowvec.errors import LimitReached, NotAllowed, SourceNotFound, UnknownTask
from rowvec.intake import TaskRequest
from rowvec.ledgers.base import Around, Page
from rowvec.model import DAY, Task
from rowvec.purse import day_account
from rowvec.uploads import tenant_of

T = TypeVar("T")

LOOKS = 10
"""So often a page of a list is filled up before it is given with fewer tasks than were asked for."""

TaskId = Annotated[str, Path(description="The task's id, as `POST /api/v1/process` gave it.")]


async def seen_task(the: Service, caller: Caller, task_id: str) -> Task:
    """Raises UnknownTask, in the same words for what is no id, for none of that id, and for another's."""
    task = await _asked(the.machine.ledger.task, task_id)
    _must_see(caller, task, task_id)
    return task


async def existing_task(task_id: TaskId, the: TheService, caller: TheCaller) -> Task:
    return await seen_task(the, caller, task_id)


async def task_with_around(task_id: TaskId, the: TheService, caller: TheCaller) -> Around:
    """The same in one read, for who tells what is around it."""
    around = await _asked(the.machine.ledger.around, task_id)
    _must_see(caller, around.task, task_id)
    return around


ExistingTask = Annotated[Task, Depends(existing_task)]
TaskWithAround = Annotated[Around, Depends(task_with_around)]


async def _asked(ask: Callable[[str], Awaitable[T]], task_id: str) -> T:
    """Raises UnknownTask, in the same words for what is no id and for none of that id."""
    try:
        canonical = str(UUID(task_id))
    except ValueError as error:
        raise _unknown(task_id) from error
    try:
        return await ask(canonical)
    except UnknownTask as error:
        raise _unknown(task_id) from error


def _must_see(caller: Caller, task: Task, task_id: str) -> None:
    if not caller.sees(task.spec):
        raise _unknown(task_id)


def _unknown(task_id: str) -> UnknownTask:
    return UnknownTask(f"There is no task '{task_id[:80]}'.")


async def seen_tasks(the: Service, caller: Caller, limit: int, cursor: str | None, state: str | None) -> Page:
    """Newest first. Where a key's namespaces are few among many, a page may have fewer, and goes on."""
    ledger, found = the.machine.ledger, list[Task]()
    for _ in range(LOOKS):
        page = await ledger.tasks(limit - len(found), cursor, state, caller.grants.tenant or None)
        found += [task for task in page.tasks if caller.sees(task.spec)]
        cursor = page.cursor
        if cursor is None or len(found) == limit:
            break
    return Page(found, cursor)


async def bounded(the: Service, caller: Caller, request: TaskRequest, data_source: str) -> TaskRequest:
    """The request as this caller may make it. Raises NotAllowed, UnknownTask and SourceNotFound."""
    grants = caller.grants
    if not grants.takes_source(data_source, request.ref):
        raise NotAllowed(
            f"This API key may read {', '.join(grants.sources)}; '{data_source}:{request.ref[:200]}' is none "
            "of them."
        )
    if data_source == "upload" and grants.tenant not in ("", tenant_of(request.ref)):
        raise SourceNotFound(
            f"There is no upload {request.ref!r}. Send the file in again, and use the id it is given."
        )
    parent = await seen_task(the, caller, request.parent_id) if request.parent_id is not None else None
    namespace = request.namespace or (parent.spec.namespace if parent else usual_namespace(caller))
    caller.require_namespace(namespace)
    return replace(
        request,
        namespace=namespace,
        parent_id=parent.id if parent else None,
        tenant=grants.tenant,
        account=caller.account if grants.counts_tasks else "",
    )


def usual_namespace(caller: Caller) -> str:
    """The namespace of a request that names none."""
    own = [name for name in caller.grants.namespaces if not name.endswith("*")]
    return "default" if caller.grants.takes_namespace("default") or not own else own[0]


async def within_the_day(the: Service, caller: Caller, tokens: int = 0) -> None:
    """Use so many of the key's tokens of the day. Raises LimitReached once they are used up."""
    most, ledger = caller.grants.tokens_per_day, the.machine.ledger
    if most is None:
        return
    account = day_account(caller.account)
    full = not tokens and await ledger.drawn(account, DAY) >= most
    if full or not await ledger.draw(account, tokens, most, DAY):
        now = await ledger.now()
        raise LimitReached(
            f"This API key may use {most} tokens a day (UTC), and they are used up. Ask again tomorrow.",
            DAY - now % DAY,
        )
