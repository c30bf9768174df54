"""The list of exactly what was left out and why: one JSON line a row, in the file store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict, dataclass, replace

from rowvec.filestores.base import FileStore
from rowvec.fingerprint import fingerprint
from rowvec.ledgers.base import Ledger
from rowvec.machine import Machine
from rowvec.model import Chunk, ChunkState
from rowvec.rejection import Rejection

PAGE = 250
"""Chunks asked of the ledger at a time."""


def encode(notes: Iterable[Rejection]) -> bytes:
    return "".join(json.dumps(asdict(note), ensure_ascii=True) + "\n" for note in notes).encode()


def decode(data: bytes) -> list[Rejection]:
    return [Rejection(**json.loads(line)) for line in data.splitlines()]


def doubles_name(task_id: str) -> str:
    """The file that settling writes: rows that lost their id to a later row of another chunk."""
    return f"tasks/{task_id}/doubles.jsonl"


async def rejections(
    machine: Machine, task_id: str, outcome: str = "rejected", group: str | None = None
) -> AsyncIterator[Rejection]:
    """Rows of one outcome (`rejected`, `duplicate`, `warning`) of all finished chunks, in file order; with
    `group` only those of that fingerprint.

    Doubles across chunks follow at the end. Raises UnknownTask.
    """
    async for note in _all_of(machine, task_id, outcome):
        if group is None or fingerprint(note.code, note.reason) == group:
            yield note


async def _all_of(machine: Machine, task_id: str, outcome: str) -> AsyncIterator[Rejection]:
    await machine.ledger.task(task_id)
    async for chunk in done_chunks(machine.ledger, task_id):
        for note in await notes_of(machine.files, chunk):
            if note.outcome == outcome:
                yield note
    if outcome == "duplicate" and await machine.files.size(doubles_name(task_id)):
        for note in decode(await machine.files.read(doubles_name(task_id))):
            yield note


async def notes_of(files: FileStore, chunk: Chunk) -> list[Rejection]:
    """What one finished chunk noted of its rows, all outcomes."""
    return decode(await files.read(chunk.files.rejected)) if chunk.files.rejected else []


@dataclass(frozen=True, slots=True)
class Group:
    """Rows left out for one reason: `code` names it, `reason` and `content` are those of `first_row`."""

    code: str
    count: int
    first_row: int
    last_row: int
    reason: str
    content: str


async def grouped(notes: AsyncIterator[Rejection]) -> list[Group]:
    """The notes by their code, the most frequent first. Holds one group a code, whatever comes by."""
    groups: dict[str, Group] = {}
    async for note in notes:
        group = groups.get(note.code) or Group(note.code, 0, note.row, note.row, note.reason, note.content)
        groups[note.code] = replace(group, count=group.count + 1, last_row=note.row)
    return sorted(groups.values(), key=lambda group: (-group.count, group.first_row))


async def done_chunks(ledger: Ledger, task_id: str) -> AsyncIterator[Chunk]:
    """All finished chunks of a task by number, read in pages."""
    after = -1
    while page := await ledger.chunks(task_id, PAGE, after, ChunkState.DONE):
        for chunk in page:
            yield chunk
        after = page[-1].plan.number
