"""Take a task's vectors out of the store again."""

from __future__ import annotations

from rowvec.errors import WrongState
from rowvec.leftovers import drop_leftovers
from rowvec.machine import Machine


async def remove_vectors(machine: Machine, task_id: str) -> int:
    """Remove every vector the task wrote and no later task has replaced; returns how many.

    The copy or export of its source goes, too, so a failed task that had one cannot be retried any more.
    Raises UnknownTask, and WrongState while the task may still write.
    """
    task = await machine.ledger.task(task_id)
    if not task.state.ended:
        raise WrongState(
            f"Task {task_id} is {task.state}; cancel it, or wait for its end, before its vectors are removed."
        )
    removed = await machine.store.delete_task(task.spec.namespace, task_id)
    if (await machine.ledger.task(task_id)).state.ended:  # and was not retried meanwhile
        await drop_leftovers(machine, task)
    return removed
