"""What the beginning of a table tells, before anything is recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rowvec import repair
from rowvec.header import Header, read_header
from rowvec.layout import check_layout
from rowvec.machine import Limits
from rowvec.metadata import infer_types
from rowvec.model import PlannedChunk
from rowvec.reader import ChunkRows, read_rows
from rowvec.records import Frames, frame
from rowvec.sources.base import Source
from rowvec.spec import Dialect, SourcePin, TaskSpec
from rowvec.spool import beginning

SAMPLE_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class Glimpse:
    """`types` are those of the first rows, `rows` guesses how many there are, None where their size says
    nothing. Without arguments it is that of a table that is not there yet."""

    header: Header = Header((), 0, 1, Dialect())  # noqa: RUF009 - frozen
    types: Mapping[str, str] = field(default_factory=dict)
    rows: int | None = None


async def glimpse(
    source: Source,
    pin: SourcePin,
    limits: Limits,
    encoding: str | None = None,
    delimiter: str | None = None,
    repaired: bool = False,
) -> Glimpse:
    """Read the header and the first rows below it. `repaired` tables may have `;`, as spreadsheets write it.

    Raises what Source.read raises, SourceDamaged where the header or the layout is none of one table, and
    InvalidRequest for an encoding that cannot be.
    """
    start = await beginning(source, pin, encoding, SAMPLE_BYTES, limits.max_decompressed_bytes)
    delimiter = delimiter or (repair.delimiter_of(start.head) if repaired else None)
    header = read_header(start.head, start.final, delimiter, limits.max_record_bytes)
    dialect = replace(header.dialect, encoding=start.encoding, compression=start.compression)
    header = replace(header, dialect=dialect)
    frames, rows = _first_rows(start.head, header, pin, start.final, limits.max_record_bytes)
    check_layout(header, frames, rows)
    return Glimpse(header, infer_types(header.columns, rows.rows), _likely_rows(frames, header, pin))


def _likely_rows(frames: Frames, header: Header, pin: SourcePin) -> int | None:
    if header.dialect.copied or not len(frames):
        return None
    return round(len(frames) * (pin.size - header.data_start) / (int(frames.ends[-1]) - header.data_start))


def _first_rows(
    head: bytes, header: Header, pin: SourcePin, final: bool, max_record_bytes: int
) -> tuple[Frames, ChunkRows]:
    """The records of the head that are whole, as a worker would read them."""
    start, line, delimiter = header.data_start, header.data_line, header.dialect.delimiter.encode()
    frames = frame(head[start:], final, delimiter, max_record_bytes, start, line)
    end = int(frames.ends[-1]) if len(frames) else start
    probe = TaskSpec(
        pin, header.columns, start, line, header.dialect, 1, max_record_bytes, "probe", "", "", 0
    )
    return frames, read_rows(head[start:end], PlannedChunk(0, start, end, 1, line, len(frames)), probe)
