"""Before a task is called completed, where it was asked to be verified: is all of it in the store?

What is not as it should be fails the task, in words that say what. Retrying it mends that: what is missing
or another row's is written once more, what no row has is taken out, and all of it is verified again.
"""

from __future__ import annotations

from collections.abc import Sequence

from rowvec.again import write_again
from rowvec.audit import Audit, Verification, auditing
from rowvec.errors import TaskFailed
from rowvec.lease import Lease
from rowvec.machine import Machine
from rowvec.manifest import Manifest, Written
from rowvec.model import Task, TaskState
from rowvec.spec import Verify
from rowvec.timed import TimedStore

SHOWN = 5
"""Ids of each kind in the words of a failure."""


async def prove(machine: Machine, lease: Lease, manifests: Sequence[Written], own: int) -> None:
    """Return when the store holds what the task has written, `own` vectors, or when nobody asked.

    Raises TaskFailed where it does not, and what the store raises. May be done again after a crash.
    """
    task = lease.claim.task
    if task.spec.verify is Verify.NONE:
        return
    store = TimedStore.under(machine.store, lease)
    await store.catch_up()
    if await machine.files.size(_wish(task.id)) is not None:
        async with auditing(machine, store, task, manifests, own, settled=True) as audit:
            await _mend(audit, lease)
    async with auditing(machine, store, task, manifests, own, settled=True) as audit:
        found = await audit.result(task.spec.verify)
    if not found.ok:
        raise TaskFailed(_words(found))


async def wish_for_mending(machine: Machine, task: Task) -> None:
    """The next time the task is settled, mend what is not as it should be. For a task that is retried."""
    whole = task.planned and task.chunks_done == task.chunks_total
    if task.state is TaskState.FAILED and whole and task.spec.verify is not Verify.NONE:
        await machine.files.write(_wish(task.id), b"mend\n")


async def drop_wish(machine: Machine, task: Task) -> None:
    if task.spec.verify is not Verify.NONE:
        await machine.files.delete(_wish(task.id))


async def _mend(audit: Audit, lease: Lease) -> None:
    """Chunk by chunk, so that rows are read again where they stand."""
    for written in audit.manifests:
        manifest = Manifest.decode(await audit.machine.files.read(written.file))
        found = await audit.compare(manifest)
        if found.rows:
            await write_again(audit.machine, lease, {written.chunk: found.rows})
        if found.extra:
            await audit.store.delete(found.extra)
    async for ids in audit.strangers():
        await audit.store.delete(ids)


def _words(found: Verification) -> str:
    kinds = (
        ("missing", found.missing_count, found.missing),
        ("another row's", found.wrong_count, found.wrong),
        ("there though no row has them", found.extra_count, found.extra),
    )
    told = "; ".join(f"{count:,} {what} ({_some(count, ids)})" for what, count, ids in kinds if count)
    return (
        f"The vector store does not hold what was written to it. Of {found.expected:,} vectors that were "
        f"looked at: {told}. Retry the task: what is missing or another row's is written once more, what no "
        "row has is taken out, and all of it is verified again."
    )


def _some(count: int, ids: Sequence[str]) -> str:
    shown = ", ".join(f"'{name[:80]}'" for name in ids[:SHOWN])
    return shown if count <= SHOWN else f"{shown} and {count - SHOWN:,} more"


def _wish(task_id: str) -> str:
    return f"tasks/{task_id}/mend-the-store"
