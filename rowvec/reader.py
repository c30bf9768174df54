"""The bytes of a chunk → rows, and the rows that are no rows."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rowvec.encoding import HALF_A_PAIR, is_half_a_pair
from rowvec.errors import SourceChanged
from rowvec.fields import count_fields, parse
from rowvec.model import PlannedChunk
from rowvec.records import Fault, Frames, frame
from rowvec.rejection import Rejection
from rowvec.sources.base import Source
from rowvec.spec import TaskSpec

CONTENT_BYTES = 64 << 10
_MANY_FIELDS = 1 << 18  # from here on they are counted before any of them is made into an object


@dataclass(frozen=True, slots=True)
class ChunkRows:
    """The rows of a chunk, each with as many values as the header has names.

    `numbers`, `lines`, `starts` and `ends` run beside `rows`: 1-based row number and physical line, and
    byte range in the source. `rejections` are the other rows; `read` counts both. `data` are the
    chunk's bytes, of which the first stands at `offset` in the source.
    """

    rows: list[list[str]]
    numbers: Sequence[int]
    lines: Sequence[int]
    starts: Sequence[int]
    ends: Sequence[int]
    rejections: list[Rejection]
    data: bytes
    offset: int

    @property
    def read(self) -> int:
        return len(self.rows) + len(self.rejections)

    def rejection(self, position: int, outcome: str, code: str, reason: str) -> Rejection:
        """What to record of the row at `position` of `rows`."""
        start, end = self.starts[position], self.ends[position]
        content = _content(self.data[start - self.offset : end - self.offset])
        number, line = self.numbers[position], self.lines[position]
        return Rejection(outcome, number, line, start, end, code, reason, content)

    def without(self, positions: Sequence[int], code: str, reason: str) -> ChunkRows:
        """The same chunk with the rows at these positions of `rows` rejected."""
        if not positions:
            return self
        kept = sorted(set(range(len(self.rows))).difference(positions))
        return replace(
            self,
            rows=[self.rows[at] for at in kept],
            numbers=[self.numbers[at] for at in kept],
            lines=[self.lines[at] for at in kept],
            starts=[self.starts[at] for at in kept],
            ends=[self.ends[at] for at in kept],
            rejections=[
                *self.rejections,
                *(self.rejection(at, "rejected", code, reason) for at in positions),
            ],
        )


async def read_chunk(source: Source, spec: TaskSpec, plan: PlannedChunk) -> ChunkRows:
    """A chunk of the source, read and parsed in bounded memory.

    Raises what Source.read raises, and SourceChanged where the bytes are not those that were planned.
    """
    if plan.rows == 1 and plan.end - plan.start > spec.max_record_bytes + len("\r\n"):
        head = await source.read(spec.source, plan.start, min(plan.end, plan.start + CONTENT_BYTES))
        return _too_long(head, plan, spec)
    data = await source.read(spec.source, plan.start, plan.end)
    return await asyncio.to_thread(read_rows, data, plan, spec)


def read_rows(data: bytes, chunk: PlannedChunk, spec: TaskSpec) -> ChunkRows:
    """The rows of `data`, which are the chunk's bytes.

    Raises SourceChanged unless they hold exactly the chunk's rows.
    """
    delimiter = spec.dialect.delimiter
    frames = frame(data, True, delimiter.encode(), spec.max_record_bytes, chunk.start, chunk.first_line)
    if len(frames) != chunk.rows:
        raise SourceChanged(
            f"The source is not what was planned: chunk {chunk.number} (bytes {chunk.start} to {chunk.end}) "
            f"holds {len(frames)} rows where {chunk.rows} were counted. Submit it again."
        )
    reading = _Reading(data, frames, chunk, spec)
    rows = reading.all_at_once()
    return reading.one_by_one() if rows is None else rows


def _too_long(head: bytes, chunk: PlannedChunk, spec: TaskSpec) -> ChunkRows:
    """A chunk that is one record beyond the limit; `head` is its beginning."""
    reason = _reason_too_long(chunk.end - chunk.start, spec.max_record_bytes)
    rejection = Rejection(
        "rejected", chunk.first_row, chunk.first_line, chunk.start, chunk.end,
        Fault.TOO_LONG, reason, _content(head),
    )  # fmt: skip
    return ChunkRows([], [], [], [], [], [rejection], head, chunk.start)


class _NoRow(Exception):
    """This record is no row; `code` and the message say why."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class _Reading:
    """The parsing of one chunk."""

    def __init__(self, data: bytes, frames: Frames, chunk: PlannedChunk, spec: TaskSpec) -> None:
        self._data = data
        self._frames = frames
        self._chunk = chunk
        self._spec = spec
        self._width = len(spec.header)
        self._delimiter = spec.dialect.delimiter.encode()

    def all_at_once(self) -> ChunkRows | None:
        """All rows by one csv reader, None where a record needs a look of its own."""
        if self._frames.bad or b"\0" in self._data or self._data.count(self._delimiter) > _MANY_FIELDS:
            return None
        try:
            rows = [row for row in self._csv(self._data.decode("utf-8")) if row]
        except (UnicodeDecodeError, csv.Error):
            return None
        if len(rows) != len(self._frames) or any(len(row) != self._width for row in rows):
            return None
        return self._chunk_rows(rows, list(range(len(rows))), [])

    def one_by_one(self) -> ChunkRows:
        """Record by record: each is a row or a rejection."""
        rows: list[list[str]] = []
        kept: list[int] = []
        rejections: list[Rejection] = []
        for index in range(len(self._frames)):
            try:
                rows.append(self._row(index))
                kept.append(index)
            except _NoRow as refusal:
                rejections.append(self._rejection(index, refusal))
        return self._chunk_rows(rows, kept, rejections)

    def _chunk_rows(self, rows: list[list[str]], kept: list[int], rejections: list[Rejection]) -> ChunkRows:
        frames, first = self._frames, self._chunk.first_row
        numbers = [first + index for index in kept]
        lines, starts, ends = (column[kept].tolist() for column in (frames.lines, frames.starts, frames.ends))
        return ChunkRows(rows, numbers, lines, starts, ends, rejections, self._data, self._chunk.start)

    def _row(self, index: int) -> list[str]:
        record = self._record(index)
        if fault := self._frames.bad.get(index):
            raise _NoRow(fault, self._reason(fault, record))
        text = self._decoded(index, record)
        if record.count(self._delimiter) > _MANY_FIELDS:
            self._check_width(count_fields(record, self._delimiter))
        try:
            rows = list(self._csv(text))
        except csv.Error as error:
            raise _NoRow("unreadable-record", f"the record cannot be parsed: {error}") from error
        self._check_width(len(rows[0]))
        return rows[0]

    def _check_width(self, found: int) -> None:
        if found != self._width:
            code = "too-few-fields" if found < self._width else "too-many-fields"
            raise _NoRow(code, f"{self._width} fields are expected, as in the header; {found} were found")

    def _record(self, index: int) -> bytes:
        offset = self._chunk.start
        return self._data[int(self._frames.starts[index]) - offset : int(self._frames.ends[index]) - offset]

    def _csv(self, text: str) -> Iterator[list[str]]:
        return parse(text, self._spec.dialect.delimiter, self._spec.max_record_bytes)

    def _decoded(self, index: int, record: bytes) -> str:
        start = int(self._frames.starts[index])
        whose = "the source's UTF-8 copy" if self._spec.dialect.copied else "the source"
        if b"\0" in record:
            raise _NoRow("nul-byte", f"there is a NUL byte at byte {start + record.index(0)} of {whose}")
        try:
            return record.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = HALF_A_PAIR if is_half_a_pair(record, error.start) else error.reason
            place = f"byte {start + error.start} of {whose} (0x{record[error.start]:02x})"
            raise _NoRow("not-utf8", f"{place} is not UTF-8: {reason}") from error

    def _reason(self, fault: Fault, record: bytes) -> str:
        limit = self._spec.max_record_bytes
        if fault is Fault.TOO_LONG:
            return _reason_too_long(len(record), limit)
        if fault is Fault.TEXT_AFTER:
            return "text follows a closing quote; a quote within a quoted field is written twice"
        return f"a quote opens and is not closed as it must be before the end, or within {limit} bytes"

    def _rejection(self, index: int, refusal: _NoRow) -> Rejection:
        frames = self._frames
        start, end, line = (int(column[index]) for column in (frames.starts, frames.ends, frames.lines))
        number, content = self._chunk.first_row + index, _content(self._record(index))
        return Rejection("rejected", number, line, start, end, refusal.code, str(refusal), content)


def _reason_too_long(size: int, limit: int) -> str:
    return f"the record has {size} bytes, more than the {limit} that a record may have"


def _content(record: bytes) -> str:
    """The record as it stands in the file, cut at CONTENT_BYTES; bytes that are no UTF-8 are escaped."""
    return record[:CONTENT_BYTES].rstrip(b"\r\n").decode("utf-8", "backslashreplace")
