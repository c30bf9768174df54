"""READ THIS FIRST. How one chunk of a table becomes vectors:

    read → describe → embed → store → record → commit

From the embedding on a chunk is in flight; of a task there are few at a time, and one more is read meanwhile.
Everything before the commit may be done twice (the same chunk gives the same ids and values);
the commit happens once, under the fence of the claim. A crash anywhere leaves the chunk to be
taken back by the sweeper and run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace

from rowvec import manifest, rejected, repair, tolerance
from rowvec.describe import Described, Describer, Entry
from rowvec.landing import Landing, land
from rowvec.layout import without_headers
from rowvec.lease import Lease
from rowvec.machine import Machine
from rowvec.manifest import Manifest
from rowvec.model import Chunk, ChunkFiles, Counts, PlannedChunk
from rowvec.reader import ChunkRows, read_chunk
from rowvec.rejection import Rejection
from rowvec.retry import outlast
from rowvec.sources.base import Source
from rowvec.spec import TaskSpec
from rowvec.spool import opened


async def run_chunk(machine: Machine, lease: Lease) -> None:
    """Do a claimed chunk to the end.

    Raises LeaseLost, RetryLater, PauseNeeded or TaskFailed; the worker knows what each means.
    """
    task, chunk = lease.claim.task, _claimed_chunk(lease)
    await machine.disk.check()
    rows, described = await read_and_describe(machine, task.spec, chunk)
    async with machine.in_flight.room(task):
        await tolerance.check(machine, task)
        landing = await land(machine, lease, described)
        notes = [*described.notes, *landing.notes(rows, described)]
        files = await _record(machine, lease, landing.entries(), notes)
        counts = _count(rows, described, landing, notes)
        await _commit(machine, lease, counts, files)
    machine.kept.drop(lease.claim)


async def _commit(machine: Machine, lease: Lease, counts: Counts, files: ChunkFiles) -> None:
    """Where an answer was lost, the repeated commit finds its fence used up: LeaseLost, and all is well."""
    claim, number = lease.claim, _claimed_chunk(lease).plan.number
    await outlast(lease, lambda: machine.ledger.commit(claim.task.id, number, claim.fence, counts, files))
    lease.done(counts)


async def read_and_describe(machine: Machine, spec: TaskSpec, chunk: Chunk) -> tuple[ChunkRows, Described]:
    """The chunk's rows, and what is to be embedded of them."""
    source, pinned = await opened(machine, chunk.task_id, spec)
    return await read_and_describe_from(source, machine, pinned, chunk.plan)


async def read_and_describe_from(
    source: Source, machine: Machine, spec: TaskSpec, plan: PlannedChunk
) -> tuple[ChunkRows, Described]:
    """The same of a source that is at hand; `spec` has the pin to read it by."""
    rows = repair.restored(spec, await read_chunk(source, spec, plan))
    table = repair.plain(spec)
    rows = without_headers(table.header, rows)
    describer = Describer(
        table,
        machine.store.max_metadata_bytes,
        machine.embedder.max_tokens,
        machine.embedder.count_tokens,
    )
    return rows, await asyncio.to_thread(describer.describe, rows)


async def _record(
    machine: Machine, lease: Lease, landed: Sequence[Entry], notes: Sequence[Rejection]
) -> ChunkFiles:
    """The manifest and the rows left out, in files that only this attempt writes."""
    claim = lease.claim
    number = _claimed_chunk(lease).plan.number
    files = manifest.chunk_files(claim.task.id, number, claim.fence, bool(landed), bool(notes))
    if files.manifest:
        await _write(machine, lease, files.manifest, await asyncio.to_thread(_manifest_of, landed))
    if files.rejected:
        ordered = [
            replace(note, reason=machine.redact.known(note.reason))
            for note in sorted(notes, key=lambda note: note.row)
        ]
        await _write(machine, lease, files.rejected, rejected.encode(ordered))
    return files


async def _write(machine: Machine, lease: Lease, name: str, data: bytes) -> None:
    await outlast(lease, lambda: machine.files.write(name, data))


def _manifest_of(landed: Sequence[Entry]) -> bytes:
    return Manifest(
        [entry.row_id for entry in landed],
        [entry.number for entry in landed],
        [entry.content_hash for entry in landed],
        [len(entry.passages) for entry in landed],
    ).encode()


def _count(rows: ChunkRows, described: Described, landing: Landing, notes: Collection[Rejection]) -> Counts:
    def noted(outcome: str) -> int:
        return sum(note.outcome == outcome for note in notes)

    return Counts(
        read=rows.read,
        upserted=len(landing.landed),
        filtered=described.filtered,
        duplicate=noted("duplicate"),
        rejected=noted("rejected"),
        warnings=noted("warning"),
        passages=sum(len(entry.passages) for entry in landing.landed.values()),
        tokens=landing.tokens,
        embedded=landing.tried,
    )


def _claimed_chunk(lease: Lease) -> Chunk:
    if lease.claim.chunk is None:
        raise TypeError(f"{lease.claim.kind} is no chunk")
    return lease.claim.chunk
