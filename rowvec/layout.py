"""Whether the rows of a table are rows of one table under one header, which stands once, above them all.

Certain are a header that is repeated, and records that share another width than the header's: most of the
first ones (what was taken for the header is a preamble), or all between two gaps of blank lines (another
table). The rest is judged row by row. docs/decisions/0007-one-table-a-file.md says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from rowvec.errors import SourceDamaged
from rowvec.header import Header
from rowvec.reader import ChunkRows
from rowvec.records import Frames, parse

_FEWEST = 3
"""So many records of one other width are no accident."""
_SPLIT = frozenset({"too-few-fields", "too-many-fields", "not-utf8", "nul-byte"})
"""Why a record can be rejected although its fields can be told apart."""


@dataclass(frozen=True, slots=True)
class _Record:
    """A record that can be split into fields, and how many gaps of blank lines are above it."""

    line: int
    width: int
    gaps: int


def check_layout(header: Header, frames: Frames, rows: ChunkRows) -> None:
    """Raises SourceDamaged, naming the line, unless these first records are rows under this header."""
    records = _records(header, frames, rows)
    _check_beginning(header, records)
    _check_sections(header, records)
    for at in _repeats(header.columns, rows):
        raise SourceDamaged(
            f"Line {rows.lines[at]} is the header once more. Take out every header but the first, or submit "
            "each table by itself."
        )


def without_headers(columns: Sequence[str], rows: ChunkRows) -> ChunkRows:
    """The rows less those that are the header once more, which are rejected."""
    reason = "this row is the table's header once more"
    return rows.without(_repeats(columns, rows), "repeated-header", reason)


def _repeats(columns: Sequence[str], rows: ChunkRows) -> list[int]:
    """Positions of rows that are the header, but for case and space. A single name may be a value, too."""
    if len(columns) < 2:
        return []
    names = [_folded(name) for name in columns]
    suspects = [at for at, row in enumerate(rows.rows) if _folded(row[0]) == names[0]]
    return [at for at in suspects if [_folded(value) for value in rows.rows[at]] == names]


def _folded(name: str) -> str:
    return name.replace("\ufeff", "").strip().casefold()


def _records(header: Header, frames: Frames, rows: ChunkRows) -> list[_Record]:
    delimiter = header.dialect.delimiter
    widths = dict.fromkeys(rows.numbers, len(header.columns))
    split = {note.row for note in rows.rejections if note.code in _SPLIT}
    records: list[_Record] = []
    gaps, last = 0, header.data_start
    places = zip(frames.starts.tolist(), frames.ends.tolist(), frames.lines.tolist(), strict=True)
    for number, (start, end, line) in enumerate(places, 1):
        gaps, last = gaps + (start > last), end
        if number in split:
            widths[number] = _width(rows.data[start - rows.offset : end - rows.offset], delimiter)
        if number in widths:
            records.append(_Record(line, widths[number], gaps))
    return records


def _width(record: bytes, delimiter: str) -> int:
    return len(next(parse(record.decode("utf-8", "replace"), delimiter, len(record))))


def _check_beginning(header: Header, records: Sequence[_Record]) -> None:
    """Most of the first records, up to the last of them, have one other width."""
    width = len(header.columns)
    alike = list(takewhile(lambda record: record.width == records[-1].width, reversed(records)))
    if len(alike) >= max(_FEWEST, len(records) // 2 + 1) and alike[-1].width != width:
        raise SourceDamaged(
            f"The header has {width} columns separated by {header.dialect.delimiter!r}, but the records from "
            f"line {alike[-1].line} on all have {alike[-1].width}. "
            "Take out what stands before the header, name every column, or give the right `delimiter`."
        )


def _check_sections(header: Header, records: Sequence[_Record]) -> None:
    """All records between two gaps have one other width: a table of its own."""
    for _, section in groupby(records, lambda record: record.gaps):
        first, *others = section
        alike = first.width not in (1, len(header.columns)) and all(o.width == first.width for o in others)
        if alike and first.gaps and len(others) + 1 >= _FEWEST:
            raise SourceDamaged(
                f"Another table begins on line {first.line}, after blank lines: its records have "
                f"{first.width} fields, the header has {len(header.columns)} columns. "
                "Submit each table by itself."
            )
