"""The store against the manifests: is every row that was counted as landed really there?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from rowvec.doubles import find_doubles
from rowvec.errors import WrongState
from rowvec.machine import Machine
from rowvec.manifest import Manifest, read_merged, written
from rowvec.model import TaskState
from rowvec.rejected import done_chunks
from rowvec.storing import vector_ids
from rowvec.vectors import Stamp

LISTED = 100


@dataclass(slots=True)
class Verification:
    """Vectors `expected` by the manifests and `found` in the store.

    `missing` and `wrong` list at most 100 ids; `wrong` are there with another row's content.
    Vectors that a later task has replaced count as found.
    """

    expected: int = 0
    found: int = 0
    missing_count: int = 0
    wrong_count: int = 0
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.missing_count and not self.wrong_count


async def verify(machine: Machine, task_id: str) -> Verification:
    """Compare every id of an ended task. Raises UnknownTask, and WrongState while it still runs."""
    task = await machine.ledger.task(task_id)
    if not task.state.ended:
        raise WrongState(f"Task {task_id} is still {task.state}; verify it when it has ended.")
    manifests = await written(done_chunks(machine.ledger, task_id))
    losers: set[int] = set()
    async for doubles in find_doubles(machine.files, manifests, task.counts.upserted):
        losers.update(place.row_number for double in doubles for place in double.losers)
    await machine.store.catch_up(task.spec.namespace)
    audit = _Audit(task_id, task.state is TaskState.COMPLETED, losers, Verification())
    async for manifest in read_merged(machine.files, manifests):
        audit.compare(manifest, await machine.store.stamps(task.spec.namespace, manifest.ids))
    return audit.result


@dataclass(frozen=True, slots=True)
class _Audit:
    """`settled`: of a doubled id the last row must be the one stored; before, any of them may be."""

    task_id: str
    settled: bool
    losers: set[int]
    result: Verification

    def compare(self, manifest: Manifest, stamps: Sequence[Stamp]) -> None:
        stored = {stamp.id: stamp for stamp in stamps}
        rows = zip(manifest.ids, manifest.row_numbers, manifest.passages, strict=True)
        for row_id, number, passages in rows:
            if number not in self.losers:
                for vector_id in vector_ids(row_id, passages):
                    self._see(vector_id, number, stored.get(vector_id))

    def _see(self, vector_id: str, number: int, stamp: Stamp | None) -> None:
        result = self.result
        result.expected += 1
        if stamp is None:
            result.missing_count += 1
            if len(result.missing) < LISTED:
                result.missing.append(vector_id)
        elif self.settled and stamp.task_id == self.task_id and stamp.row_number != number:
            result.wrong_count += 1
            if len(result.wrong) < LISTED:
                result.wrong.append(vector_id)
        else:
            result.found += 1
