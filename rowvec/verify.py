"""The store against the manifests: is every row that was counted as landed really there?"""

from __future__ import annotations

from rowvec.audit import Verification, auditing
from rowvec.errors import WrongState
from rowvec.machine import Machine
from rowvec.manifest import written
from rowvec.model import Task, TaskState
from rowvec.rejected import done_chunks
from rowvec.spec import Verify
from rowvec.timed import TimedStore


async def verify(machine: Machine, task_id: str, extent: Verify = Verify.ALL) -> Verification:
    """Compare every id of an ended task, or those of a sample of its rows.

    Raises UnknownTask, WrongState while it still runs, Unavailable and PauseNeeded.
    """
    task = await machine.ledger.task(task_id)
    if not task.state.ended:
        raise WrongState(f"Task {task_id} is still {task.state}; verify it when it has ended.")
    manifests = await written(done_chunks(machine.ledger, task_id))
    store = TimedStore.at_the_door(machine, task.spec.namespace)
    await store.catch_up()
    async with auditing(machine, store, task, manifests, task.counts.passages, _is_settled(task)) as audit:
        return await audit.result(extent)


def _is_settled(task: Task) -> bool:
    """Completed, or failed with all its chunks done: then what settling was to mend is told."""
    whole = task.planned and task.chunks_done == task.chunks_total
    return task.state is TaskState.COMPLETED or (task.state is TaskState.FAILED and whole)
