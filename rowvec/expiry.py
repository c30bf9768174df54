"""Uploads go when they are old and no task needs them any more."""

from __future__ import annotations

from rowvec.ledgers.base import Ledger
from rowvec.machine import Machine
from rowvec.model import DAY, Task, TaskState
from rowvec.paging import PAGE, all_tasks
from rowvec.uploads import FOLDER, upload_name


async def drop_old_uploads(machine: Machine) -> list[str]:
    """Remove uploads older than UPLOAD_DAYS that no task needs; returns their names in the file store.

    A task needs its upload until it has ended and for UPLOAD_DAYS longer, a failed one for as long as it may
    be retried. Whoever submits such an upload at that very moment is told that it is gone.
    """
    if not machine.limits.upload_days:
        return []
    oldest = await machine.ledger.now() - machine.limits.upload_days * DAY
    old = await _older(machine, oldest)
    if old:
        old -= await _needed(machine.ledger, oldest)
    for name in sorted(old):
        await machine.files.delete(name)
    return sorted(old)


async def _older(machine: Machine, oldest: float) -> set[str]:
    """Uploads from before that time. What the file store knows no time of is not old."""
    found = set()
    for name in await machine.files.names(FOLDER):
        written = await machine.files.written_at(name)
        if written is not None and written < oldest:
            found.add(name)
    return found


async def _needed(ledger: Ledger, oldest: float) -> set[str]:
    tasks = [task async for task in all_tasks(ledger) if _needs_upload(task, oldest)]
    tasks += [
        task for task in (await ledger.tasks(PAGE)).tasks if _needs_upload(task, oldest)
    ]  # came meanwhile
    return {upload_name(task.spec.source.ref) for task in tasks}


def _needs_upload(task: Task, oldest: float) -> bool:
    if task.spec.source.kind != "upload":
        return False
    return task.completed_at is None or task.state is TaskState.FAILED or task.completed_at >= oldest
