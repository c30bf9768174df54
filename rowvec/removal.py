"""Take a task's vectors out of the store again."""

from __future__ import annotations

from rowvec.errors import WrongState
from rowvec.machine import Machine
from rowvec.paid import drop_paid
from rowvec.spool import drop_copy


async def remove_vectors(machine: Machine, task_id: str) -> int:
    """Remove every vector the task wrote and no later task has replaced; returns how many.

    The copy of its source goes, too, so a failed task that had one cannot be retried any more.
    Raises UnknownTask, and WrongState while the task may still write.
    """
    task = await machine.ledger.task(task_id)
    if not task.state.ended:
        raise WrongState(
            f"Task {task_id} is {task.state}; cancel it, or wait for its end, before its vectors are removed."
        )
    removed = await machine.store.delete_task(task.spec.namespace, task_id)
    if (await machine.ledger.task(task_id)).state.ended:  # and was not retried meanwhile
        await drop_copy(machine, task)
        await drop_paid(machine.files, task_id)
    return removed
