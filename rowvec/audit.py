"""What the manifests of a task name, held against what the vector store has, in bounded memory."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from rowvec.doubles import find_doubles
from rowvec.machine import Machine
from rowvec.manifest import Manifest, Written, read_merged
from rowvec.model import Task
from rowvec.row_set import RowSet, row_sets
from rowvec.spec import Verify
from rowvec.storing import vector_ids
from rowvec.timed import TimedStore
from rowvec.vectors import Stamp

LISTED = 100
SAMPLE_ROWS = 10_000
"""So many rows, about, are looked at where a sample will do."""


@dataclass(slots=True)
class Difference:
    """Of some rows: how many of their vectors are `expected`, and what is not as it should be.

    `missing` and `wrong` are pairs of a vector's id and its row's number; `wrong` are there with another
    row's content. `extra` are ids of vectors that this task wrote and no row of it has.
    """

    expected: int = 0
    missing: list[tuple[str, int]] = field(default_factory=list)
    wrong: list[tuple[str, int]] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)

    @property
    def rows(self) -> set[int]:
        """The rows that are not there whole."""
        return {number for _, number in (*self.missing, *self.wrong)}


@dataclass(slots=True)
class Verification:
    """Vectors `expected` of the rows that were looked at, and `found` in the store.

    `missing`, `wrong` and `extra` list at most 100 ids. Vectors that a later task has replaced count as
    found. `stored` are all vectors of the namespace, whoever wrote them; None where the store does not count
    exactly.
    """

    expected: int = 0
    found: int = 0
    missing_count: int = 0
    wrong_count: int = 0
    extra_count: int = 0
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    stored: int | None = None

    @property
    def ok(self) -> bool:
        return not (self.missing_count or self.wrong_count or self.extra_count)

    def add(self, difference: Difference) -> None:
        self.expected += difference.expected
        self.found += difference.expected - len(difference.missing) - len(difference.wrong)
        self.missing_count += len(difference.missing)
        self.wrong_count += len(difference.wrong)
        self.extra_count += len(difference.extra)
        _list(self.missing, (name for name, _ in difference.missing))
        _list(self.wrong, (name for name, _ in difference.wrong))
        _list(self.extra, difference.extra)


def _list(listed: list[str], ids: Iterable[str]) -> None:
    listed += [name for name, _ in zip(ids, range(LISTED - len(listed)), strict=False)]


@dataclass(frozen=True, slots=True)
class Audit:
    """One task's, which has written `own` vectors. `settled`: of a doubled id the last row must be the one
    stored, and nothing beside it; before, any of them may be there.

    `losers` are rows whose id a later row has, `written` those that were looked at.
    """

    machine: Machine
    store: TimedStore
    task: Task
    manifests: Sequence[Written]
    own: int
    settled: bool
    losers: RowSet
    written: RowSet

    async def result(self, extent: Verify) -> Verification:
        """A sample becomes a look at everything where the namespace has fewer vectors than were written."""
        result = Verification()
        if self.machine.store.counts_exactly:
            result.stored = await self.store.count()
        short = result.stored is not None and result.stored < self.own
        if extent is Verify.SAMPLE and not short:
            result.add(await self.compare(await self._sample()))
            return result
        async for manifest in read_merged(self.machine.files, self.manifests):
            result.add(await self.compare(manifest))
        async for ids in self.strangers():
            result.add(Difference(extra=[name for name in ids if name not in result.wrong]))
        return result

    async def compare(self, manifest: Manifest) -> Difference:
        """These rows with what the store has of them."""
        stored: defaultdict[str, dict[str, Stamp]] = defaultdict(dict)
        for stamp in await self.store.stamps(manifest.ids):
            stored[stamp.row_id][stamp.id] = stamp
        self.written.add(manifest.row_numbers)
        out = Difference()
        lost = self.losers.has(manifest.row_numbers).tolist()
        rows = zip(manifest.ids, manifest.row_numbers, manifest.passages, lost, strict=True)
        for row_id, number, passages, has_lost in rows:
            if not has_lost:
                self._see(vector_ids(row_id, passages), number, stored[row_id], out)
        return out

    def _see(self, ids: Sequence[str], number: int, stored: dict[str, Stamp], out: Difference) -> None:
        out.expected += len(ids)
        own = {name: stamp for name, stamp in stored.items() if stamp.task_id == self.task.id}
        if len(own) == len(stored):  # else a later task has replaced the row, perhaps by fewer vectors
            out.missing += [(name, number) for name in ids if name not in stored]
        if self.settled:
            out.wrong += [(name, number) for name in ids if name in own and own[name].row_number != number]
            out.extra += own.keys() - set(ids)

    async def strangers(self) -> AsyncIterator[list[str]]:
        """Vectors which this task wrote for rows that no manifest names; after all of them were compared.

        Those of doubled ids that have lost are seen with the rows that have won.
        """
        if not self.settled:
            return
        async for stamps in self.store.of_task(self.task.id):
            known = self.written.has([stamp.row_number for stamp in stamps]).tolist()
            strange = [stamp.id for stamp, is_known in zip(stamps, known, strict=True) if not is_known]
            if strange:
                yield strange

    async def _sample(self) -> Manifest:
        """Of manifests from all over the task, the same each time."""
        order = random.Random(self.task.id).sample(self.manifests, len(self.manifests))  # noqa: S311 - no secret
        async for found in read_merged(self.machine.files, order, SAMPLE_ROWS):
            return _every(found, -(-len(found.ids) // SAMPLE_ROWS))
        return Manifest([], [], [], [])


def _every(manifest: Manifest, step: int) -> Manifest:
    return Manifest(
        manifest.ids[::step],
        manifest.row_numbers[::step],
        manifest.content_hashes[::step],
        manifest.passages[::step],
    )


@asynccontextmanager
async def auditing(
    machine: Machine, store: TimedStore, task: Task, manifests: Sequence[Written], own: int, settled: bool
) -> AsyncIterator[Audit]:
    """An audit of the task, until the end of the block; it knows already which rows have lost their ids."""
    with row_sets(task.rows_planned) as (losers, written):
        async for doubles in find_doubles(machine.files, manifests, task.counts.upserted):
            losers.add([place.row_number for double in doubles for place in double.losers])
        yield Audit(machine, store, task, manifests, own, settled, losers, written)
