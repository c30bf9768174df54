"""The list of exactly what was left out and why: one JSON line a row, in the file store."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import asdict

from rowvec.ledgers.base import Ledger
from rowvec.machine import Machine
from rowvec.model import Chunk, ChunkState, Rejection


def encode(notes: Iterable[Rejection]) -> bytes:
    return "".join(json.dumps(asdict(note), ensure_ascii=True) + "\n" for note in notes).encode()


def decode(data: bytes) -> list[Rejection]:
    return [Rejection(**json.loads(line)) for line in data.splitlines()]


def doubles_name(task_id: str) -> str:
    """The file that settling writes: rows that lost their id to a later row of another chunk."""
    return f"tasks/{task_id}/doubles.jsonl"


async def rejections(machine: Machine, task_id: str, outcome: str = "rejected") -> AsyncIterator[Rejection]:
    """Rows of one outcome (`rejected`, `duplicate`, `warning`) of all finished chunks, in file order.

    Doubles across chunks follow at the end. Raises UnknownTask.
    """
    await machine.ledger.task(task_id)
    async for chunk in done_chunks(machine.ledger, task_id):
        if chunk.files.rejected:
            for note in decode(await machine.files.read(chunk.files.rejected)):
                if note.outcome == outcome:
                    yield note
    if outcome == "duplicate" and await machine.files.size(doubles_name(task_id)):
        for note in decode(await machine.files.read(doubles_name(task_id))):
            yield note


async def done_chunks(ledger: Ledger, task_id: str) -> AsyncIterator[Chunk]:
    """All finished chunks of a task by number, read in pages."""
    after = -1
    while page := await ledger.chunks(task_id, after=after, state=ChunkState.DONE):
        for chunk in page:
            yield chunk
        after = page[-1].plan.number
