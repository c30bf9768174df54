"""Some rows of a chunk as they stand in the table, for a person to look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from rowvec.machine import Machine
from rowvec.model import Chunk, Task
from rowvec.reader import read_chunk
from rowvec.repair import restored
from rowvec.spool import opened

CELL_CHARACTERS = 200
MOST_CELLS = 12


@dataclass(frozen=True, slots=True)
class SampleRow:
    """The first cells of a row, each cut."""

    number: int
    line: int
    cells: Sequence[str]


async def sample(machine: Machine, task: Task, chunk: Chunk, most: int = 3) -> list[SampleRow]:
    """The first readable rows of the chunk. Raises what reading the source raises, and SourceChanged where
    the copy that was read is gone."""
    source, pinned = await opened(machine, task.id, task.spec)
    rows = restored(task.spec, await read_chunk(source, pinned, chunk.plan))
    found = zip(rows.numbers, rows.lines, rows.rows, strict=True)
    return [
        SampleRow(number, line, [cell[:CELL_CHARACTERS] for cell in cells[:MOST_CELLS]])
        for number, line, cells in islice(found, most)
    ]
