"""Old tasks go, with everything that was kept of them but their vectors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from rowvec.errors import UnknownTask, WrongState
from rowvec.ledgers.base import Ledger
from rowvec.machine import Machine
from rowvec.model import DAY, Task
from rowvec.paging import all_tasks


@dataclass(frozen=True, slots=True)
class Old:
    """A task that may go: all that is needed to say which, for there may be many."""

    id: str
    state: str
    namespace: str
    completed_at: float
    rows: int
    chunks: int


async def old_tasks(ledger: Ledger, days: float) -> list[Old]:
    """Tasks that ended more than so many days ago, the last submitted first.

    A task and those that repair rows of it stay together until all of them are that old: a task's account
    counts its children's.
    """
    oldest = await ledger.now() - days * DAY
    parents: dict[str, str | None] = {}
    ended: list[Old] = []
    async for task in all_tasks(ledger):
        parents[task.id] = task.spec.parent_id
        if (old := _old(task, oldest)) is not None:
            ended.append(old)
    young = parents.keys() - {task.id for task in ended}
    kept = {_root(parents, task_id) for task_id in young}
    return [task for task in ended if _root(parents, task.id) not in kept]


async def prune(machine: Machine, tasks: Sequence[Old]) -> AsyncIterator[Old]:
    """Remove each of these with its files, and tell of it; one that goes on meanwhile stays.

    Harmless twice, and where it breaks off the next time goes on: files go before the ledger forgets of
    which task they were, and a failed task is sealed before, so that nobody retries what has lost its files.
    Vectors stay. Raises Unavailable.
    """
    for task in tasks:  # children first, for they were submitted later
        try:
            await machine.ledger.seal(task.id)
            await _drop_files(machine, task.id)
            await machine.ledger.forget(task.id)
        except (UnknownTask, WrongState):  # somebody else has pruned or retried it
            continue
        yield task


async def _drop_files(machine: Machine, task_id: str) -> None:
    for name in await machine.files.names(f"tasks/{task_id}/"):
        await machine.files.delete(name)


def _old(task: Task, oldest: float) -> Old | None:
    if not task.state.ended or task.completed_at is None or task.completed_at >= oldest:
        return None
    return Old(
        task.id,
        task.state.value,
        task.spec.namespace,
        task.completed_at,
        task.rows_planned,
        task.chunks_total,
    )


def _root(parents: dict[str, str | None], task_id: str) -> str:
    """The oldest of its ancestors that is there."""
    while (parent := parents.get(task_id)) is not None and parent in parents:
        task_id = parent
    return task_id
