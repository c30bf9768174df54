"""A source → chunks: byte ranges that begin and end at record boundaries, found in one scan."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from rowvec.errors import SourceChanged
from rowvec.model import PlannedChunk, Totals
from rowvec.records import Framer, Frames
from rowvec.sources.base import Source
from rowvec.spec import TaskSpec

FRAME_BYTES = 1 << 20  # bounds the offsets held at once where every record is a byte long
MAX_CHUNK_BYTES = 8 << 20
MAX_CHUNK_CELLS = 250_000  # a cell is an object, so many short ones take far more memory than their bytes


async def plan(
    source: Source, spec: TaskSpec, resume: PlannedChunk | None = None
) -> AsyncGenerator[PlannedChunk | Totals]:
    """Yields the chunks in order, numbered from 0, and last of all the Totals of the whole source.

    A chunk holds at most `spec.chunk_size` rows and, unless it is a single one, MAX_CHUNK_BYTES and
    MAX_CHUNK_CELLS. Blank lines between chunks are in none. With `resume`, the last chunk that is already
    known, the source is still scanned from its start (the totals need it), but only what follows is yielded.
    Raises what Source.read raises, and SourceChanged where `resume` does not fit the source.
    """
    scan = _Scan(spec, resume)
    async with aclosing(_blocks(source, spec)) as blocks:
        async for block, final in blocks:
            for chunk in await asyncio.to_thread(scan.feed, block, final):
                yield chunk
    for chunk in scan.finish():
        yield chunk
    yield scan.totals()


async def _blocks(source: Source, spec: TaskSpec) -> AsyncGenerator[tuple[bytes, bool]]:
    """The data section block by block, and whether each is the last; the next is read meanwhile."""
    pin, start = spec.source, spec.data_start
    ahead: asyncio.Task[bytes] | None = None
    try:
        while start < pin.size:
            end = min(start + source.block_bytes, pin.size)
            block = await (ahead or source.read(pin, start, end))
            start = end
            following = min(start + source.block_bytes, pin.size)
            ahead = asyncio.ensure_future(source.read(pin, start, following)) if start < pin.size else None
            yield block, start == pin.size
    finally:
        if ahead is not None:
            ahead.cancel()
            await asyncio.gather(ahead, return_exceptions=True)


class _Scan:
    """Blocks in, chunks out; runs in a thread, one block at a time."""

    def __init__(self, spec: TaskSpec, resume: PlannedChunk | None) -> None:
        dialect, limit = spec.dialect, spec.max_record_bytes
        self._framer = Framer(dialect.delimiter.encode(), limit, spec.data_start, spec.data_line)
        most_rows = max(1, MAX_CHUNK_CELLS // max(1, len(spec.header)))
        self._cutter = _Cutter(min(spec.chunk_size, most_rows), resume)
        self._size = spec.source.size
        self._blank_lines = 0

    def feed(self, block: bytes, final: bool) -> list[PlannedChunk]:
        chunks: list[PlannedChunk] = []
        view = memoryview(block)
        for start in range(0, len(block), FRAME_BYTES):
            end = start + FRAME_BYTES
            frames = self._framer.feed(view[start:end], final and end >= len(block))
            self._blank_lines += frames.blank_lines
            chunks += self._cutter.add(frames)
        return chunks

    def finish(self) -> list[PlannedChunk]:
        return self._cutter.finish()

    def totals(self) -> Totals:
        return Totals(self._cutter.rows, self._size, self._blank_lines, self._cutter.chunks)


class _Cutter:
    """Cuts a stream of records into chunks; where it cuts depends only on where the chunk began."""

    def __init__(self, chunk_size: int, resume: PlannedChunk | None) -> None:
        self._chunk_size = chunk_size
        self._resume = resume
        self._open: PlannedChunk | None = None
        self.rows = 0
        self.chunks = resume.number + 1 if resume else 0

    def add(self, frames: Frames) -> list[PlannedChunk]:
        """The chunks that these records complete."""
        index = self._skip_known(frames)
        done: list[PlannedChunk] = []
        while index < len(frames):
            current = self._open or self._begin(frames, index)
            fitting = int(np.searchsorted(frames.ends, current.start + MAX_CHUNK_BYTES, side="right"))
            stop = min(fitting, index + self._chunk_size - current.rows, len(frames))
            stop = max(stop, index + (current.rows == 0))
            if stop > index:
                current = self._extended(current, int(frames.ends[stop - 1]), stop - index)
            full = stop < len(frames) or current.rows == self._chunk_size
            self._open = None if full else current
            done += [current] if full else []
            index = stop
        return done

    def finish(self) -> list[PlannedChunk]:
        """The last chunk, if any row is left for one."""
        self._check_resume()
        last = [self._open] if self._open else []
        self._open = None
        return last

    def _begin(self, frames: Frames, index: int) -> PlannedChunk:
        start, line = int(frames.starts[index]), int(frames.lines[index])
        self.chunks += 1
        return PlannedChunk(self.chunks - 1, start, start, self.rows + 1, line, 0)

    def _extended(self, chunk: PlannedChunk, end: int, rows: int) -> PlannedChunk:
        self.rows += rows
        total = chunk.rows + rows
        return PlannedChunk(chunk.number, chunk.start, end, chunk.first_row, chunk.first_line, total)

    def _skip_known(self, frames: Frames) -> int:
        """How many of these records the known chunks hold."""
        if self._resume is None:
            return 0
        known = int(np.searchsorted(frames.ends, self._resume.end, side="right"))
        self.rows += known
        if known < len(frames):
            self._check_resume()
        return known

    def _check_resume(self) -> None:
        """Past the known chunks, their rows must have been found again."""
        resume, self._resume = self._resume, None
        if resume is not None and self.rows != resume.first_row + resume.rows - 1:
            raise SourceChanged(
                f"The source is not what was planned: {self.rows} rows end by byte {resume.end}, where chunk "
                f"{resume.number} ended with row {resume.first_row + resume.rows - 1}. Submit it again."
            )
