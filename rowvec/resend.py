"""Rejected rows sent in again as they are: a child task, made of the task's own table to repair.

The table's id follows from its content, so the same rows are the same table, and the ledger answers two
equal submissions with one task.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from rowvec import steer
from rowvec.errors import WrongState
from rowvec.intake import TaskRequest, submit
from rowvec.ledgers.base import Submitted
from rowvec.machine import Machine
from rowvec.model import Flag, Task, TaskState
from rowvec.proof import wish_for_mending
from rowvec.repair import repair_table
from rowvec.spec import TaskSpec
from rowvec.uploads import upload_name

PREFIX = "rejected-"
TITLE = ", rejected rows"


async def retry_rejected(machine: Machine, task_id: str) -> Submitted:
    """Send the rejected rows of an ended task in again, and try its failed chunks again if it has any.

    Rows that landed with an earlier such child are not sent again. A child that is still at work on them
    answers (fresh=False), as does one that failed, which is retried. Raises UnknownTask, SourceChanged as
    `steer.retry`, WrongState where the task has not ended or no row of it is open, and what submit raises.
    """
    task = await machine.ledger.task(task_id)
    if task.state is TaskState.FAILED:
        await steer.check_unchanged(machine, task)
        await wish_for_mending(machine, task)
    sent = await _sent_in(machine, task)
    if task.state is TaskState.FAILED:
        await machine.ledger.flag(task_id, Flag.RETRY)
    return sent


async def _sent_in(machine: Machine, task: Task) -> Submitted:
    children = [child for child in await machine.ledger.children(task.id) if _is_sent_again(child.spec)]
    running = next((child for child in children if not child.state.ended), None)
    if running:
        return Submitted(running, fresh=False)
    if not task.state.ended:
        raise WrongState(f"Task {task.id} has not ended. Send its rejected rows in again when it has.")
    holder = await _holder(machine, task, children)
    if holder is not task and holder.state is TaskState.FAILED:
        return Submitted(await steer.retry(machine, holder.id), fresh=False)
    if not holder.counts.rejected:
        raise _nothing_open(task, holder)
    table_id = await _table_id(machine, holder)
    await machine.files.write_stream(
        upload_name(table_id), machine.disk.watched(repair_table(machine, holder))
    )
    title = f"{task.spec.name.removesuffix(TITLE)}{TITLE}"
    return await submit(machine, TaskRequest("upload", table_id, parent_id=task.id, title=title))


def _is_sent_again(spec: TaskSpec) -> bool:
    return spec.source.kind == "upload" and spec.source.ref.startswith(PREFIX)


async def _holder(machine: Machine, task: Task, children: Sequence[Task]) -> Task:
    """The task whose rejected rows are those still open: itself, or the child that was last made of them."""
    newest = {child.spec.source.ref: child for child in children if child.state is not TaskState.CANCELLED}
    holder = task
    while holder.counts.rejected:
        # Rows that were all rejected again make the same table once more: each child is passed once.
        child = newest.pop(await _table_id(machine, holder), None)
        if child is None:
            break
        holder = child
    return holder


async def _table_id(machine: Machine, task: Task) -> str:
    digest = sha256()
    async for line in repair_table(machine, task):
        digest.update(line)
    return f"{PREFIX}{digest.hexdigest()[:40]}"


def _nothing_open(task: Task, holder: Task) -> WrongState:
    if holder is task:
        return WrongState(f"Task {task.id} has rejected no row: there is nothing to send in again.")
    return WrongState(
        f"No rejected row of task {task.id} is open any more: task {holder.id} was made of them and has "
        "rejected none."
    )
