"""Described rows → rows that landed: embedded, and durably in the store.

The last row of the file wins its id, of those that can be had at all: where it is refused, the one before
it has its turn, as it has where the two stand in different chunks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rowvec.describe import Described, Entry, doubled_reason
from rowvec.embedding import Embedded, embed
from rowvec.errors import PauseNeeded
from rowvec.lease import Lease
from rowvec.machine import Machine
from rowvec.reader import ChunkRows
from rowvec.rejection import Rejection
from rowvec.spec import TaskSpec
from rowvec.storing import Stored, store


@dataclass(slots=True)
class Landing:
    """What became of a chunk's entries. `tried` were sent to the embedder, for so many `tokens`."""

    landed: dict[str, Entry] = field(default_factory=dict)
    refused: list[tuple[Entry, str, str]] = field(default_factory=list)
    tried: int = 0
    tokens: int = 0

    def add(self, entries: Sequence[Entry], embedded: Embedded, stored: Stored) -> list[Entry]:
        """Take in what became of these entries. Gives those of them that were refused."""
        self.tried += len(entries)
        self.tokens += embedded.tokens
        refusals = (("refused-by-embedder", embedded.refused), ("refused-by-store", stored.refused))
        refused = [(entries[at], code, why) for code, reasons in refusals for at, why in reasons.items()]
        self.refused += refused
        gone = embedded.refused | stored.refused
        self.landed |= {entry.row_id: entry for at, entry in enumerate(entries) if at not in gone}
        return [entry for entry, _, _ in refused]

    def entries(self) -> list[Entry]:
        """Those that landed, in the order of the file."""
        return sorted(self.landed.values(), key=_number)

    def notes(self, rows: ChunkRows, described: Described) -> Iterator[Rejection]:
        """What was trimmed, rows that were refused, and those whose id another row of the chunk has taken."""
        for entry in self.landed.values():
            for text in entry.warnings:
                yield rows.rejection(entry.position, "warning", "metadata-trimmed", text)
        for entry, code, reason in self.refused:
            yield rows.rejection(entry.position, "rejected", code, reason + self._instead(entry))
        for row_id, earlier in described.doubles.items():
            if winner := self.landed.get(row_id):
                reason = doubled_reason(winner.number, row_id)
                for entry in earlier[: bisect_left(earlier, winner.number, key=_number)]:
                    yield rows.rejection(entry.position, "duplicate", "doubled-id", reason)

    def _instead(self, refused: Entry) -> str:
        kept = self.landed.get(refused.row_id)
        return f"; row {kept.number}, which has the same id, is kept instead" if kept else ""


def _number(entry: Entry) -> int:
    return entry.number


async def land(machine: Machine, lease: Lease, described: Described) -> Landing:
    """Raises LeaseLost, RetryLater, PauseNeeded or TaskFailed."""
    task, landing = lease.claim.task, Landing()
    waiting = {row_id: list(earlier) for row_id, earlier in described.doubles.items()}
    entries: Sequence[Entry] = described.entries
    while True:
        embedded, stored = await embed_and_store(machine, task.id, task.spec, entries, lease)
        refused = landing.add(entries, embedded, stored)
        entries = [waiting[entry.row_id].pop() for entry in refused if waiting.get(entry.row_id)]
        if not entries:
            return landing


async def embed_and_store(
    machine: Machine, task_id: str, spec: TaskSpec, entries: Sequence[Entry], lease: Lease
) -> tuple[Embedded, Stored]:
    """Vectors of the entries, durably in the store."""
    check_embedder(machine, spec)
    await lease.check()
    embedded = await embed(machine.embedder, machine.governor, entries, lease, machine.kept, machine.files)
    return embedded, await store(machine.store, spec.namespace, task_id, entries, embedded, lease)


def check_embedder(machine: Machine, spec: TaskSpec) -> None:
    """A task is finished by the model it was begun with."""
    embedder = machine.embedder
    if (embedder.model, embedder.dimension) != (spec.model, spec.dimension):
        raise PauseNeeded(
            f"The task was submitted for the model {spec.model} with {spec.dimension} dimensions, this "
            f"worker is configured for {embedder.model} with {embedder.dimension}. Set EMBEDDER back and "
            "resume, or cancel the task and submit it again."
        )
