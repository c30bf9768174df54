"""Rows that have landed once, and are not what the store holds any more: they are written once more."""

from __future__ import annotations

from collections.abc import Mapping, Set

from rowvec.errors import TaskFailed
from rowvec.landing import embed_and_store
from rowvec.lease import Lease
from rowvec.machine import Machine
from rowvec.pipeline import read_and_describe


async def write_again(machine: Machine, lease: Lease, rows: Mapping[int, Set[int]]) -> None:
    """Read, embed and store these rows, by the numbers of their chunks.

    Raises TaskFailed where one is refused now, beside what embedding and storing raise.
    """
    task = lease.claim.task
    for number, wanted in rows.items():
        [chunk] = await machine.ledger.chunks(task.id, limit=1, after=number - 1)
        _, described = await read_and_describe(machine, task.spec, chunk)
        entries = [entry for entry in described.standings() if entry.number in wanted]
        embedded, stored = await embed_and_store(machine, task.id, task.spec, entries, lease)
        refused = embedded.refused | stored.refused
        if refused:
            row = entries[next(iter(refused))].number
            raise TaskFailed(
                f"Row {row} was taken before and is refused now: {next(iter(refused.values()))}. "
                "Retry the task."
            )
