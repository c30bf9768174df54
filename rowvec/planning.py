"""Do a claimed plan: check what the task depends on, then hand out chunks as the scan finds them."""

from __future__ import annotations

from rowvec.export import ensure_export
from rowvec.landing import check_embedder
from rowvec.lease import Lease
from rowvec.machine import Machine
from rowvec.model import PlannedChunk, Totals
from rowvec.planner import plan
from rowvec.spool import ensure_copy, opened
from rowvec.timed import TimedStore

APPEND = 64


async def run_plan(machine: Machine, lease: Lease) -> None:
    """Append every chunk, then say that the scan is complete.

    A plan begun anew finds the same chunks again, and those already there are skipped.
    Raises LeaseLost, RetryLater, PauseNeeded or TaskFailed.
    """
    task, fence = lease.claim.task, lease.claim.fence
    check_embedder(machine, task.spec)
    await TimedStore(machine.store, task.spec.namespace, lease.check).prepare(task.spec.dimension)
    closed = await ensure_export(machine, lease)
    await ensure_copy(machine, lease)
    source, spec = await opened(machine, task.id, closed)
    known, batch = task.chunks_total, list[PlannedChunk]()
    async for item in plan(source, spec):
        if isinstance(item, Totals):
            if batch:
                await machine.ledger.append_chunks(task.id, fence, batch)
                lease.more()
            await machine.ledger.planned(task.id, fence, item)
            return
        batch.append(item)
        if len(batch) >= APPEND or known <= item.number < 2:
            await machine.ledger.append_chunks(task.id, fence, batch)
            lease.more()
            batch = []
