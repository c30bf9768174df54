"""The first rows of a table as a task would embed them. Nothing is spent, nothing is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from rowvec.describe import Described, Entry, doubled_reason
from rowvec.intake import TaskRequest, prepare_spec
from rowvec.machine import Machine
from rowvec.metadata import Value
from rowvec.model import PlannedChunk, Totals
from rowvec.pipeline import read_and_describe_from
from rowvec.planner import plan
from rowvec.reader import ChunkRows
from rowvec.records import frame
from rowvec.spec import TaskSpec
from rowvec.table import Table, opened_table

ROWS = 5
MORE_THAN_A_RECORD = 4 << 20


@dataclass(frozen=True, slots=True)
class PreviewedRow:
    """`outcome` is `embedded`, `filtered` (outside the dates), `duplicate` (a later one of the rows looked at
    has the same id) or `rejected`; `code` and `reason` tell why for the last two.

    `number` and `line` are 1-based; `content` is the record as it stands in the file, cut at 64 KiB. The
    rest is there for `embedded`: `passages` are what goes to the embedder, `tokens` what each is billed as
    at most, `metadata` what is stored beside each, `warnings` what was trimmed of it.
    """

    number: int
    line: int | None
    outcome: str
    content: str
    id: str | None = None
    passages: Sequence[str] = ()
    tokens: Sequence[int] = ()
    metadata: Mapping[str, Value] | None = None
    warnings: Sequence[str] = ()
    code: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Preview:
    """`spec` is what the request would be recorded as; its `types` were inferred from the first rows."""

    spec: TaskSpec
    rows: Sequence[PreviewedRow]


async def preview(machine: Machine, request: TaskRequest, most_rows: int = ROWS) -> Preview:
    """Check the request as `submit` does, and describe its first rows as a worker would.

    A table that must be exported is, until its beginning is there. Raises what submit raises, and what
    opened_table raises.
    """
    return await preview_of(machine, await prepare_spec(machine, request), most_rows)


async def preview_of(machine: Machine, spec: TaskSpec, most_rows: int = ROWS) -> Preview:
    """The preview of what was checked. Raises what opened_table raises."""
    most_bytes = spec.max_record_bytes + MORE_THAN_A_RECORD
    async with opened_table(machine, spec, most_bytes, most_bytes) as table:
        rows: list[PreviewedRow] = []
        async with aclosing(_chunks(table, most_rows)) as chunks:
            async for chunk in chunks:
                read, described = await read_and_describe_from(table.source, machine, table.spec, chunk)
                rows += _in_order(machine, chunk, read, described)
                if len(rows) >= most_rows:
                    break
        return Preview(replace(table.spec, source=spec.source), rows[:most_rows])


async def _chunks(table: Table, most_rows: int) -> AsyncGenerator[PlannedChunk]:
    """The table's first chunks, cut so that one is enough unless its rows are very large."""
    async with aclosing(plan(table.source, replace(table.spec, chunk_size=most_rows))) as items:
        async for item in items:
            if isinstance(item, Totals):
                return
            if not (table.is_cut and item.end >= table.spec.source.size):
                yield item
            elif item.rows > 1:
                yield await _without_last(table, item)


async def _without_last(table: Table, chunk: PlannedChunk) -> PlannedChunk:
    """The chunk without its last row, of which only the beginning may be there."""
    spec = table.spec
    data = await table.source.read(spec.source, chunk.start, chunk.end)
    delimiter, most = spec.dialect.delimiter.encode(), spec.max_record_bytes
    frames = await asyncio.to_thread(frame, data, True, delimiter, most, chunk.start, chunk.first_line)
    return replace(chunk, end=int(frames.ends[-2]), rows=chunk.rows - 1)


def _in_order(
    machine: Machine, chunk: PlannedChunk, read: ChunkRows, described: Described
) -> list[PreviewedRow]:
    told = {row.number: row for row in _filtered(read)}
    told |= {row.number: row for row in _embedded(machine, read, described.entries)}
    told |= {row.number: row for row in _duplicates(read, described)}
    told |= {
        note.row: PreviewedRow(
            note.row, note.line, note.outcome, note.content,
            code=note.code, reason=machine.redact.known(note.reason),
        )
        for note in described.notes
    }  # fmt: skip
    return [told[number] for number in range(chunk.first_row, chunk.first_row + chunk.rows)]


def _filtered(read: ChunkRows) -> Iterator[PreviewedRow]:
    """What a row is that nothing else is told of."""
    for at in range(len(read.rows)):
        yield _row(read, at, "filtered")


def _embedded(machine: Machine, read: ChunkRows, entries: Sequence[Entry]) -> Iterator[PreviewedRow]:
    for entry in entries:
        yield replace(
            _row(read, entry.position, "embedded"),
            id=entry.row_id,
            passages=entry.passages,
            tokens=machine.embedder.count_tokens(entry.passages),
            metadata=entry.metadata,
            warnings=entry.warnings,
        )


def _duplicates(read: ChunkRows, described: Described) -> Iterator[PreviewedRow]:
    winners = {entry.row_id: entry.number for entry in described.entries}
    for row_id, earlier in described.doubles.items():
        for entry in earlier:
            row = _row(read, entry.position, "duplicate")
            why = doubled_reason(winners[row_id], row_id)
            yield replace(row, id=row_id, code="doubled-id", reason=why)


def _row(read: ChunkRows, at: int, outcome: str) -> PreviewedRow:
    seen = read.rejection(at, outcome, "", "")
    return PreviewedRow(seen.row, seen.line, outcome, seen.content)
