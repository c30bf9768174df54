"""The merge that ends a task: doubles across chunks, the last row of the file wins, old passages go."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from rowvec.again import write_again
from rowvec.describe import doubled_reason
from rowvec.doubles import Double, find_doubles
from rowvec.errors import UnknownTask
from rowvec.lease import Lease
from rowvec.ledgers.base import Ledger
from rowvec.leftovers import drop_leftovers
from rowvec.machine import Machine
from rowvec.manifest import Written, read_merged, written
from rowvec.model import Task
from rowvec.proof import prove
from rowvec.rejected import done_chunks, doubles_name, encode
from rowvec.rejection import Rejection
from rowvec.storing import vector_ids
from rowvec.timed import TimedStore
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
    manifests = await written(done_chunks(machine.ledger, task.id))
    settlement = Settlement()
    store = TimedStore.under(machine.store, lease)
    await store.catch_up()
    async for doubles in find_doubles(machine.files, manifests, task.counts.upserted):
        for batch in _batched(doubles):
            await _settle_doubles(machine, lease, store, batch)
        _list_losers(doubles, settlement)
    own = task.counts.passages - settlement.passages
    if await store.holds_others(task.id, own):  # else there is nothing old to look for
        await _drop_old_passages(machine, task, store, manifests)
    await prove(machine, lease, manifests, own)
    losers = sorted(settlement.losers, key=lambda note: note.row)
    await machine.files.write(doubles_name(task.id), encode(losers))
    await machine.ledger.settled(task.id, fence, len(losers), settlement.passages)
    await drop_leftovers(machine, task)


async def _settle_doubles(
    machine: Machine, lease: Lease, store: TimedStore, doubles: Sequence[Double]
) -> None:
    """Make each winner the one that is stored, and take out what its losers left."""
    task = lease.claim.task
    stored = await _stamps(store, [double.row_id for double in doubles])
    wanted = [double for double in doubles if not _in_place(double, task.id, stored[double.row_id])]
    await _write_again(machine, lease, wanted)
    if wanted:
        stored |= await _stamps(store, [double.row_id for double in wanted])
    left = [
        stamp.id
        for double in doubles
        for stamp in stored[double.row_id]
        if stamp.task_id == task.id and stamp.id not in vector_ids(double.row_id, double.winner.passages)
    ]
    if left:
        await store.delete(left)


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
    rows: defaultdict[int, set[int]] = defaultdict(set)
    for double in doubles:
        rows[double.winner.chunk].add(double.winner.row_number)
    await write_again(machine, lease, rows)


async def _drop_old_passages(
    machine: Machine, task: Task, store: TimedStore, manifests: Sequence[Written]
) -> None:
    """A row that shrank or grew since an earlier task loses the vectors it no longer has."""
    earlier = _Earlier(machine.ledger, task)
    async for manifest in read_merged(machine.files, manifests):
        shapes = dict(zip(manifest.ids, manifest.passages, strict=True))
        stored = await store.stamps(manifest.ids)
        old = [
            stamp.id
            for stamp in stored
            if stamp.id not in vector_ids(stamp.row_id, shapes[stamp.row_id]) and await earlier.wrote(stamp)
        ]
        if old:
            await store.delete(old)


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
            return (await self.ledger.task(task_id)).order < self.task.order
        except UnknownTask:
            return True


async def _stamps(store: TimedStore, row_ids: Sequence[str]) -> dict[str, list[Stamp]]:
    found: dict[str, list[Stamp]] = {row_id: [] for row_id in row_ids}
    for stamp in await store.stamps(row_ids):
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
