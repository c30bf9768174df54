"""A bounded look at a whole source: how many rows it has, and runs of rows from all over it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

import numpy as np

from rowvec.model import PlannedChunk, Totals
from rowvec.planner import MAX_CHUNK_BYTES, plan
from rowvec.records import Frames, frame
from rowvec.sources.base import Source
from rowvec.spec import TaskSpec

SCAN_BYTES = 2 << 30
SCAN_CHUNKS = 250_000
RUNS = 20
RUN_ROWS = 100
RUN_BYTES = 256 << 10
SAMPLE_BYTES = 32 << 20
_TURN = 0.618_033_988_75  # multiples of it, less their whole part, never bunch and never beat with a period


@dataclass(frozen=True, slots=True)
class Survey:
    """What a scan found. Unless `exact`, it ended before the source did: `rows` and `chunks` are in
    proportion to the bytes, and `blank_lines` is None. `stretches` are runs of chunks, evenly spread
    over what was scanned, at most twice RUNS."""

    rows: int
    chunks: int
    blank_lines: int | None
    exact: bool
    stretches: list[PlannedChunk]


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive rows to look at. Each stands for `weight` rows, itself included."""

    plan: PlannedChunk
    weight: float


async def survey(source: Source, spec: TaskSpec, whole: int | None = None) -> Survey:
    """Scan the source as the planner does, to its end or to SCAN_BYTES or SCAN_CHUNKS.

    `whole` is the size of the table where the source has only its beginning: then the chunk that touches
    the cut is left out. Raises what Source.read raises.
    """
    size = spec.source.size if whole is None else whole
    is_cut = size > spec.source.size
    spread, last = _Spread(), None
    async with aclosing(plan(source, spec)) as items:
        async for item in items:
            if isinstance(item, Totals) and not is_cut:
                return Survey(item.rows, item.chunks, item.blank_lines, True, spread.finish())
            if isinstance(item, Totals) or (is_cut and item.end >= spec.source.size):
                break
            spread.add(item)
            last = item
            if _is_enough(item, spec, size):
                break
            if item.number % 1000 == 0:
                await asyncio.sleep(0)  # tiny chunks come by the hundred thousand from one block
    return _extrapolated(last, spec, size, spread.finish())


def _is_enough(chunk: PlannedChunk, spec: TaskSpec, size: int) -> bool:
    scanned = chunk.end - spec.data_start
    return chunk.end < size and (scanned >= SCAN_BYTES or chunk.number + 1 >= SCAN_CHUNKS)


def _extrapolated(
    last: PlannedChunk | None, spec: TaskSpec, size: int, stretches: list[PlannedChunk]
) -> Survey:
    if last is None:
        return Survey(0, 0, None, False, stretches)
    share = (last.end - spec.data_start) / (size - spec.data_start)
    rows = last.first_row + last.rows - 1
    return Survey(round(rows / share), round((last.number + 1) / share), None, False, stretches)


class _Spread:
    """Joins small chunks to stretches and keeps every so manyth of them, fewer as they get many."""

    def __init__(self) -> None:
        self._open: PlannedChunk | None = None
        self._kept: list[PlannedChunk] = []
        self._seen = 0
        self._every = 1

    def add(self, chunk: PlannedChunk) -> None:
        if self._open is not None and chunk.end - self._open.start > MAX_CHUNK_BYTES:
            self._close(self._open)
        self._open = chunk if self._open is None else _joined(self._open, chunk)
        if self._open.rows >= RUN_ROWS:
            self._close(self._open)

    def finish(self) -> list[PlannedChunk]:
        if self._open is not None:
            self._close(self._open)
        return self._kept

    def _close(self, stretch: PlannedChunk) -> None:
        self._open = None
        if self._seen % self._every == 0:
            self._kept.append(stretch)
        self._seen += 1
        if len(self._kept) > 2 * RUNS:
            self._kept = self._kept[::2]
            self._every *= 2


def _joined(first: PlannedChunk, last: PlannedChunk) -> PlannedChunk:
    rows = first.rows + last.rows
    return PlannedChunk(first.number, first.start, last.end, first.first_row, first.first_line, rows)


async def sample(source: Source, spec: TaskSpec, stretches: list[PlannedChunk]) -> AsyncIterator[Run]:
    """Runs of rows from all stretches, at least RUNS where there are so many rows.

    They come in an order in which the first few are spread, too; after SAMPLE_BYTES none follow.
    """
    seen = 0
    for place in sorted(range(len(stretches)), key=_turned):
        for run in await _runs(source, spec, stretches[place], -(-RUNS // len(stretches)), place):
            if seen >= SAMPLE_BYTES:
                return
            seen += run.plan.end - run.plan.start
            yield run


async def _runs(source: Source, spec: TaskSpec, stretch: PlannedChunk, pieces: int, place: int) -> list[Run]:
    """The stretch as one run, where it is small; else a run from each of so many equal pieces of it."""
    size = stretch.end - stretch.start
    if stretch.rows == 1 or (stretch.rows <= pieces * RUN_ROWS and size <= pieces * RUN_BYTES):
        return [Run(stretch, 1.0)]
    data = await source.read(spec.source, stretch.start, stretch.end)
    delimiter, most = spec.dialect.delimiter.encode(), spec.max_record_bytes
    frames = await asyncio.to_thread(frame, data, True, delimiter, most, stretch.start, stretch.first_line)
    count = min(pieces, len(frames))
    borders = [len(frames) * piece // count for piece in range(count + 1)]
    return [
        _run(frames, stretch, borders[piece], borders[piece + 1], _turned(place * pieces + piece))
        for piece in range(count)
    ]


def _run(frames: Frames, stretch: PlannedChunk, low: int, high: int, shift: float) -> Run:
    """A run within the rows `low` to `high` (excl.) of a stretch; `shift`, 0 to 1, says how far in."""
    first = low + int((high - low - min(RUN_ROWS, high - low)) * shift)
    fitting = int(np.searchsorted(frames.ends, frames.starts[first] + RUN_BYTES, side="right"))
    stop = max(min(first + RUN_ROWS, high, fitting), first + 1)
    start, end, line = int(frames.starts[first]), int(frames.ends[stop - 1]), int(frames.lines[first])
    plan = PlannedChunk(stretch.number, start, end, stretch.first_row + first, line, stop - first)
    return Run(plan, (high - low) / (stop - first))


def _turned(place: int) -> float:
    return place * _TURN % 1
