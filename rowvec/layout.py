"""Whether the rows of a table are rows of one table under one header, which stands once, above them all.

Certain are a header that is repeated, and records that share another width than the header's: most of the
first ones (what was taken for the header is a preamble), or all between two gaps of blank lines (another
table). The rest is judged row by row, as is all that comes after so many good rows that the header is
beyond doubt. docs/decisions/0007-one-table-a-file.md says why.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from rowvec.errors import SourceDamaged
from rowvec.fields import parse
from rowvec.header import Header
from rowvec.reader import ChunkRows
from rowvec.records import Frames, Offsets

_FEWEST = 3
"""So many records of one other width are no accident."""
_PROOF = 100
"""So many rows of the header's width prove that it is one: what comes after them is judged row by row."""
_SPLIT = frozenset({"too-few-fields", "too-many-fields", "not-utf8", "nul-byte"})
"""Why a record can be rejected although its fields can be told apart."""


@dataclass(frozen=True, slots=True)
class _Records:
    """The records that can be split into fields: line, width, and how many gaps of blank lines are above."""

    lines: Offsets
    widths: Offsets
    gaps: Offsets

    def until_proof(self, width: int) -> _Records:
        """Those above the record that leaves no doubt that a header of this width is the table's."""
        [fitting] = np.nonzero(self.widths == width)
        end = fitting[_PROOF - 1] + 1 if len(fitting) >= _PROOF else len(self.widths)
        return _Records(self.lines[:end], self.widths[:end], self.gaps[:end])


def check_layout(header: Header, frames: Frames, rows: ChunkRows) -> None:
    """Raises SourceDamaged, naming the line, unless these first records are rows under this header."""
    records = _records(header, frames, rows).until_proof(len(header.columns))
    _check_beginning(header, records)
    _check_sections(header, records)
    for at in _repeats(header.columns, rows.rows[:_PROOF]):
        raise SourceDamaged(
            f"Line {rows.lines[at]} is the header once more. Take out every header but the first, or submit "
            "each table by itself."
        )


def without_headers(columns: Sequence[str], rows: ChunkRows) -> ChunkRows:
    """The rows less those that are the header once more, which are rejected."""
    reason = "this row is the table's header once more"
    return rows.without(_repeats(columns, rows.rows), "repeated-header", reason)


def _repeats(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    """Positions of rows that are the header, but for case and space. A single name may be a value, too."""
    if len(columns) < 2:
        return []
    names = [_folded(name) for name in columns]
    suspects = [at for at, row in enumerate(rows) if _folded(row[0]) == names[0]]
    return [at for at in suspects if [_folded(value) for value in rows[at]] == names]


def _folded(name: str) -> str:
    return name.replace("\ufeff", "").strip().casefold()


def _records(header: Header, frames: Frames, rows: ChunkRows) -> _Records:
    widths = np.zeros(len(frames), np.int64)
    widths[np.asarray(rows.numbers, np.int64) - 1] = len(header.columns)
    for note in rows.rejections:
        if note.code in _SPLIT:
            start, end = frames.starts[note.row - 1] - rows.offset, frames.ends[note.row - 1] - rows.offset
            widths[note.row - 1] = _width(rows.data[start:end], header.dialect.delimiter)
    ends_before = np.concatenate(([header.data_start], frames.ends[:-1]))[: len(frames)]
    gaps = np.cumsum(frames.starts > ends_before, dtype=np.int64)
    known = widths > 0
    return _Records(frames.lines[known], widths[known], gaps[known])


def _width(record: bytes, delimiter: str) -> int:
    return len(next(parse(record.decode("utf-8", "replace"), delimiter, len(record))))


def _check_beginning(header: Header, records: _Records) -> None:
    """Most of the first records, up to the last of them, have one other width."""
    widths, columns = records.widths, len(header.columns)
    others = np.flatnonzero(widths != widths[-1:])
    first = int(others[-1]) + 1 if len(others) else 0
    alike = len(widths) - first
    if alike >= max(_FEWEST, len(widths) // 2 + 1) and widths[first] != columns:
        raise SourceDamaged(
            f"The header has {columns} columns separated by {header.dialect.delimiter!r}, but the records "
            f"from line {records.lines[first]} on all have {widths[first]}. "
            "Take out what stands before the header, name every column, or give the right `delimiter`."
        )


def _check_sections(header: Header, records: _Records) -> None:
    """All records between two gaps have one other width: a table of its own."""
    widths, columns = records.widths, len(header.columns)
    borders = [0, *(np.flatnonzero(np.diff(records.gaps)) + 1).tolist(), len(widths)]
    for first, end in pairwise(borders):
        apart = end - first >= _FEWEST and records.gaps[first] and widths[first] not in (1, columns)
        if apart and (widths[first:end] == widths[first]).all():
            raise SourceDamaged(
                f"Another table begins on line {records.lines[first]}, after blank lines: its records have "
                f"{widths[first]} fields, the header has {columns} columns. Submit each table by itself."
            )
