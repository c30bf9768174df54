"""The merge that ends a task: doubles across chunks, the last row of the file wins, old passages go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rowvec.describe import doubled_reason
from rowvec.doubles import Double, find_doubles
from rowvec.errors import TaskFailed, UnknownTask
from rowvec.gates import VECTOR_STORE
from rowvec.landing import embed_and_store
from rowvec.lease import Lease
from rowvec.ledgers.base import Ledger
from rowvec.leftovers import drop_leftovers
from rowvec.machine import Machine
from rowvec.manifest import Written, read_merged, written
from rowvec.model import Task
from rowvec.pipeline import read_and_describe
from rowvec.rejected import done_chunks, doubles_name, encode
from rowvec.rejection import Rejection
from rowvec.storing import vector_ids
from rowvec.vectors import Stamp

BATCH = 2_000


@dataclass(slots=True)
class Settlement:
    """What settling found: rows that lost to a later one, and the vectors they had."""

    losers: list[Rejection] = field(default_factory=list)
    passages: int = 0


async def run_settle(machine: Machine, lease: Lease) -> None:
    """Settle a claimed task and complete it. Repeatable: a second run finds the winners in place.

    Raises LeaseLost, RetryLater, PauseNeeded or TaskFailed.
    """
    task, fence = lease.claim.task, lease.claim.fence
    await lease.gates.check(lease.ledger, VECTOR_STORE)
    manifests = await written(done_chunks(machine.ledger, task.id))
    settlement = Settlement()
    await machine.store.catch_up(task.spec.namespace)
    async for doubles in find_doubles(machine.files, manifests, task.counts.upserted):
        for batch in _batched(doubles):
            await _settle_doubles(machine, lease, batch)
        _list_losers(doubles, settlement)
    if await _shares_its_namespace(machine, task, settlement):
        await _drop_old_passages(machine, lease, manifests)
    losers = sorted(settlement.losers, key=lambda note: note.row)
    await machine.files.write(doubles_name(task.id), encode(losers))
    await machine.ledger.settled(task.id, fence, len(losers), settlement.passages)
    await drop_leftovers(machine, task)


async def _settle_doubles(machine: Machine, lease: Lease, doubles: Sequence[Double]) -> None:
    """Make each winner the one that is stored, and take out what its losers left."""
    task = lease.claim.task
    stored = await _stamps(machine, task, [double.row_id for double in doubles])
    wanted = [double for double in doubles if not _in_place(double, task.id, stored[double.row_id])]
    await _write_again(machine, lease, wanted)
    if wanted:
        stored |= await _stamps(machine, task, [double.row_id for double in wanted])
    left = [
        stamp.id
        for double in doubles
        for stamp in stored[double.row_id]
        if stamp.task_id == task.id and stamp.id not in vector_ids(double.row_id, double.winner.passages)
    ]
    if left:
        await lease.check()
        await machine.store.delete(task.spec.namespace, left)


def _in_place(double: Double, task_id: str, stored: Sequence[Stamp]) -> bool:
    """All vectors of the winner are there, or a later task has replaced them."""
    by_id = {stamp.id: stamp for stamp in stored}
    for vector_id in vector_ids(double.row_id, double.winner.passages):
        stamp = by_id.get(vector_id)
        if stamp is None:
            return False
        if stamp.task_id == task_id and stamp.row_number != double.winner.row_number:
            return False
    return True


async def _write_again(machine: Machine, lease: Lease, doubles: Sequence[Double]) -> None:
    task = lease.claim.task
    rows: dict[int, set[int]] = defaultdict(set)
    for double in doubles:
        rows[double.winner.chunk].add(double.winner.row_number)
    for number, wanted in rows.items():
        [chunk] = await machine.ledger.chunks(task.id, limit=1, after=number - 1)
        _, described = await read_and_describe(machine, task.spec, chunk)
        entries = [entry for entry in described.standings() if entry.number in wanted]
        embedded, stored = await embed_and_store(machine, task.id, task.spec, entries, lease)
        refused = embedded.refused | stored.refused
        if refused:
            row = entries[next(iter(refused))].number
            raise TaskFailed(
                f"Row {row}, the last of several with its id, was taken before and is refused now: "
                f"{next(iter(refused.values()))}. Retry the task."
            )


async def _shares_its_namespace(machine: Machine, task: Task, settlement: Settlement) -> bool:
    """Are there vectors beside those of this task? Without any there is nothing old to look for."""
    own = task.counts.passages - settlement.passages
    return await machine.store.holds_others(task.spec.namespace, task.id, own)


async def _drop_old_passages(machine: Machine, lease: Lease, manifests: Sequence[Written]) -> None:
    """A row that shrank or grew since an earlier task loses the vectors it no longer has."""
    task = lease.claim.task
    earlier = _Earlier(machine.ledger, task)
    async for manifest in read_merged(machine.files, manifests):
        shapes = dict(zip(manifest.ids, manifest.passages, strict=True))
        stored = await machine.store.stamps(task.spec.namespace, manifest.ids)
        old = [
            stamp.id
            for stamp in stored
            if stamp.id not in vector_ids(stamp.row_id, shapes[stamp.row_id]) and await earlier.wrote(stamp)
        ]
        if old:
            await lease.check()
            await machine.store.delete(task.spec.namespace, old)


@dataclass(frozen=True, slots=True)
class _Earlier:
    """Tasks submitted before this one: what a later one has written meanwhile is not old."""

    ledger: Ledger
    task: Task
    known: dict[str, bool] = field(default_factory=dict)

    async def wrote(self, stamp: Stamp) -> bool:
        if stamp.task_id not in self.known:
            self.known[stamp.task_id] = stamp.task_id != self.task.id and await self._is_earlier(
                stamp.task_id
            )
        return self.known[stamp.task_id]

    async def _is_earlier(self, task_id: str) -> bool:
        try:
            return (await self.ledger.task(task_id)).created_at < self.task.created_at
        except UnknownTask:
            return True


async def _stamps(machine: Machine, task: Task, row_ids: Sequence[str]) -> dict[str, list[Stamp]]:
    found: dict[str, list[Stamp]] = {row_id: [] for row_id in row_ids}
    for stamp in await machine.store.stamps(task.spec.namespace, row_ids):
        found[stamp.row_id].append(stamp)
    return found


def _list_losers(doubles: Iterable[Double], settlement: Settlement) -> None:
    for double in doubles:
        reason = doubled_reason(double.winner.row_number, double.row_id)
        for place in double.losers:
            note = Rejection("duplicate", place.row_number, None, None, None, "doubled-id", reason, "")
            settlement.losers.append(note)
            settlement.passages += place.passages


def _batched(doubles: Sequence[Double]) -> Iterable[Sequence[Double]]:
    return (doubles[i : i + BATCH] for i in range(0, len(doubles), BATCH))
