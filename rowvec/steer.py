"""What a caller may ask of a task that exists already, where more than the ledger must be asked."""

from __future__ import annotations

from rowvec import tolerance
from rowvec.errors import SourceChanged, SourceNotFound, WrongState
from rowvec.ledgers.register import task_account
from rowvec.leftovers import drop_leftovers
from rowvec.machine import Machine
from rowvec.model import Flag, Hold, Task, TaskState
from rowvec.proof import wish_for_mending
from rowvec.sources.base import ExportedSource
from rowvec.spec import TaskSpec
from rowvec.spool import opened


async def resume(machine: Machine, task_id: str, more_tokens: int = 0) -> Task:
    """Let a paused task go on where it stood, with so much added to its budget, if it has one.

    Raises UnknownTask and WrongState.
    """
    task = await machine.ledger.task(task_id)
    if more_tokens:
        await _grant(machine, task, more_tokens)
    if task.hold is Hold.PAUSED:
        await tolerance.accept(machine, task)
    return await machine.ledger.flag(task_id, Flag.RESUME)


async def _grant(machine: Machine, task: Task, tokens: int) -> None:
    """As if so many had not been spent."""
    most = task.spec.max_tokens
    if most is None or task.hold is not Hold.PAUSED:
        raise WrongState(f"Task {task.id} is not paused, or has no budget: there is nothing to add to.")
    await machine.ledger.draw(task_account(task.id), -tokens, most)


async def cancel(machine: Machine, task_id: str) -> Task:
    """Stop a task for good; what has landed stays, what only its work needed goes.

    Where something of it is still at work, that ends first, and housekeeping does the rest.
    Raises UnknownTask and WrongState.
    """
    task = await machine.ledger.flag(task_id, Flag.CANCEL)
    if task.state is TaskState.CANCELLED:
        await drop_leftovers(machine, task)
    return task


async def retry(machine: Machine, task_id: str) -> Task:
    """Let a failed task try its failed chunks again, on the very bytes it was submitted with.

    One that failed because the store did not hold what was written has the store mended, and verified again.
    Raises UnknownTask, WrongState, and SourceChanged when the source is another one by now or gone, as is
    its copy once the task's vectors were removed: chunks of two versions must not mix in one index.
    """
    task = await machine.ledger.task(task_id)
    if task.state is TaskState.FAILED:
        await check_unchanged(machine, task)
        await wish_for_mending(machine, task)
    return await machine.ledger.flag(task_id, Flag.RETRY)


async def check_unchanged(machine: Machine, task: Task) -> None:
    """Raises SourceChanged where a task would go on with other bytes than it began with, or with none."""
    await _same_source(machine, task.spec)
    if task.planned:
        await opened(machine, task.id, task.spec)


async def _same_source(machine: Machine, spec: TaskSpec) -> None:
    source, pinned = machine.source(spec.source.kind), spec.source
    if isinstance(source, ExportedSource) and spec.wish is None:
        await source.read(pinned, 0, 0)
        return
    try:
        current = await source.pin(pinned.ref)
    except SourceNotFound as error:
        raise SourceChanged(f"'{pinned.ref}' is gone. Put it back, or submit a new task.") from error
    if current.version != pinned.version:
        raise SourceChanged(
            f"'{pinned.ref}' has changed since the task was submitted. Submit it again as a new task; "
            "rows that stayed the same keep their ids."
        )
