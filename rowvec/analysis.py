"""What is known of a task's table: how it is spelt from the beginning, what it holds once it is planned."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from rowvec.ledgers.base import Ledger
from rowvec.model import Task


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a caller may see of a task's table and of what its work takes.

    `bytes` is the source's size, None until an export is there; `compression` is `gzip`, `zstd` or empty.
    What follows `chunk_size` is None until the whole table has been scanned: `text_bytes`, the size of the
    table in plain UTF-8 (to the end of its last row, where that is not the source itself), its rows, its
    blank lines, its chunks, and the bytes that one chunk takes in a worker.
    """

    bytes: int | None
    columns: tuple[str, ...]
    encoding: str
    compression: str
    delimiter: str
    chunk_size: int
    text_bytes: int | None = None
    rows: int | None = None
    blank_lines: int | None = None
    chunks: int | None = None
    memory_bytes: int | None = None


async def analysed(ledger: Ledger, task: Task) -> Analysis:
    """One more read of the ledger where the table is a copy, none elsewhere."""
    return _analysis(
        task, await _copied_bytes(ledger, task) if _needs_a_read(task) else task.spec.source.size
    )


async def analysed_each(ledger: Ledger, tasks: Sequence[Task]) -> list[Analysis]:
    """The same of several tasks, whose reads are made at once."""
    copied = [task for task in tasks if _needs_a_read(task)]
    sizes = await asyncio.gather(*(_copied_bytes(ledger, task) for task in copied))
    text = {task.id: size for task, size in zip(copied, sizes, strict=True)}
    return [_analysis(task, text.get(task.id, task.spec.source.size)) for task in tasks]


def _needs_a_read(task: Task) -> bool:
    return task.planned and task.spec.dialect.copied


def _analysis(task: Task, text: int) -> Analysis:
    """`text` is the size of its table in plain UTF-8."""
    spec, dialect = task.spec, task.spec.dialect
    size = spec.source.size if spec.wish is None else None
    spelt = (size, spec.header, dialect.encoding, dialect.compression, dialect.delimiter)
    if not task.planned:
        return Analysis(*spelt, spec.chunk_size)
    memory = chunk_memory(text, task.rows_planned, spec.chunk_size, spec.dimension)
    return Analysis(
        *spelt, spec.chunk_size, text, task.rows_planned, task.blank_lines, task.chunks_total, memory
    )


async def _copied_bytes(ledger: Ledger, task: Task) -> int:
    """The copy itself goes with the end of its task; the last chunk says for good how far it went."""
    last = await ledger.chunks(task.id, 1, task.chunks_total - 2)
    return last[0].plan.end if last else task.spec.data_start


def chunk_memory(size: int, rows: int, chunk_size: int, dimension: int) -> int:
    """Bytes that a chunk takes in a worker, for a table of `size` bytes and so many rows.

    They are a row's bytes, its decoded cells, its text and its metadata, and its float32 vector.
    """
    return round(min(chunk_size, rows) * (4 * size / max(rows, 1) + 4 * dimension))
