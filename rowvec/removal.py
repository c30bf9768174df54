"""Take a task's vectors out of the store again."""

from __future__ import annotations

from rowvec.errors import WrongState
from rowvec.machine import Machine


async def remove_vectors(machine: Machine, task_id: str) -> int:
    """Remove every vector the task wrote and no later task has replaced; returns how many.

    Raises UnknownTask, and WrongState while the task may still write.
    """
    task = await machine.ledger.task(task_id)
    if not task.state.ended:
        raise WrongState(
            f"Task {task_id} is {task.state}; cancel it, or wait for its end, before its vectors are removed."
        )
    return await machine.store.delete_task(task.spec.namespace, task_id)
